//! What a person wants to send, and the context that it becomes.
//!
//! Pure but for the random deny digest. It does not know numbers; the outbox gives them.

use std::time::Duration;

use bytes::Bytes;
use envelope::header::Context;
use envelope::keys::random;
use envelope::{Address, Reference, Timestamp};
use exchange::rules::of_kind;
use proto::v1::{self, Classification, ClockQuality, ContentSuite, Handling, Kind, OptOut, Priority};

use crate::error::Error;
use crate::groups::Expanded;
use crate::outbox::Number;

/// A message to be sent. Everything but recipients and content has a default.
///
/// ```
/// use client::Compose;
/// use proto::v1::{Kind, Priority};
///
/// let to = vec!["th".parse()?, "ipsg/ens".parse()?];
/// let report = Compose { kind: Kind::Ecomessage, priority: Priority::Urgent, ..Compose::new(to, b"{}".to_vec()) };
/// assert_eq!(report.media_type, "application/octet-stream");
/// # Ok::<(), envelope::address::AddressError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Compose {
    /// Recipients in order; copies that oversight demands are added. A group stands for its members.
    pub to: Vec<Address>,
    /// Who of a group does not get it; then nobody is told of the group.
    pub except: Vec<Address>,
    /// What it is for.
    pub kind: Kind,
    /// How urgent.
    pub priority: Priority,
    /// Who may hold it.
    pub classification: Classification,
    /// What recipients may do with it.
    pub handling: Handling,
    /// A message of this profile that it answers.
    pub in_reply_to: Option<Reference>,
    /// A message of this profile that it corrects, deletes, updates, cancels, or attests to.
    pub target: Option<Reference>,
    /// A message of this profile that it passes on.
    pub parent: Option<Reference>,
    /// Permissions that it names, by the digests of their statements.
    pub permissions: Vec<[u8; 32]>,
    /// Why the General Secretariat gets no copy.
    pub opt_out: OptOut,
    /// A drill.
    pub exercise: bool,
    /// What the content is, e.g. `application/json`.
    pub media_type: String,
    /// The bytes that the recipients get; at most 256 KiB.
    pub content: Vec<u8>,
    /// How long to try before the message is left in the outbox.
    pub wait: Duration,
}

impl Compose {
    /// A routine MESSAGE, for official use only, tried for five seconds.
    #[must_use]
    pub fn new(to: Vec<Address>, content: Vec<u8>) -> Self {
        Self {
            to,
            except: Vec::new(),
            kind: Kind::Message,
            priority: Priority::Routine,
            classification: Classification::OfficialUseOnly,
            handling: Handling::H0,
            in_reply_to: None,
            target: None,
            parent: None,
            permissions: Vec::new(),
            opt_out: OptOut::None,
            exercise: false,
            media_type: "application/octet-stream".to_owned(),
            content,
            wait: Duration::from_secs(5),
        }
    }
}

/// The recipients as they are signed: those named, each once, then the own NCB when one lies abroad, unless it has waived that, and
/// the NCB of every foreign endpoint.
#[must_use]
pub fn with_oversight(sender: &Address, to: &[Address], waived: bool) -> Vec<Address> {
    let mut all: Vec<Address> = Vec::with_capacity(to.len() + 2);
    let mut add = |address: Address| {
        if !all.contains(&address) {
            all.push(address);
        }
    };
    to.iter().cloned().for_each(&mut add);
    let abroad: Vec<&Address> = to.iter().filter(|recipient| recipient.first_segment() != sender.first_segment()).collect();
    if !abroad.is_empty() && !waived {
        sender.own_ncb().into_iter().for_each(&mut add);
    }
    abroad.iter().filter_map(|recipient| recipient.own_ncb()).for_each(&mut add);
    all
}

/// Messages of the ledger that a message names, by id, and permissions with their kinds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Named {
    pub(crate) in_reply_to: Option<[u8; 32]>,
    pub(crate) target: Option<[u8; 32]>,
    pub(crate) parent: Option<[u8; 32]>,
    pub(crate) authorities: Vec<v1::Authority>,
}

impl Named {
    fn waives(&self) -> bool {
        self.authorities.iter().any(|one| one.kind() == v1::AuthorityKind::Waiver)
    }
}

/// Who signs, when, by which policy.
#[derive(Clone, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) network: &'a str,
    pub(crate) sender: &'a Address,
    /// The sender's identity first, then officers' seats.
    pub(crate) signers: Vec<v1::SignerRef>,
    /// Whom what it publishes is held for.
    pub(crate) supervisor: Option<Address>,
    pub(crate) policy: &'a v1::Policy,
    pub(crate) now: Timestamp,
}

/// The context of a message without its number and directory head.
pub(crate) fn context(frame: &Frame<'_>, message: &Compose, to: &Expanded, named: &Named) -> Result<v1::Context, Error> {
    let lifetime = match message.priority {
        _ if of_kind(message.kind).brief => BRIEF_MS,
        Priority::Flash => frame.policy.lifetime_min_ms,
        _ => frame.policy.lifetime_max_ms,
    };
    let mut recipients = with_oversight(frame.sender, &to.to, named.waives());
    let publishes = of_kind(message.kind).retention == of_kind(Kind::Notice).retention || named.target.is_some();
    recipients.extend(frame.supervisor.clone().filter(|desk| publishes && !to.to.contains(desk)));
    Ok(v1::Context {
        version: 1,
        network: frame.network.to_owned(),
        sender: frame.sender.to_string(),
        signers: frame.signers.clone(),
        recipients: recipients.iter().map(Address::to_string).collect(),
        kind: message.kind.into(),
        priority: message.priority.into(),
        classification: message.classification.into(),
        handling: message.handling.into(),
        created_ms: frame.now.ms(),
        expires_ms: frame.now.plus(lifetime).ms(),
        clock: ClockQuality::Ntp.into(),
        content_suite: ContentSuite::Aes256Gcm.into(),
        in_reply_to: bytes(named.in_reply_to),
        target: bytes(named.target),
        parent: bytes(named.parent),
        authorities: named.authorities.clone(),
        deny_digest: random::<32>()?.to_vec().into(),
        ipsg_opt_out: message.opt_out.into(),
        via_group: to.via.as_ref().map_or_else(String::new, Address::to_string),
        exercise: message.exercise,
        ..v1::Context::default()
    })
}

fn bytes(id: Option<[u8; 32]>) -> Bytes {
    id.map_or_else(Bytes::new, |id| id.to_vec().into())
}

/// A VOID: to the own NCB, of an NCB or desk to itself.
pub(crate) fn void(frame: &Frame<'_>) -> Result<(v1::Context, v1::SealedBody), Error> {
    let to = frame.sender.own_ncb().unwrap_or_else(|| frame.sender.clone());
    let to = Expanded { to: vec![to], via: None };
    let message = Compose { kind: Kind::Void, ..Compose::new(Vec::new(), Vec::new()) };
    let body = v1::SealedBody { media_type: "text/plain".to_owned(), content: b"the number was given up".as_slice().into() };
    let frame = Frame { signers: frame.signers.iter().take(1).cloned().collect(), ..frame.clone() };
    Ok((context(&frame, &message, &to, &Named::default())?, body))
}

/// A number of a later year than the context's needs a context of that year; the lifetime stays.
pub(crate) fn carry_over(context: &mut v1::Context, number: Number, now: Timestamp) {
    if Timestamp(context.created_ms).year() < number.year {
        let lifetime = context.expires_ms.saturating_sub(context.created_ms);
        (context.created_ms, context.expires_ms) = (now.ms(), now.plus(lifetime).ms());
    }
}

/// Puts number and directory head into a context.
pub(crate) fn place(context: &mut v1::Context, number: Number, previous: Option<Number>, directory: (u64, [u8; 32])) {
    (context.year, context.series, context.number) = (number.year, number.series, number.number);
    context.previous = previous.map(|last| v1::Previous { year: last.year, series: last.series, number: last.number });
    context.directory_size = directory.0;
    context.directory_root = directory.1.to_vec().into();
}

/// Puts a number that nobody has into a context that is only asked about.
pub(crate) fn place_anywhere(context: &mut v1::Context, now: Timestamp, directory: (u64, [u8; 32])) {
    place(context, Number { year: now.year(), series: 1, number: 1 }, None, directory);
}

/// Reads a context that we made: an argument that no context can have is found here.
pub(crate) fn read(context: &v1::Context) -> Result<Context, Error> {
    Context::read(context.clone()).map_err(|error| Error::Argument(error.to_string()))
}

/// How long a question to a service, and its answer, live.
const BRIEF_MS: u64 = 3_600_000;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn check(sender: &str, to: &str, expected: &str) {
        let to: Vec<Address> = to.split(',').map(|text| text.parse().unwrap()).collect();
        let all = with_oversight(&sender.parse().unwrap(), &to, false);
        let waived = with_oversight(&sender.parse().unwrap(), &to, true);
        assert!(waived.iter().all(|one| all.contains(one)) && to.iter().all(|one| waived.contains(one)));
        let texts: Vec<&str> = all.iter().map(Address::as_str).collect();
        assert_eq!(texts.join(","), expected, "{sender} to {to:?}");
    }

    #[test]
    fn oversight_copies_are_added_once() {
        check("ke/cus/kemba", "th,ipsg/ens", "th,ipsg/ens,ke");
        check("ke/cus/kemba", "ke,th", "ke,th");
        check("ke/cus/kemba", "th,th", "th,ke");
        check("ke/cus/kemba", "ke", "ke");
        check("ke/cus/kemba", "ke/air/kenbo", "ke/air/kenbo");
        check("ke/cus/kemba", "th/cus/thbkk", "th/cus/thbkk,ke,th");
        check("ke/cus/kemba", "ipsg/ens", "ipsg/ens,ke");
        check("ke", "th,np/bor/x-1,th/cus/thbkk", "th,np/bor/x-1,th/cus/thbkk,np");
        check("ipsg/ens", "ke/cus/kemba", "ke/cus/kemba,ke");
        check("cn/hk", "cn", "cn");
        check("cn/hk", "gb", "gb,cn");
    }
}
