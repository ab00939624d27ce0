//! What the commands say about messages in the outbox while nobody listens on the gateway's port, and how they share a
//! profile.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{SystemTime, UNIX_EPOCH};

use client::outbox::{Item, Number};
use client::store::{Table, Write};
use client::{Origin, Profile};
use envelope::{Network, Timestamp};

fn make(folder: &Path) -> PathBuf {
    let out = folder.join("pki");
    let now = Timestamp(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64);
    let addresses = ["ke", "node/dev-1"].map(|text| text.parse().unwrap()).to_vec();
    certs_dev::mint(&certs_dev::MintOptions {
        now,
        ..certs_dev::MintOptions::new(out.clone(), Network::parse("ecowire.test").unwrap(), addresses)
    })
    .unwrap();
    let origin = Origin { gateway: "https://127.0.0.1:1".to_owned(), trust: out.join("trust.toml"), identity: out.join("ke") };
    let dir = folder.join("ke");
    drop(Profile::create(&dir, &origin).unwrap());
    dir
}

fn item(id: u64, void: bool) -> Write {
    let item = Item {
        id,
        void,
        priority: 1,
        number: Some(Number { year: 2026, series: 1, number: id }),
        sealed: true,
        sent: false,
        reused: false,
        previous: None,
        message_ids: Vec::new(),
        expires_ms: u64::MAX,
        reseals: 0,
    };
    Write::number(Table::Outbox, id, serde_json::to_vec(&item).unwrap())
}

fn notice(id: u64, end: &str) -> Write {
    Write::number(Table::Notices, id, format!(r#"{{"reference":"KE/2026/00000{id}","end":{end},"at_ms":7,"told":false}}"#))
}

fn ecowire(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ecowire")).args(arguments).output().unwrap()
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn status_knows_the_outbox_without_a_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let dir = make(folder.path());
    let refused = r#"{"Refused":{"name":"CLOCK_SKEW","text":"in the future"}}"#;
    let sent_void = Write::text(Table::Sent, "KE/2026/000003", format!(r#"{{"index":9,"message_id":{:?},"void":true}}"#, [7; 32]));
    let rows = [item(1, false), item(2, true), notice(2, "\"Expired\""), notice(3, refused), sent_void];
    Profile::open(&dir).unwrap().store().commit(&rows).unwrap();
    let dir = dir.to_str().unwrap();
    let status = |number: u32, json: bool| {
        let reference = format!("KE/2026/00000{number}");
        let more: &[&str] = if json { &["--json"] } else { &[] };
        said(&ecowire(&[&["status", "--profile", dir, &reference], more].concat()))
    };

    let (code, out, err) = status(1, false);
    assert_eq!((code, out.as_str()), (Some(0), "KE/2026/000001  in the outbox, not yet sent\n"), "{err}");
    for told in ["KE/2026/000002 expired before it was sent", "KE/2026/000003 was refused: CLOCK_SKEW: in the future", "is not reachable"] {
        assert!(err.contains(told), "{told}: {err}");
    }
    let (code, out, err) = status(1, true);
    assert_eq!((code, out.as_str()), (Some(0), "{\"reference\":\"KE/2026/000001\",\"state\":\"queued\",\"void\":false}\n"));
    assert!(!err.contains("CLOCK_SKEW"), "it is told once: {err}");

    let (code, out, _) = status(2, false);
    assert_eq!(code, Some(0));
    assert_eq!(out, "KE/2026/000002  expired before it was sent; a VOID closes its number, and is not yet sent\n");
    let (code, out, _) = status(3, false);
    assert_eq!(code, Some(0));
    assert_eq!(out, "KE/2026/000003  refused CLOCK_SKEW: in the future, its number was closed by a VOID\n");
    let (_, out, _) = status(3, true);
    assert!(out.contains("\"state\":\"refused\",\"name\":\"CLOCK_SKEW\",\"text\":\"in the future\",\"at_ms\":7,\"void\":true"), "{out}");
    // The gateway would have to be asked.
    let (code, out, _) = status(4, false);
    assert_eq!((code, out.as_str()), (Some(4), ""));
}

#[test]
fn a_profile_in_use_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let dir = make(folder.path());
    let file = folder.path().join("text");
    std::fs::write(&file, b"x").unwrap();
    let held = Profile::open(&dir).unwrap();
    let (dir, file) = (dir.to_str().unwrap(), file.to_str().unwrap());
    let (code, _, err) = said(&ecowire(&["send", "--profile", dir, "--to", "ke", "--file", file, "--wait", "0.1"]));
    assert_eq!(code, Some(1));
    assert!(err.contains("1 s were waited") && err.contains("is in use by another process"), "{err}");

    let waiting = Command::new(env!("CARGO_BIN_EXE_ecowire"))
        .args(["inbox", "--profile", dir])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(held);
    // It goes on to the gateway, which nobody is.
    let (code, _, err) = said(&waiting.wait_with_output().unwrap());
    assert_eq!(code, Some(4), "{err}");
}
