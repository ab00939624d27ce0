//! `Verified -> Admitted`: decides, changes nothing.
//!
//! It knows no ledger: whether a message id is known already, and what the message that it names is, is told to it as [`Found`].

use bytes::Bytes;
use envelope::entry::{Entry, MessageEntry};
use envelope::identity::Link;
use envelope::message::Verified;
use envelope::{Draft, Position, Timestamp};
use proto::v1::{self, Handling};

use crate::clocks::escalation;
use crate::earlier::Earlier;
use crate::refusal::Refusal;
use crate::rules::{Case, Rules, holder, retention_class, rules_version, tells};
use crate::state::{Member, Rows};

/// What becomes of a verified message that is not refused.
#[derive(Clone, Debug)]
pub enum Admission {
    /// It is in the ledger already: its sender gets the receipt of that entry again.
    Known(Position),
    /// It may be appended.
    New(Box<Admitted>),
}

/// A message that the rules let in, with the decision. Made by [`admit`] only.
#[derive(Clone, Debug)]
pub struct Admitted {
    entry: MessageEntry,
    sealed: Bytes,
}

impl Admitted {
    /// The entry, to apply and to append, and what is stored beside it.
    #[must_use]
    pub fn into_entry(self) -> (Entry, Bytes) {
        (Entry::Message(Box::new(self.entry)), self.sealed)
    }

    /// What the ledger appends.
    #[must_use]
    pub fn into_draft(self) -> Draft {
        let (entry, sealed) = self.into_entry();
        Draft { sealed: Some(sealed), ..entry.into_draft() }
    }

    /// The decision as it will be recorded.
    #[must_use]
    pub fn message(&self) -> &MessageEntry {
        &self.entry
    }
}

/// What the ledger has that concerns a message.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found<'a> {
    /// Where the message itself stands already.
    pub prior: Option<Position>,
    /// The message that it names as target or parent ([`crate::earlier::named`]).
    pub earlier: Option<&'a Earlier>,
}

/// Judges a verified message at ledger time `now`.
///
/// # Errors
/// [`Refusal`] of the first rule that it breaks.
pub fn admit(rows: &dyn Rows, rules: &Rules, now: Timestamp, found: Found<'_>, message: Verified) -> Result<Admission, Refusal> {
    if let Some(position) = found.prior {
        return Ok(Admission::Known(position));
    }
    let case = Case::new(rows, now, &message, found.earlier);
    rules.check(&case)?;
    let entry = decide(rows, &case, &message);
    Ok(Admission::New(Box::new(Admitted { entry, sealed: message.sealed().clone() })))
}

fn decide(rows: &dyn Rows, case: &Case<'_>, message: &Verified) -> MessageEntry {
    let header = message.header();
    let context = &header.context;
    let reference = &context.reference;
    let (held_by, origin) = (holder(case), case.origin());
    let place = |(address, member): (&envelope::Address, &Member<'_>)| {
        let held = held_by.as_ref().is_some_and(|holder| holder != address);
        let next_seq = member.mailbox.map_or(0, |mailbox| mailbox.last_seq) + 1;
        v1::Place { address: address.to_string(), mailbox_seq: if held { 0 } else { next_seq } }
    };
    let network = rows.network();
    let peer = message.peer();
    MessageEntry {
        header: header.bytes.clone(),
        signatures_sha256: *message.signatures_sha256(),
        judged: v1::Judged {
            identity_chains_sha256: case.sender_row().map(|row| row.chain_sha256.clone()).into_iter().collect(),
            tls_chain_sha256: peer.chain_sha256.to_vec().into(),
            directory_size: rows.directory().map_or(0, |row| row.size),
            tls_links: peer.links.iter().map(cert_link).collect(),
            tls_not_after_ms: peer.not_after_ms,
        },
        tls_fingerprint: peer.fingerprint,
        decision: v1::Decision {
            rules_version: rules_version(rows),
            policy_position: network.map_or(0, |row| row.policy_position),
            available: held_by.is_none(),
            grants_position: case.grants_position(),
        },
        stub: v1::Stub {
            sender: reference.sender.to_string(),
            year: reference.year,
            series: reference.series,
            number: reference.number,
            retention_class: retention_class(context.kind),
            message_id: header.message_id.to_vec().into(),
            priority: context.priority.into(),
            expires_ms: context.expires_ms,
            handling: if context.handling == Handling::H2 { Handling::H2.into() } else { 0 },
            held_by: held_by.as_ref().map_or_else(String::new, ToString::to_string),
            origin_sender: origin.map_or_else(String::new, |(sender, _)| sender.to_string()),
            origin_id: origin.map_or_else(Bytes::new, |(_, id)| id.to_vec().into()),
            escalation: if tells(rows) { escalation(context.kind, context.priority, context.exercise).into() } else { 0 },
        },
        places: case.members().map(place).collect(),
        sealed_sha256: *message.sealed_sha256(),
        wrap_keys: message.wrap_keys().to_vec(),
    }
}

pub(crate) fn cert_link(link: &Link) -> v1::CertLink {
    v1::CertLink { issuer_key_sha256: link.issuer_key_sha256.to_vec().into(), serial: link.serial.clone().into() }
}
