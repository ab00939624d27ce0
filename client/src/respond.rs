//! Answers to queries: a service looks each of them up, tells who asked hit or no hit, and tells the owner of what was found.
//!
//! It does not know how a list looks; a [`Responder`] does, and [`List`] is one. **Invariants:** a query is answered once: that it
//! was, and what owners are still to be told, becomes durable in the same commit as the answer in the outbox; and who asked is told
//! that there is something and whose it is, no more.

mod list;
mod reports;

use std::collections::BTreeMap;
use std::time::Duration;

use content::{Form, Payload, v1};
use envelope::{Address, Class, Reference};
use prost::Message as _;
use proto::v1::{Kind, Priority};
use serde::{Deserialize, Serialize};

pub use list::{Entry, List, ListError};
pub use reports::Reports;

use crate::client::Client;
use crate::clock;
use crate::compose::Compose;
use crate::error::Error;
use crate::inbox::{Opened, Received};
use crate::store::{Table, Write};

/// What looks queries up.
pub trait Responder: Sync {
    /// What it knows of what a query asks; the payload is a QUERY.
    fn answer(&self, query: &Payload) -> Answer;
}

/// What a responder says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing is known.
    NoHit,
    /// This is; above [`HITS_MAX`] the question is to be asked more closely.
    Hits(Vec<Found>),
    /// It is not looked up, and why.
    Refused(String),
}

/// Something that is known, and what may be told of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Whose it is: an address.
    pub owner: String,
    /// The owner's number of the record.
    pub record: String,
    /// A word of `HitRow.confidence`.
    pub confidence: String,
    /// A word of `HitRow.source`.
    pub source: String,
    /// What agreed: imo, name, ...
    pub matched: Vec<String>,
    /// What who asked is told beside, by leave of the owner; may be empty.
    pub told: String,
}

/// A query that was answered.
#[derive(Debug)]
pub struct Responded {
    /// Which.
    pub query: Reference,
    /// A word of `QueryResult.result`.
    pub result: &'static str,
    /// Number of the answer, when the rules let it go to somebody.
    pub answer: Option<Reference>,
    /// Numbers of the messages to owners.
    pub hits: Vec<Reference>,
    /// What the rules did not let out.
    pub refused: Vec<Error>,
}

/// How the store keeps that a query was answered.
#[derive(Debug, Serialize, Deserialize)]
struct Row {
    query: String,
    /// The hits, a `HitRow` each, of which owners are still to be told.
    left: Vec<Vec<u8>>,
}

impl Client {
    /// Answers queries of the inbox that were not answered yet, at most `at_most`, oldest first, and sends what is in the outbox for at
    /// most `wait`. A query past its end is let be; what is no query is told so.
    ///
    /// # Errors
    /// What is wrong with the store, and what [`Client::flush_outbox`] says; what the rules refuse is in [`Responded::refused`].
    pub async fn respond(&mut self, responder: &dyn Responder, at_most: usize, wait: Duration) -> Result<Vec<Responded>, Error> {
        let answered: BTreeMap<u64, Vec<u8>> = self.profile.store().numbered(Table::Answered)?.into_iter().collect();
        let (mut done, mut looked_up) = (Vec::new(), 0);
        let now = clock::now();
        for query in self.inbox()?.iter().filter(|one| one.kind == Kind::Query && one.finding.is_none()) {
            match answered.get(&query.mailbox_seq) {
                Some(row) => {
                    let row: Row = serde_json::from_slice(row).map_err(|_| Error::Row("answered"))?;
                    if !row.left.is_empty() {
                        done.push(self.resume(query, row).await?);
                    }
                }
                None if looked_up < at_most && query.expires > now => {
                    looked_up += 1;
                    done.push(self.respond_to(query, responder).await?);
                }
                None => {}
            }
        }
        if !self.outbox.is_empty() {
            self.flush_outbox(wait).await?;
        }
        Ok(done)
    }

    async fn respond_to(&mut self, query: &Received, responder: &dyn Responder) -> Result<Responded, Error> {
        let opened = match self.open(&query.reference) {
            Ok(opened) => Some(opened),
            // Its sender sealed it so that nobody can read it.
            Err(Error::Open(_)) => None,
            Err(error) => return Err(error),
        };
        let asked = opened.as_ref().map_or_else(|| Err("it does not open".to_owned()), asked);
        let (answer, question) = match &asked {
            Ok((payload, question)) => (responder.answer(payload), question.clone()),
            Err(why) => (Answer::Refused(format!("it is no query: {why}")), v1::Query::default()),
        };
        let result = result(&query.reference, &question, answer);
        let left = result.rows.iter().map(prost::Message::encode_to_vec).collect();
        let mut row = Row { query: query.reference.to_string(), left };
        let mut responded = Responded::of(query.reference.clone(), word(&result));
        let message = Compose {
            in_reply_to: Some(query.reference.clone()),
            ..self.message(&query.reference, Form::QueryResult, result.encode_to_vec())?
        };
        let asker = query.from();
        let to = [vec![asker.clone()], asker.own_ncb().into_iter().collect()];
        responded.answer = self.queue_to(&message, &to, query.mailbox_seq, &row, &mut responded.refused).await?;
        self.tell_owners(query, &question, &mut row, &mut responded).await?;
        Ok(responded)
    }

    /// Goes on where a process before this one ended: between an answer and its owners.
    async fn resume(&mut self, query: &Received, mut row: Row) -> Result<Responded, Error> {
        let opened = self.open(&query.reference)?;
        let (_, question) = asked(&opened).map_err(|_| Error::Row("answered"))?;
        let mut responded = Responded::of(query.reference.clone(), HIT);
        self.tell_owners(query, &question, &mut row, &mut responded).await?;
        Ok(responded)
    }

    /// Puts the messages to owners into the outbox, one after the other; what is left to be told shrinks with each.
    async fn tell_owners(&mut self, query: &Received, question: &v1::Query, row: &mut Row, responded: &mut Responded) -> Result<(), Error> {
        let asker = query.from();
        let bureau = asker.own_ncb().unwrap_or_else(|| asker.clone());
        while !row.left.is_empty() {
            let found = v1::HitRow::decode(row.left.remove(0).as_slice()).map_err(|_| Error::Row("answered"))?;
            let hit = v1::Hit {
                about: question.about.clone(),
                query: query.reference.to_string(),
                record: found.record,
                asked: question.subject.clone(),
                asked_by: asker.to_string(),
                place: question.place.clone(),
                at: query.at.to_string(),
                confidence: found.confidence,
            };
            let owner = Address::parse(&found.owner).ok().filter(|owner| *owner != bureau && owner != self.address());
            let message = self.message(&query.reference, Form::Hit, hit.encode_to_vec())?;
            // An owner that cannot be reached is the business of the bureau that was told.
            let to = [owner.into_iter().chain([bureau.clone()]).collect(), vec![bureau.clone()]];
            responded.hits.extend(self.queue_to(&message, &to, query.mailbox_seq, row, &mut responded.refused).await?);
        }
        Ok(())
    }

    /// A message about a query: urgent, a drill when that is one, and of its class.
    fn message(&self, query: &Reference, form: Form, content: Vec<u8>) -> Result<Compose, Error> {
        let context = self.header_of(query)?.context;
        Ok(Compose {
            kind: if form == Form::Hit { Kind::Hit } else { Kind::QueryResult },
            priority: Priority::Urgent,
            classification: context.classification,
            exercise: context.exercise,
            media_type: form.media_type().to_owned(),
            ..Compose::new(Vec::new(), content)
        })
    }

    /// Puts a message to the first of these recipients that the rules allow into the outbox, and the row into the store, in one commit.
    /// A row is kept whatever the rules say: a refusal is an answer, and is not asked for again at every visit.
    async fn queue_to(
        &mut self,
        message: &Compose,
        to: &[Vec<Address>],
        seq: u64,
        row: &Row,
        refused: &mut Vec<Error>,
    ) -> Result<Option<Reference>, Error> {
        let write = Write::number(Table::Answered, seq, serde_json::to_vec(row).map_err(|_| Error::Row("answered"))?);
        for to in to.iter().filter(|to| !to.is_empty()) {
            match self.queue_with(&Compose { to: to.clone(), ..message.clone() }, vec![write.clone()]).await {
                Ok(id) => return Ok(self.reference_of(id)),
                Err(error @ Error::Refused { .. }) => refused.push(error),
                Err(other) => return Err(other),
            }
        }
        self.profile.store().commit(&[write])?;
        Ok(None)
    }
}

impl Responded {
    fn of(query: Reference, result: &'static str) -> Self {
        Self { query, result, answer: None, hits: Vec::new(), refused: Vec::new() }
    }
}

/// The query in a message, or why it is none.
fn asked(opened: &Opened) -> Result<(Payload, v1::Query), String> {
    if opened.media_type != Form::Query.media_type() {
        return Err(format!("it is {:?}, a query is {}", clip(&opened.media_type), Form::Query.media_type()));
    }
    if opened.content.len() > QUERY_BYTES_MAX {
        return Err(format!("it has {} bytes, at most {QUERY_BYTES_MAX} are looked up", opened.content.len()));
    }
    let payload = Payload::decode(Form::Query, &opened.content).map_err(|error| error.to_string())?;
    let query = payload.message_as().map_err(|error| error.to_string())?;
    Ok((payload, query))
}

/// The answer as it is sealed.
fn result(query: &Reference, question: &v1::Query, answer: Answer) -> v1::QueryResult {
    let case_id = question.about.as_ref().map_or_else(String::new, |about| about.case_id.clone());
    let about = (!case_id.is_empty()).then(|| v1::About { case_id, ..v1::About::default() });
    let (result, rows, text) = match answer {
        Answer::Hits(found) if found.len() > HITS_MAX => {
            (TOO_MANY, Vec::new(), format!("more than {HITS_MAX} records agree: ask more closely"))
        }
        Answer::Hits(found) if !found.is_empty() => {
            let told = found.iter().filter(|one| !one.told.is_empty());
            let told: Vec<String> = told.map(|one| format!("{}: {}", clip(&one.record), clip(&one.told))).collect();
            (HIT, found.iter().map(row).collect(), told.join("\n").chars().take(content::TEXT_CHARS_MAX).collect())
        }
        Answer::Hits(_) | Answer::NoHit => (NO_HIT, Vec::new(), String::new()),
        Answer::Refused(why) => (REFUSED, Vec::new(), clip(&why)),
    };
    v1::QueryResult { about, query: query.to_string(), result: result.to_owned(), rows, text }
}

fn row(found: &Found) -> v1::HitRow {
    v1::HitRow {
        record: clip(&found.record),
        owner: clip(&found.owner),
        confidence: clip(&found.confidence),
        source: clip(&found.source),
        matched: found.matched.iter().take(HITS_MAX).map(|word| clip(word)).collect(),
        before_acting: "confirm".to_owned(),
    }
}

fn word(result: &v1::QueryResult) -> &'static str {
    [NO_HIT, HIT, TOO_MANY].into_iter().find(|word| *word == result.result).unwrap_or(REFUSED)
}

/// Its beginning: an answer is not as long as who asked, or who keeps a list, likes.
fn clip(text: &str) -> String {
    text.chars().take(CELL_CHARS_MAX).collect()
}

/// Who may run a responder: a service.
///
/// # Errors
/// [`Error::Argument`] for anybody else.
pub fn check_service(profile: &Address, service: Option<&Address>) -> Result<(), Error> {
    if let Some(other) = service.filter(|service| *service != profile) {
        return Err(Error::Argument(format!("the profile is {profile}'s and not {other}'s")));
    }
    if profile.class() != Class::Service {
        return Err(Error::Argument(format!("{profile} is no service: only svc/... answers queries")));
    }
    Ok(())
}

/// Hits of one answer; with more the question was too wide.
pub const HITS_MAX: usize = content::ROWS_MAX;
/// Characters of one text in an answer, and of a cell of a list.
pub const CELL_CHARS_MAX: usize = 200;
/// Bytes of a query: each owner gets a copy of what was asked.
const QUERY_BYTES_MAX: usize = 32 * 1024;
const NO_HIT: &str = "no_hit";
const HIT: &str = "hit";
const TOO_MANY: &str = "too_many";
const REFUSED: &str = "refused";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[track_caller]
    fn check(answer: Answer, result: &str, rows: usize, text: &str) {
        let about = Some(v1::About { case_id: "c-1".to_owned(), agency_reference: "ours".to_owned(), ..v1::About::default() });
        let question = v1::Query { about, ..v1::Query::default() };
        let said = super::result(&"KE/2026/000001".parse().unwrap(), &question, answer);
        assert_eq!((said.result.as_str(), said.rows.len(), said.query.as_str()), (result, rows, "KE/2026/000001"));
        assert!(said.text.contains(text), "{}", said.text);
        // It is read by who asked, and of the question only the case is told back.
        let read = Payload::of_message(Form::QueryResult, &said).unwrap();
        assert!(!read.to_json().contains("ours"));
        assert_eq!(Payload::decode(Form::QueryResult, &read.encode()).unwrap().check(), []);
    }

    #[test]
    fn an_answer_is_short_whatever_a_list_says() {
        let found = |count| {
            Answer::Hits(vec![
                Found { owner: "ke".to_owned(), record: "r".repeat(500), confidence: "exact".to_owned(), ..Found::default() };
                count
            ])
        };
        check(Answer::NoHit, "no_hit", 0, "");
        check(found(0), "no_hit", 0, "");
        check(found(HITS_MAX), "hit", HITS_MAX, "");
        check(found(HITS_MAX + 1), "too_many", 0, "ask more closely");
        check(Answer::Refused("it is no query".repeat(100)), "refused", 0, "it is no query");
        let told = Found {
            owner: "ke".to_owned(),
            confidence: "exact".to_owned(),
            record: "KE-7".to_owned(),
            told: "x".repeat(300),
            ..Found::default()
        };
        check(Answer::Hits(vec![told; HITS_MAX]), "hit", HITS_MAX, "KE-7: xxx");
    }

    #[test]
    fn only_a_service_answers_and_as_itself() {
        for (profile, service, sound) in
            [("svc/imaf", None, true), ("svc/imaf", Some("svc/imaf"), true), ("svc/imaf", Some("svc/vessels"), false), ("ke", None, false)]
        {
            let service = service.map(|text| Address::parse(text).unwrap());
            assert_eq!(check_service(&Address::parse(profile).unwrap(), service.as_ref()).is_ok(), sound, "{profile}");
        }
    }
}
