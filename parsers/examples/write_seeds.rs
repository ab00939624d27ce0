//! Writes the seeds of every fuzz target into a folder of its own: `cargo run -p parsers --example write_seeds -- fuzz/corpus`.
//!
//! Corpora that grew from other vectors are removed first: what those signed, no seed of today signs, and a target would
//! call it a forgery.

use std::fs;
use std::path::PathBuf;

fn main() {
    let folder = std::env::args_os().nth(1).map(PathBuf::from).expect("the folder of the corpora");
    let seeds: Vec<(&str, Vec<Vec<u8>>)> = parsers::TARGETS.iter().map(|target| (target.name, (target.seeds)())).collect();
    let all: Vec<[u8; 32]> = seeds.iter().flat_map(|(_, seeds)| seeds.iter().map(|seed| tlog::sha256(seed))).collect();
    let (stamp, digest) = (folder.join("vectors.sha256"), hex(&tlog::sha256(&all.concat())));
    if fs::read_to_string(&stamp).is_ok_and(|of| of != digest) || (folder.exists() && !stamp.exists()) {
        fs::remove_dir_all(&folder).expect("the corpora of other vectors can be removed");
    }
    for (name, seeds) in &seeds {
        let corpus = folder.join(name);
        fs::create_dir_all(&corpus).expect("a folder");
        for seed in seeds {
            fs::write(corpus.join(hex(&tlog::sha256(seed)[..10])), seed).expect("written");
        }
    }
    fs::write(stamp, digest).expect("written");
    println!("{} seeds of {} targets in {}", all.len(), seeds.len(), folder.display());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
