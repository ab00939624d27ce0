//! The gateway's clock jumps, stands still, or is wrong from the start: the writer stops by name, nothing is dated by it,
//! and only the network authority lets it go on. What nobody takes in time expires by the ledger's time.

mod theatre;

use std::sync::Arc;

use client::{Client, ReceiveOptions};
use envelope::entry::Entry;
use envelope::keys::SigningKey;
use envelope::statement::digest_of;
use envelope::{Address, Timestamp};
use gateway::Running;
use gateway::clock::TimeSource as _;
use ledger::Engine;
use proto::v1::{self, Priority, RecipientState};
use theatre::hands::Hands;
use theatre::{DAY_MS, Theatre, address, note, now, until_halted};
use tonic::Code;

const HOUR_MS: u64 = 3_600_000;

/// A gateway whose clocks the test moves, a sender with a letter for each attempt, and the authority's chain of statements.
struct Stage {
    theatre: Theatre,
    hands: Arc<Hands>,
    running: Running,
    kenya: Client,
    number: u64,
    steps: u64,
    last_step: Vec<u8>,
}

impl Stage {
    async fn new() -> Self {
        let theatre = Theatre::new(&["ke", "th", "np", "aud/network"]);
        let hands = Hands::at(now().plus(1000));
        let running = theatre.start_with(hands.clone(), Engine::Redb).await;
        drop(theatre.client("th").await);
        drop(theatre.client("np").await);
        let kenya = theatre.client("ke").await;
        Self { theatre, hands, running, kenya, number: 0, steps: 0, last_step: Vec::new() }
    }

    /// Stops, and starts with the clocks at another time.
    async fn restart(self, at: impl FnOnce(Timestamp) -> Timestamp) -> Self {
        let Self { theatre, running, kenya, number, steps, last_step, hands } = self;
        drop(kenya);
        running.stop().await;
        let last = theatre.entries().last().expect("an entry").0;
        drop(hands);
        let hands = Hands::at(at(last));
        let running = theatre.start_with(hands.clone(), Engine::Redb).await;
        let kenya = theatre.client("ke").await;
        Self { theatre, hands, running, kenya, number, steps, last_step }
    }

    fn size(&self) -> u64 {
        self.running.shared().ledger().size()
    }

    /// Submits the next letter; one that was not taken is submitted again next time under its number.
    async fn submit(&mut self) -> Result<(), tonic::Status> {
        let letter = self.theatre.letter(&self.kenya, &["th"], self.number + 1, |_| ());
        let mut messages = self.theatre.messages("ke").await;
        messages.submit(v1::SubmitRequest { submission: Some(letter) }).await?;
        self.number += 1;
        Ok(())
    }

    /// A clock step by `key`, the next of the authority's chain, brought by a bureau.
    async fn step(&mut self, key: &SigningKey, at: Timestamp) -> Result<(), tonic::Status> {
        let signed = self.theatre.clock_step(key, self.steps + 1, &self.last_step, at);
        self.theatre.publish("th", &signed).await?;
        (self.steps, self.last_step) = (self.steps + 1, digest_of(&signed).to_vec());
        Ok(())
    }

    /// The writer stands still by this name: letters are told Busy, other people's clock steps are refused, nothing is appended.
    async fn stands_still(&mut self, name: &str) {
        let size = self.size();
        let busy = self.submit().await.expect_err("nothing is taken");
        assert_eq!(busy.code(), Code::ResourceExhausted, "{busy:?}");
        until_halted(&self.running, |reason| reason.is_some_and(|reason| reason.starts_with(name))).await;
        for stranger in ["ke", "aud/network"] {
            let (stranger, at) = (self.theatre.key(stranger), self.hands.wall());
            let refused = self.step(&stranger, at).await.expect_err("it is not the authority's");
            assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
        }
        let busy = self.submit().await.expect_err("still nothing is taken");
        assert_eq!(busy.code(), Code::ResourceExhausted, "{busy:?}");
        assert_eq!(self.size(), size, "{name}");
        assert!(self.running.shared().halted().borrow().as_ref().is_some_and(|reason| reason.starts_with(name)));
    }

    /// The authority says what time it is, and the clock agrees.
    async fn goes_on(&mut self) {
        let (authority, at) = (self.theatre.authority(), self.hands.wall());
        self.step(&authority, at).await.expect("the authority is believed");
        until_halted(&self.running, |reason| reason.is_none()).await;
        self.submit().await.expect("taken");
    }

    /// Everything holds, and the ledger's time never went back.
    async fn end(self) {
        let Self { theatre, running, kenya, number, steps, .. } = self;
        drop(kenya);
        running.stop().await;
        theatre.check();
        let entries = theatre.entries();
        assert!(entries.is_sorted_by_key(|(at, _)| *at));
        let count = |wanted: fn(&Entry) -> bool| entries.iter().filter(|(_, entry)| wanted(entry)).count() as u64;
        assert_eq!(count(|entry| matches!(entry, Entry::Message(_))), number);
        assert_eq!(count(|entry| matches!(entry, Entry::ClockStep(_))), steps);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_jump_stops_the_writer_by_name_until_the_authority_speaks() {
    let mut stage = Stage::new().await;
    stage.submit().await.expect("an even clock is believed");
    let year = 365 * DAY_MS as i64;
    for jump in [HOUR_MS as i64, -(HOUR_MS as i64), DAY_MS as i64, -(DAY_MS as i64), 5 * year, -6_000] {
        let before = stage.hands.wall();
        stage.hands.set(Timestamp(before.ms().checked_add_signed(jump).expect("a time")));
        stage.stands_still("CLOCK_JUMP").await;
        if jump.unsigned_abs() > 5 * 60_000 {
            let authority = stage.theatre.authority();
            let busy = stage.step(&authority, before).await.expect_err("the authority's time is not this clock's");
            assert_eq!(busy.code(), Code::ResourceExhausted, "{jump}: {busy:?}");
        }
        // Set right, it is still not believed by itself.
        stage.hands.set(before);
        stage.stands_still("CLOCK_JUMP").await;
        stage.goes_on().await;
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_clock_stops_the_writer() {
    let mut stage = Stage::new().await;
    stage.submit().await.expect("taken");
    stage.hands.freeze(6_000);
    stage.stands_still("CLOCK_JUMP").await;
    stage.hands.set(stage.hands.wall().plus(6_000));
    stage.goes_on().await;
    stage.end().await;
}

/// The authority may confirm the new time, too: then the world is an hour later, and never earlier again.
#[tokio::test(flavor = "multi_thread")]
async fn a_time_that_the_authority_confirms_is_the_ledgers_from_then_on() {
    let mut stage = Stage::new().await;
    stage.submit().await.expect("taken");
    let before = stage.hands.wall();
    stage.hands.set(before.plus(HOUR_MS));
    stage.stands_still("CLOCK_JUMP").await;
    stage.goes_on().await;
    stage.hands.set(before);
    stage.stands_still("CLOCK_JUMP").await;
    let authority = stage.theatre.authority();
    let busy = stage.step(&authority, before).await.expect_err("the ledger's time does not go back");
    assert_eq!(busy.code(), Code::PermissionDenied, "{busy:?}");
    // A little behind is made up for by waiting at the last entry's time.
    stage.hands.set(before.plus(HOUR_MS - 60_000));
    stage.step(&authority, before.plus(HOUR_MS)).await.expect("within five minutes");
    stage.submit().await.expect("taken");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_ahead_or_behind_at_the_start_stops_the_writer() {
    let mut stage = Stage::new().await;
    stage.submit().await.expect("taken");
    let mut stage = stage.restart(|last| last.plus(25 * HOUR_MS)).await;
    stage.stands_still("CLOCK_AHEAD").await;
    stage.goes_on().await;
    let mut stage = stage.restart(|last| last.minus(HOUR_MS)).await;
    stage.stands_still("CLOCK_BEHIND").await;
    let (authority, wall) = (stage.theatre.authority(), stage.hands.wall());
    let busy = stage.step(&authority, wall).await.expect_err("the ledger's time does not go back");
    assert_eq!(busy.code(), Code::PermissionDenied, "{busy:?}");
    stage.hands.set(wall.plus(HOUR_MS));
    stage.goes_on().await;
    stage.end().await;
}

/// While all is well a clock step is judged like any statement: by its signature, its chain and its time.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_step_by_anybody_else_is_refused_by_name() {
    let mut stage = Stage::new().await;
    let (stranger, at) = (stage.theatre.key("ke"), stage.hands.wall());
    let size = stage.size();
    let refused = stage.step(&stranger, at).await.expect_err("not the authority's");
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
    let authority = stage.theatre.authority();
    let refused = stage.step(&authority, at.minus(HOUR_MS)).await.expect_err("back in time");
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused:?}");
    (stage.steps, stage.last_step) = (7, vec![7; 32]);
    let refused = stage.step(&authority, at).await.expect_err("not the next of its chain");
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
    (stage.steps, stage.last_step) = (0, Vec::new());
    assert_eq!(stage.size(), size);
    stage.step(&authority, at).await.expect("taken");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_takes_expires_by_the_ledgers_time_and_is_not_delivered() {
    let mut stage = Stage::new().await;
    let flash = client::Compose { priority: Priority::Flash, ..note(&["th", "np"], "to be read within three days") };
    let sent = stage.kenya.send(flash).await.expect("sent");
    stage.number += 1;
    let mut nepal = stage.theatre.client("np").await;
    assert_eq!(nepal.receive(ReceiveOptions::default()).await.expect("mail").received.len(), 1);
    drop(nepal);
    stage.hands.pass(3 * DAY_MS - 60_000);
    stage.submit().await.expect("taken");
    assert_eq!(states(&mut stage.kenya, &sent).await, [("th", RecipientState::Available), ("np", RecipientState::Delivered)]);
    stage.hands.pass(61_000);
    // The batch of the next letter looks at what is due, if the gateway has not done so before.
    stage.submit().await.expect("taken");
    assert_eq!(states(&mut stage.kenya, &sent).await, [("th", RecipientState::Expired), ("np", RecipientState::Delivered)]);
    let mut thailand = stage.theatre.client("th").await;
    let mail = thailand.receive(ReceiveOptions::default()).await.expect("mail");
    assert_eq!(mail.received.iter().map(|one| one.mailbox_seq).collect::<Vec<_>>(), [2, 3], "what has expired is not delivered");
    assert_eq!((mail.missing, mail.unsound), (vec![1], vec![]));
    assert_eq!(states(&mut stage.kenya, &sent).await, [("th", RecipientState::Expired), ("np", RecipientState::Delivered)]);
    drop(thailand);
    let entry = sent.position.index;
    let Stage { theatre, running, kenya, .. } = stage;
    drop(kenya);
    running.stop().await;
    theatre.check();
    let places: Vec<(u64, Vec<v1::Place>)> = theatre
        .entries()
        .into_iter()
        .filter_map(|(_, entry)| match entry {
            Entry::Expired(expired) => Some((expired.index, expired.places)),
            _ => None,
        })
        .collect();
    assert_eq!(places, [(entry, vec![v1::Place { address: "th".to_owned(), mailbox_seq: 1 }])]);
}

async fn states(client: &mut Client, sent: &client::Sent) -> Vec<(&'static str, RecipientState)> {
    let status = client.status(&sent.reference).await.expect("known");
    let name =
        |text: &str| ["th", "np"].into_iter().find(|name| address(name) == Address::parse(text).expect("an address")).expect("a recipient");
    status.iter().map(|one| (name(&one.recipient), one.state())).collect()
}
