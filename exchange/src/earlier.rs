//! A message of the ledger that another one names as its target or parent: what the rules ask of it.
//!
//! Read from what stays of an entry after a purge: stub and places. The state does not keep it, so that memory does not grow with
//! the log; whoever judges looks it up: a gateway in its ledger, an auditor among the entries that it has read.

use std::collections::BTreeMap;

use envelope::Address;
use envelope::entry::MessageEntry;
use envelope::header::Context;
use proto::v1::{self, Handling, HeldRow, RecipientState};

/// What is known of a message that another one names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// Who sent it.
    pub sender: Address,
    /// Who got it: everybody but those from whom it is held, or was kept.
    pub got: Vec<Address>,
    /// From whom it is held, or was kept.
    pub kept_from: Vec<Address>,
    /// Sender and id of the message that was bound by H2 first: its own, or of what it passes on; `None` when nothing binds it.
    pub origin: Option<(Address, [u8; 32])>,
    /// Its retention class, which its kind decided.
    pub retention: u32,
}

impl Earlier {
    /// What an entry says of itself; `held` is the row of its hold, if it was held. `None` when its addresses are none.
    #[must_use]
    pub fn of(entry: &MessageEntry, held: Option<&HeldRow>) -> Option<Self> {
        let address = |place: &v1::Place| Address::parse(&place.address).ok();
        let released = held.is_some_and(|row| row.state() == RecipientState::Available);
        let (got, kept): (Vec<_>, Vec<_>) = entry.places.iter().partition(|place| place.mailbox_seq > 0 || released);
        let [got, kept] = [got, kept].map(|places| places.into_iter().map(address).collect::<Option<Vec<_>>>());
        Self::of_stub(&entry.stub, got?, kept?)
    }

    /// What a stub says of its message, which these got.
    #[must_use]
    pub fn of_stub(stub: &v1::Stub, got: Vec<Address>, kept_from: Vec<Address>) -> Option<Self> {
        let sender = Address::parse(&stub.sender).ok()?;
        let origin = if !stub.origin_sender.is_empty() {
            Some((Address::parse(&stub.origin_sender).ok()?, stub.origin_id.as_ref().try_into().ok()?))
        } else if stub.handling() == Handling::H2 {
            Some((sender.clone(), stub.message_id.as_ref().try_into().ok()?))
        } else {
            None
        };
        Some(Self { sender, got, kept_from, origin, retention: stub.retention_class })
    }
}

/// The message that this one names, by id.
#[must_use]
pub fn named(context: &Context) -> Option<&[u8; 32]> {
    context.target.as_ref().or(context.parent.as_ref())
}

/// Messages that were read, for one who reads a whole log: their addresses are shared, and each costs about a hundred bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Read {
    messages: BTreeMap<[u8; 32], Noted>,
    addresses: Vec<Address>,
    numbers: BTreeMap<Address, u32>,
}

/// What is left of a message: its stub and, with numbers for addresses, its places.
#[derive(Clone, Debug)]
struct Noted {
    index: u64,
    sender: u32,
    year: u32,
    series: u32,
    number: u64,
    priority: i32,
    expires_ms: u64,
    /// Of each recipient: whether it was placed at once.
    recipients: Box<[(u32, bool)]>,
    origin: Option<(u32, [u8; 32])>,
    retention: u32,
}

impl Read {
    pub(crate) fn note(&mut self, index: u64, entry: &MessageEntry) {
        let (Some(earlier), Ok(id)) = (Earlier::of(entry, None), entry.stub.message_id.as_ref().try_into()) else { return };
        let sender = self.number(&earlier.sender);
        let got = earlier.got.iter().map(|address| (self.number(address), true)).collect::<Vec<_>>();
        let kept = earlier.kept_from.iter().map(|address| (self.number(address), false)).collect::<Vec<_>>();
        let origin = earlier.origin.map(|(origin, id)| (self.number(&origin), id));
        let recipients = got.into_iter().chain(kept).collect();
        let &v1::Stub { year, series, number, priority, expires_ms, .. } = &entry.stub;
        let retention = earlier.retention;
        self.messages.insert(id, Noted { index, sender, year, series, number, priority, expires_ms, recipients, origin, retention });
    }

    /// `released`: whether the message at this index was held, and is released by now.
    pub(crate) fn get(&self, id: &[u8; 32], released: impl Fn(u64) -> bool) -> Option<Earlier> {
        let noted = self.messages.get(id)?;
        let address = |number: u32| self.addresses.get(number as usize).cloned();
        let all = released(noted.index);
        let (got, kept): (Vec<_>, Vec<_>) = noted.recipients.iter().partition(|(_, placed)| *placed || all);
        let [got, kept_from] = [got, kept].map(|some| some.into_iter().map(|(number, _)| address(number)).collect::<Option<Vec<_>>>());
        let origin = match noted.origin {
            Some((number, id)) => Some((address(number)?, id)),
            None => None,
        };
        Some(Earlier { sender: address(noted.sender)?, got: got?, kept_from: kept_from?, origin, retention: noted.retention })
    }

    /// As much of a message's stub as an advice says of it, and where the message stands.
    pub(crate) fn stub(&self, id: &[u8; 32]) -> Option<(u64, v1::Stub)> {
        let noted = self.messages.get(id)?;
        let &Noted { index, year, series, number, priority, expires_ms, .. } = noted;
        let sender = self.addresses.get(noted.sender as usize)?.to_string();
        let message_id = id.to_vec().into();
        Some((index, v1::Stub { sender, year, series, number, message_id, priority, expires_ms, ..v1::Stub::default() }))
    }

    fn number(&mut self, address: &Address) -> u32 {
        if let Some(number) = self.numbers.get(address) {
            return *number;
        }
        let number = self.addresses.len() as u32;
        self.addresses.push(address.clone());
        self.numbers.insert(address.clone(), number);
        number
    }
}
