//! `overdue` and `audit statistics`: deadlines by as much of the log as one is shown.

use std::process::ExitCode;

use envelope::{Address, Class};
use exchange::clocks::{Due, Overdue, Statistics};
use serde::Serialize;

use super::secrets::Secrets;
use super::{args, print};
use crate::overdue::{self, Reading};
use crate::words::Word as _;
use crate::{Client, Error, clock};

#[derive(Serialize)]
struct OverdueLine<'a> {
    reference: String,
    sender: &'a str,
    recipients: Vec<&'a str>,
    kind: String,
    priority: String,
    due: &'static str,
    since: String,
    since_ms: u64,
    told_to: Vec<&'a str>,
}

#[derive(Serialize)]
struct BureauLine<'a> {
    bureau: &'a str,
    received: u64,
    delivered: u64,
    acknowledged_in_time: u64,
    acknowledged_late: u64,
    not_acknowledged: u64,
    expired: u64,
    asked: u64,
    replied_in_time: u64,
    replied_late: u64,
    not_replied: u64,
    overdue: u64,
    acknowledgement_median_ms: Option<u64>,
    acknowledgement_p95_ms: Option<u64>,
}

pub(super) async fn run(overdue: &args::Overdue, secrets: &Secrets, way: &args::Way) -> Result<ExitCode, Error> {
    let looking = &overdue.looking;
    let profile = super::open(&looking.profile, secrets, super::PROFILE_WAIT, way).await?;
    let mut client = super::connect(&profile, way).await?;
    let reading = read(&mut client, looking).await?;
    let is_auditor = client.address().class() == Class::Auditor;
    if is_auditor && !sees_all(client.address()) {
        print::note("acknowledgements are shown to the network's auditor alone: only answers are looked at");
    }
    // An auditor's list is the same whoever has seen it before.
    let all = if is_auditor { reading.overdue() } else { client.not_yet_told(reading.overdue())? };
    all.iter().for_each(|one| say(one, looking.json));
    if !is_auditor {
        client.told_overdue(&all)?;
    }
    if all.is_empty() {
        print::note("nothing is overdue");
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::from(OVERDUE))
}

pub(super) async fn statistics(looking: &args::Looking, secrets: &Secrets, way: &args::Way) -> Result<ExitCode, Error> {
    let profile = super::open(&looking.profile, secrets, super::PROFILE_WAIT, way).await?;
    if profile.address().class() != Class::Auditor {
        let text = "only an auditor's certificate sees more than the own entries; use `ecowire overdue` for those";
        return Err(Error::refused("NO_AUTHORITY", text));
    }
    let mut client = super::connect(&profile, way).await?;
    let reading = read(&mut client, looking).await?;
    if !sees_all(client.address()) {
        print::note("acknowledgements are shown to the network's auditor alone: only answers are counted");
    }
    for (bureau, counts) in reading.clocks.statistics(reading.now) {
        bureau_line(&bureau, &counts, looking.json);
    }
    Ok(ExitCode::SUCCESS)
}

async fn read(client: &mut Client, looking: &args::Looking) -> Result<Reading, Error> {
    let reading = overdue::read(client, &looking.purpose, clock::now()).await?;
    if !reading.verdict.findings.is_empty() {
        print::note(&format!("the log has {} findings: see `ecowire audit verify`", reading.verdict.findings.len()));
    }
    Ok(reading)
}

fn sees_all(auditor: &Address) -> bool {
    auditor.as_str() == "aud/network"
}

fn say(one: &Overdue, json: bool) {
    let (recipients, told_to): (Vec<&str>, Vec<&str>) =
        (one.recipients.iter().map(Address::as_str).collect(), one.told_to.iter().map(Address::as_str).collect());
    let (reference, kind, priority, since) = (one.reference.to_string(), one.kind.word(), one.priority.word(), one.since.to_string());
    if json {
        return print::json(&OverdueLine {
            reference,
            sender: one.reference.sender.as_str(),
            recipients,
            kind,
            priority,
            due: word(one.due),
            since,
            since_ms: one.since.ms(),
            told_to,
        });
    }
    let told = if told_to.is_empty() { String::new() } else { format!("; told to {}", told_to.join(", ")) };
    let at = recipients.join(", ");
    let said = match one.due {
        Due::Undelivered => format!("expired, not delivered to {at} at {since}"),
        due => format!("{} by {at} overdue since {since}{told}", word(due)),
    };
    print::line(&format!("{reference:<32} {kind:<14} {priority:<8} {said}"));
}

fn word(due: Due) -> &'static str {
    match due {
        Due::Delivery => "delivery",
        Due::Acknowledgement => "acknowledgement",
        Due::Reply => "reply",
        Due::Undelivered => "undelivered",
    }
}

fn bureau_line(bureau: &Address, counts: &Statistics, json: bool) {
    let &Statistics {
        received,
        delivered,
        acknowledged_in_time,
        acknowledged_late,
        not_acknowledged,
        expired,
        asked,
        replied_in_time,
        replied_late,
        not_replied,
        overdue,
        acknowledgement_median_ms,
        acknowledgement_p95_ms,
    } = counts;
    if json {
        let bureau = bureau.as_str();
        return print::json(&BureauLine {
            bureau,
            received,
            delivered,
            acknowledged_in_time,
            acknowledged_late,
            not_acknowledged,
            expired,
            asked,
            replied_in_time,
            replied_late,
            not_replied,
            overdue,
            acknowledgement_median_ms,
            acknowledgement_p95_ms,
        });
    }
    let seconds = |ms: Option<u64>| ms.map_or_else(|| "-".to_owned(), |ms| format!("{}.{} s", ms / 1000, ms % 1000 / 100));
    let (median, p95) = (seconds(acknowledgement_median_ms), seconds(acknowledgement_p95_ms));
    print::line(&format!(
        "{:<16} received {received}, delivered {delivered}, acknowledged {acknowledged_in_time} in time, {acknowledged_late} late, \
         {not_acknowledged} not yet (median {median}, p95 {p95}), expired {expired}; asked {asked}, answered {replied_in_time} in time, \
         {replied_late} late, {not_replied} not yet; overdue {overdue}",
        bureau.to_string()
    ));
}

/// Something is overdue.
const OVERDUE: u8 = 7;
