//! What became of one's own messages: still in the outbox, in the ledger, or never sent.
//!
//! A message that will never be sent leaves an outcome, durable in the commit that takes it out of the outbox, so that
//! nothing that was called kept can vanish unsaid. It does not know how an outcome looks to a person.

use std::fmt;

use envelope::header::Header;
use envelope::{Reference, Timestamp};
use proto::v1::{self, Kind};
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::clock;
use crate::error::Error;
use crate::outbox::Id;
use crate::send::{Sent, SentRow};
use crate::store::{Table, Write};

/// A message that was kept in the outbox and will never be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    id: Id,
    /// Its number then; a later message may have taken it.
    pub reference: Option<Reference>,
    /// Why.
    pub end: End,
    /// When it left the outbox.
    pub at: Timestamp,
}

/// Why a message will never be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// Refused for good.
    Refused {
        /// The refusal's name.
        name: String,
        /// What was said about it.
        text: String,
    },
    /// Its end came first.
    Expired,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { name, text } => write!(f, "refused {name}: {text}"),
            Self::Expired => f.write_str("expired before it was sent"),
        }
    }
}

/// Where a number of one's own stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// Its message is in the outbox.
    Queued,
    /// Its message is gone; the VOID that closes it is in the outbox.
    Closing,
    /// The ledger holds it.
    Ledger {
        /// It is a VOID, and no message.
        void: bool,
        /// What became of it at each recipient.
        recipients: Vec<v1::RecipientStatus>,
    },
}

/// As the store keeps an outcome, by the outbox's id.
#[derive(Serialize, Deserialize)]
struct OutcomeRow {
    reference: Option<String>,
    end: End,
    at_ms: u64,
    told: bool,
}

/// The row of a message that leaves the outbox now.
pub(crate) fn outcome_row(id: Id, reference: Option<&Reference>, end: End) -> Result<Write, Error> {
    let row = OutcomeRow { reference: reference.map(ToString::to_string), end, at_ms: clock::now().ms(), told: false };
    row.write(id)
}

impl OutcomeRow {
    fn write(&self, id: Id) -> Result<Write, Error> {
        Ok(Write::number(Table::Notices, id, serde_json::to_vec(self).map_err(|_| Error::Row("notices"))?))
    }
}

impl Client {
    /// Notices that nobody has been told yet.
    ///
    /// # Errors
    /// [`Error::Store`] or [`Error::Row`].
    pub fn news(&self) -> Result<Vec<Outcome>, Error> {
        self.outcomes(|row| !row.told)
    }

    /// Notices about a number, oldest first.
    ///
    /// # Errors
    /// As [`Client::news`].
    pub fn outcomes_of(&self, reference: &Reference) -> Result<Vec<Outcome>, Error> {
        let wanted = reference.to_string();
        self.outcomes(|row| row.reference.as_deref() == Some(&wanted))
    }

    /// These notices have been told; they are kept all the same.
    ///
    /// # Errors
    /// As [`Client::news`].
    pub fn told(&self, outcomes: &[Outcome]) -> Result<(), Error> {
        outcomes.iter().try_for_each(|outcome| self.told_of(outcome.id))
    }

    pub(crate) fn told_of(&self, id: Id) -> Result<(), Error> {
        let Some(row) = self.profile.store().get_number(Table::Notices, id)? else { return Ok(()) };
        let row: OutcomeRow = serde_json::from_slice(&row).map_err(|_| Error::Row("notices"))?;
        self.profile.store().commit(&[OutcomeRow { told: true, ..row }.write(id)?])
    }

    /// Messages that went out beside the one of the last [`Client::send`].
    #[must_use]
    pub fn sent_beside(&self) -> &[Sent] {
        &self.sent_beside
    }

    fn outcomes(&self, wanted: impl Fn(&OutcomeRow) -> bool) -> Result<Vec<Outcome>, Error> {
        let malformed = || Error::Row("notices");
        let mut outcomes = Vec::new();
        for (id, row) in self.profile.store().numbered(Table::Notices)? {
            let row: OutcomeRow = serde_json::from_slice(&row).map_err(|_| malformed())?;
            if !wanted(&row) {
                continue;
            }
            let reference = row.reference.map(|text| text.parse().map_err(|_| malformed())).transpose()?;
            outcomes.push(Outcome { id, reference, end: row.end, at: Timestamp(row.at_ms) });
        }
        Ok(outcomes)
    }

    /// What this profile alone knows of a number.
    #[must_use]
    pub fn standing_here(&self, reference: &Reference) -> Option<Standing> {
        let is_it = |id: &Id| self.reference_of(*id).as_ref() == Some(reference);
        let item = self.outbox.items().values().find(|item| is_it(&item.id))?;
        Some(if item.void { Standing::Closing } else { Standing::Queued })
    }

    /// Whether this profile put a VOID under a number.
    ///
    /// # Errors
    /// As [`Client::news`].
    pub fn is_void_here(&self, reference: &Reference) -> Result<bool, Error> {
        let Some(row) = self.profile.store().get(Table::Sent, reference.to_string().as_bytes())? else { return Ok(false) };
        let row: SentRow = serde_json::from_slice(&row).map_err(|_| Error::Row("sent"))?;
        Ok(row.void)
    }

    /// Where a number stands, by the outbox or else by the gateway.
    ///
    /// # Errors
    /// [`Error::NotHere`] when the gateway has nothing under this reference, or it is another sender's.
    pub async fn standing(&mut self, reference: &Reference) -> Result<Standing, Error> {
        if let Some(standing) = self.standing_here(reference) {
            return Ok(standing);
        }
        if reference.sender != *self.address() {
            return Err(Error::NotHere(reference.clone()));
        }
        let (year, series, number) = (reference.year, reference.series, reference.number);
        let answer = match self.messages()?.status(v1::StatusRequest { year, series, number }).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => return Err(self.failed(&status).await),
        };
        if !answer.known {
            return Err(Error::NotHere(reference.clone()));
        }
        let proven = self.proven_message(&answer.receipt, &answer.message_id).await?;
        let header = proven.slot(1, 0).and_then(|bytes| Header::parse(bytes, self.profile.network()).ok());
        let void = header.is_some_and(|header| header.context.kind == Kind::Void);
        Ok(Standing::Ledger { void, recipients: answer.recipients })
    }

    /// What became of one's own message at each recipient; nothing while it is in the outbox.
    ///
    /// # Errors
    /// As [`Client::standing`].
    pub async fn status(&mut self, reference: &Reference) -> Result<Vec<v1::RecipientStatus>, Error> {
        match self.standing(reference).await? {
            Standing::Ledger { recipients, .. } => Ok(recipients),
            Standing::Queued | Standing::Closing => Ok(Vec::new()),
        }
    }
}
