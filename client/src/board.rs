//! What this member was told and still holds: the notice board, and the current report of a case that came in parts.
//!
//! Read from the inbox anew each time. It does not know who may publish what; the rules do, and what they should have refused is
//! not looked at here.

use std::collections::BTreeMap;

use content::fold::{Folded, Sent, fold};
use content::{Form, Payload, Unapplied};
use envelope::{Reference, Timestamp};
use proto::v1::Kind;
use serde_json::Value;

use crate::client::Client;
use crate::clock;
use crate::error::Error;
use crate::inbox::Received;

/// A notice or diffusion as it stands now.
#[derive(Clone, Debug)]
pub struct Notice {
    /// The message that published it.
    pub message: Received,
    /// Its number, as the General Secretariat gives it; empty for a diffusion.
    pub number: String,
    /// A word of `NoticeBody.colour`.
    pub colour: String,
    /// A word of `NoticeBody.crime_area`.
    pub area: String,
    /// Its text, as it stands after the last update; not yet escaped for a terminal.
    pub text: String,
    /// RFC 3339, or empty.
    pub valid_until: String,
    /// Where it stands.
    pub state: NoticeState,
    /// References of what has changed it since, in order.
    pub changed_by: Vec<Reference>,
}

/// Where a notice stands; silence ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeState {
    /// In force.
    Published,
    /// Its publisher has suspended it.
    Suspended,
    /// Its end is less than six months away: its source is to be asked.
    Expiring,
    /// Its end has passed.
    Expired,
    /// Its publisher has cancelled it.
    Cancelled,
}

impl NoticeState {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Suspended => "suspended",
            Self::Expiring => "expiring",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether it is to be acted on.
    #[must_use]
    pub fn is_in_force(self) -> bool {
        matches!(self, Self::Published | Self::Expiring)
    }
}

/// A CORRECTION that was laid over a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corrected {
    /// Which.
    pub by: Reference,
    /// Changes that were not made.
    pub unapplied: Vec<Unapplied>,
}

impl Client {
    /// The notices and diffusions of the inbox as they stand now, oldest first.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Row`], or [`Error::Open`] when a message does not open with this profile's keys.
    pub fn notices(&self) -> Result<Vec<Notice>, Error> {
        let mut all: BTreeMap<[u8; 32], Notice> = BTreeMap::new();
        let mut inbox = self.inbox()?;
        inbox.sort_by_key(|message| message.position.index);
        // What waits for this member's word, or was refused by it, is published nowhere.
        for message in inbox.into_iter().filter(|message| message.finding.is_none() && !message.held_here) {
            let Some(form) = board_form(message.kind) else { continue };
            let said = match self.payload(&message.reference, form) {
                Ok(said) => said.unwrap_or_default(),
                // One that cannot be opened here hides no other.
                Err(Error::Open(error)) => serde_json::json!({"body": {"text": format!("cannot be opened here: {error}")}}),
                Err(other) => return Err(other),
            };
            match (message.kind, message.target) {
                (Kind::Notice | Kind::Diffusion, _) => drop(all.insert(message.message_id, notice(message, &said))),
                (kind, Some(target)) => {
                    // Only its publisher changes a notice: the rules have looked, and so has this member's own judgement.
                    if let Some(notice) = all.get_mut(&target).filter(|one| one.message.from() == message.from()) {
                        change(notice, kind, &message.reference, &said);
                    }
                }
                _ => {}
            }
        }
        let mut all: Vec<Notice> = all.into_values().collect();
        all.sort_by_key(|notice| notice.message.position.index);
        all.iter_mut().for_each(|notice| age(notice, clock::now()));
        Ok(all)
    }

    /// The current report of the case to which a message of the inbox belongs: its initial report with what its sender has supplied,
    /// corrected and cancelled since; and each CORRECTION that was laid over one of its reports.
    ///
    /// # Errors
    /// [`Error::NotHere`]; [`Error::Argument`] when it is no report, or its initial one is not here.
    pub fn current_report(&self, reference: &Reference) -> Result<(Folded, Vec<Corrected>), Error> {
        self.facts_of(reference)?;
        let mut reports: BTreeMap<String, Sent> = BTreeMap::new();
        let mut corrected: BTreeMap<String, Vec<Corrected>> = BTreeMap::new();
        let inbox = self.inbox()?;
        for message in &inbox {
            if message.kind != Kind::Ecomessage || message.from() != &reference.sender || message.finding.is_some() {
                continue;
            }
            let report = match self.report_in(&message.reference) {
                Err(Error::Open(_)) => continue,
                other => other?,
            };
            if let Some(mut report) = report {
                let name = message.reference.to_string();
                for correction in inbox.iter().filter(|one| corrects(one, message)) {
                    corrected.entry(name.clone()).or_default().extend(self.correct(&mut report, correction)?);
                }
                reports.insert(name.clone(), Sent { reference: name, report });
            }
        }
        let name = reference.to_string();
        let mut cases = cases(&reports).into_values();
        let case = cases.find(|case| case.iter().any(|sent| sent.reference == name));
        let case = case.ok_or_else(|| Error::Argument(format!("{reference} is no report")))?;
        let corrected = case.iter().filter_map(|sent| corrected.remove(&sent.reference)).flatten().collect();
        let folded = fold(&case).map_err(|error| Error::Argument(format!("{reference}: {error}")))?;
        Ok((folded, corrected))
    }

    /// Lays a CORRECTION over a report; `None` when it is not of the form, or does not open.
    pub(crate) fn correct(&self, report: &mut content::v1::EcoMessage, correction: &Received) -> Result<Option<Corrected>, Error> {
        let opened = match self.open(&correction.reference) {
            Err(Error::Open(_)) => return Ok(None),
            other => other?,
        };
        let form = Form::of_media_type(&opened.media_type).filter(|form| *form == Form::Correction);
        let said = form.and_then(|form| Payload::decode(form, &opened.content).ok()).and_then(|payload| payload.message_as().ok());
        let Some(said) = said else { return Ok(None) };
        let mut payload = Payload::from(&*report);
        let unapplied = payload.correct(&said);
        *report = payload.report().unwrap_or_default();
        Ok(Some(Corrected { by: correction.reference.clone(), unapplied }))
    }

    pub(crate) fn report_in(&self, reference: &Reference) -> Result<Option<content::v1::EcoMessage>, Error> {
        let opened = self.open(reference)?;
        let form = Form::of_media_type(&opened.media_type);
        Ok(form.and_then(|form| Payload::decode(form, &opened.content).ok()).and_then(|payload| payload.report()))
    }

    /// What a message says as a form; `None` when it was sent as something else.
    fn payload(&self, reference: &Reference, form: Form) -> Result<Option<Value>, Error> {
        let opened = self.open(reference)?;
        if Form::of_media_type(&opened.media_type) != Some(form) {
            return Ok(None);
        }
        let payload = Payload::decode(form, &opened.content).ok();
        Ok(payload.and_then(|payload| serde_json::from_str(&payload.to_json()).ok()))
    }
}

/// Whether one message corrects another: only who sent it can.
pub(crate) fn corrects(correction: &Received, message: &Received) -> bool {
    let of_it = correction.kind == Kind::Correction && correction.target == Some(message.message_id);
    of_it && correction.from() == message.from() && correction.finding.is_none()
}

fn board_form(kind: Kind) -> Option<Form> {
    match kind {
        Kind::Notice => Some(Form::Notice),
        Kind::NoticeUpdate => Some(Form::NoticeUpdate),
        Kind::NoticeCancel => Some(Form::NoticeCancel),
        Kind::Diffusion => Some(Form::Diffusion),
        Kind::DiffusionCancel => Some(Form::DiffusionCancel),
        _ => None,
    }
}

fn text(said: &Value, path: &str) -> String {
    said.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn notice(message: Received, said: &Value) -> Notice {
    Notice {
        message,
        number: text(said, "/number"),
        colour: text(said, "/body/colour"),
        area: text(said, "/body/crimeArea"),
        text: text(said, "/body/text"),
        valid_until: text(said, "/body/validUntil"),
        state: NoticeState::Published,
        changed_by: Vec::new(),
    }
}

/// What an update leaves out stays as it was.
fn change(notice: &mut Notice, kind: Kind, by: &Reference, said: &Value) {
    notice.changed_by.push(by.clone());
    if matches!(kind, Kind::NoticeCancel | Kind::DiffusionCancel) {
        notice.state = NoticeState::Cancelled;
        return;
    }
    let fields = [
        ("/body/colour", &mut notice.colour),
        ("/body/crimeArea", &mut notice.area),
        ("/body/text", &mut notice.text),
        ("/body/validUntil", &mut notice.valid_until),
    ];
    for (path, field) in fields {
        let new = text(said, path);
        if !new.is_empty() {
            *field = new;
        }
    }
    if notice.state != NoticeState::Cancelled {
        let suspended = text(said, "/status") == "suspended";
        notice.state = if suspended { NoticeState::Suspended } else { NoticeState::Published };
    }
}

/// A notice without an end is in force for five years; nothing is longer.
fn age(notice: &mut Notice, now: Timestamp) {
    let most = notice.message.at.plus(NOTICE_MAX_MS);
    let end = content::instant_ms(&notice.valid_until).map_or(most, |ms| Timestamp(ms).min(most));
    if notice.state == NoticeState::Cancelled {
        return;
    }
    if end <= now {
        notice.state = NoticeState::Expired;
    } else if end <= now.plus(ASKED_BEFORE_MS) && notice.state == NoticeState::Published {
        notice.state = NoticeState::Expiring;
    }
}

/// One sender's reports by case: each with those that follow it, under the reference of the first that is here.
pub(crate) fn cases(reports: &BTreeMap<String, Sent>) -> BTreeMap<&str, Vec<Sent>> {
    let follows = |name: &str| {
        let heading = reports.get(name).and_then(|sent| sent.report.heading.as_ref());
        heading.and_then(|heading| reports.get_key_value(heading.supersedes.trim())).map(|(name, _)| name.as_str())
    };
    let mut firsts: BTreeMap<&str, &str> = BTreeMap::new();
    let mut cases: BTreeMap<&str, Vec<Sent>> = BTreeMap::new();
    for (name, sent) in reports {
        let (mut way, mut at) = (Vec::new(), name.as_str());
        let first = loop {
            if let Some(first) = firsts.get(at) {
                break *first;
            }
            // Reports that follow each other in a ring stand together, too.
            if let Some(ring) = way.iter().position(|one| *one == at) {
                break way[ring..].iter().copied().min().unwrap_or(at);
            }
            way.push(at);
            match follows(at) {
                Some(before) => at = before,
                None => break at,
            }
        };
        firsts.extend(way.into_iter().map(|name| (name, first)));
        cases.entry(first).or_default().push(sent.clone());
    }
    cases
}

/// A notice is valid for five years at most.
const NOTICE_MAX_MS: u64 = 5 * 366 * 86_400_000;
/// Its source is asked six months before its end.
const ASKED_BEFORE_MS: u64 = 183 * 86_400_000;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use envelope::Position;
    use proto::v1::{Priority, RecipientState};
    use serde_json::json;

    use super::*;

    const AT: Timestamp = Timestamp(1_795_374_960_000);

    fn published(until: &str) -> Notice {
        let message = Received {
            reference: "IPSG.ENS/2026/000001".parse().unwrap(),
            position: Position::at(7),
            mailbox_seq: 1,
            message_id: [1; 32],
            kind: Kind::Notice,
            priority: Priority::Routine,
            at: AT,
            expires: AT,
            state: RecipientState::Delivered,
            finding: None,
            held_here: false,
            target: None,
            in_reply_to: None,
        };
        notice(
            message,
            &json!({"number": "P-1", "body": {"colour": "purple", "crimeArea": "fisheries", "text": "as it was", "validUntil": until}}),
        )
    }

    fn check(until: &str, changes: &[(Kind, Value)], later_days: u64, expected: NoticeState) {
        let mut notice = published(until);
        let by: Reference = "IPSG.ENS/2026/000002".parse().unwrap();
        changes.iter().for_each(|(kind, said)| change(&mut notice, *kind, &by, said));
        age(&mut notice, AT.plus(later_days * 86_400_000));
        assert_eq!(notice.state, expected, "{until} {changes:?} after {later_days} days");
    }

    #[test]
    fn a_notice_is_in_force_until_its_end_and_silence_ends_it() {
        let suspended = (Kind::NoticeUpdate, json!({"status": "suspended"}));
        let extended = (Kind::NoticeUpdate, json!({"status": "extended", "body": {"validUntil": "2029-01-01T00:00:00Z"}}));
        let cancelled = (Kind::NoticeCancel, json!({"reason": "located"}));
        check("2027-11-22T00:00:00Z", &[], 0, NoticeState::Published);
        check("2027-11-22T00:00:00Z", &[], 200, NoticeState::Expiring);
        check("2027-11-22T00:00:00Z", &[], 366, NoticeState::Expired);
        check("2027-11-22T00:00:00Z", std::slice::from_ref(&extended), 366, NoticeState::Published);
        check("2027-11-22T00:00:00Z", std::slice::from_ref(&suspended), 200, NoticeState::Suspended);
        check("2027-11-22T00:00:00Z", &[suspended.clone(), extended], 366, NoticeState::Published);
        check("2027-11-22T00:00:00Z", &[cancelled.clone(), suspended], 0, NoticeState::Cancelled);
        check("", &[], 5 * 365, NoticeState::Expiring);
        check("yesterday", &[], 5 * 366 + 1, NoticeState::Expired);
        check("2099-01-01T00:00:00Z", &[], 5 * 366 + 1, NoticeState::Expired);
        check("2099-01-01T00:00:00Z", &[cancelled], 5 * 366 + 1, NoticeState::Cancelled);
    }

    #[test]
    fn what_an_update_leaves_out_stays() {
        let mut notice = published("");
        change(&mut notice, Kind::NoticeUpdate, &"IPSG.ENS/2026/000002".parse().unwrap(), &json!({"body": {"text": "as it is"}}));
        assert_eq!((notice.text.as_str(), notice.colour.as_str(), notice.changed_by.len()), ("as it is", "purple", 1));
    }

    #[test]
    fn reports_of_one_case_find_each_other() {
        let report = |supersedes: &str| {
            let heading = content::v1::Heading { supersedes: supersedes.to_owned(), ..content::v1::Heading::default() };
            content::v1::EcoMessage { heading: Some(heading), ..content::v1::EcoMessage::default() }
        };
        let all = [("a", ""), ("b", "a"), ("c", "b"), ("d", ""), ("e", "d"), ("f", "f"), ("g", "k"), ("h", "i"), ("i", "h"), ("j", "i")];
        let all = all.map(|(name, before)| (name.to_owned(), Sent { reference: name.to_owned(), report: report(before) }));
        let all = BTreeMap::from(all);
        let names = |case: Vec<Sent>| case.into_iter().map(|sent| sent.reference).collect::<String>();
        let cases: Vec<_> = cases(&all).into_iter().map(|(first, case)| (first, names(case))).collect();
        let wanted = [("a", "abc"), ("d", "de"), ("f", "f"), ("g", "g"), ("h", "hij")];
        assert_eq!(cases, wanted.map(|(first, all)| (first, all.to_owned())));
    }
}
