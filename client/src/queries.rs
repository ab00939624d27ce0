//! Questions to a service, what became of them, and an owner's word about a hit.
//!
//! Everything but the sending is told from what is in this profile, so an officer reads it again without a link. It does not look
//! anything up; a service does. **Invariant:** a hit is no permission to act: it is confirmed by its owner, for this query, or it is
//! shown as not confirmed.

use content::{Form, Payload, v1};
use envelope::{Address, Class, Reference};
use exchange::rules::{Sight, foresee};
use proto::v1::{Kind, Priority};

use crate::client::Client;
use crate::clock;
use crate::compose::Compose;
use crate::error::Error;
use crate::inbox::{Opened, Received};
use crate::words::Escaped;

/// What a service answered, and what owners said about it since.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryAnswer {
    /// Number of the answer.
    pub reference: Reference,
    /// A word of `QueryResult.result`.
    pub result: String,
    /// Why it was refused, what to ask more closely, or what owners let be told.
    pub text: String,
    /// What was found.
    pub hits: Vec<Hit>,
    /// A drill.
    pub exercise: bool,
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// As the service told it.
    pub row: v1::HitRow,
    /// The last word of its owner, or of the bureau above the owner.
    pub said: Option<Said>,
}

/// An owner's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Number of the HIT_CONFIRMATION.
    pub reference: Reference,
    /// valid, invalid, instructions, or a word that is not known here.
    pub state: String,
    /// What is to be done, or why it does not hold.
    pub text: String,
    /// Until when it holds; empty: without end.
    pub until: String,
    /// That has passed, or cannot be read.
    pub over: bool,
}

impl Hit {
    /// Whether its owner says that it holds, now.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        self.said.as_ref().is_some_and(|said| said.state == VALID && !said.over)
    }

    /// What an officer reads about it, safe for a terminal.
    #[must_use]
    pub fn line(&self) -> String {
        let row = &self.row;
        let what = format!(
            "{} of {}, {} by {}",
            Escaped(&row.record),
            Escaped(&row.owner),
            Escaped(&row.confidence),
            Escaped(&row.matched.join(", "))
        );
        let Some(said) = &self.said else {
            return format!("{CONFIRM}: {what}; {} has not confirmed it, and a hit is no permission to act", Escaped(&row.owner));
        };
        let text = if said.text.is_empty() { String::new() } else { format!(": {}", Escaped(&said.text)) };
        match said.state.as_str() {
            VALID if said.over => format!("{CONFIRM}: {what}; it was confirmed until {} ({})", Escaped(&said.until), said.reference),
            VALID => {
                let until = if said.until.is_empty() { String::new() } else { format!(" until {}", Escaped(&said.until)) };
                format!("confirmed{until}: {what} ({}){text}", said.reference)
            }
            "invalid" => format!("DO NOT ACT: {what}; it does not hold ({}){text}", said.reference),
            _ => format!("{CONFIRM}: {what}; {} says ({}){text}", Escaped(&row.owner), said.reference),
        }
    }
}

impl QueryAnswer {
    /// Whether something was found that its owner has not confirmed.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.hits.iter().any(|hit| !hit.is_confirmed())
    }

    /// What an officer reads, safe for a terminal.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let drill = if self.exercise { " (exercise)" } else { "" };
        let first = match self.result.as_str() {
            "no_hit" => format!("no hit at {}{drill}", self.reference.sender),
            "hit" => format!("HIT at {}{drill}: {} found", self.reference.sender, self.hits.len()),
            "too_many" => format!("too many hits at {}{drill}", self.reference.sender),
            "refused" => format!("{} did not look it up{drill}", self.reference.sender),
            other => format!("{} answered {}{drill}", self.reference.sender, Escaped(other)),
        };
        let told = self.text.lines().map(|line| format!("  {}", Escaped(line)));
        std::iter::once(first).chain(told).chain(self.hits.iter().map(Hit::line)).collect()
    }
}

impl Client {
    /// A QUERY to a service, looked through; the rules add the own bureau's copy.
    ///
    /// # Errors
    /// [`Error::Argument`] when it is no service, or the query over the bounds of a form.
    pub fn query(&self, service: &Address, query: &v1::Query) -> Result<(Compose, Vec<content::Warning>), Error> {
        if service.class() != Class::Service {
            return Err(Error::Argument(format!("{service} is no service: queries go to svc/...")));
        }
        let (content, warnings) = written(Form::Query, query)?;
        let message = Compose {
            kind: Kind::Query,
            priority: Priority::Urgent,
            media_type: Form::Query.media_type().to_owned(),
            ..Compose::new(vec![service.clone()], content)
        };
        Ok((message, warnings))
    }

    /// The newest answer to one's own query that is here, with what owners said since.
    ///
    /// # Errors
    /// [`Error::NotHere`] for a query that is not in this profile; [`Error::Argument`] when it is none.
    pub fn answer_to(&self, query: &Reference) -> Result<Option<QueryAnswer>, Error> {
        let header = self.header_of(query)?;
        if header.context.kind != Kind::Query {
            return Err(Error::Argument(format!("{query} is no query")));
        }
        let asked = &header.context.recipients;
        let answers = |one: &&Received| {
            one.kind == Kind::QueryResult
                && one.in_reply_to == Some(header.message_id)
                && one.finding.is_none()
                && asked.contains(one.from())
        };
        let inbox = self.inbox()?;
        let Some(newest) = inbox.iter().filter(answers).max_by_key(|one| one.position.index) else { return Ok(None) };
        self.answer_in(&self.open(&newest.reference)?, &inbox).map(Some)
    }

    /// What an opened QUERY_RESULT says, with what owners said since.
    ///
    /// # Errors
    /// [`Error::Argument`] when it cannot be read.
    pub fn answer_of(&self, opened: &Opened) -> Result<QueryAnswer, Error> {
        self.answer_in(opened, &self.inbox()?)
    }

    fn answer_in(&self, opened: &Opened, inbox: &[Received]) -> Result<QueryAnswer, Error> {
        let result: v1::QueryResult = read(opened, Form::QueryResult)?;
        let mut words = Vec::new();
        for one in inbox.iter().filter(|one| one.kind == Kind::HitConfirmation && one.finding.is_none()) {
            // What does not open or is no confirmation confirms nothing.
            let Ok(opened) = self.open(&one.reference) else { continue };
            let Ok(said) = read::<v1::HitConfirmation>(&opened, Form::HitConfirmation) else { continue };
            if said.query == result.query && !said.query.is_empty() {
                words.push((one, said));
            }
        }
        words.sort_by_key(|(one, _)| one.position.index);
        let now = clock::now().ms();
        let said = |row: &v1::HitRow| {
            let by = |from: &Address| {
                row.owner == from.as_str() || Address::parse(&row.owner).is_ok_and(|owner| owner.own_ncb().as_ref() == Some(from))
            };
            let (one, said) = words.iter().rev().find(|(one, said)| said.record == row.record && by(one.from()))?;
            Some(Said {
                reference: one.reference.clone(),
                state: said.state.clone(),
                text: said.text.clone(),
                until: said.valid_until.clone(),
                over: !said.valid_until.is_empty() && content::instant_ms(&said.valid_until).is_none_or(|until| until <= now),
            })
        };
        let hits = result.rows.iter().map(|row| Hit { row: row.clone(), said: said(row) }).collect();
        let exercise = opened.header.context.exercise;
        Ok(QueryAnswer { reference: opened.message.reference.clone(), result: result.result, text: result.text, hits, exercise })
    }

    /// An owner's word about a HIT that was received: to the bureau of who asked, and to who asked, as far as the rules let it.
    ///
    /// # Errors
    /// [`Error::NotHere`]; [`Error::Argument`] when it is no HIT that can be read.
    pub fn confirmation(&self, hit: &Reference, state: &str, text: &str, valid_until: &str) -> Result<Compose, Error> {
        let opened = self.open(hit)?;
        if opened.message.kind != Kind::Hit {
            return Err(Error::Argument(format!("{hit} is no hit")));
        }
        let asked: v1::Hit = read(&opened, Form::Hit)?;
        let asker = Address::parse(&asked.asked_by).map_err(|error| Error::Argument(format!("{hit} does not say who asked: {error}")))?;
        let said = v1::HitConfirmation {
            about: asked.about,
            hit: hit.to_string(),
            record: asked.record,
            state: state.to_owned(),
            text: text.to_owned(),
            valid_until: valid_until.to_owned(),
            query: asked.query,
        };
        let (content, _) = written(Form::HitConfirmation, &said)?;
        let message = Compose {
            kind: Kind::HitConfirmation,
            priority: Priority::Urgent,
            classification: opened.header.context.classification,
            in_reply_to: Some(hit.clone()),
            exercise: opened.header.context.exercise,
            media_type: Form::HitConfirmation.media_type().to_owned(),
            ..Compose::new(Vec::new(), content)
        };
        let bureau = asker.own_ncb();
        let others = |to: Vec<Address>| to.into_iter().filter(|one| one != self.address()).collect::<Vec<_>>();
        let both = others(bureau.iter().cloned().chain([asker.clone()]).collect());
        // A post that its bureau has not opened to others is told by its bureau.
        let alone = others(vec![bureau.unwrap_or(asker)]);
        let to = if alone.is_empty() || self.may_send(&Compose { to: both.clone(), ..message.clone() })? { both } else { alone };
        Ok(Compose { to, ..message })
    }

    /// Whether the directory that is here lets a message go.
    fn may_send(&self, message: &Compose) -> Result<bool, Error> {
        let policy = self.directory.policy();
        let frame = self.frame(&policy);
        let mut draft = crate::compose::context(&frame, message, &self.expand(message)?, &self.named(message)?)?;
        let head = self.directory.fresh_head(clock::now(), false)?;
        crate::compose::place_anywhere(&mut draft, clock::now(), (head.size, *head.root.as_bytes()));
        let context = crate::compose::read(&draft)?;
        Ok(foresee(self.directory.state(), clock::now(), &context, None, Sight::Whole).is_ok())
    }
}

/// A form as it is sealed, and what is to be looked at again.
fn written(form: Form, message: &impl prost::Message) -> Result<(Vec<u8>, Vec<content::Warning>), Error> {
    let mut payload = Payload::of_message(form, message).map_err(|error| Error::Argument(error.to_string()))?;
    let warnings = payload.check();
    Ok((payload.encode(), warnings))
}

/// The form in a message that was opened.
fn read<M: prost::Message + Default>(opened: &Opened, form: Form) -> Result<M, Error> {
    let wrong = |why: String| Error::Argument(format!("{} is no {} that can be read: {why}", opened.message.reference, form.name()));
    if opened.media_type != form.media_type() {
        return Err(wrong(format!("it is {:?}", opened.media_type)));
    }
    Payload::decode(form, &opened.content).and_then(|payload| payload.message_as()).map_err(|error| wrong(error.to_string()))
}

/// What a screen says of a hit that nobody has confirmed.
pub const CONFIRM: &str = "CONFIRM BEFORE ACTING";
/// The word of an owner that a hit holds.
pub const VALID: &str = "valid";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(state: &str, until: &str, over: bool, confirmed: bool, line: &str) {
        let row = v1::HitRow {
            record: "KE-7\u{1b}[2J".to_owned(),
            owner: "ke".to_owned(),
            confidence: "exact".to_owned(),
            matched: vec!["imo".to_owned()],
            ..v1::HitRow::default()
        };
        let reference = "KE/2026/000009".parse().expect("a reference");
        let said = Said { reference, state: state.to_owned(), text: "ask\u{202e}".to_owned(), until: until.to_owned(), over };
        let hit = Hit { row, said: (!state.is_empty()).then_some(said) };
        assert_eq!((hit.is_confirmed(), hit.line().as_str()), (confirmed, line));
    }

    #[test]
    fn an_officer_reads_whether_a_hit_holds() {
        let what = "KE-7\\u{1b}[2J of ke, exact by imo";
        for (state, until, over, confirmed, line) in [
            ("", "", false, false, "CONFIRM BEFORE ACTING: {}; ke has not confirmed it, and a hit is no permission to act"),
            ("valid", "", false, true, "confirmed: {} (KE/2026/000009): ask\\u{202e}"),
            ("valid", "2027-01-01T00:00:00Z", false, true, "confirmed until 2027-01-01T00:00:00Z: {} (KE/2026/000009): ask\\u{202e}"),
            ("valid", "2026", true, false, "CONFIRM BEFORE ACTING: {}; it was confirmed until 2026 (KE/2026/000009)"),
            ("invalid", "", false, false, "DO NOT ACT: {}; it does not hold (KE/2026/000009): ask\\u{202e}"),
            ("instructions", "", false, false, "CONFIRM BEFORE ACTING: {}; ke says (KE/2026/000009): ask\\u{202e}"),
            ("Valid", "", false, false, "CONFIRM BEFORE ACTING: {}; ke says (KE/2026/000009): ask\\u{202e}"),
        ] {
            check(state, until, over, confirmed, &line.replace("{}", what));
        }
    }
}
