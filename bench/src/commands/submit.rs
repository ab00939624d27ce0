//! `submit`: signed messages on streams, one participant a connection, for a time or a count.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bench::load::{Answer, drive_until, quantile, sorted_ms};
use bench::process::own_cpu_us;
use bench::report::Report;
use bench::yardstick::Yardstick;
use bytes::Bytes;
use clap::Args;
use envelope::Receipt;
use envelope::trust::Trust;

use super::{Output, Stage, all_taken};

#[derive(Args)]
pub(crate) struct Submit {
    /// Connections, each a participant of its own
    #[arg(long, default_value_t = 8)]
    connections: usize,
    /// Messages in flight on each
    #[arg(long, default_value_t = 64)]
    inflight: usize,
    /// Bytes of content
    #[arg(long, default_value_t = 1024)]
    size: usize,
    /// How long to submit
    #[arg(long, default_value_t = 5.0, conflicts_with = "messages")]
    seconds: f64,
    /// Messages of each connection, instead of a time
    #[arg(long)]
    messages: Option<u64>,
    #[command(flatten)]
    output: Output,
}

pub(crate) async fn run(options: &Submit) -> anyhow::Result<()> {
    let report = measure(options).await?;
    options.output.print(&report);
    Ok(())
}

async fn measure(options: &Submit) -> anyhow::Result<Report> {
    let stage = Stage::new(options.connections, 1).await?;
    let yardstick = Yardstick::lay(stage.scratch.path())?;
    let each = options.messages.unwrap_or_else(|| enough(options.seconds, options.connections));
    let loads = stage.seal_all(&(1..=each), options.size, false)?;
    let mut links = Vec::new();
    for sender in &stage.fleet.senders {
        links.push(stage.fleet.connect(&stage.process.url, sender).await?);
    }
    let (server, own, began) = (stage.process.cpu_us()?, own_cpu_us()?, Instant::now());
    let until = options.messages.is_none().then(|| began + Duration::from_secs_f64(options.seconds));
    let drives = links.into_iter().zip(loads).map(|(link, load)| tokio::spawn(drive_until(link, load, options.inflight, until, |_| {})));
    let drives: Vec<_> = drives.collect();
    let mut answers: Vec<Answer> = Vec::new();
    for driven in drives {
        answers.extend(driven.await?);
    }
    let took = began.elapsed().as_secs_f64();
    let (server, own) = (stage.process.cpu_us()? - server, own_cpu_us()? - own);
    all_taken(&answers, options.messages.map_or(answers.len(), |each| each as usize * options.connections))?;
    anyhow::ensure!(!answers.is_empty(), "no message was answered");
    if options.messages.is_none() && took < options.seconds * 0.98 {
        eprintln!("note: the {each} messages sealed for each connection ran out after {took:.2} s");
    }
    let commits = commits(&answers, &stage.fleet.trust)?;
    let latencies = sorted_ms(answers.iter().map(|answer| answer.latency));
    let terms = yardstick.read()?;
    let count = answers.len() as f64;
    let (server_us, client_us, rate) = (server as f64 / count, own as f64 / count, count / took);
    let mut report = Report::default();
    report.figure("messages", count);
    report.figure("seconds", took);
    report.figure("messages_per_second", rate);
    report.figure("p50_ms", quantile(&latencies, 0.5));
    report.figure("p99_ms", quantile(&latencies, 0.99));
    report.at_most("server_cpu_us_per_message", server_us, terms.verify_us + 40.0, "verify + 40");
    report.figure("server_cpu_less_verify_us", server_us - terms.verify_us);
    report.figure("client_cpu_us_per_message", client_us);
    report.at_least("rate_to_cores_by_cpu", rate * (server_us + client_us) / 1e6 / terms.cores, 0.6, "0.6");
    report.at_least("messages_per_fsync", count / commits as f64, 20.0, "20");
    terms.put(&mut report);
    stage.process.kill()?;
    Ok(report)
}

/// Distinct checkpoints of the receipts: one each commit. One receipt of each is verified.
fn commits(answers: &[Answer], trust: &Trust) -> anyhow::Result<usize> {
    let log = trust.log_verifier()?;
    let mut notes: BTreeMap<Bytes, Receipt> = BTreeMap::new();
    for answer in answers {
        let receipt = Receipt::decode(&answer.receipt)?;
        notes.entry(receipt.fields().checkpoint.clone()).or_insert(receipt);
    }
    for receipt in notes.values() {
        receipt.verify(&log).context("a receipt does not verify")?;
    }
    Ok(notes.len())
}

/// Messages of each connection that no machine of today takes in that time.
fn enough(seconds: f64, connections: usize) -> u64 {
    (seconds * RATE_MAX / connections.max(1) as f64).ceil().max(1.0) as u64
}

/// Messages a second that are sealed beforehand.
const RATE_MAX: f64 = 30_000.0;
