//! `compose`, `schema` and `import`, and what `send` and `open` make of a form: JSON for people and programs, protobuf where it is
//! sealed.

use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::OnceLock;

use content::packs::{Pack, Packs, Taxa};
use content::questions::{Input, Language};
use content::quick::{Quick, quantity};
use content::{Form, Payload};
use envelope::Reference;
use proto::v1::Kind;

use super::args::{ComposeEcomessage, ComposeWhat};
use super::{args, mail, print};
use serde::Serialize;

use crate::words::{Escaped, Word as _};
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
    let text = checked(Payload::from(report)).to_json();
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

/// The form of a kind; a plain message has any content, and is none.
pub(super) fn form_of(kind: Kind) -> Option<Form> {
    Form::of_name(&kind.word()).filter(|form| *form != Form::Message)
}

/// Media type and content to seal a file with: JSON is read as the form of its kind and sealed as such.
///
/// Where the form names the message that it is about, and says nothing there, it names `target`, or what it answers.
pub(super) fn sealed(
    kind: Kind,
    (target, answered): (Option<&Reference>, Option<&Reference>),
    file: &Path,
    guessed: &str,
    bytes: Vec<u8>,
) -> Result<(String, Vec<u8>), Error> {
    if bytes.is_empty() {
        return Err(Error::Argument(format!("{} is empty", file.display())));
    }
    let Some(form) = form_of(kind) else { return Ok((guessed.to_owned(), bytes)) };
    if guessed != "application/json" {
        if form == Form::Ecomessage {
            print::note(&format!("note: {} is sent as it is; a report is a .json file", file.display()));
        }
        return Ok((guessed.to_owned(), bytes));
    }
    let about = match form {
        Form::Correction | Form::Deletion => target.map(|target| ("of", target)),
        Form::DeletionAttestation => target.map(|target| ("deletion", target)),
        Form::DiffusionCancel => target.map(|target| ("diffusion", target)),
        Form::Feedback => answered.map(|answered| ("warning", answered)),
        Form::Reply => answered.map(|answered| ("in_reply_to", answered)),
        Form::HitConfirmation => answered.map(|answered| ("hit", answered)),
        _ => None,
    };
    Ok((form.media_type().to_owned(), read(form, file, &bytes, about)?.encode()))
}

/// A form from its JSON, and a field that it fills when that says nothing.
fn read(form: Form, file: &Path, bytes: &[u8], about: Option<(&str, &Reference)>) -> Result<Payload, Error> {
    let (name, what) = (form.name(), what_it_is(form));
    let more = if form == Form::Ecomessage { "; `ecowire compose ecomessage` makes one" } else { "" };
    let wrong = |error| {
        Error::Argument(format!(
            "{} is no {what}: {error} (`ecowire schema {name}` says how{more}; with --media-type any file is sent as it is)",
            file.display()
        ))
    };
    let mut payload = Payload::from_json(form, bytes).map_err(wrong)?;
    about.iter().for_each(|(field, reference)| payload.fill(field, &reference.to_string()));
    Ok(checked(payload))
}

fn what_it_is(form: Form) -> String {
    if form == Form::Ecomessage { "report".to_owned() } else { form.name().replace('-', " ") }
}

/// A file with the media type that its sender names; what is called a form is one.
pub(super) fn named(media_type: &str, file: &Path, bytes: Vec<u8>) -> Result<(String, Vec<u8>), Error> {
    if let Some(form) = Form::of_media_type(media_type) {
        let wrong = |error| Error::Argument(format!("{} is no {}: {error}", file.display(), what_it_is(form)));
        Payload::decode(form, &bytes).map_err(wrong)?;
    }
    Ok((media_type.to_owned(), bytes))
}

/// The form in a message that was opened, looked through anew: a sender's checks are the sender's word.
pub(super) fn opened(media_type: &str, bytes: &[u8]) -> Option<Result<Payload, Error>> {
    let form = Form::of_media_type(media_type)?;
    let unread = |error| Error::Argument(format!("the {} cannot be read: {error}; give --raw --out FILE", what_it_is(form)));
    Some(Payload::decode(form, bytes).map(checked).map_err(unread))
}

/// Says what is to be looked at again.
pub(super) fn checked(mut payload: Payload) -> Payload {
    for warning in payload.check_with(packs()) {
        print::note(&format!("note: {} {}", warning.path, warning.text));
    }
    payload
}

/// The packs that reports are checked by: set once, at the start.
static PACKS: OnceLock<Packs> = OnceLock::new();

fn packs() -> &'static Packs {
    PACKS.get_or_init(Packs::built_in)
}

/// Takes the packs of a folder in the place of those that are built in.
pub(super) fn use_packs(folder: Option<&Path>) -> Result<(), Error> {
    let Some(folder) = folder else { return Ok(()) };
    let io = |cause| Error::File { what: "read", path: folder.to_owned(), cause };
    let mut packs = Packs::built_in();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let bytes = std::fs::read(&path).map_err(|cause| Error::File { what: "read", path: path.clone(), cause })?;
            packs.replace(Pack::read(&bytes).map_err(|error| Error::Argument(format!("{}: {error}", path.display())))?);
        }
    }
    // Set once, at the start.
    let _ = PACKS.set(packs);
    Ok(())
}

#[derive(Serialize)]
struct PackLine<'a> {
    name: &'a str,
    date: &'a str,
    source: &'a str,
    licence: &'a str,
}

/// `pack`: what reports are checked by.
pub(super) fn pack(command: &args::PackCommand) -> Result<ExitCode, Error> {
    match command {
        args::PackCommand::List { json } => {
            for header in packs().headers() {
                let (name, date, source, licence) = (&header.name, &header.date, &header.source, &header.licence);
                if *json {
                    print::json(&PackLine { name, date, source, licence });
                    continue;
                }
                print::line(&Escaped(&format!("{name:<24} {date}  {source} ({licence})")).to_string());
            }
        }
        args::PackCommand::SpeciesPlus { file, valid_from } => {
            let bytes = std::fs::read(file).map_err(|cause| Error::File { what: "read", path: file.clone(), cause })?;
            let taxa = Taxa::from_species_plus_csv(&bytes, valid_from);
            print::json_text(&taxa.map_err(|error| Error::Argument(format!("{}: {error}", file.display())))?.to_json());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// `schema`: the JSON Schema of a form, or their names.
pub(super) fn schema(asked: &args::Schema) -> Result<ExitCode, Error> {
    let Some(name) = &asked.form else {
        Form::ALL.iter().for_each(|form| print::line(form.name()));
        return Ok(ExitCode::SUCCESS);
    };
    let form = Form::of_name(name).ok_or_else(|| Error::Argument(format!("{name} is no form; `ecowire schema` lists them")))?;
    let text = serde_json::to_string_pretty(&content::schema::of(form)).map_err(|error| Error::Argument(error.to_string()))?;
    text.lines().for_each(print::json_text);
    Ok(ExitCode::SUCCESS)
}

/// `import`: drafts of reports from the events of a field system.
pub(super) fn import(import: &args::Import) -> Result<ExitCode, Error> {
    let bytes = std::fs::read(&import.file).map_err(|cause| Error::File { what: "read", path: import.file.clone(), cause })?;
    let read = match import.from {
        args::FieldSystem::Earthranger => content::import::earthranger(&bytes),
        args::FieldSystem::Smart => content::import::smart(&bytes),
    };
    let drafts = read.map_err(|error| Error::Argument(format!("{}: {error}", import.file.display())))?;
    if let Some(folder) = &import.out {
        std::fs::create_dir_all(folder).map_err(|cause| Error::File { what: "make", path: folder.clone(), cause })?;
    }
    for (at, draft) in drafts.into_iter().enumerate() {
        let text = checked(Payload::from(draft)).to_json();
        match &import.out {
            Some(folder) => mail::write(&folder.join(format!("draft-{:04}.json", at + 1)), format!("{text}\n").as_bytes(), import.force)?,
            None => print::json_text(&text),
        }
    }
    Ok(ExitCode::SUCCESS)
}
