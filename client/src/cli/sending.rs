//! `send` and `status`.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use crate::standing::{End, Outcome, Standing};
use crate::words::{Escaped, Word as _, media_type_of};
use crate::{Carrier, Client, Compose, Error, Link};
use envelope::Reference;
use proto::v1::{Kind, OptOut, RecipientState, RecipientStatus};
use serde::Serialize;

use super::secrets::Secrets;
use super::{args, print, reports};

#[derive(Serialize)]
struct SentLine {
    reference: Option<String>,
    index: Option<u64>,
    state: String,
    receipt: Option<String>,
    /// What it went over.
    #[serde(skip_serializing_if = "Option::is_none")]
    transport: Option<Carrier>,
}

pub(super) async fn send(send: &args::Send, secrets: &Secrets, way: &args::Way) -> Result<ExitCode, Error> {
    if send.about.kind == Kind::Reply && send.about.in_reply_to.is_none() {
        return Err(Error::Argument("a reply needs --in-reply-to REFERENCE".to_owned()));
    }
    let mut named = BTreeSet::new();
    if let Some(twice) = send.seat.iter().find(|seat| !named.insert(*seat)) {
        return Err(Error::Argument(format!(
            "the seat {} is named twice: two officers sign, each with a seat of their own",
            twice.display()
        )));
    }
    let content = std::fs::read(&send.file).map_err(|cause| Error::File { what: "read", path: send.file.clone(), cause })?;
    let name = send.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let (media_type, content) = match &send.media_type {
        Some(media_type) => reports::named(media_type, &send.file, content)?,
        None => {
            let about = (send.about.target.as_ref(), send.about.in_reply_to.as_ref());
            reports::sealed(send.about.kind, about, &send.file, media_type_of(&name), content)?
        }
    };
    let profile = super::open(&send.profile, secrets, send.wait.max(SHORTEST_WAIT), way).await?;
    let mut client = Client::offline(&profile)?;
    let mut seats = Vec::new();
    for seat in &send.seat {
        seats.push(super::open(seat, secrets, super::PROFILE_WAIT, way).await?);
    }
    client.sign_with(seats);
    let message = Compose { exercise: send.exercise, media_type, content, wait: send.wait, ..addressed(&client, &send.about)? };
    let id = client.outbox().next_id();
    let sent = client.send(message).await;
    let transport = client.link().map(Link::carrier);
    print::carrier(&client, way);
    print::news(&client, client.sent_beside(), None)?;
    let sent = match sent {
        Ok(sent) => sent,
        Err(error) => {
            say_kept(&client, id, &error, send.json);
            return Err(error);
        }
    };
    // Its receipt proves that it is durable, published, and available to every recipient or held for whom it names.
    let state = sent.held_by.as_ref().map_or(RecipientState::Available, |_| RecipientState::Held).word();
    if let Some(desk) = &sent.held_by {
        print::note(&format!("held until {desk} releases it"));
    }
    let receipt = sent.receipt_path.display().to_string();
    let (reference, index) = (sent.reference.to_string(), sent.position.index);
    if send.json {
        print::json(&SentLine { reference: Some(reference), index: Some(index), state, receipt: Some(receipt), transport });
    } else {
        print::line(&format!("{reference}  entry {index}  {state}"));
        print::note(&format!("receipt {receipt}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// A message without its content: to whom, and as what.
pub(super) fn addressed(client: &Client, about: &args::Addressed) -> Result<Compose, Error> {
    let to = match &about.target {
        Some(target) if about.to.is_empty() => client.concerned(target)?,
        _ => about.to.clone(),
    };
    let permission = |beginning: &String| client.permission(beginning).map(|one| one.digest);
    Ok(Compose {
        kind: about.kind,
        priority: about.priority,
        classification: about.classification,
        handling: about.handling,
        in_reply_to: about.in_reply_to.clone(),
        target: about.target.clone(),
        parent: about.passes_on.clone(),
        permissions: about.permission.iter().map(permission).collect::<Result<_, _>>()?,
        opt_out: about.opt_out.unwrap_or(OptOut::None),
        except: about.except.clone(),
        ..Compose::new(to, Vec::new())
    })
}

/// A message that was not sent may still be in the outbox.
pub(super) fn say_kept(client: &Client, id: crate::outbox::Id, error: &Error, json: bool) {
    let Some(item) = client.outbox().items().get(&id).filter(|item| !item.void) else { return };
    let reference = client.reference_of(item.id).map(|reference| reference.to_string());
    if !matches!(error, Error::Unreachable { reference: Some(_), .. }) {
        let name = reference.as_deref().unwrap_or("the message");
        print::note(&format!("{name} is kept in the outbox"));
    }
    if json {
        print::json(&SentLine { reference, index: None, state: QUEUED.to_owned(), receipt: None, transport: None });
    }
}

#[derive(Serialize)]
struct StatusLine<'a> {
    reference: String,
    recipient: &'a str,
    state: String,
    at_ms: u64,
}

/// A number that has no recipients to speak of.
#[derive(Serialize)]
struct StandingLine<'a> {
    reference: String,
    state: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_ms: Option<u64>,
    void: bool,
}

pub(super) async fn status(status: &args::Status, secrets: &Secrets, way: &args::Way) -> Result<ExitCode, Error> {
    let (reference, json) = (&status.reference, status.json);
    let profile = super::open(&status.profile, secrets, super::PROFILE_WAIT, way).await?;
    let mut client = Client::offline(&profile)?;
    let reached = super::reach(&mut client, None, super::FLUSH_WAIT, way).await;
    let outcomes = client.outcomes_of(reference)?;
    let known_here = client.standing_here(reference);
    let standing = match (&reached, known_here) {
        (_, Some(standing)) => Some(standing),
        (Ok(()), None) => match client.standing(reference).await {
            Err(Error::NotHere(_)) if !outcomes.is_empty() => None,
            other => Some(other?),
        },
        (Err(_), None) if client.is_void_here(reference)? => Some(Standing::Ledger { void: true, recipients: Vec::new() }),
        (Err(_), None) => None,
    };
    if standing.is_none() && outcomes.is_empty() {
        return reached.map(|()| ExitCode::SUCCESS);
    }
    show(reference, standing.as_ref(), outcomes.last(), json);
    match reached {
        // What was asked is answered.
        Err(Error::Unreachable { gateway, cause, .. }) => print::note(&format!("{gateway} is not reachable: {cause}")),
        other => other?,
    }
    Ok(ExitCode::SUCCESS)
}

fn show(reference: &Reference, standing: Option<&Standing>, outcome: Option<&Outcome>, json: bool) {
    let void = matches!(standing, Some(Standing::Closing | Standing::Ledger { void: true, .. }));
    let line = |state: &'static str| StandingLine { reference: reference.to_string(), state, name: None, text: None, at_ms: None, void };
    match (standing, outcome) {
        (Some(Standing::Queued), _) if json => print::json(&line(QUEUED)),
        (Some(Standing::Queued), _) => print::line(&format!("{reference}  in the outbox, not yet sent")),
        (Some(Standing::Ledger { void: false, recipients }), _) => recipients.iter().for_each(|one| recipient(reference, one, json)),
        (_, Some(outcome)) if json => {
            let at_ms = Some(outcome.at.ms());
            print::json(&match &outcome.end {
                End::Refused { name, text } => StandingLine { name: Some(name), text: Some(text), at_ms, ..line("refused") },
                End::Expired => StandingLine { at_ms, ..line("expired") },
            });
        }
        (_, None) if json => print::json(&line("void")),
        (standing, Some(outcome)) => {
            let number = match standing {
                Some(Standing::Closing) => "; a VOID closes its number, and is not yet sent",
                Some(_) => ", its number was closed by a VOID",
                None => "",
            };
            print::line(&format!("{reference}  {}{number}", Escaped(&outcome.end.to_string())));
        }
        (_, None) => print::line(&format!("{reference}  no message has this number, a VOID closes it")),
    }
    // An earlier message's outcome must not be lost behind the one that took its number.
    if let (Some(Standing::Queued | Standing::Ledger { void: false, .. }), Some(outcome)) = (standing, outcome) {
        print::note(&format!("an earlier message under {reference} was never sent: {}", outcome.end));
    }
}

fn recipient(reference: &Reference, recipient: &RecipientStatus, json: bool) {
    let state = recipient.state().word();
    if json {
        let reference = reference.to_string();
        return print::json(&StatusLine { reference, recipient: &recipient.recipient, state, at_ms: recipient.at_ms });
    }
    let name = Escaped(&recipient.recipient).to_string();
    print::line(&format!("{reference}  {name:<24} {state:<12} {}", envelope::Timestamp(recipient.at_ms)));
}

/// The state of a message in the outbox.
const QUEUED: &str = "queued";
/// Another command has the profile for a moment even when nothing is to be waited for.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
