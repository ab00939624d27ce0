//! `query`, `respond` and `confirm`, and what `open` says of forms.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use content::{Form, v1};
use proto::v1::Kind;
use serde::Serialize;

use super::secrets::Secrets;
use super::{args, mail, print, sending};
use crate::queries::{QueryAnswer, VALID};
use crate::respond::{List, Reports, Responded, check_service};
use crate::{Client, Compose, Error, Opened, ReceiveOptions, Received, clock};

pub(super) async fn query(query: &args::Query, secrets: &Secrets, way: &args::Way) -> Result<ExitCode, Error> {
    let profile = super::open(&query.profile, secrets, super::PROFILE_WAIT, way).await?;
    let mut client = Client::offline(&profile)?;
    if let Some(reference) = &query.status {
        let reached = match super::reach(&mut client, None, super::FLUSH_WAIT, way).await {
            Ok(()) => client.receive(ReceiveOptions::default()).await.map(|mail| mail::unsound(&mail)),
            Err(error) => Err(error),
        };
        // What is here is shown whatever the gateway says.
        let answer = match client.answer_to(reference) {
            Err(Error::NotHere(_)) if client.standing_here(reference).is_some() => None,
            answer => answer?,
        };
        if let Err(error) = &reached {
            print::note(&error.to_string());
        }
        return Ok(said(&client, reference, answer.as_ref(), query.json));
    }
    let Some(service) = &query.service else { return Err(Error::Argument("--service ADDRESS is wanted".to_owned())) };
    let (message, warnings) = client.query(service, &question(query)?)?;
    warnings.iter().for_each(|warning| print::note(&format!("note: {} {}", warning.path, warning.text)));
    let deadline = Instant::now() + query.wait;
    let id = client.outbox().next_id();
    let sent = client
        .send(Compose { classification: query.classification, exercise: query.exercise, wait: query.wait.min(message.wait), ..message })
        .await;
    print::carrier(&client, way);
    print::news(&client, client.sent_beside(), None)?;
    let sent = match sent {
        Ok(sent) => sent,
        Err(error) => {
            sending::say_kept(&client, id, &error, query.json);
            return Err(error);
        }
    };
    print::note(&format!("{} to {service}, entry {}", sent.reference, sent.position.index));
    if let Some(desk) = &sent.held_by {
        print::note(&format!("held until {desk} releases it"));
    }
    let answered = |one: &Received| one.kind == Kind::QueryResult && one.from() == service;
    while client.answer_to(&sent.reference)?.is_none() {
        let left = deadline.saturating_duration_since(Instant::now());
        let came = client.receive_each(ReceiveOptions { follow: true }, |one| match answered(one) {
            true => std::ops::ControlFlow::Break(()),
            false => std::ops::ControlFlow::Continue(()),
        });
        match tokio::time::timeout(left, came).await {
            Ok(mail) => mail::unsound(&mail?),
            Err(_) => break,
        }
    }
    Ok(said(&client, &sent.reference, client.answer_to(&sent.reference)?.as_ref(), query.json))
}

/// The query that the options ask for.
fn question(query: &args::Query) -> Result<v1::Query, Error> {
    let about = v1::About { purpose: query.purpose.clone(), ..v1::About::default() };
    Ok(v1::Query { about: Some(about), subject: Some(subject(&query.asked)?), place: None })
}

/// What is asked about.
pub(super) fn subject(asked: &args::Asked) -> Result<v1::Subject, Error> {
    let identified = |kind: &str, raw: &str| v1::Identified {
        kind: kind.to_owned(),
        number: Some(v1::Identifier { raw: raw.to_owned(), ..v1::Identifier::default() }),
        country: String::new(),
    };
    let document = asked.document.as_ref().map(|text| text.split_once(':').unwrap_or(("passport", text)));
    let numbers = [("imo", &asked.imo), ("mmsi", &asked.mmsi), ("container", &asked.container), ("plate", &asked.plate)];
    let given = numbers.iter().filter_map(|(kind, raw)| Some((*kind, raw.as_deref()?))).chain(document);
    let identifiers: Vec<v1::Identified> = given.map(|(kind, raw)| identified(kind, raw)).collect();
    if identifiers.is_empty() && asked.name.is_none() {
        return Err(Error::Argument("what is asked about? --imo, --mmsi, --container, --plate, --document or --name".to_owned()));
    }
    let follows = match identifiers.first().map_or("", |one| one.kind.as_str()) {
        "" => "",
        "imo" | "mmsi" => "vessel",
        "container" => "container",
        "plate" => "vehicle",
        "permit" | "registration" => "document",
        _ => "person",
    };
    let kind = asked.subject.clone().unwrap_or_else(|| follows.to_owned());
    let mut subject = v1::Subject { kind, identifiers, ..v1::Subject::default() };
    if let Some(name) = asked.name.clone() {
        match subject.kind.as_str() {
            "vessel" => subject.vessel = Some(v1::Vessel { name, ..v1::Vessel::default() }),
            "company" => subject.company = Some(v1::Organisation { name, ..v1::Organisation::default() }),
            _ => subject.person = Some(v1::Person { names: vec![name], ..v1::Person::default() }),
        }
    }
    Ok(subject)
}

#[derive(Serialize)]
struct AnswerLine<'a> {
    query: String,
    /// no_hit, hit, too_many, refused, or none yet.
    result: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    text: &'a str,
    confirm_before_acting: bool,
    hits: Vec<HitLine<'a>>,
}

#[derive(Serialize)]
struct HitLine<'a> {
    record: &'a str,
    owner: &'a str,
    confidence: &'a str,
    source: &'a str,
    matched: &'a [String],
    confirmed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    said: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    said_in: Option<String>,
    line: String,
}

/// Says what was answered; 8 when somebody's word is missing, 4 when there is no answer yet.
fn said(client: &Client, query: &envelope::Reference, answer: Option<&QueryAnswer>, json: bool) -> ExitCode {
    let open = answer.is_some_and(QueryAnswer::is_open);
    if json {
        let hit = |hit: &'_ crate::queries::Hit| hit.is_confirmed();
        print::json(&AnswerLine {
            query: query.to_string(),
            result: answer.map(|answer| answer.result.as_str()),
            answer: answer.map(|answer| answer.reference.to_string()),
            text: answer.map_or("", |answer| answer.text.as_str()),
            confirm_before_acting: open,
            hits: answer.iter().flat_map(|answer| &answer.hits).map(|one| hit_line(one, hit(one))).collect(),
        });
    } else if let Some(answer) = answer {
        answer.lines().iter().for_each(|line| print::line(line));
    }
    if answer.is_none() {
        print::note(&format!("no answer yet: `ecowire query --profile {} --status {query}` looks again", client.profile().dir().display()));
        return ExitCode::from(NO_ANSWER);
    }
    if open { ExitCode::from(NOT_CONFIRMED) } else { ExitCode::SUCCESS }
}

fn hit_line(hit: &crate::queries::Hit, confirmed: bool) -> HitLine<'_> {
    HitLine {
        record: &hit.row.record,
        owner: &hit.row.owner,
        confidence: &hit.row.confidence,
        source: &hit.row.source,
        matched: &hit.row.matched,
        confirmed,
        said: hit.said.as_ref().map(|said| said.state.as_str()),
        said_in: hit.said.as_ref().map(|said| said.reference.to_string()),
        line: hit.line(),
    }
}

pub(super) async fn respond(respond: &args::Respond, secrets: &Secrets, way: &args::Way) -> Result<ExitCode, Error> {
    let profile = super::open(&respond.profile, secrets, super::PROFILE_WAIT, way).await?;
    check_service(profile.address(), respond.service.as_ref())?;
    let mut client = Client::offline(&profile)?;
    let mut data = Data::read(&client, respond)?;
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    let mut trouble = String::new();
    loop {
        let visited = tokio::select! {
            _ = &mut interrupted => return Ok(ExitCode::SUCCESS),
            visited = visit(&mut client, &mut data, respond, way) => visited,
        };
        match visited {
            Ok(true) => {}
            Ok(false) if !respond.follow => return Ok(ExitCode::SUCCESS),
            Ok(false) => trouble.clear(),
            Err(error @ Error::Unreachable { .. }) if respond.follow => {
                // The same trouble is told once.
                let text = error.to_string();
                if text != trouble {
                    print::note(&text);
                    trouble = text;
                }
                tokio::select! {
                    _ = &mut interrupted => return Ok(ExitCode::SUCCESS),
                    () = tokio::time::sleep(PAUSE) => {}
                }
            }
            Err(error) => return Err(error),
        }
        data.look_again();
    }
}

/// Fetches what waits, or waits for what comes, and answers it; true when there may be more.
async fn visit(client: &mut Client, data: &mut Data, respond: &args::Respond, way: &args::Way) -> Result<bool, Error> {
    if client.link().is_none() {
        super::reach(client, None, super::FLUSH_WAIT, way).await?;
    }
    mail::unsound(&client.receive(ReceiveOptions::default()).await?);
    let mut done = client.respond(data.now(client)?, AT_A_TIME, FLUSH_WAIT).await?;
    done.iter().for_each(|one| responded(one, respond.json));
    print::news(client, &[], None)?;
    if !done.is_empty() || !respond.follow {
        return Ok(done.len() >= AT_A_TIME);
    }
    // Nothing was there: the next one ends the wait, and so does a moment in which the list may have changed.
    let came = client.receive_each(ReceiveOptions { follow: true }, |one| match one.kind {
        Kind::Query => std::ops::ControlFlow::Break(()),
        _ => std::ops::ControlFlow::Continue(()),
    });
    if let Ok(mail) = tokio::time::timeout(LOOK_AGAIN, came).await {
        mail::unsound(&mail?);
        done = client.respond(data.now(client)?, AT_A_TIME, FLUSH_WAIT).await?;
        done.iter().for_each(|one| responded(one, respond.json));
    }
    Ok(false)
}

/// What is answered from.
struct Data {
    path: Option<PathBuf>,
    changed: Option<SystemTime>,
    /// What the file has.
    file: List,
    reports: Option<Reports>,
    /// All of it.
    list: List,
}

impl Data {
    fn read(client: &Client, respond: &args::Respond) -> Result<Self, Error> {
        let path = respond.data.clone();
        let (file, changed) = match &path {
            Some(path) => (List::read(path)?, changed(path)),
            None => (List::default(), None),
        };
        let reports = respond.reports.then(Reports::default);
        let mut data = Self { path, changed, file, reports, list: List::default() };
        if let Some(reports) = &mut data.reports {
            reports.learn(client)?;
        }
        data.put_together();
        data.say(client.address().as_str());
        Ok(data)
    }

    /// With the reports that have come.
    fn now(&mut self, client: &Client) -> Result<&List, Error> {
        if let Some(reports) = &mut self.reports
            && reports.learn(client)?
        {
            self.put_together();
        }
        Ok(&self.list)
    }

    /// A list that has become none is said, and the one before stays.
    fn look_again(&mut self) {
        let Some(path) = &self.path else { return };
        let now = changed(path);
        if now == self.changed {
            return;
        }
        self.changed = now;
        match List::read(path) {
            Ok(list) => {
                self.file = list;
                self.put_together();
                self.say("read again");
            }
            Err(error) => print::note(&format!("the list before is kept: {error}")),
        }
    }

    fn put_together(&mut self) {
        let reports = self.reports.iter().flat_map(Reports::entries);
        self.list = List::of(self.file.entries().iter().cloned().chain(reports));
    }

    fn say(&self, who: &str) {
        let (all, file) = (self.list.entries().len(), self.file.entries().len());
        let of_file = self.path.as_ref().map(|path| format!("{file} records of {}", path.display()));
        let of_reports = self.reports.as_ref().map(|_| format!("{} cases of the inbox", all - file));
        let said: Vec<String> = of_file.into_iter().chain(of_reports).collect();
        print::note(&format!("{who}: {}", said.join(", ")));
    }
}

fn changed(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

#[derive(Serialize)]
struct RespondedLine {
    query: String,
    result: &'static str,
    answer: Option<String>,
    hits: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    refused: Vec<String>,
}

fn responded(one: &Responded, json: bool) {
    let refused: Vec<String> = one.refused.iter().map(ToString::to_string).collect();
    let (query, answer) = (one.query.to_string(), one.answer.as_ref().map(ToString::to_string));
    let hits: Vec<String> = one.hits.iter().map(ToString::to_string).collect();
    if json {
        return print::json(&RespondedLine { query, result: one.result, answer, hits, refused });
    }
    let told = if hits.is_empty() { String::new() } else { format!(", owners told in {}", hits.join(", ")) };
    print::line(&format!("{query}  {}  {}{told}", one.result, answer.as_deref().unwrap_or("no answer before")));
    refused.iter().for_each(|text| print::note(&format!("{query}: {text}")));
}

pub(super) async fn confirm(confirm: &args::Confirm, secrets: &Secrets, way: &args::Way) -> Result<ExitCode, Error> {
    let profile = super::open(&confirm.profile, secrets, super::PROFILE_WAIT, way).await?;
    let mut client = super::connect(&profile, way).await?;
    mail::unsound(&client.receive(ReceiveOptions::default()).await?);
    let (state, text) = match (&confirm.invalid, &confirm.instructions) {
        (Some(why), _) => ("invalid", why.as_str()),
        (None, Some(what)) => ("instructions", what.as_str()),
        (None, None) => (VALID, confirm.text.as_deref().unwrap_or("")),
    };
    let until = confirm.hours.map_or_else(String::new, |hours| clock::now().plus(u64::from(hours) * 3_600_000).to_string());
    let message = client.confirmation(&confirm.reference, state, text, &until)?;
    let to: Vec<String> = message.to.iter().map(ToString::to_string).collect();
    let sent = client.send(message).await?;
    if confirm.json {
        print::json(
            &serde_json::json!({"reference": sent.reference.to_string(), "hit": confirm.reference.to_string(), "state": state, "to": to}),
        );
    } else {
        print::line(&format!("{}  {} is {state}, told to {}", sent.reference, confirm.reference, to.join(", ")));
    }
    Ok(ExitCode::SUCCESS)
}

/// What a message with a form says beside who signed it: of an answer to a query, whether its hits hold.
pub(super) fn hits_in(client: &Client, opened: &Opened) -> Result<(), Error> {
    if opened.message.kind == Kind::QueryResult && opened.media_type == Form::QueryResult.media_type() {
        client.answer_of(opened)?.lines().iter().for_each(|line| print::noted(line));
    }
    Ok(())
}

/// A hit that its owner has not confirmed.
pub(super) const NOT_CONFIRMED: u8 = 8;
const NO_ANSWER: u8 = 4;
/// Queries of one visit: what comes meanwhile is answered in the next.
const AT_A_TIME: usize = 64;
/// An answer that the gateway does not take at once goes out beside the next.
const FLUSH_WAIT: Duration = Duration::from_secs(5);
/// A list may change while nothing is asked.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_secs(2);
