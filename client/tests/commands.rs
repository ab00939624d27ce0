//! The command's outside: help, usage, exit codes, and what it says without a gateway.

#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{SystemTime, UNIX_EPOCH};

use client::{Origin, Profile};
use envelope::{Network, Timestamp};

fn ecowire(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ecowire")).args(arguments).env("COLUMNS", "120").output().unwrap()
}

fn check(arguments: &[&str], code: i32, stderr: &str) {
    let output = ecowire(arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    assert!(said.contains(stderr), "{arguments:?}: {said}");
}

#[test]
fn every_command_has_help_with_an_example() {
    for command in [
        &["init"][..],
        &["send"],
        &["inbox"],
        &["open"],
        &["ack"],
        &["status"],
        &["receipt"],
        &["receipt", "show"],
        &["receipt", "verify"],
        &["audit"],
        &["audit", "replay"],
        &["audit", "verify"],
        &["doctor"],
        &["completions"],
        &["man"],
    ] {
        let output = ecowire(&[command, &["--help"]].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{command:?}");
        assert!(text.contains("Example") && text.contains("ecowire "), "{command:?}: {text}");
    }
    assert!(String::from_utf8(ecowire(&["--version"]).stdout).unwrap().starts_with("ecowire "));
    assert!(String::from_utf8(ecowire(&["--help"]).stdout).unwrap().contains("Exit codes"));
    assert!(String::from_utf8(ecowire(&["--help"]).stdout).unwrap().contains("Examples:\n  ecowire init"));
}

#[test]
fn the_words_are_listed() {
    let help = String::from_utf8(ecowire(&["send", "--help"]).stdout).unwrap();
    for word in ["ecomessage", "notice-request", "routine, urgent, flash", "restricted", "h0, h1, h2, h3", "source-at-risk"] {
        assert!(help.contains(word), "{word}: {help}");
    }
    check(&["send", "--profile", "x", "--to", "ke", "--file", "x", "--kind", "poem"], 2, "notice-request");
    check(&["send", "--profile", "x", "--to", "ke", "--file", "x", "--priority", "now"], 2, "routine, urgent, flash");
}

#[test]
fn what_cannot_be_meant_is_2() {
    check(&["send", "--profile", "x", "--to", "ke", "--file", "x", "--media-type", ""], 2, "--media-type");
    check(&["send", "--profile", "x", "--to", "ke", "--file", "x", "--kind", "reply"], 2, "--in-reply-to");
    check(&["audit", "verify", "--profile", "x", "--from", "1"], 2, "NOT JUDGED: ");
}

#[test]
fn only_an_auditor_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let (pki, profile) = (folder.path().join("pki"), folder.path().join("ke"));
    mint(&pki);
    let origin = Origin { gateway: "https://127.0.0.1:1".to_owned(), trust: pki.join("trust.toml"), identity: pki.join("ke") };
    drop(Profile::create(&profile, &origin).unwrap());
    check(&["audit", "verify", "--profile", path(&profile)], 3, "NO_AUTHORITY: only an auditor's certificate sees openings");
    check(&["audit", "replay", "--profile", path(&profile)], 4, "is not reachable");
}

#[test]
fn a_trust_file_that_its_authority_did_not_sign_is_5() {
    let folder = tempfile::tempdir().unwrap();
    let pki = folder.path().join("pki");
    mint(&pki);
    let trust = pki.join("trust.toml");
    let text = std::fs::read_to_string(&trust).unwrap();
    let mut other = text.clone();
    let at = other.rfind("signature = \"").unwrap() + 13;
    let letter = if &other[at..=at] == "A" { "B" } else { "A" };
    other.replace_range(at..=at, letter);
    std::fs::write(&trust, other).unwrap();
    check(&["receipt", "verify", path(&trust), "--trust", path(&trust)], 5, "VERIFICATION_FAILED: ");
    std::fs::write(&trust, "junk").unwrap();
    check(&["receipt", "verify", path(&trust), "--trust", path(&trust)], 1, "toml");
}

#[test]
fn keys_that_others_can_read_are_warned_of_and_the_profile_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (pki, profile) = (folder.path().join("pki"), folder.path().join("ke"));
    mint(&pki);
    let arguments = |identity: &Path| {
        let (trust, gateway) = (pki.join("trust.toml"), "https://127.0.0.1:1");
        let fixed = ["init", "--profile", path(&profile), "--gateway", gateway, "--trust", path(&trust), "--identity", path(identity)];
        String::from_utf8(ecowire(&fixed).stderr).unwrap()
    };
    let said = arguments(&pki.join("ke"));
    assert!(!said.contains("warning"), "{said}");
    let key = pki.join("ke/identity.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    let said = arguments(&pki.join("ke"));
    assert!(said.contains("warning: ") && said.contains("ke/identity.key can be read by others"), "{said}");
    // Certificates of one, keys of another.
    std::fs::copy(pki.join("node_dev-1/tls.key"), &key).unwrap();
    let said = arguments(&pki.join("ke"));
    assert!(!said.contains(".new"), "{said}");
    std::fs::copy(pki.join("th/identity.key"), &key).unwrap();
    let said = arguments(&pki.join("ke"));
    assert!(said.contains(path(&profile.join("profile.toml"))) && !said.contains(".new"), "{said}");
}

fn mint(out: &Path) {
    let now = Timestamp(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64);
    let addresses = ["ke", "th", "node/dev-1"].map(|text| text.parse().unwrap()).to_vec();
    let network = Network::parse("ecowire.test").unwrap();
    certs_dev::mint(&certs_dev::MintOptions { now, ..certs_dev::MintOptions::new(out, network, addresses) }).unwrap();
}

#[test]
fn wrong_usage_is_2() {
    check(&[], 2, "Usage");
    check(&["fly"], 2, "fly");
    check(&["send", "--profile", "x"], 2, "--to");
    check(&["send", "--profile", "x", "--to", "KENYA", "--file", "x"], 2, "--to");
    check(&["send", "--profile", "x", "--to", "ke", "--file", "x", "--kind", "poem"], 2, "--kind");
    check(&["send", "--profile", "x", "--to", "ke", "--file", "x", "--priority", "unspecified"], 2, "--priority");
    check(&["send", "--profile", "x", "--to", "ke", "--file", "x", "--wait=-1"], 2, "--wait");
    check(&["open", "--profile", "x", "17"], 2, "REFERENCE");
    check(&["open", "--profile", "x", "KE/2026/000001", "--force"], 2, "--out");
    check(&["receipt", "verify", "x"], 2, "--trust");
    check(&["audit", "replay", "--profile", "x", "--from", "first"], 2, "--from");
}

#[test]
fn what_is_not_there_is_1() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere");
    let profile = nowhere.to_str().unwrap();
    check(&["inbox", "--profile", profile], 1, "is no profile: `ecowire init` makes one");
    check(&["status", "--profile", profile, "KE/2026/000001"], 1, "is no profile");
    check(&["receipt", "show", profile], 1, "cannot read");
    check(&["send", "--profile", profile, "--to", "ke", "--file", profile], 1, "cannot read");
}

#[test]
fn junk_is_no_receipt() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("junk.receipt");
    std::fs::write(&file, b"\x1b[2Jno receipt").unwrap();
    check(&["receipt", "show", path(&file)], 5, "VERIFICATION_FAILED: ");
}

#[test]
fn open_does_not_overwrite() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.json");
    std::fs::write(&file, b"mine").unwrap();
    check(&["open", "--profile", "x", "KE/2026/000001", "--out", path(&file)], 1, "not overwritten");
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
