//! What the rules ask of the sender and of the message itself: lifetime, number, times, keys, standing, quota, directory.
//!
//! It does not know who is reached; `reach` does.

use envelope::Address;
use envelope::Timestamp;
use envelope::header::Context;
use envelope::identity::Link;
use envelope::limits::{NUMBER_LEAP_MAX, SERIES_GAPS_MAX};
use envelope::message::Peer;
use proto::v1::{self, KeyState, ParticipantState, Priority};

use super::{Case, kinds};
use crate::refusal::Refusal;
use crate::series;
use crate::state::Rows;

/// Rule 1: FLASH lives exactly the shortest lifetime; a question to a service an hour at most; everything else from the shortest
/// to the longest.
pub(super) fn lifetime(case: &Case<'_>) -> Result<(), Refusal> {
    let (context, policy) = (case.context(), case.policy());
    let lifetime = context.expires_ms.saturating_sub(context.created_ms);
    let (min, max) = match context.priority {
        _ if kinds::of(context.kind).brief => (1, BRIEF_MAX_MS),
        Priority::Flash => (policy.lifetime_min_ms, policy.lifetime_min_ms),
        _ => (policy.lifetime_min_ms, policy.lifetime_max_ms),
    };
    let sound = (min..=max).contains(&lifetime);
    let text = || format!("field expires_ms is {lifetime} ms after created_ms, {min} to {max} are allowed");
    if sound { Ok(()) } else { Err(Refusal::BadEncoding(text())) }
}

/// Rule 3: a number is used once; a new series names the one before it.
pub(super) fn reference(case: &Case<'_>) -> Result<(), Refusal> {
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

pub(super) fn expiry(case: &Case<'_>) -> Result<(), Refusal> {
    let expires = Timestamp(case.context().expires_ms);
    if expires > case.now { Ok(()) } else { Err(Refusal::Expired { expires, now: case.now }) }
}

pub(super) fn skew(case: &Case<'_>) -> Result<(), Refusal> {
    let (created, skew_max_ms) = (Timestamp(case.context().created_ms), case.policy().skew_max_ms);
    if created <= case.now.plus(skew_max_ms) { Ok(()) } else { Err(Refusal::ClockSkew { created, now: case.now, skew_max_ms }) }
}

/// Rule 3: judged for recipients that are enrolled; of others rule 6 speaks.
pub(super) fn keys(case: &Case<'_>) -> Result<(), Refusal> {
    let policy = case.policy();
    let pairs = case.members().zip(case.wrap_keys).filter(|((_, member), _)| member.participant.is_some());
    for ((recipient, member), (key_id, kem)) in pairs {
        let row = member.keys.and_then(|row| row.keys.iter().find(|key| key.key_id == key_id[..]));
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

pub(super) fn state(case: &Case<'_>) -> Result<(), Refusal> {
    let refused = |state| Err(Refusal::Suspended { address: case.sender().clone(), state });
    barred_as(case.sender_row).map_or(Ok(()), refused)
}

/// The state of somebody who may send nothing and not even be connected; `None` for who may.
pub fn barred(rows: &dyn Rows, address: &Address) -> Option<&'static str> {
    barred_as(rows.participant(address).map(|row| &**row))
}

pub(super) fn barred_as(row: Option<&v1::ParticipantRow>) -> Option<&'static str> {
    match row.map_or(ParticipantState::Pending, v1::ParticipantRow::state) {
        ParticipantState::Active | ParticipantState::Supervised => None,
        ParticipantState::Suspended => Some("suspended"),
        ParticipantState::Withdrawn => Some("withdrawn"),
        ParticipantState::Pending | ParticipantState::Unspecified => Some("pending"),
    }
}

pub(super) fn revocation(case: &Case<'_>) -> Result<(), Refusal> {
    // A certificate holds to the end of the second that it names.
    let lapsed =
        |peer: &Peer| Timestamp(peer.not_after_ms).secs() < case.now.secs() || peer.links.iter().any(|link| is_revoked(case.rows, link));
    if case.peer.is_some_and(lapsed) {
        return Err(Refusal::Revoked { address: case.sender().clone(), what: "TLS certificate" });
    }
    if !case.sender_row.is_some_and(|row| certificate_holds(case.rows, row, case.now)) {
        return Err(Refusal::Revoked { address: case.sender().clone(), what: "identity certificate" });
    }
    // Between the check of the signature and its turn, an enrolment may have replaced the key.
    let current = case.sender_row.is_some_and(|row| signs_with(case.context(), &row.key_id));
    if current { Ok(()) } else { Err(Refusal::Revoked { address: case.sender().clone(), what: "identity key" }) }
}

fn signs_with(context: &Context, key_id: &[u8]) -> bool {
    context.signers.first().is_some_and(|signer| signer.key_id == *key_id)
}

/// Whether the identity certificate of `address` is neither revoked nor outside its time.
pub(crate) fn identity_holds(rows: &dyn Rows, address: &Address, now: Timestamp) -> Result<(), Refusal> {
    let revoked = || Refusal::Revoked { address: address.clone(), what: "identity certificate" };
    let holds = rows.participant(address).is_some_and(|row| certificate_holds(rows, row, now));
    if holds { Ok(()) } else { Err(revoked()) }
}

fn certificate_holds(rows: &dyn Rows, row: &v1::ParticipantRow, now: Timestamp) -> bool {
    let link = |link: &v1::CertLink| Some((<[u8; 32]>::try_from(link.issuer_key_sha256.as_ref()).ok()?, link.serial.clone()));
    let current = row.not_before_ms <= now.ms() && now.secs() <= Timestamp(row.not_after_ms).secs();
    let free = row.links.iter().all(|one| link(one).is_some_and(|(issuer, serial)| rows.revoked(&issuer, &serial).is_none()));
    current && free
}

/// Whether the state at this position holds a revocation of this certificate.
pub fn is_revoked(rows: &dyn Rows, link: &Link) -> bool {
    rows.revoked(&link.issuer_key_sha256, &link.serial).is_some()
}

pub(super) fn quota(case: &Case<'_>) -> Result<(), Refusal> {
    let (context, policy) = (case.context(), case.policy());
    let flash = context.priority == Priority::Flash;
    let broadcast = policy.broadcasts_per_day > 0 && is_broadcast(context.recipients.len());
    if !flash && !broadcast {
        return Ok(());
    }
    let today = case.rows.quota(case.sender()).filter(|row| row.day == case.now.day()).copied().unwrap_or_default();
    let over = |of: &'static str, used, max| Err(Refusal::Quota { sender: case.sender().clone(), of, used, max });
    if flash && today.flash >= policy.flash_per_day {
        return over("FLASH messages", today.flash, policy.flash_per_day);
    }
    if broadcast && today.broadcasts >= policy.broadcasts_per_day {
        return over("broadcasts", today.broadcasts, policy.broadcasts_per_day);
    }
    Ok(())
}

/// Whether a message to so many counts as a broadcast.
pub(crate) fn is_broadcast(recipients: usize) -> bool {
    recipients > BROADCAST_ABOVE
}

/// Rule 5: whoever signs beside the sender has a seat under the sender's bureau; some kinds need two of them.
pub(super) fn seats(case: &Case<'_>) -> Result<(), Refusal> {
    let context = case.context();
    let bureau = case.sender().own_ncb().unwrap_or_else(|| case.sender().clone());
    let desk = format!("{bureau}/{DESK}/");
    let mut owners: Vec<Address> = Vec::new();
    for signer in context.signers.iter().skip(1) {
        let owner = case.rows.identity_owner(&signer.key_id).and_then(|row| Address::parse(&row.address).ok());
        let seat = owner.filter(|owner| owner.as_str().starts_with(&desk) && barred(case.rows, owner).is_none());
        let seat = seat.filter(|owner| case.rows.participant(owner).is_some_and(|row| row.key_id == signer.key_id[..]));
        let seat = seat.filter(|owner| !owners.contains(owner));
        let seat = seat.ok_or_else(|| case.no_grant("a signer that is no seat of the sender's bureau"))?;
        identity_holds(case.rows, &seat, case.now)?;
        owners.push(seat);
    }
    let asked = case.policy().dual_control.contains(&context.kind.into());
    if asked && owners.len() < SEATS { Err(case.no_grant("the kind without the signatures of two officers' seats")) } else { Ok(()) }
}

/// Rule 12: every size that a client can have seen whole was bound into the log by a Head.
pub(super) fn directory(case: &Case<'_>) -> Result<(), Refusal> {
    let context = case.context();
    let size = context.directory_size;
    let known = case.rows.head(size).is_some_and(|head| head.root == context.directory_root[..]);
    let newest = case.rows.directory().map_or(0, |row| row.head_size);
    if known { Ok(()) } else { Err(Refusal::StaleDirectory { size, newest }) }
}

/// A question that a service has not answered after this long is not asked any more.
const BRIEF_MAX_MS: u64 = 3_600_000;
/// More recipients than this are a broadcast: every NCB is, the largest working group is not.
const BROADCAST_ABOVE: usize = 64;
/// What stands behind the bureau or desk in the addresses of its officers' seats.
const DESK: &str = "desk";
/// Officers' seats that dual control asks for, beside the sender.
const SEATS: usize = 2;
