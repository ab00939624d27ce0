//! `restart`: fill a ledger, kill the gateway, and see what the next start reads and takes.

use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use bench::report::Report;
use bench::yardstick::Yardstick;
use clap::Args;

use super::{Output, Stage, bar, start};

#[derive(Args)]
pub(crate) struct Restart {
    /// Entries, at least
    #[arg(long, default_value_t = 100_000)]
    entries: u64,
    #[command(flatten)]
    output: Output,
}

pub(crate) async fn run(options: &Restart) -> anyhow::Result<()> {
    let stage = Stage::new(8, 1).await?;
    let bar = bar(options.entries, "filling");
    stage.fill(1, options.entries, 64, false, &bar).await?;
    bar.finish_and_clear();
    let (before_kib, _) = stage.process.memory_kib()?;
    let Stage { scratch, process, .. } = stage;
    process.kill()?;
    let yardstick = Yardstick::lay(scratch.path())?;
    let began = Instant::now();
    let process = start(scratch.path())?;
    let took = began.elapsed().as_secs_f64();
    let (rss_kib, _) = process.memory_kib()?;
    process.kill()?;
    let terms = yardstick.read()?;
    let (snapshot, tail) = derived(&scratch.path().join("gateway.log"))?;
    let mut report = Report::default();
    report.figure("entries", snapshot + tail);
    report.figure("snapshot_entries", snapshot);
    report.figure("tail_entries_read", tail);
    report.at_most("restart_s", took, 2.0, "2 with 1,000,000 entries");
    report.figure("restart_in_verifications", took * 1e6 / terms.verify_us);
    report.figure("rss_before_kill_kib", before_kib as f64);
    report.figure("rss_after_start_kib", rss_kib as f64);
    terms.put(&mut report);
    options.output.print(&report);
    Ok(())
}

/// What the last start said that it read.
fn derived(log: &Path) -> anyhow::Result<(f64, f64)> {
    let text = std::fs::read_to_string(log)?;
    let line = text.lines().rev().find(|line| line.contains("the state was derived")).context("the start says what it read")?;
    let figure = |name: &str| line.split(name).nth(1)?.split(' ').next()?.parse().ok();
    figure("snapshot=").zip(figure("tail=")).context("snapshot and tail are numbers")
}
