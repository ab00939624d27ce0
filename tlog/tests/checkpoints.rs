//! Checkpoints and proof texts: known texts, what is refused, and the `tlog_tiles` crate.

#![allow(clippy::unwrap_used)]

mod store;

use proptest::prelude::*;
use store::{grown, hash, leaves};
use tlog::{Checkpoint, CheckpointError, Ed25519Signer, Hash, Note, NoteSigner, ProofError, ProofText, ProofTextError, empty_root};

const ROOT: &str = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";

fn signer(name: &str) -> Ed25519Signer {
    Ed25519Signer::from_seed(name, &[1; 32]).unwrap()
}

fn checkpoint(origin: &str) -> Checkpoint {
    let root = hash("0ac5186a91863e8e1d90c808014aa89bf5da8e3ee1d9f07630f0378f68f1ab62");
    Checkpoint { origin: origin.to_owned(), size: 20_852_163, root }
}

#[test]
fn the_example_of_the_standard() {
    let text = format!("example.com/behind-the-sofa\n20852163\n{ROOT}\n");
    let expected = checkpoint("example.com/behind-the-sofa");
    assert_eq!(Checkpoint::parse(&text).unwrap(), expected);
    assert_eq!(expected.to_text(), text);
    assert_eq!(Checkpoint::parse(&format!("{text}one\ntwo\n")).unwrap(), expected);
}

#[test]
fn malformed_texts_are_refused() {
    let size = |text: &str| format!("the size {text:?} of the checkpoint is no canonical decimal");
    let root = |text: &str| format!("the root {text:?} of the checkpoint is no base64 of a hash");
    let line = |line: usize| format!("line {line} of the checkpoint is missing, empty or not terminated");
    let mut table = vec![
        (String::new(), line(1)),
        ("\n1\n".to_owned() + ROOT + "\n", line(1)),
        ("a\n".to_owned(), line(2)),
        ("a\n\n".to_owned() + ROOT + "\n", line(2)),
        ("a\n1\n".to_owned(), line(3)),
        (format!("a\n1\n{ROOT}"), line(3)),
        (format!("a\n1\n{ROOT}\n\n"), line(4)),
        (format!("a\n1\n{ROOT}\nextension\n\n"), line(5)),
        (format!("a\n1\n{ROOT}\nextension"), line(4)),
    ];
    for text in ["00", "01", "+1", "-1", " 1", "1 ", "0x1", "1.0", "18446744073709551616", "٣"] {
        table.push((format!("a\n{text}\n{ROOT}\n"), size(text)));
    }
    let url = ROOT.replace('/', "_");
    for text in [&ROOT[1..], &ROOT[..43], &url, "AAAA", &format!("{ROOT} "), &ROOT.replace("2I=", "2J="), &"A".repeat(44)] {
        table.push((format!("a\n1\n{text}\n"), root(text)));
    }
    for (text, error) in table {
        assert_eq!(Checkpoint::parse(&text).unwrap_err().to_string(), error, "{text:?}");
    }
    for size in ["0", "18446744073709551615"] {
        assert_eq!(Checkpoint::parse(&format!("a\n{size}\n{ROOT}\n")).unwrap().size.to_string(), size);
    }
}

#[test]
fn only_the_logs_own_checkpoint_opens() {
    let log = signer("log.example");
    let signed = checkpoint("log.example").sign(&log).unwrap();
    assert_eq!(Checkpoint::open(&signed, log.key()).unwrap(), checkpoint("log.example"));

    let stranger = Ed25519Signer::from_seed("log.example", &[2; 32]).unwrap();
    assert!(matches!(Checkpoint::open(&signed, stranger.key()), Err(CheckpointError::Note(_))));
    let sign = checkpoint("other.example").sign(&log);
    assert!(matches!(sign, Err(CheckpointError::Origin { origin, key }) if origin == "other.example" && key == "log.example"));
    let foreign = Note::sign(&checkpoint("other.example").to_text(), &[&log]).unwrap().to_bytes();
    assert!(matches!(Checkpoint::open(&foreign, log.key()), Err(CheckpointError::Origin { .. })));
    let other = Note::sign("log.example\nno checkpoint\n", &[&log]).unwrap().to_bytes();
    assert!(matches!(Checkpoint::open(&other, log.key()), Err(CheckpointError::Line { line: 3 })));
    for at in 0..signed.len() {
        let mut tampered = signed.clone();
        tampered[at] ^= 1;
        assert!(Checkpoint::open(&tampered, log.key()).is_err(), "byte {at}");
    }
}

proptest! {
    #[test]
    fn the_other_crate_reads_and_writes_the_same_text(origin in "[a-z./]{1,30}", size: u64, root: [u8; 32]) {
        let ours = Checkpoint { origin: origin.clone(), size, root: Hash(root) };
        let theirs = tlog_tiles::Checkpoint::new(&origin, size, tlog_tiles::Hash(root), "").unwrap();
        prop_assert_eq!(ours.to_text().into_bytes(), theirs.to_bytes());
        let signed = ours.sign(&signer(&origin)).unwrap();
        // Their reader takes a text from the front of a note, up to the blank line.
        let read = tlog_tiles::Checkpoint::from_reader(&mut signed.as_slice(), false).unwrap();
        prop_assert_eq!((read.origin(), read.size(), read.hash().0), (origin.as_str(), size, root));
        prop_assert_eq!(Checkpoint::parse(std::str::from_utf8(&theirs.to_bytes()).unwrap()).unwrap(), ours);
    }
}

fn proof(size: usize, index: u64) -> (ProofText, Hash, Ed25519Signer) {
    let leaves = leaves(size);
    let (tree, store) = grown(&leaves);
    let log = signer("log.example");
    let checkpoint = Checkpoint { origin: "log.example".to_owned(), size: tree.size(), root: tree.root() };
    let checkpoint = checkpoint.sign(&log).unwrap();
    let path = tree.inclusion(index, &store).unwrap();
    (ProofText { extra: Vec::new(), index, path, checkpoint }, leaves[index as usize], log)
}

#[test]
fn a_proof_text_stands_alone() {
    for (size, index, extra) in [(1, 0, ""), (7, 6, ""), (300, 255, "who asked")] {
        let (mut proof, leaf, log) = proof(size, index);
        proof.extra = extra.as_bytes().to_vec();
        let bytes = proof.to_bytes();
        let read = ProofText::parse(&bytes).unwrap();
        assert_eq!(read, proof);
        let checkpoint = read.verify(&leaf, log.key()).unwrap();
        assert_eq!(checkpoint.size, size as u64);

        assert!(matches!(read.verify(&empty_root(), log.key()), Err(ProofTextError::Proof(ProofError::Root { .. }))));
        assert!(matches!(read.verify(&leaf, signer("other").key()), Err(ProofTextError::Checkpoint(_))));
        // Extra data is not authenticated; everything else is.
        for at in 0..bytes.len() {
            let mut tampered = bytes.clone();
            tampered[at] ^= 2;
            let is_refused = ProofText::parse(&tampered).map_or(true, |proof| proof.verify(&leaf, log.key()).is_err());
            let is_extra = extra == "who asked" && (23 + 6..23 + 6 + 12).contains(&at);
            assert!(is_refused || is_extra, "byte {at}");
        }
    }
}

#[test]
fn the_text_is_that_of_the_standard() {
    let (mut proof, _, _) = proof(3, 2);
    proof.extra = b"extra".to_vec();
    let text = String::from_utf8(proof.to_bytes()).unwrap();
    let lines: Vec<&str> = text.split('\n').collect();
    assert_eq!(lines[..3], ["c2sp.org/tlog-proof@v1", "extra ZXh0cmE=", "index 2"]);
    assert_eq!((lines[3].len(), lines[4], lines[5], lines[6]), (44, "", "log.example", "3"));
}

#[test]
fn malformed_proof_texts_are_refused() {
    let (mut proof, _, _) = proof(3, 2);
    proof.extra = b"extra".to_vec();
    let good = String::from_utf8(proof.to_bytes()).unwrap();
    ProofText::parse(good.as_bytes()).unwrap();
    let extra = "the extra data of the proof is empty, too long or no base64";
    let index = "the proof has no canonical index";
    let header = "the proof does not begin with c2sp.org/tlog-proof@v1";
    let table = [
        ("c2sp.org/tlog-proof@v1\n".to_owned(), "no empty line parts the proof from the checkpoint"),
        (good.replace("@v1", "@v2"), header),
        (format!(" {good}"), header),
        (good.replace("@v1\n", "@v1\r\n"), header),
        (good.replace("ZXh0cmE=", ""), extra),
        (good.replace("ZXh0cmE=", "ZXh0cmE"), extra),
        (good.replace("ZXh0cmE=", "ZXh0cmF="), extra),
        (good.replace("extra ZXh0cmE=\n", "extra\n"), index),
        (good.replace("extra ZXh0cmE=\n", "extra ZXh0cmE=\nextra ZXh0cmE=\n"), index),
        (good.replace("index 2\n", ""), index),
        (good.replace("index 2", "index 02"), index),
        (good.replace("index 2", "index +2"), index),
        (good.replace("index 2", "index  2"), index),
        (good.replace("index 2", "index 18446744073709551616"), index),
        (good.replace("index 2\n", "index 2\nAAAA\n"), "hash 1 of the proof is no base64 of a hash"),
        (good.replace("index 2\n", &("index 2\n".to_owned() + &format!("{ROOT}\n").repeat(64))), "the path has 65 hashes, 64 allowed"),
        (good.replace("index 2\n", "index 2\n\n"), "the proof has no checkpoint of the log"),
        (good.replace("\n\nlog.example\n", "\n\n"), "the proof has no checkpoint of the log"),
        ("x".repeat(200_000), "the proof has 200000 bytes, 157016 allowed"),
    ];
    for (text, error) in table {
        assert_eq!(ProofText::parse(text.as_bytes()).unwrap_err().to_string(), error, "{text:?}");
    }
    let none = ProofText { extra: vec![0; 65_536], ..proof.clone() };
    assert_eq!(ProofText::parse(&none.to_bytes()).unwrap(), none);
    let none = ProofText { extra: vec![0; 65_537], ..proof };
    assert!(matches!(ProofText::parse(&none.to_bytes()), Err(ProofTextError::Extra)));
}
