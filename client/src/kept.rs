//! What this profile keeps of a message, sent or received: its number, id, header and stub, as its receipt or delivery shows them.
//!
//! It reads the store and asks nobody. It does not know what a message says.

use bytes::Bytes;
use envelope::header::{Context, Header};
use envelope::{Receipt, Reference};
use exchange::Earlier;
use prost::Message as _;
use proto::v1;

use crate::client::Client;
use crate::error::Error;
use crate::send::SentRow;
use crate::store::Table;

impl Client {
    /// The number of a message, received or sent, by its id.
    pub(crate) fn reference_of_message(&self, id: &[u8; 32]) -> Result<Option<Reference>, Error> {
        if let Some(message) = self.inbox()?.into_iter().find(|message| message.message_id == *id) {
            return Ok(Some(message.reference));
        }
        for (reference, row) in self.profile.store().rows(Table::Sent)? {
            let row: SentRow = serde_json::from_slice(&row).map_err(|_| Error::Row("sent"))?;
            if row.message_id == *id {
                return Ok(std::str::from_utf8(&reference).ok().and_then(|text| text.parse().ok()));
            }
        }
        Ok(None)
    }

    /// The id of a message that is in this profile, sent or received.
    pub(crate) fn message_id_of(&self, reference: &Reference) -> Result<[u8; 32], Error> {
        if let Some(row) = self.profile.store().get(Table::Sent, reference.to_string().as_bytes())? {
            let row: SentRow = serde_json::from_slice(&row).map_err(|_| Error::Row("sent"))?;
            return Ok(row.message_id);
        }
        Ok(self.facts_of(reference)?.message_id)
    }

    /// The message that a context names as target or parent, as far as this profile has it.
    pub(crate) fn earlier_of(&self, context: &Context) -> Result<Option<Earlier>, Error> {
        let Some(id) = exchange::earlier::named(context) else { return Ok(None) };
        let Some(reference) = self.reference_of_message(id)? else { return Ok(None) };
        let header = self.header_of(&reference)?;
        let stub = self.stub_of(&reference)?;
        // Who of the others has got a held message by now is not known here.
        if !stub.held_by.is_empty() {
            return Ok(None);
        }
        Ok(Earlier::of_stub(&stub, header.context.recipients, Vec::new()))
    }

    /// The stub of a message that is in this profile, as its receipt proves it.
    fn stub_of(&self, reference: &Reference) -> Result<v1::Stub, Error> {
        let receipt = if reference.sender == *self.address() {
            std::fs::read(self.profile.receipt_path(reference)).map_err(|_| Error::NotHere(reference.clone()))?
        } else {
            let seq = self.facts_of(reference)?.mailbox_seq;
            let row = self.profile.store().get_number(Table::Inbox, seq)?.ok_or(Error::Row("inbox"))?;
            v1::Delivery::decode(row.as_slice()).map_err(|_| Error::Row("inbox"))?.receipt.to_vec()
        };
        let proven = Receipt::decode(&receipt)?.verify(self.profile.log())?;
        let stub = proven.slot(STUB_TAG, 0).and_then(|bytes| v1::Stub::decode(bytes.as_ref()).ok());
        stub.ok_or_else(|| Error::unsound("the receipt shows no stub"))
    }

    /// The header of a message that is in this profile: as its receipt proves it, or as it was delivered.
    ///
    /// # Errors
    /// [`Error::NotHere`].
    pub fn header_of(&self, reference: &Reference) -> Result<Header, Error> {
        let read = |bytes: &Bytes| Header::parse(bytes, self.profile.network()).map_err(Error::unsound);
        if reference.sender == *self.address() {
            let receipt = std::fs::read(self.profile.receipt_path(reference)).map_err(|_| Error::NotHere(reference.clone()))?;
            let proven = Receipt::decode(&receipt)?.verify(self.profile.log())?;
            return read(proven.slot(1, 0).ok_or_else(|| Error::unsound("the receipt shows no header"))?);
        }
        let seq = self.facts_of(reference)?.mailbox_seq;
        let row = self.profile.store().get_number(Table::Inbox, seq)?.ok_or(Error::Row("inbox"))?;
        let delivery = v1::Delivery::decode(row.as_slice()).map_err(|_| Error::Row("inbox"))?;
        read(&delivery.signed.ok_or(Error::Row("inbox"))?.header)
    }
}

/// Slot 6 of a MESSAGE: what stays of it.
pub(crate) const STUB_TAG: u16 = 6;
