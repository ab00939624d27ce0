//! What the gateway has told this member about messages: which of its own nobody took, and which somebody below it has not seen in
//! time. Each is kept with its receipt, which proves it to anybody.
//!
//! It does not know what a person does about it.

use std::path::PathBuf;

use envelope::receipt::Proven;
use envelope::{Address, Position, Receipt, Reference, Timestamp};
use exchange::clocks::Step;
use prost::Message as _;
use proto::v1::{self, AdviceKind, EntryKind, Priority};

use crate::client::Client;
use crate::error::Error;
use crate::files;
use crate::store::{Table, Write};

/// One advice, as its receipt proves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// What is told.
    pub kind: AdviceKind,
    /// Its number among those of this member, from 1.
    pub seq: u64,
    /// Where it stands in the log.
    pub position: Position,
    /// Ledger time.
    pub at: Timestamp,
    /// The message's number.
    pub reference: Reference,
    /// Id of the message.
    pub message_id: [u8; 32],
    /// How urgent the message is.
    pub priority: Priority,
    /// Who did not take it, or has not acknowledged it.
    pub recipients: Vec<Address>,
    /// When the message ended; or since when it waits for them.
    pub since: Timestamp,
    /// File with the receipt.
    pub receipt_path: PathBuf,
}

impl Client {
    /// What this member was told, in order.
    ///
    /// # Errors
    /// [`Error::Store`] or [`Error::Row`].
    pub fn advices(&self) -> Result<Vec<Advice>, Error> {
        self.advices_behind(0)
    }

    fn advices_behind(&self, seq: u64) -> Result<Vec<Advice>, Error> {
        let rows = self.profile.store().numbered_from(Table::Advices, seq.saturating_add(1))?;
        let read = |row: &[u8]| {
            let receipt = Receipt::decode(row)?;
            let (index, leaf, kind) = receipt.body()?;
            let slot = receipt.fields().slots.iter().find(|slot| (slot.tag, slot.sub) == (1, 0));
            self.read_advice(kind, Position::at(index), leaf.at, slot.map(|slot| slot.value.as_ref())).map_err(|_| Error::Row("advices"))
        };
        rows.iter().map(|(_, row)| read(row)).collect()
    }

    /// Those of which no person has been told.
    ///
    /// # Errors
    /// As [`Client::advices`].
    pub fn new_advices(&self) -> Result<Vec<Advice>, Error> {
        let told = match self.profile.store().get(Table::Meta, TOLD_KEY.as_bytes())? {
            Some(row) => u64::from_be_bytes(row.try_into().map_err(|_| Error::Row("meta"))?),
            None => 0,
        };
        self.advices_behind(told)
    }

    /// Of these a person has been told.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn told_advices(&self, advices: &[Advice]) -> Result<(), Error> {
        let Some(last) = advices.last() else { return Ok(()) };
        self.profile.store().commit(&[Write::text(Table::Meta, TOLD_KEY, last.seq.to_be_bytes())])
    }

    /// Number of the last one that is here.
    pub(crate) fn last_advice(&self) -> Result<u64, Error> {
        Ok(self.profile.store().last_number(Table::Advices)?.unwrap_or(0))
    }

    /// Verifies and keeps one; the text says what is unsound about it.
    pub(crate) async fn take_advice(&mut self, receipt: &[u8]) -> Result<Result<(), String>, Error> {
        let proven = match Receipt::decode(receipt).map_err(Error::from).and_then(|receipt| Ok(receipt.verify(self.profile.log())?)) {
            Ok(proven) => proven,
            Err(error) => return Ok(Err(format!("an advice: {error}"))),
        };
        let advice = match self.check_advice(&proven) {
            Ok(advice) => advice,
            Err(text) => return Ok(Err(format!("an advice at entry {}: {text}", proven.position.index))),
        };
        let last = self.last_advice()?;
        if advice.seq <= last {
            return Ok(Ok(()));
        }
        if advice.seq != last + 1 {
            return Ok(Err(format!("advice {} of this member came, and {} is the last that did", advice.seq, last)));
        }
        self.witness_receipt(receipt).await?;
        files::replace(&advice.receipt_path, receipt)?;
        self.profile.store().commit(&[Write::number(Table::Advices, advice.seq, receipt)])?;
        Ok(Ok(()))
    }

    /// It is for this member, and by the rules this member is whom to tell.
    fn check_advice(&self, proven: &Proven) -> Result<Advice, String> {
        let slot = proven.slot(1, 0).map(|value| value.as_ref());
        let advice = self.read_advice(proven.kind, proven.position, proven.leaf.at, slot)?;
        let me = self.profile.address();
        let concerns = |recipient: &Address| [Step::Bureau, Step::Centre].iter().any(|step| step.told(recipient).as_ref() == Some(me));
        let right = match advice.kind {
            AdviceKind::NotDelivered => advice.reference.sender == *me && advice.since <= advice.at,
            AdviceKind::NotAcknowledged => advice.recipients.iter().all(concerns),
            AdviceKind::Unspecified => false,
        };
        if right { Ok(advice) } else { Err("by the rules it is not for this member".to_owned()) }
    }

    fn read_advice(&self, kind: EntryKind, position: Position, at: Timestamp, slot: Option<&[u8]>) -> Result<Advice, String> {
        let malformed = || "it is malformed".to_owned();
        if kind != EntryKind::Advice {
            return Err("it is an entry of another kind".to_owned());
        }
        let said = v1::Advice::decode(slot.unwrap_or_default()).map_err(|_| malformed())?;
        if said.told != self.profile.address().as_str() {
            return Err("it is for somebody else".to_owned());
        }
        let sender = Address::parse(&said.sender).map_err(|_| malformed())?;
        let recipients: Vec<Address> =
            said.recipients.iter().map(|text| Address::parse(text)).collect::<Result<_, _>>().map_err(|_| malformed())?;
        if recipients.is_empty() {
            return Err(malformed());
        }
        Ok(Advice {
            kind: said.kind(),
            seq: said.seq,
            position,
            at,
            reference: Reference { sender, year: said.year, series: said.series, number: said.number },
            message_id: said.message_id.as_ref().try_into().map_err(|_| malformed())?,
            priority: said.priority(),
            recipients,
            since: Timestamp(said.since_ms),
            receipt_path: self.profile.advice_path(said.seq),
        })
    }
}

const TOLD_KEY: &str = "advices_told";
