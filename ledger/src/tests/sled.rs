//! What only the sled engine does: values in pieces, counted rows, and a log that must not end early.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use tempfile::TempDir;

use super::{Kind, Stage};
use crate::OpenError;
use crate::sled::Sled;
use crate::store::{Batch, Store as _, Table};

/// A store, and what must be in it.
struct Bench {
    folder: TempDir,
    store: Option<Sled>,
    wanted: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Bench {
    fn new() -> Self {
        let mut bench = Self { folder: TempDir::new().unwrap(), store: None, wanted: BTreeMap::new() };
        bench.reopen();
        bench
    }

    fn dir(&self) -> PathBuf {
        self.folder.path().join("sled")
    }

    fn reopen(&mut self) {
        self.store = None;
        self.store = Some(Sled::open(&self.dir()).unwrap());
    }

    fn store(&self) -> &Sled {
        self.store.as_ref().unwrap()
    }

    /// Commits rows of these lengths, `None` for none, and finds in the store what it must hold.
    fn commit(&mut self, rows: &[(u8, Option<usize>)]) {
        let mut batch = Batch::default();
        for (key, bytes) in rows {
            match bytes {
                Some(bytes) => {
                    let value: Vec<u8> = (0..*bytes).map(|at| (at / 7) as u8 ^ key).collect();
                    batch.put(Table::Snapshot, [*key], value.clone());
                    self.wanted.insert(vec![*key], value);
                }
                None => {
                    batch.delete(Table::Snapshot, [*key]);
                    self.wanted.remove(&vec![*key]);
                }
            }
        }
        self.store().commit(batch).unwrap();
        self.check();
    }

    fn check(&self) {
        let view = self.store().view().unwrap();
        let wanted: Vec<_> = self.wanted.clone().into_iter().collect();
        assert!(view.range(Table::Snapshot, &[], usize::MAX).unwrap() == wanted);
        assert_eq!(view.len(Table::Snapshot).unwrap(), wanted.len() as u64);
        for (key, value) in &wanted {
            assert!(view.get(Table::Snapshot, key).unwrap().as_ref() == Some(value));
        }
        assert_eq!(view.get(Table::Snapshot, &[255]).unwrap(), None);
        for other in [Table::Directory, Table::Evidence] {
            assert_eq!((view.range(other, &[], 9).unwrap(), view.len(other).unwrap()), (Vec::new(), 0));
        }
        let pieces: usize = wanted.iter().map(|(_, value)| if value.len() > 4096 { value.len().div_ceil(4096) } else { 0 }).sum();
        assert_eq!(self.store().pieces(), pieces, "pieces that no row names");
        drop(view);
        assert_eq!(std::fs::read_dir(self.dir().join("blobs")).unwrap().count(), 0, "sled has put a value into a file that nobody syncs");
    }
}

#[test]
fn values_of_every_length_are_kept_and_their_pieces_let_go() {
    let mut bench = Bench::new();
    bench.commit(&[(1, Some(0)), (2, Some(1)), (3, Some(4095)), (4, Some(4096)), (5, Some(4097)), (6, Some(8192)), (7, Some(8193))]);
    bench.commit(&[(5, Some(9000)), (6, None), (7, Some(3)), (4, Some(200_000)), (8, None)]);
    bench.commit(&[(9, Some(11 << 20)), (4, None)]);
    bench.reopen();
    bench.check();
    bench.commit(&[(9, Some(12 << 20)), (5, Some(1))]);
    bench.commit(&[(9, None)]);
    bench.reopen();
    bench.check();
    let store = bench.store.as_mut().unwrap();
    assert!(store.check().unwrap());
}

#[test]
fn pieces_of_a_commit_that_was_cut_off_are_let_go() {
    let mut bench = Bench::new();
    bench.commit(&[(1, Some(5000))]);
    bench.store().leave_pieces(40);
    bench.reopen();
    bench.commit(&[(2, Some(9000)), (1, Some(6000))]);
    bench.reopen();
    bench.check();
}

#[test]
fn a_lost_piece_and_a_wrong_count_are_found() {
    let mut bench = Bench::new();
    bench.commit(&[(1, Some(9000)), (2, Some(10))]);
    bench.store().tamper(|tree| drop(tree.remove([2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]).unwrap().unwrap()));
    assert!(bench.store().view().unwrap().get(Table::Snapshot, &[1]).is_err());
    assert!(bench.store().view().unwrap().range(Table::Snapshot, &[], 9).is_err());
    let found = bench.store.as_mut().unwrap().check().unwrap_err().to_string();
    assert_eq!(found, "a row of snapshot is damaged");
    let mut bench = Bench::new();
    bench.commit(&[(1, Some(10)), (2, Some(10))]);
    bench.store().tamper(|tree| drop(tree.remove([1, Table::Snapshot as u8, 2]).unwrap().unwrap()));
    let found = bench.store.as_mut().unwrap().check().unwrap_err().to_string();
    assert_eq!(found, "1 rows of snapshot, 2 were counted");
}

/// sled itself takes a log that damage has cut short for the log of yesterday.
#[test]
fn a_log_that_ends_early_does_not_open() {
    let mut stage = Stage::new(Kind::Sled);
    let ledger = stage.create();
    stage.grow(&*ledger, &[5]);
    drop(ledger);
    let place = stage.dir().join("sled/db");
    let whole = std::fs::read(&place).unwrap();
    let ledger = stage.open();
    stage.grow(&*ledger, &[1, 1]);
    ledger.keep_evidence("name", b"evidence").unwrap();
    drop(ledger);
    stage.check_all(&*stage.open());
    let longer = std::fs::read(&place).unwrap();
    let changed = longer.iter().zip(&whole).position(|(new, old)| new != old).unwrap_or(whole.len());
    // Everything from there on is damaged; what lies before is sound, and a whole ledger.
    let file = OpenOptions::new().write(true).open(&place).unwrap();
    file.write_all_at(&vec![0xff; longer.len() - changed], changed as u64).unwrap();
    for snapshot in std::fs::read_dir(stage.dir().join("sled")).unwrap() {
        let path = snapshot.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with("snap.") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let refused = stage.try_open().err();
    let Some(OpenError::Store(cause)) = &refused else { panic!("{refused:?}") };
    assert!(cause.to_string().starts_with("the log ends after commit "), "{cause}");
    // Without the number of the last commit the ledger of then would have been taken for today's.
    std::fs::remove_file(stage.dir().join("sled/commits")).unwrap();
    assert!(stage.open().size() < stage.known.len() as u64);
}
