//! `advices`: what the gateway has told this member about messages.

use std::process::ExitCode;

use envelope::Address;
use proto::v1::AdviceKind;
use serde::Serialize;

use super::secrets::Secrets;
use super::{args, mail, print};
use crate::advices::Advice;
use crate::words::Word as _;
use crate::{Client, Error, ReceiveOptions};

#[derive(Serialize)]
struct AdviceLine<'a> {
    seq: u64,
    index: u64,
    kind: String,
    reference: String,
    priority: String,
    recipients: Vec<&'a str>,
    at: String,
    at_ms: u64,
    since: String,
    since_ms: u64,
    receipt: String,
}

pub(super) async fn run(office: &args::Office, secrets: &Secrets, way: &args::Way) -> Result<ExitCode, Error> {
    let profile = super::open(&office.profile, secrets, super::PROFILE_WAIT, way).await?;
    let visited = match super::connect(&profile, way).await {
        Ok(mut client) => client.receive(ReceiveOptions::default()).await,
        Err(error) => Err(error),
    };
    // What is here is shown whatever the gateway says.
    let client = Client::offline(&profile)?;
    let all = client.advices()?;
    all.iter().for_each(|advice| say(advice, office.json));
    client.told_advices(&all)?;
    let mail = visited?;
    mail::unsound(&mail);
    if all.is_empty() {
        print::note("nothing was told: what was sent arrived or still waits, and nobody is late");
    }
    Ok(if mail.unsound.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(5) })
}

/// Notes what no person has been told yet.
pub(super) fn news(client: &Client) -> Result<(), Error> {
    let new = client.new_advices()?;
    for advice in &new {
        print::note(&text(advice));
    }
    client.told_advices(&new)
}

fn say(advice: &Advice, json: bool) {
    if !json {
        return print::line(&text(advice));
    }
    print::json(&AdviceLine {
        seq: advice.seq,
        index: advice.position.index,
        kind: advice.kind.word(),
        reference: advice.reference.to_string(),
        priority: advice.priority.word(),
        recipients: advice.recipients.iter().map(Address::as_str).collect(),
        at: advice.at.to_string(),
        at_ms: advice.at.ms(),
        since: advice.since.to_string(),
        since_ms: advice.since.ms(),
        receipt: advice.receipt_path.display().to_string(),
    });
}

/// Of a closed grammar: nothing to escape.
fn text(advice: &Advice) -> String {
    let recipients: Vec<&str> = advice.recipients.iter().map(Address::as_str).collect();
    let (reference, priority, at) = (advice.reference.to_string(), advice.priority.word(), recipients.join(", "));
    match advice.kind {
        AdviceKind::NotDelivered => {
            format!(
                "NOT DELIVERED     {reference}  {priority}, ended {} before {at} took it; entry {}",
                advice.since, advice.position.index
            )
        }
        _ => format!(
            "NOT ACKNOWLEDGED  {reference}  {priority}, waits since {} for {at}; told {}, entry {}",
            advice.since, advice.at, advice.position.index
        ),
    }
}
