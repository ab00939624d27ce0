//! Receipts: proof that an entry with these slots stands in the log under a signed checkpoint (SPEC.md 7).
//!
//! Offline: a receipt and the log's key are enough. It does not know who shows it, nor whether the log was forked.

use bytes::Bytes;
use prost::Message as _;
use proto::v1::{self, DisclosedSlot, EntryKind};
use tlog::{Checkpoint, Hash, VerifierKey, verify_inclusion};

use crate::canonical::EncodingError;
use crate::limits::RECEIPT_BYTES_MAX;
use crate::slots::{Leaf, Opening, SlotError, SlotId, body_of, class_of};

/// A place in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Number of the log; 0 is the only one today.
    pub log: u32,
    /// Index of the entry, from 0.
    pub index: u64,
}

impl Position {
    /// A place in log 0.
    #[must_use]
    pub fn at(index: u64) -> Self {
        Self { log: 0, index }
    }
}

/// Why a receipt proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// Its bytes.
    #[error("the receipt is malformed or larger than {RECEIPT_BYTES_MAX} bytes")]
    Malformed,
    /// The checkpoint is not signed by the log's key, or of another log.
    #[error("the checkpoint is not one of this log: {0}")]
    Checkpoint(String),
    /// Leaf or slots.
    #[error(transparent)]
    Slots(#[from] SlotError),
    /// The slots do not lead to the leaf.
    #[error("the slots are not those of the leaf")]
    Body,
    /// The leaf does not lead to the checkpoint's root.
    #[error("the entry is not in the log under this checkpoint")]
    Inclusion,
    /// It is sound, but of another entry than the one that is asked about.
    #[error("the receipt belongs to another {0}")]
    Other(&'static str),
}

/// A receipt as it travels; [`Receipt::verify`] makes it mean something.
#[derive(Clone, Debug, PartialEq)]
pub struct Receipt(v1::Receipt);

/// A receipt that was verified: its entry stands in the log at this place and time.
#[derive(Clone, Debug)]
pub struct Proven {
    /// Where.
    pub position: Position,
    /// The leaf, with the ledger time.
    pub leaf: Leaf,
    /// The kind of the entry.
    pub kind: EntryKind,
    /// The checkpoint that covers it.
    pub checkpoint: Checkpoint,
    slots: Vec<DisclosedSlot>,
}

impl Receipt {
    /// A receipt from an opening: `shown` says which slots its reader may see.
    pub fn new(index: u64, leaf: &Leaf, opening: &Opening, path: &[Hash], checkpoint: Bytes, shown: impl Fn(SlotId) -> bool) -> Self {
        let (slots, siblings) = opening.disclose(shown);
        Self(v1::Receipt {
            position: Some(v1::Position { log: 0, index }),
            leaf: Bytes::copy_from_slice(&leaf.encode()),
            slots,
            siblings: to_bytes(&siblings),
            path: to_bytes(path),
            checkpoint,
        })
    }

    /// Reads a receipt; nothing is proved yet.
    ///
    /// # Errors
    /// [`ReceiptError::Malformed`] when it is too large or not protobuf.
    pub fn decode(bytes: &[u8]) -> Result<Self, ReceiptError> {
        if bytes.len() > RECEIPT_BYTES_MAX {
            return Err(ReceiptError::Malformed);
        }
        v1::Receipt::decode(bytes).map(Self).map_err(|_| ReceiptError::Malformed)
    }

    /// The bytes that travel.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.0.encode_to_vec()
    }

    /// The fields as they travel.
    #[must_use]
    pub fn fields(&self) -> &v1::Receipt {
        &self.0
    }

    /// Recomputes slots -> body -> leaf -> root and checks the checkpoint's signature by the log's key.
    ///
    /// # Errors
    /// [`ReceiptError`] names the first step that fails.
    pub fn verify(&self, log: &VerifierKey) -> Result<Proven, ReceiptError> {
        let (index, leaf, kind) = self.body()?;
        let checkpoint = Checkpoint::open(&self.0.checkpoint, log).map_err(|error| ReceiptError::Checkpoint(error.to_string()))?;
        let path = hashes(&self.0.path)?;
        verify_inclusion(&leaf.hash(), index, checkpoint.size, &path, &checkpoint.root).map_err(|_| ReceiptError::Inclusion)?;
        Ok(Proven { position: Position::at(index), leaf, kind, checkpoint, slots: self.0.slots.clone() })
    }

    /// Recomputes slots -> body -> leaf only; for a part of an entry in a replay, whose leaf is proved by the whole tree.
    ///
    /// # Errors
    /// [`ReceiptError`] when the slots are not those of the leaf.
    pub fn body(&self) -> Result<(u64, Leaf, EntryKind), ReceiptError> {
        let position = self.0.position.filter(|position| position.log == 0).ok_or(ReceiptError::Malformed)?;
        let leaf = Leaf::decode(&self.0.leaf)?;
        let kind = kind_of(&self.0.slots)?;
        let siblings = hashes(&self.0.siblings)?;
        let sound = class_of(kind) == leaf.class && body_of(kind, &self.0.slots, &siblings)? == leaf.body;
        if sound { Ok((position.index, leaf, kind)) } else { Err(ReceiptError::Body) }
    }
}

impl Proven {
    /// The value of a disclosed slot.
    #[must_use]
    pub fn slot(&self, tag: u16, sub: u16) -> Option<&Bytes> {
        let id = (u32::from(tag), u32::from(sub));
        self.slots.iter().find(|slot| (slot.tag, slot.sub) == id).map(|slot| &slot.value)
    }

    /// The disclosed slots.
    #[must_use]
    pub fn slots(&self) -> &[DisclosedSlot] {
        &self.slots
    }

    /// Demands that the entry is the MESSAGE with exactly this header and these signatures.
    ///
    /// # Errors
    /// [`ReceiptError::Other`] when it is another's receipt.
    pub fn is_of_message(&self, header: &[u8], signatures_sha256: &[u8; 32]) -> Result<(), ReceiptError> {
        let same = |tag, value: &[u8]| self.slot(tag, 0).is_some_and(|slot| slot == value);
        if self.kind != EntryKind::Message || !same(1, header) {
            return Err(ReceiptError::Other("message"));
        }
        if same(2, signatures_sha256) { Ok(()) } else { Err(ReceiptError::Other("set of signatures")) }
    }
}

fn kind_of(slots: &[DisclosedSlot]) -> Result<EntryKind, ReceiptError> {
    let first = slots.first().filter(|slot| (slot.tag, slot.sub) == (0, 0)).ok_or(SlotError::KindSlot)?;
    let number: [u8; 2] = first.value.as_ref().try_into().map_err(|_| SlotError::KindSlot)?;
    let number = i32::from(u16::from_be_bytes(number));
    EntryKind::try_from(number).ok().filter(|kind| *kind != EntryKind::Unspecified).ok_or(ReceiptError::Slots(SlotError::Kind(number)))
}

/// Hashes as they travel, in one allocation.
fn to_bytes(hashes: &[Hash]) -> Vec<Bytes> {
    let all = Bytes::from(hashes.iter().flat_map(|hash| hash.0).collect::<Vec<u8>>());
    (0..hashes.len()).map(|at| all.slice(at * tlog::HASH_BYTES..(at + 1) * tlog::HASH_BYTES)).collect()
}

fn hashes(bytes: &[Bytes]) -> Result<Vec<Hash>, ReceiptError> {
    bytes.iter().map(|hash| Hash::try_from(hash.as_ref()).map_err(|_| ReceiptError::Malformed)).collect()
}

impl From<EncodingError> for ReceiptError {
    fn from(_: EncodingError) -> Self {
        Self::Malformed
    }
}
