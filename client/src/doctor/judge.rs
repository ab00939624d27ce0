//! What the facts mean, and what to do: pure functions, a table of cases each.

use std::path::{Path, PathBuf};

use envelope::Timestamp;
use envelope::identity::{Description, IdentityError};
use envelope::trust::Trust;
use proto::v1::{ParticipantState, Priority, RecipientState};

use super::Check;
use super::look::{Arrived, CertificateFacts, Closed, DirectoryFacts, Disk, FileFact, KeyFact, Open, Reach, Times, Waiting};
use crate::directory::{HEAD_AGE_MAX_MS, HEAD_AGE_OWN_NCB_MAX_MS, Head};
use crate::link::parse_gateway;
use crate::profile::{Wrong, check_file};

/// `profile.toml`, its keys and the URL in it.
pub(super) fn profile(dir: &Path, text: Result<&str, &str>) -> Check {
    let text = match text {
        Ok(text) => text,
        Err(why) => {
            let advice = "name the folder that `ecowire init --profile DIR` made, or make one with it";
            return Check::bad("profile", format!("{} is no profile: {why}", dir.display()), advice);
        }
    };
    if let Err(wrong) = check_file(text) {
        return match wrong {
            Wrong::Key(key, known) => {
                let words: Vec<&str> = known.iter().map(String::as_str).collect();
                let meant = command::nearest(&key, &words).map_or_else(String::new, |near| format!("; {near} does"));
                let advice = format!("mend profile.toml; its keys are {}", words.join(", "));
                Check::bad("profile", format!("the key {key} does not exist{meant}"), advice)
            }
            Wrong::Version(version) => Check::bad(
                "profile",
                format!("profile.toml is of version {version}"),
                "use the ecowire that made this profile, or a later one",
            ),
            Wrong::Toml(why) => Check::bad("profile", format!("profile.toml: {why}"), "mend profile.toml"),
        };
    }
    Check::ok("profile", format!("{} is read", dir.join("profile.toml").display()))
}

/// What is there, and who may open it.
pub(super) fn files(facts: &[FileFact]) -> Check {
    let names = |wanted: &dyn Fn(&&FileFact) -> bool| facts.iter().filter(wanted).map(|fact| fact.name.clone()).collect::<Vec<_>>();
    let missing = names(&|fact| fact.mode.is_none());
    if !missing.is_empty() {
        let advice = "put them back from where they came, or make a new profile with `ecowire init`";
        return Check::bad("files", format!("missing: {}", missing.join(", ")), advice);
    }
    let open = |fact: &&FileFact| fact.mode.is_some_and(|mode| mode & 0o077 != 0);
    let (secret, plain) = (names(&|fact| open(fact) && fact.secret), names(&|fact| open(fact) && !fact.secret));
    match (secret.is_empty(), plain.is_empty()) {
        (false, _) => Check::bad(
            "files",
            format!("others may open {}", secret.join(", ")),
            "chmod go= each of them; a key that others could read is to be renewed",
        ),
        (true, false) => Check::warn("files", format!("others may open {}", plain.join(", ")), "chmod go= each of them"),
        (true, true) => Check::ok("files", format!("all {} are there, for their owner only", facts.len())),
    }
}

/// The trust file.
pub(super) fn trust(trust: &Result<Trust, String>, now: Timestamp) -> Check {
    match trust {
        Err(why) => {
            let advice = "ask the network authority for its trust.toml again, on the way on which the certificates came";
            Check::bad("trust", format!("trust.toml: {why}"), advice)
        }
        Ok(trust) if trust.expires.ms() != 0 && trust.expires < now => Check::bad(
            "trust",
            format!("trust.toml of {} ended at {}", trust.network, trust.expires),
            "ask the network authority for the next one",
        ),
        Ok(trust) => {
            let nodes: Vec<String> = trust.nodes.iter().map(ToString::to_string).collect();
            Check::ok("trust", format!("{} number {}, its authority signed it; it names {}", trust.network, trust.seq, nodes.join(", ")))
        }
    }
}

/// One chain and its key. `address` is whose the profile says that it is.
pub(super) fn certificate(facts: &CertificateFacts, address: Option<&str>, now: Timestamp) -> Check {
    let (name, file) = (facts.name, format!("{}.pem", facts.name));
    let certified = match &facts.judged {
        Ok(certified) => certified,
        Err(error) => return refused_certificate(facts, error, now),
    };
    let (holder, issuer) = (&certified.address, facts.described.first().map_or("nobody", |leaf| leaf.issuer.as_str()));
    if address.is_some_and(|address| address != holder.as_str()) {
        let text = format!("{file} is {holder}'s by {issuer}, the profile is {}'s", address.unwrap_or_default());
        return Check::bad(name, text, "put the certificates and keys of one address into one profile");
    }
    match &facts.key {
        KeyFact::Fits | KeyFact::Locked => {}
        KeyFact::Other => {
            let text = format!("{name}.key is not the key of {file} ({holder}'s by {issuer})");
            return Check::bad(name, text, "put the key and the certificate that were made together beside each other");
        }
        KeyFact::Unread(why) => return Check::bad(name, why, "put the key back, or have a new one certified"),
    }
    // The first of the path to end.
    let first = facts.described.iter().min_by_key(|one| one.not_after);
    let days = days(now, certified.not_after);
    let text = format!("{holder}'s by {issuer}, {days} days left");
    if days < DAYS_LEFT_WARN {
        let which = first.map_or_else(|| file.clone(), named);
        return Check::warn(name, format!("{text}: {which} ends at {}", certified.not_after), format!("ask {issuer} for the next one now"));
    }
    let locked = if facts.key == KeyFact::Locked { "; its key was not compared" } else { "" };
    Check::ok(name, format!("{text}{locked}"))
}

fn refused_certificate(facts: &CertificateFacts, error: &IdentityError, now: Timestamp) -> Check {
    let (name, file) = (facts.name, format!("{}.pem", facts.name));
    if facts.length == 0 {
        return Check::bad(name, format!("{file} holds no certificates in PEM"), "put the chain that the CA gave into it, the leaf first");
    }
    // A root that is at fault is one of several; the chain's own are in order.
    let which = error.at().unwrap_or(0);
    let described = facts.described.get(which);
    let who = described.map_or_else(|| format!("certificate {which} of {file}"), |one| format!("{file}: {}", named(one)));
    let issuer = described.map_or("its issuer", |one| one.issuer.as_str());
    let (text, advice) = match (error, described) {
        (IdentityError::Expired { .. }, Some(one)) => {
            let text = format!("{who} ended {} days ago, at {}", days(one.not_after, now), one.not_after);
            (text, format!("ask {issuer} for a new certificate, and put chain and key in place"))
        }
        (IdentityError::NotYetValid { .. }, Some(one)) => {
            let text = format!("{who} begins in {} days, at {}", days(now, one.not_before) + 1, one.not_before);
            (text, "look at this machine's clock; if it is right, wait, or ask for a certificate that holds now".to_owned())
        }
        (IdentityError::UnknownIssuer | IdentityError::Signature | IdentityError::NotThePath, _) => {
            let text = format!("{who}: {error} ({})", facts.network);
            (
                text,
                format!(
                    "{issuer} must be a CA of this network: take certificate and trust.toml of one network, and the chain as its CA gave it"
                ),
            )
        }
        _ => (format!("{who}: {error}"), format!("ask {issuer} for a certificate of the profile in proto/SPEC.md")),
    };
    Check::bad(name, text, advice)
}

fn named(one: &Description) -> String {
    format!("{} (by {})", one.subject, one.issuer)
}

/// Whole days from one time to another, rounded down.
fn days(from: Timestamp, to: Timestamp) -> i64 {
    let ms = i128::from(to.ms()) - i128::from(from.ms());
    i64::try_from(ms.div_euclid(i128::from(DAY_MS))).unwrap_or(i64::MAX)
}

/// Room, and whether it can be written to.
pub(super) fn disk(disk: &Disk) -> Check {
    let free = disk.free_bytes.map_or_else(|| "unknown".to_owned(), |bytes| format!("{} MiB", bytes / MIB));
    if let Some(why) = &disk.write {
        let advice = "make room or give the folder back to its owner; nothing can be sent or received without writing";
        return Check::bad("disk", format!("nothing can be written into the profile: {why} (free: {free})"), advice);
    }
    match disk.free_bytes {
        Some(bytes) if bytes < FREE_BYTES_BAD => Check::bad("disk", format!("{free} free"), "make room before the disk is full"),
        Some(bytes) if bytes < FREE_BYTES_WARN => Check::warn("disk", format!("{free} free"), "make room soon"),
        _ => Check::ok("disk", format!("{free} free")),
    }
}

/// Proofs that the log was forked.
pub(super) fn evidence(folders: &[PathBuf]) -> Check {
    match folders.last() {
        None => Check::ok("evidence", "no proof of a forked log"),
        Some(last) => Check::bad(
            "evidence",
            format!("{} proofs of a forked log, the last in {}", folders.len(), last.display()),
            "give both notes to the network authority and to your auditor; send nothing until they have answered",
        ),
    }
}

/// Whether the store opens.
pub(super) fn store(opened: &Result<Open, Closed>) -> Check {
    match opened {
        Ok(open) if open.profile.is_some() => Check::ok("store", "store.redb opens"),
        Ok(_) => Check::warn("store", "store.redb opens, the profile as a whole does not", "mend what is bad above first"),
        Err(Closed::InUse) => Check::warn(
            "store",
            "another command has the profile open; directory, outbox and inbox were not looked at",
            "ask again when that command has ended",
        ),
        Err(Closed::Absent) => {
            Check::bad("store", "there is no store.redb", "make a new profile with `ecowire init`; a restored one goes on in a new series")
        }
        Err(Closed::Fault(why)) => {
            Check::bad("store", why, "make room on the disk; if that is not it, make a new profile with `ecowire init`")
        }
    }
}

/// Something of the store that cannot be read.
pub(super) fn unread(name: &'static str, why: &str) -> Check {
    Check::bad(name, why, "the store was changed by somebody else: make a new profile with `ecowire init`, and keep this one as evidence")
}

/// How far one gets. `sound`: this side found nothing wrong with its TLS certificate.
pub(super) fn gateway(url: &str, reach: &Reach, sound: bool) -> Check {
    const NAME: &str = "gateway";
    if let Err(error) = parse_gateway(url) {
        return Check::bad(NAME, error.to_string(), "mend the key gateway in profile.toml");
    }
    match reach {
        Reach::NoPort(why) => Check::unreachable(
            NAME,
            format!("{url}: {why}"),
            "ask the operator whether it runs and which port it has; look at firewalls in between",
        ),
        Reach::NoAnswer(why) => Check::unreachable(
            NAME,
            format!("{url}: the port is open, but no gateway answers: {why}"),
            "something else may listen there, or a middlebox breaks TLS open: it must pass TLS 1.3 untouched",
        ),
        Reach::Server(why) => Check::bad(
            NAME,
            format!("{url}: the server's certificate is not the node's: {why}"),
            "do not go on: the URL leads elsewhere, or trust.toml is of another network; ask the operator and the network authority",
        ),
        Reach::Refused(alert) if sound => Check::bad(
            NAME,
            format!("{url} refuses this certificate ({alert}), though nothing is wrong with it here"),
            "unknown participant, suspended or revoked: ask the bureau above whether this address is enrolled and in good standing, and its CA \
             whether it took the certificate back; the gateway's log has the reason",
        ),
        Reach::Refused(alert) => {
            Check::bad(NAME, format!("{url} refuses this certificate ({alert})"), "mend the certificate first: see tls")
        }
        Reach::Unsound(why) => Check::bad(
            NAME,
            format!("{url} takes this certificate, but: {why}"),
            "send nothing until the operator and the network authority have looked at this",
        ),
        Reach::NoCredentials(why) => Check::bad(NAME, format!("nothing to knock with: {why}"), "mend the certificate first: see tls"),
        Reach::Linked(node) => Check::ok(NAME, format!("{url} is {node}, it takes this certificate")),
        Reach::Met(node, size) => {
            Check::ok(NAME, format!("{url} is {node}, it takes this certificate; {size} entries extend what was seen before"))
        }
    }
}

/// This machine's clock against the gateway's.
pub(super) fn clock(times: &Times) -> Check {
    // The date has whole seconds: anything within [date, date + 1 s) is meant.
    let (date, end) = (times.gateway.ms(), times.gateway.ms().saturating_add(999));
    let (skew_ms, word) = if times.before.ms() > end {
        (times.before.ms() - end, "ahead of")
    } else if times.after.ms() < date {
        (date - times.after.ms(), "behind")
    } else {
        (0, "")
    };
    let text = format!("{} s {word} the gateway's", skew_ms.div_ceil(1000));
    let advice = "set this machine's clock (chrony, systemd-timesyncd); a message from the future is refused, an old one expires";
    match skew_ms {
        SKEW_MS_BAD.. => Check::bad("clock", text, advice),
        SKEW_MS_WARN.. => Check::warn("clock", text, advice),
        0 => Check::ok("clock", "the gateway's, to a second"),
        _ => Check::ok("clock", text),
    }
}

/// The age of the directory's head.
pub(super) fn head(head: Option<Head>, now: Timestamp) -> Check {
    let Some(head) = head else {
        return Check::bad("directory", "it was never fetched", "`ecowire inbox` fetches it when the gateway can be reached");
    };
    let age_ms = now.ms().saturating_sub(head.at.ms());
    let text = format!("{} statements, its head is {} h old", head.size, age_ms / HOUR_MS);
    if age_ms > HEAD_AGE_OWN_NCB_MAX_MS {
        return Check::bad(
            "directory",
            format!("{text}: nothing can be sealed"),
            "reach the gateway; after 14 days keys may have been revoked",
        );
    }
    if age_ms > HEAD_AGE_MAX_MS {
        let text = format!("{text}: only messages to the own NCB can be sealed");
        return Check::warn("directory", text, "reach the gateway; after 24 hours keys may have been revoked");
    }
    Check::ok("directory", text)
}

/// Whether the network knows this member.
pub(super) fn enrolled(facts: &DirectoryFacts) -> Check {
    let address = &facts.address;
    match facts.state {
        _ if facts.head.is_none() => Check::warn("participant", "not known without the directory", "reach the gateway"),
        None => Check::bad("participant", format!("{address} is not enrolled"), "ask the network authority to enrol this address"),
        Some(ParticipantState::Active | ParticipantState::Supervised) => Check::ok("participant", format!("{address} is enrolled")),
        Some(state) => Check::bad(
            "participant",
            format!("{address} is {}", state.as_str_name().trim_start_matches("PARTICIPANT_STATE_").to_ascii_lowercase()),
            "ask the network authority",
        ),
    }
}

/// The encryption key that others seal to.
pub(super) fn key(facts: &DirectoryFacts, now: Timestamp) -> Check {
    const NAME: &str = "key";
    let own = match &facts.own {
        Ok(own) => own,
        Err(why) => return Check::bad(NAME, why, "put the key file back from a backup; what is sealed to it opens with nothing else"),
    };
    let Some(published) = &facts.published else {
        return Check::bad(
            NAME,
            "no encryption key is published: nobody can send to this member",
            "make a new profile with `ecowire init`",
        );
    };
    match own.iter().position(|own| own == published) {
        None => {
            let text = "the published encryption key is not of this profile: another profile of this member has published it";
            return Check::bad(NAME, text, "use the newer profile; messages sealed to its key do not open here");
        }
        Some(1..) => {
            let advice = "make a new profile with `ecowire init`, which publishes its key";
            return Check::warn(NAME, "the published encryption key is not the newest of this profile", advice);
        }
        Some(0) => {}
    }
    let days = facts.published_at.map_or(0, |at| days(at, now).max(0));
    let text = format!("the published encryption key is of this profile, {days} days old");
    if days >= KEY_DAYS_MAX {
        let advice = "publish another (`ecowire init` into a new folder does); keep this profile to open what was sealed to this key";
        return Check::warn(NAME, text, advice);
    }
    Check::ok(NAME, text)
}

/// What waits to be sent, and why.
pub(super) fn outbox(waiting: &[Waiting], reachable: bool, now: Timestamp) -> Check {
    if waiting.is_empty() {
        return Check::ok("outbox", "empty");
    }
    let why = |one: &Waiting| match one {
        _ if one.expires <= now => "past its end, a VOID will close its number",
        Waiting { sent: true, .. } => "sent, no answer yet: the same bytes go out again",
        _ if !reachable => "the gateway was not reached",
        Waiting { sealed: true, .. } => "sealed, not yet sent",
        Waiting { void: true, .. } => "closes its number, not yet sent",
        _ => "not sealed yet: its number or a new enough directory is missing",
    };
    let name = |one: &Waiting| one.reference.clone().unwrap_or_else(|| "a message without number".to_owned());
    let shown: Vec<String> = waiting.iter().take(SHOWN_MAX).map(|one| format!("{} ({})", name(one), why(one))).collect();
    let more = waiting.len().saturating_sub(SHOWN_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let advice =
        if reachable { "`ecowire inbox` sends what waits" } else { "reach the gateway; nothing is lost until a message's own end" };
    Check::warn("outbox", format!("{} wait: {}{more}", waiting.len(), shown.join(", ")), advice)
}

/// What has come and was not dealt with.
pub(super) fn inbox(arrived: &[Arrived], now: Timestamp) -> Check {
    let in_state = |state: RecipientState| arrived.iter().filter(move |one| one.state == state && one.expires > now);
    let stored = in_state(RecipientState::Available).count();
    let open: Vec<&Arrived> = in_state(RecipientState::Delivered).collect();
    if stored > 0 {
        let text = format!("{stored} messages are here, and the ledger has not been told yet");
        return Check::warn("inbox", text, "`ecowire inbox` tells it when the gateway can be reached");
    }
    let Some(oldest) = open.iter().min_by_key(|one| one.at) else {
        return Check::ok("inbox", format!("{} messages, none waits for an acknowledgement", arrived.len()));
    };
    let hours = now.ms().saturating_sub(oldest.at.ms()) / HOUR_MS;
    let text = format!("{} delivered but not acknowledged, the oldest is {} of {hours} h ago", open.len(), oldest.reference);
    let urgent = open.iter().any(|one| matches!(one.priority, Priority::Urgent | Priority::Flash));
    if urgent || hours >= ACKNOWLEDGED_HOURS_MAX {
        return Check::warn("inbox", text, "`ecowire open` and `ecowire ack` them: their senders wait");
    }
    Check::ok("inbox", text)
}

const MIB: u64 = 1024 * 1024;
const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// A CA is given a month for the next certificate.
const DAYS_LEFT_WARN: i64 = 30;
/// Encryption keys are changed after this, so that a stolen one opens a quarter of a year at most.
const KEY_DAYS_MAX: i64 = 90;
/// The largest message, its receipt and redb's copy of both.
const FREE_BYTES_BAD: u64 = 16 * MIB;
const FREE_BYTES_WARN: u64 = 256 * MIB;
/// A message may be five minutes ahead of the ledger, no more (SPEC.md 10, `CLOCK_SKEW`).
const SKEW_MS_BAD: u64 = 5 * 60 * 1000;
const SKEW_MS_WARN: u64 = 30 * 1000;
/// A person who has not seen a message after a day may be on leave.
const ACKNOWLEDGED_HOURS_MAX: u64 = 24;
/// Messages that are named one by one.
const SHOWN_MAX: usize = 5;
