//! What comes from a disk: snapshots of the state, rows of the ledger, the file of keys.

use std::collections::BTreeSet;

use bytes::Bytes;
use exchange::state::{Key, Row};
use exchange::{Exchange, Rules, State};
use prost::Message as _;
use proto::v1;

use crate::seeds::GOLDEN;

/// A snapshot of the state, as it is and with its digest put right: the digest would hide every other check.
pub(crate) fn state(bytes: &[u8]) -> bool {
    let believed = read_state(bytes);
    if let Ok(snapshot) = v1::Snapshot::decode(bytes) {
        let mut state = State::default();
        let sound = snapshot.rows.iter().all(|row| {
            let Some(key) = Key::decode(&row.key) else { return false };
            assert_eq!(key.encode(), row.key, "two encodings of one key");
            let Some(value) = Row::decode(&key, &row.row) else { return false };
            assert_eq!(Row::decode(&key, &value.encode()), Some(value.clone()), "a row that reads itself differently");
            state.set(key, value);
            true
        });
        if sound && snapshot.version == 1 {
            let mended = v1::Snapshot { state_sha256_sum: state.digest().to_vec().into(), ..snapshot };
            assert!(read_state(&mended.encode_to_vec()), "a snapshot with the right digest is refused");
        }
    }
    believed
}

fn read_state(bytes: &[u8]) -> bool {
    let Ok((exchange, size)) = Exchange::from_snapshot(bytes, Rules::default()) else { return false };
    let written = exchange.snapshot(size);
    let (again, same) = Exchange::from_snapshot(&written, Rules::default()).expect("a snapshot of what was read");
    assert_eq!((again.state().digest(), same), (exchange.state().digest(), size), "a state that reads itself differently");
    assert_eq!(again.snapshot(size), written, "two snapshots of one state");
    true
}

pub(crate) fn state_seeds() -> Vec<Vec<u8>> {
    let whole = v1::Snapshot::decode(&GOLDEN.snapshot[..]).expect("a snapshot");
    // The whole one, and a small one of each kind of row: short inputs are quickly tried.
    let mut seen = BTreeSet::new();
    let rows: Vec<_> = whole.rows.iter().filter(|row| seen.insert(row.key[0])).cloned().collect();
    let one = |row: &v1::SnapshotRow| {
        let key = Key::decode(&row.key).expect("a key of the golden store");
        let mut state = State::default();
        state.set(key.clone(), Row::decode(&key, &row.row).expect("its row"));
        let state_sha256_sum = Bytes::copy_from_slice(&state.digest());
        v1::Snapshot { version: 1, size: 7, state_sha256_sum, rows: vec![row.clone()] }.encode_to_vec()
    };
    rows.iter().map(one).chain([GOLDEN.snapshot.clone()]).collect()
}

/// A row of the ledger's tables; the first byte says of which.
pub(crate) fn rows(bytes: &[u8]) -> bool {
    ledger::doors::read(bytes)
}

pub(crate) fn rows_seeds() -> Vec<Vec<u8>> {
    let openings: Vec<&[u8]> = GOLDEN.entries.iter().take(4).map(|(_, opening)| &opening[..]).collect();
    ledger::doors::seeds(&openings)
}
