//! A message of the ledger that another one names as its target or parent: what the rules ask of it.
//!
//! Read from what stays of an entry after a purge: stub and places. The state does not keep it, so that memory does not grow with
//! the log; whoever judges looks it up: a gateway in its ledger, an auditor among the entries that it has read.

use std::collections::BTreeMap;

use envelope::Address;
use envelope::entry::MessageEntry;
use envelope::header::Context;
use proto::v1::Handling;

/// What is known of a message that another one names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// Who sent it.
    pub sender: Address,
    /// Who got it, or was to get it.
    pub recipients: Vec<Address>,
    /// It is not to be passed on without its sender's permission (H2).
    pub bound: bool,
}

impl Earlier {
    /// What an entry says of itself; `None` when its addresses are none.
    #[must_use]
    pub fn of(entry: &MessageEntry) -> Option<Self> {
        let recipients = entry.places.iter().map(|place| Address::parse(&place.address)).collect::<Result<_, _>>().ok()?;
        let sender = Address::parse(&entry.stub.sender).ok()?;
        Some(Self { sender, recipients, bound: entry.stub.handling() == Handling::H2 })
    }

    /// What a message says of itself, for who holds its header.
    #[must_use]
    pub fn of_context(context: &Context) -> Self {
        let (sender, recipients) = (context.reference.sender.clone(), context.recipients.clone());
        Self { sender, recipients, bound: context.handling == Handling::H2 }
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

/// As [`Earlier`], with numbers for addresses.
#[derive(Clone, Debug)]
struct Noted {
    sender: u32,
    recipients: Box<[u32]>,
    bound: bool,
}

impl Read {
    pub(crate) fn note(&mut self, entry: &MessageEntry) {
        let (Some(earlier), Ok(id)) = (Earlier::of(entry), entry.stub.message_id.as_ref().try_into()) else { return };
        let sender = self.number(&earlier.sender);
        let recipients = earlier.recipients.iter().map(|address| self.number(address)).collect();
        self.messages.insert(id, Noted { sender, recipients, bound: earlier.bound });
    }

    pub(crate) fn get(&self, id: &[u8; 32]) -> Option<Earlier> {
        let noted = self.messages.get(id)?;
        let address = |number: &u32| self.addresses.get(*number as usize).cloned();
        let recipients = noted.recipients.iter().map(address).collect::<Option<_>>()?;
        Some(Earlier { sender: address(&noted.sender)?, recipients, bound: noted.bound })
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
