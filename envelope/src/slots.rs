//! Leaf, slots and body: what one entry commits to, bit for bit (SPEC.md 7).
//!
//! A leaf hides its content behind salted hashes, so a purge leaves every proof valid and one slot can be shown alone.
//! It does not know what a slot's value means; `entry` does.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use bytes::Bytes;
use prost::Message as _;
use proto::v1::{self, DisclosedSlot, EntryKind};
use ring::hmac;
use tlog::{Hash, leaf_hash, sha256_parts, small};
use zeroize::Zeroizing;

use crate::canonical::EncodingError;
use crate::limits::RECIPIENTS_MAX;
use crate::time::Timestamp;

/// Bytes of an encoded leaf.
pub const LEAF_BYTES: usize = 44;
/// The version of leaf and slots that this program writes.
pub const LEAF_VERSION: u16 = 1;

/// What a leaf says in the clear about its entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeafClass {
    /// A message.
    Message,
    /// Everything else.
    Control,
}

/// `u16be version | u16be class | u64be at_ms | 32 bytes body`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Message-like or control.
    pub class: LeafClass,
    /// Ledger time.
    pub at: Timestamp,
    /// RFC 6962 root over the entry's slots.
    pub body: Hash,
}

/// Tag and sub-index of a slot.
pub type SlotId = (u16, u16);

/// Why a leaf, a slot or an opening is not sound.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SlotError {
    /// Another size, version or class.
    #[error("the leaf is not 44 bytes of version 1 and a known class")]
    Leaf,
    /// The opening's bytes.
    #[error(transparent)]
    Encoding(#[from] EncodingError),
    /// A kind that is critical and that this program does not know.
    #[error("entry kind {0} is not known here, and it is marked critical")]
    Kind(i32),
    /// The slots are not those of the kind's table.
    #[error("slot {0}.{1} does not belong to an entry of this kind")]
    Table(u16, u16),
    /// Slot 0 does not name the kind.
    #[error("slot 0 does not name the kind of the entry")]
    KindSlot,
    /// The count at sub 0 is not the number of repeated slots, or too large.
    #[error("the count of slot {0} is not the number of its values")]
    Count(u16),
    /// The opening does not lead to the leaf's body.
    #[error("the opening is not that of the leaf")]
    Body,
    /// A disclosed slot has a salt of another length, or siblings are missing.
    #[error("the disclosed slots do not lead to a body")]
    Disclosure,
}

impl Leaf {
    /// The 44 bytes that the tree hashes.
    #[must_use]
    pub fn encode(&self) -> [u8; LEAF_BYTES] {
        let mut bytes = [0; LEAF_BYTES];
        bytes[..2].copy_from_slice(&LEAF_VERSION.to_be_bytes());
        bytes[2..4].copy_from_slice(&(if self.class == LeafClass::Message { 1u16 } else { 2 }).to_be_bytes());
        bytes[4..12].copy_from_slice(&self.at.ms().to_be_bytes());
        bytes[12..].copy_from_slice(self.body.as_bytes());
        bytes
    }

    /// Reads 44 bytes.
    ///
    /// # Errors
    /// [`SlotError::Leaf`] on another size, version or class.
    pub fn decode(bytes: &[u8]) -> Result<Self, SlotError> {
        let bytes: &[u8; LEAF_BYTES] = bytes.try_into().map_err(|_| SlotError::Leaf)?;
        let (head, rest) = bytes.split_at(4);
        let (at, body) = rest.split_at(8);
        let class = match head {
            [0, 1, 0, 1] => LeafClass::Message,
            [0, 1, 0, 2] => LeafClass::Control,
            _ => return Err(SlotError::Leaf),
        };
        let at = Timestamp(u64::from_be_bytes(at.try_into().map_err(|_| SlotError::Leaf)?));
        Ok(Self { class, at, body: Hash::try_from(body).map_err(|_| SlotError::Leaf)? })
    }

    /// The leaf's hash in the tree (RFC 6962 2.1).
    #[must_use]
    pub fn hash(&self) -> Hash {
        leaf_hash(&self.encode())
    }
}

/// The class of an entry of this kind.
#[must_use]
pub fn class_of(kind: EntryKind) -> LeafClass {
    if kind == EntryKind::Message { LeafClass::Message } else { LeafClass::Control }
}

/// The tags of a kind, in order; `true` marks a repeated one. A kind that is not known here has slots 0 and 1.
#[must_use]
pub fn table(kind: EntryKind) -> &'static [(u16, bool)] {
    match kind {
        EntryKind::Message => &MESSAGE_TABLE,
        EntryKind::Directory | EntryKind::Mailbox | EntryKind::RevocationsSeen => &[(0, false), (1, false), (2, false)],
        EntryKind::Release | EntryKind::Advice => &[(0, false), (1, false), (7, true)],
        _ => &[(0, false), (1, false)],
    }
}

/// The values of an entry's slots by (tag, sub), empty ones left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slots(BTreeMap<SlotId, Bytes>);

impl Slots {
    /// Slots of an entry of `kind`; slot 0 is set.
    #[must_use]
    pub fn new(kind: EntryKind) -> Self {
        Self(BTreeMap::from([((0, 0), kind_value(kind as u16))]))
    }

    /// Sets a slot that is not repeated.
    #[must_use]
    pub fn with(mut self, tag: u16, value: impl Into<Bytes>) -> Self {
        let value = value.into();
        if !value.is_empty() {
            self.0.insert((tag, 0), value);
        }
        self
    }

    /// Sets a repeated slot: its count at sub 0, its values at sub 1 to n.
    #[must_use]
    pub fn with_each(mut self, tag: u16, values: impl IntoIterator<Item = Bytes>) -> Self {
        let mut count: u16 = 0;
        for value in values {
            count += 1;
            self.0.insert((tag, count), value);
        }
        self.0.insert((tag, 0), Bytes::copy_from_slice(&u32::from(count).to_be_bytes()));
        self
    }

    /// The value of a slot; empty when it is absent.
    #[must_use]
    pub fn value(&self, tag: u16, sub: u16) -> &[u8] {
        self.0.get(&(tag, sub)).map_or(&[], |value| value)
    }

    /// The value of a slot without copying it.
    #[must_use]
    pub fn bytes(&self, tag: u16, sub: u16) -> Bytes {
        self.0.get(&(tag, sub)).cloned().unwrap_or_default()
    }

    /// Bytes of all values.
    #[must_use]
    pub fn bytes_len(&self) -> usize {
        self.0.values().map(Bytes::len).sum()
    }

    /// How many values a repeated slot has.
    #[must_use]
    pub fn count(&self, tag: u16) -> u16 {
        count_of(self.value(tag, 0)).unwrap_or(0)
    }
}

/// Everything that a leaf's body commits to. Its seed makes the salts; without it the leaf says nothing.
#[derive(Clone)]
pub struct Opening {
    /// The kind's number; later kinds have no name here.
    number: u16,
    seed: Zeroizing<[u8; 32]>,
    slots: Slots,
    /// Made when it is first needed: a leaf, and the receipt that shows some of it, hash the same.
    hashed: OnceLock<Hashed>,
}

/// The slots of a layout with their salts and the tree over them.
#[derive(Clone)]
struct Hashed {
    layout: Vec<SlotId>,
    salts: Zeroizing<Vec<[u8; SALT_BYTES]>>,
    nodes: small::Nodes,
}

impl std::fmt::Debug for Opening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opening").field("kind", &self.number).finish_non_exhaustive()
    }
}

impl Opening {
    /// An opening of `kind` from 32 random bytes.
    ///
    /// # Errors
    /// [`SlotError`] when the slots are not those of the kind's table.
    pub fn new(kind: EntryKind, seed: [u8; 32], slots: Slots) -> Result<Self, SlotError> {
        Self::of_number(kind as u16, seed, slots)
    }

    fn of_number(number: u16, seed: [u8; 32], slots: Slots) -> Result<Self, SlotError> {
        check_table(number, &slots)?;
        Ok(Self { number, seed: Zeroizing::new(seed), slots, hashed: OnceLock::new() })
    }

    /// The kind of the entry; `Unspecified` for one that a later version has added.
    #[must_use]
    pub fn kind(&self) -> EntryKind {
        kind_of(self.number)
    }

    /// The kind's number, whether it has a name here or not.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }

    /// The values.
    #[must_use]
    pub fn slots(&self) -> &Slots {
        &self.slots
    }

    /// The root over all slots of the kind's table.
    #[must_use]
    pub fn body(&self) -> Hash {
        self.hashed().nodes.root()
    }

    /// The leaf of this opening at a ledger time.
    #[must_use]
    pub fn leaf(&self, at: Timestamp) -> Leaf {
        Leaf { class: class_of(self.kind()), at, body: self.body() }
    }

    /// Checks that this is the opening of `leaf`.
    ///
    /// # Errors
    /// [`SlotError::Body`] when it is another's.
    pub fn check(&self, leaf: &Leaf) -> Result<(), SlotError> {
        if self.body() == leaf.body && class_of(self.kind()) == leaf.class { Ok(()) } else { Err(SlotError::Body) }
    }

    /// Shows the slots for which `shown` holds (slot 0 and counts always), and the siblings that lead to the body.
    pub fn disclose(&self, shown: impl Fn(SlotId) -> bool) -> (Vec<DisclosedSlot>, Vec<Hash>) {
        let Hashed { layout, salts, nodes } = self.hashed();
        let visible = |id: SlotId| id == (0, 0) || is_count(self.number, id) || shown(id);
        let indexes: Vec<usize> = (0..layout.len()).filter(|at| visible(layout[*at])).collect();
        let siblings = nodes.siblings(&indexes).expect("indexes of the layout ascend and are in range");
        // One allocation for all salts.
        let all_salts = Bytes::from(indexes.iter().flat_map(|at| salts[*at]).collect::<Vec<u8>>());
        let show = |(place, at): (usize, &usize)| {
            let (tag, sub) = layout[*at];
            let salt = all_salts.slice(place * SALT_BYTES..(place + 1) * SALT_BYTES);
            DisclosedSlot { tag: tag.into(), sub: sub.into(), salt, value: self.slots.bytes(tag, sub) }
        };
        (indexes.iter().enumerate().map(show).collect(), siblings)
    }

    /// The stored form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let slot = |(id, value): (&SlotId, &Bytes)| v1::Slot { tag: id.0.into(), sub: id.1.into(), value: value.clone() };
        let slots = self.slots.0.iter().map(slot).collect();
        let seed = Bytes::copy_from_slice(&*self.seed);
        v1::Opening { version: LEAF_VERSION.into(), kind: i32::from(self.number), seed, slots }.encode_to_vec()
    }

    /// Reads the stored form; [`Opening::check`] ties it to a leaf.
    ///
    /// # Errors
    /// [`SlotError`] when it is malformed or its slots are not those of its kind.
    pub fn decode(bytes: &[u8]) -> Result<Self, SlotError> {
        let malformed = EncodingError::Malformed { what: "the opening" };
        let opening = v1::Opening::decode(bytes).map_err(|_| malformed.clone())?;
        if opening.version != u32::from(LEAF_VERSION) {
            return Err(EncodingError::Version { what: "the opening", version: opening.version }.into());
        }
        let number = u16::try_from(opening.kind).map_err(|_| SlotError::Kind(opening.kind))?;
        if number == 0 || (kind_of(number) == EntryKind::Unspecified && number >= CRITICAL_KINDS_FROM) {
            return Err(SlotError::Kind(opening.kind));
        }
        let seed = opening.seed.as_ref().try_into().map_err(|_| malformed.clone())?;
        let mut slots = BTreeMap::new();
        for slot in opening.slots {
            let id = (u16::try_from(slot.tag), u16::try_from(slot.sub));
            let (Ok(tag), Ok(sub)) = id else { return Err(malformed.into()) };
            if slot.value.is_empty() || slots.last_key_value().is_some_and(|(last, _)| *last >= (tag, sub)) {
                return Err(EncodingError::NotCanonical { what: "the opening" }.into());
            }
            slots.insert((tag, sub), slot.value);
        }
        let opening = Self::of_number(number, seed, Slots(slots))?;
        if opening.encode() != bytes {
            return Err(EncodingError::NotCanonical { what: "the opening" }.into());
        }
        Ok(opening)
    }

    fn hashed(&self) -> &Hashed {
        self.hashed.get_or_init(|| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, &*self.seed);
            let layout = layout(self.number, &self.slots);
            let salts: Vec<_> = layout.iter().map(|id| salt(&key, *id)).collect();
            let hash = |(id, salt): (&SlotId, &[u8; SALT_BYTES])| slot_hash(self.number, *id, salt, self.slots.value(id.0, id.1));
            let hashes: Vec<Hash> = layout.iter().zip(&salts).map(hash).collect();
            Hashed { layout, salts: Zeroizing::new(salts), nodes: small::Nodes::new(&hashes) }
        })
    }
}

/// Recomputes the body from disclosed slots and siblings.
///
/// # Errors
/// [`SlotError`] when slots do not belong to the kind, are doubled or out of order, or the siblings are not exactly those missing.
pub fn body_of(kind: EntryKind, disclosed: &[DisclosedSlot], siblings: &[Hash]) -> Result<Hash, SlotError> {
    let mut slots = BTreeMap::new();
    let mut salts = BTreeMap::new();
    for slot in disclosed {
        let (Ok(tag), Ok(sub)) = (u16::try_from(slot.tag), u16::try_from(slot.sub)) else { return Err(SlotError::Disclosure) };
        if slots.last_key_value().is_some_and(|(last, _)| *last >= (tag, sub)) {
            return Err(SlotError::Disclosure);
        }
        salts.insert((tag, sub), <[u8; 16]>::try_from(slot.salt.as_ref()).map_err(|_| SlotError::Disclosure)?);
        slots.insert((tag, sub), slot.value.clone());
    }
    let slots = Slots(slots);
    let number = kind as u16;
    if slots.value(0, 0) != kind_value(number) {
        return Err(SlotError::KindSlot);
    }
    for (tag, _) in table(kind).iter().filter(|(_, repeated)| *repeated) {
        count_of(slots.value(*tag, 0)).ok_or(SlotError::Count(*tag))?;
    }
    let layout = layout(number, &slots);
    let mut hashes = Vec::with_capacity(salts.len());
    for (id, salt) in &salts {
        let at = layout.binary_search(id).map_err(|_| SlotError::Table(id.0, id.1))?;
        hashes.push((at, slot_hash(number, *id, salt, slots.value(id.0, id.1))));
    }
    small::root_from_siblings(layout.len(), &hashes, siblings).map_err(|_| SlotError::Disclosure)
}

/// All slots of an entry in order, absent ones included.
fn layout(number: u16, slots: &Slots) -> Vec<SlotId> {
    let subs = |(tag, repeated): &(u16, bool)| {
        let last = if *repeated { slots.count(*tag) } else { 0 };
        let tag = *tag;
        (0..=last).map(move |sub| (tag, sub))
    };
    table(kind_of(number)).iter().flat_map(subs).collect()
}

fn check_table(number: u16, slots: &Slots) -> Result<(), SlotError> {
    if slots.value(0, 0) != kind_value(number) {
        return Err(SlotError::KindSlot);
    }
    for (tag, _) in table(kind_of(number)).iter().filter(|(_, repeated)| *repeated) {
        let count = count_of(slots.value(*tag, 0)).ok_or(SlotError::Count(*tag))?;
        if slots.0.range((*tag, 1)..=(*tag, u16::MAX)).count() != usize::from(count) {
            return Err(SlotError::Count(*tag));
        }
    }
    let layout = layout(number, slots);
    let stray = slots.0.keys().find(|id| layout.binary_search(id).is_err());
    stray.map_or(Ok(()), |(tag, sub)| Err(SlotError::Table(*tag, *sub)))
}

fn is_count(number: u16, (tag, sub): SlotId) -> bool {
    sub == 0 && table(kind_of(number)).contains(&(tag, true))
}

fn count_of(value: &[u8]) -> Option<u16> {
    let count = u32::from_be_bytes(value.try_into().ok()?);
    u16::try_from(count).ok().filter(|count| usize::from(*count) <= RECIPIENTS_MAX)
}

fn kind_value(number: u16) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

/// The kind of a number; `Unspecified` when it has no name here.
fn kind_of(number: u16) -> EntryKind {
    EntryKind::try_from(i32::from(number)).unwrap_or(EntryKind::Unspecified)
}

fn salt(key: &hmac::Key, (tag, sub): SlotId) -> [u8; SALT_BYTES] {
    let ([a, b], [c, d]) = (tag.to_be_bytes(), sub.to_be_bytes());
    let tag = hmac::sign(key, &[a, b, c, d]);
    tag.as_ref()[..SALT_BYTES].try_into().expect("an HMAC-SHA256 tag has 32 bytes")
}

fn slot_hash(number: u16, (tag, sub): SlotId, salt: &[u8; 16], value: &[u8]) -> Hash {
    let length = u32::try_from(value.len()).expect("a slot's value is far below 4 GiB").to_be_bytes();
    let mut head = [0; 44];
    head[1..16].copy_from_slice(b"ecowire/1 slot\0");
    for (at, number) in [LEAF_VERSION, number, tag, sub].into_iter().enumerate() {
        head[16 + 2 * at..18 + 2 * at].copy_from_slice(&number.to_be_bytes());
    }
    head[24..40].copy_from_slice(salt);
    head[40..].copy_from_slice(&length);
    Hash(sha256_parts(&[&head, value]))
}

/// A salt is the first half of an HMAC.
const SALT_BYTES: usize = 16;
/// Numbers from here on are critical: who does not know such a kind must not go on.
const CRITICAL_KINDS_FROM: u16 = 0x8000;
const MESSAGE_TABLE: [(u16, bool); 10] =
    [(0, false), (1, false), (2, false), (3, false), (4, false), (5, false), (6, false), (7, true), (8, false), (9, false)];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn stored(number: u16) -> Vec<u8> {
        let slots = vec![
            v1::Slot { tag: 0, sub: 0, value: kind_value(number) },
            v1::Slot { tag: 1, sub: 0, value: Bytes::from_static(b"of a later version") },
        ];
        v1::Opening { version: 1, kind: i32::from(number), seed: vec![7; 32].into(), slots }.encode_to_vec()
    }

    #[test]
    fn a_later_kind_is_kept_and_skipped_unless_it_is_critical() {
        let opening = Opening::decode(&stored(300)).unwrap();
        assert_eq!((opening.kind(), opening.number()), (EntryKind::Unspecified, 300));
        assert_eq!(opening.encode(), stored(300));
        let leaf = opening.leaf(Timestamp(1));
        assert_eq!(opening.check(&leaf), Ok(()));
        assert_ne!(Opening::decode(&stored(301)).unwrap().body(), opening.body(), "the number is in every slot hash");
        assert_eq!(Opening::decode(&stored(0x8000)).unwrap_err(), SlotError::Kind(0x8000));
        assert_eq!(Opening::decode(&stored(0)).unwrap_err(), SlotError::Kind(0));
    }
}
