//! Leaf, slots, opening and receipt: one opening for each leaf, one entry for each receipt, and nothing shown that was not disclosed.

use bytes::Bytes;
use envelope::canonical::EncodingError;
use envelope::message::signatures_sha256;
use envelope::receipt::{Proven, ReceiptError};
use envelope::slots::{Leaf, LeafClass, Opening, SlotError, SlotId, Slots, body_of};
use envelope::{Receipt, Timestamp};
use proptest::prelude::*;
use prost::Message as _;
use proto::v1::{self, DisclosedSlot, EntryKind, Signature};
use tlog::{Checkpoint, Ed25519Signer, Hash, NoteSigner as _, VerifierKey, leaf_hash, small};

const AT: Timestamp = Timestamp(1_795_374_960_123);
const SEED: [u8; 32] = [0x5e; 32];
/// The entry's index in the log, and how many entries the log has.
const INDEX: u64 = 5;
const SIZE: u64 = 11;
const ORIGIN: &str = "ecowire.test/log/0/00112233";

/// A log of one interesting entry.
struct Log {
    signer: Ed25519Signer,
    opening: Opening,
}

impl Log {
    fn of(opening: Opening) -> Self {
        Self { signer: Ed25519Signer::from_seed(ORIGIN, &[7; 32]).expect("a sound name"), opening }
    }

    fn key(&self) -> VerifierKey {
        self.signer.key().clone()
    }

    fn leaf(&self) -> Leaf {
        self.opening.leaf(AT)
    }

    fn receipt(&self, shown: impl Fn(SlotId) -> bool) -> Receipt {
        let mut leaves: Vec<Hash> = (0..SIZE).map(|at| leaf_hash(&at.to_be_bytes())).collect();
        leaves[INDEX as usize] = self.leaf().hash();
        let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size: SIZE, root: small::root(&leaves) };
        let path = small::path(&leaves, INDEX as usize).expect("the index is in the tree");
        let note = checkpoint.sign(&self.signer).expect("a sound checkpoint");
        Receipt::new(INDEX, &self.leaf(), &self.opening, &path, note.into(), shown)
    }

    /// The receipt whose fields `change` has edited, as it is received: `Err` names the step that refuses it.
    fn check(&self, change: impl FnOnce(&mut v1::Receipt)) -> Result<Proven, ReceiptError> {
        let mut fields = self.receipt(for_sender).fields().clone();
        change(&mut fields);
        Receipt::decode(&fields.encode_to_vec())?.verify(&self.key())
    }
}

/// What a sender sees of its message.
fn for_sender((tag, _): SlotId) -> bool {
    tag != 7
}

fn values() -> Vec<Bytes> {
    (0..=9u8).map(|tag| Bytes::from(vec![0xa0 + tag; 20 + usize::from(tag)])).collect()
}

fn places() -> Vec<Bytes> {
    (0..3u8).map(|at| Bytes::from(vec![0xb0 + at; 30])).collect()
}

fn message(values: &[Bytes], places: &[Bytes]) -> Slots {
    let slots =
        [1u16, 2, 3, 4, 5, 6].iter().fold(Slots::new(EntryKind::Message), |slots, tag| slots.with(*tag, values[usize::from(*tag)].clone()));
    slots.with_each(7, places.iter().cloned()).with(8, values[8].clone()).with(9, values[9].clone())
}

fn opening(slots: Slots) -> Opening {
    Opening::new(EntryKind::Message, SEED, slots).expect("slots of a message")
}

fn log() -> Log {
    Log::of(opening(message(&values(), &places())))
}

mod receipts {
    use super::*;

    #[test]
    fn a_receipt_proves_place_time_kind_and_slots() {
        let proven = log().check(|_| {}).expect("an honest receipt");
        assert_eq!((proven.position.log, proven.position.index, proven.checkpoint.size), (0, INDEX, SIZE));
        assert_eq!((proven.leaf.at, proven.leaf.class, proven.kind), (AT, LeafClass::Message, EntryKind::Message));
        assert_eq!(proven.slot(1, 0), Some(&values()[1]));
        assert_eq!(proven.slot(7, 1), None);
        assert_eq!(proven.slot(7, 0).map(|count| &count[..]), Some(&[0, 0, 0, 3][..]), "the count is always shown");
        assert_eq!(proven.slots().len(), 10);
    }

    #[test]
    fn receipt_for_another_header_is_refused() {
        let values = values();
        let digest: [u8; 32] = [4; 32];
        let slots = |header: &Bytes| message(&values, &places()).with(1, header.clone()).with(2, digest.to_vec());
        let proven = |header: &Bytes| Log::of(opening(slots(header))).check(|_| {}).expect("a receipt of something");
        let (mine, other) = (Bytes::from_static(b"my header"), Bytes::from_static(b"my headeR"));
        assert_eq!(proven(&mine).is_of_message(&mine, &digest), Ok(()));
        assert_eq!(proven(&other).is_of_message(&mine, &digest), Err(ReceiptError::Other("message")));
        assert_eq!(proven(&mine).is_of_message(b"my heade", &digest), Err(ReceiptError::Other("message")));
        assert_eq!(proven(&mine).is_of_message(b"", &digest), Err(ReceiptError::Other("message")));
        // My header written into the receipt of the other entry.
        let refused = Log::of(opening(slots(&other))).check(|fields| fields.slots[1].value = mine.clone());
        assert_eq!(refused.err(), Some(ReceiptError::Body));
    }

    #[test]
    fn a_receipt_that_hides_the_header_proves_no_message() {
        let digest: [u8; 32] = [4; 32];
        let log = Log::of(opening(message(&values(), &places()).with(2, digest.to_vec())));
        let proven = log.receipt(|(tag, _)| tag != 1).verify(&log.key()).expect("a part");
        assert_eq!(proven.is_of_message(&values()[1], &digest), Err(ReceiptError::Other("message")));
        let proven = log.receipt(|(tag, _)| tag != 2).verify(&log.key()).expect("a part");
        assert_eq!(proven.is_of_message(&values()[1], &digest), Err(ReceiptError::Other("set of signatures")));
    }

    #[test]
    fn an_entry_of_another_kind_is_no_message() {
        // The bytes of a header in slot 1 of a Refused entry: recorded, never admitted.
        let header = Bytes::from_static(b"my header");
        let slots = Slots::new(EntryKind::Refused).with(1, header.clone());
        let log = Log::of(Opening::new(EntryKind::Refused, SEED, slots).expect("slots of a refusal"));
        let proven = log.receipt(|_| true).verify(&log.key()).expect("a receipt of the refusal");
        assert_eq!(proven.kind, EntryKind::Refused);
        assert_eq!(proven.is_of_message(&header, &[0; 32]), Err(ReceiptError::Other("message")));
    }

    #[test]
    fn signature_added_later_does_not_open() {
        // Slot 2 dates the signatures: one that was made after the entry is not the one of the entry.
        let signature = |byte: u8| Signature { key_id: vec![1; 32].into(), signature: vec![byte; 64].into() };
        let then = signatures_sha256(&[signature(1)]);
        let log = Log::of(opening(message(&values(), &places()).with(2, then.to_vec())));
        let proven = log.check(|_| {}).expect("an honest receipt");
        assert_eq!(proven.is_of_message(&values()[1], &then), Ok(()));
        for later in
            [vec![signature(2)], vec![signature(1), signature(1)], vec![], vec![Signature { key_id: vec![2; 32].into(), ..signature(1) }]]
        {
            let later = signatures_sha256(&later);
            assert_eq!(proven.is_of_message(&values()[1], &later), Err(ReceiptError::Other("set of signatures")));
            assert_eq!(log.check(|fields| fields.slots[2].value = later.to_vec().into()).err(), Some(ReceiptError::Body));
        }
    }

    #[test]
    fn delivery_without_opening_is_refused() {
        let log = log();
        for bytes in [&b""[..], b"\x00", b"\xff\xff"] {
            assert!(Receipt::decode(bytes).and_then(|receipt| receipt.verify(&log.key())).is_err(), "{bytes:?}");
        }
        type Change = fn(&mut v1::Receipt);
        const CHANGES: [(&str, Change, &str); 19] = [
            ("no position", |r| r.position = None, "Malformed"),
            ("another log", |r| r.position = Some(v1::Position { log: 1, index: INDEX }), "Malformed"),
            ("another index", |r| r.position = Some(v1::Position { log: 0, index: INDEX - 1 }), "Inclusion"),
            ("an index beyond the log", |r| r.position = Some(v1::Position { log: 0, index: SIZE }), "Inclusion"),
            ("no leaf", |r| r.leaf = Bytes::new(), "Slots(Leaf)"),
            ("no slots", |r| r.slots.clear(), "Slots(KindSlot)"),
            ("no kind", |r| drop(r.slots.remove(0)), "Slots(KindSlot)"),
            ("no header", |r| drop(r.slots.remove(1)), "Slots(Disclosure)"),
            ("no count", |r| r.slots.retain(|slot| slot.tag != 7), "Slots(Count(7))"),
            ("a slot doubled", |r| r.slots.insert(2, r.slots[1].clone()), "Slots(Disclosure)"),
            ("slots swapped", |r| r.slots.swap(1, 2), "Slots(Disclosure)"),
            ("no siblings", |r| r.siblings.clear(), "Slots(Disclosure)"),
            ("a sibling more", |r| r.siblings.push(r.siblings[0].clone()), "Slots(Disclosure)"),
            ("siblings swapped", |r| r.siblings.swap(0, 1), "Body"),
            ("a sibling of 31 bytes", |r| r.siblings[0].truncate(31), "Malformed"),
            ("no path", |r| r.path.clear(), "Inclusion"),
            ("a path of one more", |r| r.path.push(r.path[0].clone()), "Inclusion"),
            ("path turned", |r| r.path.reverse(), "Inclusion"),
            ("a salt of 15 bytes", |r| r.slots[1].salt.truncate(15), "Slots(Disclosure)"),
        ];
        for (name, change, expected) in CHANGES {
            let got = log.check(change).err().map(|error| format!("{error:?}"));
            assert_eq!(got.as_deref(), Some(expected), "{name}");
        }
        let no_note = log.check(|fields| fields.checkpoint = Bytes::new()).err();
        assert!(matches!(no_note, Some(ReceiptError::Checkpoint(_))), "{no_note:?}");
        assert_eq!(Receipt::decode(&vec![0; 128 * 1024 + 1]).err(), Some(ReceiptError::Malformed));
    }

    #[test]
    fn only_the_logs_own_checkpoint_counts() {
        let log = log();
        let other = Ed25519Signer::from_seed(ORIGIN, &[8; 32]).expect("a sound name");
        let elsewhere = Ed25519Signer::from_seed("ecowire.test/log/0/44556677", &[7; 32]).expect("a sound name");
        for key in [other.key(), elsewhere.key()] {
            assert!(matches!(log.receipt(for_sender).verify(key), Err(ReceiptError::Checkpoint(_))));
        }
        // A checkpoint of another history, signed by the log itself.
        let root = leaf_hash(b"another history");
        let note = Checkpoint { origin: ORIGIN.to_owned(), size: SIZE, root }.sign(&log.signer).expect("a sound checkpoint");
        assert_eq!(log.check(|fields| fields.checkpoint = note.into()).err(), Some(ReceiptError::Inclusion));
    }

    #[test]
    fn no_bit_of_a_receipt_can_be_flipped() {
        let log = log();
        let good = log.receipt(for_sender).encode();
        let facts = |bytes: &[u8]| {
            let proven = Receipt::decode(bytes)?.verify(&log.key())?;
            Ok::<_, ReceiptError>((proven.position, proven.leaf, proven.kind, proven.checkpoint.clone(), proven.slots().to_vec()))
        };
        let wanted = facts(&good).expect("an honest receipt");
        let mut refused = 0;
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            match facts(&bad) {
                Ok(got) => assert_eq!(got, wanted, "bit {bit}"),
                Err(_) => refused += 1,
            }
        }
        assert!(refused > good.len() * 8 * 99 / 100, "{refused} of {} bits", good.len() * 8);
    }

    #[test]
    fn the_leaf_says_its_class_and_the_class_is_the_kinds() {
        let log = log();
        let as_control = Leaf { class: LeafClass::Control, ..log.leaf() };
        assert_eq!(log.opening.check(&as_control), Err(SlotError::Body));
        assert_eq!(log.check(|fields| fields.leaf = as_control.encode().to_vec().into()).err(), Some(ReceiptError::Body));
        // Even when the log itself has put such a leaf in its tree.
        let receipt = Receipt::new(0, &as_control, &log.opening, &[], Bytes::new(), |_| true);
        assert_eq!(receipt.body().err(), Some(ReceiptError::Body));
    }

    #[test]
    fn what_is_hidden_stays_hidden() {
        let log = log();
        let bytes = log.receipt(|(tag, sub)| tag == 1 || (tag, sub) == (7, 2)).encode();
        let contains = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
        let (values, places) = (values(), places());
        assert!(contains(&values[1]) && contains(&places[1]), "what is shown is there");
        for hidden in [2usize, 3, 4, 5, 6, 8, 9].map(|tag| &values[tag][..8]).into_iter().chain([&places[0][..8], &places[2][..8]]) {
            assert!(!contains(hidden), "{hidden:x?} is in the receipt");
        }
        assert!(!contains(&SEED), "the seed is in the receipt");
        // The salts of what is hidden are in no receipt, so a guess of a value cannot be tried.
        let (all, _) = log.opening.disclose(|_| true);
        for slot in &all {
            let shown = matches!((slot.tag, slot.sub), (0, 0) | (1, 0) | (7, 0 | 2));
            assert_eq!(contains(&slot.salt), shown, "salt of {}.{}", slot.tag, slot.sub);
        }
        // A guess with the right value and each salt that was shown hashes to none of the siblings.
        let receipt = log.receipt(|(tag, _)| tag == 1);
        let hidden = all.iter().find(|slot| slot.tag == 4).expect("slot 4");
        for shown in &receipt.fields().slots {
            let guess = slot_hash(EntryKind::Message, hidden.tag, hidden.sub, &shown.salt, &hidden.value);
            assert!(!receipt.fields().siblings.iter().any(|sibling| **sibling == *guess.as_bytes()));
        }
    }

    #[test]
    fn salts_are_of_one_entry_and_one_slot() {
        let (slots, _) = log().opening.disclose(|_| true);
        let other = Opening::new(EntryKind::Message, [0x5f; 32], message(&values(), &places())).expect("slots of a message");
        let (other, _) = other.disclose(|_| true);
        let salts: std::collections::BTreeSet<_> = slots.iter().chain(&other).map(|slot| slot.salt.clone()).collect();
        assert_eq!(salts.len(), 2 * slots.len());
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &SEED);
        for slot in &slots {
            let id = [(slot.tag as u16).to_be_bytes(), (slot.sub as u16).to_be_bytes()].concat();
            assert_eq!(slot.salt, ring::hmac::sign(&key, &id).as_ref()[..16], "as SPEC.md 7 says");
        }
    }

    #[test]
    fn slots_of_no_value_can_be_shown_as_absent() {
        let log = Log::of(opening(Slots::new(EntryKind::Message).with_each(7, [])));
        let proven = log.receipt(|_| true).verify(&log.key()).expect("a receipt of nothing");
        assert_eq!(proven.slot(1, 0), Some(&Bytes::new()));
        assert_eq!(proven.slots().len(), 10);
    }
}

/// A slot's hash written down again from SPEC.md 7.
fn slot_hash(kind: EntryKind, tag: u32, sub: u32, salt: &[u8], value: &[u8]) -> Hash {
    let head = [1, kind as u16, tag as u16, sub as u16].map(u16::to_be_bytes).concat();
    Hash(tlog::sha256(&[&[0][..], b"ecowire/1 slot\0", &head, salt, &(value.len() as u32).to_be_bytes(), value].concat()))
}

mod openings {
    use super::*;

    #[test]
    fn a_body_is_the_root_over_all_slots_in_order() {
        let (slots, siblings) = log().opening.disclose(|_| true);
        assert!(siblings.is_empty());
        let ids: Vec<_> = slots.iter().map(|slot| (slot.tag, slot.sub)).collect();
        assert_eq!(ids, [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0), (7, 0), (7, 1), (7, 2), (7, 3), (8, 0), (9, 0)]);
        let hashes: Vec<_> = slots.iter().map(|slot| slot_hash(EntryKind::Message, slot.tag, slot.sub, &slot.salt, &slot.value)).collect();
        assert_eq!(log().opening.body(), small::root(&hashes));
    }

    #[test]
    fn a_leaf_has_44_bytes_and_one_form() {
        let leaf = log().leaf();
        let bytes = leaf.encode();
        assert_eq!(bytes[..12], [&[0, 1, 0, 1][..], &AT.ms().to_be_bytes()].concat());
        assert_eq!(Leaf::decode(&bytes), Ok(leaf));
        assert_eq!(leaf.hash(), leaf_hash(&bytes));
        assert_eq!(Leaf::decode(&bytes[..43]), Err(SlotError::Leaf));
        assert_eq!(Leaf::decode(&[&bytes[..], &[0]].concat()), Err(SlotError::Leaf));
        assert_eq!(Leaf::decode(&[]), Err(SlotError::Leaf));
        for (at, byte) in [(0, 1), (1, 0), (1, 2), (2, 1), (3, 0), (3, 3), (3, 255)] {
            let mut bad = bytes;
            bad[at] = byte;
            assert_eq!(Leaf::decode(&bad), Err(SlotError::Leaf), "byte {at} is {byte}");
        }
    }

    #[test]
    fn lengths_of_slots_are_hashed() {
        // The same bytes, cut elsewhere: a byte moved over each boundary in either direction.
        let (values, places) = (values(), places());
        let body = opening(message(&values, &places)).body();
        for tag in [1usize, 2, 3, 4, 5, 8] {
            let (mut left, mut right) = (values.clone(), values.clone());
            let next = tag + 1;
            left[next] = [&values[tag][values[tag].len() - 1..], &values[next]].concat().into();
            left[tag] = values[tag].slice(..values[tag].len() - 1);
            right[tag] = [&values[tag], &values[next][..1]].concat().into();
            right[next] = values[next].slice(1..);
            for moved in [left, right] {
                assert_ne!(opening(message(&moved, &places)).body(), body, "between {tag} and {next}");
            }
        }
        let mut moved = places.clone();
        moved[1] = [&places[0][29..], &places[1]].concat().into();
        moved[0] = places[0].slice(..29);
        assert_ne!(opening(message(&values, &moved)).body(), body, "between two places");
        let mut swapped = places.clone();
        swapped.swap(0, 1);
        assert_ne!(opening(message(&values, &swapped)).body(), body, "two places swapped");
        let mut swapped = values.clone();
        swapped.swap(3, 4);
        assert_ne!(opening(message(&swapped, &places)).body(), body, "two tags swapped");
    }

    #[test]
    fn kinds_are_hashed() {
        let of = |kind| Opening::new(kind, SEED, Slots::new(kind).with(1, values()[1].clone())).expect("a table of two").body();
        let kinds = [
            EntryKind::Genesis,
            EntryKind::Access,
            EntryKind::ClockStep,
            EntryKind::Started,
            EntryKind::Head,
            EntryKind::Refused,
            EntryKind::Expired,
        ];
        let bodies: std::collections::BTreeSet<_> = kinds.into_iter().map(|kind| *of(kind).as_bytes()).collect();
        assert_eq!(bodies.len(), kinds.len());
    }

    /// A stored opening whose fields `change` has edited.
    fn check(change: impl FnOnce(&mut v1::Opening)) -> Result<Opening, SlotError> {
        let mut fields = v1::Opening::decode(&log().opening.encode()[..]).expect("an opening");
        change(&mut fields);
        Opening::decode(&fields.encode_to_vec())
    }

    #[test]
    fn a_stored_opening_has_one_form() {
        let opening = check(|_| {}).expect("an honest opening");
        assert_eq!(opening.check(&log().leaf()), Ok(()));
        assert_eq!(opening.encode(), log().opening.encode());
        let slot = |tag, sub, value: &'static [u8]| v1::Slot { tag, sub, value: Bytes::from_static(value) };
        type Change = Box<dyn Fn(&mut v1::Opening)>;
        let changes: Vec<(&str, Change)> = vec![
            ("version 0", Box::new(|o| o.version = 0)),
            ("version 2", Box::new(|o| o.version = 2)),
            ("another kind", Box::new(|o| o.kind = EntryKind::Mailbox.into())),
            ("no kind", Box::new(|o| o.kind = 0)),
            ("an unnamed kind", Box::new(|o| o.kind = 99)),
            ("no seed", Box::new(|o| o.seed = Bytes::new())),
            ("a seed of 31 bytes", Box::new(|o| o.seed.truncate(31))),
            ("a seed of 33 bytes", Box::new(|o| o.seed = vec![0; 33].into())),
            ("no slots", Box::new(|o| o.slots.clear())),
            ("no kind slot", Box::new(|o| drop(o.slots.remove(0)))),
            ("another kind in slot 0", Box::new(|o| o.slots[0].value = Bytes::from_static(&[0, 4]))),
            ("a slot doubled", Box::new(|o| o.slots.insert(2, o.slots[1].clone()))),
            ("slots swapped", Box::new(|o| o.slots.swap(1, 2))),
            ("an empty slot", Box::new(|o| o.slots[1].value = Bytes::new())),
            ("a slot beyond the table", Box::new(move |o| o.slots.push(slot(10, 0, b"x")))),
            ("a sub where none belongs", Box::new(move |o| o.slots.insert(2, slot(1, 1, b"x")))),
            ("a place more than counted", Box::new(move |o| o.slots.insert(11, slot(7, 4, b"x")))),
            ("a place less than counted", Box::new(|o| drop(o.slots.remove(10)))),
            ("a hole in the places", Box::new(|o| o.slots[10].sub = 4)),
            ("a count of 2 bytes", Box::new(|o| o.slots[7].value = Bytes::from_static(&[0, 3]))),
            ("a count of 5 bytes", Box::new(|o| o.slots[7].value = Bytes::from_static(&[0, 0, 0, 0, 3]))),
            ("a count of 2^32 - 1", Box::new(|o| o.slots[7].value = Bytes::from_static(&[255; 4]))),
            ("no count", Box::new(|o| o.slots.retain(|slot| slot.tag != 7))),
            ("a tag of more than 16 bits", Box::new(|o| o.slots[12].tag += 65_536)),
            ("a sub of more than 16 bits", Box::new(|o| o.slots[10].sub += 65_536)),
        ];
        for (name, change) in changes {
            assert!(check(change).is_err(), "{name}");
        }
        assert!(matches!(check(|o| o.version = 2).err(), Some(SlotError::Encoding(EncodingError::Version { version: 2, .. }))));
        let good = log().opening.encode();
        assert!(Opening::decode(&[&good[..], &[0xa0, 0x06, 1]].concat()).is_err(), "an unknown field");
        assert!(Opening::decode(&[&[0x08, 1], &good[..]].concat()).is_err(), "a field doubled");
        assert!(Opening::decode(&good[..good.len() - 1]).is_err(), "cut");
    }

    #[test]
    fn no_bit_of_an_opening_can_be_flipped() {
        let (good, leaf) = (log().opening.encode(), log().leaf());
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Opening::decode(&bad).and_then(|opening| opening.check(&leaf)).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn counts_beyond_the_bound_are_refused() {
        let of = |count: usize| {
            Opening::new(EntryKind::Message, SEED, Slots::new(EntryKind::Message).with_each(7, vec![Bytes::from_static(b"x"); count]))
        };
        assert!(of(512).is_ok());
        assert_eq!(of(513).err(), Some(SlotError::Count(7)));
    }

    #[test]
    fn no_count_but_the_true_one_leads_to_the_body() {
        // The same disclosed slots read as a table of another size, with all hashes that the true tree has to offer.
        for count in [0u16, 1, 3, 6, 7, 22, 54] {
            let places: Vec<Bytes> = (0..count).map(|at| at.to_be_bytes().to_vec().into()).collect();
            let opening = opening(message(&values(), &places));
            let (mut slots, siblings) = opening.disclose(|(tag, _)| tag != 7);
            assert_eq!(body_of(EntryKind::Message, &slots, &siblings), Ok(opening.body()));
            for other in (0..=64u16).filter(|other| *other != count) {
                slots[7].value = u32::from(other).to_be_bytes().to_vec().into();
                assert_ne!(body_of(EntryKind::Message, &slots, &siblings), Ok(opening.body()), "{count} read as {other}");
            }
        }
    }

    /// Values of all slots of a message and its places.
    fn some() -> impl Strategy<Value = (Vec<Vec<u8>>, Vec<Vec<u8>>)> {
        let bytes = || proptest::collection::vec(0u8..2, 0..4);
        (proptest::collection::vec(bytes(), 10), proptest::collection::vec(proptest::collection::vec(0u8..2, 1..4), 0..4))
    }

    fn body(seed: u8, (values, places): &(Vec<Vec<u8>>, Vec<Vec<u8>>)) -> Hash {
        let bytes = |values: &[Vec<u8>]| values.iter().cloned().map(Bytes::from).collect::<Vec<_>>();
        Opening::new(EntryKind::Message, [seed; 32], message(&bytes(values), &bytes(places))).expect("slots of a message").body()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// Values of few bytes of two letters, so that doubles and near misses are frequent.
        #[test]
        fn two_openings_never_give_one_body(a in some(), b in some(), seed in 0u8..2) {
            let mut same = a.clone();
            // Slots 0 and 7 are not taken from these values.
            for tag in [0, 7] {
                same.0[tag].clone_from(&b.0[tag]);
            }
            prop_assert_eq!(same == b, body(0, &a) == body(0, &b));
            prop_assert_eq!(seed == 0, body(seed, &a) == body(0, &a));
        }

        #[test]
        fn a_disclosure_leads_to_the_body_and_a_changed_one_does_not(a in some(), mask in any::<u16>(), at in any::<prop::sample::Index>(), bit in 0usize..8) {
            let bytes = |values: &[Vec<u8>]| values.iter().cloned().map(Bytes::from).collect::<Vec<_>>();
            let opening = opening(message(&bytes(&a.0), &bytes(&a.1)));
            let (mut slots, siblings) = opening.disclose(|(tag, sub)| mask >> ((tag + sub) % 16) & 1 == 1);
            prop_assert_eq!(body_of(EntryKind::Message, &slots, &siblings), Ok(opening.body()));
            let at = at.index(slots.len());
            let DisclosedSlot { salt, value, .. } = &mut slots[at];
            let target = if value.is_empty() || mask & 1 == 0 { salt } else { value };
            let mut changed = target.to_vec();
            let last = changed.len() - 1;
            changed[last] ^= 1 << bit;
            *target = changed.into();
            prop_assert_ne!(body_of(EntryKind::Message, &slots, &siblings), Ok(opening.body()));
        }
    }
}
