//! What comes from a disk: snapshots of the state, rows of the ledger, the file of keys.

use std::collections::{BTreeMap, BTreeSet};

use exchange::state::{Key, Row};
use exchange::{Exchange, Rules, State};
use prost::Message as _;
use proto::v1;

use crate::seeds::{GOLDEN, frame, parts};

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// A part of a snapshot: it is read for its own span only, and only whole.
pub(crate) fn snapshot_part(bytes: &[u8]) -> bool {
    assert!(ledger::doors::read_part(0, 8, bytes).is_none() || ledger::doors::read_part(0, 7, bytes).is_none(), "two spans");
    let Some(rows) = ledger::doors::read_part(0, 7, bytes) else { return false };
    if rows.windows(2).all(|pair| pair[0].0 < pair[1].0) {
        let written = ledger::doors::part(0, 7, &rows.into_iter().collect());
        assert_eq!(ledger::doors::read_part(0, 7, &written), ledger::doors::read_part(0, 7, bytes));
    }
    true
}

pub(crate) fn snapshot_part_seeds() -> Vec<Vec<u8>> {
    let small: Rows = [(b"".to_vec(), b"sum".to_vec()), (b"key".to_vec(), b"row".to_vec())].into();
    vec![ledger::doors::part(0, 7, &small), ledger::doors::part(0, 7, &Rows::new()), ledger::doors::part(0, 7, &GOLDEN.snapshot)]
}

/// Rows of a snapshot, keys and rows in turn, as they are and with their sum put right: the sum would hide every other check.
pub(crate) fn state(bytes: &[u8]) -> bool {
    let rows: Rows = parts(bytes).chunks_exact(2).map(|pair| (pair[0].to_vec(), pair[1].to_vec())).collect();
    let believed = read_state(&rows);
    let mut state = State::default();
    let sound = rows.iter().filter(|(key, _)| !key.is_empty()).all(|(key, row)| {
        let Some(read) = Key::decode(key) else { return false };
        assert_eq!(&read.encode(), key, "two encodings of one key");
        let Some(value) = Row::decode(&read, row) else { return false };
        assert_eq!(Row::decode(&read, &value.encode()), Some(value.clone()), "a row that reads itself differently");
        let kept = !matches!(read, Key::Message(_));
        state.set(read, value);
        kept
    });
    if sound {
        let sum = sum(&state);
        assert!(read_state(&rows.into_iter().chain([(Vec::new(), sum)]).collect()), "a snapshot with the right sum is refused");
    }
    believed
}

fn sum(state: &State) -> Vec<u8> {
    let [all, messages] = [state.digest(), state.messages_digest()].map(|sum| sum.to_vec().into());
    v1::SnapshotSum { size: 7, state_sha256_sum: all, messages_sha256_sum: messages }.encode_to_vec()
}

fn read_state(rows: &Rows) -> bool {
    let read =
        |rows: &Rows| Exchange::from_snapshot(rows.iter().map(|(key, row)| (key.as_slice(), row.as_slice())), None, Rules::default());
    let Ok((mut exchange, size)) = read(rows) else { return false };
    exchange.begin_snapshot_anew();
    let written = exchange.take_snapshot(size).rows;
    let (mut again, same) = read(&written).expect("a snapshot of what was read");
    assert_eq!((again.state().digest(), same), (exchange.state().digest(), size), "a state that reads itself differently");
    again.begin_snapshot_anew();
    assert_eq!(again.take_snapshot(size).rows, written, "two snapshots of one state");
    true
}

pub(crate) fn state_seeds() -> Vec<Vec<u8>> {
    // The whole one, and a small one of each kind of row: short inputs are quickly tried.
    let mut seen = BTreeSet::new();
    let kinds = GOLDEN.snapshot.iter().filter(|(key, _)| key.first().is_some_and(|kind| seen.insert(*kind)));
    let one = |(key, row): (&Vec<u8>, &Vec<u8>)| {
        let read = Key::decode(key).expect("a key of the golden store");
        let mut state = State::default();
        state.set(read.clone(), Row::decode(&read, row).expect("its row"));
        frame(&[&[], sum(&state).as_slice(), key, row])
    };
    let whole: Vec<&[u8]> = GOLDEN.snapshot.iter().flat_map(|(key, row)| [key.as_slice(), row.as_slice()]).collect();
    kinds.map(one).chain([frame(&whole)]).collect()
}

/// A row of the ledger's tables; the first byte says of which.
pub(crate) fn rows(bytes: &[u8]) -> bool {
    ledger::doors::read(bytes)
}

pub(crate) fn rows_seeds() -> Vec<Vec<u8>> {
    let openings: Vec<&[u8]> = GOLDEN.entries.iter().take(4).map(|(_, opening)| &opening[..]).collect();
    ledger::doors::seeds(&openings)
}
