//! `explain`: which rules a message would meet.

use std::process::ExitCode;

use exchange::Refusal;
use exchange::rules::Judgement;
use serde::Serialize;

use super::secrets::Secrets;
use super::{args, print};
use crate::words::Escaped;
use crate::{Client, Error};

#[derive(Serialize)]
struct RuleLine {
    rule: u8,
    name: &'static str,
    asks: &'static str,
    /// ok, refused, or unknown: then only the gateway can tell.
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

pub(super) async fn run(explain: &args::Explain, secrets: &Secrets, way: &args::Way) -> Result<ExitCode, Error> {
    let profile = super::open(&explain.profile, secrets, super::PROFILE_WAIT, way).await?;
    let client = Client::offline(&profile)?;
    let message = super::sending::addressed(&client, &explain.about)?;
    let told = client.explain(&message)?;
    let added: Vec<String> = told.recipients.iter().filter(|one| !message.to.contains(one)).map(ToString::to_string).collect();
    let copies = if added.is_empty() { String::new() } else { format!(" ({} for oversight)", added.join(", ")) };
    let all: Vec<String> = told.recipients.iter().map(ToString::to_string).collect();
    print::note(&format!("to {}{copies}", all.join(", ")));
    print::note(&format!("by a directory of {} statements, of {}", told.head.size, told.head.at));
    if let Some(desk) = &told.held_by {
        print::note(&format!("held until {desk} releases it"));
    }
    for judgement in &told.judgements {
        say(judgement, explain.json);
    }
    let by_directory = matches!(
        told.refusal(),
        Some(
            Refusal::StaleKey { .. } | Refusal::StaleDirectory { .. } | Refusal::UnknownRecipient { .. } | Refusal::OversightMissing { .. }
        )
    );
    if by_directory {
        print::note("a newer directory may say otherwise: `ecowire send` fetches it before it seals");
    }
    Ok(match told.refusal() {
        None => ExitCode::SUCCESS,
        Some(_) => ExitCode::from(REFUSED),
    })
}

fn say(judgement: &Judgement, json: bool) {
    let (verdict, refusal) = match &judgement.said {
        None => ("unknown", None),
        Some(Ok(())) => ("ok", None),
        Some(Err(refusal)) => ("refused", Some(refusal)),
    };
    let (rule, name, asks) = (judgement.rule.number(), judgement.rule.name(), judgement.rule.asks());
    if json {
        let text = refusal.map(ToString::to_string);
        return print::json(&RuleLine { rule, name, asks, verdict, refusal: refusal.map(exchange::Refusal::name), text });
    }
    let text = match (&judgement.said, refusal) {
        (_, Some(refusal)) => format!("{}: {refusal}", refusal.name()),
        (None, _) => format!("the gateway will tell: {asks}"),
        (Some(_), None) => format!("ok: {asks}"),
    };
    print::line(&format!("{rule:>2} {name:<11} {}", Escaped(&text)));
}

/// As every command whose message is refused.
const REFUSED: u8 = 3;
