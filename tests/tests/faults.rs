//! The store fails at every call, in every way, while messages are submitted and read: what was acknowledged is there once,
//! and over all checkpoints that ever reached anybody there is one root per size.

mod theatre;

use std::collections::BTreeMap;
use std::path::PathBuf;

use bench::load::drive;
use envelope::entry::Entry;
use gateway::Running;
use ledger::{Engine, Fault, Plan};
use proto::v1::audit_client::AuditClient;
use proto::v1::{self, ReceiveRequest, ReceiveStart};
use theatre::{PATIENCE, Theatre, copy, proven};
use tlog::Hash;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// A stopped network with keys published and sealed letters, which every run begins with.
struct Stage {
    theatre: Theatre,
    letters: Vec<v1::Submission>,
    golden: PathBuf,
    size: u64,
}

impl Stage {
    async fn new() -> Self {
        let theatre = Theatre::new(&["ke", "th", "aud/network"]);
        let running = theatre.start().await;
        drop(theatre.client("th").await);
        let kenya = theatre.client("ke").await;
        let letters =
            (1..=LETTERS).map(|number| v1::Submission { tag: number, ..theatre.letter(&kenya, &["th"], number, |_| ()) }).collect();
        drop(kenya);
        let size = running.shared().ledger().size();
        running.stop().await;
        let golden = theatre.folder.path().join("golden");
        copy(&theatre.config().data, &golden);
        Self { theatre, letters, golden, size }
    }

    fn fresh(&self) -> gateway::Config {
        let config = self.theatre.config();
        std::fs::remove_dir_all(&config.data).expect("removed");
        copy(&self.golden, &config.data);
        config
    }
}

/// What reached clients in one run.
#[derive(Default)]
struct Seen {
    /// Tag of each letter and its place in the log.
    places: BTreeMap<u64, u64>,
    roots: BTreeMap<u64, Hash>,
    delivered: BTreeMap<u64, u64>,
}

impl Seen {
    /// A receipt that somebody got: one root per size.
    fn receipt(&mut self, stage: &Stage, receipt: &[u8]) -> u64 {
        let proven = proven(&stage.theatre.trust(), receipt);
        let (size, root) = (proven.checkpoint.size, proven.checkpoint.root);
        assert_eq!(*self.roots.entry(size).or_insert(root), root, "two roots for the size {size}");
        proven.position.index
    }
}

/// Submits everything, again with the same bytes whatever has no receipt yet; refusals are not among the answers.
async fn submit(stage: &Stage, seen: &mut Seen) -> Vec<String> {
    let mut problems = Vec::new();
    let link = stage.theatre.link("ke").await;
    for _ in 0..ROUNDS_MAX {
        let open: Vec<_> = stage.letters.iter().filter(|letter| !seen.places.contains_key(&letter.tag)).cloned().collect();
        if open.is_empty() {
            return problems;
        }
        for answer in drive(link.clone(), open, 2).await {
            match answer.problem {
                Some(problem) => {
                    assert_ne!(problem.fault(), v1::Fault::Refused, "{problem:?}");
                    problems.push(problem.name);
                }
                None => {
                    let index = seen.receipt(stage, &answer.receipt);
                    assert_eq!(*seen.places.entry(answer.tag).or_insert(index), index);
                }
            }
        }
    }
    panic!("the gateway did not recover: {problems:?}");
}

/// Reads the mailbox of `th` on one stream as long as it lives, and on the next when it broke, until every letter came.
async fn read(stage: &Stage, seen: &mut Seen) {
    while seen.delivered.len() < stage.letters.len() {
        let (_requests, mut answers) = open_mailbox(stage).await;
        while seen.delivered.len() < stage.letters.len() {
            let Ok(Some(answer)) = answers.message().await else { break };
            if let Some(delivery) = answer.delivery {
                let index = seen.receipt(stage, &delivery.receipt);
                seen.delivered.insert(delivery.mailbox_seq, index);
            }
        }
    }
}

/// A stream of all that `th` was sent and will be sent.
async fn open_mailbox(stage: &Stage) -> (mpsc::Sender<ReceiveRequest>, tonic::Streaming<v1::ReceiveResponse>) {
    let start = ReceiveStart { after_seq: 0, retained: true, until_caught_up: false, after_advice: 0 };
    let (requests, queue) = mpsc::channel(1);
    requests.send(ReceiveRequest { start: Some(start), credit: 64, statement: None }).await.expect("room");
    let answers = stage.theatre.messages("th").await.receive(ReceiverStream::new(queue)).await;
    (requests, answers.expect("a stream").into_inner())
}

async fn start(config: &gateway::Config, plan: Plan) -> Result<Running, gateway::StartError> {
    let (engine, time) = (Engine::Faulty(Box::new(Engine::Redb), plan), gateway::clock::SystemTimeSource::default());
    gateway::start_with(config, std::sync::Arc::new(time), exchange::Rules::default(), engine).await
}

/// One run: the store's `at`-th call fails. Gives what the sender was told, or nothing when the gateway did not start.
async fn run(stage: &Stage, fault: Fault, at: u64) -> (Plan, Option<Vec<String>>) {
    let (config, plan) = (stage.fresh(), Plan::new(fault, at));
    let Ok(running) = start(&config, plan.clone()).await else {
        assert_eq!(stage.theatre.check().size, stage.size, "a gateway that did not open its store wrote nothing");
        return (plan, None);
    };
    let (mut sent, mut read_by) = (Seen::default(), Seen::default());
    let both = async { tokio::join!(submit(stage, &mut sent), read(stage, &mut read_by)) };
    let (problems, ()) =
        tokio::time::timeout(PATIENCE, both).await.unwrap_or_else(|_| panic!("{fault:?} at call {at}: somebody waits for ever"));
    check(stage, running, sent, read_by).await;
    (plan, Some(problems))
}

/// Every checkpoint that anybody saw is a beginning of the final log, and every message stands in it once.
async fn check(stage: &Stage, running: Running, mut sent: Seen, read: Seen) {
    for (size, root) in &read.roots {
        assert_eq!(sent.roots.entry(*size).or_insert(*root), root, "two roots for the size {size}");
    }
    let link = stage.theatre.link("aud/network").await;
    let mut audit = AuditClient::with_origin(link.clone(), link.origin());
    // Known without a read of the store, so that nothing is left to fail here.
    let note = audit.checkpoint(v1::CheckpointRequest::default()).await.expect("a checkpoint").into_inner().checkpoint;
    let newest = tlog::Checkpoint::open(&note, &stage.theatre.trust().log_verifier().expect("the log's key")).expect("a sound checkpoint");
    // An open connection would hold the door open.
    drop((audit, link));
    running.stop().await;
    assert!(stage.theatre.check().size >= newest.size);
    let ledger = gateway::gateway::opener(&stage.theatre.config()).expect("a configuration").0.open_ledger().expect("the store opens");
    for (size, root) in &sent.roots {
        let path = ledger.consistency(*size, newest.size).expect("a proof");
        tlog::verify_consistency(*size, root, newest.size, &newest.root, &path).expect("one history");
    }
    ledger.close();
    let mut places = BTreeMap::new();
    for (index, (_, entry)) in (0..).zip(stage.theatre.entries()) {
        if let Entry::Message(message) = entry {
            assert_eq!(places.insert(message.stub.number, index), None, "a message stands twice");
        }
    }
    assert_eq!(places, sent.places);
    let by_place: Vec<u64> = read.delivered.values().copied().collect();
    assert!(read.delivered.keys().copied().eq(1..=LETTERS), "the mailbox has no gap");
    assert!(by_place.is_sorted() && by_place.iter().all(|index| places.values().any(|place| place == index)));
}

/// Lets every call fail in turn until a run ends without one that failed.
async fn every_call(fault: Fault) -> BTreeMap<String, usize> {
    let stage = Stage::new().await;
    let (mut told, mut unopened) = (BTreeMap::new(), 0);
    for at in 1.. {
        let (plan, problems) = run(&stage, fault, at).await;
        unopened += usize::from(problems.is_none());
        problems.into_iter().flatten().for_each(|name| *told.entry(name).or_default() += 1);
        if !plan.is_spent() {
            println!("{fault:?}: {at} calls, {unopened} before the store was open, answers {told:?}");
            break;
        }
    }
    assert!(unopened > 10, "opening reads the store");
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_at_any_call_loses_nothing_and_signs_one_history() {
    let told = every_call(Fault::Fails).await;
    assert!(told.contains_key("NOT_KNOWN"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_but_persists_at_any_call_loses_nothing_and_signs_one_history() {
    let told = every_call(Fault::FailsButPersists).await;
    assert!(told.contains_key("NOT_KNOWN"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_at_any_call_is_told_as_busy_and_recovers() {
    let told = every_call(Fault::DiskFull).await;
    assert!(told.contains_key("BUSY"), "{told:?}");
}

/// A commit that failed but persisted has revoked somebody: his live connection is cut all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_whose_commit_failed_but_persisted_still_cuts_the_connection() {
    let stage = Stage::new().await;
    let list = stage.theatre.pki().join("crl").join("th.crl");
    let empty = std::fs::read(&list).expect("a list");
    let first = calls_of_a_start(&stage).await;
    for at in first..first + 6 {
        let config = stage.fresh();
        std::fs::write(&list, &empty).expect("written");
        let running = start(&config, Plan::new(Fault::FailsButPersists, at)).await.expect("the gateway starts");
        let (requests, mut answers) = open_mailbox(&stage).await;
        assert!(answers.message().await.expect("connected").is_some());
        certs_dev::revoke(&stage.theatre.pki(), &theatre::address("th")).expect("revoked");
        let cut = tokio::time::timeout(PATIENCE, async { while let Ok(Some(_)) = answers.message().await {} }).await;
        assert!(cut.is_ok(), "call {at}: the connection of a revoked certificate lives on");
        drop((requests, answers));
        running.stop().await;
        stage.theatre.check();
    }
}

/// How many calls the store gets until the gateway serves.
async fn calls_of_a_start(stage: &Stage) -> u64 {
    let (mut spent, mut unspent) = (0, 4096);
    while unspent - spent > 1 {
        let (middle, config) = (u64::midpoint(spent, unspent), stage.fresh());
        let plan = Plan::new(Fault::Fails, middle);
        if let Ok(running) = start(&config, plan.clone()).await {
            running.stop().await;
        }
        *(if plan.is_spent() { &mut spent } else { &mut unspent }) = middle;
    }
    unspent
}

const LETTERS: u64 = 4;
/// The store fails once; the second round is whole.
const ROUNDS_MAX: usize = 4;
