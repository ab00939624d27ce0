//! What others feel of a greedy neighbour or of an attack: their latencies at a steady rate, with and without, by turns in
//! one run, and the ratio.
//!
//! The rate is kept whatever the gateway does: a latency counts from when a message was due, not from when it could be sent.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use client::link::Link;
use envelope::Address;
use proto::v1;
use proto::v1::messages_client::MessagesClient;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_stream::wrappers::ReceiverStream;

use crate::attack::Attack;
use crate::fleet::{Fleet, Head};
use crate::process::Process;

/// How the others work.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Options {
    /// Participants that are measured
    #[arg(long, default_value_t = 8)]
    pub others: usize,
    /// Messages a second of each
    #[arg(long, default_value_t = 25)]
    pub rate: u64,
    /// Seconds of each turn
    #[arg(long, default_value_t = 5)]
    pub seconds: u64,
    /// Turns of each kind
    #[arg(long, default_value_t = 3)]
    pub turns: u64,
    /// Bytes of content
    #[arg(long, default_value_t = 1024)]
    pub size: usize,
}

/// Named figures, in the order in which they are read.
pub type Figures = Vec<(String, f64)>;

/// The measured ones, and a neighbour whose share is its own.
struct Street {
    options: Options,
    fleet: Fleet,
    process: Process,
    head: Head,
    next: BTreeMap<Address, u64>,
    _scratch: tempfile::TempDir,
}

impl Street {
    async fn new(options: Options) -> anyhow::Result<Self> {
        ensure!(options.rate > 0 && options.rate * options.seconds * options.turns < 100_000, "rate, seconds and turns are out of bounds");
        let scratch = tempfile::tempdir()?;
        let fleet = Fleet::mint(scratch.path(), options.others + 1)?;
        let process = start(scratch.path())?;
        let head = fleet.publish_key(&process.url).await?;
        Ok(Self { options, fleet, process, head, next: BTreeMap::new(), _scratch: scratch })
    }

    fn neighbour(&self) -> anyhow::Result<Address> {
        self.fleet.senders.last().cloned().context("a fleet has senders")
    }

    /// Seals the next `count` messages of a sender.
    fn seal(&mut self, sender: &Address, count: u64) -> anyhow::Result<Vec<v1::Submission>> {
        let next = self.next.entry(sender.clone()).or_insert(1);
        let numbers = *next..=*next + count - 1;
        *next += count;
        self.fleet.seal(&self.head, sender, numbers, self.options.size)
    }

    /// One turn: the others' latencies, while the neighbour submits at `times` their rate.
    async fn turn(&mut self, times: u64) -> anyhow::Result<Vec<f64>> {
        let Options { others, rate, seconds, .. } = self.options;
        let neighbour = self.neighbour()?;
        let mut senders = self.fleet.senders[..others].to_vec();
        if times > 0 {
            senders.push(neighbour.clone());
        }
        let mut ready = Vec::new();
        for sender in senders {
            let rate = if sender == neighbour { rate * times } else { rate };
            let load = self.seal(&sender, rate * seconds)?;
            ready.push((sender.clone(), rate, load, self.fleet.connect(&self.process.url, &sender).await?));
        }
        let count = ready.len();
        let start = tokio::time::Instant::now() + Duration::from_millis(200);
        let mut driving = Vec::new();
        for (at, (sender, rate, load, link)) in ready.into_iter().enumerate() {
            let every = Duration::from_secs(1) / u32::try_from(rate)?;
            // Side by side, not all at one moment.
            let start = start + every * u32::try_from(at)? / u32::try_from(count)?;
            driving.push((sender, tokio::spawn(paced(link, load, every, start))));
        }
        let mut latencies = Vec::new();
        for (sender, driven) in driving {
            let measured = driven.await??;
            if sender != neighbour {
                latencies.extend(measured);
            }
        }
        Ok(latencies)
    }
}

/// One participant at its rate and at ten times its rate, by turns: what the others feel.
///
/// # Errors
/// Whatever fleet or gateway say; a message of the others that is not taken is an error, too.
pub async fn fair(options: Options) -> anyhow::Result<Figures> {
    let mut street = Street::new(options).await?;
    let (mut once, mut ten) = (Vec::new(), Vec::new());
    street.turn(1).await?;
    for _ in 0..options.turns {
        once.extend(street.turn(1).await?);
        ten.extend(street.turn(10).await?);
    }
    let figures = compare(("at_its_rate", once), ("at_ten_times", ten));
    street.process.kill()?;
    Ok(figures)
}

/// Each attack against the quiet before it, by turns: what the others feel.
///
/// # Errors
/// Whatever fleet or gateway say.
pub async fn attack(options: Options) -> anyhow::Result<Figures> {
    let mut street = Street::new(options).await?;
    let target = street.process.url.trim_start_matches("https://").parse().context("an address and port")?;
    let identity = street.fleet.identity(&street.neighbour()?);
    street.turn(0).await?;
    let mut figures = Figures::new();
    for kind in Attack::ALL {
        let (mut quiet, mut attacked) = (Vec::new(), Vec::new());
        for _ in 0..options.turns {
            quiet.extend(street.turn(0).await?);
            let attacker = Attacker(tokio::spawn(kind.run(target, identity.clone())).abort_handle());
            attacked.extend(street.turn(0).await?);
            drop(attacker);
        }
        figures.extend(compare((&format!("{kind}_quiet"), quiet), (&format!("{kind}_attacked"), attacked)));
    }
    street.process.kill()?;
    Ok(figures)
}

/// Ends the attack when it is dropped.
struct Attacker(AbortHandle);

impl Drop for Attacker {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Hands over a message whenever one is due; milliseconds from then to each answer.
async fn paced(link: Link, load: Vec<v1::Submission>, every: Duration, start: tokio::time::Instant) -> anyhow::Result<Vec<f64>> {
    let mut client = MessagesClient::with_origin(link.clone(), link.origin());
    let count = load.len();
    let (requests, stream) = mpsc::channel(count.max(1));
    let first = load.first().map_or(0, |submission| submission.tag);
    let sending = tokio::spawn(async move {
        for (at, submission) in load.into_iter().enumerate() {
            tokio::time::sleep_until(start + every * u32::try_from(at).unwrap_or(u32::MAX)).await;
            if requests.send(v1::SubmitStreamRequest { submission: Some(submission) }).await.is_err() {
                return;
            }
        }
    });
    let mut answers = client.submit_stream(ReceiverStream::new(stream)).await?.into_inner();
    let mut latencies = Vec::with_capacity(count);
    while latencies.len() < count {
        let answer = answers.message().await?.context("the stream ended early")?;
        if let Some(problem) = answer.problem {
            anyhow::bail!("a message was not taken: {} {}", problem.name, problem.text);
        }
        let due = start + every * u32::try_from(answer.tag - first)?;
        latencies.push(due.elapsed().as_secs_f64() * 1e3);
    }
    sending.await?;
    Ok(latencies)
}

/// p50 and p99 of both, and how many times the second's p99 is the first's.
fn compare((one, mut first): (&str, Vec<f64>), (other, mut second): (&str, Vec<f64>)) -> Figures {
    let (first, second) = (quantiles(&mut first), quantiles(&mut second));
    vec![
        (format!("{one}_p50_ms"), first[0]),
        (format!("{one}_p99_ms"), first[1]),
        (format!("{other}_p50_ms"), second[0]),
        (format!("{other}_p99_ms"), second[1]),
        (format!("{other}_p99_ratio"), second[1] / first[1]),
    ]
}

fn quantiles(latencies: &mut [f64]) -> [f64; 2] {
    latencies.sort_by(f64::total_cmp);
    [0.5, 0.99].map(|share| latencies.get((latencies.len().saturating_sub(1) as f64 * share) as usize).copied().unwrap_or(f64::NAN))
}

fn start(folder: &Path) -> anyhow::Result<Process> {
    let config = folder.join("gateway.toml").display().to_string();
    Process::start(&std::env::current_exe()?, &["gateway", "--config", &config], &folder.join("gateway.log"))
}
