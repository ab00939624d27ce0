//! What the rules ask of whom a message reaches: grants, recipients, clearance, oversight, copies, groups.
//!
//! It does not know the sender's numbers, keys and standing; `sender` does.

use envelope::{Address, Class};
use proto::v1::{self, Audience, Classification, GroupSenders, Kind, OptOut, OversightMode, ParticipantClass, ParticipantState};

use super::Case;
use crate::refusal::Refusal;

/// Rule 5. Closed by default: what no grant names is refused, and so is every field that later rules will read.
pub(super) fn grant(case: &Case<'_>) -> Result<(), Refusal> {
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

pub(super) fn recipients(case: &Case<'_>) -> Result<(), Refusal> {
    let reachable = |address: &&Address| {
        let row = case.rows.participant(address);
        row.is_some_and(|row| matches!(row.state(), ParticipantState::Active | ParticipantState::Supervised))
    };
    let unknown = case.context().recipients.iter().find(|address| !reachable(address));
    unknown.map_or(Ok(()), |recipient| Err(Refusal::UnknownRecipient { recipient: recipient.clone() }))
}

pub(super) fn clearance(case: &Case<'_>) -> Result<(), Refusal> {
    let classification = case.context().classification;
    let cleared = |address: &&Address| case.rows.participant(address).is_some_and(|row| row.clearance >= i32::from(classification));
    let uncleared = case.context().recipients.iter().find(|address| !cleared(address));
    uncleared.map_or(Ok(()), |recipient| Err(Refusal::NotCleared { recipient: recipient.clone(), classification }))
}

/// Rule 7. COPY: who writes abroad copies the own NCB. RELAY: it writes to its own country only. Who reaches a foreign endpoint
/// was let in, and copies its NCB.
pub(super) fn oversight(case: &Case<'_>) -> Result<(), Refusal> {
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

pub(super) fn ipsg_copy(case: &Case<'_>) -> Result<(), Refusal> {
    let context = case.context();
    let implied = matches!(context.kind, Kind::Ecomessage | Kind::Diffusion | Kind::NoticeRequest);
    let copied = context.recipients.iter().any(|recipient| recipient.as_str() == IPSG_DESK);
    if !implied || copied || context.ipsg_opt_out != OptOut::None {
        return Ok(());
    }
    let desk = Address::parse(IPSG_DESK).map_err(|_| case.no_grant("the message"))?;
    Err(Refusal::IpsgCopyMissing { kind: context.kind, desk })
}

/// Rule 5: whether the sender may write to a group, which has not ended.
fn may_send_through(case: &Case<'_>, group: &Address) -> bool {
    case.rows.group(group).filter(|row| row.ends_ms == 0 || row.ends_ms > case.now.ms()).is_some_and(|row| {
        let sender = case.sender().as_str();
        row.owner == sender || (row.senders() == GroupSenders::Members && row.members.iter().any(|member| member == sender))
    })
}

/// Rule 12: through a group go its members, and the copies that rules 7 and 8 ask for. Whom it leaves out may be denied.
pub(super) fn group(case: &Case<'_>) -> Result<(), Refusal> {
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

/// Kinds whose rules version 1 knows; whatever a genesis grants, the others wait for the rules that judge them.
const GRANTABLE_KINDS: [Kind; 6] = [Kind::Message, Kind::Request, Kind::Reply, Kind::Ecomessage, Kind::Alert, Kind::Void];
/// Above it, an audience must be judged, which version 1 does not.
const CLASSIFICATION_MAX: Classification = Classification::Restricted;
const IPSG_DESK: &str = "ipsg/ens";
