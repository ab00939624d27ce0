//! Leaves, openings with their slots and entries, and receipts.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use bytes::Bytes;
use envelope::entry::Entry;
use envelope::slots::{LEAF_BYTES, Leaf, Opening, body_of};
use envelope::{Receipt, Timestamp};
use proto::v1::EntryKind;
use tlog::VerifierKey;

use crate::seeds::{GOLDEN, cases, raw};

/// A leaf of the log.
pub(crate) fn leaf(bytes: &[u8]) -> bool {
    let Ok(leaf) = Leaf::decode(bytes) else { return false };
    assert_eq!(leaf.encode(), bytes, "two encodings of one leaf");
    assert_eq!(leaf.hash(), tlog::leaf_hash(bytes));
    true
}

pub(crate) fn leaf_seeds() -> Vec<Vec<u8>> {
    let golden = GOLDEN.entries.iter().map(|(leaf, _)| leaf.encode().to_vec()).take(8);
    golden.chain([vec![0; LEAF_BYTES], vec![0, 1, 0, 3]]).collect()
}

/// An opening: slots, leaf, disclosure and entry.
pub(crate) fn opening(bytes: &[u8]) -> bool {
    let Ok(opening) = Opening::decode(bytes) else { return false };
    assert_eq!(opening.encode(), bytes, "two encodings of one opening");
    let leaf = opening.leaf(Timestamp(1));
    opening.check(&leaf).expect("the opening of its own leaf");
    assert_eq!(Leaf::decode(&leaf.encode()), Ok(leaf));
    if opening.kind() != EntryKind::Unspecified {
        for tag in [0, 1, 7, u16::MAX] {
            let (shown, siblings) = opening.disclose(|(of, _)| of == tag || tag == u16::MAX);
            assert_eq!(body_of(opening.kind(), &shown, &siblings), Ok(leaf.body), "a disclosure does not lead to the body");
        }
    }
    if let Ok(entry) = Entry::read(&opening) {
        assert_eq!(entry.kind(), opening.kind());
        if !matches!(entry, Entry::Later(_)) {
            assert_eq!(&entry.into_draft().slots, opening.slots(), "an entry that was read writes other slots");
        }
    }
    true
}

pub(crate) fn opening_seeds() -> Vec<Vec<u8>> {
    let mut kinds = BTreeSet::new();
    let golden = GOLDEN.entries.iter().map(|(_, opening)| opening.clone()).filter(|bytes| bytes.len() < 8192);
    let one_each = golden.filter(|bytes| Opening::decode(bytes).is_ok_and(|one| kinds.insert(one.number())));
    let one_each: Vec<_> = one_each.collect();
    cases("opening").iter().map(|case| raw(&case["opening"])).filter(|bytes| bytes.len() < 8192).chain(one_each).collect()
}

/// The logs whose receipts the seeds are.
static LOGS: LazyLock<Vec<VerifierKey>> = LazyLock::new(|| {
    let texts: BTreeSet<String> = cases("receipt").iter().filter_map(|case| case["log_key"].as_str().map(str::to_owned)).collect();
    texts.iter().map(|text| VerifierKey::parse(text).expect("a key of the vectors")).collect()
});

/// What the seeds prove: leaves at their places, the slots shown of them, the checkpoints' notes.
struct Known {
    places: BTreeSet<(u64, Bytes)>,
    slots: BTreeSet<(u32, u32, Bytes)>,
}

static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let receipts: Vec<_> = receipt_seeds().iter().filter_map(|bytes| Receipt::decode(bytes).ok()).collect();
    let place = |one: &Receipt| Some((one.fields().position?.index, one.fields().leaf.clone()));
    let slots = receipts.iter().flat_map(|one| one.fields().slots.iter().map(|slot| (slot.tag, slot.sub, slot.value.clone())));
    Known { places: receipts.iter().filter_map(place).collect(), slots: slots.collect() }
});

/// A receipt, verified under the key of every log of the seeds.
pub(crate) fn receipt(bytes: &[u8]) -> bool {
    let Ok(receipt) = Receipt::decode(bytes) else { return false };
    let again = Receipt::decode(&receipt.encode()).expect("a receipt that was read");
    assert_eq!(again, receipt, "a receipt that reads itself differently");
    let body = receipt.body();
    let proven = LOGS.iter().filter_map(|log| receipt.verify(log).ok()).next();
    let Some(proven) = proven else { return false };
    assert_eq!(body, Ok((proven.position.index, proven.leaf, proven.kind)));
    let leaf = Bytes::copy_from_slice(&proven.leaf.encode());
    assert!(KNOWN.places.contains(&(proven.position.index, leaf)), "an entry is proved that is not in the log");
    for slot in proven.slots() {
        let shown = (slot.tag, slot.sub, slot.value.clone());
        assert!(KNOWN.slots.contains(&shown), "a slot is proved that no entry has");
    }
    true
}

pub(crate) fn receipt_seeds() -> Vec<Vec<u8>> {
    cases("receipt").iter().map(|case| raw(&case["receipt"])).filter(|bytes| bytes.len() < 8192).collect()
}
