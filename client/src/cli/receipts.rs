//! `receipt show` and `receipt verify`.

use std::process::ExitCode;

use crate::Error;
use crate::receipt::{Shown, show_file, verify_file};
use crate::words::Word as _;
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
    let line = Line {
        verified: root.is_some(),
        index: shown.index,
        kind: shown.kind.word(),
        at_ms: shown.at.ms(),
        checkpoint_size: shown.checkpoint_size,
        checkpoint_root: root,
        reference: context.map(|context| context.reference.to_string()),
        message_kind: context.map(|context| context.kind.word()),
        priority: context.map(|context| context.priority.word()),
        recipients: context.map(|context| context.recipients.iter().map(ToString::to_string).collect()).unwrap_or_default(),
        message_id: shown.header.as_ref().map(|header| envelope::genesis::hex(&header.message_id)),
    };
    if json {
        return print::json(&line);
    }
    print::line(&format!("{} entry {}, {}", line.kind, line.index, shown.at));
    if let (Some(reference), Some(kind), Some(priority)) = (&line.reference, &line.message_kind, &line.priority) {
        print::line(&format!("{reference}  {kind}, {priority}, to {}", line.recipients.join(", ")));
    }
    match (&line.checkpoint_root, line.checkpoint_size) {
        (Some(root), Some(size)) => print::line(&format!("verified: it stands in the log of {size} entries with root {root}")),
        _ => print::line("not verified: only `receipt verify` proves that the log holds it"),
    }
}
