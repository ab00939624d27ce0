//! Openings, leaves and receipts.

use std::collections::BTreeMap;

use envelope::slots::{Opening, Slots};
use envelope::{Receipt, Timestamp, statement};
use prost::Message as _;
use proto::v1::{self, EntryKind};
use serde_json::json;
use tlog::{Checkpoint, Ed25519Signer, Hash, NoteSigner as _, small};

use crate::headers::context;
use crate::statements::key_statement;
use crate::{CREATED_MS, Files, flip, hex, log_signer, numbered, signing_key};

fn message_slots(places: usize) -> Slots {
    let place = |at: usize| v1::Place { address: format!("ke/cus/p{at}"), mailbox_seq: at as u64 + 1 }.encode_to_vec().into();
    let decision = v1::Decision { rules_version: 1, policy_position: 1, available: true, grants_position: 0 };
    let stub = v1::Stub {
        sender: "ke".to_owned(),
        year: 2026,
        series: 1,
        number: 5,
        retention_class: 3,
        message_id: vec![3; 32].into(),
        priority: 1,
        expires_ms: CREATED_MS,
        handling: 0,
        held_by: String::new(),
        origin_sender: String::new(),
        origin_id: Default::default(),
        escalation: 0,
    };
    Slots::new(EntryKind::Message)
        .with(1, context().encode_to_vec())
        .with(2, vec![2; 32])
        .with(3, v1::Judged { tls_chain_sha256: vec![4; 32].into(), directory_size: 7, ..Default::default() }.encode_to_vec())
        .with(4, vec![4; 32])
        .with(5, decision.encode_to_vec())
        .with(6, stub.encode_to_vec())
        .with_each(7, (0..places).map(place))
        .with(8, vec![8; 32])
        .with(9, vec![9; 34 * places])
}

pub(crate) fn entries(files: &mut Files) {
    let at = Timestamp(CREATED_MS);
    let signed = statement::sign(&key_statement(), &[&signing_key(1)]).unwrap().encode_to_vec();
    let mut cases: Vec<(EntryKind, Slots)> = [0, 1, 2, 7, 512].map(|places| (EntryKind::Message, message_slots(places))).into();
    cases.push((EntryKind::Directory, Slots::new(EntryKind::Directory).with(1, signed.clone()).with(2, 9u64.to_be_bytes().to_vec())));
    cases.push((EntryKind::Mailbox, Slots::new(EntryKind::Mailbox).with(1, signed.clone()).with(2, vec![5; 32])));
    for kind in [EntryKind::Genesis, EntryKind::Access, EntryKind::ClockStep] {
        cases.push((kind, Slots::new(kind).with(1, signed.clone())));
    }
    let head = v1::Head { directory_size: 9, directory_root: vec![1; 32].into() };
    cases.push((EntryKind::Head, Slots::new(EntryKind::Head).with(1, head.encode_to_vec())));
    cases.push((EntryKind::Started, Slots::new(EntryKind::Started)));
    let seen = v1::RevocationsSeen { crl_number: vec![1].into(), crl_sha256: vec![2; 32].into(), ..Default::default() }.encode_to_vec();
    let revocations = Slots::new(EntryKind::RevocationsSeen).with(1, seen);
    cases.push((EntryKind::RevocationsSeen, revocations.clone().with(2, vec![0x30; 700])));
    cases.push((EntryKind::RevocationsSeen, revocations));
    for (number, (kind, slots)) in cases.iter().enumerate() {
        let opening = Opening::new(*kind, [number as u8; 32], slots.clone()).unwrap();
        let leaf = opening.leaf(at);
        let gives = json!({"kind": *kind as u16, "body": hex(leaf.body), "leaf": hex(leaf.encode()), "leaf_hash": hex(leaf.hash())});
        files.good("opening", json!({"opening": hex(opening.encode()), "at_ms": at.ms()}), gives);
    }
    bad_openings(files);
    let opening = Opening::new(EntryKind::Message, [42; 32], message_slots(3)).unwrap();
    let keep = |ids: &'static [(u16, u16)]| move |id: (u16, u16)| ids.contains(&id);
    add_receipt(files, &opening, 5, 9, |_| true);
    add_receipt(files, &opening, 0, 1, |_| false);
    add_receipt(files, &opening, 8, 9, |(tag, _)| tag <= 6 || tag == 8);
    let recipient = add_receipt(files, &opening, 3, 300, |(tag, sub)| tag != 7 && tag != 9 || (tag, sub) == (7, 2));
    add_receipt(files, &opening, 255, 257, keep(&[(7, 3), (9, 0)]));
    let control = Opening::new(EntryKind::Head, [43; 32], Slots::new(EntryKind::Head).with(1, head.encode_to_vec())).unwrap();
    add_receipt(files, &control, 1, 2, |_| true);
    let list = Opening::new(EntryKind::RevocationsSeen, [44; 32], cases[cases.len() - 2].1.clone()).unwrap();
    add_receipt(files, &list, 2, 3, |_| true);
    add_receipt(files, &list, 2, 3, keep(&[(1, 0)]));
    bad_receipts(files, &recipient);
}

fn bad_openings(files: &mut Files) {
    let good = v1::Opening::decode(&Opening::new(EntryKind::Message, [1; 32], message_slots(2)).unwrap().encode()[..]).unwrap();
    let mut bad = |what: &str, change: &dyn Fn(&mut v1::Opening)| {
        let mut opening = good.clone();
        change(&mut opening);
        assert!(Opening::decode(&opening.encode_to_vec()).is_err(), "{what}");
        files.bad("opening", what, json!({"opening": hex(opening.encode_to_vec()), "at_ms": 0}));
    };
    bad("version 2", &|one| one.version = 2);
    bad("no version", &|one| one.version = 0);
    bad("kind 0", &|one| one.kind = 0);
    bad("a kind without a name", &|one| one.kind = 99);
    bad("another kind than slot 0", &|one| one.kind = 16);
    bad("a seed of 31 bytes", &|one| one.seed.truncate(31));
    bad("slots out of order", &|one| one.slots.swap(1, 2));
    bad("a slot twice", &|one| one.slots.insert(1, one.slots[1].clone()));
    bad("an empty slot written out", &|one| one.slots[2].value.clear());
    bad("a tag outside the table", &|one| one.slots.push(v1::Slot { tag: 10, sub: 0, value: vec![1].into() }));
    bad("a sub outside the table", &|one| one.slots.insert(1, v1::Slot { tag: 0, sub: 1, value: vec![1].into() }));
    bad("a count that is too high", &|one| count_slot(one).value = vec![0, 0, 0, 3].into());
    bad("a count that is too low", &|one| count_slot(one).value = vec![0, 0, 0, 1].into());
    bad("a count of two bytes", &|one| count_slot(one).value = vec![0, 2].into());
    bad("slot 0 is missing", &|one| drop(one.slots.remove(0)));
    bad("slot 3 of a revocation list", &|one| {
        let slot = |(tag, value): (u32, &[u8])| v1::Slot { tag, sub: 0, value: bytes::Bytes::copy_from_slice(value) };
        (one.kind, one.slots) = (18, [(0, &[0, 18][..]), (1, &[1]), (3, &[1])].map(slot).into());
    });
}

fn count_slot(opening: &mut v1::Opening) -> &mut v1::Slot {
    opening.slots.iter_mut().find(|slot| (slot.tag, slot.sub) == (7, 0)).unwrap()
}

fn add_receipt(files: &mut Files, opening: &Opening, index: u64, size: u64, shown: impl Fn((u16, u16)) -> bool) -> v1::Receipt {
    let leaf = opening.leaf(Timestamp(CREATED_MS));
    let mut leaves = numbered(size as usize);
    leaves[index as usize] = leaf.hash();
    let signer = log_signer();
    let checkpoint = Checkpoint { origin: signer.key().name.clone(), size, root: small::root(&leaves) };
    let path = small::path(&leaves, index as usize).unwrap();
    let receipt = Receipt::new(index, &leaf, opening, &path, checkpoint.sign(&signer).unwrap().into(), shown);
    let proven = receipt.verify(signer.key()).unwrap();
    let slots: BTreeMap<_, _> = proven.slots().iter().map(|slot| (format!("{}.{}", slot.tag, slot.sub), hex(&slot.value))).collect();
    let gives = json!({"index": index, "kind": opening.kind() as u16, "at_ms": CREATED_MS, "size": size, "root": hex(checkpoint.root), "slots": slots});
    files.good("receipt", json!({"receipt": hex(receipt.encode()), "log_key": signer.key().to_string()}), gives);
    receipt.fields().clone()
}

fn bad_receipts(files: &mut Files, good: &v1::Receipt) {
    let key = log_signer().key().to_string();
    let mut bad = |what: &str, change: &dyn Fn(&mut v1::Receipt)| {
        let mut receipt = good.clone();
        change(&mut receipt);
        files.bad("receipt", what, json!({"receipt": hex(receipt.encode_to_vec()), "log_key": key}));
    };
    bad("no position", &|one| one.position = None);
    bad("log 1", &|one| one.position.as_mut().unwrap().log = 1);
    bad("another index", &|one| one.position.as_mut().unwrap().index = 2);
    bad("an index beyond the tree", &|one| one.position.as_mut().unwrap().index = 300);
    bad("a leaf of 43 bytes", &|one| one.leaf.truncate(43));
    bad("a leaf of version 2", &|one| one.leaf = flip(&one.leaf, 0));
    bad("a leaf of class control", &|one| one.leaf = [&[0, 1, 0, 2], &one.leaf[4..]].concat().into());
    bad("another time", &|one| one.leaf = flip(&one.leaf, 11));
    bad("another body", &|one| one.leaf = flip(&one.leaf, 43));
    bad("a value", &|one| one.slots[2].value = flip(&one.slots[2].value, 0));
    bad("a salt", &|one| one.slots[2].salt = flip(&one.slots[2].salt, 0));
    bad("a salt of 15 bytes", &|one| one.slots[2].salt.truncate(15));
    bad("slot 0 left out", &|one| drop(one.slots.remove(0)));
    bad("the count left out", &|one| one.slots.retain(|slot| (slot.tag, slot.sub) != (7, 0)));
    bad("slots swapped", &|one| one.slots.swap(1, 2));
    bad("a slot twice", &|one| one.slots.insert(1, one.slots[1].clone()));
    bad("a sibling too few", &|one| drop(one.siblings.pop()));
    bad("a sibling too many", &|one| one.siblings.push(vec![0; 32].into()));
    bad("a sibling of 31 bytes", &|one| one.siblings[0].truncate(31));
    bad("a path too short", &|one| drop(one.path.pop()));
    bad("a path too long", &|one| one.path.push(vec![0; 32].into()));
    bad("no checkpoint", &|one| one.checkpoint.clear());
    bad("a checkpoint of another key", &|one| {
        let other = Ed25519Signer::from_seed("ecowire.test/log/0/0a0b0c0d", &[12; 32]).unwrap();
        one.checkpoint = Checkpoint { origin: other.key().name.clone(), size: 300, root: Hash([0; 32]) }.sign(&other).unwrap().into();
    });
    bad("a checkpoint of another tree", &|one| {
        let signer = log_signer();
        one.checkpoint = Checkpoint { origin: signer.key().name.clone(), size: 300, root: Hash([0; 32]) }.sign(&signer).unwrap().into();
    });
}
