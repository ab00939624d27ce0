//! Every seed, and seeded mutations of every seed, through the body of every fuzz target.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use parsers::mutate::{Random, mutate};
use parsers::{TARGETS, Target};

/// Runs a body; on a panic, names the target and the input.
fn run(target: &Target, input: &[u8]) -> bool {
    catch_unwind(AssertUnwindSafe(|| (target.body)(input))).unwrap_or_else(|_| {
        let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        panic!("{} breaks a promise on {} bytes: {hex}", target.name, input.len())
    })
}

/// Inputs of a target: mutations are many of few seeds and few of many.
fn campaign(target: &Target) {
    let seeds = (target.seeds)();
    let believed = seeds.iter().filter(|seed| run(target, seed)).count();
    assert!(believed > 0, "{}: none of {} seeds is believed, so nothing is tested behind the first check", target.name, seeds.len());
    let rounds = (MUTATIONS / seeds.len()).max(1);
    for (at, seed) in seeds.iter().enumerate() {
        let mut random = Random::new(at as u64 + 1);
        for _ in 0..rounds {
            let other = &seeds[random.below(seeds.len())];
            run(target, &mutate(seed, other, &mut random));
        }
    }
}

macro_rules! campaigns {
    ($($name:ident),* $(,)?) => {
        $(#[test] fn $name() { campaign(TARGETS.iter().find(|target| target.name == stringify!($name)).expect("a target")); })*
        const CAMPAIGNS: &[&str] = &[$(stringify!($name)),*];
    };
}

campaigns! {
    certificate, chain, checkpoint, config, crl, csv_list, delivery, genesis, header, hotlist, leaf, locked_key, names, note, opening, profile, proof_text, proofs, receipt,
    report, rows, signing_key, snapshot_part, state, statement, submission, terminal, tile_path, tiles, token_uri, trouble, trust, verifier_key, wire, wrap,
}

/// A target that is in one list only would be tested nowhere else.
#[test]
fn every_target_is_in_every_list() {
    let names: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(names, CAMPAIGNS.iter().map(|name| (*name).to_owned()).collect(), "the tests of this file");
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    let files = std::fs::read_dir(fuzz.join("fuzz_targets")).expect("a folder").map(|entry| entry.expect("a file").path());
    let files = files.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()));
    assert_eq!(names, files.collect(), "fuzz/fuzz_targets");
    let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).expect("a manifest");
    for name in &names {
        assert!(manifest.contains(&format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"")), "{name} in fuzz/Cargo.toml");
        let text = std::fs::read_to_string(fuzz.join(format!("fuzz_targets/{name}.rs"))).expect("a target");
        assert!(text.contains(&format!("parsers::body(\"{name}\")")), "{name}.rs calls another body");
    }
}

/// Mutated inputs of a target.
const MUTATIONS: usize = 2000;
