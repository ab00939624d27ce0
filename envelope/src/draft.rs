//! What the writer hands to the ledger: an entry without its place and time.
//!
//! The ledger reads none of it but sizes; the exchange has decided all of it.

use bytes::Bytes;
use proto::v1::EntryKind;

use crate::slots::Slots;

/// An entry to append.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Its kind.
    pub kind: EntryKind,
    /// Its slots; the ledger adds the seed, and with the time it makes the leaf.
    pub slots: Slots,
    /// Stored beside the opening under the same key; signatures, wraps and content of a message.
    pub sealed: Option<Bytes>,
    /// Appended to the directory's tree in the same transaction.
    pub directory_leaf: Option<Bytes>,
    /// Opaque keys under which the entry's index is found again.
    pub lookup_keys: Vec<[u8; 32]>,
}

impl Draft {
    /// A draft with nothing beside its slots.
    #[must_use]
    pub fn new(kind: EntryKind, slots: Slots) -> Self {
        Self { kind, slots, sealed: None, directory_leaf: None, lookup_keys: Vec::new() }
    }

    /// Bytes that the draft takes in a batch, roughly.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.sealed.as_ref().map_or(0, Bytes::len) + self.slots.bytes_len() + self.directory_leaf.as_ref().map_or(0, Bytes::len)
    }
}
