//! `deliver`: from hand-over to the recipient, and to the recipient's durable DELIVERED.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bench::load::{drive_until, quantile, sorted_ms};
use bench::mailbox::{Mailbox, Pace, Taken};
use bench::process::own_cpu_us;
use bench::report::Report;
use bench::yardstick::Yardstick;
use clap::Args;
use envelope::Address;
use proto::v1;
use proto::v1::messages_client::MessagesClient;

use super::{Output, Stage, all_taken};

#[derive(Args)]
pub(crate) struct Deliver {
    /// Messages under load
    #[arg(long, default_value_t = 10_000)]
    messages: u64,
    /// Messages in flight under load
    #[arg(long, default_value_t = 64)]
    inflight: usize,
    /// Messages one at a time, before, for the engine's own commit time
    #[arg(long, default_value_t = 200)]
    alone: u64,
    /// Bytes of content
    #[arg(long, default_value_t = 1024)]
    size: usize,
    #[command(flatten)]
    output: Output,
}

/// When each number was handed over; numbers begin at 1.
#[derive(Clone)]
struct Sent(Arc<Mutex<Vec<Instant>>>);

impl Sent {
    fn note(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
    }

    /// Milliseconds from hand-over of each number in `range` to what `until` names, ascending.
    fn to(&self, taken: &[Taken], range: std::ops::RangeInclusive<u64>, until: impl Fn(&Taken) -> Instant) -> Vec<f64> {
        let sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let within = taken.iter().filter(|taken| range.contains(&taken.number));
        sorted_ms(within.map(|taken| until(taken).saturating_duration_since(sent[taken.number as usize - 1])))
    }
}

pub(crate) async fn run(options: &Deliver) -> anyhow::Result<()> {
    let stage = Stage::new(1, 1).await?;
    let (sender, recipient) = (&stage.fleet.senders[0], &stage.fleet.recipients[0]);
    let yardstick = Yardstick::lay(stage.scratch.path())?;
    let all = options.alone + options.messages;
    let mut alone = stage.fleet.seal_many(&stage.head, sender, &stage.fleet.recipients, 1..=all, options.size)?;
    let loaded = alone.split_off(usize::try_from(options.alone)?);
    let link = stage.fleet.connect(&stage.process.url, &recipient.address).await?;
    let mailbox = Mailbox::open(&stage.fleet, link, &recipient.address, Pace::default()).await?;
    let link = stage.fleet.connect(&stage.process.url, sender).await?;
    let sent = Sent(Arc::new(Mutex::new(Vec::new())));
    let taking = tokio::spawn(mailbox.take(all, |_| {}));
    let (single, count) = (sent.clone(), alone.len());
    let answers = drive_until(link.clone(), alone, 1, None, move |_| single.note()).await;
    all_taken(&answers, count)?;
    let commit = sorted_ms(answers.iter().map(|answer| answer.latency));
    let (server, own, began, many, count) = (stage.process.cpu_us()?, own_cpu_us()?, Instant::now(), sent.clone(), loaded.len());
    let answers = drive_until(link.clone(), loaded, options.inflight, None, move |_| many.note()).await;
    all_taken(&answers, count)?;
    let taken = taking.await??;
    let took = began.elapsed().as_secs_f64();
    let (server, own) = (stage.process.cpu_us()? - server, own_cpu_us()? - own);
    let asked = check_status(&stage, link, sender, all).await?;
    let terms = yardstick.read()?;
    let commit_p50 = quantile(&commit, 0.5);
    let alone_p50 = quantile(&sent.to(&taken, 1..=options.alone, |taken| taken.received), 0.5);
    let received = sent.to(&taken, options.alone + 1..=all, |taken| taken.received);
    let delivered = sent.to(&taken, options.alone + 1..=all, |taken| taken.delivered);
    let count = options.messages as f64;
    let mut report = Report::default();
    report.figure("messages", count);
    report.figure("messages_per_second", count / took);
    report.figure("commit_p50_ms", commit_p50);
    report.figure("alone_received_p50_ms", alone_p50);
    report.at_most("alone_received_to_commit", alone_p50 / commit_p50, 1.5, "1.5");
    report.figure("received_p50_ms", quantile(&received, 0.5));
    report.figure("received_p99_ms", quantile(&received, 0.99));
    report.figure("delivered_p50_ms", quantile(&delivered, 0.5));
    report.figure("delivered_p99_ms", quantile(&delivered, 0.99));
    report.figure("server_cpu_us_per_message", server as f64 / count);
    report.figure("client_cpu_us_per_message", own as f64 / count);
    report.figure("statuses_asked", asked);
    terms.put(&mut report);
    options.output.print(&report);
    stage.process.kill()
}

/// What the sender is told: every 64th of its messages, and the last, is delivered.
async fn check_status(stage: &Stage, link: client::link::Link, sender: &Address, all: u64) -> anyhow::Result<f64> {
    let mut messages = MessagesClient::with_origin(link.clone(), link.origin());
    let mut asked = 0.0;
    for number in (1..=all).filter(|number| number.is_multiple_of(64) || *number == all) {
        let reference = stage.fleet.reference(sender, number);
        let request = v1::StatusRequest { year: reference.year, series: reference.series, number };
        let status = messages.status(request).await?.into_inner();
        let delivered = |recipient: &v1::RecipientStatus| recipient.state() == v1::RecipientState::Delivered;
        anyhow::ensure!(status.known && status.recipients.iter().all(delivered), "{reference} is not delivered");
        asked += 1.0;
    }
    Ok(asked)
}
