//! `compose`, and what `send` and `open` make of a report: JSON for people and programs, protobuf where it is sealed.

use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use content::ECOMESSAGE_TYPE;
use content::questions::{Input, Language};
use content::quick::{Quick, quantity};
use content::v1::EcoMessage;
use proto::v1::Kind;

use super::args::{ComposeEcomessage, ComposeWhat};
use super::{args, mail, print};
use crate::{Error, clock};

pub(super) fn compose(compose: &args::Composing) -> Result<ExitCode, Error> {
    match &compose.what {
        ComposeWhat::Ecomessage(ecomessage) => self::ecomessage(ecomessage),
    }
}

fn ecomessage(asked: &ComposeEcomessage) -> Result<ExitCode, Error> {
    if let Some(out) = asked.out.as_ref().filter(|out| !asked.force && out.symlink_metadata().is_ok()) {
        return Err(Error::Exists(out.clone()));
    }
    let language = asked.language;
    let given = [&asked.incident, &asked.when, &asked.place, &asked.area, &asked.goods, &asked.quantity, &asked.action];
    let mut answers = Vec::new();
    for (input, given) in Input::ALL.into_iter().zip(given) {
        answers.push(match given {
            Some(text) if text.trim().is_empty() && !may_be_empty(input) => {
                return Err(Error::Argument(format!("--{} is empty: {}", option(input), input.question(language))));
            }
            Some(text) => input.answer(text),
            None => ask(input, language)?,
        });
    }
    let mut answers = answers.into_iter();
    let mut next = || answers.next().unwrap_or_default();
    let quick = Quick { what: next(), when: next(), place: next(), crime_area: next(), goods: next(), quantity: next(), action: next() };
    let when = if quick.when.is_empty() { clock::now().to_string() } else { quick.when.clone() };
    let report = Quick { when, ..quick }.report(language.tag()).map_err(|error| Error::Argument(format!("--quantity: {error}")))?;
    let report = checked(report);
    let text = content::to_json(&report);
    // What is composed can be sent.
    content::from_json(text.as_bytes()).map_err(|error| Error::Argument(format!("the report would be no report: {error}")))?;
    match &asked.out {
        Some(out) => mail::write(out, format!("{text}\n").as_bytes(), asked.force)?,
        None => print::json_text(&text),
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks on stderr and reads a line; what must be said is asked for again.
fn ask(input: Input, language: Language) -> Result<String, Error> {
    let missing = || Error::Argument(format!("{} is not answered: give --{} TEXT", input.question(language), option(input)));
    loop {
        let words: Vec<String> = input.words().iter().enumerate().map(|(at, word)| format!("  {} {word}", at + 1)).collect();
        eprint!("{}{}\n> ", input.question(language), words.concat());
        let mut line = String::new();
        std::io::stderr().flush().and_then(|()| std::io::stdin().lock().read_line(&mut line)).map_err(|_| missing())?;
        if line.is_empty() {
            return if may_be_empty(input) { Ok(String::new()) } else { Err(missing()) };
        }
        let answer = input.answer(&line);
        if input == Input::Quantity
            && let Err(error) = quantity(&answer)
        {
            eprintln!("{error}");
            continue;
        }
        if !answer.is_empty() || may_be_empty(input) {
            return Ok(answer);
        }
    }
}

fn may_be_empty(input: Input) -> bool {
    matches!(input, Input::When | Input::Action)
}

fn option(input: Input) -> &'static str {
    match input {
        Input::What => "incident",
        Input::When => "when",
        Input::Place => "place",
        Input::CrimeArea => "area",
        Input::Goods => "goods",
        Input::Quantity => "quantity",
        Input::Action => "action",
    }
}

/// Media type and content to seal a file with; a report is sealed as such.
pub(super) fn sealed(kind: Kind, file: &Path, guessed: &str, bytes: Vec<u8>) -> Result<(String, Vec<u8>), Error> {
    if kind != Kind::Ecomessage {
        return Ok((guessed.to_owned(), bytes));
    }
    if guessed != "application/json" {
        print::note(&format!("note: {} is sent as it is; a report is a .json file", file.display()));
        return Ok((guessed.to_owned(), bytes));
    }
    let wrong = |error| {
        Error::Argument(format!(
            "{} is no report: {error} (its schema is docs/schemas/ecomessage.schema.json; `ecowire compose ecomessage` makes one; with --media-type \
         any file is sent as it is)",
            file.display()
        ))
    };
    let report = checked(content::from_json(&bytes).map_err(wrong)?);
    Ok((ECOMESSAGE_TYPE.to_owned(), content::encode(&report)))
}

/// A file with the media type that its sender names; what is called a report is one.
pub(super) fn named(media_type: &str, file: &Path, bytes: Vec<u8>) -> Result<(String, Vec<u8>), Error> {
    if media_type == ECOMESSAGE_TYPE {
        content::decode(&bytes).map_err(|error| Error::Argument(format!("{} is no report: {error}", file.display())))?;
    }
    Ok((media_type.to_owned(), bytes))
}

/// The report in a message that was opened, looked through anew: a sender's checks are the sender's word.
pub(super) fn opened(media_type: &str, bytes: &[u8]) -> Option<Result<EcoMessage, Error>> {
    let read = || {
        content::decode(bytes)
            .map(checked)
            .map_err(|error| Error::Argument(format!("the report cannot be read: {error}; give --raw --out FILE")))
    };
    (media_type == ECOMESSAGE_TYPE).then(read)
}

/// Says what is to be looked at again.
fn checked(mut report: EcoMessage) -> EcoMessage {
    for warning in content::check(&mut report) {
        print::note(&format!("note: {} {}", warning.path, warning.text));
    }
    report
}
