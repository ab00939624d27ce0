//! `replay`: what an auditor's process does in a second, first with the structure alone, then with every signature and rule.

use std::time::Instant;

use bench::process::own_cpu_us;
use bench::replay::Auditor;
use bench::report::Report;
use bench::yardstick::Yardstick;
use clap::Args;
use client::audit::{CHUNK_ENTRIES_MAX, Depth, Replay, Verdict};
use envelope::trust::Trust;
use proto::v1;
use tlog::Checkpoint;

use super::{Output, Stage, bar};

#[derive(Args)]
pub(crate) struct Options {
    /// Entries, at least
    #[arg(long, default_value_t = 50_000)]
    entries: u64,
    /// Bytes of content
    #[arg(long, default_value_t = 64)]
    size: usize,
    #[command(flatten)]
    output: Output,
}

/// One replay.
struct Timed {
    verdict: Verdict,
    rate: f64,
    cpu_us: f64,
}

pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    let stage = Stage::new(8, 1).await?;
    let bar = bar(options.entries, "filling");
    stage.fill(1, options.entries, options.size, false, &bar).await?;
    bar.finish_and_clear();
    let auditor = Auditor::connect(&stage.fleet, &stage.process.url).await?;
    let (entries, note) = collect(&auditor).await?;
    let trust = &stage.fleet.trust;
    let checkpoint = Checkpoint::open(&note, &trust.log_verifier()?)?;
    let yardstick = Yardstick::lay(stage.scratch.path())?;
    let structure = timed(trust, Depth::Structure, &entries, &checkpoint)?;
    let rules = timed(trust, Depth::Rules, &entries, &checkpoint)?;
    drop(entries);
    let streamed = stream(&auditor, trust, &checkpoint).await?;
    let terms = yardstick.read()?;
    let agreed = structure.verdict.state_digest.is_some() && structure.verdict.state_digest == rules.verdict.state_digest;
    anyhow::ensure!(agreed, "the two replays lead to different states");
    let signatures = terms.cores / (terms.verify_us / 1e6);
    let mut report = Report::default();
    report.figure("entries", checkpoint.size as f64);
    report.at_least("structure_entries_per_second", structure.rate, 200_000.0, "200,000");
    report.figure("structure_cpu_us_per_entry", structure.cpu_us);
    report.figure("structure_entries_in_a_verification", structure.rate * terms.verify_us / 1e6);
    report.figure("rules_entries_per_second", rules.rate);
    report.figure("rules_cpu_us_per_entry", rules.cpu_us);
    report.at_least("rules_rate_to_cores_by_verify", rules.rate / signatures, 0.7, "0.7");
    report.figure("streamed_entries_per_second", streamed.rate);
    report.figure("streamed_client_cpu_us_per_entry", streamed.cpu_us);
    terms.put(&mut report);
    options.output.print(&report);
    stage.process.kill()
}

/// Every response, in memory, and the checkpoint's note.
async fn collect(auditor: &Auditor) -> anyhow::Result<(Vec<v1::ReplayResponse>, Vec<u8>)> {
    let (mut stream, mut entries, mut note) = (auditor.replay().await?, Vec::new(), Vec::new());
    while let Some(entry) = stream.message().await? {
        if !entry.checkpoint.is_empty() {
            note = entry.checkpoint.to_vec();
        }
        if !entry.leaf_hash.is_empty() {
            entries.push(entry);
        }
    }
    Ok((entries, note))
}

fn timed(trust: &Trust, depth: Depth, entries: &[v1::ReplayResponse], checkpoint: &Checkpoint) -> anyhow::Result<Timed> {
    let chunks: Vec<Vec<v1::ReplayResponse>> = entries.chunks(CHUNK_ENTRIES_MAX).map(<[_]>::to_vec).collect();
    let (cpu, began) = (own_cpu_us()?, Instant::now());
    let mut replay = Replay::new(trust.genesis_sha256, depth, checkpoint.clone());
    for chunk in chunks {
        replay.push(chunk, &mut |_| {})?;
    }
    finish(replay, checkpoint, cpu, began)
}

/// As [`timed`], every signature and rule, from the stream: its reading and the gateway's work share the cores.
async fn stream(auditor: &Auditor, trust: &Trust, checkpoint: &Checkpoint) -> anyhow::Result<Timed> {
    let (cpu, began) = (own_cpu_us()?, Instant::now());
    let mut replay = Replay::new(trust.genesis_sha256, Depth::Rules, checkpoint.clone());
    let mut chunks = client::audit::chunks(auditor.replay().await?);
    while let Some(chunk) = chunks.next().await? {
        replay.push(chunk, &mut |_| {})?;
    }
    finish(replay, checkpoint, cpu, began)
}

fn finish(mut replay: Replay, checkpoint: &Checkpoint, cpu: u64, began: Instant) -> anyhow::Result<Timed> {
    replay.settle(&mut |_| {})?;
    let (took, cpu) = (began.elapsed().as_secs_f64(), own_cpu_us()? - cpu);
    if let Some(text) = replay.contradiction(checkpoint) {
        anyhow::bail!(text);
    }
    let verdict = replay.verdict(checkpoint.clone());
    if let Some(finding) = verdict.findings.first() {
        anyhow::bail!("entry {}: {} {}", finding.index, finding.rule, finding.text);
    }
    let count = verdict.size as f64;
    Ok(Timed { rate: count / took, cpu_us: cpu as f64 / count, verdict })
}
