//! The derived state: rows by key, their digest, and a batch that lies over them until it is durable (SPEC.md 9).
//!
//! A row knows nothing of the rules; `admit` reads rows, `apply` writes them. No store, no clock.

mod key;
mod member;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use envelope::Address;
use envelope::identity::Anchors;
use prost::Message as _;
use proto::v1;

pub use key::Key;
pub use member::Member;
use member::Together;

use crate::clocks::Step;
use crate::digest::Digest;

macro_rules! rows {
    ($($variant:ident($row:ty) $key:pat => $read:ident($($arg:ident: $arg_type:ty),*) $make:expr;)*) => {
        /// A row's value: always of the type that its key names.
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs)]
        pub enum Row { $($variant($row)),* }

        impl Row {
            /// The bytes that the digest takes.
            #[must_use]
            pub fn encode(&self) -> Vec<u8> {
                match self { $(Self::$variant(row) => row.encode_to_vec()),* }
            }

            /// Reads the value that belongs under `key`.
            #[must_use]
            pub fn decode(key: &Key, bytes: &[u8]) -> Option<Self> {
                match key { $($key => <$row>::decode(bytes).ok().map(Self::$variant)),* }
            }
        }

        /// Read access to rows, whether durable or in an open batch.
        pub trait Rows {
            /// The row under `key`.
            fn row(&self, key: &Key) -> Option<&Row>;

            /// The network's roots, as genesis names them; `None` before it.
            fn anchors(&self) -> Option<&Anchors>;

            /// What is asked of every recipient, where it can be had in one look-up.
            fn member(&self, address: &Address) -> Member<'_> {
                Member { participant: self.participant(address).map(|row| &**row), keys: self.keys(address), mailbox: self.mailbox(address) }
            }

            $(
                #[doc = concat!("What [`Row::", stringify!($variant), "`] has under its key.")]
                fn $read(&self, $($arg: $arg_type),*) -> Option<&$row> {
                    match self.row(&$make)? { Row::$variant(row) => Some(row), _ => None }
                }
            )*
        }
    };
}

use v1::{
    AccessRow, AdviceRow, ChainRow, ClockRow, CrlRow, DirectoryRow, GrantsRow, GroupRow, HeadRow, HeldRow, IdentityRow, KeyOwnerRow,
    KeysRow, MailboxRow, MessageRow, NetworkRow, ParticipantRow, PermissionRow, PlaceRow, QuotaRow, RevokedRow, SenderRow, SeriesRow,
};

rows! {
    Network(Box<NetworkRow>) Key::Network => network() Key::Network;
    Clock(ClockRow) Key::Clock => clock() Key::Clock;
    Participant(Box<ParticipantRow>) Key::Participant(_) => participant(address: &Address) Key::Participant(address.clone());
    Identity(IdentityRow) Key::Identity(_) => identity_owner(key_id: &[u8; 32]) Key::Identity(*key_id);
    Keys(KeysRow) Key::Keys(_) => keys(address: &Address) Key::Keys(address.clone());
    KeyOwner(KeyOwnerRow) Key::KeyOwner(_) => key_owner(key_id: &[u8; 32]) Key::KeyOwner(*key_id);
    Chain(ChainRow) Key::Chain(..) => chain(issuer: Option<&Address>, kind: v1::StatementKind, subject: Option<&Address>) Key::Chain(issuer.cloned(), kind, subject.cloned());
    Sender(SenderRow) Key::Sender(_) => sender(address: &Address) Key::Sender(address.clone());
    Series(SeriesRow) Key::Series(..) => series(sender: &Address, year: u32, series: u32) Key::Series(sender.clone(), year, series);
    Mailbox(MailboxRow) Key::Mailbox(_) => mailbox(address: &Address) Key::Mailbox(address.clone());
    Place(PlaceRow) Key::Place(..) => place(address: &Address, seq: u64) Key::Place(address.clone(), seq);
    Message(Box<MessageRow>) Key::Message(_) => message(index: u64) Key::Message(index);
    Crl(CrlRow) Key::Crl(_) => crl(issuer_key: &[u8; 32]) Key::Crl(*issuer_key);
    Revoked(RevokedRow) Key::Revoked(..) => revoked(issuer_key: &[u8; 32], serial: &[u8]) Key::Revoked(*issuer_key, serial.to_vec());
    Directory(Box<DirectoryRow>) Key::Directory => directory() Key::Directory;
    Head(HeadRow) Key::Head(_) => head(size: u64) Key::Head(size);
    Quota(QuotaRow) Key::Quota(_) => quota(sender: &Address) Key::Quota(sender.clone());
    Access(AccessRow) Key::Access(_) => access(auditor: &Address) Key::Access(auditor.clone());
    Grants(GrantsRow) Key::Grants(_) => grants(sender: &Address) Key::Grants(sender.clone());
    Group(Box<GroupRow>) Key::Group(_) => group(group: &Address) Key::Group(group.clone());
    Held(Box<HeldRow>) Key::Held(_) => held(index: u64) Key::Held(index);
    Permission(Box<PermissionRow>) Key::Permission(_) => permission(digest: &[u8; 32]) Key::Permission(*digest);
    Advice(AdviceRow) Key::Advice(..) => advice(told: &Address, seq: u64) Key::Advice(told.clone(), seq);
}

/// The durable state: rows, their digest, and what waits in each mailbox by urgency.
///
/// Message rows count in the digest and are not kept: nothing ever changes one, no rule reads one, and slots 6 and 7 of
/// the entry, which outlive a purge, say the same. So memory grows with what waits in mailboxes, not with the log.
#[derive(Clone, Debug, Default)]
pub struct State {
    rows: BTreeMap<Key, Row>,
    /// The rows that are asked for together.
    members: BTreeMap<Address, Together>,
    digest: Digest,
    /// The part of the digest that the message rows make.
    messages: Digest,
    /// Keys written since the last [`State::take_changed`]; `None` when nobody asks for them.
    changed: Option<BTreeSet<Key>>,
    /// Available messages of each mailbox, most urgent first. Follows from the place rows; not in the digest.
    waiting: BTreeMap<Address, BTreeSet<(u8, u64)>>,
    /// (end, index, mailbox, number) of everything available. Follows from the place rows; not in the digest.
    expiring: BTreeSet<(u64, u64, Address, u64)>,
    /// (when, index, mailbox, number) of what is not acknowledged, and by when the next is told. Follows from the place rows; not in
    /// the digest.
    escalating: BTreeSet<(u64, u64, Address, u64)>,
    /// Entries of the messages that wait for somebody's word. Follows from the held rows; not in the digest.
    holding: BTreeMap<Address, BTreeSet<u64>>,
    /// Permissions by who gave and who was given them. Follows from the permission rows; not in the digest.
    permitted: BTreeMap<Address, BTreeSet<[u8; 32]>>,
    /// The roots that genesis names. Not in the digest: the network's row names the genesis.
    anchors: Option<Arc<Anchors>>,
}

impl Rows for State {
    fn row(&self, key: &Key) -> Option<&Row> {
        match Together::of(key) {
            Some(address) => self.members.get(address)?.row(key),
            None => self.rows.get(key),
        }
    }

    fn member(&self, address: &Address) -> Member<'_> {
        let Some(rows) = self.members.get(address) else { return Member::default() };
        Member {
            participant: rows.participant.as_ref().and_then(|row| if let Row::Participant(row) = row { Some(&**row) } else { None }),
            keys: rows.keys.as_ref().and_then(|row| if let Row::Keys(row) = row { Some(row) } else { None }),
            mailbox: rows.mailbox.as_ref().and_then(|row| if let Row::Mailbox(row) = row { Some(row) } else { None }),
        }
    }

    fn anchors(&self) -> Option<&Anchors> {
        self.anchors.as_deref()
    }
}

impl State {
    /// The digest over all rows: a sum, so the order of writing does not matter.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.digest.bytes()
    }

    /// The part of [`State::digest`] that the message rows make.
    #[must_use]
    pub fn messages_digest(&self) -> [u8; 32] {
        self.messages.bytes()
    }

    /// From now on the keys of rows that are written are noted for [`State::take_changed`].
    pub fn note_changed(&mut self) {
        self.changed.get_or_insert_default();
    }

    /// As if every row had been written since the last call.
    pub fn note_all_changed(&mut self) {
        self.changed = Some(self.rows().map(|(key, _)| key).collect());
    }

    /// The rows written since the last call, under their encoded keys; empty unless [`State::note_changed`] was called.
    pub fn take_changed(&mut self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let changed = self.changed.as_mut().map(std::mem::take).unwrap_or_default();
        changed.iter().filter_map(|key| Some((key.encode(), self.row(key)?.encode()))).collect()
    }

    /// All rows but message rows, each once.
    pub fn rows(&self) -> impl Iterator<Item = (Key, &Row)> {
        let members = self.members.iter().flat_map(|(address, rows)| rows.rows(address));
        members.chain(self.rows.iter().map(|(key, row)| (key.clone(), row)))
    }

    /// Mailbox numbers of the messages that wait for `address`, most urgent first, then oldest.
    pub fn waiting(&self, address: &Address) -> impl Iterator<Item = u64> + '_ {
        self.waiting.get(address).into_iter().flatten().map(|(_, seq)| *seq)
    }

    /// How many messages wait in each mailbox that has ever had one.
    pub fn mailbox_depths(&self) -> impl Iterator<Item = usize> + '_ {
        self.waiting.values().map(BTreeSet::len)
    }

    /// Index, mailbox and number of what is available though its end has passed at `now`, by end.
    pub fn expiring(&self, now: envelope::Timestamp) -> impl Iterator<Item = (u64, Address, u64)> + '_ {
        let due = self.expiring.iter().take_while(move |(end, ..)| *end <= now.ms());
        due.map(|(_, index, address, seq)| (*index, address.clone(), *seq))
    }

    /// Index, mailbox and number of what is not acknowledged though somebody was to be told of it by `now`, longest first.
    pub fn escalating(&self, now: envelope::Timestamp) -> impl Iterator<Item = (u64, Address, u64)> + '_ {
        let due = self.escalating.iter().take_while(move |(when, ..)| *when <= now.ms());
        due.map(|(_, index, address, seq)| (*index, address.clone(), *seq))
    }

    /// Entries of what somebody was told behind a number, in order.
    pub fn advices<'a>(&'a self, told: &'a Address, after: u64) -> impl Iterator<Item = (u64, u64)> + 'a {
        let first = Key::Advice(told.clone(), after.saturating_add(1));
        self.rows.range(first..).map_while(move |(key, row)| match (key, row) {
            (Key::Advice(address, seq), Row::Advice(row)) if address == told => Some((*seq, row.index)),
            _ => None,
        })
    }

    /// The messages in a mailbox from a number on, in order.
    pub fn places(&self, address: &Address, from: u64) -> impl Iterator<Item = (u64, &PlaceRow)> {
        let first = Key::Place(address.clone(), from);
        let owner = address.clone();
        self.rows.range(first..).map_while(move |(key, row)| match (key, row) {
            (Key::Place(address, seq), Row::Place(place)) if *address == owner => Some((*seq, place)),
            _ => None,
        })
    }

    /// The series of a sender: year, series, numbers used.
    pub fn all_series(&self, sender: &Address) -> impl Iterator<Item = (u32, u32, &SeriesRow)> {
        let first = Key::Series(sender.clone(), 0, 0);
        let owner = sender.clone();
        self.rows.range(first..).map_while(move |(key, row)| match (key, row) {
            (Key::Series(sender, year, series), Row::Series(used)) if *sender == owner => Some((*year, *series, used)),
            _ => None,
        })
    }

    /// Ids of the enrolled identity keys, in order.
    pub fn identity_keys(&self) -> impl Iterator<Item = &[u8; 32]> {
        self.rows.range(Key::Identity([0; 32])..).map_while(|(key, _)| match key {
            Key::Identity(id) => Some(id),
            _ => None,
        })
    }

    /// The groups, the last address first.
    pub fn groups(&self) -> impl Iterator<Item = (&Address, &GroupRow)> {
        // Held messages stand behind them.
        self.rows.range(..Key::Held(0)).rev().map_while(|(key, row)| match (key, row) {
            (Key::Group(address), Row::Group(row)) => Some((address, &**row)),
            _ => None,
        })
    }

    /// Messages that are held for somebody to release: the index of each entry, oldest first.
    pub fn held_by<'a>(&'a self, holder: &'a Address) -> impl Iterator<Item = (u64, &'a HeldRow)> {
        self.holding.get(holder).into_iter().flatten().filter_map(|index| Some((*index, &**self.held(*index)?)))
    }

    /// All messages that are or were held, by the index of their entries.
    pub fn all_held(&self) -> impl Iterator<Item = (u64, &HeldRow)> {
        self.rows.range(Key::Held(0)..).map_while(|(key, row)| match (key, row) {
            (Key::Held(index), Row::Held(row)) => Some((*index, &**row)),
            _ => None,
        })
    }

    /// Permissions that `who` gave or was given, in the order of their digests.
    pub fn permissions_of<'a>(&'a self, who: &'a Address) -> impl Iterator<Item = &'a PermissionRow> {
        self.permitted.get(who).into_iter().flatten().filter_map(|digest| self.permission(digest).map(|row| &**row))
    }

    /// Everybody who was ever enrolled, in order.
    pub fn all_participants(&self) -> impl Iterator<Item = &Address> {
        self.members.iter().filter(|(_, rows)| rows.participant.is_some()).map(|(address, _)| address)
    }

    /// Enrolled addresses from one on, in order.
    pub fn participants(&self, from: &Address) -> impl Iterator<Item = &Address> {
        self.members.range(from.clone()..).filter(|(_, rows)| rows.participant.is_some()).map(|(address, _)| address)
    }

    /// Writes one row.
    pub fn set(&mut self, key: Key, row: Row) {
        let key_bytes = key.encode();
        let row_bytes = row.encode();
        self.digest.add(&key_bytes, &row_bytes);
        if matches!(key, Key::Message(_)) {
            return self.messages.add(&key_bytes, &row_bytes);
        }
        self.note_waiting(&key, &row);
        if let Some(changed) = &mut self.changed {
            changed.insert(key.clone());
        }
        let old = match Together::of(&key) {
            Some(address) => self.members.entry(address.clone()).or_default().set(&key, row),
            None => self.rows.insert(key, row),
        };
        if let Some(old) = old {
            self.digest.remove(&key_bytes, &old.encode());
        }
    }

    /// Takes over a batch whose entries are durable.
    pub fn fold(&mut self, changes: Changes) {
        for (key, row) in changes.rows {
            self.set(key, row);
        }
        if changes.anchors.is_some() {
            self.anchors = changes.anchors;
        }
    }

    /// The roots, for a state that was not made from its genesis entry.
    pub(crate) fn set_anchors(&mut self, anchors: Anchors) {
        self.anchors = Some(Arc::new(anchors));
    }

    /// Takes back the sum of message rows that are not kept.
    pub(crate) fn add_messages(&mut self, sum: &[u8; 32]) {
        self.messages.add_sum(sum);
        self.digest.add_sum(sum);
    }

    fn note_held(&mut self, index: u64, row: &HeldRow) {
        let Ok(holder) = Address::parse(&row.held_by) else { return };
        let set = self.holding.entry(holder.clone()).or_default();
        // Of the whole message: number 0 of the holder's mailbox is no message's.
        let end = (row.expires_ms, index, holder, 0);
        if row.state() == v1::RecipientState::Held {
            set.insert(index);
            self.expiring.insert(end);
        } else {
            set.remove(&index);
            self.expiring.remove(&end);
        }
    }

    fn note_waiting(&mut self, key: &Key, row: &Row) {
        if let (Key::Held(index), Row::Held(row)) = (key, row) {
            return self.note_held(*index, row);
        }
        if let (Key::Permission(digest), Row::Permission(row)) = (key, row) {
            for who in [&row.issuer, &row.subject].into_iter().filter_map(|text| Address::parse(text).ok()) {
                self.permitted.entry(who).or_default().insert(*digest);
            }
            return;
        }
        let (Key::Place(address, seq), Row::Place(place)) = (key, row) else { return };
        // FLASH (3) comes first.
        let rank = (u8::MAX - place.priority.clamp(0, 9) as u8, *seq);
        let end = (place.expires_ms, place.index, address.clone(), *seq);
        let set = self.waiting.entry(address.clone()).or_default();
        if place.state() == v1::RecipientState::Available {
            set.insert(rank);
            self.expiring.insert(end);
        } else {
            set.remove(&rank);
            self.expiring.remove(&end);
        }
        for told in 0..STEPS {
            if let Some((when, _)) = tells_at(place, told) {
                self.escalating.remove(&(when, place.index, address.clone(), *seq));
            }
        }
        let open = matches!(place.state(), v1::RecipientState::Available | v1::RecipientState::Delivered);
        if let Some((when, _)) = tells_at(place, place.told).filter(|_| open) {
            self.escalating.insert((when, place.index, address.clone(), *seq));
        }
    }
}

/// When somebody is to be told that a message is not acknowledged, after so many were; and who.
pub(crate) fn tells_at(place: &PlaceRow, told: u32) -> Option<(u64, Step)> {
    Step::next(place.escalation(), told).map(|(step, after_ms)| (place.available_ms.saturating_add(after_ms), step))
}

/// So many are told of one message at most.
const STEPS: u32 = 2;

/// Rows that a batch has written.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    rows: BTreeMap<Key, Row>,
    anchors: Option<Arc<Anchors>>,
}

/// Rows over a state: what a batch sees of itself before it is durable. Dropping it leaves no trace.
#[derive(Debug)]
pub struct Overlay<'a> {
    base: &'a State,
    changes: BTreeMap<Key, Row>,
    anchors: Option<Arc<Anchors>>,
}

impl Rows for Overlay<'_> {
    fn row(&self, key: &Key) -> Option<&Row> {
        self.changes.get(key).or_else(|| self.base.row(key))
    }

    fn member(&self, address: &Address) -> Member<'_> {
        let base = self.base.member(address);
        if self.changes.is_empty() {
            return base;
        }
        let changed = |key: Key| self.changes.get(&key);
        Member {
            participant: match changed(Key::Participant(address.clone())) {
                Some(Row::Participant(row)) => Some(row),
                _ => base.participant,
            },
            keys: match changed(Key::Keys(address.clone())) {
                Some(Row::Keys(row)) => Some(row),
                _ => base.keys,
            },
            mailbox: match changed(Key::Mailbox(address.clone())) {
                Some(Row::Mailbox(row)) => Some(row),
                _ => base.mailbox,
            },
        }
    }

    fn anchors(&self) -> Option<&Anchors> {
        self.anchors.as_deref().or_else(|| self.base.anchors())
    }
}

impl<'a> Overlay<'a> {
    /// An empty overlay.
    #[must_use]
    pub fn new(base: &'a State) -> Self {
        Self { base, changes: BTreeMap::new(), anchors: None }
    }

    /// Writes one row.
    pub fn set(&mut self, key: Key, row: Row) {
        self.changes.insert(key, row);
    }

    /// The roots that a genesis names.
    pub(crate) fn set_anchors(&mut self, anchors: Anchors) {
        self.anchors = Some(Arc::new(anchors));
    }

    /// The digest that the state will have when this is folded in.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut digest = self.base.digest.clone();
        for (key, row) in &self.changes {
            let key_bytes = key.encode();
            if let Some(old) = self.base.row(key) {
                digest.remove(&key_bytes, &old.encode());
            }
            digest.add(&key_bytes, &row.encode());
        }
        digest.bytes()
    }

    /// What was written.
    #[must_use]
    pub fn into_changes(self) -> Changes {
        Changes { rows: self.changes, anchors: self.anchors }
    }
}
