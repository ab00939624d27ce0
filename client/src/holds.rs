//! Messages that wait for this member's word, and permissions that it gives: statements that it signs and the ledger keeps.
//!
//! It does not know what a rule makes of them; the exchange does.

use envelope::limits::PERMISSION_MAX_MS;
use envelope::{Address, Reference};
use exchange::state::Rows as _;
use proto::v1::{self, AuthorityKind, PermissionRow, ReleaseReason, ReleaseVerdict, StatementKind};

use crate::client::Client;
use crate::clock;
use crate::error::Error;
use crate::inbox::Received;
use crate::statements::Topic;
use crate::store::{Table, Write};

/// A permission that this member gave or was given.
#[derive(Clone, Debug, PartialEq)]
pub struct Permission {
    /// Digest of its statement: messages name it by this.
    pub digest: [u8; 32],
    /// What it says.
    pub row: PermissionRow,
}

/// What is permitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permit {
    /// Messages abroad without a copy to this bureau, for so many milliseconds.
    Waiver {
        /// How long.
        lifetime_ms: u64,
    },
    /// Passing a message on, to these alone or, when none is named, to anybody whom the rules allow.
    Onward {
        /// Which.
        message: Reference,
        /// To whom.
        recipients: Vec<Address>,
    },
    /// The deletion of a message.
    Countersignature {
        /// Which.
        message: Reference,
    },
}

impl Client {
    /// Messages of the inbox that nobody else gets before this member releases them, oldest first.
    ///
    /// # Errors
    /// [`Error::Store`] or [`Error::Row`].
    pub fn held(&self) -> Result<Vec<Received>, Error> {
        let open = |one: &Received| one.held_here && one.expires > clock::now() && !matches!(self.word_given(one), Ok(true));
        Ok(self.inbox()?.into_iter().filter(open).collect())
    }

    /// Ends the hold of a message: its recipients get it, or never will. Once said it stays said.
    ///
    /// # Errors
    /// [`Error::Argument`] when it is not held for this member; what the gateway refuses; [`Error::Unreachable`].
    pub async fn give_word(&mut self, reference: &Reference, verdict: ReleaseVerdict, reason: ReleaseReason) -> Result<(), Error> {
        let facts = self.facts_of(reference)?;
        if !facts.held_here {
            return Err(Error::Argument(format!("{reference} is not held for {}", self.address())));
        }
        // Nobody can have judged what does not open here.
        if verdict == ReleaseVerdict::Released {
            self.open(reference)?;
        }
        let topic = Topic::about(StatementKind::Release, &reference.sender);
        let build = |head| v1::Release {
            head: Some(head),
            message_id: facts.message_id.to_vec().into(),
            entry_index: facts.index,
            verdict: verdict.into(),
            reason: reason.into(),
        };
        let said = self.publish(topic, build, 0).await;
        // Said before, perhaps from another profile: it waits for no word any more.
        if said.is_ok() || said.as_ref().is_err_and(|error| error.name() == Some("NO_AUTHORITY")) {
            self.profile.store().commit(&[Write::text(Table::Meta, &word_key(&facts.message_id), [verdict as u8])])?;
        }
        said.map(drop)
    }

    fn word_given(&self, one: &Received) -> Result<bool, Error> {
        Ok(self.profile.store().get(Table::Meta, word_key(&one.message_id).as_bytes())?.is_some())
    }

    /// Gives somebody a permission; its digest is what messages name.
    ///
    /// # Errors
    /// [`Error::NotHere`] for a message that is not in this profile; what the gateway refuses; [`Error::Unreachable`].
    pub async fn permit(&mut self, subject: &Address, what: &Permit) -> Result<Permission, Error> {
        let id = |message: &Reference| Ok::<_, Error>(self.message_id_of(message)?.to_vec());
        let own = |message: &Reference| message.sender == *self.address() || message.sender.own_ncb().as_ref() == Some(self.address());
        if let Permit::Onward { message, .. } | Permit::Countersignature { message } = what
            && !own(message)
        {
            return Err(Error::Argument(format!(
                "{message} is {}'s: only who sent it, or the bureau above, can permit this",
                message.sender
            )));
        }
        let (kind, message_id, recipients, lifetime_ms) = match what {
            Permit::Waiver { lifetime_ms } => (AuthorityKind::Waiver, Vec::new(), Vec::new(), *lifetime_ms),
            Permit::Onward { message, recipients } => (AuthorityKind::OnwardGrant, id(message)?, names(recipients), PERMISSION_MAX_MS),
            Permit::Countersignature { message } => (AuthorityKind::Countersignature, id(message)?, Vec::new(), PERMISSION_MAX_MS),
        };
        let build = |head| v1::Permission {
            head: Some(head),
            kind: kind.into(),
            message_id: message_id.clone().into(),
            recipients: recipients.clone(),
        };
        let before: Vec<[u8; 32]> = self.permissions().iter().map(|one| one.digest).collect();
        self.publish(Topic::about(StatementKind::Permission, subject), build, lifetime_ms).await?;
        self.refresh_directory().await?;
        let given = |one: &Permission| {
            let of_it = one.row.kind() == kind && one.row.message_id == message_id && one.row.subject == subject.as_str();
            of_it && one.row.issuer == self.address().as_str() && !before.contains(&one.digest)
        };
        let shown = self.permissions().into_iter().find(given);
        shown.ok_or_else(|| Error::unsound("the gateway took the permission and does not show it"))
    }

    /// The permissions that this member gave or was given, in the order of the ledger; those that have ended, too.
    #[must_use]
    pub fn permissions(&self) -> Vec<Permission> {
        let mut all: Vec<Permission> = self.directory().permissions().collect();
        all.sort_by_key(|one| one.row.index);
        all
    }

    /// The reference of a message of this profile by its id, or the id itself; `None` when no message is named.
    #[must_use]
    pub fn message_named(&self, id: &[u8]) -> Option<String> {
        let id: [u8; 32] = id.try_into().ok()?;
        let reference = self.reference_of_message(&id).ok().flatten();
        Some(reference.map_or_else(|| format!("message {}", envelope::genesis::hex(&id)), |reference| reference.to_string()))
    }

    /// The permission whose digest begins with these hexadecimal digits.
    ///
    /// # Errors
    /// [`Error::Argument`] when it is none, or not one alone.
    pub fn permission(&self, beginning: &str) -> Result<Permission, Error> {
        let fits = |one: &Permission| envelope::genesis::hex(&one.digest).starts_with(&beginning.to_ascii_lowercase());
        let mut found = self.permissions().into_iter().filter(fits);
        match (found.next(), found.next()) {
            (Some(one), None) if beginning.len() >= DIGITS_MIN => Ok(one),
            (Some(_), _) => {
                Err(Error::Argument(format!("{beginning} is the beginning of several permissions, or too short: give more digits")))
            }
            _ => Err(Error::Argument(format!("{beginning} is no permission of {}: `ecowire permit list` shows them", self.address()))),
        }
    }

    /// Who of those to whom a deletion went has attested to it, and who has not yet: from what is here.
    ///
    /// # Errors
    /// [`Error::NotHere`] for a message that is not in this profile.
    pub fn attestations(&self, deletion: &Reference) -> Result<Vec<(Address, Option<Received>)>, Error> {
        let header = self.header_of(deletion)?;
        let inbox = self.inbox()?;
        let attests = |one: &&Received, by: &Address| {
            one.kind == v1::Kind::DeletionAttestation && one.target == Some(header.message_id) && one.from() == by && one.finding.is_none()
        };
        let of = |recipient: &Address| inbox.iter().find(|one| attests(one, recipient)).cloned();
        Ok(header.context.recipients.iter().map(|recipient| (recipient.clone(), of(recipient))).collect())
    }

    /// The corrections and deletions of a message that are here, oldest first; none that breaks a rule.
    ///
    /// # Errors
    /// What is wrong with the store.
    pub fn said_of(&self, reference: &Reference) -> Result<Vec<Received>, Error> {
        let id = match self.facts_of(reference) {
            Ok(facts) => facts.message_id,
            // A message of this member's own is in nobody else's word.
            Err(Error::NotHere(_)) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let changes = |one: &Received| {
            matches!(one.kind, v1::Kind::Correction | v1::Kind::Deletion) && one.target == Some(id) && one.finding.is_none()
        };
        Ok(self.inbox()?.into_iter().filter(changes).collect())
    }

    /// The last message of this profile that attested to a deletion.
    ///
    /// # Errors
    /// What is wrong with the store; [`Error::NotHere`] when the deletion is not here.
    pub fn attested(&self, deletion: &Reference) -> Result<Option<Reference>, Error> {
        let id = self.facts_of(deletion)?.message_id;
        let mut last = None;
        for (reference, _) in self.profile.store().rows(Table::Sent)? {
            let Some(reference) = std::str::from_utf8(&reference).ok().and_then(|text| text.parse::<Reference>().ok()) else { continue };
            let context = self.header_of(&reference)?.context;
            if context.kind == v1::Kind::DeletionAttestation && context.target == Some(id) {
                last = Some(reference);
            }
        }
        Ok(last)
    }

    /// Everybody who was sent a message of this member, or of whom it came: whom its correction or deletion goes to.
    ///
    /// # Errors
    /// [`Error::NotHere`] for a message that is not in this profile.
    pub fn concerned(&self, message: &Reference) -> Result<Vec<Address>, Error> {
        let header = self.header_of(message)?;
        if message.sender != *self.address() {
            return Ok(vec![message.sender.clone()]);
        }
        let state = self.directory().state();
        let class = i32::from(header.context.classification);
        let reached = |address: &&Address| {
            let row = state.participant(address).map(|row| &**row);
            exchange::rules::is_still_reached(row, self.address(), address, class)
        };
        Ok(header.context.recipients.iter().filter(reached).cloned().collect())
    }
}

fn names(addresses: &[Address]) -> Vec<String> {
    let mut names: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn word_key(message_id: &[u8; 32]) -> String {
    format!("word/{}", envelope::genesis::hex(message_id))
}

/// Digits of a permission's digest that name it.
const DIGITS_MIN: usize = 8;
