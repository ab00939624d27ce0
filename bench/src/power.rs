//! Power cuts: a gateway under load on a file system that dies; then the store is opened again and compared with what was
//! acknowledged. It judges nothing; whoever runs it says what the figures must be.

mod bed;
mod recording;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use client::link::Link;
use envelope::entry::Entry;
use envelope::{Address, Receipt};
use gateway::config::EngineName;
use proto::v1;
use tokio::sync::watch;

use self::bed::Bed;
pub use self::bed::Way;
use crate::fleet::{Fleet, Head, entries};
use crate::load::{Answer, drive};
use crate::process::Process;

/// What is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The engine.
    pub engine: EngineName,
    /// Whether the ledger's own syncs of sled are left out: sled as it is documented.
    pub unsynced: bool,
    /// How the power is cut.
    pub way: Way,
    /// How often.
    pub rounds: usize,
    /// A program, and its arguments before those of `ecowire-gateway`.
    pub program: Vec<OsString>,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Power cuts.
    pub rounds: usize,
    /// Of these, after which the store opened, verified, and held all that was acknowledged.
    pub sound: usize,
    /// Stores that were made; each is used until it is damaged, or five times.
    pub stores: usize,
    /// Stores that did not open or did not verify.
    pub damaged: usize,
    /// Messages that were acknowledged.
    pub acknowledged: usize,
    /// Of these, messages that are not there, or not where their receipt says.
    pub lost: usize,
}

/// Cuts the power `rounds` times. What is found wrong is told on standard error as it is found.
///
/// # Errors
/// When the experiment itself cannot be made; a damaged store is a figure, not an error.
pub async fn run(options: &Options) -> anyhow::Result<Tally> {
    let folder = tempfile::tempdir()?;
    let mut stage = Stage {
        fleet: Fleet::mint_members(folder.path(), SENDERS, 1)?,
        bed: Bed::new(options.way, folder.path(), options.unsynced)?,
        options: options.clone(),
        store: None,
        tally: Tally::default(),
    };
    for round in 0..options.rounds {
        stage.round(round).await.with_context(|| format!("round {round}"))?;
    }
    Ok(stage.tally)
}

struct Stage {
    fleet: Fleet,
    bed: Bed,
    options: Options,
    store: Option<Store>,
    tally: Tally,
}

/// One store, from its making on.
#[derive(Default)]
struct Store {
    head: Option<Head>,
    cuts: usize,
    /// The next number of each sender.
    next: u64,
    receipts: BTreeMap<(Address, u64), Bytes>,
    /// Messages of it that were counted as lost already.
    lost: usize,
}

impl Stage {
    async fn round(&mut self, round: usize) -> anyhow::Result<()> {
        let mut store = match self.store.take() {
            Some(store) => {
                self.bed.record()?;
                store
            }
            None => self.make_store()?,
        };
        let taken = self.load(&mut store, round).await?;
        self.tally.acknowledged += taken;
        self.tally.rounds += 1;
        store.cuts += 1;
        self.bed.power_on(round)?;
        match self.missing(&store) {
            Ok(missing) if missing == store.lost => self.tally.sound += 1,
            Ok(missing) => {
                eprintln!("round {round}: {} acknowledged messages are lost", missing - store.lost);
                self.tally.lost += missing - store.lost;
                store.lost = missing;
            }
            Err(error) => {
                eprintln!("round {round}: the store is damaged: {error:#}");
                self.tally.damaged += 1;
                self.tally.lost += store.receipts.len() - store.lost;
                return Ok(());
            }
        }
        self.store = (store.cuts < CUTS_A_STORE).then_some(store);
        Ok(())
    }

    /// A new file system with a new store, made by the command that an operator would use.
    fn make_store(&mut self) -> anyhow::Result<Store> {
        self.bed.fresh()?;
        self.tally.stores += 1;
        let config = self.config();
        if config.exists() {
            std::fs::remove_file(&config)?;
        }
        let engine = self.options.engine.engine().name();
        let mut command = self.command();
        command.arg("init").arg("--config").arg(config).arg("--genesis").arg(self.fleet.genesis()).arg("--node").arg(self.fleet.node());
        command.arg("--data").arg(self.bed.data()).args(["--listen", "127.0.0.1:0", "--engine", engine, "--metrics", ""]);
        let output = command.stdin(Stdio::null()).output()?;
        if !output.status.success() {
            bail!("the store was not made: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(Store { next: 1, ..Store::default() })
    }

    /// Sends, and cuts the power after some answers; gives how many messages were acknowledged.
    async fn load(&self, store: &mut Store, round: usize) -> anyhow::Result<usize> {
        let process = Process::of(self.command().arg("serve").arg("--config").arg(self.config()), &self.fleet.folder.join("gateway.log"))?;
        if store.head.is_none() {
            store.head = Some(self.fleet.publish_key(&process.url).await?);
        }
        let head = store.head.clone().context("the key was published")?;
        let (answered, mut answers) = watch::channel(0);
        let mut driving = Vec::new();
        for sender in &self.fleet.senders {
            let numbers = store.next..=store.next + MESSAGES_A_ROUND - 1;
            let submissions = self.fleet.seal(&head, sender, numbers, 300 + round * 41 % 9000)?;
            let link = self.fleet.connect(&process.url, sender).await?;
            driving.push((sender.clone(), tokio::spawn(send(link, submissions, answered.clone()))));
        }
        store.next += MESSAGES_A_ROUND;
        // The place of the cut differs from round to round, without chance: a failure can be played again.
        let (after, total) = (round * 37 % 150, MESSAGES_A_ROUND as usize * self.fleet.senders.len());
        let enough = answers.wait_for(|answers| *answers >= after.min(total));
        tokio::time::timeout(PATIENCE, enough).await.with_context(|| format!("no answers within {PATIENCE:?}"))??;
        self.bed.cut(round)?;
        process.kill()?;
        let before = store.receipts.len();
        for (sender, driven) in driving {
            let taken = driven.await?.into_iter().filter(|answer| answer.problem.is_none());
            store.receipts.extend(taken.map(|answer| ((sender.clone(), answer.tag), answer.receipt)));
        }
        Ok(store.receipts.len() - before)
    }

    /// Opens the store as the next start would, verifies all of it, and counts what was acknowledged and is not there.
    fn missing(&self, store: &Store) -> anyhow::Result<usize> {
        let mut places = BTreeMap::new();
        for (index, entry) in entries(&self.fleet.folder)? {
            let Entry::Message(message) = entry else { continue };
            let reference = message.reference()?;
            anyhow::ensure!(places.insert((reference.sender.clone(), reference.number), index).is_none(), "{reference} stands twice");
        }
        let checked = gateway::check(&gateway::Config::read(&self.config())?)?;
        anyhow::ensure!(checked.damage.is_empty(), "{:?}", checked.damage);
        let log = self.fleet.trust.log_verifier()?;
        let mut missing = 0;
        for (key, receipt) in &store.receipts {
            let proven = Receipt::decode(receipt)?.verify(&log)?;
            missing += usize::from(places.get(key) != Some(&proven.position.index));
        }
        Ok(missing)
    }

    fn config(&self) -> PathBuf {
        self.fleet.folder.join("gateway.toml")
    }

    /// `ecowire-gateway` on the bed.
    fn command(&self) -> Command {
        let (program, first) = self
            .options
            .program
            .split_first()
            .map_or((Path::new("ecowire-gateway"), &[][..]), |(program, first)| (Path::new(program), first));
        let mut command = Command::new(program);
        command.args(first).envs(self.bed.environment());
        command
    }
}

/// As `drive`, but counts the answers as they come: small streams one after the other.
async fn send(link: Link, submissions: Vec<v1::Submission>, answered: watch::Sender<usize>) -> Vec<Answer> {
    let mut answers = Vec::new();
    for some in submissions.chunks(IN_FLIGHT) {
        let got = drive(link.clone(), some.to_vec(), IN_FLIGHT).await;
        answered.send_modify(|answers| *answers += got.len());
        let is_complete = got.len() == some.len();
        answers.extend(got);
        if !is_complete {
            break;
        }
    }
    answers
}

const SENDERS: usize = 8;
const IN_FLIGHT: usize = 8;
const MESSAGES_A_ROUND: u64 = 24;
/// A store sees its first cut when it is new, and others when it is not.
const CUTS_A_STORE: usize = 5;
/// How long the answers before a cut may take.
const PATIENCE: Duration = Duration::from_secs(60);
