//! `receipt show` and `receipt verify`.

use std::process::ExitCode;

use crate::Error;
use crate::receipt::{Shown, show_file, verify_file};
use crate::words::{Escaped, Word as _};
use envelope::{Address, Reference};
use proto::v1;
use serde::Serialize;

use super::{args, print};

#[derive(Serialize)]
struct Line {
    verified: bool,
    index: u64,
    kind: String,
    at_ms: u64,
    checkpoint_size: Option<u64>,
    checkpoint_root: Option<String>,
    reference: Option<String>,
    message_kind: Option<String>,
    priority: Option<String>,
    recipients: Vec<String>,
    message_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    told: Option<String>,
}

pub(super) fn run(receipt: &args::Receipt) -> Result<ExitCode, Error> {
    match &receipt.command {
        args::ReceiptCommand::Show { file, json, .. } => print(&show_file(file)?, None, *json),
        args::ReceiptCommand::Verify { file, trust, json } => {
            let (proven, shown) = verify_file(file, trust)?;
            print(&shown, Some(proven.checkpoint.root.to_string()), *json);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print(shown: &Shown, root: Option<String>, json: bool) {
    let context = shown.header.as_ref().map(|header| &header.context);
    let advice = shown.advice.as_ref();
    let named = |advice: &v1::Advice| {
        let sender = Address::parse(&advice.sender).ok()?;
        Some(Reference { sender, year: advice.year, series: advice.series, number: advice.number }.to_string())
    };
    let id = |advice: &v1::Advice| envelope::genesis::hex(&advice.message_id);
    let line = Line {
        verified: root.is_some(),
        index: shown.index,
        kind: shown.kind.word(),
        at_ms: shown.at.ms(),
        checkpoint_size: shown.checkpoint_size,
        checkpoint_root: root,
        reference: context.map(|context| context.reference.to_string()).or_else(|| advice.and_then(named)),
        message_kind: context.map(|context| context.kind.word()),
        priority: context.map(|context| context.priority.word()).or_else(|| advice.map(|advice| advice.priority().word())),
        recipients: match (context, advice) {
            (Some(context), _) => context.recipients.iter().map(ToString::to_string).collect(),
            (None, advice) => advice.map(|advice| advice.recipients.clone()).unwrap_or_default(),
        },
        message_id: shown.header.as_ref().map(|header| envelope::genesis::hex(&header.message_id)).or_else(|| advice.map(id)),
        advice: advice.map(|advice| advice.kind().word()),
        told: advice.map(|advice| advice.told.clone()),
    };
    if json {
        return print::json(&line);
    }
    print::line(&format!("{} entry {}, {}", line.kind, line.index, shown.at));
    if let (Some(reference), Some(kind), Some(priority)) = (&line.reference, &line.message_kind, &line.priority) {
        print::line(&format!("{reference}  {kind}, {priority}, to {}", line.recipients.join(", ")));
    }
    if let (Some(what), Some(told), Some(reference)) = (&line.advice, &line.told, &line.reference) {
        let recipients: Vec<String> = line.recipients.iter().map(|one| Escaped(one).to_string()).collect();
        let what = what.replace('-', " ");
        print::line(&format!("{} was told: {reference} is {what} at {}", Escaped(told), recipients.join(", ")));
    }
    match (&line.checkpoint_root, line.checkpoint_size) {
        (Some(root), Some(size)) => print::line(&format!("verified: it stands in the log of {size} entries with root {root}")),
        _ => print::line("not verified: only `receipt verify` proves that the log holds it"),
    }
}
