//! `ecowire-bench link`: QUIC against TCP on links that delay and lose packets, over a wire between two network namespaces.
//!
//! A run is a wire with a seed, a gateway at its far end, and a client that connects and sends one large message.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use clap::Subcommand;
use client::link::{Credentials, Transport};
use envelope::trust::Trust;
use prost::Message as _;
use proto::v1;
use proto::v1::messages_client::MessagesClient;
use serde_json::json;

use crate::fleet::Fleet;
use crate::lab::wire::{self, GATEWAY_IP, Wire};
use crate::lab::{self};
use crate::process::Process;

/// What is measured.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Lost packets, percent, separated by commas
    #[arg(long, value_delimiter = ',', default_value = "0,2,5,10")]
    loss: Vec<u32>,
    /// Round trips, ms, separated by commas
    #[arg(long, value_delimiter = ',', default_value = "200,600")]
    rtt: Vec<u64>,
    /// Bits a second, each way
    #[arg(long, default_value_t = 5_000_000)]
    rate: u64,
    /// Bytes of content that are sent
    #[arg(long, default_value_t = 256 << 10)]
    size: usize,
    /// Runs of each kind, each with a seed of its own
    #[arg(long, default_value_t = 7)]
    runs: u64,
    /// One JSON object a row
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    part: Option<Part>,
}

/// Its other processes.
#[derive(Clone, Debug, Subcommand)]
enum Part {
    /// The wire
    #[command(hide = true)]
    Wire { rtt: u64, loss: u32, rate: u64, seed: u64 },
    /// The client
    #[command(hide = true)]
    Client { folder: PathBuf, sender: PathBuf, submission: PathBuf, transport: String },
}

/// Milliseconds of one run.
struct Took {
    connect: f64,
    upload: f64,
}

/// Measures every kind of link with both transports, and prints a row for each.
///
/// # Errors
/// When namespaces, devices or processes cannot be had.
pub fn run(options: &Options) -> anyhow::Result<()> {
    match &options.part {
        Some(Part::Wire { rtt, loss, rate, seed }) => {
            return wire::carry(&lab::Link::half_of(Duration::from_millis(*rtt), loss * 10, *rate), *seed);
        }
        Some(Part::Client { folder, sender, submission, transport }) => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            return runtime.block_on(send(folder, sender, submission, transport));
        }
        None => {}
    }
    let scratch = tempfile::tempdir()?;
    let kinds: Vec<(u32, u64, &str)> = options
        .rtt
        .iter()
        .flat_map(|rtt| options.loss.iter().flat_map(move |loss| TRANSPORTS.map(move |transport| (*loss, *rtt, transport))))
        .collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let sender = runtime.block_on(prepare(scratch.path(), kinds.len() as u64 * options.runs, options.size))?;
    if !options.json {
        println!("{:>6} {:>8} {:>10} {:>12} {:>12}", "loss", "rtt ms", "transport", "connect ms", "upload ms");
    }
    let mut number = 0;
    for (loss, rtt, transport) in kinds {
        let mut took = Vec::new();
        for seed in 1..=options.runs {
            number += 1;
            let done = measure(scratch.path(), &sender, number, (loss, rtt, options.rate, seed), transport);
            took.push(done.with_context(|| format!("{loss} % loss, {rtt} ms, {transport}, seed {seed}"))?);
        }
        let p50 = |figure: fn(&Took) -> f64| middle(took.iter().map(figure).collect());
        let (connect, upload) = (p50(|took| took.connect), p50(|took| took.upload));
        if options.json {
            let row = json!({
                "loss_percent": loss, "rtt_ms": rtt, "transport": transport, "runs": options.runs, "bytes": options.size,
                "rate_bits": options.rate, "connect_p50_ms": connect, "upload_p50_ms": upload,
            });
            println!("{row}");
        } else {
            println!("{:>6} {rtt:>8} {transport:>10} {connect:>12} {upload:>12}", format!("{loss} %"));
        }
    }
    Ok(())
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN).round()
}

/// Mints a network, seals all messages beside it, and has the gateway listen on the wire from then on. Gives the sender's
/// folder.
async fn prepare(folder: &Path, messages: u64, bytes: usize) -> anyhow::Result<PathBuf> {
    let fleet = Fleet::mint(folder, 1)?;
    let config = folder.join("gateway.toml");
    let config_text = config.display().to_string();
    let process = Process::start(&std::env::current_exe()?, &["gateway", "--config", &config_text], &folder.join("gateway.log"))?;
    let head = fleet.publish_key(&process.url).await?;
    let sender = fleet.senders.first().context("there is one sender")?;
    for submission in fleet.seal(&head, sender, 1..=messages, bytes)? {
        std::fs::write(folder.join(format!("submission-{}", submission.tag)), submission.encode_to_vec())?;
    }
    process.kill()?;
    let text = std::fs::read_to_string(&config)?.replace("127.0.0.1:0", &format!("{GATEWAY_IP}:{PORT}"));
    std::fs::write(&config, text)?;
    Ok(fleet.identity(sender))
}

fn measure(folder: &Path, sender: &Path, number: u64, link: (u32, u64, u64, u64), transport: &str) -> anyhow::Result<Took> {
    let program = std::env::current_exe()?;
    let (loss, rtt, rate, seed) = link;
    let numbers = [rtt, loss.into(), rate, seed].map(|number| number.to_string());
    let mut carry = vec![program.to_str().context("the program's path is no text")?, "link", "wire"];
    carry.extend(numbers.iter().map(String::as_str));
    let _wire = Wire::lay(&carry)?;
    let config = folder.join("gateway.toml").display().to_string();
    let exec = ["netns", "exec", wire::GATEWAY, carry[0], "gateway", "--config", &config];
    let gateway = Process::start(Path::new("ip"), &exec, &folder.join("gateway.log"))?;
    let submission = folder.join(format!("submission-{number}"));
    let mut client = Wire::command(wire::CLIENT, &program);
    client.args(["link", "client"]).arg(folder).arg(sender).arg(&submission).arg(transport);
    let output = client.output()?;
    gateway.kill()?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let row: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let figure = |name: &str| row.get(name).and_then(serde_json::Value::as_f64).with_context(|| format!("{name} was not measured"));
    Ok(Took { connect: figure("connect_ms")?, upload: figure("upload_ms")? })
}

/// Connects, sends one message, and prints how long each took.
async fn send(folder: &Path, sender: &Path, submission: &Path, transport: &str) -> anyhow::Result<()> {
    let trust = Trust::parse_toml(&std::fs::read_to_string(folder.join("pki").join("trust.toml"))?)?;
    let submission = v1::Submission::decode(Bytes::from(std::fs::read(submission)?))?;
    let transport: Transport = transport.parse().map_err(|text: String| anyhow::anyhow!(text))?;
    let gateway = format!("https://{GATEWAY_IP}:{PORT}");
    let began = Instant::now();
    let link = client::Link::connect_by(&transport.into(), &gateway, &trust, Credentials::read(sender)?, PATIENCE).await?;
    let connect = began.elapsed();
    let bulk = link.bulk();
    let began = Instant::now();
    let mut messages = MessagesClient::with_origin(bulk.clone(), bulk.origin());
    messages.submit(v1::SubmitRequest { submission: Some(submission) }).await?;
    let upload = began.elapsed();
    println!("{}", json!({ "connect_ms": connect.as_secs_f64() * 1e3, "upload_ms": upload.as_secs_f64() * 1e3 }));
    Ok(())
}

const TRANSPORTS: [&str; 2] = ["quic", "tcp"];
const PORT: u16 = 7247;
/// A run that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(120);
