//! One file a command. What they share: a minted network with a gateway in a process of its own, and how figures are printed.

pub(crate) mod deliver;
pub(crate) mod fanout;
pub(crate) mod felt;
pub(crate) mod growth;
pub(crate) mod idle;
pub(crate) mod power_cut;
pub(crate) mod replay;
pub(crate) mod restart;
pub(crate) mod stores;
pub(crate) mod submit;

use std::path::Path;

use bench::fleet::{Fleet, Head};
use bench::load::{Answer, drive};
use bench::process::Process;
use bench::report::{Format, Report};
use clap::Args;
use gateway::config::EngineName;
use indicatif::{ProgressBar, ProgressStyle};
use proto::v1;
use tempfile::TempDir;

/// How the figures are printed
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Output {
    /// One JSON object
    #[arg(long, conflicts_with = "markdown")]
    pub(crate) json: bool,
    /// A table in Markdown
    #[arg(long)]
    pub(crate) markdown: bool,
}

impl Output {
    pub(crate) fn print(self, report: &Report) {
        let format = match (self.json, self.markdown) {
            (true, _) => Format::Json,
            (false, true) => Format::Markdown,
            (false, false) => Format::Lines,
        };
        println!("{}", report.render(format));
    }
}

/// A minted network, its gateway in a process of its own, and the directory's head with everybody's keys.
pub(crate) struct Stage {
    pub(crate) fleet: Fleet,
    pub(crate) process: Process,
    pub(crate) head: Head,
    /// Everything lies in it; dropped last.
    pub(crate) scratch: TempDir,
}

impl Stage {
    pub(crate) async fn new(senders: usize, recipients: usize) -> anyhow::Result<Self> {
        let scratch = tempfile::tempdir()?;
        let fleet = Fleet::mint_with(scratch.path(), senders, recipients, EngineName::default())?;
        let process = start(scratch.path())?;
        let head = fleet.publish_key(&process.url).await?;
        Ok(Self { fleet, process, head, scratch })
    }

    /// Headers over one sealed content for every sender, on all cores: sender n sends to `to(n)`.
    pub(crate) fn seal_all(
        &self,
        numbers: &std::ops::RangeInclusive<u64>,
        size: usize,
        to_each_its_own: bool,
    ) -> anyhow::Result<Vec<Vec<v1::Submission>>> {
        let recipients = &self.fleet.recipients;
        let seal = |at: usize| {
            let at_recipient = if to_each_its_own { at % recipients.len() } else { 0 };
            let to = &recipients[at_recipient..=at_recipient];
            self.fleet.seal_many(&self.head, &self.fleet.senders[at], to, numbers.clone(), size)
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.fleet.senders.len()).map(|at| scope.spawn(move || seal(at))).collect();
            threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow::anyhow!("a sealing thread panicked"))?).collect()
        })
    }

    /// Submits everything, each sender over a connection of its own; every message must be taken.
    pub(crate) async fn submit_all(&self, loads: Vec<Vec<v1::Submission>>, inflight: usize) -> anyhow::Result<Vec<Answer>> {
        let mut driving = Vec::new();
        for (sender, load) in self.fleet.senders.iter().zip(loads) {
            let (link, count) = (self.fleet.connect(&self.process.url, sender).await?, load.len());
            driving.push((count, tokio::spawn(drive(link, load, inflight))));
        }
        let mut answers = Vec::new();
        for (count, driven) in driving {
            let got = driven.await?;
            all_taken(&got, count)?;
            answers.extend(got);
        }
        Ok(answers)
    }

    /// Submits `messages`, 64 in flight on each connection, under the numbers from `next` on; gives the next number.
    /// Nothing is kept.
    pub(crate) async fn fill(
        &self,
        next: u64,
        messages: u64,
        size: usize,
        to_each_its_own: bool,
        bar: &ProgressBar,
    ) -> anyhow::Result<u64> {
        let senders = self.fleet.senders.len() as u64;
        let (mut next, end) = (next, next + messages.div_ceil(senders));
        while next < end {
            let last = (next + FILL_STEP).min(end) - 1;
            let loads = self.seal_all(&(next..=last), size, to_each_its_own)?;
            let taken = self.submit_all(loads, 64).await?.len();
            bar.inc(taken as u64);
            next = last + 1;
        }
        Ok(next)
    }
}

/// Starts the gateway of a folder, as this program again.
pub(crate) fn start(folder: &Path) -> anyhow::Result<Process> {
    let config = folder.join("gateway.toml").display().to_string();
    Process::start(&std::env::current_exe()?, &["gateway", "--config", &config], &folder.join("gateway.log"))
}

/// Fails with the first problem unless all of `count` were taken.
pub(crate) fn all_taken(answers: &[Answer], count: usize) -> anyhow::Result<()> {
    if let Some(problem) = answers.iter().find_map(|answer| answer.problem.as_ref()) {
        anyhow::bail!("a message was not taken: {} {}", problem.name, problem.text);
    }
    anyhow::ensure!(answers.len() == count, "{} of {count} messages were answered", answers.len());
    Ok(())
}

/// A bar on standard error, drawn on a terminal only.
pub(crate) fn bar(length: u64, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(length).with_message(what);
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {elapsed}, {eta} left") {
        bar.set_style(style);
    }
    bar
}

/// Messages of a sender that are sealed at a time when a ledger is filled.
const FILL_STEP: u64 = 2000;
