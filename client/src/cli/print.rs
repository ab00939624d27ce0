//! Output: lines for people, JSON for programs. Everything from outside is escaped before it reaches a terminal.

use std::error::Error as _;
use std::io::Write as _;
use std::process::ExitCode;

use crate::standing::End;
use crate::words::{Escaped, EscapedJson, Word as _};
use crate::{Client, Error, Received, Sent};
use serde::Serialize;

use super::args::Way;

/// Prints one JSON object as a line; a closed pipe ends the program quietly.
pub(crate) fn json(object: &impl Serialize) {
    let text = serde_json::to_string(object).unwrap_or_else(|_| "{}".to_owned());
    json_text(&text);
}

/// Prints JSON that was made elsewhere.
pub(crate) fn json_text(text: &str) {
    line(&EscapedJson(text).to_string());
}

/// Prints a line on stdout; its texts are escaped already or of a closed grammar.
pub(crate) fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// The end of a command that only writes; a closed pipe is none of its business.
pub(crate) fn done(written: std::io::Result<()>) -> ExitCode {
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            eprintln!("ecowire: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Says something beside the output.
pub(crate) fn note(text: &str) {
    eprintln!("{}", Escaped(text));
}

/// Says something beside the output that is escaped already.
pub(crate) fn noted(text: &str) {
    eprintln!("{text}");
}

/// Says what the connection goes over, for those who want to know.
pub(crate) fn carrier(client: &Client, way: &Way) {
    if let Some(link) = client.link().filter(|_| way.verbose) {
        note(&format!("connected to {} over {}", link.node(), link.carrier()));
    }
}

/// Says why a command failed, the refusal's name first.
pub(crate) fn failure(error: &Error) -> ExitCode {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        let more = source.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = source.source();
    }
    let prefix = if error.name().is_some() { "" } else { "ecowire: " };
    eprintln!("{prefix}{}", Escaped(&text));
    ExitCode::from(error.exit_code())
}

/// Says what became of other messages than the one asked for, each notice once.
pub(crate) fn news(client: &Client, sent: &[Sent], pending: Option<&Error>) -> Result<(), Error> {
    for sent in sent {
        note(&format!("{} went out, entry {}", sent.reference, sent.position.index));
    }
    let notices = client.news()?;
    for notice in &notices {
        let reference = notice.reference.as_ref().map_or_else(|| "a message without number".to_owned(), ToString::to_string);
        match &notice.end {
            End::Refused { name, text } => note(&format!("{reference} was refused: {name}: {text}")),
            End::Expired => note(&format!("{reference} expired before it was sent")),
        }
    }
    client.told(&notices)?;
    super::advices::news(client)?;
    if let Some(error) = pending {
        note(&format!("messages are kept in the outbox: {error}"));
    }
    Ok(())
}

#[derive(Serialize)]
struct InboxLine<'a> {
    reference: String,
    index: u64,
    from: &'a str,
    kind: String,
    priority: String,
    state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    finding: Option<&'a str>,
}

/// One message of the inbox.
pub(crate) fn received(message: &Received, as_json: bool) {
    if as_json {
        return json(&InboxLine {
            reference: message.reference.to_string(),
            index: message.position.index,
            from: message.from().as_str(),
            kind: message.kind.word(),
            priority: message.priority.word(),
            state: message.state.word(),
            finding: message.finding.as_deref(),
        });
    }
    let finding = message.finding.as_deref().map_or_else(String::new, |text| format!("  FINDING {}", Escaped(text)));
    let (kind, priority, state) = (message.kind.word(), message.priority.word(), message.state.word());
    let (reference, index) = (message.reference.to_string(), message.position.index);
    line(&format!("{reference:<32} {index:>8}  {state:<12} {kind:<14} {priority:<8} {}{finding}", message.at));
}
