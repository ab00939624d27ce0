//! The stage of the tests: one stagehand that makes stores, drafts and signers, and knows what must be served.

mod conformance;
mod damage;
mod faults;
mod power;
mod sled;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use envelope::draft::Draft;
use envelope::receipt::Receipt;
use envelope::slots::{Leaf, Slots};
use envelope::time::Timestamp;
use proto::v1::EntryKind;
use tempfile::TempDir;
use tlog::{Checkpoint, Ed25519Signer, Hash, NoteSigner, SignError, VerifierKey, leaf_hash, small};

use crate::{AppendError, Committed, Config, Engine, Ledger, Memory, OpenError, ReadError, Signers, create, open};

/// The engines that the suite runs over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Memory,
    Redb,
    Sled,
}

/// Numbers that look random and are the same in each run.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// Every text that a key ever signed, and every note that ever left a ledger.
#[derive(Clone, Default)]
pub(crate) struct Record {
    signed: Arc<Mutex<BTreeSet<String>>>,
    released: Arc<Mutex<BTreeMap<(String, u64), Hash>>>,
}

struct Recorder {
    inner: Ed25519Signer,
    record: Record,
}

impl NoteSigner for Recorder {
    fn key(&self) -> &VerifierKey {
        self.inner.key()
    }

    fn sign(&self, text: &[u8]) -> Result<[u8; 64], SignError> {
        let text_read = String::from_utf8(text.to_vec()).unwrap();
        self.record.signed.lock().unwrap().insert(text_read);
        self.inner.sign(text)
    }
}

impl Record {
    /// A note has left: it is ours, and no other root was ever shown for its size.
    pub(crate) fn release(&self, note: &[u8], key: &VerifierKey) -> Checkpoint {
        let checkpoint = Checkpoint::open(note, key).expect("a note that leaves is signed by our key");
        assert!(self.signed.lock().unwrap().contains(&checkpoint.to_text()));
        let place = (checkpoint.origin.clone(), checkpoint.size);
        let root = *self.released.lock().unwrap().entry(place).or_insert(checkpoint.root);
        assert_eq!(root, checkpoint.root, "two roots of size {} of {}", checkpoint.size, checkpoint.origin);
        checkpoint
    }

    pub(crate) fn released_sizes(&self) -> usize {
        self.released.lock().unwrap().len()
    }
}

/// An entry that was acknowledged, as it must be served for ever.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) leaf: Leaf,
    pub(crate) opening: Vec<u8>,
    pub(crate) sealed: Option<Bytes>,
    pub(crate) directory_leaf: Option<Bytes>,
    pub(crate) lookup_keys: Vec<[u8; 32]>,
}

pub(crate) struct Stage {
    kind: Kind,
    folder: TempDir,
    pub(crate) memory: Memory,
    pub(crate) record: Record,
    pub(crate) dice: Dice,
    pub(crate) known: Vec<Known>,
    pub(crate) at: u64,
}

pub(crate) const ORIGIN: &str = "test.example/log/0/01020304";
pub(crate) const DIRECTORY: &str = "test.example/directory/01020304";

impl Stage {
    pub(crate) fn new(kind: Kind) -> Self {
        let (folder, memory, record) = (TempDir::new().unwrap(), Memory::new(), Record::default());
        Self { kind, folder, memory, record, dice: Dice(0x9e37_79b9_7f4a_7c15), known: Vec::new(), at: 1_000 }
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn engine(&self) -> Engine {
        match self.kind {
            Kind::Memory => Engine::Memory(self.memory.clone()),
            Kind::Redb => Engine::Redb,
            Kind::Sled => Engine::Sled,
        }
    }

    pub(crate) fn config() -> Config {
        Config {
            origin: ORIGIN.to_owned(),
            directory_origin: DIRECTORY.to_owned(),
            genesis_sha256: [7; 32],
            created_by: "test 0".to_owned(),
        }
    }

    pub(crate) fn signers(&self) -> Signers {
        let signer = |name, seed| {
            let inner = Ed25519Signer::from_seed(name, &[seed; 32]).unwrap();
            Box::new(Recorder { inner, record: self.record.clone() })
        };
        Signers { log: signer(ORIGIN, 1), directory: signer(DIRECTORY, 2) }
    }

    pub(crate) fn create(&self) -> Box<dyn Ledger> {
        create(self.engine(), &self.dir(), &Self::config(), self.signers()).unwrap()
    }

    pub(crate) fn try_open(&self) -> Result<Box<dyn Ledger>, OpenError> {
        self.open_at(&self.dir())
    }

    pub(crate) fn open_at(&self, dir: &Path) -> Result<Box<dyn Ledger>, OpenError> {
        open(self.engine(), dir, &Self::config(), self.signers())
    }

    pub(crate) fn open(&self) -> Box<dyn Ledger> {
        self.try_open().unwrap()
    }

    /// Drafts of all shapes: messages, statements with a directory leaf, with and without something sealed.
    pub(crate) fn drafts(&mut self, count: usize) -> Vec<Draft> {
        (0..count).map(|_| self.draft()).collect()
    }

    fn draft(&mut self) -> Draft {
        let number = self.dice.next();
        let value = Bytes::from(format!("the secret value {number:020}"));
        let key = tlog::sha256(&number.to_be_bytes());
        let mut draft = match number % 3 {
            0 => {
                let each = (0..number / 3 % 4).map(|each| Bytes::from(format!("to {each}")));
                Draft::new(EntryKind::Message, Slots::new(EntryKind::Message).with(1, value).with_each(7, each))
            }
            1 => Draft::new(EntryKind::Directory, Slots::new(EntryKind::Directory).with(1, value)),
            _ => Draft::new(EntryKind::Started, Slots::new(EntryKind::Started).with(1, value)),
        };
        draft.directory_leaf = (number % 3 == 1).then(|| Bytes::from(format!("statement {number}")));
        draft.sealed = number.is_multiple_of(2).then(|| Bytes::from(format!("the sealed value {number:020}")));
        draft.lookup_keys = vec![key; usize::from(!number.is_multiple_of(5))];
        draft
    }

    /// Appends, and remembers what was acknowledged.
    pub(crate) fn append(&mut self, ledger: &dyn Ledger, drafts: Vec<Draft>) -> Result<Committed, AppendError> {
        self.at += self.dice.below(3);
        let first = self.known.len() as u64;
        let committed = ledger.append(first, Timestamp(self.at), drafts.clone())?;
        assert_eq!((committed.first, committed.size), (first, first + drafts.len() as u64));
        assert_eq!(committed.entries.len(), drafts.len());
        self.accept(&committed, &drafts);
        Ok(committed)
    }

    /// The receipts of a batch hold, and both notes may leave.
    pub(crate) fn accept(&mut self, committed: &Committed, drafts: &[Draft]) {
        let keys = self.signers();
        let checkpoint = self.record.release(&committed.checkpoint, keys.log.key());
        assert_eq!(checkpoint.size, committed.size);
        let directory = self.record.release(&committed.directory.checkpoint, keys.directory.key());
        assert_eq!((directory.size, directory.root), (committed.directory.size, committed.directory.root));
        for (entry, draft) in committed.entries.iter().zip(drafts) {
            let note = committed.checkpoint.clone();
            let receipt = Receipt::new(entry.index, &entry.leaf, &entry.opening, &entry.path, note, |_| true);
            let proven = receipt.verify(keys.log.key()).expect("the receipt of an answer holds");
            assert_eq!((proven.position.index, proven.leaf.at, proven.kind), (entry.index, committed.at, draft.kind));
            assert_eq!(proven.slot(1, 0).unwrap(), draft.slots.value(1, 0));
            assert_eq!(entry.index, self.known.len() as u64);
            self.known.push(Known {
                leaf: entry.leaf,
                opening: entry.opening.encode(),
                sealed: draft.sealed.clone(),
                directory_leaf: draft.directory_leaf.clone(),
                lookup_keys: draft.lookup_keys.clone(),
            });
        }
    }

    pub(crate) fn grow(&mut self, ledger: &dyn Ledger, batches: &[usize]) {
        for count in batches {
            let drafts = self.drafts(*count);
            self.append(ledger, drafts).unwrap();
        }
    }

    pub(crate) fn leaf_hashes(&self) -> Vec<Hash> {
        self.known.iter().map(|known| known.leaf.hash()).collect()
    }

    pub(crate) fn directory_leaves(&self) -> Vec<Bytes> {
        self.known.iter().filter_map(|known| known.directory_leaf.clone()).collect()
    }

    /// Both heads are the roots of what was acknowledged; the ledger may hold more than that.
    pub(crate) fn check_heads(&self, ledger: &dyn Ledger) {
        let keys = self.signers();
        let (size, note) = ledger.checkpoint().unwrap();
        let checkpoint = self.record.release(&note, keys.log.key());
        assert_eq!((size, size), (checkpoint.size, ledger.size()));
        let directory = ledger.directory().unwrap();
        let directory_checkpoint = self.record.release(&directory.checkpoint, keys.directory.key());
        assert_eq!((directory.size, directory.root), (directory_checkpoint.size, directory_checkpoint.root));
        let hashes: Vec<Hash> = (0..size).map(|index| ledger.leaf_hash(index).unwrap()).collect();
        assert_eq!(small::root(&hashes), checkpoint.root);
        assert_eq!(hashes[..self.known.len()], self.leaf_hashes());
        let leaves = ledger.directory_leaves(0, usize::MAX).unwrap();
        let hashes: Vec<Hash> = leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
        assert_eq!(small::root(&hashes), directory.root);
        let known = self.directory_leaves();
        assert_eq!(leaves[..known.len()], known);
    }

    /// Every acknowledged entry is served as it was.
    pub(crate) fn check_entries(&self, ledger: &dyn Ledger) {
        for index in 0..self.known.len() {
            self.check_entry(ledger, index).unwrap();
        }
    }

    /// One entry is served as it was, or an error comes back; a wrong value is a panic.
    pub(crate) fn check_entry(&self, ledger: &dyn Ledger, index: usize) -> Result<(), ReadError> {
        let known = &self.known[index];
        let stored = ledger.read(index as u64)?;
        assert_eq!((stored.index, stored.leaf), (index as u64, known.leaf));
        assert_eq!(stored.opening.expect("it was not purged").encode(), known.opening);
        assert_eq!(stored.sealed, known.sealed);
        Ok(())
    }

    pub(crate) fn check_lookups(&self, ledger: &dyn Ledger) {
        for (index, known) in self.known.iter().enumerate() {
            for key in &known.lookup_keys {
                assert_eq!(ledger.find(key).unwrap(), Some(index as u64));
            }
        }
        assert_eq!(ledger.find(&[9; 32]).unwrap(), None);
    }

    pub(crate) fn check_all(&self, ledger: &dyn Ledger) {
        self.check_heads(ledger);
        self.check_entries(ledger);
        self.check_lookups(ledger);
        let findings = ledger.scrub(0, ledger.size()).unwrap();
        assert_eq!((findings.entries, &findings.findings[..], findings.more), (ledger.size(), &[][..], 0));
    }
}
