//! `ecowire-bench`: load and figures. Every rate stands beside what this machine takes for a signature and an fsync.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use bench::fleet::Fleet;
use bench::load::{Answer, drive};
use bench::process::Process;
use bench::yardstick::{fdatasync_us, verify_us};
use clap::{Parser, Subcommand};
use envelope::Receipt;

/// Load and figures for an Ecowire gateway.
#[derive(Parser)]
#[command(name = "ecowire-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// Submit sealed messages on streams, one participant a connection
    Submit {
        /// Connections, each a participant of its own
        #[arg(long, default_value_t = 8)]
        connections: usize,
        /// Messages in flight on each
        #[arg(long, default_value_t = 64)]
        inflight: usize,
        /// Bytes of content
        #[arg(long, default_value_t = 1024)]
        size: usize,
        /// Messages of each connection, sealed beforehand
        #[arg(long, default_value_t = 2000)]
        messages: u64,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Fill a ledger, kill the gateway, and count what the next start reads
    Restart {
        /// Entries, at least
        #[arg(long, default_value_t = 100_000)]
        entries: u64,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// One participant at ten times its rate: what the others feel
    Fair {
        #[command(flatten)]
        options: bench::fair::Options,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Attacks below gRPC: what the others feel
    Attack {
        #[command(flatten)]
        options: bench::fair::Options,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// The gateway itself, as a process of its own
    #[command(hide = true)]
    Gateway {
        /// Its configuration
        #[arg(long)]
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Bench::Submit { connections, inflight, size, messages, json } => run(submit(connections, inflight, size, messages, json)),
        Bench::Restart { entries, json } => run(restart(entries, json)),
        Bench::Fair { options, json } => run(felt(bench::fair::fair(options), json)),
        Bench::Attack { options, json } => run(felt(bench::fair::attack(options), json)),
        Bench::Gateway { config } => {
            let args = ["ecowire-gateway".into(), "serve".into(), "--config".into(), config.into_os_string()];
            return gateway::cli::run(args.map(OsString::from));
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}

fn start(folder: &Path) -> anyhow::Result<Process> {
    let config = folder.join("gateway.toml").display().to_string();
    Process::start(&std::env::current_exe()?, &["gateway", "--config", &config], &folder.join("gateway.log"))
}

async fn submit(connections: usize, inflight: usize, size: usize, messages: u64, json: bool) -> anyhow::Result<()> {
    let scratch = tempfile::tempdir()?;
    let fleet = Fleet::mint(scratch.path(), connections)?;
    let process = start(scratch.path())?;
    let head = fleet.publish_key(&process.url).await?;
    let mut loads = Vec::new();
    for sender in &fleet.senders {
        loads.push((fleet.connect(&process.url, sender).await?, fleet.seal(&head, sender, 1..=messages, size)?));
    }
    let (verify, fdatasync) = (verify_us()?, fdatasync_us(scratch.path())?);
    let (cpu, began) = (process.cpu_us()?, Instant::now());
    let driving: Vec<_> = loads.into_iter().map(|(link, submissions)| tokio::spawn(drive(link, submissions, inflight))).collect();
    let mut answers: Vec<Answer> = Vec::new();
    for driven in driving {
        answers.extend(driven.await?);
    }
    let (took, cpu) = (began.elapsed().as_secs_f64(), process.cpu_us()? - cpu);
    let taken: Vec<&Answer> = answers.iter().filter(|answer| answer.problem.is_none()).collect();
    anyhow::ensure!(taken.len() as u64 == messages * connections as u64, "{} of {} were taken", taken.len(), messages * connections as u64);
    let log = fleet.trust.log_verifier()?;
    let mut checkpoints = BTreeSet::new();
    for answer in &taken {
        checkpoints.insert(Receipt::decode(&answer.receipt)?.verify(&log)?.checkpoint.size);
    }
    let mut latencies: Vec<f64> = taken.iter().map(|answer| answer.latency.as_secs_f64() * 1e3).collect();
    latencies.sort_by(f64::total_cmp);
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
    let count = taken.len() as f64;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    report(
        json,
        &[
            ("messages", count),
            ("messages_per_second", count / took),
            ("p50_ms", at(0.5)),
            ("p99_ms", at(0.99)),
            ("server_cpu_us_per_message", cpu as f64 / count),
            ("verify_us", verify),
            ("server_cpu_less_verify_us", cpu as f64 / count - verify),
            ("fdatasync_us", fdatasync),
            ("messages_per_fsync", count / checkpoints.len() as f64),
            ("cores", cores as f64),
        ],
    );
    process.kill()
}

async fn restart(entries: u64, json: bool) -> anyhow::Result<()> {
    const CONNECTIONS: u64 = 8;
    let scratch = tempfile::tempdir()?;
    let fleet = Fleet::mint(scratch.path(), CONNECTIONS as usize)?;
    let process = start(scratch.path())?;
    let head = fleet.publish_key(&process.url).await?;
    let (mut first, step) = (1, 2000);
    while (first - 1) * CONNECTIONS < entries {
        let mut driving = Vec::new();
        for sender in &fleet.senders {
            let submissions = fleet.seal(&head, sender, first..=first + step - 1, 64)?;
            driving.push(tokio::spawn(drive(fleet.connect(&process.url, sender).await?, submissions, 64)));
        }
        for driven in driving {
            anyhow::ensure!(driven.await?.len() as u64 == step, "not every message was answered");
        }
        first += step;
    }
    process.kill()?;
    let (verify, fdatasync) = (verify_us()?, fdatasync_us(scratch.path())?);
    let began = Instant::now();
    let process = start(scratch.path())?;
    let took = began.elapsed().as_secs_f64();
    process.kill()?;
    let log = std::fs::read_to_string(scratch.path().join("gateway.log"))?;
    let derived = log.lines().rev().find(|line| line.contains("the state was derived")).unwrap_or_default();
    let figure = |name: &str| {
        derived.split(name).nth(1).and_then(|rest| rest.split(' ').next()).and_then(|text| text.parse().ok()).unwrap_or(f64::NAN)
    };
    let figures = [
        ("snapshot_entries", figure("snapshot=")),
        ("tail_entries_read", figure("tail=")),
        ("restart_s", took),
        ("verify_us", verify),
        ("fdatasync_us", fdatasync),
    ];
    report(json, &figures);
    Ok(())
}

async fn felt(measured: impl Future<Output = anyhow::Result<bench::fair::Figures>>, json: bool) -> anyhow::Result<()> {
    let figures = measured.await?;
    report(json, &figures.iter().map(|(name, value)| (name.as_str(), *value)).collect::<Vec<_>>());
    Ok(())
}

fn report(json: bool, figures: &[(&str, f64)]) {
    let rounded = |value: f64| (value * 100.0).round() / 100.0;
    if json {
        let object: serde_json::Map<String, serde_json::Value> =
            figures.iter().map(|(name, value)| ((*name).to_owned(), rounded(*value).into())).collect();
        return println!("{}", serde_json::Value::Object(object));
    }
    for (name, value) in figures {
        println!("{name:28} {:>12}", rounded(*value));
    }
}
