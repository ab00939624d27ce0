//! What the facts mean, and what to do: pure functions, a table of cases each.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use envelope::Timestamp;
use envelope::identity::{Description, IdentityError};

use super::Check;
use crate::clock::{Clock, SystemTimeSource};
use crate::node::NodeError;

/// A file or folder and who may open it.
#[derive(Clone, Debug)]
pub(super) struct FileFact {
    pub(super) path: PathBuf,
    /// Permission bits; `None` when it is not there.
    pub(super) mode: Option<u32>,
    pub(super) want: Want,
}

/// What a file must be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// There, and for its owner only.
    Secret,
    /// There.
    Present,
    /// For its owner only, if it is there.
    Private,
}

pub(super) fn files(facts: &[FileFact]) -> Check {
    let missing: Vec<_> = facts.iter().filter(|fact| fact.mode.is_none() && fact.want != Want::Private).collect();
    if !missing.is_empty() {
        let names: Vec<_> = missing.iter().map(|fact| fact.path.display().to_string()).collect();
        return Check::bad(
            "files",
            format!("missing: {}", names.join(", ")),
            "put them there, or name the right folder in the configuration",
        );
    }
    let open = facts.iter().filter(|fact| fact.want != Want::Present && fact.mode.is_some_and(|mode| mode & 0o077 != 0));
    let open: Vec<_> = open.map(|fact| format!("{} (mode {:o})", fact.path.display(), fact.mode.unwrap_or_default() & 0o7777)).collect();
    if open.is_empty() {
        return Check::ok("files", "all there, and secrets are their owner's only");
    }
    Check::bad("files", format!("others may open {}", open.join(", ")), "chmod go= each of them; a key that others could read is renewed")
}

pub(super) fn keys(error: Option<NodeError>) -> Check {
    match error {
        None => Check::ok("keys", "log.key and directory.key are those that the genesis names"),
        Some(error) => Check::bad("keys", crate::writer::chain(&error), "take the keys that were made with this network's genesis"),
    }
}

/// The node's certificates and what the network thinks of them.
#[derive(Debug)]
pub(super) struct CertificateFacts {
    /// Leaf first, as in tls.pem, then the roots of the genesis.
    pub(super) chain: Vec<Description>,
    /// The leaf and the other certificates of tls.pem, in DER.
    pub(super) ders: Vec<Vec<u8>>,
    /// Why the chain is refused.
    pub(super) refused: Option<Refused>,
}

#[derive(Debug)]
pub(super) enum Refused {
    /// tls.pem or tls.key cannot be read, or do not fit.
    Unread(String),
    /// The network refuses the chain.
    Identity(IdentityError),
}

pub(super) fn certificates(facts: &CertificateFacts, now: Timestamp) -> Check {
    let advice =
        "ask the node's CA for a new certificate to the same key rules, and put it into tls.pem, leaf first; it is taken while running";
    match &facts.refused {
        Some(Refused::Unread(reason)) => return Check::bad("certificate", reason.clone(), advice),
        Some(Refused::Identity(error)) => {
            let which = error.at().and_then(|at| Some((at, facts.chain.get(at)?)));
            let text = which.map_or_else(|| error.to_string(), |(at, it)| format!("{error}: certificate {at} is {}", said(it, now)));
            return Check::bad("certificate", text, advice);
        }
        None => {}
    }
    // A third of its life is time enough to renew, for certificates of years and of hours.
    let is_short = |it: &&Description| left_ms(it.not_after, now) * 3 < it.not_after.ms() as i64 - it.not_before.ms() as i64;
    let short: Vec<String> = facts.chain.iter().filter(is_short).map(|it| said(it, now)).collect();
    if !short.is_empty() {
        return Check::warn("certificate", format!("less than a third of its time is left: {}", short.join("; ")), advice);
    }
    let first = facts.chain.iter().min_by_key(|it| it.not_after);
    Check::ok("certificate", first.map_or(String::new(), |it| format!("the first to end is {}", said(it, now))))
}

fn said(it: &Description, now: Timestamp) -> String {
    let left = left_ms(it.not_after, now);
    let (days, hours) = (left.abs() / DAY_MS, left.abs() % DAY_MS / 3_600_000);
    let span = if days > 0 { format!("{days} days") } else { format!("{hours} hours") };
    let span = if left > 0 { format!("{span} left") } else { format!("ended {span} ago") };
    format!("{}, issued by {}, {span} (until {})", it.subject, it.issuer, it.not_after)
}

fn left_ms(end: Timestamp, now: Timestamp) -> i64 {
    end.ms() as i64 - now.ms() as i64
}

/// The revocation list of one CA.
#[derive(Clone, Debug)]
pub(super) struct ListFact {
    pub(super) ca: String,
    /// Number in hex, when it was made, next update; or why there is none.
    pub(super) list: Result<(String, Timestamp, Timestamp), String>,
}

pub(super) fn lists(facts: &[ListFact], now: Timestamp) -> Check {
    let advice = "fetch the newest lists of these CAs into the crls folder; they are read within a second";
    let missing = facts.iter().filter_map(|fact| fact.list.as_ref().err().map(|why| format!("{}: {why}", fact.ca)));
    let known = |fact: &ListFact| fact.list.clone().ok().map(|(number, made, next)| (fact.ca.clone(), number, made, next));
    let known: Vec<_> = facts.iter().filter_map(known).collect();
    let said = |(ca, number, _, next): &(String, String, Timestamp, Timestamp)| {
        let left = left_ms(*next, now);
        let days = left.abs() / DAY_MS;
        if left > 0 {
            format!("{ca} (number {number}, {days} days left)")
        } else {
            format!("{ca} (number {number}, overdue by {days} days)")
        }
    };
    let overdue = known.iter().filter(|(.., next)| *next <= now).map(said);
    let bad: Vec<String> = missing.chain(overdue).collect();
    if !bad.is_empty() {
        return Check::bad("lists", format!("who is revoked by these CAs is not known: {}", bad.join("; ")), advice);
    }
    let is_short =
        |(_, _, made, next): &&(String, String, Timestamp, Timestamp)| left_ms(*next, now) * 3 < next.ms() as i64 - made.ms() as i64;
    let short: Vec<String> = known.iter().filter(is_short).map(said).collect();
    if !short.is_empty() {
        return Check::warn("lists", format!("due soon: {}", short.join("; ")), advice);
    }
    let first = known.iter().min_by_key(|(.., next)| *next).map(said);
    Check::ok("lists", format!("{} CAs have theirs; the first to end: {}", known.len(), first.unwrap_or_default()))
}

/// What the data folder holds.
#[derive(Clone, Debug, Default)]
pub(super) struct StoreFacts {
    pub(super) exists: bool,
    /// Who has it open.
    pub(super) holder: Option<String>,
    /// When somebody has: entries under the newest checkpoint, as the gateway itself says.
    pub(super) checkpoint: Option<u64>,
    /// When nobody has: entries, or why it does not open.
    pub(super) opened: Option<Result<u64, String>>,
    /// When nobody has: time of the last entry.
    pub(super) last_at: Option<Timestamp>,
}

pub(super) fn store(facts: &StoreFacts, data: &Path) -> Check {
    let data = data.display();
    if !facts.exists {
        return Check::bad("store", format!("there is no store in {data}"), "run `ecowire-gateway init`, or name the folder that it made");
    }
    if let Some(holder) = &facts.holder {
        let newest = facts.checkpoint.map_or(String::new(), |entries| format!("; its newest checkpoint has {entries} entries"));
        return Check::ok("store", format!("held by {holder}{newest}"));
    }
    match &facts.opened {
        Some(Err(why)) => {
            let advice = "do not start it; run `ecowire-gateway check`, keep a copy, and restore the newest backup if the disk is at fault";
            Check::bad("store", format!("it does not open: {why}"), advice)
        }
        Some(Ok(entries)) => Check::unreachable(
            "store",
            format!("no gateway has it open; it is sound and holds {entries} entries"),
            "start the gateway: `ecowire-gateway serve`, or systemctl start ecowire-gateway",
        ),
        None => Check::warn("store", "it was not looked at", "run the doctor again"),
    }
}

pub(super) fn disk(free: Result<u64, String>, data: &Path) -> Check {
    let advice = "free some space, or move the data folder to a larger disk; nothing is written to a full one";
    match free {
        Err(why) => Check::bad("disk", why, "see that the data folder is mounted"),
        Ok(free) => {
            let text = format!("{} MiB free at {}", free >> 20, data.display());
            if free < DISK_BAD_BYTES {
                Check::bad("disk", text, advice)
            } else if free < DISK_WARN_BYTES {
                Check::warn("disk", text, advice)
            } else {
                Check::ok("disk", text)
            }
        }
    }
}

/// By the rule that the gateway itself starts by. Of a running gateway, readiness says it.
pub(super) fn clock(last: Option<Timestamp>) -> Check {
    let Some(last) = last else { return Check::ok("clock", "a running gateway judges it: see ready") };
    match Clock::start(std::sync::Arc::new(SystemTimeSource::default()), Some(last)).now() {
        Ok(now) => Check::ok("clock", format!("it says {now}, the last entry is of {last}")),
        Err(fault) => {
            Check::bad("clock", fault.to_string(), "see that chronyd or systemd-timesyncd runs and agrees, before a clock step is signed")
        }
    }
}

/// Who answers on the port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answers {
    /// Nobody listens.
    Nobody,
    /// This node, with the certificate of tls.pem.
    Ours,
    /// TLS, with another certificate.
    Another,
    /// Something that speaks no TLS of ours, or nothing.
    Stranger(String),
}

pub(super) fn tcp(answers: Answers, listen: SocketAddr, running: bool) -> Check {
    match answers {
        Answers::Ours => Check::ok("tcp", format!("this gateway answers on {listen}")),
        Answers::Nobody if running => Check::unreachable(
            "tcp",
            format!("nobody listens on {listen}, though a gateway has the store open"),
            "see its log: it may be starting still, or was started with another configuration",
        ),
        Answers::Nobody => Check::ok("tcp", format!("{listen} is free")),
        Answers::Another if running => Check::warn(
            "tcp",
            format!("the gateway on {listen} shows another certificate than tls.pem"),
            "a new one is taken within a second; its log says why it was not, or another program has the port",
        ),
        Answers::Another | Answers::Stranger(_) => {
            let what = if let Answers::Stranger(what) = answers { what } else { "it shows another certificate".to_owned() };
            Check::bad("tcp", format!("something else has {listen}: {what}"), "`ss -ltnp` names it; stop it, or change listen")
        }
    }
}

pub(super) fn udp(free: Result<(), String>, listen: SocketAddr, running: bool) -> Check {
    match free {
        Ok(()) => Check::ok("udp", format!("{listen} is free")),
        Err(_) if running => Check::ok("udp", format!("{listen} is in use, a gateway runs")),
        Err(why) => Check::bad("udp", format!("{listen} cannot be had: {why}"), "`ss -lunp` names who has it; stop it, or change listen"),
    }
}

/// What `/readyz` said: status and text, or why nothing came.
pub(super) fn ready(answer: Option<&Result<(u16, String), String>>, metrics: Option<SocketAddr>, running: bool) -> Check {
    let (Some(answer), Some(metrics)) = (answer, metrics) else {
        return Check::warn(
            "ready",
            "telemetry.metrics is off: a running gateway cannot be asked",
            "set it to a loopback address and port",
        );
    };
    match answer {
        Ok((200, text)) if text.starts_with("ready") => Check::ok("ready", format!("the gateway is ready, says {metrics}")),
        Ok((503, text)) if text.starts_with("not ready: ") => {
            let reasons: Vec<&str> = text.lines().map(|line| line.trim_start_matches("not ready: ")).collect();
            Check::bad("ready", reasons.join("; "), "the operator's guide has each reason")
        }
        Ok((status, _)) => {
            Check::bad("ready", format!("{metrics} answers {status}, and not as a gateway does"), "another program has that port")
        }
        Err(why) if running => {
            Check::unreachable("ready", format!("{metrics} does not answer: {why}"), "was telemetry.metrics changed since the start?")
        }
        Err(_) => Check::unreachable("ready", "no gateway runs", "start it"),
    }
}

const DAY_MS: i64 = 86_400_000;
/// A few thousand messages of the largest size.
const DISK_BAD_BYTES: u64 = 256 << 20;
const DISK_WARN_BYTES: u64 = 2 << 30;
