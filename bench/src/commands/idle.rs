//! `idle`: what a connection costs that does nothing but wait for mail.

use std::time::Duration;

use bench::mailbox::{Mailbox, Pace};
use bench::report::Report;
use bench::yardstick::Yardstick;
use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{Output, Stage, bar};

#[derive(Args)]
pub(crate) struct Idle {
    /// Mutual-TLS connections, each with an open Receive stream
    #[arg(long, default_value_t = 1000)]
    connections: usize,
    #[command(flatten)]
    output: Output,
}

/// Raises the soft limit of open files to the hard one, for this process and the gateway that it starts; both hold one
/// end of each connection.
///
/// # Errors
/// Says what to do when the hard limit is too low.
pub(crate) fn raise_open_files(connections: usize) -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let needed = connections as u64 + FILES_BESIDE;
    if limit.maximum.is_some_and(|maximum| maximum < needed) {
        anyhow::bail!("{needed} open files are needed, the hard limit is lower: raise it (ulimit -Hn, or LimitNOFILE= of the service)");
    }
    if limit.current.is_some_and(|current| current < needed) {
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum.or(Some(needed)), maximum: limit.maximum })?;
    }
    Ok(())
}

pub(crate) async fn run(options: &Idle) -> anyhow::Result<()> {
    raise_open_files(options.connections)?;
    let participants = options.connections.div_ceil(CONNECTIONS_EACH).max(1);
    let stage = Stage::new(0, participants).await?;
    let yardstick = Yardstick::lay(stage.scratch.path())?;
    // One connection of each first: what a participant costs once is not a connection's.
    let mut open = Vec::new();
    for recipient in &stage.fleet.recipients {
        let link = stage.fleet.connect(&stage.process.url, &recipient.address).await?;
        open.push(Mailbox::open(&stage.fleet, link, &recipient.address, Pace::default()).await?);
    }
    tokio::time::sleep(SETTLE).await;
    let (rss_before, pss_before) = stage.process.memory_kib()?;
    let bar = bar(options.connections as u64, "connecting");
    for at in 0..options.connections {
        let address = &stage.fleet.recipients[at % participants].address;
        let link = stage.fleet.connect(&stage.process.url, address).await?;
        open.push(Mailbox::open(&stage.fleet, link, address, Pace::default()).await?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    tokio::time::sleep(SETTLE).await;
    let (rss, pss) = stage.process.memory_kib()?;
    let terms = yardstick.read()?;
    let each = |after: u64, before: u64| after.saturating_sub(before) as f64 / options.connections as f64;
    let mut report = Report::default();
    report.figure("connections", options.connections as f64);
    report.figure("participants", participants as f64);
    report.figure("rss_before_kib", rss_before as f64);
    report.figure("rss_after_kib", rss as f64);
    report.at_most("rss_kib_per_connection", each(rss, rss_before), 40.0, "40");
    report.figure("pss_kib_per_connection", each(pss, pss_before));
    terms.put(&mut report);
    options.output.print(&report);
    drop(open);
    stage.process.kill()
}

/// A participant may have 8 mailboxes open; one is open already.
const CONNECTIONS_EACH: usize = 7;
/// Files that a gateway has open beside its connections, and room.
const FILES_BESIDE: u64 = 200;
/// What a handshake leaves behind is freed after a moment.
const SETTLE: Duration = Duration::from_secs(1);
