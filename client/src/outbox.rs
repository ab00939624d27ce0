//! The outbox: which message is sent next, under which number, and what an answer means for it.
//!
//! Pure: no file, no socket, no clock, no randomness; `now` and jitter are passed in. It does not know contents, keys or
//! how to seal; it says when. **Invariants:** a number has at most one set of bytes that may have been admitted; what
//! was sent and not answered is sent again byte for byte; only a definite refusal, or a gateway that says "unknown",
//! frees a number; what an [`Action`] asks for happens after the [`Action::Save`] before it is durable.
//!
//! One message is in flight at a time. Numbers are taken when a message is queued, so they are known offline; the
//! opener of a later series names the number that is known last, and goes before the others of its series.

mod series;

use std::collections::{BTreeMap, BTreeSet};

use envelope::Timestamp;
use envelope::limits::NUMBER_LEAP_MAX;
use serde::{Deserialize, Serialize};

pub use series::{Number, Numbering};

/// Names a message within an outbox; 0 is none.
pub type Id = u64;

/// A message on its way, or the VOID that closes the number of one that was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its name here.
    pub id: Id,
    /// It closes its number.
    pub void: bool,
    /// Higher goes first.
    pub priority: i32,
    /// Its number; `None` while the series is not known.
    pub number: Option<Number>,
    /// Final bytes are stored.
    pub sealed: bool,
    /// These bytes may be in the ledger: they were sent, and nothing definite came back.
    pub sent: bool,
    /// The gateway said that the number is another message's; what it has there is asked.
    pub reused: bool,
    /// What the stored bytes name as the number before their series.
    pub previous: Option<Number>,
    /// Message ids of all bytes that were ever stored under this number, the present ones last.
    pub message_ids: Vec<[u8; 32]>,
    /// End of the message, Unix milliseconds.
    pub expires_ms: u64,
    /// How often it was sealed again in a row.
    pub reseals: u32,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A person wants to send; what it says is stored in the same commit under the id that the outbox gives.
    Queue {
        /// Higher goes first.
        priority: i32,
        /// End of the message, Unix milliseconds.
        expires_ms: u64,
    },
    /// The bytes that [`Action::Seal`] asked for; they are stored in the same commit.
    Sealed {
        /// Which.
        id: Id,
        /// Of the new bytes.
        message_id: [u8; 32],
        /// End of the new bytes.
        expires_ms: u64,
    },
    /// It cannot be sealed, now or ever: the directory already tells that it would be refused.
    SealRefused(Id),
    /// It cannot be sealed now.
    SealLater(Id, Wait),
    /// The gateway took it; its receipt was verified and is stored.
    Admitted(Id),
    /// A definite refusal by name.
    Refused {
        /// Which.
        id: Id,
        /// The refusal.
        refusal: Refusal,
    },
    /// No answer, or a busy one. Whether it was taken is not known.
    Later(Id, Wait),
    /// The gateway has a message under this number, with this id.
    Known(Id, [u8; 32]),
    /// The gateway has no message under this number.
    Unknown(Id),
    /// The last number that the gateway knows of this sender, from a probe; `None`: it knows none.
    Last(Option<Number>),
    /// Time passes, or the link is there: what is next?
    Tick,
}

/// How long to wait after a failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wait {
    /// What the gateway asks for.
    pub at_least_ms: u64,
    /// Drawn by the caller, 0 to 999.
    pub jitter: u32,
}

/// What a refusal means for a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// `STALE_KEY`, `STALE_DIRECTORY`: the same content is sealed again under the same number.
    Stale,
    /// `EXPIRED`: the number is closed by a VOID.
    Expired,
    /// `REFERENCE_REUSED`.
    Reused,
    /// `BAD_REFERENCE`, with the last number that the gateway knows.
    Reference(Option<Number>),
    /// Any other: the message is dropped, the next one takes its number.
    Other,
}

/// What to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make these rows durable, together with what the event brought.
    Save(Changes),
    /// Seal the content of `id` (of a VOID: nothing) under this number.
    Seal {
        /// Which.
        id: Id,
        /// Under which number.
        number: Number,
        /// What the context names as `previous`.
        previous: Option<Number>,
        /// Whether it is a VOID.
        void: bool,
    },
    /// Send the stored bytes.
    Submit(Id),
    /// Ask the gateway what it has under this number.
    AskStatus(Id, Number),
    /// Ask the gateway for the last number that it knows.
    Probe,
    /// It is in the ledger; its content and bytes are no longer needed here.
    Done(Id),
    /// It was refused for good; its content and bytes are no longer needed here.
    Dropped(Id),
    /// Its end has passed; its content is no longer needed here. A VOID goes under its number.
    GivenUp(Id),
}

/// Rows to be made durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The numbering, when it changed.
    pub numbering: Option<Numbering>,
    /// Items that are new or changed.
    pub items: Vec<Item>,
    /// Items that are gone.
    pub gone: Vec<Id>,
}

/// The outbox of one sender.
#[derive(Clone, Debug)]
pub struct Outbox {
    numbering: Numbering,
    items: BTreeMap<Id, Item>,
    /// What an answer is awaited for; volatile.
    in_flight: Option<Id>,
    /// Nothing is sent before; volatile.
    hold_until: Timestamp,
    failures: u32,
    changed: BTreeSet<Id>,
    gone: BTreeSet<Id>,
    numbering_changed: bool,
}

impl Outbox {
    /// An outbox from what was saved; what was in flight is sent again.
    #[must_use]
    pub fn load(numbering: Numbering, items: Vec<Item>) -> Self {
        Self {
            numbering,
            items: items.into_iter().map(|item| (item.id, item)).collect(),
            in_flight: None,
            hold_until: Timestamp(0),
            failures: 0,
            changed: BTreeSet::new(),
            gone: BTreeSet::new(),
            numbering_changed: false,
        }
    }

    /// Items by id.
    #[must_use]
    pub fn items(&self) -> &BTreeMap<Id, Item> {
        &self.items
    }

    /// The id that the next [`Event::Queue`] gives.
    #[must_use]
    pub fn next_id(&self) -> Id {
        self.numbering.next_id
    }

    /// Whether everything has been answered and no number is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// When [`Event::Tick`] is worth it again, if something waits.
    #[must_use]
    pub fn wake_at(&self) -> Option<Timestamp> {
        (!self.items.is_empty()).then_some(self.hold_until)
    }

    /// Forgets the pause after a failure: there is a new connection.
    pub fn resume(&mut self) {
        (self.hold_until, self.failures) = (Timestamp(0), 0);
    }

    /// Decides.
    pub fn handle(&mut self, now: Timestamp, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        self.settle(&event);
        match event {
            Event::Queue { priority, expires_ms } => self.queue(now, priority, expires_ms, &mut actions),
            Event::Sealed { id, message_id, expires_ms } => self.with(id, |item| {
                item.sealed = true;
                item.message_ids.push(message_id);
                item.expires_ms = expires_ms;
            }),
            Event::SealRefused(id) => self.drop_refused(id, &mut actions),
            Event::SealLater(_, wait) | Event::Later(_, wait) => self.pause(now, wait),
            Event::Admitted(id) => self.done(id, &mut actions),
            Event::Refused { id, refusal } => self.refused(now, id, refusal, &mut actions),
            Event::Known(id, message_id) => self.known(id, message_id, &mut actions),
            Event::Unknown(id) => self.unknown(id),
            Event::Last(last) => self.adopt(now, last),
            Event::Tick => self.next(now, &mut actions),
        }
        let changes = self.take_changes();
        if changes != Changes::default() {
            actions.insert(0, Action::Save(changes));
        }
        actions
    }

    /// An answer ends the wait for it.
    fn settle(&mut self, event: &Event) {
        let answered = match event {
            Event::Queue { .. } | Event::Tick => return,
            Event::Last(_) => PROBE,
            Event::Sealed { id, .. } | Event::Refused { id, .. } => *id,
            Event::SealRefused(id) | Event::SealLater(id, _) | Event::Admitted(id) => *id,
            Event::Later(id, _) | Event::Known(id, _) | Event::Unknown(id) => *id,
        };
        if self.in_flight == Some(answered) {
            self.in_flight = None;
        }
        if !matches!(event, Event::SealLater(..) | Event::Later(..)) {
            self.failures = 0;
        }
    }

    fn queue(&mut self, now: Timestamp, priority: i32, expires_ms: u64, actions: &mut Vec<Action>) {
        let number = self.numbering.take(now.year());
        let id = self.add(false, priority, number, expires_ms);
        self.numbering_changed = true;
        if let Some(number) = number {
            // Sealed at once, so that the bytes are final and durable even without a link.
            let previous = self.expected_previous(number).filter(|_| !self.has_opener(number));
            self.with(id, |item| item.previous = previous);
            actions.push(Action::Seal { id, number, previous, void: false });
        }
    }

    fn add(&mut self, void: bool, priority: i32, number: Option<Number>, expires_ms: u64) -> Id {
        let id = self.numbering.next_id;
        self.numbering.next_id += 1;
        self.numbering_changed = true;
        let item = Item {
            id,
            void,
            priority,
            number,
            sealed: false,
            sent: false,
            reused: false,
            previous: None,
            message_ids: Vec::new(),
            expires_ms,
            reseals: 0,
        };
        self.items.insert(id, item);
        self.changed.insert(id);
        id
    }

    fn done(&mut self, id: Id, actions: &mut Vec<Action>) {
        let Some(item) = self.remove(id) else { return };
        if let Some(number) = item.number {
            self.numbering.admitted(number);
            self.numbering_changed = true;
        }
        actions.push(Action::Done(id));
    }

    /// The message ends here; its number is free for the next one.
    fn drop_refused(&mut self, id: Id, actions: &mut Vec<Action>) {
        let Some(item) = self.remove(id) else { return };
        if let Some(number) = item.number {
            self.numbering.free(number, item.void);
            self.numbering_changed = true;
        }
        actions.push(Action::Dropped(id));
    }

    fn refused(&mut self, now: Timestamp, id: Id, refusal: Refusal, actions: &mut Vec<Action>) {
        let Some(item) = self.items.get(&id) else { return };
        let (void, reseals) = (item.void, item.reseals);
        match refusal {
            Refusal::Expired if !void => self.give_up(id, actions),
            Refusal::Stale | Refusal::Expired if reseals < RESEALS_MAX => self.with(id, |item| {
                (item.sent, item.sealed) = (false, false);
                item.reseals += 1;
            }),
            Refusal::Reused => self.with(id, |item| item.reused = true),
            Refusal::Reference(last) => self.bad_reference(now, id, last, actions),
            Refusal::Stale | Refusal::Expired | Refusal::Other => self.drop_refused(id, actions),
        }
    }

    /// The gateway numbers this sender otherwise than we do: an outbox that was restored, or made anew.
    fn bad_reference(&mut self, now: Timestamp, id: Id, last: Option<Number>, actions: &mut Vec<Action>) {
        let Some((number, reseals)) = self.items.get(&id).map(|item| (item.number, item.reseals)) else { return };
        if reseals >= RESEALS_MAX {
            return self.drop_refused(id, actions);
        }
        self.with(id, |item| {
            (item.sent, item.sealed) = (false, false);
            item.reseals += 1;
        });
        let Some(number) = number else { return };
        self.numbering_changed = true;
        if self.numbering.is_current(number) {
            if last.is_some_and(|last| last.is_of(number)) {
                if !self.numbering.note_opened(number, last) {
                    self.drop_refused(id, actions);
                }
                return;
            }
            self.adopt(now, last);
        }
        // Its old number was never taken, and lies in a series that goes no further.
        self.numbering.forget(number);
        let year = now.year();
        let moved = self.numbering.take(year);
        self.with(id, |item| {
            item.number = moved;
            item.message_ids.clear();
        });
    }

    fn known(&mut self, id: Id, message_id: [u8; 32], actions: &mut Vec<Action>) {
        if self.items.get(&id).is_some_and(|item| item.message_ids.contains(&message_id)) {
            return self.done(id, actions);
        }
        // Somebody else used our numbers: another copy of this profile. None of ours was taken under this one.
        self.numbering.known = false;
        self.numbering_changed = true;
        self.with(id, |item| {
            (item.number, item.sent, item.sealed, item.reused) = (None, false, false, false);
            item.message_ids.clear();
        });
    }

    fn unknown(&mut self, id: Id) {
        let was_reused = self.items.get(&id).is_some_and(|item| item.reused);
        if was_reused {
            self.numbering.known = false;
            self.numbering_changed = true;
        }
        self.with(id, |item| {
            (item.sent, item.reused) = (false, false);
            if was_reused {
                (item.number, item.sealed) = (None, false);
                item.message_ids.clear();
            }
        });
    }

    /// Opens the series after the last that the gateway knows, and numbers what waits for one.
    fn adopt(&mut self, now: Timestamp, last: Option<Number>) {
        self.numbering.adopt(now.year(), last);
        self.numbering_changed = true;
        let mut waiting: Vec<_> = self.items.values().filter(|item| item.number.is_none()).map(rank).collect();
        waiting.sort_unstable();
        for (_, id) in waiting {
            let number = self.numbering.take(now.year());
            self.with(id, |item| item.number = number);
        }
    }

    /// The end of `id` has passed, and its bytes are in no ledger: its number is closed by a VOID.
    fn give_up(&mut self, id: Id, actions: &mut Vec<Action>) {
        actions.push(Action::GivenUp(id));
        if self.items.get(&id).is_some_and(|item| item.number.is_none()) {
            self.remove(id);
            return;
        }
        self.with(id, |item| {
            (item.void, item.priority, item.sealed, item.sent, item.reseals) = (true, VOID_PRIORITY, false, false, 0);
            item.expires_ms = u64::MAX;
        });
    }

    fn pause(&mut self, now: Timestamp, wait: Wait) {
        let doubled = BACKOFF_MS.saturating_mul(1 << self.failures.min(16)).min(BACKOFF_MAX_MS);
        let jittered = doubled / 2 + doubled * u64::from(wait.jitter.min(999)) / 1000;
        self.failures = self.failures.saturating_add(1);
        self.hold_until = now.plus(jittered.max(wait.at_least_ms.min(BACKOFF_MAX_MS)));
    }

    /// Chooses one thing to do.
    fn next(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        if self.in_flight.is_some() || now < self.hold_until {
            return;
        }
        if let Some((id, number)) = self.items.values().find(|item| item.reused).and_then(|item| Some((item.id, item.number?))) {
            return self.ask(id, number, actions);
        }
        if self.expire(now, actions) {
            return;
        }
        if !self.numbering.known {
            if !self.items.is_empty() {
                self.in_flight = Some(PROBE);
                actions.push(Action::Probe);
            }
            return;
        }
        if self.choose().is_none() {
            self.close_free_numbers();
        }
        let Some(id) = self.choose() else { return };
        let Some((number, sealed, sent, previous)) =
            self.items.get(&id).and_then(|item| Some((item.number?, item.sealed, item.sent, item.previous)))
        else {
            return;
        };
        self.in_flight = Some(id);
        let expected = self.expected_previous(number);
        if sent || (sealed && previous == expected) {
            self.with(id, |item| item.sent = true);
            actions.push(Action::Submit(id));
        } else {
            let void = self.items.get(&id).is_some_and(|item| item.void);
            self.with(id, |item| (item.sealed, item.previous) = (false, expected));
            actions.push(Action::Seal { id, number, previous: expected, void });
        }
    }

    fn ask(&mut self, id: Id, number: Number, actions: &mut Vec<Action>) {
        self.in_flight = Some(id);
        actions.push(Action::AskStatus(id, number));
    }

    /// Takes care of messages whose end has passed; true when one must be asked about first.
    fn expire(&mut self, now: Timestamp, actions: &mut Vec<Action>) -> bool {
        let over: Vec<Item> = self.items.values().filter(|item| item.expires_ms <= now.ms()).cloned().collect();
        for item in over {
            match (item.sent, item.number, item.void) {
                (true, Some(number), _) => {
                    self.ask(item.id, number, actions);
                    return true;
                }
                (_, _, true) => self.with(item.id, |item| (item.sealed, item.expires_ms) = (false, u64::MAX)),
                _ => self.give_up(item.id, actions),
            }
        }
        false
    }

    /// The most urgent message that may go now, then the oldest.
    fn choose(&self) -> Option<Id> {
        let sendable = self.items.values().filter(|item| item.number.is_some_and(|number| self.may_go(item, number)));
        sendable.map(rank).min().map(|(_, id)| id)
    }

    fn may_go(&self, item: &Item, number: Number) -> bool {
        if self.numbering.is_opened(number) {
            return number.number <= self.numbering.highest_admitted(number).saturating_add(NUMBER_LEAP_MAX);
        }
        let others = || self.items.values().filter_map(|other| Some((other, other.number?)));
        // What opens a series must be known to have arrived, or not, before another tries; earlier series go first.
        let pending = others().any(|(other, place)| other.id != item.id && other.sent && place.is_of(number));
        let earlier = others().any(|(_, place)| self.numbering.is_before(place, number) && !self.numbering.is_opened(place));
        number.number <= NUMBER_LEAP_MAX && !pending && !earlier
    }

    fn expected_previous(&self, number: Number) -> Option<Number> {
        if self.numbering.is_opened(number) { None } else { self.numbering.previous_of(number) }
    }

    fn has_opener(&self, number: Number) -> bool {
        self.items.values().any(|item| item.previous.is_some() && item.number.is_some_and(|place| place.is_of(number)))
    }

    /// Nothing else can go: numbers that were freed below others are closed, so that no gap remains.
    fn close_free_numbers(&mut self) {
        while let Some(number) = self.numbering.take_gap() {
            self.add(true, VOID_PRIORITY, Some(number), u64::MAX);
        }
    }

    fn with(&mut self, id: Id, change: impl FnOnce(&mut Item)) {
        if let Some(item) = self.items.get_mut(&id) {
            change(item);
            self.changed.insert(id);
        }
    }

    fn remove(&mut self, id: Id) -> Option<Item> {
        let item = self.items.remove(&id)?;
        self.changed.remove(&id);
        self.gone.insert(id);
        Some(item)
    }

    fn take_changes(&mut self) -> Changes {
        let changed = std::mem::take(&mut self.changed);
        Changes {
            numbering: std::mem::take(&mut self.numbering_changed).then(|| self.numbering.clone()),
            items: changed.iter().filter_map(|id| self.items.get(id).cloned()).collect(),
            gone: std::mem::take(&mut self.gone).into_iter().collect(),
        }
    }
}

/// Sorts by urgency, then age.
fn rank(item: &Item) -> (i32, Id) {
    (-item.priority, item.id)
}

/// A VOID is never urgent.
const VOID_PRIORITY: i32 = 0;
/// Stands for the probe among the ids.
const PROBE: Id = 0;
/// A message that is stale this often in a row is dropped: directory and gateway do not agree.
const RESEALS_MAX: u32 = 5;
/// The first pause; each failure doubles it, up to a minute.
const BACKOFF_MS: u64 = 200;
const BACKOFF_MAX_MS: u64 = 60_000;

#[cfg(test)]
mod tests;
