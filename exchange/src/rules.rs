//! The rules of admission, version 1, in order; the first failure refuses with its name (SPEC.md 11).
//!
//! Each rule reads the header, the peer and the rows; none writes. Encoding, sender, commitments and signatures were
//! checked on the way to [`Verified`]; that a known message gets its receipt again is decided before the rules run.
//! What rules ask of the sender stands in `sender`, what they ask of whom it reaches in `reach`.

mod kinds;
mod reach;
mod sender;

use std::sync::LazyLock;

use envelope::header::Context;
use envelope::message::{Peer, Verified};
use envelope::{Address, Timestamp};
use proto::v1;

use crate::earlier::{Earlier, named};
use crate::refusal::Refusal;
use crate::state::{Member, Rows};

pub(crate) use kinds::retention_class;
pub use kinds::{KindRules, Names, To, of as of_kind};
pub(crate) use reach::holder;
pub use reach::{ALL_BUREAUS, COMPLIANCE_DESK, IPSG_DESK};
use reach::{class_audience, clearance, grant, group, ipsg_copy, kind, onward, oversight, permissions, recipients, source};
pub(crate) use sender::identity_holds;
pub(crate) use sender::is_broadcast;
pub use sender::{barred, is_revoked};
use sender::{barred_as, directory, expiry, keys, lifetime, quota, reference, revocation, seats, skew, state};

/// A message, and everything that it is judged by.
pub(crate) struct Case<'a> {
    rows: &'a dyn Rows,
    now: Timestamp,
    context: &'a Context,
    attachments: usize,
    wrap_keys: &'a [([u8; 32], v1::KemId)],
    peer: Option<&'a Peer>,
    sees_groups: bool,
    /// The sender's row and own grants; looked up once.
    sender_row: Option<&'a v1::ParticipantRow>,
    own_grants: Option<&'a v1::GrantsRow>,
    /// The recipients' rows in their order; four rules ask for them.
    members: Vec<Member<'a>>,
    /// The message that it names as target or parent, if that is in the ledger.
    earlier: Option<&'a Earlier>,
}

impl<'a> Case<'a> {
    pub(crate) fn new(rows: &'a dyn Rows, now: Timestamp, message: &'a Verified, earlier: Option<&'a Earlier>) -> Self {
        let header = message.header();
        let (wrap_keys, peer) = (message.wrap_keys(), Some(message.peer()));
        let attachments = header.attachments.len();
        Self { attachments, wrap_keys, peer, ..Self::of_context(rows, now, &header.context, earlier) }
    }

    /// Of a context alone, as its sender sees it.
    fn of_context(rows: &'a dyn Rows, now: Timestamp, context: &'a Context, earlier: Option<&'a Earlier>) -> Self {
        let sender = &context.reference.sender;
        let (sender_row, own_grants) = (rows.participant(sender).map(|row| &**row), rows.grants(sender));
        let members = context.recipients.iter().map(|recipient| rows.member(recipient)).collect();
        Self { rows, now, context, attachments: 0, wrap_keys: &[], peer: None, sees_groups: true, sender_row, own_grants, members, earlier }
    }

    /// The sender, as the state has it.
    pub(crate) fn sender_row(&self) -> Option<&'a v1::ParticipantRow> {
        self.sender_row
    }

    /// Sender and id of the message that was bound by H2 first, when this one passes it on.
    pub(crate) fn origin(&self) -> Option<&'a (Address, [u8; 32])> {
        self.context.parent.and(self.earlier)?.origin.as_ref()
    }

    /// Index of the entry with the sender's own grants, + 1; 0 when its class's count.
    pub(crate) fn grants_position(&self) -> u64 {
        self.own_grants.map_or(0, |row| row.index + 1)
    }
}

/// What the one who judges can see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// The sender's own grants and groups: the sender itself, and the gateway.
    Whole,
    /// The sender has no grants of its own, so that its class's count; its groups are not known: a recipient.
    ClassGrants,
    /// It has grants of its own, which are between it, its bureau and the network's auditor: a recipient.
    Directory,
}

/// Which version of the rules the network's policy sets; 0 before genesis.
#[must_use]
pub fn rules_version(rows: &dyn Rows) -> u32 {
    rows.network().and_then(|row| row.policy.as_ref()).map_or(0, |policy| policy.rules_version)
}

/// Whether by these rules somebody is told of what nobody took or has seen.
pub(crate) fn tells(rows: &dyn Rows) -> bool {
    rules_version(rows) >= TELLS_SINCE
}

/// The first version of the rules with advices.
const TELLS_SINCE: u32 = 2;

/// Judges a context by the rules that the directory alone can tell, before it is sealed or after it was opened: what it refuses,
/// a gateway would refuse by the same name. Keys, numbers, quotas and heads are not looked at.
///
/// # Errors
/// [`Refusal`] of the first rule that it breaks.
pub fn foresee(rows: &dyn Rows, now: Timestamp, context: &Context, earlier: Option<&Earlier>, sight: Sight) -> Result<(), Refusal> {
    explain(rows, now, context, earlier, sight).into_iter().filter_map(|judgement| judgement.said).collect()
}

/// For whom the rules hold a message, by what the rows say; `None` when it is available at once.
#[must_use]
pub fn held_for(rows: &dyn Rows, now: Timestamp, context: &Context, earlier: Option<&Earlier>) -> Option<Address> {
    holder(&Case::of_context(rows, now, context, earlier))
}

/// Whether a correction or deletion by `sender` of something of this class must still go to somebody who has it: who is gone, closed
/// to `sender` or no longer cleared cannot be written to.
#[must_use]
pub fn is_still_reached(row: Option<&v1::ParticipantRow>, sender: &Address, address: &Address, classification: i32) -> bool {
    let closed = address.first_segment() != sender.first_segment() && address.own_ncb().is_some();
    row.is_some_and(|row| barred_as(Some(row)).is_none() && row.clearance >= classification && (!closed || row.open_to_foreign))
}

/// What one rule says of a message that is not sealed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The rule.
    pub rule: Rule,
    /// `None`: the directory alone cannot tell.
    pub said: Option<Result<(), Refusal>>,
}

/// As [`foresee`], but every rule is asked, whatever those before it say.
#[must_use]
pub fn explain(rows: &dyn Rows, now: Timestamp, context: &Context, earlier: Option<&Earlier>, sight: Sight) -> Vec<Judgement> {
    let case = Case { sees_groups: sight == Sight::Whole, ..Case::of_context(rows, now, context, earlier) };
    use Rule::{
        ClassAudience, Clearance, Directory, Expiry, Grant, Group, IpsgCopy, Keys, Kind, Lifetime, Onward, Oversight, Permissions, Quota,
        Recipients, Reference, Revocation, Seats, Skew, Source, State,
    };
    let foreseen = |rule: Rule| match rule {
        Lifetime | Expiry | Skew | State | Revocation | Kind | Seats | Permissions | Recipients | Clearance | Oversight | IpsgCopy
        | ClassAudience => true,
        Grant => sight != Sight::Directory,
        Group => sight == Sight::Whole,
        Source | Onward => earlier.is_some() || named(context).is_none(),
        Reference | Keys | Quota | Directory => false,
    };
    ALL.iter().map(|(rule, check)| Judgement { rule: *rule, said: foreseen(*rule).then(|| check(&case)) }).collect()
}

/// One rule's name in the code; the numbers are those of SPEC.md 11.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// 1: the lifetime is within the kind's bounds.
    Lifetime,
    /// 3: the number is unused and near the last one.
    Reference,
    /// 3: not past its end.
    Expiry,
    /// 3: not from the future.
    Skew,
    /// 3: wraps are to current keys.
    Keys,
    /// 4: the sender is active.
    State,
    /// 4: neither certificate is revoked or past its end.
    Revocation,
    /// 5: its kind allows sender, recipients and what it names.
    Kind,
    /// 5: a grant covers it.
    Grant,
    /// 5: the permissions that it names hold.
    Permissions,
    /// 5: who corrects, deletes or passes on may.
    Source,
    /// 5: two officers' seats have signed, where the policy asks for them.
    Seats,
    /// 6: recipients exist and are active.
    Recipients,
    /// 6: recipients are cleared.
    Clearance,
    /// 7: bureaus see what crosses their border.
    Oversight,
    /// 8: the General Secretariat gets its copy.
    IpsgCopy,
    /// 9: what is bound by H2 goes on with permission only.
    Onward,
    /// 10: CONFIDENTIAL goes to named bureaus or a case room only.
    ClassAudience,
    /// 11: FLASH messages a day.
    Quota,
    /// 12: the sender's directory is a head of ours.
    Directory,
    /// 12: who is named through a group belongs to it.
    Group,
}

impl Rule {
    /// Its number in SPEC.md 11; several rules share one.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Lifetime => 1,
            Self::Reference | Self::Expiry | Self::Skew | Self::Keys => 3,
            Self::State | Self::Revocation => 4,
            Self::Kind | Self::Grant | Self::Permissions | Self::Source | Self::Seats => 5,
            Self::Recipients | Self::Clearance => 6,
            Self::Oversight => 7,
            Self::IpsgCopy => 8,
            Self::Onward => 9,
            Self::ClassAudience => 10,
            Self::Quota => 11,
            Self::Directory | Self::Group => 12,
        }
    }

    /// Its name in a word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lifetime => "lifetime",
            Self::Reference => "reference",
            Self::Expiry => "expiry",
            Self::Skew => "clock",
            Self::Keys => "keys",
            Self::State => "sender",
            Self::Revocation => "revocation",
            Self::Kind => "kind",
            Self::Grant => "grant",
            Self::Permissions => "permissions",
            Self::Source => "source",
            Self::Seats => "seats",
            Self::Recipients => "recipients",
            Self::Clearance => "clearance",
            Self::Oversight => "oversight",
            Self::IpsgCopy => "copy",
            Self::Onward => "onward",
            Self::ClassAudience => "audience",
            Self::Quota => "quota",
            Self::Directory => "directory",
            Self::Group => "group",
        }
    }

    /// What it asks, as a sentence that holds when it is kept.
    #[must_use]
    pub fn asks(self) -> &'static str {
        match self {
            Self::Lifetime => "it lives as long as its kind may",
            Self::Reference => "its number was not used and follows those before it",
            Self::Expiry => "its end has not passed",
            Self::Skew => "its sender's clock is not ahead",
            Self::Keys => "every recipient has a current encryption key",
            Self::State => "its sender is active",
            Self::Revocation => "no certificate of its sender is revoked or past its end",
            Self::Kind => "its kind is the sender's to originate, and goes to these recipients",
            Self::Grant => "a grant covers kind, priority, classification and recipients",
            Self::Permissions => "every permission that it names is the sender's, and has not ended",
            Self::Source => "who corrects, deletes, attests or passes on has that message, and everybody concerned gets it",
            Self::Seats => "two officers' seats have signed, where the network asks for them",
            Self::Recipients => "every recipient is enrolled and can receive",
            Self::Clearance => "every recipient is cleared for the classification",
            Self::Oversight => "bureaus see what crosses their border, and let it",
            Self::IpsgCopy => "the General Secretariat has its copy, or a reason why not",
            Self::Onward => "what is bound by H2 is passed on with its sender's permission, and stays bound",
            Self::ClassAudience => "CONFIDENTIAL goes to bureaus by their names, or to a case room",
            Self::Quota => "not more FLASH messages and broadcasts a day than allowed",
            Self::Directory => "the directory it was sealed by is one of this network's, and fresh",
            Self::Group => "those named through a group belong to it",
        }
    }
}

type Check = fn(&Case<'_>) -> Result<(), Refusal>;

/// All rules in their order.
const ALL: [(Rule, Check); 21] = [
    (Rule::Lifetime, lifetime),
    (Rule::Reference, reference),
    (Rule::Expiry, expiry),
    (Rule::Skew, skew),
    (Rule::Keys, keys),
    (Rule::State, state),
    (Rule::Revocation, revocation),
    (Rule::Kind, kind),
    (Rule::Grant, grant),
    (Rule::Permissions, permissions),
    (Rule::Source, source),
    (Rule::Seats, seats),
    (Rule::Recipients, recipients),
    (Rule::Clearance, clearance),
    (Rule::Oversight, oversight),
    (Rule::IpsgCopy, ipsg_copy),
    (Rule::Onward, onward),
    (Rule::ClassAudience, class_audience),
    (Rule::Quota, quota),
    (Rule::Directory, directory),
    (Rule::Group, group),
];

/// The rules that an exchange judges by.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    left_out: Vec<Rule>,
}

impl Rules {
    /// Rules without one of them: a gateway built like this is what an auditor must catch. For tests.
    #[must_use]
    pub fn without(rule: Rule) -> Self {
        Self { left_out: vec![rule] }
    }

    pub(crate) fn check(&self, case: &Case<'_>) -> Result<(), Refusal> {
        ALL.iter().filter(|(rule, _)| !self.left_out.contains(rule)).try_for_each(|(_, check)| check(case))
    }
}

/// Names of all rules in their order.
#[must_use]
pub fn all_rules() -> Vec<Rule> {
    ALL.iter().map(|(rule, _)| *rule).collect()
}

impl Case<'_> {
    fn context(&self) -> &Context {
        self.context
    }

    fn sender(&self) -> &Address {
        &self.context().reference.sender
    }

    /// The recipients with their rows.
    fn recipients(&self) -> impl Iterator<Item = (&Address, Option<&v1::ParticipantRow>)> {
        self.context.recipients.iter().zip(self.members.iter().map(|member| member.participant))
    }

    /// The recipients with all that is asked of each.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&Address, &Member<'_>)> {
        self.context.recipients.iter().zip(&self.members)
    }

    fn policy(&self) -> &v1::Policy {
        self.rows.network().and_then(|network| network.policy.as_ref()).unwrap_or(&NO_POLICY)
    }

    fn no_grant(&self, what: &'static str) -> Refusal {
        let context = self.context();
        let (kind, priority, classification) = (context.kind, context.priority, context.classification);
        Refusal::NoGrant { sender: self.sender().clone(), what, kind, priority, classification }
    }

    fn names(&self, address: &Address) -> bool {
        self.context().recipients.contains(address)
    }

    /// A permission that the message names, as long as it is the sender's and has not ended.
    fn permission(&self, kind: v1::AuthorityKind, digest: &[u8; 32]) -> Option<&v1::PermissionRow> {
        let row = &**self.rows.permission(digest)?;
        let lasts = row.expires_ms == 0 || row.expires_ms > self.now.ms();
        Some(row).filter(|row| row.kind() == kind && row.subject == self.sender().as_str() && lasts)
    }

    /// Whether the message names a permission of this kind that `covers` it.
    fn permitted(&self, kind: v1::AuthorityKind, covers: impl Fn(&v1::PermissionRow) -> bool) -> bool {
        let of_kind = self.context().authorities.iter().filter(|(named, _)| *named == kind);
        of_kind.filter_map(|(kind, digest)| self.permission(*kind, digest)).any(covers)
    }

    /// Whether the sender's bureau has waived its oversight.
    fn is_waived(&self, ncb: &Address) -> bool {
        self.permitted(v1::AuthorityKind::Waiver, |row| row.issuer == ncb.as_str())
    }
}

/// Of a ledger without a genesis: it allows nothing.
static NO_POLICY: LazyLock<v1::Policy> = LazyLock::new(v1::Policy::default);
