//! `fanout`: one sender, many recipients that each hold a Receive stream and say DELIVERED in batches.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bench::load::{drive_until, quantile, sorted_ms};
use bench::mailbox::{Mailbox, Pace, Taken};
use bench::process::own_cpu_us;
use bench::report::Report;
use bench::yardstick::Yardstick;
use clap::Args;

use super::{Output, Stage, all_taken, bar};

#[derive(Args)]
pub(crate) struct Fanout {
    /// Recipients, each over a connection of its own
    #[arg(long, default_value_t = 195)]
    recipients: usize,
    /// Messages, each to all of them
    #[arg(long, default_value_t = 128)]
    messages: u64,
    /// Messages in flight
    #[arg(long, default_value_t = 16)]
    inflight: usize,
    /// Bytes of content
    #[arg(long, default_value_t = 1024)]
    size: usize,
    #[command(flatten)]
    output: Output,
}

pub(crate) async fn run(options: &Fanout) -> anyhow::Result<()> {
    let stage = Stage::new(1, options.recipients).await?;
    let yardstick = Yardstick::lay(stage.scratch.path())?;
    let sender = &stage.fleet.senders[0];
    let load = stage.fleet.seal_many(&stage.head, sender, &stage.fleet.recipients, 1..=options.messages, options.size)?;
    let expected = options.messages * options.recipients as u64;
    let bar = bar(expected, "delivering");
    let mut mailboxes = Vec::new();
    for recipient in &stage.fleet.recipients {
        let link = stage.fleet.connect(&stage.process.url, &recipient.address).await?;
        mailboxes.push(Mailbox::open(&stage.fleet, link, &recipient.address, Pace::default()).await?);
    }
    let link = stage.fleet.connect(&stage.process.url, sender).await?;
    let sent = Arc::new(Mutex::new(Vec::new()));
    let (server, own, began, noting) = (stage.process.cpu_us()?, own_cpu_us()?, Instant::now(), sent.clone());
    let takes = mailboxes.into_iter().map(|mailbox| {
        let bar = bar.clone();
        tokio::spawn(mailbox.take(options.messages, move |_| bar.inc(1)))
    });
    let takes: Vec<_> = takes.collect();
    let note = move |_| noting.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
    let answers = drive_until(link, load, options.inflight, None, note).await;
    all_taken(&answers, usize::try_from(options.messages)?)?;
    let mut taken: Vec<Taken> = Vec::new();
    for take in takes {
        taken.extend(take.await??);
    }
    let took = began.elapsed().as_secs_f64();
    bar.finish_and_clear();
    let (server, own) = (stage.process.cpu_us()? - server, own_cpu_us()? - own);
    anyhow::ensure!(taken.len() as u64 == expected, "{} of {expected} were delivered", taken.len());
    let terms = yardstick.read()?;
    let sent = sent.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let (received, delivered) = (last(&sent, &taken, |taken| taken.received), last(&sent, &taken, |taken| taken.delivered));
    let count = taken.len() as f64;
    let mut report = Report::default();
    report.figure("recipients", options.recipients as f64);
    report.figure("deliveries", count);
    report.at_least("deliveries_per_second", count / took, 4000.0, "4,000");
    report.figure("deliveries_in_a_verification", count / took * terms.verify_us / 1e6);
    report.figure("last_received_p50_ms", quantile(&received, 0.5));
    report.figure("last_delivered_p50_ms", quantile(&delivered, 0.5));
    report.figure("last_delivered_max_ms", quantile(&delivered, 1.0));
    report.figure("server_cpu_us_per_delivery", server as f64 / count);
    report.figure("client_cpu_us_per_delivery", own as f64 / count);
    terms.put(&mut report);
    options.output.print(&report);
    stage.process.kill()
}

/// Milliseconds from the hand-over of each message to the last of its recipients, ascending.
fn last(sent: &[Instant], taken: &[Taken], until: impl Fn(&Taken) -> Instant) -> Vec<f64> {
    let mut ends = sent.to_vec();
    for one in taken {
        if let Some(end) = ends.get_mut(one.number as usize - 1) {
            *end = (*end).max(until(one));
        }
    }
    sorted_ms(ends.iter().zip(sent).map(|(end, start)| end.duration_since(*start)))
}
