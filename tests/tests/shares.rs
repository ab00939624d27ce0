//! Fair shares on the way to the ledger: a participant that has filled its share delays another's next message by one place,
//! not by its share, and FLASH by none. No clock decides: the writer is held until everything waits.

mod stage;

use std::sync::{Arc, Condvar, Mutex};

use bench::load::drive;
use client::link::Link;
use envelope::Timestamp;
use envelope::entry::Entry;
use exchange::Rules;
use gateway::clock::{SystemTimeSource, TimeSource};
use ledger::Engine;
use proto::v1;
use proto::v1::messages_client::MessagesClient;
use stage::{Stage, at, soon};

/// The machine's clock, which the writer has to wait for while it is held.
#[derive(Default)]
struct Held {
    time: SystemTimeSource,
    held: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    held: bool,
    /// Somebody waits.
    awaited: bool,
}

impl Held {
    fn hold(&self, held: bool) {
        *self.held.lock().expect("whole") = State { held, awaited: false };
        self.changed.notify_all();
    }

    fn is_awaited(&self) -> bool {
        self.held.lock().expect("whole").awaited
    }
}

impl TimeSource for Held {
    fn wall(&self) -> Timestamp {
        let mut state = self.held.lock().expect("whole");
        state.awaited = true;
        drop(self.changed.wait_while(state, |state| state.held).expect("whole"));
        self.time.wall()
    }

    fn monotonic_ms(&self) -> u64 {
        self.time.monotonic_ms()
    }
}

async fn submit(link: Link, submission: v1::Submission) -> Result<(), tonic::Status> {
    let mut messages = MessagesClient::with_origin(link.clone(), link.origin());
    messages.submit(v1::SubmitRequest { submission: Some(submission) }).await.map(drop)
}

// One thread for everything but the writer: a task that is seen to have taken its place has handed over its message, too.
#[tokio::test(flavor = "current_thread")]
async fn a_full_share_delays_anothers_message_by_one_place_and_flash_by_none() {
    const SHARE: u64 = 64;
    let stage = Stage::of(&["ke", "th", "ug", "fr"]);
    let mut config = stage.config();
    config.limits.in_flight_messages = usize::try_from(SHARE).expect("small");
    let time = Arc::new(Held::default());
    let running = gateway::start_with(&config, time.clone(), Rules::default(), Engine::Redb).await.expect("the gateway starts");
    let url = format!("https://{}", running.address);
    let thailand = stage.member(&url, "th").await;
    let directory = thailand.directory();
    let [greedy, modest, urgent] = [stage.connect(&url, "ke").await, stage.connect(&url, "ug").await, stage.connect(&url, "fr").await];
    let full = |of: &str| running.shared().gate.enter(&at(of), 1, false).is_err();
    let first = stage.seal(directory, "ke", 1, |_| {});
    let many: Vec<_> = (2..=4 * SHARE).map(|number| stage.seal(directory, "ke", number, |_| {})).collect();
    let message = stage.seal(directory, "ug", 1, |_| {});
    let flash = stage.seal(directory, "fr", 1, |context| {
        context.priority = v1::Priority::Flash.into();
        // FLASH lives three days.
        context.expires_ms = context.created_ms + 259_200_000;
    });

    time.hold(true);
    // One message is in the writer's hand when the flood comes.
    let taken = tokio::spawn(submit(greedy.clone(), first));
    while !time.is_awaited() {
        tokio::task::yield_now().await;
    }
    let driven = tokio::spawn(drive(greedy, many, usize::try_from(SHARE - 1).expect("small")));
    while !full("ke") {
        tokio::task::yield_now().await;
    }
    // The others' messages are there when they take the last place of a share that is filled by hand.
    let mut waiting = Vec::new();
    for (of, link, submission) in [("ug", modest, message), ("fr", urgent, flash)] {
        let held: Vec<_> = (1..SHARE).map(|_| running.shared().gate.enter(&at(of), 1, false).expect("room")).collect();
        waiting.push(tokio::spawn(submit(link, submission)));
        while !full(of) {
            tokio::task::yield_now().await;
        }
        drop(held);
    }
    time.hold(false);
    waiting.push(taken);
    for one in waiting {
        soon("an answer", one).await.expect("no panic").expect("taken");
    }
    let answers = soon("the greedy one's answers", driven).await.expect("no panic");
    assert!(answers.len() as u64 == 4 * SHARE - 1 && answers.iter().all(|answer| answer.problem.is_none()), "it gets its share, too");
    drop(thailand);
    soon("the stop", running.stop()).await;

    let senders: Vec<_> = stage.audit().into_iter().filter_map(|(_, entry)| sender(&entry)).collect();
    let place = |of: &str| senders.iter().position(|sender| sender == of).expect("it is there");
    // What the writer held in its hand when it was stopped goes first; then FLASH, then one of each.
    let in_hand = place("fr");
    assert!(in_hand <= 1, "{in_hand} were in the writer's hand: {senders:?}");
    assert!(place("ug") - in_hand <= 2, "{senders:?}");
}

fn sender(entry: &Entry) -> Option<String> {
    let Entry::Message(message) = entry else { return None };
    Some(message.reference().expect("a reference").sender.to_string())
}
