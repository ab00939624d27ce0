//! `notices` and `report`: what stands now, of what came in parts.

use std::process::ExitCode;

use content::Payload;
use serde::Serialize;

use super::secrets::Secrets;
use super::{args, mail, print, reports};
use crate::board::Notice;
use crate::words::{Escaped, Word as _};
use crate::{Error, ReceiveOptions};

pub(super) async fn notices(asked: &args::Notices, secrets: &Secrets, way: &args::Way) -> Result<ExitCode, Error> {
    let profile = super::open(&asked.office.profile, secrets, super::PROFILE_WAIT, way).await?;
    // The board is read without a link, too.
    let client = match super::connect(&profile, way).await {
        Ok(mut client) => {
            client.receive(ReceiveOptions::default()).await?;
            client
        }
        Err(error @ Error::Unreachable { .. }) => {
            print::note(&error.to_string());
            crate::Client::offline(&profile)?
        }
        Err(other) => return Err(other),
    };
    let wanted = |notice: &&Notice| {
        (asked.all || notice.state.is_in_force())
            && asked.colour.as_ref().is_none_or(|colour| *colour == notice.colour)
            && asked.area.as_ref().is_none_or(|area| *area == notice.area)
    };
    let all = client.notices()?;
    let shown: Vec<&Notice> = all.iter().filter(wanted).collect();
    if shown.is_empty() {
        let why = if all.is_empty() { "the board is empty" } else { "no notice fits; --all shows those that are no longer in force, too" };
        print::note(why);
    }
    shown.into_iter().for_each(|notice| say(notice, asked.office.json));
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct NoticeLine<'a> {
    reference: String,
    kind: String,
    number: &'a str,
    colour: &'a str,
    area: &'a str,
    state: &'a str,
    valid_until: &'a str,
    text: &'a str,
    changed_by: Vec<String>,
}

fn say(notice: &Notice, json: bool) {
    let (reference, kind, state) = (notice.message.reference.to_string(), notice.message.kind.word(), notice.state.word());
    if json {
        return print::json(&NoticeLine {
            reference,
            kind,
            number: &notice.number,
            colour: &notice.colour,
            area: &notice.area,
            state,
            valid_until: &notice.valid_until,
            text: &notice.text,
            changed_by: notice.changed_by.iter().map(ToString::to_string).collect(),
        });
    }
    let of = |text: &str| if text.is_empty() { "-".to_owned() } else { Escaped(text).to_string() };
    let name = if notice.number.is_empty() { kind } else { of(&notice.number) };
    print::line(&format!(
        "{:<8} {:<16} {state:<10} {name}  {reference}  until {}",
        of(&notice.colour),
        of(&notice.area),
        of(&notice.valid_until)
    ));
    if !notice.text.is_empty() {
        print::line(&format!("         {}", Escaped(&notice.text)));
    }
}

pub(super) async fn report(asked: &args::Report, secrets: &Secrets, way: &args::Way) -> Result<ExitCode, Error> {
    let profile = super::open(&asked.office.profile, secrets, super::PROFILE_WAIT, way).await?;
    let client = crate::Client::offline(&profile)?;
    let (folded, corrected) = client.current_report(&asked.reference)?;
    mail::said_of(&client, &asked.reference)?;
    if let Some(by) = &folded.cancelled_by {
        print::note(&format!("cancelled by {}", Escaped(by)));
    }
    for one in &corrected {
        print::note(&format!("corrected by {}", one.by));
        for left in &one.unapplied {
            print::note(&format!("{}: {} was not changed: {}", one.by, Escaped(&left.path), left.why));
        }
    }
    for reference in &folded.taken_back {
        print::note(&format!("taken back: {}", Escaped(reference)));
    }
    for (reference, field) in &folded.differences {
        print::note(&format!("{} says otherwise of {}; what was said first is shown", Escaped(reference), Escaped(field)));
    }
    for (section, by) in &folded.sections {
        print::note(&format!("{section}: {}", Escaped(&by.join(", "))));
    }
    let mut payload = Payload::from(&folded.report);
    // What a correction has put there was not looked at before.
    if !corrected.is_empty() {
        payload = reports::checked(payload);
    }
    if asked.office.json {
        print::json_text(&payload.to_json());
    } else {
        payload.lines().iter().for_each(|(path, value)| print::line(&format!("{path:<32} {}", Escaped(value))));
    }
    Ok(ExitCode::SUCCESS)
}
