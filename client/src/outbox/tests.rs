//! The outbox under a virtual clock against a gateway that loses answers, refuses, rotates keys and lets messages expire,
//! while the process dies between any two steps.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use envelope::Timestamp;

use super::*;

const DAY_MS: u64 = 86_400_000;
/// 2026-12-30T00:00:00Z: most runs cross the year's end.
const START: Timestamp = Timestamp(1_798_588_800_000);

/// Bytes as a gateway sees them. Content 0 is a VOID.
#[derive(Clone, Debug, PartialEq)]
struct Bytes {
    uid: u64,
    number: Number,
    previous: Option<Number>,
    content: u64,
    epoch: u32,
    created_year: u32,
    expires: Timestamp,
}

/// The rules that an outbox meets (SPEC.md 11: Reference, Expiry, Keys, Grant), for one sender.
#[derive(Default)]
struct Gateway {
    admitted: BTreeMap<Number, Bytes>,
    epoch: u32,
    /// Contents that no grant covers.
    refused: BTreeSet<u64>,
}

enum Reply {
    Receipt,
    Refused(Refusal),
}

impl Gateway {
    fn last(&self) -> Option<Number> {
        self.admitted.keys().next_back().copied()
    }

    fn submit(&mut self, now: Timestamp, bytes: &Bytes) -> Reply {
        if self.admitted.values().any(|known| known.uid == bytes.uid) {
            return Reply::Receipt;
        }
        match self.judge(now, bytes) {
            Err(refusal) => Reply::Refused(refusal),
            Ok(()) => {
                assert!(self.admitted.insert(bytes.number, bytes.clone()).is_none());
                Reply::Receipt
            }
        }
    }

    fn judge(&self, now: Timestamp, bytes: &Bytes) -> Result<(), Refusal> {
        let number = bytes.number;
        if self.admitted.contains_key(&number) {
            return Err(Refusal::Reused);
        }
        let last = self.last();
        let bad = Err(Refusal::Reference(last));
        if number.year != bytes.created_year && number.year + 1 != bytes.created_year {
            return bad;
        }
        let of_series = || self.admitted.keys().filter(|known| known.is_of(number));
        if number.number > of_series().map(|known| known.number).max().unwrap_or(0) + NUMBER_LEAP_MAX {
            return bad;
        }
        let follows = last.is_some_and(|last| {
            (number.year, number.series) == (last.year, last.series + 1) || (number.year > last.year && number.series == 1)
        });
        let sound = match (&bytes.previous, last) {
            (previous, _) if of_series().next().is_some() => previous.is_none(),
            (None, None) => number.series == 1,
            (Some(previous), Some(last)) => follows && previous.is_of(last),
            _ => false,
        };
        if !sound {
            return bad;
        }
        if bytes.expires <= now {
            return Err(Refusal::Expired);
        }
        if bytes.epoch != self.epoch {
            return Err(Refusal::Stale);
        }
        if self.refused.contains(&bytes.content) { Err(Refusal::Other) } else { Ok(()) }
    }

    /// No number below another of its series is missing.
    fn gaps(&self) -> Vec<Number> {
        let all = self.admitted.keys();
        let missing = |top: &Number| (1..top.number).map(|number| Number { number, ..*top }).collect::<Vec<_>>();
        all.flat_map(missing).filter(|number| !self.admitted.contains_key(number)).collect()
    }
}

/// What is durable.
#[derive(Clone)]
struct Disk {
    numbering: Numbering,
    items: BTreeMap<Id, Item>,
    drafts: BTreeMap<Id, (u64, Timestamp)>,
    signed: BTreeMap<Id, Bytes>,
}

#[derive(Debug, PartialEq, Clone, Copy)]
enum Fate {
    Refused,
    Expired,
    Done,
}

/// Small, seeded, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn happens(&mut self, percent: u64) -> bool {
        self.roll(100) < percent
    }
}

/// A process with its disk, a gateway, and everything between them.
struct World {
    now: Timestamp,
    dice: Dice,
    disk: Disk,
    outbox: Outbox,
    gateway: Gateway,
    /// Sent, and not yet arrived.
    delayed: Vec<Bytes>,
    fates: BTreeMap<u64, Fate>,
    queued: BTreeSet<u64>,
    next_content: u64,
    next_uid: u64,
    /// Percent.
    trouble: u64,
}

impl World {
    fn new(seed: u64, numbering: Numbering) -> Self {
        let disk = Disk { numbering: numbering.clone(), items: BTreeMap::new(), drafts: BTreeMap::new(), signed: BTreeMap::new() };
        Self {
            now: START,
            dice: Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            disk,
            outbox: Outbox::load(numbering, Vec::new()),
            gateway: Gateway::default(),
            delayed: Vec::new(),
            fates: BTreeMap::new(),
            queued: BTreeSet::new(),
            next_content: 1,
            next_uid: 1,
            trouble: 30,
        }
    }

    fn restart(&mut self) {
        self.outbox = Outbox::load(self.disk.numbering.clone(), self.disk.items.values().cloned().collect());
    }

    fn crashes(&mut self) -> bool {
        let trouble = self.trouble;
        let crash = self.dice.happens(trouble / 6);
        if crash {
            self.restart();
        }
        crash
    }

    /// Lets the outbox decide, commits, and carries out what follows, unless the process dies on the way.
    fn event(&mut self, event: Event, stored: impl FnOnce(&mut Disk)) {
        let mut events: VecDeque<Event> = VecDeque::new();
        let actions = self.outbox.handle(self.now, event);
        if self.crashes() {
            return;
        }
        let mut todo = self.commit(actions, Some(stored));
        while let Some(action) = todo.pop_front() {
            if self.crashes() {
                return;
            }
            let Some((event, bytes)) = self.perform(&action) else { continue };
            events.push_back(event.clone());
            let actions = self.outbox.handle(self.now, event);
            if self.crashes() {
                return;
            }
            let store = bytes.map(|bytes| {
                move |disk: &mut Disk| {
                    if let Action::Seal { id, .. } = action {
                        disk.signed.insert(id, bytes);
                    }
                }
            });
            todo.extend(self.commit(actions, store));
        }
    }

    fn commit(&mut self, actions: Vec<Action>, stored: Option<impl FnOnce(&mut Disk)>) -> VecDeque<Action> {
        if let Some(stored) = stored {
            stored(&mut self.disk);
        }
        let mut todo = VecDeque::new();
        for action in actions {
            match action {
                Action::Save(changes) => {
                    if let Some(numbering) = changes.numbering {
                        self.disk.numbering = numbering;
                    }
                    for item in changes.items {
                        self.disk.items.insert(item.id, item);
                    }
                    for id in changes.gone {
                        self.disk.items.remove(&id);
                    }
                }
                Action::Done(id) => self.end(id, Fate::Done),
                Action::Dropped(id) => self.end(id, Fate::Refused),
                Action::GivenUp(id) => self.end(id, Fate::Expired),
                other => todo.push_back(other),
            }
        }
        todo
    }

    fn end(&mut self, id: Id, fate: Fate) {
        self.disk.signed.remove(&id);
        if let Some((content, _)) = self.disk.drafts.remove(&id) {
            assert_eq!(self.fates.insert(content, fate), None, "one message has one fate");
        }
    }

    /// Seals, sends or asks; `None` when the process waits for an answer that never comes.
    fn perform(&mut self, action: &Action) -> Option<(Event, Option<Bytes>)> {
        match *action {
            Action::Seal { id, number, previous, void } => {
                self.next_uid += 1;
                let (content, created) = if void { (0, self.now) } else { self.disk.drafts[&id] };
                // A number of a later year needs a context of that year.
                let created = if created.year() < number.year { self.now } else { created };
                let bytes = Bytes {
                    uid: self.next_uid,
                    number,
                    previous,
                    content,
                    epoch: self.gateway.epoch,
                    created_year: created.year(),
                    expires: created.plus(30 * DAY_MS),
                };
                let mut message_id = [0; 32];
                message_id[..8].copy_from_slice(&bytes.uid.to_be_bytes());
                Some((Event::Sealed { id, message_id, expires_ms: bytes.expires.ms() }, Some(bytes)))
            }
            Action::Submit(id) => {
                let bytes = self.disk.signed[&id].clone();
                let item = &self.disk.items[&id];
                assert!(item.sent && item.number == Some(bytes.number), "what is sent is durable, and known to be sent");
                Some((self.submit(id, bytes), None))
            }
            Action::AskStatus(id, number) => Some((self.ask(id, number), None)),
            Action::Probe => {
                let (trouble, jitter) = (self.trouble, self.dice.roll(1000) as u32);
                let lost = self.dice.happens(trouble);
                let wait = Wait { at_least_ms: 0, jitter };
                Some((if lost { Event::Later(0, wait) } else { Event::Last(self.gateway.last()) }, None))
            }
            _ => None,
        }
    }

    fn submit(&mut self, id: Id, bytes: Bytes) -> Event {
        let (trouble, wait) = (self.trouble, Wait { at_least_ms: self.dice.roll(300), jitter: self.dice.roll(1000) as u32 });
        if self.dice.happens(trouble) {
            match self.dice.roll(3) {
                // It never arrives, or much later.
                0 => self.delayed.push(bytes),
                // It arrives, and its answer is lost.
                1 => {
                    let _ = self.gateway.submit(self.now, &bytes);
                }
                _ => {}
            }
            return Event::Later(id, wait);
        }
        match self.gateway.submit(self.now, &bytes) {
            Reply::Receipt => Event::Admitted(id),
            Reply::Refused(refusal) => Event::Refused { id, refusal },
        }
    }

    fn ask(&mut self, id: Id, number: Number) -> Event {
        let (trouble, jitter) = (self.trouble, self.dice.roll(1000) as u32);
        if self.dice.happens(trouble) {
            return Event::Later(id, Wait { at_least_ms: 0, jitter });
        }
        match self.gateway.admitted.get(&number) {
            None => Event::Unknown(id),
            Some(bytes) => {
                let mut message_id = [0; 32];
                message_id[..8].copy_from_slice(&bytes.uid.to_be_bytes());
                if self.outbox.items()[&id].message_ids.contains(&message_id) { Event::Admitted(id) } else { Event::Known(id, message_id) }
            }
        }
    }

    fn queue(&mut self) {
        let content = self.next_content;
        self.next_content += 1;
        if self.dice.happens(10) {
            self.gateway.refused.insert(content);
        }
        let priority = 1 + self.dice.roll(3) as i32;
        let (id, now) = (self.outbox.next_id(), self.now);
        let event = Event::Queue { priority, expires_ms: now.plus(30 * DAY_MS).ms() };
        self.event(event, |disk| {
            disk.drafts.insert(id, (content, now));
        });
        // A process that dies before the commit has not promised anything.
        if self.disk.drafts.values().any(|(stored, _)| *stored == content) || self.fates.contains_key(&content) {
            self.queued.insert(content);
        }
    }

    fn tick(&mut self) {
        self.event(Event::Tick, |_| ());
        if self.dice.happens(10) && !self.delayed.is_empty() {
            let at = self.dice.roll(self.delayed.len() as u64) as usize;
            let bytes = self.delayed.swap_remove(at);
            let _ = self.gateway.submit(self.now, &bytes);
        }
    }

    fn live(&mut self, steps: u32) {
        for _ in 0..steps {
            match self.dice.roll(100) {
                0..20 => self.queue(),
                20..22 => self.gateway.epoch += 1,
                22..25 => self.restart(),
                25..27 => self.now = self.now.plus(self.dice.roll(20 * DAY_MS)),
                27..40 => self.now = self.now.plus(self.dice.roll(2_000)),
                _ => self.tick(),
            }
        }
    }

    /// The network heals; everything comes to its end.
    fn heal(&mut self) {
        self.trouble = 0;
        for _ in 0..20_000 {
            self.tick();
            self.now = self.now.plus(1_000);
            if self.outbox.is_empty() {
                self.tick();
                if self.outbox.is_empty() {
                    return;
                }
            }
        }
        panic!("the outbox never empties: {:?}", self.outbox);
    }

    fn check(&self, seed: u64) {
        let mut admitted: BTreeMap<u64, u32> = BTreeMap::new();
        for bytes in self.gateway.admitted.values().filter(|bytes| bytes.content != 0) {
            *admitted.entry(bytes.content).or_default() += 1;
        }
        assert!(admitted.values().all(|times| *times == 1), "seed {seed}: a message stands under two numbers");
        for content in &self.queued {
            let fate = self.fates.get(content).unwrap_or_else(|| panic!("seed {seed}: message {content} is lost"));
            assert_eq!(*fate == Fate::Done, admitted.contains_key(content), "seed {seed}: message {content} is said to be {fate:?}");
        }
        self.check_refusals(seed);
        assert_eq!(self.gateway.gaps(), [], "seed {seed}: a number is missing");
    }

    /// Only what the rules refuse for good was dropped.
    fn check_refusals(&self, seed: u64) {
        for (content, _) in self.fates.iter().filter(|(_, fate)| **fate == Fate::Refused) {
            assert!(self.gateway.refused.contains(content), "seed {seed}: message {content} was dropped though it is sound");
        }
    }
}

#[test]
fn nothing_is_lost_doubled_or_left_open() {
    for seed in 1..=1_500 {
        let mut world = World::new(seed, Numbering::brand_new());
        world.trouble = [0, 10, 30, 60][(seed % 4) as usize];
        world.live(150);
        world.heal();
        world.check(seed);
        let series = world.gateway.admitted.keys().map(|number| number.series).max();
        assert!(series.is_none_or(|series| series == 1), "seed {seed}: a series was opened without need");
    }
}

#[test]
fn a_new_outbox_of_an_old_sender_asks_and_names_the_last_number() {
    for seed in 1..=300 {
        let mut world = World::new(seed, Numbering::brand_new());
        world.live(60);
        world.heal();
        let last = world.gateway.last();
        // The profile is lost; another is made.
        let mut next = World::new(seed + 10_000, Numbering::unknown());
        (next.now, next.gateway, next.next_uid) = (world.now, world.gateway, 1_000_000);
        (next.next_content, next.fates) = (1_000_000, BTreeMap::new());
        next.live(100);
        next.heal();
        let opener = next.gateway.admitted.values().find(|bytes| bytes.uid > 1_000_000 && bytes.previous.is_some());
        if let (Some(last), Some(opener)) = (last, opener) {
            assert!(opener.previous.is_some_and(|previous| previous.is_of(last)), "seed {seed}");
        }
        next.check(seed);
    }
}

#[test]
fn restored_backups_go_on_in_a_series_of_their_own() {
    for seed in 1..=300 {
        let mut world = World::new(seed, Numbering::brand_new());
        world.live(40);
        let backup = world.disk.clone();
        world.live(60);
        world.heal();
        let before = world.gateway.admitted.clone();
        world.disk = backup;
        // The backup's messages may have other fates by now; what they say twice nobody can know.
        world.fates.clear();
        world.queued.clear();
        world.restart();
        world.trouble = 30;
        world.live(60);
        world.heal();
        for (number, bytes) in &before {
            assert_eq!(world.gateway.admitted.get(number), Some(bytes), "seed {seed}: history stays");
        }
        for content in &world.queued {
            assert!(world.fates.contains_key(content), "seed {seed}: message {content} is lost");
        }
        world.check_refusals(seed);
    }
}

fn number(series: u32, number: u64) -> Number {
    Number { year: 2026, series, number }
}

fn outbox() -> Outbox {
    Outbox::load(Numbering::brand_new(), Vec::new())
}

fn queue(outbox: &mut Outbox, priority: i32) -> Id {
    let id = outbox.next_id();
    outbox.handle(START, Event::Queue { priority, expires_ms: START.plus(DAY_MS).ms() });
    outbox.handle(START, Event::Sealed { id, message_id: [id as u8; 32], expires_ms: START.plus(DAY_MS).ms() });
    id
}

fn submitted(actions: &[Action]) -> Option<Id> {
    actions.iter().find_map(|action| if let Action::Submit(id) = action { Some(*id) } else { None })
}

#[test]
fn urgent_goes_first_then_the_oldest() {
    let mut outbox = outbox();
    let (routine, flash, later) = (queue(&mut outbox, 1), queue(&mut outbox, 3), queue(&mut outbox, 1));
    let mut order = Vec::new();
    for _ in 0..3 {
        let actions = outbox.handle(START, Event::Tick);
        assert!(matches!(actions[0], Action::Save(_)), "that it was sent is durable first");
        let id = submitted(&actions).unwrap();
        assert_eq!(outbox.handle(START, Event::Tick), [], "one is in flight at a time");
        outbox.handle(START, Event::Admitted(id));
        order.push(id);
    }
    assert_eq!(order, [flash, routine, later]);
    assert!(outbox.is_empty() && outbox.handle(START, Event::Tick).is_empty());
}

#[test]
fn a_refused_number_is_the_next_messages() {
    let mut outbox = outbox();
    let refused = queue(&mut outbox, 1);
    outbox.handle(START, Event::Tick);
    let actions = outbox.handle(START, Event::Refused { id: refused, refusal: Refusal::Other });
    assert!(actions.contains(&Action::Dropped(refused)));
    let next = queue(&mut outbox, 1);
    assert_eq!(outbox.items()[&next].number, Some(number(1, 1)));
}

#[test]
fn a_stale_message_keeps_its_number_and_what_is_not_known_keeps_its_bytes() {
    let mut outbox = outbox();
    let id = queue(&mut outbox, 1);
    outbox.handle(START, Event::Tick);
    outbox.handle(START, Event::Refused { id, refusal: Refusal::Stale });
    let actions = outbox.handle(START, Event::Tick);
    assert!(actions.contains(&Action::Seal { id, number: number(1, 1), previous: None, void: false }));
    outbox.handle(START, Event::Sealed { id, message_id: [9; 32], expires_ms: START.plus(DAY_MS).ms() });
    assert_eq!(submitted(&outbox.handle(START, Event::Tick)), Some(id));
    outbox.handle(START, Event::Later(id, Wait { at_least_ms: 0, jitter: 500 }));
    assert_eq!(outbox.handle(START, Event::Tick), [], "not before the pause is over");
    let later = outbox.wake_at().unwrap();
    assert_eq!(submitted(&outbox.handle(later, Event::Tick)), Some(id), "the same bytes again");
}

#[test]
fn an_expired_message_is_asked_about_before_a_void_takes_its_number() {
    let mut outbox = outbox();
    let id = queue(&mut outbox, 1);
    outbox.handle(START, Event::Tick);
    outbox.handle(START, Event::Later(id, Wait::default()));
    let late = START.plus(2 * DAY_MS);
    assert_eq!(outbox.handle(late, Event::Tick), [Action::AskStatus(id, number(1, 1))]);
    outbox.handle(late, Event::Unknown(id));
    let actions = outbox.handle(late, Event::Tick);
    assert!(actions.contains(&Action::GivenUp(id)));
    assert!(actions.contains(&Action::Seal { id, number: number(1, 1), previous: None, void: true }));
}

#[test]
fn a_gap_below_others_is_closed_by_a_void() {
    let mut outbox = outbox();
    let (first, second) = (queue(&mut outbox, 1), queue(&mut outbox, 1));
    outbox.handle(START, Event::Tick);
    outbox.handle(START, Event::Refused { id: first, refusal: Refusal::Other });
    outbox.handle(START, Event::Tick);
    outbox.handle(START, Event::Admitted(second));
    let actions = outbox.handle(START, Event::Tick);
    assert!(actions.iter().any(|action| matches!(action, Action::Seal { number: gap, void: true, .. } if *gap == number(1, 1))));
}
