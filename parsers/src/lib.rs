//! What every parser promises, as one plain function a parser: bytes in, a panic when a promise is broken.
//!
//! `fuzz/` calls these functions with what libFuzzer invents, `tests/seeds.rs` with every seed and with seeded mutations
//! of it. A new parser is a function, a row in [`TARGETS`] and a file of two lines in `fuzz/fuzz_targets`.
//!
//! **Promises.** No input panics. What is canonical writes itself again to the same bytes. Two readings agree, and two
//! providers of cryptography. Nothing that is signed is believed unless it is, byte for byte, what a seed signs: the keys
//! of the seeds sign nothing else, so a mutation that is believed is a forgery.

mod certificates;
mod entries;
mod keys;
mod lists;
mod messages;
pub mod mutate;
mod reports;
pub mod seeds;
mod statements;
mod stored;
mod texts;
mod trees;
mod wire;

/// A parser under test.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: the file in `fuzz/fuzz_targets` and the folder in `fuzz/corpus`.
    pub name: &'static str,
    /// Reads bytes and checks what the parser promises; whether they were believed. Panics when a promise is broken.
    pub body: fn(&[u8]) -> bool,
    /// Inputs to begin with, from the vectors.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Every target, by name.
pub const TARGETS: &[Target] = &[
    Target { name: "certificate", body: certificates::certificate, seeds: certificates::certificate_seeds },
    Target { name: "chain", body: certificates::chain, seeds: certificates::chain_seeds },
    Target { name: "checkpoint", body: trees::checkpoint, seeds: trees::checkpoint_seeds },
    Target { name: "config", body: texts::config, seeds: texts::config_seeds },
    Target { name: "crl", body: certificates::crl, seeds: certificates::crl_seeds },
    Target { name: "csv_list", body: lists::csv_list, seeds: lists::csv_list_seeds },
    Target { name: "delivery", body: messages::delivery, seeds: messages::delivery_seeds },
    Target { name: "genesis", body: statements::genesis, seeds: statements::genesis_seeds },
    Target { name: "header", body: messages::header, seeds: messages::header_seeds },
    Target { name: "hotlist", body: lists::hotlist, seeds: lists::hotlist_seeds },
    Target { name: "leaf", body: entries::leaf, seeds: entries::leaf_seeds },
    Target { name: "locked_key", body: keys::locked_key, seeds: keys::locked_key_seeds },
    Target { name: "names", body: texts::names, seeds: texts::names_seeds },
    Target { name: "note", body: trees::note, seeds: trees::note_seeds },
    Target { name: "opening", body: entries::opening, seeds: entries::opening_seeds },
    Target { name: "profile", body: texts::profile, seeds: texts::profile_seeds },
    Target { name: "proof_text", body: trees::proof_text, seeds: trees::proof_text_seeds },
    Target { name: "proofs", body: trees::proofs, seeds: trees::proofs_seeds },
    Target { name: "receipt", body: entries::receipt, seeds: entries::receipt_seeds },
    Target { name: "report", body: reports::report, seeds: reports::report_seeds },
    Target { name: "rows", body: stored::rows, seeds: stored::rows_seeds },
    Target { name: "signing_key", body: texts::signing_key, seeds: texts::signing_key_seeds },
    Target { name: "snapshot_part", body: stored::snapshot_part, seeds: stored::snapshot_part_seeds },
    Target { name: "state", body: stored::state, seeds: stored::state_seeds },
    Target { name: "statement", body: statements::statement, seeds: statements::statement_seeds },
    Target { name: "submission", body: messages::submission, seeds: messages::submission_seeds },
    Target { name: "terminal", body: texts::terminal, seeds: texts::terminal_seeds },
    Target { name: "tile_path", body: trees::tile_path, seeds: trees::tile_path_seeds },
    Target { name: "tiles", body: trees::tiles, seeds: trees::tiles_seeds },
    Target { name: "token_uri", body: keys::token_uri, seeds: keys::token_uri_seeds },
    Target { name: "trouble", body: wire::trouble, seeds: wire::trouble_seeds },
    Target { name: "trust", body: statements::trust, seeds: statements::trust_seeds },
    Target { name: "verifier_key", body: trees::verifier_key, seeds: trees::verifier_key_seeds },
    Target { name: "wire", body: wire::wire, seeds: wire::wire_seeds },
    Target { name: "wrap", body: messages::wrap, seeds: messages::wrap_seeds },
];

/// The body of a target, by its name.
///
/// # Panics
/// When no target has that name.
#[must_use]
pub fn body(name: &str) -> fn(&[u8]) -> bool {
    TARGETS.iter().find(|target| target.name == name).expect("a target of that name").body
}
