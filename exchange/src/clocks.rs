//! When a message reached each recipient, was acknowledged and answered, and what of it is overdue: from the entries, in order.
//!
//! `now` is passed in. It decides nothing, and no rule asks it: the state has no clock. It does not know whether an entry should have
//! been written, nor who may see what it says.

mod deadlines;
mod statistics;

use std::collections::BTreeMap;

use bytes::Bytes;
use envelope::entry::Entry;
use envelope::{Address, Reference, Timestamp};
use prost::Message as _;
use proto::v1::{self, Kind, Priority, RecipientState, SignedStatement, StatementKind};

pub use deadlines::{Acknowledgement, Answer, By, COMMAND_CENTRE, Step, acknowledgement, answer, escalation};
pub use statistics::Statistics;

/// What became of a message at one recipient, in ledger time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// It waits in the mailbox since: every deadline runs from here.
    pub available: Option<Timestamp>,
    /// The recipient's client has it.
    pub delivered: Option<Timestamp>,
    /// A person has seen it.
    pub acknowledged: Option<Timestamp>,
    /// It was answered by what its kind asks for.
    pub replied: Option<Timestamp>,
    /// Its end came first, or nobody released it in time.
    pub expired: Option<Timestamp>,
}

/// What somebody has not done in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// Taking it out of the mailbox; so nobody can have acknowledged it.
    Delivery,
    /// Acknowledging it.
    Acknowledgement,
    /// Answering it.
    Reply,
    /// Nothing any more: it expired and was not delivered.
    Undelivered,
}

/// Something that is overdue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overdue {
    /// Which message.
    pub reference: Reference,
    /// What it is for.
    pub kind: Kind,
    /// How urgent.
    pub priority: Priority,
    /// At whom: one recipient; of a message that was not delivered all whom it did not reach.
    pub recipients: Vec<Address>,
    /// What.
    pub due: Due,
    /// Since when.
    pub since: Timestamp,
    /// Who is to hear of it by now, besides its two ends.
    pub told_to: Vec<Address>,
}

/// What is shown of a message to who is not shown all of it: the header, and places that are the reader's.
#[derive(Clone, Debug)]
pub struct Part {
    /// Slot 1.
    pub header: Bytes,
    /// It was held for somebody.
    pub held: bool,
    /// Those of slots 7 that are shown.
    pub places: Vec<v1::Place>,
}

/// How much a reader is shown of what becomes of messages between two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Not enough to say anything.
    Nothing,
    /// Whether they arrived; answers may go past the reader.
    Arrival,
    /// Answers, too.
    Answers,
}

/// The clocks of a log's messages. A message costs some hundred bytes, and as much again for each recipient.
#[derive(Clone, Debug, Default)]
pub struct Clocks {
    messages: BTreeMap<[u8; 32], Noted>,
    /// Message by entry, for releases and expiries.
    entries: BTreeMap<u64, [u8; 32]>,
    /// Message by place in a mailbox, for statements about it.
    places: BTreeMap<(Address, u64), [u8; 32]>,
    /// Who answered a message first when, by what it was answered with.
    answers: BTreeMap<([u8; 32], Kind), BTreeMap<Address, Timestamp>>,
}

#[derive(Clone, Debug)]
struct Noted {
    reference: Reference,
    kind: Kind,
    priority: Priority,
    expires: Timestamp,
    courses: BTreeMap<Address, Course>,
}

#[derive(Clone, Debug)]
struct Course {
    times: Times,
    /// Delivery, acknowledgement and expiry are shown; else nothing can be said of them.
    told: bool,
    /// It is asked for an answer.
    asked: bool,
}

/// What a header says.
struct Heard {
    id: [u8; 32],
    noted: Noted,
    /// The message that it answers.
    answered: Option<[u8; 32]>,
}

impl Clocks {
    /// Takes the next entry, of which everything is shown. What cannot be read has no clock.
    pub fn note(&mut self, index: u64, at: Timestamp, entry: &Entry) {
        match entry {
            Entry::Message(message) => {
                let Some(heard) = read(&message.header) else { return };
                let id = heard.id;
                self.hear(at, heard).courses.values_mut().for_each(|course| course.told = true);
                self.arrive(at, id, &message.places);
                self.entries.insert(index, id);
            }
            Entry::Release { signed, places } => {
                let Ok(release) = v1::Release::decode(signed.statement.as_ref()) else { return };
                let Some(id) = self.entries.get(&release.entry_index).copied() else { return };
                self.arrive(at, id, places);
            }
            Entry::Mailbox { signed, .. } => self.mailbox(at, signed),
            Entry::Expired(expired) => self.expired(at, expired),
            _ => {}
        }
    }

    /// Takes the next entry, a message of which a part is shown. What became of it is not, until [`Clocks::tell`] says so.
    pub fn note_part(&mut self, index: u64, at: Timestamp, part: &Part) {
        let Some(heard) = read(&part.header) else { return };
        let id = heard.id;
        let noted = self.hear(at, heard);
        if !part.held {
            // What is not held is available to everybody at once.
            noted.courses.values_mut().for_each(|course| course.times.available = Some(at));
        }
        self.arrive(at, id, &part.places);
        self.entries.insert(index, id);
    }

    /// Learns from elsewhere what became of a message at a recipient: from the gateway's word to the sender, or one's own inbox.
    ///
    /// Of a message that was held and has gone on since, nobody tells when it became available: then its clock starts `at`.
    pub fn tell(&mut self, id: &[u8; 32], recipient: &Address, state: RecipientState, at: Timestamp) {
        let Some(course) = self.messages.get_mut(id).and_then(|noted| noted.courses.get_mut(recipient)) else { return };
        course.told = true;
        let times = &mut course.times;
        match state {
            RecipientState::Available => {}
            RecipientState::Delivered => first(&mut times.delivered, at),
            RecipientState::Acknowledged => {
                first(&mut times.delivered, at);
                first(&mut times.acknowledged, at);
            }
            RecipientState::Expired => return first(&mut times.expired, at),
            _ => return,
        }
        times.available = times.available.or(Some(at));
    }

    /// Messages of a sender of which some recipient's state is not known yet, by number.
    #[must_use]
    pub fn untold(&self, sender: &Address) -> Vec<([u8; 32], Reference)> {
        let open = |noted: &&Noted| noted.courses.values().any(|course| !course.told);
        let sent = self.messages.iter().filter(|(_, noted)| noted.reference.sender == *sender && open(noted));
        let mut sent: Vec<_> = sent.map(|(id, noted)| (*id, noted.reference.clone())).collect();
        sent.sort_by(|a, b| a.1.cmp(&b.1));
        sent
    }

    /// Messages to a recipient whose state there is not known yet, and when each of them ends.
    #[must_use]
    pub fn untold_to(&self, recipient: &Address) -> Vec<([u8; 32], Timestamp)> {
        let untold = |noted: &Noted| noted.courses.get(recipient).is_some_and(|course| !course.told);
        self.messages.iter().filter(|(_, noted)| untold(noted)).map(|(id, noted)| (*id, noted.expires)).collect()
    }

    /// Forgets what a reader is not shown enough of to say that it is missing, by sender and recipient.
    pub fn narrow(&mut self, shown: impl Fn(&Address, &Address) -> Shown) {
        for noted in self.messages.values_mut() {
            let sender = &noted.reference.sender;
            noted.courses.retain(|recipient, course| {
                let shown = shown(sender, recipient);
                course.asked &= shown == Shown::Answers;
                shown != Shown::Nothing
            });
        }
    }

    /// What became of a message at a recipient.
    #[must_use]
    pub fn times(&self, id: &[u8; 32], recipient: &Address) -> Option<Times> {
        let noted = self.messages.get(id)?;
        let course = noted.courses.get(recipient)?;
        Some(Times { replied: self.replied(id, noted, recipient), ..course.times })
    }

    /// What is overdue `now`, oldest first.
    #[must_use]
    pub fn overdue(&self, now: Timestamp) -> Vec<Overdue> {
        let mut all = Vec::new();
        for (id, noted) in &self.messages {
            let undelivered = noted.courses.iter().filter(|(_, course)| course.is_undelivered());
            let (recipients, ends): (Vec<_>, Vec<_>) =
                undelivered.map(|(recipient, course)| (recipient.clone(), course.times.expired)).unzip();
            if let Some(since) = ends.into_iter().flatten().min() {
                all.push(noted.overdue(recipients, Due::Undelivered, since, Vec::new()));
            }
            for (recipient, course) in noted.courses.iter().filter(|(_, course)| !course.is_undelivered()) {
                all.extend(course.acknowledgement_overdue(noted, recipient, now));
                if let Some(since) = self.reply_due(id, noted, recipient, course).filter(|due| *due < now) {
                    all.push(noted.overdue(vec![recipient.clone()], Due::Reply, since, Vec::new()));
                }
            }
        }
        all.sort_by(|a, b| (a.since, &a.reference, a.due, &a.recipients).cmp(&(b.since, &b.reference, b.due, &b.recipients)));
        all
    }

    /// How each bureau, with those below it, took what it was sent.
    #[must_use]
    pub fn statistics(&self, now: Timestamp) -> BTreeMap<Address, Statistics> {
        statistics::of(self, now)
    }

    /// When an answer that has not come is due.
    fn reply_due(&self, id: &[u8; 32], noted: &Noted, recipient: &Address, course: &Course) -> Option<Timestamp> {
        let answer = answer(noted.kind, noted.priority).filter(|_| course.asked)?;
        let due = course.times.available?.plus(answer.within_ms);
        self.replied(id, noted, recipient).is_none().then_some(due)
    }

    fn replied(&self, id: &[u8; 32], noted: &Noted, recipient: &Address) -> Option<Timestamp> {
        let answer = answer(noted.kind, noted.priority)?;
        let given = self.answers.get(&(*id, answer.kind))?;
        match answer.by {
            By::Anybody => given.iter().filter(|(by, _)| noted.courses.contains_key(by)).map(|(_, at)| *at).min(),
            By::Asked | By::Everybody => given.get(recipient).copied(),
        }
    }

    /// Notes what a message says: what it answers, and whom it is for.
    fn hear(&mut self, at: Timestamp, Heard { id, noted, answered }: Heard) -> &mut Noted {
        if let Some(answered) = answered {
            let by = self.answers.entry((answered, noted.kind)).or_default();
            let first = by.entry(noted.reference.sender.clone()).or_insert(at);
            *first = at.min(*first);
        }
        self.messages.entry(id).or_insert(noted)
    }

    /// It waits in these mailboxes from now on; in a place without number it does not yet.
    fn arrive(&mut self, at: Timestamp, id: [u8; 32], places: &[v1::Place]) {
        let Some(noted) = self.messages.get_mut(&id) else { return };
        for place in places.iter().filter(|place| place.mailbox_seq > 0) {
            let Ok(address) = Address::parse(&place.address) else { continue };
            if let Some(course) = noted.courses.get_mut(&address) {
                first(&mut course.times.available, at);
                self.places.insert((address, place.mailbox_seq), id);
            }
        }
    }

    fn mailbox(&mut self, at: Timestamp, signed: &SignedStatement) {
        let Ok(statement) = v1::MailboxStatement::decode(signed.statement.as_ref()) else { return };
        let issuer = statement.head.as_ref().map(|head| Address::parse(&head.issuer));
        let Some(Ok(mailbox)) = issuer else { return };
        for item in &statement.items {
            let Some(id) = self.places.get(&(mailbox.clone(), item.mailbox_seq)) else { continue };
            let Some(course) = self.messages.get_mut(id).and_then(|noted| noted.courses.get_mut(&mailbox)) else { continue };
            // Who acknowledges has got it, whichever of the two the ledger hears first.
            first(&mut course.times.delivered, at);
            if signed.kind() == StatementKind::Acknowledged {
                first(&mut course.times.acknowledged, at);
            }
        }
    }

    fn expired(&mut self, at: Timestamp, expired: &v1::Expired) {
        let Some(noted) = self.entries.get(&expired.index).and_then(|id| self.messages.get_mut(id)) else { return };
        for place in &expired.places {
            if place.mailbox_seq == 0 {
                // Nobody gave his word in time: it never reached those for whom it was held.
                let held = noted.courses.values_mut().filter(|course| course.times.available.is_none());
                held.for_each(|course| first(&mut course.times.expired, at));
            } else if let Some(course) = Address::parse(&place.address).ok().and_then(|address| noted.courses.get_mut(&address)) {
                first(&mut course.times.expired, at);
            }
        }
    }
}

impl Noted {
    fn overdue(&self, recipients: Vec<Address>, due: Due, since: Timestamp, told_to: Vec<Address>) -> Overdue {
        let (reference, kind, priority) = (self.reference.clone(), self.kind, self.priority);
        Overdue { reference, kind, priority, recipients, due, since, told_to }
    }
}

impl Course {
    fn is_undelivered(&self) -> bool {
        self.times.expired.is_some() && self.times.delivered.is_none()
    }

    fn acknowledgement_overdue(&self, noted: &Noted, recipient: &Address, now: Timestamp) -> Option<Overdue> {
        let within = acknowledgement(noted.kind, noted.priority).filter(|_| self.told && self.times.acknowledged.is_none())?;
        let available = self.times.available?;
        let since = available.plus(within.within_ms);
        if now <= since {
            return None;
        }
        let over = |after: Option<u64>| after.is_some_and(|ms| available.plus(ms) <= now);
        let bureau = Step::Bureau.told(recipient).filter(|_| over(within.bureau_ms));
        let command = Step::Centre.told(recipient).filter(|_| over(within.command_ms));
        let due = if self.times.delivered.is_some() { Due::Acknowledgement } else { Due::Delivery };
        Some(noted.overdue(vec![recipient.clone()], due, since, bureau.into_iter().chain(command).collect()))
    }
}

/// Notes the earliest of the times at which something is said to have happened.
fn first(time: &mut Option<Timestamp>, at: Timestamp) {
    *time = Some(time.map_or(at, |before| before.min(at)));
}

/// A message by its header; `None` for what has no clock.
fn read(bytes: &Bytes) -> Option<Heard> {
    let header = v1::Header::decode(bytes.as_ref()).ok()?;
    let context = v1::Context::decode(header.context.as_ref()).ok()?;
    let (kind, priority) = (context.kind(), context.priority());
    if context.exercise || kind == Kind::Void {
        return None;
    }
    let sender = Address::parse(&context.sender).ok()?;
    let recipients: Vec<Address> = context.recipients.iter().map(|text| Address::parse(text)).collect::<Result<_, _>>().ok()?;
    let bureau = sender.own_ncb();
    let is_copy = |one: &Address| bureau.as_ref() == Some(one) || recipients.iter().any(|other| other.own_ncb().as_ref() == Some(one));
    let asks = |one: &Address| match answer(kind, priority).map(|answer| answer.by) {
        Some(By::Asked) => recipients.len() == 1 || !is_copy(one),
        Some(By::Everybody | By::Anybody) => true,
        None => false,
    };
    let course = |one: &Address| Course { times: Times::default(), told: false, asked: asks(one) };
    let courses = recipients.iter().map(|one| (one.clone(), course(one))).collect();
    let names = if kind == Kind::DeletionAttestation { &context.target } else { &context.in_reply_to };
    let answered = names.as_ref().try_into().ok().filter(|_| deadlines::is_answer(kind));
    let reference = Reference { sender, year: context.year, series: context.series, number: context.number };
    let noted = Noted { reference, kind, priority, expires: Timestamp(context.expires_ms), courses };
    Some(Heard { id: envelope::header::message_id(bytes), noted, answered })
}
