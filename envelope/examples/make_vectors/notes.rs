//! Verifier keys, notes and checkpoints.

use serde_json::json;
use tlog::{Checkpoint, Ed25519Signer, Note, NoteSigner as _, VerifierKey, small};

use crate::{Files, hex, log_signer, numbered};

pub(crate) fn notes(files: &mut Files) {
    let (log, other) = (log_signer(), Ed25519Signer::from_seed("witness.example/w1", &[13; 32]).unwrap());
    let cosigner = VerifierKey::cosignature_v1("witness.example/w1", other.key().public).unwrap();
    for key in [log.key(), other.key(), &cosigner] {
        let text = key.to_string();
        let gives = json!({"name": key.name, "id": format!("{:08x}", key.id), "algorithm": key.algorithm as u8, "public": hex(key.public), "again": text});
        files.good("verifier_key", json!({"text": text}), gives);
    }
    let text = log.key().to_string();
    for (what, bad) in [
        ("empty", String::new()),
        ("no plus", text.replace('+', "-")),
        ("another name", text.replace("ecowire.test", "ecowire.live")),
        ("upper case id", text.to_uppercase()),
        ("no padding", text.trim_end_matches('=').to_owned() + "A"),
        ("a space in the name", format!("a b{text}")),
        ("algorithm 2", "x+00000000+AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned()),
    ] {
        assert!(VerifierKey::parse(&bad).is_err(), "{what}");
        files.bad("verifier_key", what, json!({"text": bad}));
    }
    let root = small::root(&numbered(9));
    let checkpoint = Checkpoint { origin: log.key().name.clone(), size: 9, root };
    let signed = checkpoint.sign(&log).unwrap();
    let both = Note::sign(&checkpoint.to_text(), &[&other, &log]).unwrap().to_bytes();
    let extended = Note::sign(&(checkpoint.to_text() + "extension\n"), &[&log]).unwrap().to_bytes();
    for note in [&signed, &both, &extended] {
        files.good("checkpoint", json!({"note": hex(note), "key": text}), json!({"size": 9, "root": hex(root)}));
    }
    let note =
        |note: &[u8], keys: &[&VerifierKey]| json!({"note": hex(note), "keys": keys.iter().map(ToString::to_string).collect::<Vec<_>>()});
    files.good("note", note(&both, &[log.key()]), json!({"text": checkpoint.to_text(), "signed_by": [log.key().name]}));
    files.good(
        "note",
        note(&both, &[log.key(), other.key()]),
        json!({"text": checkpoint.to_text(), "signed_by": [other.key().name, log.key().name]}),
    );
    let plain = Note::sign("one\n\ntwo\n", &[&log]).unwrap().to_bytes();
    files.good("note", note(&plain, &[log.key()]), json!({"text": "one\n\ntwo\n", "signed_by": [log.key().name]}));
    let replaced = |from: &str, to: &str| String::from_utf8(both.clone()).unwrap().replacen(from, to, 1).into_bytes();
    files.bad("note", "no known key", note(&signed, &[other.key()]));
    files.bad("note", "another text", note(&replaced("\n9\n", "\n8\n"), &[log.key()]));
    files.bad("note", "unsigned", note(checkpoint.to_text().as_bytes(), &[log.key()]));
    files.bad("note", "no newline at the end", note(&both[..both.len() - 1], &[log.key()]));
    files.bad("note", "a carriage return", note(&replaced("\n9\n", "\r\n9\n"), &[log.key()]));
    files.bad("note", "a hyphen for the dash", note(&replaced("\u{2014}", "-"), &[log.key()]));
    files.bad("note", "no utf-8", note(&[&[0xff], &both[..]].concat(), &[log.key()]));
    let twice = [&signed[..], &signed[checkpoint.to_text().len() + 1..]].concat();
    files.bad("note", "a key twice", note(&twice, &[log.key()]));
    files.bad("note", "a known key twice", note(&signed, &[log.key(), log.key()]));
    bad_checkpoints(files, &log, &checkpoint);
}

fn bad_checkpoints(files: &mut Files, log: &Ed25519Signer, good: &Checkpoint) {
    let (text, key) = (good.to_text(), log.key().to_string());
    for (what, bad) in [
        ("another origin", text.replace("ecowire.test", "ecowire.live")),
        ("a size with a leading zero", text.replace("\n9\n", "\n09\n")),
        ("a size with a sign", text.replace("\n9\n", "\n+9\n")),
        ("a size beyond 64 bits", text.replace("\n9\n", "\n18446744073709551616\n")),
        ("no root", text.lines().take(2).map(|line| line.to_owned() + "\n").collect()),
        ("a root without padding", text.replace('=', "")),
        ("an empty extension line", text.clone() + "\n"),
    ] {
        let note = Note::sign(&bad, &[log]).unwrap().to_bytes();
        assert!(Checkpoint::open(&note, log.key()).is_err(), "{what}");
        files.bad("checkpoint", what, json!({"note": hex(note), "key": key}));
    }
}
