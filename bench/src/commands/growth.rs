//! `growth`: what a message costs when the ledger is small and when it is large.

use std::path::Path;
use std::time::Instant;

use bench::mailbox::{Mailbox, Pace};
use bench::report::Report;
use bench::yardstick::Yardstick;
use clap::Args;
use indicatif::ProgressBar;

use super::{Output, Stage, bar};

#[derive(Args)]
pub(crate) struct Growth {
    /// Messages in the end
    #[arg(long, default_value_t = 1_000_000)]
    to: u64,
    /// Messages that are measured when a size is passed
    #[arg(long, default_value_t = 10_000)]
    window: u64,
    /// Sizes at which to measure; 10 k, 100 k, 1 M and 10 M unless given
    #[arg(long, value_delimiter = ',', default_values_t = [10_000, 100_000, 1_000_000, 10_000_000])]
    at: Vec<u64>,
    /// Recipients take their messages and say DELIVERED; otherwise everything waits
    #[arg(long)]
    delivered: bool,
    #[command(flatten)]
    output: Output,
}

/// One measurement.
struct Window {
    at: u64,
    rate: f64,
    server_us: f64,
    disk_bytes: f64,
    rss_kib: f64,
}

pub(crate) async fn run(options: &Growth) -> anyhow::Result<()> {
    let stage = Stage::new(CONNECTIONS, if options.delivered { CONNECTIONS } else { 1 }).await?;
    let yardstick = Yardstick::lay(stage.scratch.path())?;
    if options.delivered {
        for recipient in &stage.fleet.recipients {
            let link = stage.fleet.connect(&stage.process.url, &recipient.address).await?;
            let mailbox = Mailbox::open(&stage.fleet, link, &recipient.address, Pace::default()).await?;
            // It reads until the gateway is killed.
            tokio::spawn(mailbox.take(u64::MAX, |_| {}));
        }
    }
    let bar = bar(options.to, "growing");
    let (mut next, mut sent, mut windows) = (1, 0, Vec::new());
    for at in options.at.iter().copied().filter(|at| *at <= options.to) {
        let before = at.saturating_sub(sent);
        next = stage.fill(next, before, SIZE, options.delivered, &bar).await?;
        windows.push(window(&stage, at, &mut next, options, &bar).await?);
        sent = (next - 1) * CONNECTIONS as u64;
    }
    bar.finish_and_clear();
    anyhow::ensure!(!windows.is_empty(), "no size to measure at lies below --to");
    let terms = yardstick.read()?;
    let mut report = Report::default();
    let first_us = windows[0].server_us;
    for window in &windows {
        let name = |what: &str| format!("at_{}_{what}", window.at);
        report.figure(name("messages_per_second"), window.rate);
        report.figure(name("server_cpu_us_per_message"), window.server_us);
        report.at_most(name("cost_to_first"), window.server_us / first_us, 1.1, "1.1");
        report.figure(name("disk_bytes_per_message"), window.disk_bytes);
        report.figure(name("rss_kib"), window.rss_kib);
    }
    terms.put(&mut report);
    options.output.print(&report);
    stage.process.kill()
}

async fn window(stage: &Stage, at: u64, next: &mut u64, options: &Growth, bar: &ProgressBar) -> anyhow::Result<Window> {
    let each = options.window.div_ceil(CONNECTIONS as u64);
    let loads = stage.seal_all(&(*next..=*next + each - 1), SIZE, options.delivered)?;
    let data = stage.scratch.path().join("data");
    let (cpu, began) = (stage.process.cpu_us()?, Instant::now());
    let count = stage.submit_all(loads, 64).await?.len() as f64;
    let (took, cpu) = (began.elapsed().as_secs_f64(), stage.process.cpu_us()? - cpu);
    bar.inc(count as u64);
    *next += each;
    let disk = bytes_in(&data)? as f64 / ((*next - 1) * CONNECTIONS as u64) as f64;
    let (rss_kib, _) = stage.process.memory_kib()?;
    Ok(Window { at, rate: count / took, server_us: cpu as f64 / count, disk_bytes: disk, rss_kib: rss_kib as f64 })
}

/// Bytes that the files below a folder take on the disk.
fn bytes_in(folder: &Path) -> anyhow::Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let mut sum = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        sum += if metadata.is_dir() { bytes_in(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(sum)
}

const CONNECTIONS: usize = 8;
/// Bytes of content.
const SIZE: usize = 64;
