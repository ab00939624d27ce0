//! What the rules ask of whom a message reaches: kind, grants, permissions, recipients, clearance, oversight, copies, groups.
//!
//! It does not know the sender's numbers, keys and standing; `sender` does.

use std::collections::BTreeSet;

use envelope::{Address, Class};
use proto::v1::{
    self, Audience, AuthorityKind, Classification, GroupSenders, Handling, Kind, OptOut, OversightMode, ParticipantClass, ParticipantState,
};

use super::Case;
use super::kinds::{self, Names, To};
use crate::earlier::named;
use crate::refusal::Refusal;

/// Rule 5: what the kind alone decides, and what no rule of this version judges. Closed by default.
pub(super) fn kind(case: &Case<'_>) -> Result<(), Refusal> {
    let (context, rules) = (case.context(), kinds::of(case.context().kind));
    if !rules.senders.is_empty() && !rules.senders.contains(&case.sender().class()) {
        return Err(case.no_grant("the kind"));
    }
    let names_own = matches!(rules.names, Names::OwnMessage | Names::GotMessage);
    let unjudged: [(bool, &'static str); 6] = [
        (case.attachments > 0, "attachments"),
        (context.recipients.iter().any(|recipient| recipient.class() == Class::Group), "a group"),
        (context.room.is_some(), "a room"),
        (context.target.is_some() != names_own, if names_own { "it without a target" } else { "a target" }),
        (context.parent.is_some() && names_own, "a parent"),
        (context.in_reply_to.is_none() && rules.names == Names::Question, "it without the message that it answers"),
    ];
    if let Some((_, what)) = unjudged.iter().find(|(present, _)| *present) {
        return Err(case.no_grant(what));
    }
    reaches_its_kind(case, rules.to)
}

fn reaches_its_kind(case: &Case<'_>, to: To) -> Result<(), Refusal> {
    let (context, own) = (case.context(), case.sender().own_ncb());
    let all = |fits: &dyn Fn(&Address) -> bool| context.recipients.iter().all(fits);
    let (sound, what) = match to {
        To::Anybody => (true, ""),
        To::OwnBureauFirst => (own.is_none_or(|own| case.names(&own)), "it without the own bureau"),
        To::Secretariat => (all(&|one| one.class() == Class::Ipsg), "recipients but desks of the General Secretariat"),
        To::Services => {
            let asked = context.recipients.iter().any(|one| one.class() == Class::Service);
            (asked && all(&|one| one.class() == Class::Service || Some(one) == own.as_ref()), "recipients but services and the own bureau")
        }
        To::Operation => {
            let operation = |group: &Address| group.as_str().starts_with(OPERATIONS);
            (!case.sees_groups || context.via_group.as_ref().is_some_and(operation), "it but through an operation's group")
        }
        To::Bureaus => (context.via_group.is_none() && all(&|one| one.class() == Class::Ncb), "recipients but bureaus by their names"),
        To::Home => {
            let home = own.unwrap_or_else(|| case.sender().clone());
            (context.recipients == [home], "a VOID to anybody but the own NCB, or oneself")
        }
    };
    if sound { Ok(()) } else { Err(case.no_grant(what)) }
}

/// Rule 5: a grant of the sender's own covers it, or, where it has none, one of its class.
pub(super) fn grant(case: &Case<'_>) -> Result<(), Refusal> {
    let context = case.context();
    if let Some(group) = context.via_group.as_ref().filter(|_| case.sees_groups)
        && !may_send_through(case, group)
    {
        let ended = case.rows.group(group).is_some_and(|row| row.members.is_empty() || (row.ends_ms != 0 && row.ends_ms <= case.now.ms()));
        return Err(case.no_grant(if ended { "the group, which has ended" } else { "the group" }));
    }
    match case.own_grants {
        // A number must be closed whatever else is allowed.
        Some(_) if context.kind == Kind::Void => Ok(()),
        Some(own) => own_grants(case, own),
        None if covered_by_class(case) => Ok(()),
        None => Err(case.no_grant("the message")),
    }
}

/// Rule 5: every permission that it names is the sender's, and has not ended.
pub(super) fn permissions(case: &Case<'_>) -> Result<(), Refusal> {
    let known = |(kind, digest): &(AuthorityKind, [u8; 32])| case.permission(*kind, digest).is_some();
    let all = case.context().authorities.iter().all(known);
    if all { Ok(()) } else { Err(Refusal::NoAuthority("a permission that the message names is not known, not the sender's, or has ended")) }
}

/// Rule 5: who corrects, deletes or passes on has to do with the message that it names; a correction reaches whoever has it.
pub(super) fn source(case: &Case<'_>) -> Result<(), Refusal> {
    let context = case.context();
    let Some(id) = named(context) else { return Ok(()) };
    let earlier = case.earlier.ok_or(Refusal::NoAuthority("the message that it names is not in the ledger"))?;
    let (sender, got) = (case.sender(), earlier.got.contains(case.sender()));
    let refused = |why| Err(Refusal::NoAuthority(why));
    match kinds::of(context.kind).names {
        Names::OwnMessage => {
            if earlier.sender != *sender {
                return refused("only who sent a message corrects, deletes, updates or cancels it");
            }
            // Nobody hears of what was kept from him.
            if earlier.kept_from.iter().any(|address| case.names(address)) {
                return refused("a correction or deletion goes to nobody from whom the message is held");
            }
            let class = i32::from(context.classification);
            let reached = |address: &&Address| {
                let row = case.rows.participant(address).map(|row| &**row);
                super::is_still_reached(row, sender, address, class)
            };
            if !earlier.got.iter().filter(reached).all(|recipient| case.names(recipient)) {
                return refused("a correction or deletion goes to everybody who was sent the message");
            }
            let own = sender.own_ncb().filter(|_| context.kind == Kind::Deletion);
            if let Some(own) = own
                && !case.permitted(AuthorityKind::Countersignature, |row| row.issuer == own.as_str() && row.message_id == id[..])
            {
                return refused("a deletion by one below a bureau is countersigned by that bureau");
            }
            Ok(())
        }
        Names::GotMessage if !got => refused("only who got a deletion attests to it"),
        Names::GotMessage if !case.names(&earlier.sender) => refused("an attestation goes to the source"),
        Names::GotMessage => Ok(()),
        Names::Nothing | Names::Question if got || earlier.sender == *sender => Ok(()),
        Names::Nothing | Names::Question => refused("only who has a message passes it on"),
    }
}

/// Rule 9: what is bound by H2 goes on with the permission of who sent it first, through however many hands it came, bound as before.
pub(super) fn onward(case: &Case<'_>) -> Result<(), Refusal> {
    let context = case.context();
    let Some((source, id)) = case.origin() else { return Ok(()) };
    let missing = |why| Err(Refusal::NoOnwardPermission { why, of: source.clone() });
    if source == case.sender() {
        return Ok(());
    }
    if !matches!(context.handling, Handling::H2 | Handling::H3) {
        return missing("it stays bound by H2 when it is passed on");
    }
    // Copies that rule 7 asks for are no passing on.
    let copies: BTreeSet<Address> = context.recipients.iter().chain([case.sender()]).filter_map(Address::own_ncb).collect();
    let beyond: Vec<&Address> = context.recipients.iter().filter(|one| !copies.contains(*one) && *one != source).collect();
    // Who is below a bureau gives no permission; the bureau does.
    let bureau = source.own_ncb();
    let covers = |row: &v1::PermissionRow| {
        let by = row.issuer == source.as_str() || bureau.as_ref().is_some_and(|bureau| row.issuer == bureau.as_str());
        // They ascend.
        let to =
            |one: &&Address| row.recipients.is_empty() || row.recipients.binary_search_by(|named| named.as_str().cmp(one.as_str())).is_ok();
        by && row.message_id == id[..] && beyond.iter().all(to)
    };
    let allowed = beyond.is_empty() || case.permitted(AuthorityKind::OnwardGrant, covers);
    if allowed { Ok(()) } else { missing("its sender has not allowed that it is passed on") }
}

/// Rule 10: CONFIDENTIAL goes to bureaus by their names, or to a case room; and a controlled delivery is never less.
pub(super) fn class_audience(case: &Case<'_>) -> Result<(), Refusal> {
    let context = case.context();
    let refused = |why| Err(Refusal::ClassAudience { why, classification: context.classification });
    if context.classification < Classification::Confidential {
        let held_close = context.kind == Kind::ControlledDelivery;
        return if held_close { refused("a controlled delivery is CONFIDENTIAL") } else { Ok(()) };
    }
    let in_room = context.via_group.as_ref().is_some_and(|group| group.first_segment() == CASE_ROOMS);
    // A request goes to the General Secretariat by its kind, and what is held to whom it is held for.
    let desk = holder(case);
    let to_desks = context.kind == Kind::NoticeRequest;
    let named = |one: &Address| one.class() == Class::Ncb || Some(one) == desk.as_ref() || (to_desks && one.class() == Class::Ipsg);
    let by_name = context.via_group.is_none() && context.recipients.iter().all(named);
    if in_room || by_name { Ok(()) } else { refused("CONFIDENTIAL goes to bureaus by their names, or to a case room") }
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

fn receives(row: Option<&v1::ParticipantRow>) -> bool {
    row.is_some_and(|row| matches!(row.state(), ParticipantState::Active | ParticipantState::Supervised))
}

pub(super) fn recipients(case: &Case<'_>) -> Result<(), Refusal> {
    let unknown = case.recipients().find(|(_, row)| !receives(*row));
    unknown.map_or(Ok(()), |(recipient, _)| Err(Refusal::UnknownRecipient { recipient: recipient.clone() }))
}

pub(super) fn clearance(case: &Case<'_>) -> Result<(), Refusal> {
    let classification = case.context().classification;
    let cleared = |row: Option<&v1::ParticipantRow>| row.is_some_and(|row| row.clearance >= i32::from(classification));
    let uncleared = case.recipients().find(|(_, row)| !cleared(*row));
    uncleared.map_or(Ok(()), |(recipient, _)| Err(Refusal::NotCleared { recipient: recipient.clone(), classification }))
}

/// Rule 7. COPY: who writes abroad copies the own NCB. RELAY: it writes to its own country only. RELEASE: as COPY, and the NCB
/// holds it. A waiver of that NCB does away with copy and hold; a relay stays. Who reaches a foreign endpoint was let in, and copies its NCB.
pub(super) fn oversight(case: &Case<'_>) -> Result<(), Refusal> {
    let sender = case.sender();
    let abroad = |recipient: &Address| recipient.first_segment() != sender.first_segment();
    if let Some(ncb) = sender.own_ncb()
        && let Some(recipient) = case.context().recipients.iter().find(|recipient| abroad(recipient))
    {
        let relay = case.sender_row.is_some_and(|row| row.oversight() == OversightMode::Relay);
        let missing = |why| Err(Refusal::OversightMissing { why, ncb: ncb.clone(), recipient: recipient.clone() });
        if relay {
            return missing("what goes abroad is relayed: write to the own bureau, which passes it on");
        }
        if !case.names(&ncb) && !case.is_waived(&ncb) {
            return missing("a message abroad goes to the own bureau, too");
        }
    }
    for (recipient, row) in case.recipients().filter(|(recipient, _)| abroad(recipient)) {
        let Some(ncb) = recipient.own_ncb() else { continue };
        let opened = row.is_some_and(|row| row.open_to_foreign);
        if !opened || !case.names(&ncb) {
            return Err(Refusal::OversightMissing {
                why: "a message from abroad reaches only whom its bureau has opened to it, with a copy to that bureau",
                ncb,
                recipient: recipient.clone(),
            });
        }
    }
    match holder(case) {
        Some(desk) if !case.names(&desk) => {
            let why = "what a supervised bureau publishes goes to the compliance desk, too, which releases it";
            Err(Refusal::OversightMissing { why, ncb: desk.clone(), recipient: desk })
        }
        _ => Ok(()),
    }
}

/// Whether it is published, or changes what was.
fn publishes(case: &Case<'_>) -> bool {
    let changes = case.context.target.is_some() && case.earlier.is_some_and(|earlier| earlier.retention == kinds::PUBLISHED);
    kinds::of(case.context.kind).retention == kinds::PUBLISHED || changes
}

/// Who releases a message before anybody else gets it; `None` when it is available at once.
pub(crate) fn holder(case: &Case<'_>) -> Option<Address> {
    let (context, sender) = (case.context(), case.sender());
    let row = case.sender_row?;
    if row.state() == ParticipantState::Supervised && publishes(case) {
        return Address::parse(COMPLIANCE_DESK).ok();
    }
    let abroad = |recipient: &Address| recipient.first_segment() != sender.first_segment();
    let held = row.oversight() == OversightMode::Release && context.recipients.iter().any(abroad);
    sender.own_ncb().filter(|ncb| held && !case.is_waived(ncb))
}

pub(super) fn ipsg_copy(case: &Case<'_>) -> Result<(), Refusal> {
    let context = case.context();
    let copied = context.recipients.iter().any(|recipient| recipient.as_str() == IPSG_DESK);
    if !kinds::of(context.kind).copied || copied || context.ipsg_opt_out != OptOut::None {
        return Ok(());
    }
    let desk = Address::parse(IPSG_DESK).map_err(|_| case.no_grant("the message"))?;
    Err(Refusal::IpsgCopyMissing { kind: context.kind, desk })
}

/// Rule 5: whether the sender may write to a group, which has not ended.
fn may_send_through(case: &Case<'_>, group: &Address) -> bool {
    if group.as_str() == ALL_BUREAUS {
        return case.sender().class() == Class::Ipsg;
    }
    case.rows.group(group).filter(|row| row.ends_ms == 0 || row.ends_ms > case.now.ms()).is_some_and(|row| {
        let sender = case.sender().as_str();
        row.owner == sender || (row.senders() == GroupSenders::Members && row.members.iter().any(|member| member == sender))
    })
}

/// Rule 12: through a group go its members, and the copies that rules 7 and 8 ask for. Whom it leaves out may be denied.
pub(super) fn group(case: &Case<'_>) -> Result<(), Refusal> {
    let context = case.context();
    let Some(group) = context.via_group.as_ref() else { return Ok(()) };
    let row = case.rows.group(group);
    let to_all = group.as_str() == ALL_BUREAUS;
    if row.is_none() && !to_all {
        return Ok(());
    }
    let is_member = |address: &Address| match row {
        Some(row) => row.members.iter().any(|member| member == address.as_str()),
        None => address.class() == Class::Ncb,
    };
    let copies: BTreeSet<Address> = context.recipients.iter().chain([case.sender()]).filter_map(Address::own_ncb).collect();
    let desk = holder(case);
    let is_copy = |one: &Address| copies.contains(one) || one.as_str() == IPSG_DESK || Some(one) == desk.as_ref();
    let belongs = |recipient: &Address| is_member(recipient) || is_copy(recipient);
    if context.recipients.iter().all(belongs) {
        return Ok(());
    }
    let newest = case.rows.directory().map_or(0, |row| row.head_size);
    Err(Refusal::StaleDirectory { size: context.directory_size, newest })
}

/// The desk of the General Secretariat that has a copy of what is reported and published.
pub const IPSG_DESK: &str = "ipsg/ens";
/// The desk of the General Secretariat that sets the states of countries, and releases what the supervised ones publish.
pub const COMPLIANCE_DESK: &str = "ipsg/compliance";
/// Every enrolled NCB: a group that nobody founds.
pub const ALL_BUREAUS: &str = "all/ncb";
/// Before the name of an operation.
const OPERATIONS: &str = "grp/op/";
/// First segment of a case room.
const CASE_ROOMS: &str = "case";
