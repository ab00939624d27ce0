//! What every engine must do alike.

use bytes::Bytes;
use envelope::draft::Draft;
use envelope::slots::{SlotError, Slots};
use envelope::time::Timestamp;
use proptest::prelude::*;
use proto::v1::EntryKind;
use tlog::{TileId, small, verify_consistency, verify_inclusion};

use super::{Kind, Stage};
use crate::{
    AppendError, BATCH_BYTES_MAX, BATCH_DRAFTS_MAX, Config, EVIDENCE_BYTES_MAX, Engine, OpenError, ReadError, SaveError, SnapshotRows,
    create, open,
};

macro_rules! on_every_engine {
    ($($name:ident),* $(,)?) => {
        mod memory { $(#[test] fn $name() { super::$name(super::Kind::Memory); })* }
        mod redb { $(#[test] fn $name() { super::$name(super::Kind::Redb); })* }
        mod sled { $(#[test] fn $name() { super::$name(super::Kind::Sled); })* }
    };
}

on_every_engine!(
    what_is_appended_is_read_again,
    proofs_are_those_of_the_tree,
    tiles_are_those_of_the_tree,
    refused_batches_change_nothing,
    a_known_lookup_key_keeps_its_index,
    directory_leaves_come_in_pieces,
    snapshots_and_evidence_are_kept,
    a_purged_entry_keeps_leaf_and_proofs,
    a_second_open_is_refused,
    a_store_of_another_log_is_refused,
    create_and_open_refuse_each_others_work,
    everything_is_closed_after_close,
);

macro_rules! on_every_engine_with_files {
    ($($name:ident),* $(,)?) => {
        mod redb_files { $(#[test] fn $name() { super::$name(super::Kind::Redb); })* }
        mod sled_files { $(#[test] fn $name() { super::$name(super::Kind::Sled); })* }
    };
}

on_every_engine_with_files!(
    a_genesis_may_be_large_and_nothing_else,
    a_cut_off_create_is_completed,
    keys_without_a_store_are_no_empty_folder,
    files_are_for_their_owner_only,
    batches_cross_segments_and_tiles,
    readers_see_whole_batches_only,
    a_store_of_the_other_engine_is_refused_by_name,
);

fn what_is_appended_is_read_again(kind: Kind) {
    let mut stage = Stage::new(kind);
    let ledger = stage.create();
    stage.check_all(&*ledger);
    for batches in [&[1, 1, 3][..], &[250, 1, 1, 255], &[264]] {
        stage.grow(&*ledger, batches);
        stage.check_all(&*ledger);
    }
    let before = (ledger.checkpoint().unwrap(), ledger.directory().unwrap());
    drop(ledger);
    let ledger = stage.open();
    assert_eq!((ledger.checkpoint().unwrap(), ledger.directory().unwrap()), before);
    stage.check_all(&*ledger);
    assert!(ledger.check_pages().unwrap());
    stage.grow(&*ledger, &[5]);
    stage.check_all(&*ledger);
    let beyond = ledger.read(781);
    assert!(matches!(beyond, Err(ReadError::Beyond { asked: 781, size: 781 })), "{beyond:?}");
}

fn proofs_are_those_of_the_tree(kind: Kind) {
    let mut stage = Stage::new(kind);
    let ledger = stage.create();
    stage.grow(&*ledger, &[200, 200, 200]);
    let hashes = stage.leaf_hashes();
    let root = |size: u64| small::root(&hashes[..size as usize]);
    for _ in 0..300 {
        let to = 1 + stage.dice.below(600);
        let (from, index) = (stage.dice.below(to + 1), stage.dice.below(to));
        let path = ledger.inclusion(index, to).unwrap();
        assert_eq!(Some(&path), small::path(&hashes[..to as usize], index as usize).as_ref());
        verify_inclusion(&hashes[index as usize], index, to, &path, &root(to)).unwrap();
        let proof = ledger.consistency(from, to).unwrap();
        verify_consistency(from, &root(from), to, &root(to), &proof).unwrap();
    }
    assert!(matches!(ledger.inclusion(5, 5), Err(ReadError::Beyond { asked: 5, size: 5 })));
    assert!(matches!(ledger.inclusion(5, 601), Err(ReadError::Beyond { asked: 601, size: 600 })));
    assert!(matches!(ledger.consistency(6, 5), Err(ReadError::Beyond { asked: 6, size: 5 })));
    assert!(matches!(ledger.consistency(6, 601), Err(ReadError::Beyond { asked: 601, size: 600 })));
}

fn tiles_are_those_of_the_tree(kind: Kind) {
    let mut stage = Stage::new(kind);
    let ledger = stage.create();
    stage.grow(&*ledger, &[200, 200, 200]);
    let hashes = stage.leaf_hashes();
    let bytes = |range: std::ops::Range<usize>| hashes[range].iter().flat_map(|hash| *hash.as_bytes()).collect::<Vec<u8>>();
    let tile = |level, index, width| ledger.tile(TileId { level, index }, width);
    assert_eq!(tile(0, 0, 256).unwrap(), bytes(0..256));
    assert_eq!(tile(0, 1, 7).unwrap(), bytes(256..263));
    assert_eq!(tile(0, 2, 88).unwrap(), bytes(512..600));
    assert_eq!(tile(1, 0, 2).unwrap(), [small::root(&hashes[..256]).0, small::root(&hashes[256..512]).0].concat());
    for (level, index, width) in [(0, 2, 89), (0, 2, 0), (0, 2, 257), (0, 3, 1), (1, 0, 3), (1, u64::MAX, 1), (8, 0, 1), (255, 0, 1)] {
        assert!(matches!(tile(level, index, width), Err(ReadError::Beyond { .. })), "{level} {index} {width}");
    }
}

fn refused_batches_change_nothing(kind: Kind) {
    let mut stage = Stage::new(kind);
    let ledger = stage.create();
    stage.grow(&*ledger, &[3]);
    let now = Timestamp(stage.at);
    let one = stage.drafts(1);
    for expected in [2, 4] {
        let refused = ledger.append(expected, now, one.clone());
        assert!(matches!(refused, Err(AppendError::Conflict { head: 3 })), "{refused:?}");
    }
    let early = ledger.append(3, now.minus(1), one.clone());
    assert!(matches!(early, Err(AppendError::Time { .. })), "{early:?}");
    let many = ledger.append(3, now, stage.drafts(BATCH_DRAFTS_MAX + 1));
    assert!(matches!(many, Err(AppendError::TooLarge { drafts: 265, .. })));
    let none = ledger.append(3, now, Vec::new());
    assert!(matches!(none, Err(AppendError::TooLarge { drafts: 0, .. })));
    let mut large = one.clone();
    large[0].sealed = Some(vec![0; BATCH_BYTES_MAX].into());
    let large = ledger.append(3, now, large);
    assert!(matches!(large, Err(AppendError::TooLarge { drafts: 1, .. })));
    let strange = Draft::new(EntryKind::Directory, Slots::new(EntryKind::Directory).with(9, "no such slot"));
    let strange = ledger.append(3, now, [one.clone(), vec![strange]].concat());
    assert!(matches!(strange, Err(AppendError::Draft { draft: 1, cause: SlotError::Table(9, 0) })), "{strange:?}");
    stage.check_all(&*ledger);
    stage.append(&*ledger, one).unwrap();
    drop(ledger);
    let ledger = stage.open();
    let early = ledger.append(4, Timestamp(stage.at - 1), stage.drafts(1));
    assert!(matches!(early, Err(AppendError::Time { .. })), "the last time is known again after opening");
    stage.check_all(&*ledger);
}

fn a_known_lookup_key_keeps_its_index(kind: Kind) {
    let mut stage = Stage::new(kind);
    let ledger = stage.create();
    let with = |stage: &mut Stage, keys: &[u8]| {
        let mut draft = stage.draft();
        draft.lookup_keys = keys.iter().map(|key| [*key; 32]).collect();
        draft
    };
    let drafts = vec![with(&mut stage, &[1, 2]), with(&mut stage, &[2, 3])];
    stage.append(&*ledger, drafts).unwrap();
    let drafts = vec![with(&mut stage, &[3, 4, 4])];
    stage.append(&*ledger, drafts).unwrap();
    let found: Vec<_> = (1..=5).map(|key| ledger.find(&[key; 32]).unwrap()).collect();
    assert_eq!(found, [Some(0), Some(0), Some(1), Some(2), None]);
    assert_eq!(ledger.scrub(0, 3).unwrap().findings, []);
}

fn directory_leaves_come_in_pieces(kind: Kind) {
    let mut stage = Stage::new(kind);
    let ledger = stage.create();
    assert_eq!(ledger.directory_leaves(0, 1).unwrap(), Vec::<Bytes>::new());
    stage.grow(&*ledger, &[60]);
    let leaves = stage.directory_leaves();
    assert_eq!(ledger.directory().unwrap().size, leaves.len() as u64);
    for max_bytes in [0, 1, 40, 100, 1000] {
        let mut got = Vec::new();
        while got.len() < leaves.len() {
            let piece = ledger.directory_leaves(got.len() as u64, max_bytes).unwrap();
            let bytes: usize = piece.iter().map(Bytes::len).sum();
            assert!(!piece.is_empty() && (bytes <= max_bytes || piece.len() == 1));
            got.extend(piece);
        }
        assert_eq!(got, leaves);
    }
    let beyond = ledger.directory_leaves(leaves.len() as u64 + 1, 1);
    assert!(matches!(beyond, Err(ReadError::Beyond { .. })));
}

fn snapshots_and_evidence_are_kept(kind: Kind) {
    let mut stage = Stage::new(kind);
    let ledger = stage.create();
    stage.grow(&*ledger, &[9]);
    let rows = |key: &str, row: &str| SnapshotRows::from([(key.into(), row.into()), (Vec::new(), row.into())]);
    assert!(ledger.snapshot().unwrap().is_none());
    for (from, to) in [(0, 2), (2, 5), (5, 9)] {
        ledger.save_snapshot(from, to, &rows(&format!("key {from}"), &format!("row {to}"))).unwrap();
    }
    let beyond = ledger.save_snapshot(9, 10, &SnapshotRows::new());
    assert!(matches!(beyond, Err(SaveError::Limit { found: 10, max: 9, .. })));
    ledger.keep_evidence("b", b"a larger note").unwrap();
    ledger.keep_evidence("a", b"a larger note").unwrap();
    ledger.keep_evidence("a", b"another note").unwrap();
    ledger.keep_evidence("a", b"another note").unwrap();
    let large = ledger.keep_evidence("c", &vec![0; EVIDENCE_BYTES_MAX + 1]);
    assert!(matches!(large, Err(SaveError::Limit { .. })));
    drop(ledger);
    let ledger = stage.open();
    let snapshot = ledger.snapshot().unwrap().expect("a snapshot");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let rows: Vec<(String, String)> = snapshot.rows().map(|(key, row)| (text(key), text(row))).collect();
    let wanted = [("", "row 9"), ("key 0", "row 2"), ("key 2", "row 5"), ("key 5", "row 9")];
    assert_eq!((snapshot.size(), rows), (9, wanted.map(|(key, row)| (key.to_owned(), row.to_owned())).to_vec()));
    let evidence = ledger.evidence().unwrap();
    let evidence: Vec<_> = evidence.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
    assert_eq!(evidence, [("a", &b"a larger note"[..]), ("a", b"another note"), ("b", b"a larger note")]);
    stage.check_all(&*ledger);
}

fn a_purged_entry_keeps_leaf_and_proofs(kind: Kind) {
    let mut stage = Stage::new(kind);
    let ledger = stage.create();
    stage.grow(&*ledger, &[10]);
    drop(ledger);
    zero_key(&stage, kind, 4);
    let ledger = stage.open();
    let stored = ledger.read(4).unwrap();
    assert_eq!(stored.leaf, stage.known[4].leaf);
    assert!(stored.opening.is_none() && stored.sealed.is_none());
    let root = small::root(&stage.leaf_hashes());
    verify_inclusion(&stored.leaf.hash(), 4, 10, &ledger.inclusion(4, 10).unwrap(), &root).unwrap();
    stage.check_heads(&*ledger);
    (0..10).filter(|index| *index != 4).for_each(|index| stage.check_entry(&*ledger, index).unwrap());
    let findings = ledger.scrub(0, 10).unwrap();
    assert_eq!((findings.purged, findings.findings), (1, vec![]));
}

fn zero_key(stage: &Stage, kind: Kind, index: usize) {
    if kind == Kind::Memory {
        return stage.memory.tamper_keys(|keys| *keys[index] = [0; 32]);
    }
    let path = stage.dir().join("keys/00000000.keys");
    let mut keys = std::fs::read(&path).unwrap();
    keys[index * 32..(index + 1) * 32].fill(0);
    std::fs::write(path, keys).unwrap();
}

fn a_second_open_is_refused(kind: Kind) {
    let mut stage = Stage::new(kind);
    let ledger = stage.create();
    let second = stage.try_open();
    let Err(OpenError::Locked { holder }) = second else { panic!("it was opened twice") };
    assert!(holder.contains("process"), "{holder}");
    stage.grow(&*ledger, &[2]);
    drop(ledger);
    stage.check_all(&*stage.open());
}

fn a_store_of_another_log_is_refused(kind: Kind) {
    let mut stage = Stage::new(kind);
    let ledger = stage.create();
    stage.grow(&*ledger, &[2]);
    drop(ledger);
    let other = Config { genesis_sha256: [8; 32], ..Stage::config() };
    let refused = open(stage.engine(), &stage.dir(), &other, stage.signers()).err();
    assert!(matches!(refused, Some(OpenError::Other { what: "genesis digest", .. })), "{refused:?}");
    // The name of the key and the origin fail together, so each is tried without the other.
    let other = Config { origin: "test.example/log/0/ffffffff".to_owned(), ..Stage::config() };
    let refused = open(stage.engine(), &stage.dir(), &other, stage.signers()).err();
    assert!(matches!(refused, Some(OpenError::Signer { .. })), "{refused:?}");
    let mut signers = stage.signers();
    signers.log = Box::new(tlog::Ed25519Signer::from_seed(&other.origin, &[1; 32]).unwrap());
    let refused = open(stage.engine(), &stage.dir(), &other, signers).err();
    assert!(matches!(refused, Some(OpenError::Other { what: "origin", .. })), "{refused:?}");
    let mut signers = stage.signers();
    signers.directory = Box::new(tlog::Ed25519Signer::from_seed(super::DIRECTORY, &[3; 32]).unwrap());
    let refused = open(stage.engine(), &stage.dir(), &Stage::config(), signers).err();
    assert!(matches!(refused, Some(OpenError::Note { what: "directory", .. })), "{refused:?}");
    let newer = Config { created_by: "test 1".to_owned(), ..Stage::config() };
    drop(open(stage.engine(), &stage.dir(), &newer, stage.signers()).unwrap());
    stage.check_all(&*stage.open());
}

fn create_and_open_refuse_each_others_work(kind: Kind) {
    let mut stage = Stage::new(kind);
    assert!(matches!(stage.try_open(), Err(OpenError::Missing(_))));
    let ledger = stage.create();
    stage.grow(&*ledger, &[1]);
    drop(ledger);
    let refused = create(stage.engine(), &stage.dir(), &Stage::config(), stage.signers()).err();
    assert!(matches!(refused, Some(OpenError::Exists(_))), "{refused:?}");
    stage.check_all(&*stage.open());
}

fn everything_is_closed_after_close(kind: Kind) {
    let mut stage = Stage::new(kind);
    let ledger = stage.create();
    stage.grow(&*ledger, &[3]);
    ledger.close();
    assert_eq!(ledger.size(), 3);
    assert!(matches!(ledger.append(3, Timestamp(stage.at), stage.drafts(1)), Err(AppendError::Closed)));
    assert!(matches!(ledger.save_snapshot(0, 1, &SnapshotRows::new()), Err(SaveError::Closed)));
    assert!(matches!(ledger.checkpoint(), Err(ReadError::Closed)));
    assert!(matches!(ledger.read(0), Err(ReadError::Closed)));
    // The lock has been let go of although the old ledger is still there.
    let again = stage.open();
    stage.check_all(&*again);
}

fn a_genesis_may_be_large_and_nothing_else(kind: Kind) {
    let mut stage = Stage::new(kind);
    let ledger = stage.create();
    let mut drafts = stage.drafts(1);
    drafts[0].sealed = Some(vec![5; 2 * BATCH_BYTES_MAX].into());
    stage.append(&*ledger, drafts.clone()).unwrap();
    assert!(matches!(ledger.append(1, Timestamp(stage.at), drafts), Err(AppendError::TooLarge { .. })));
    drop(ledger);
    stage.check_all(&*stage.open());
}

fn a_cut_off_create_is_completed(kind: Kind) {
    let stage = Stage::new(kind);
    std::fs::create_dir(stage.dir()).unwrap();
    if kind == Kind::Redb {
        drop(crate::redb::Redb::open(&stage.dir().join("ledger.redb")).unwrap());
    } else {
        drop(crate::sled::Sled::open(&stage.dir().join("sled")).unwrap());
    }
    assert!(matches!(stage.try_open(), Err(OpenError::Missing(_))));
    drop(stage.create());
    stage.check_all(&*stage.open());
}

fn keys_without_a_store_are_no_empty_folder(kind: Kind) {
    let mut stage = Stage::new(kind);
    let ledger = stage.create();
    stage.grow(&*ledger, &[1]);
    drop(ledger);
    match kind {
        Kind::Sled => std::fs::remove_dir_all(stage.dir().join("sled")).unwrap(),
        _ => std::fs::remove_file(stage.dir().join("ledger.redb")).unwrap(),
    }
    let refused = create(stage.engine(), &stage.dir(), &Stage::config(), stage.signers()).err();
    assert!(matches!(refused, Some(OpenError::Exists(_))), "{refused:?}");
}

fn files_are_for_their_owner_only(kind: Kind) {
    use std::os::unix::fs::PermissionsExt as _;
    let mut stage = Stage::new(kind);
    let ledger = stage.create();
    stage.grow(&*ledger, &[1]);
    drop(ledger);
    let ledger = stage.open();
    let (mut folders, mut files) = (vec![stage.dir()], Vec::new());
    while let Some(folder) = folders.pop() {
        assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700, "{}", folder.display());
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
    drop(ledger);
}

fn batches_cross_segments_and_tiles(kind: Kind) {
    let mut stage = Stage::new(kind);
    let ledger = stage.create();
    stage.grow(&*ledger, &[264; 17]);
    assert!(stage.dir().join("keys/00000001.keys").exists());
    stage.check_heads(&*ledger);
    let size = ledger.size();
    for index in 4080..4110 {
        stage.check_entry(&*ledger, index).unwrap();
    }
    let findings = ledger.scrub(4000, size).unwrap();
    assert_eq!((findings.entries, findings.findings), (size - 4000, vec![]));
    drop(ledger);
    let ledger = stage.open();
    stage.grow(&*ledger, &[1]);
    stage.check_heads(&*ledger);
}

/// While one thread appends, others read: what the head names is there, and right.
fn readers_see_whole_batches_only(kind: Kind) {
    let mut stage = Stage::new(kind);
    let ledger = stage.create();
    stage.grow(&*ledger, &[20]);
    let is_done = std::sync::atomic::AtomicBool::new(false);
    let ledger = &*ledger;
    let read = || {
        let mut rounds = 0;
        while rounds == 0 || !is_done.load(std::sync::atomic::Ordering::SeqCst) {
            let size = ledger.size();
            for index in [0, size / 2, size - 1] {
                assert_eq!(ledger.read(index).unwrap().index, index);
                ledger.inclusion(index, size).unwrap();
            }
            rounds += 1;
        }
        rounds
    };
    let rounds: u64 = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3).map(|_| scope.spawn(read)).collect();
        stage.grow(ledger, &[40; 20]);
        is_done.store(true, std::sync::atomic::Ordering::SeqCst);
        readers.into_iter().map(|reader| reader.join().unwrap()).sum()
    });
    assert!(rounds >= 3);
    stage.check_all(ledger);
}

fn a_store_of_the_other_engine_is_refused_by_name(kind: Kind) {
    let mut stage = Stage::new(kind);
    let ledger = stage.create();
    stage.grow(&*ledger, &[3]);
    drop(ledger);
    let (own, other) = (stage.engine(), if kind == Kind::Redb { Engine::Sled } else { Engine::Redb });
    assert_eq!(Engine::named(own.name()).unwrap().name(), own.name());
    assert_eq!(Engine::found_in(&stage.dir()).unwrap().name(), own.name());
    let refused = open(other.clone(), &stage.dir(), &Stage::config(), stage.signers()).err().unwrap();
    let names = matches!(&refused, OpenError::Engine { found, wanted, .. } if (*found, *wanted) == (own.name(), other.name()));
    assert!(names, "{refused:?}");
    let refused = create(other.clone(), &stage.dir(), &Stage::config(), stage.signers()).err();
    assert!(matches!(refused, Some(OpenError::Exists(_))), "{refused:?}");
    assert!(!other.is_in(&stage.dir()), "nothing of the other engine was made");
    stage.check_all(&*stage.open());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_batches_and_reopenings_are_one_ledger(steps in proptest::collection::vec((1usize..40, any::<bool>()), 1..12)) {
        let mut stage = Stage::new(Kind::Memory);
        let mut ledger = stage.create();
        for (count, reopens) in steps {
            stage.grow(&*ledger, &[count]);
            if reopens {
                drop(ledger);
                ledger = stage.open();
            }
        }
        stage.check_all(&*ledger);
    }
}
