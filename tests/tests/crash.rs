//! kill -9 under load, fifty times, and some more with the second engine: what was acknowledged is there, once, and
//! everything verifies.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bench::fleet::{Fleet, Head, entries};
use bench::load::{Answer, drive};
use bench::process::Process;
use bytes::Bytes;
use envelope::entry::Entry;
use envelope::{Address, Receipt};
use gateway::config::EngineName;
use proto::v1;

const SENDERS: usize = 8;
const IN_FLIGHT: usize = 8;
const MESSAGES_A_ROUND: u64 = 24;

/// The stagehand: a fleet, what each sender still has to send, and what was acknowledged to it.
struct Stage {
    folder: tempfile::TempDir,
    fleet: Fleet,
    head: Option<Head>,
    open: BTreeMap<Address, BTreeMap<u64, v1::Submission>>,
    next: u64,
    receipts: BTreeMap<(Address, u64), Bytes>,
    kills_in_commit: usize,
}

fn start(folder: &Path) -> Process {
    let config = folder.join("gateway.toml").display().to_string();
    let args = ["ecowire-gateway", "serve", "--config", &config];
    Process::start(Path::new(env!("CARGO_BIN_EXE_ecowire-all")), &args, &folder.join("gateway.log"))
        .expect("the gateway starts after every kill")
}

impl Stage {
    fn new(engine: EngineName) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let fleet = Fleet::mint_with(folder.path(), SENDERS, 1, engine).expect("a fleet");
        Self { folder, fleet, head: None, open: BTreeMap::new(), next: 1, receipts: BTreeMap::new(), kills_in_commit: 0 }
    }

    /// Seals the next messages of every sender; what was not answered before stays open, byte for byte.
    fn compose(&mut self, count: u64) {
        let head = self.head.clone().expect("the key was published");
        let numbers = self.next..=self.next + count - 1;
        for sender in &self.fleet.senders {
            let sealed = self.fleet.seal(&head, sender, numbers.clone(), 300).expect("sealed");
            self.open.entry(sender.clone()).or_default().extend(sealed.into_iter().map(|submission| (submission.tag, submission)));
        }
        self.next += count;
    }

    /// Sends everything open; when `kill_after` answers have come, kills the gateway, inside a commit if it can.
    async fn round(&mut self, kill_after: Option<usize>) {
        let process = start(self.folder.path());
        if self.head.is_none() {
            self.head = Some(self.fleet.publish_key(&process.url).await.expect("the key is published"));
            self.compose(MESSAGES_A_ROUND);
        }
        let answered = Arc::new(AtomicUsize::new(0));
        let mut driving = Vec::new();
        for (sender, open) in &self.open {
            let link = self.fleet.connect(&process.url, sender).await.expect("connected");
            let (submissions, answered) = (open.values().cloned().collect::<Vec<_>>(), answered.clone());
            driving.push((sender.clone(), tokio::spawn(send(link, submissions, answered))));
        }
        if let Some(after) = kill_after {
            let killed = tokio::task::spawn_blocking(move || kill(process, after, &answered));
            self.kills_in_commit += usize::from(killed.await.expect("killed"));
            self.collect(driving).await;
        } else {
            self.collect(driving).await;
            process.kill().expect("killed");
        }
    }

    async fn collect(&mut self, driving: Vec<(Address, tokio::task::JoinHandle<Vec<Answer>>)>) {
        for (sender, driven) in driving {
            for answer in driven.await.expect("the sender's task ends") {
                assert_eq!(answer.problem, None, "{sender} {}", answer.tag);
                let open = self.open.get_mut(&sender).expect("a sender");
                open.remove(&answer.tag);
                self.receipts.insert((sender.clone(), answer.tag), answer.receipt);
            }
        }
    }
}

/// As `drive`, but counts the answers as they come: small streams one after the other.
async fn send(link: client::link::Link, submissions: Vec<v1::Submission>, answered: Arc<AtomicUsize>) -> Vec<Answer> {
    let mut answers = Vec::new();
    for some in submissions.chunks(IN_FLIGHT) {
        let got = drive(link.clone(), some.to_vec(), IN_FLIGHT).await;
        answered.fetch_add(got.len(), Ordering::Relaxed);
        let complete = got.len() == some.len();
        answers.extend(got);
        if !complete {
            break;
        }
    }
    answers
}

/// Waits for `after` answers, then for a moment inside a commit, and kills; tells whether it was inside.
fn kill(process: Process, after: usize, answered: &AtomicUsize) -> bool {
    let mut inside = false;
    for _ in 0..2_000_000 {
        inside = process.is_committing();
        if inside && answered.load(Ordering::Relaxed) >= after {
            break;
        }
    }
    process.kill().expect("killed");
    inside
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_there_once_after_fifty_kills() {
    check(EngineName::Redb, 50, 30).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_there_once_after_kills_of_sled() {
    check(EngineName::Sled, 25, 10).await;
}

/// Kills it in each round; at least so many percent of the kills must fall inside a commit.
async fn check(engine: EngineName, rounds: usize, inside_percent: usize) {
    let mut stage = Stage::new(engine);
    for round in 0..rounds {
        // The place of the kill differs from round to round, without chance: a failure can be played again.
        stage.round(Some(round * 37 % 100)).await;
        stage.compose(MESSAGES_A_ROUND);
    }
    stage.round(None).await;
    assert!(stage.open.values().all(BTreeMap::is_empty), "everything was answered in the end");
    assert!(
        stage.kills_in_commit * 100 >= rounds * inside_percent,
        "only {} of {rounds} kills fell inside a commit",
        stage.kills_in_commit
    );
    audit(&stage);
    println!("{engine:?}: {} messages, {} of {rounds} kills inside a commit", stage.receipts.len(), stage.kills_in_commit);
}

/// The stopped store verifies, every receipt verifies, every message is there once, mailboxes have no gap.
fn audit(stage: &Stage) {
    let config = gateway::Config::read(&stage.folder.path().join("gateway.toml")).expect("the configuration");
    let checked = gateway::check(&config).expect("the store opens");
    assert_eq!(checked.damage, []);
    let mut places = BTreeMap::new();
    let mut seqs: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (index, entry) in entries(stage.folder.path()).expect("the entries") {
        let Entry::Message(message) = entry else { continue };
        let reference = message.reference().expect("a reference");
        assert_eq!(places.insert((reference.sender.clone(), reference.number), index), None, "{reference} stands twice");
        message.places.iter().for_each(|place| seqs.entry(place.address.clone()).or_default().push(place.mailbox_seq));
    }
    assert_eq!(places.len(), stage.receipts.len());
    for seqs in seqs.values() {
        assert_eq!(*seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());
    }
    replay_leads_to_the_same_state(&config);
    let log = stage.fleet.trust.log_verifier().expect("the log's key");
    for (key, receipt) in &stage.receipts {
        let proven = Receipt::decode(receipt).expect("a receipt").verify(&log).expect("a sound receipt");
        assert_eq!(places.get(key), Some(&proven.position.index), "{key:?}");
    }
}

/// The state that the gateway starts from, snapshot and tail, mailboxes included, is that of a replay from entry 0.
fn replay_leads_to_the_same_state(config: &gateway::Config) {
    let (ledger, started) = gateway::gateway::opener(config).expect("a configuration").0.open().expect("the store opens");
    let mut replayed = exchange::Exchange::default();
    for index in 0..ledger.size() {
        let stored = ledger.read(index).expect("readable");
        let entry = Entry::read(&stored.opening.expect("nothing was purged")).expect("sound");
        replayed.replay(index, stored.leaf.at, &entry).expect("it makes sense");
    }
    assert!(ledger.size() > exchange::STATE_CLAIM_INTERVAL, "a snapshot was taken");
    assert_eq!(started.state().digest(), replayed.state().digest());
    ledger.close();
}
