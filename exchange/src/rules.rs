//! The rules of admission, version 1, in order; the first failure refuses with its name (SPEC.md 11).
//!
//! Each rule reads the header, the peer and the rows; none writes. Encoding, sender, commitments and signatures were
//! checked on the way to [`Verified`]; that a known message gets its receipt again is decided before the rules run.

use std::sync::LazyLock;

use envelope::header::Context;
use envelope::identity::Link;
use envelope::limits::{NUMBER_LEAP_MAX, SERIES_GAPS_MAX};
use envelope::message::{Peer, Verified};
use envelope::{Address, Class, Timestamp};
use proto::v1::{
    self, Audience, Classification, GroupSenders, KeyState, Kind, OptOut, OversightMode, ParticipantClass, ParticipantState, Priority,
};

use crate::refusal::Refusal;
use crate::series;
use crate::state::Rows;

/// A message, and everything that it is judged by.
pub(crate) struct Case<'a> {
    rows: &'a dyn Rows,
    now: Timestamp,
    context: &'a Context,
    attachments: usize,
    wrap_keys: &'a [([u8; 32], v1::KemId)],
    peer: Option<&'a Peer>,
    sees_groups: bool,
}

impl<'a> Case<'a> {
    pub(crate) fn new(rows: &'a dyn Rows, now: Timestamp, message: &'a Verified) -> Self {
        let header = message.header();
        let (wrap_keys, peer) = (message.wrap_keys(), Some(message.peer()));
        Self { rows, now, context: &header.context, attachments: header.attachments.len(), wrap_keys, peer, sees_groups: true }
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

/// Judges a context by the rules that the directory alone can tell, before it is sealed or after it was opened: what it refuses,
/// a gateway would refuse by the same name. Keys, numbers, quotas and heads are not looked at.
///
/// # Errors
/// [`Refusal`] of the first rule that it breaks.
pub fn foresee(rows: &dyn Rows, now: Timestamp, context: &Context, sight: Sight) -> Result<(), Refusal> {
    explain(rows, now, context, sight).into_iter().filter_map(|judgement| judgement.said).collect()
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
pub fn explain(rows: &dyn Rows, now: Timestamp, context: &Context, sight: Sight) -> Vec<Judgement> {
    let sees_groups = sight == Sight::Whole;
    let case = Case { rows, now, context, attachments: 0, wrap_keys: &[], peer: None, sees_groups };
    use Rule::{
        Clearance, Directory, Expiry, Grant, Group, IpsgCopy, Keys, Lifetime, Oversight, Quota, Recipients, Reference, Revocation, Skew,
        State,
    };
    let foreseen = |rule: Rule| match rule {
        Lifetime | Expiry | Skew | State | Revocation | Recipients | Clearance | Oversight | IpsgCopy => true,
        Grant => sight != Sight::Directory,
        Group => sight == Sight::Whole,
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
    /// 5: a grant covers it.
    Grant,
    /// 6: recipients exist and are active.
    Recipients,
    /// 6: recipients are cleared.
    Clearance,
    /// 7: bureaus see what crosses their border.
    Oversight,
    /// 8: the General Secretariat gets its copy.
    IpsgCopy,
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
            Self::Grant => 5,
            Self::Recipients | Self::Clearance => 6,
            Self::Oversight => 7,
            Self::IpsgCopy => 8,
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
            Self::Grant => "grant",
            Self::Recipients => "recipients",
            Self::Clearance => "clearance",
            Self::Oversight => "oversight",
            Self::IpsgCopy => "copy",
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
            Self::Grant => "a grant covers kind, priority, classification and recipients",
            Self::Recipients => "every recipient is enrolled and can receive",
            Self::Clearance => "every recipient is cleared for the classification",
            Self::Oversight => "bureaus see what crosses their border, and let it",
            Self::IpsgCopy => "the General Secretariat has its copy, or a reason why not",
            Self::Quota => "not more FLASH messages a day than allowed",
            Self::Directory => "the directory it was sealed by is one of this network's, and fresh",
            Self::Group => "those named through a group belong to it",
        }
    }
}

type Check = fn(&Case<'_>) -> Result<(), Refusal>;

/// All rules in their order.
const ALL: [(Rule, Check); 15] = [
    (Rule::Lifetime, lifetime),
    (Rule::Reference, reference),
    (Rule::Expiry, expiry),
    (Rule::Skew, skew),
    (Rule::Keys, keys),
    (Rule::State, state),
    (Rule::Revocation, revocation),
    (Rule::Grant, grant),
    (Rule::Recipients, recipients),
    (Rule::Clearance, clearance),
    (Rule::Oversight, oversight),
    (Rule::IpsgCopy, ipsg_copy),
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
}

/// Rule 1: FLASH lives exactly the shortest lifetime; everything else from that to the longest.
fn lifetime(case: &Case<'_>) -> Result<(), Refusal> {
    let (context, policy) = (case.context(), case.policy());
    let lifetime = context.expires_ms.saturating_sub(context.created_ms);
    let max = if context.priority == Priority::Flash { policy.lifetime_min_ms } else { policy.lifetime_max_ms };
    let sound = (policy.lifetime_min_ms..=max).contains(&lifetime);
    let text = || format!("field expires_ms is {lifetime} ms after created_ms, {} to {max} are allowed", policy.lifetime_min_ms);
    if sound { Ok(()) } else { Err(Refusal::BadEncoding(text())) }
}

/// Rule 3: a number is used once; a new series names the one before it.
fn reference(case: &Case<'_>) -> Result<(), Refusal> {
    let context = case.context();
    let reference = &context.reference;
    let used = case.rows.series(&reference.sender, reference.year, reference.series);
    if used.is_some_and(|used| series::contains(used, reference.number)) {
        return Err(Refusal::ReferenceReused { reference: reference.to_string() });
    }
    let latest = case.rows.sender(&reference.sender);
    let (last_year, last_series) = latest.map_or((0, 0), |latest| (latest.year, latest.series));
    let last_number = case.rows.series(&reference.sender, last_year, last_series).map_or(0, series::highest);
    let bad = |why| Err(Refusal::BadReference { why, last_year, last_series, last_number });
    let created_year = Timestamp(context.created_ms).year();
    if reference.year != created_year && reference.year + 1 != created_year {
        return bad("the year of the reference is not that of created_ms or the one before");
    }
    if reference.number > used.map_or(0, series::highest) + NUMBER_LEAP_MAX {
        return bad("the number lies more than 1024 above the highest of its series");
    }
    // Numbers given up are closed by VOID; a series full of holes would grow without bound.
    if used.is_some_and(|used| used.used.len() > SERIES_GAPS_MAX && !series::touches(used, reference.number)) {
        return bad("the series has too many open numbers; close them first");
    }
    let own = (reference.year, reference.series);
    let follows = own == (last_year, last_series + 1) || (reference.year > last_year && reference.series == 1);
    if used.is_none() && !(if latest.is_some() { follows } else { reference.series == 1 }) {
        return bad("a new series is the next of its year, or the first of a later one");
    }
    // Messages come in any order: number 1 opens a series, whichever number comes first.
    let first = latest.is_none_or(|row| (row.first_year, row.first_series) == own);
    let names_earlier = |previous: &v1::Previous| {
        (previous.year, previous.series) < own && case.rows.series(&reference.sender, previous.year, previous.series).is_some()
    };
    match &context.previous {
        None if first || reference.number > 1 => Ok(()),
        Some(previous) if !first && reference.number == 1 && names_earlier(previous) => Ok(()),
        None => bad("number 1 of a later series names the series and number known last in previous"),
        Some(_) => bad("previous stands only in number 1 of a later series, and names an earlier series"),
    }
}

fn expiry(case: &Case<'_>) -> Result<(), Refusal> {
    let expires = Timestamp(case.context().expires_ms);
    if expires > case.now { Ok(()) } else { Err(Refusal::Expired { expires, now: case.now }) }
}

fn skew(case: &Case<'_>) -> Result<(), Refusal> {
    let (created, skew_max_ms) = (Timestamp(case.context().created_ms), case.policy().skew_max_ms);
    if created <= case.now.plus(skew_max_ms) { Ok(()) } else { Err(Refusal::ClockSkew { created, now: case.now, skew_max_ms }) }
}

/// Rule 3: judged for recipients that are enrolled; of others rule 6 speaks.
fn keys(case: &Case<'_>) -> Result<(), Refusal> {
    let policy = case.policy();
    let pairs = case.context().recipients.iter().zip(case.wrap_keys);
    for (recipient, (key_id, kem)) in pairs.filter(|(recipient, _)| case.rows.participant(recipient).is_some()) {
        let row = case.rows.keys(recipient).and_then(|row| row.keys.iter().find(|key| key.key_id == key_id[..]));
        let sound = row
            .is_some_and(|key| key.kem() == *kem && policy.kems.contains(&key.kem) && is_usable(key, case.now, policy.stale_key_grace_ms));
        if !sound {
            return Err(Refusal::StaleKey { recipient: recipient.clone() });
        }
    }
    Ok(())
}

fn is_usable(key: &v1::KeyRow, now: Timestamp, grace_ms: u64) -> bool {
    match key.state() {
        KeyState::Current => true,
        KeyState::DecryptOnly => now.ms() <= key.since_ms.saturating_add(grace_ms),
        KeyState::Revoked | KeyState::Unspecified => false,
    }
}

fn state(case: &Case<'_>) -> Result<(), Refusal> {
    let refused = |state| Err(Refusal::Suspended { address: case.sender().clone(), state });
    barred(case.rows, case.sender()).map_or(Ok(()), refused)
}

/// The state of somebody who may send nothing and not even be connected; `None` for who may.
pub fn barred(rows: &dyn Rows, address: &Address) -> Option<&'static str> {
    match rows.participant(address).map_or(ParticipantState::Pending, |row| row.state()) {
        ParticipantState::Active | ParticipantState::Supervised => None,
        ParticipantState::Suspended => Some("suspended"),
        ParticipantState::Withdrawn => Some("withdrawn"),
        ParticipantState::Pending | ParticipantState::Unspecified => Some("pending"),
    }
}

fn revocation(case: &Case<'_>) -> Result<(), Refusal> {
    // A certificate holds to the end of the second that it names.
    let lapsed =
        |peer: &Peer| Timestamp(peer.not_after_ms).secs() < case.now.secs() || peer.links.iter().any(|link| is_revoked(case.rows, link));
    if case.peer.is_some_and(lapsed) {
        return Err(Refusal::Revoked { address: case.sender().clone(), what: "TLS certificate" });
    }
    identity_holds(case.rows, case.sender(), case.now)?;
    // Between the check of the signature and its turn, an enrolment may have replaced the key.
    let current = case.rows.participant(case.sender()).is_some_and(|row| signs_with(case.context(), &row.key_id));
    if current { Ok(()) } else { Err(Refusal::Revoked { address: case.sender().clone(), what: "identity key" }) }
}

fn signs_with(context: &Context, key_id: &[u8]) -> bool {
    context.signers.first().is_some_and(|signer| signer.key_id == *key_id)
}

/// Whether the identity certificate of `address` is neither revoked nor outside its time.
pub(crate) fn identity_holds(rows: &dyn Rows, address: &Address, now: Timestamp) -> Result<(), Refusal> {
    let revoked = || Refusal::Revoked { address: address.clone(), what: "identity certificate" };
    let row = rows.participant(address).ok_or_else(revoked)?;
    let link = |link: &v1::CertLink| Some((<[u8; 32]>::try_from(link.issuer_key_sha256.as_ref()).ok()?, link.serial.clone()));
    let current = row.not_before_ms <= now.ms() && now.secs() <= Timestamp(row.not_after_ms).secs();
    let free = row.links.iter().all(|one| link(one).is_some_and(|(issuer, serial)| rows.revoked(&issuer, &serial).is_none()));
    if current && free { Ok(()) } else { Err(revoked()) }
}

/// Whether the state at this position holds a revocation of this certificate.
pub fn is_revoked(rows: &dyn Rows, link: &Link) -> bool {
    rows.revoked(&link.issuer_key_sha256, &link.serial).is_some()
}

/// Rule 5. Closed by default: what no grant names is refused, and so is every field that later rules will read.
fn grant(case: &Case<'_>) -> Result<(), Refusal> {
    let context = case.context();
    let extras: [(bool, &'static str); 9] = [
        (!GRANTABLE_KINDS.contains(&context.kind), "the kind"),
        (context.classification > CLASSIFICATION_MAX, "the classification"),
        (context.parent.is_some(), "a parent"),
        (case.attachments > 0, "attachments"),
        (context.recipients.iter().any(|recipient| recipient.class() == Class::Group), "a group"),
        (context.room.is_some(), "a room"),
        (context.target.is_some(), "a target"),
        (!context.authorities.is_empty(), "authorities"),
        (context.signers.len() > 1, "further signers"),
    ];
    if let Some((_, what)) = extras.iter().find(|(present, _)| *present) {
        return Err(case.no_grant(what));
    }
    if let Some(group) = context.via_group.as_ref().filter(|_| case.sees_groups)
        && !may_send_through(case, group)
    {
        return Err(case.no_grant("the group"));
    }
    match case.rows.grants(case.sender()) {
        // A number must be closed whatever else is allowed.
        Some(_) if context.kind == Kind::Void => {}
        Some(own) => own_grants(case, own)?,
        None if covered_by_class(case) => {}
        None => return Err(case.no_grant("the message")),
    }
    if context.kind == Kind::Void {
        let own = case.sender().own_ncb().unwrap_or_else(|| case.sender().clone());
        return if context.recipients == [own] { Ok(()) } else { Err(case.no_grant("a VOID to anybody but the own NCB, or oneself")) };
    }
    Ok(())
}

fn covered_by_class(case: &Case<'_>) -> bool {
    let (context, class) = (case.context(), participant_class(case.sender().class()));
    let covers = |grant: &v1::ClassGrant| {
        grant.class() == class
            && grant.kinds.contains(&context.kind.into())
            && grant.priorities.contains(&context.priority.into())
            && grant.classifications.contains(&context.classification.into())
    };
    case.policy().grants.iter().any(covers)
}

/// One grant of the sender's own covers the whole message; of two, each covering a half, none does.
fn own_grants(case: &Case<'_>, own: &v1::GrantsRow) -> Result<(), Refusal> {
    let context = case.context();
    let names = |grant: &&v1::Grant| {
        grant.kinds.contains(&context.kind.into())
            && grant.priorities.contains(&context.priority.into())
            && grant.classifications.contains(&context.classification.into())
    };
    let mut named = own.grants.iter().filter(names).peekable();
    if named.peek().is_none() {
        return Err(case.no_grant("the message"));
    }
    let mut lasting = named.filter(|grant| grant.expires_ms == 0 || grant.expires_ms > case.now.ms()).peekable();
    if lasting.peek().is_none() {
        return Err(case.no_grant("the message any longer"));
    }
    let reaches = |grant: &v1::Grant| context.recipients.iter().all(|recipient| is_within(grant.audience(), case.sender(), recipient));
    if lasting.any(reaches) { Ok(()) } else { Err(case.no_grant("all of these recipients")) }
}

fn is_within(audience: Audience, sender: &Address, recipient: &Address) -> bool {
    let at_home = recipient.first_segment() == sender.first_segment();
    match audience {
        Audience::OwnCountry => at_home,
        Audience::Bureaus => at_home || matches!(recipient.class(), Class::Ncb | Class::Ipsg),
        Audience::All => true,
        Audience::Unspecified => false,
    }
}

fn participant_class(class: Class) -> ParticipantClass {
    match class {
        Class::Ncb => ParticipantClass::Ncb,
        Class::SubBureau => ParticipantClass::SubBureau,
        Class::Endpoint => ParticipantClass::Endpoint,
        Class::Ipsg => ParticipantClass::Ipsg,
        Class::Service => ParticipantClass::Service,
        Class::Organisation => ParticipantClass::Organisation,
        Class::Auditor => ParticipantClass::Auditor,
        Class::Node => ParticipantClass::Node,
        Class::Group => ParticipantClass::Unspecified,
    }
}

fn recipients(case: &Case<'_>) -> Result<(), Refusal> {
    let reachable = |address: &&Address| {
        let row = case.rows.participant(address);
        row.is_some_and(|row| matches!(row.state(), ParticipantState::Active | ParticipantState::Supervised))
    };
    let unknown = case.context().recipients.iter().find(|address| !reachable(address));
    unknown.map_or(Ok(()), |recipient| Err(Refusal::UnknownRecipient { recipient: recipient.clone() }))
}

fn clearance(case: &Case<'_>) -> Result<(), Refusal> {
    let classification = case.context().classification;
    let cleared = |address: &&Address| case.rows.participant(address).is_some_and(|row| row.clearance >= i32::from(classification));
    let uncleared = case.context().recipients.iter().find(|address| !cleared(address));
    uncleared.map_or(Ok(()), |recipient| Err(Refusal::NotCleared { recipient: recipient.clone(), classification }))
}

/// Rule 7. COPY: who writes abroad copies the own NCB. RELAY: it writes to its own country only. Who reaches a foreign endpoint
/// was let in, and copies its NCB.
fn oversight(case: &Case<'_>) -> Result<(), Refusal> {
    let sender = case.sender();
    let abroad = |recipient: &Address| recipient.first_segment() != sender.first_segment();
    if let Some(ncb) = sender.own_ncb()
        && let Some(recipient) = case.context().recipients.iter().find(|recipient| abroad(recipient))
    {
        let relay = case.rows.participant(sender).is_some_and(|row| row.oversight() == OversightMode::Relay);
        let missing = |why| Err(Refusal::OversightMissing { why, ncb: ncb.clone(), recipient: recipient.clone() });
        if relay {
            return missing("what goes abroad is relayed: write to the own bureau, which passes it on");
        }
        if !case.names(&ncb) {
            return missing("a message abroad goes to the own bureau, too");
        }
    }
    for recipient in case.context().recipients.iter().filter(|recipient| abroad(recipient)) {
        let Some(ncb) = recipient.own_ncb() else { continue };
        let opened = case.rows.participant(recipient).is_some_and(|row| row.open_to_foreign);
        if !opened || !case.names(&ncb) {
            return Err(Refusal::OversightMissing {
                why: "a message from abroad reaches only whom its bureau has opened to it, with a copy to that bureau",
                ncb,
                recipient: recipient.clone(),
            });
        }
    }
    Ok(())
}

fn ipsg_copy(case: &Case<'_>) -> Result<(), Refusal> {
    let context = case.context();
    let implied = matches!(context.kind, Kind::Ecomessage | Kind::Diffusion | Kind::NoticeRequest);
    let copied = context.recipients.iter().any(|recipient| recipient.as_str() == IPSG_DESK);
    if !implied || copied || context.ipsg_opt_out != OptOut::None {
        return Ok(());
    }
    let desk = Address::parse(IPSG_DESK).map_err(|_| case.no_grant("the message"))?;
    Err(Refusal::IpsgCopyMissing { kind: context.kind, desk })
}

fn quota(case: &Case<'_>) -> Result<(), Refusal> {
    if case.context().priority != Priority::Flash {
        return Ok(());
    }
    let max = case.policy().flash_per_day;
    let used = case.rows.quota(case.sender()).filter(|row| row.day == case.now.day()).map_or(0, |row| row.flash);
    if used < max { Ok(()) } else { Err(Refusal::Quota { sender: case.sender().clone(), used, max }) }
}

/// Rule 12: every size that a client can have seen whole was bound into the log by a Head.
fn directory(case: &Case<'_>) -> Result<(), Refusal> {
    let context = case.context();
    let size = context.directory_size;
    let known = case.rows.head(size).is_some_and(|head| head.root == context.directory_root[..]);
    let newest = case.rows.directory().map_or(0, |row| row.head_size);
    if known { Ok(()) } else { Err(Refusal::StaleDirectory { size, newest }) }
}

/// Rule 5: whether the sender may write to a group, which has not ended.
fn may_send_through(case: &Case<'_>, group: &Address) -> bool {
    case.rows.group(group).filter(|row| row.ends_ms == 0 || row.ends_ms > case.now.ms()).is_some_and(|row| {
        let sender = case.sender().as_str();
        row.owner == sender || (row.senders() == GroupSenders::Members && row.members.iter().any(|member| member == sender))
    })
}

/// Rule 12: through a group go its members, and the copies that rules 7 and 8 ask for. Whom it leaves out may be denied.
fn group(case: &Case<'_>) -> Result<(), Refusal> {
    let context = case.context();
    let Some(row) = context.via_group.as_ref().and_then(|group| case.rows.group(group)) else { return Ok(()) };
    let is_member = |address: &Address| row.members.iter().any(|member| member == address.as_str());
    let copies: Vec<Address> = context.recipients.iter().chain([case.sender()]).filter_map(Address::own_ncb).collect();
    let belongs = |recipient: &Address| is_member(recipient) || copies.contains(recipient) || recipient.as_str() == IPSG_DESK;
    if context.recipients.iter().all(belongs) {
        return Ok(());
    }
    let newest = case.rows.directory().map_or(0, |row| row.head_size);
    Err(Refusal::StaleDirectory { size: context.directory_size, newest })
}

/// How long the gateway keeps the ciphertext; the kind decides. The numbers stand in SPEC.md 11.
pub(crate) fn retention_class(kind: Kind) -> u32 {
    match kind {
        Kind::Alert | Kind::Hit | Kind::HitConfirmation => 1,
        Kind::Message | Kind::Request | Kind::Reply | Kind::ExpertRequest | Kind::Service => 2,
        Kind::Ecomessage | Kind::ControlledDelivery => 3,
        Kind::Warning | Kind::Feedback | Kind::Seizure => 4,
        Kind::NoticeRequest | Kind::Notice | Kind::NoticeUpdate | Kind::NoticeCancel | Kind::Diffusion | Kind::DiffusionCancel => 5,
        Kind::Query | Kind::QueryResult => 6,
        Kind::Void | Kind::Correction | Kind::Deletion | Kind::DeletionAttestation | Kind::Unspecified => 7,
    }
}

/// Kinds whose rules version 1 knows; whatever a genesis grants, the others wait for the rules that judge them.
const GRANTABLE_KINDS: [Kind; 6] = [Kind::Message, Kind::Request, Kind::Reply, Kind::Ecomessage, Kind::Alert, Kind::Void];
/// Above it, an audience must be judged, which version 1 does not.
const CLASSIFICATION_MAX: Classification = Classification::Restricted;
/// Of a ledger without a genesis: it allows nothing.
static NO_POLICY: LazyLock<v1::Policy> = LazyLock::new(v1::Policy::default);
const IPSG_DESK: &str = "ipsg/ens";
