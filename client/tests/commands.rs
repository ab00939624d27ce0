//! The command's outside: help, usage, exit codes, and what it says without a gateway.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

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
    ] {
        let output = ecowire(&[command, &["--help"]].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{command:?}");
        assert!(text.contains("Example") && text.contains("ecowire "), "{command:?}: {text}");
    }
    assert!(String::from_utf8(ecowire(&["--version"]).stdout).unwrap().starts_with("ecowire "));
    assert!(String::from_utf8(ecowire(&["--help"]).stdout).unwrap().contains("Exit codes"));
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
    check(&["inbox", "--profile", profile], 1, "ecowire: cannot read");
    check(&["status", "--profile", profile, "KE/2026/000001"], 1, "cannot read");
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
