//! `send` and `status`.

use std::process::ExitCode;

use crate::words::{Word as _, media_type_of};
use crate::{Client, Compose, Error, Profile};
use proto::v1::{OptOut, RecipientState};
use serde::Serialize;

use super::{args, print};

#[derive(Serialize)]
struct SentLine {
    reference: String,
    index: u64,
    state: String,
    receipt: String,
}

pub(super) async fn send(send: &args::Send) -> Result<ExitCode, Error> {
    let content = std::fs::read(&send.file).map_err(|cause| Error::File { what: "read", path: send.file.clone(), cause })?;
    let name = send.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let message = Compose {
        kind: send.kind,
        priority: send.priority,
        classification: send.classification,
        handling: send.handling,
        in_reply_to: send.in_reply_to.clone(),
        opt_out: send.opt_out.unwrap_or(OptOut::None),
        exercise: send.exercise,
        media_type: send.media_type.clone().unwrap_or_else(|| media_type_of(&name).to_owned()),
        wait: send.wait,
        ..Compose::new(send.to.clone(), content)
    };
    let profile = Profile::open(&send.profile)?;
    let sent = Client::offline(&profile)?.send(message).await?;
    // Its receipt proves that it is durable, published, and available to every recipient.
    let state = RecipientState::Available.word();
    let receipt = sent.receipt_path.display().to_string();
    let (reference, index) = (sent.reference.to_string(), sent.position.index);
    if send.json {
        print::json(&SentLine { reference, index, state, receipt });
    } else {
        print::line(&format!("{reference}  entry {index}  {state}"));
        print::note(&format!("receipt {receipt}"));
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct StatusLine<'a> {
    reference: String,
    recipient: &'a str,
    state: String,
    at_ms: u64,
}

pub(super) async fn status(status: &args::Status) -> Result<ExitCode, Error> {
    let profile = Profile::open(&status.profile)?;
    let mut client = super::connect(&profile).await?;
    for recipient in client.status(&status.reference).await? {
        let state = recipient.state().word();
        if status.json {
            let reference = status.reference.to_string();
            print::json(&StatusLine { reference, recipient: &recipient.recipient, state, at_ms: recipient.at_ms });
        } else {
            let name = crate::words::Escaped(&recipient.recipient).to_string();
            print::line(&format!("{}  {name:<24} {state:<12} {}", status.reference, envelope::Timestamp(recipient.at_ms)));
        }
    }
    Ok(ExitCode::SUCCESS)
}
