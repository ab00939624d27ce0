//! The command `ecowire-gateway`: initialise, serve, check.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use envelope::statement;
use tokio::signal::unix;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, reload};

use crate::config::{Change, ConfigError, EngineName, LogFormat, Telemetry};
use crate::gateway::StartError;
use crate::{Config, Init, gateway};

/// A gateway of an Ecowire network: routes sealed messages and keeps the log that nobody can quietly change.
#[derive(Parser)]
#[command(name = "ecowire-gateway", after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write a commented configuration and entry 0 of the ledger; never overwrites
    #[command(after_help = EXAMPLES)]
    Init {
        /// The configuration file to write
        #[arg(long)]
        config: PathBuf,
        /// The network's genesis.bin
        #[arg(long)]
        genesis: PathBuf,
        /// This node's folder: tls.pem, tls.key, log.key, directory.key
        #[arg(long)]
        node: PathBuf,
        /// The data folder to make
        #[arg(long)]
        data: PathBuf,
        /// Address and port to listen on
        #[arg(long, default_value = "127.0.0.1:7247")]
        listen: SocketAddr,
        /// What keeps the ledger; fixed from then on
        #[arg(long, value_enum, default_value_t)]
        engine: EngineName,
        /// Loopback address and port for metrics and probes; "" for none
        #[arg(long, default_value = "127.0.0.1:9247", env = "ECOWIRE_METRICS")]
        metrics: String,
        /// File with the passphrase of the node's keys, when they are encrypted; it is written into the configuration
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
    /// Open the store by checking it, and serve until SIGINT or SIGTERM; SIGHUP reads the configuration again
    #[command(after_help = EXAMPLES)]
    Serve {
        #[command(flatten)]
        file: File,
        /// The network authority's clock-step.bin, when the gateway does not believe its clock
        #[arg(long, value_name = "FILE")]
        clock_step: Option<PathBuf>,
        /// One JSON object a log line
        #[arg(long)]
        log_json: bool,
    },
    /// Verify a stopped store: every entry, both trees, every decision
    #[command(after_help = EXAMPLES)]
    Check {
        #[command(flatten)]
        file: File,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Look at everything that a gateway needs, beside a running one or without, and say what to do
    #[command(after_help = DOCTOR)]
    Doctor {
        #[command(flatten)]
        file: File,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Print a configuration with every key explained, or check one without starting anything
    #[command(after_help = EXAMPLES)]
    Config {
        /// Print the example
        #[arg(long, conflicts_with = "check", required_unless_present = "check")]
        example: bool,
        /// Check this file, and print what would hold
        #[arg(long, value_name = "FILE")]
        check: Option<PathBuf>,
    },
    #[command(flatten)]
    Common(command::Common),
}

const EXAMPLES: &str = "Examples:
  ecowire-gateway init --config gateway.toml --genesis pki/genesis.bin --node pki/node_dev-1 --data data --listen 127.0.0.1:7247
  ecowire-gateway serve --config gateway.toml
  ecowire-gateway check --config gateway.toml
  ecowire-gateway config --check gateway.toml

Exit codes: 0 done, 1 anything not named here, 2 usage, 5 the store does not verify (the entry is named).
ECOWIRE_CONFIG names the configuration where --config does not. ECOWIRE_LOG=info,gateway=debug overrides telemetry.log.";

const DOCTOR: &str = "Examples:
  ecowire-gateway doctor --config gateway.toml
  ecowire-gateway doctor --config gateway.toml --json

Exit codes: 0 all well (a warning is for soon), 4 nothing is wrong but no gateway answers, 1 anything else.";

/// What can be typed, for the help, the manual and completions.
#[must_use]
pub fn command(version: &'static str) -> clap::Command {
    command::dress(Cli::command(), version)
}

/// Runs the command with its arguments, the program's name first.
pub fn run(args: impl IntoIterator<Item = OsString>, version: &'static str) -> ExitCode {
    // Wrong usage ends here, by clap, with code 2.
    let cli = Cli::from_arg_matches(&command(version).get_matches_from(args)).unwrap_or_else(|error| error.exit());
    let done = match cli.command {
        Command::Init { config, genesis, node, data, listen, engine, metrics, passphrase_file } => {
            init(&Init { config, genesis, node, data, listen, engine }, &metrics, passphrase_file.as_deref())
        }
        Command::Serve { file, clock_step, log_json } => serve(&file, clock_step.as_deref(), log_json),
        Command::Check { file, json } => check(&file, json),
        Command::Doctor { file, json } => doctor(&file, json),
        Command::Config { check, .. } => configuration(check.as_deref()),
        Command::Common(common) => common.carry_out(command(version)).map(|()| ExitCode::SUCCESS).map_err(Into::into),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        let damaged =
            error.downcast_ref::<StartError>().is_some_and(|error| matches!(error, StartError::Store(store) if store.is_damage()));
        ExitCode::from(if damaged { EXIT_VERIFICATION } else { 1 })
    })
}

/// A configuration, and what the command line says otherwise.
#[derive(Args)]
struct File {
    /// The configuration file
    #[arg(long = "config", value_name = "CONFIG", env = "ECOWIRE_CONFIG")]
    path: PathBuf,
    /// File with the passphrase of the node's keys, instead of the one that the configuration names
    #[arg(long, value_name = "FILE", env = "ECOWIRE_GATEWAY_PASSPHRASE_FILE")]
    passphrase_file: Option<PathBuf>,
}

impl File {
    fn read(&self) -> Result<Config, ConfigError> {
        let mut config = Config::read(&self.path)?;
        config.keys.passphrase_file = self.passphrase_file.clone().or(config.keys.passphrase_file);
        Ok(config)
    }
}

fn init(options: &Init, metrics: &str, passphrase_file: Option<&Path>) -> anyhow::Result<ExitCode> {
    let address = |text: &str| text.parse().with_context(|| format!("--metrics {text} is no address and port"));
    let metrics = if metrics.is_empty() { None } else { Some(address(metrics)?) };
    gateway::init_with(options, &Telemetry { metrics, ..Telemetry::default() }, passphrase_file)?;
    println!("wrote {} and the first entries of the ledger in {}", options.config.display(), options.data.display());
    println!("next: ecowire-gateway serve --config {}", options.config.display());
    Ok(ExitCode::SUCCESS)
}

fn serve(file: &File, clock_step: Option<&Path>, log_json: bool) -> anyhow::Result<ExitCode> {
    let config = file.read().map_err(StartError::from)?;
    let levels = log_to_stderr(&config.telemetry, log_json)?;
    tracing::info!(keys = %said(&config), "the configuration");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut running = gateway::start(&config).await?;
        if let Some(file) = clock_step {
            let signed = statement::decode_signed(&std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?)?;
            if let Err(reason) = running.clock_step(signed).await {
                anyhow::bail!("the clock step of {} was not taken: {reason}", file.display());
            }
        }
        if let Some(reason) = running.shared().halted().borrow().as_ref() {
            eprintln!("warning: nothing is written until this is mended: {reason}");
        }
        println!("serving on {} with {} entries", running.address, running.size);
        if let Some(metrics) = running.metrics {
            tracing::info!(%metrics, "metrics and probes");
        }
        let mut signals = Signals::new()?;
        while signals.next().await == Signal::Reload {
            reload(file, &mut running, &levels);
        }
        tracing::info!("stopping");
        running.stop().await;
        Ok(ExitCode::SUCCESS)
    })
}

fn check(file: &File, json: bool) -> anyhow::Result<ExitCode> {
    let checked = gateway::check(&file.read().map_err(StartError::from)?)?;
    for damage in &checked.damage {
        match (json, damage.index) {
            (true, index) => println!("{}", finding_json(index, &damage.text)),
            (false, Some(index)) => println!("entry {index}: {}", damage.text),
            (false, None) => println!("store: {}", damage.text),
        }
    }
    if !checked.damage.is_empty() {
        eprintln!("error: the store does not verify: {} findings", checked.damage.len());
        return Ok(ExitCode::from(EXIT_VERIFICATION));
    }
    if json {
        println!("{{\"entries\":{},\"root\":\"{}\",\"findings\":0}}", checked.size, checked.root);
    } else {
        println!("{} entries, root {}: everything verifies", checked.size, checked.root);
    }
    Ok(ExitCode::SUCCESS)
}

/// One finding as JSON; its text is ours and holds no control characters.
fn finding_json(index: Option<u64>, text: &str) -> String {
    let entry = index.map_or("null".to_owned(), |index| index.to_string());
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("{{\"entry\":{entry},\"finding\":\"{escaped}\"}}")
}

/// Keys and values in one line.
fn said(config: &Config) -> String {
    config.effective().iter().map(|(key, value)| format!("{key} = {value}")).collect::<Vec<_>>().join(", ")
}

fn configuration(check: Option<&Path>) -> anyhow::Result<ExitCode> {
    let Some(path) = check else {
        print!("{}", Config::example().to_toml());
        return Ok(ExitCode::SUCCESS);
    };
    let config = Config::read(path).map_err(StartError::from)?;
    config.effective().iter().for_each(|(key, value)| println!("{key} = {value}"));
    Ok(ExitCode::SUCCESS)
}

fn doctor(file: &File, json: bool) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(crate::doctor::examine(&file.path, file.read()));
    if json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{report}");
    }
    Ok(ExitCode::from(report.exit()))
}

/// Reads the file again. One that is broken changes nothing; of a sound one, what can change while the gateway runs.
fn reload(file: &File, running: &mut gateway::Running, levels: &Levels) {
    let wanted = match file.read() {
        Ok(wanted) => wanted,
        Err(error) => {
            return tracing::error!(error = %crate::writer::chain(&error), "the configuration was not read again; what held holds");
        }
    };
    let changes = running.reload(&wanted);
    for Change { key, from, to } in &changes.taken {
        tracing::warn!(key, from, to, "a key of the configuration was taken");
        if key == "telemetry.log" {
            levels.set(&wanted.telemetry.log);
        }
    }
    for (Change { key, from, to }, reason) in &changes.refused {
        tracing::error!(key, from, to, reason, "a key of the configuration waits for the next start");
    }
    tracing::info!(taken = changes.taken.len(), refused = changes.refused.len(), "the configuration was read again");
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Signal {
    Stop,
    Reload,
}

/// SIGINT and SIGTERM stop, SIGHUP reloads.
struct Signals([unix::Signal; 3]);

impl Signals {
    fn new() -> std::io::Result<Self> {
        use unix::SignalKind;
        Ok(Self([unix::signal(SignalKind::interrupt())?, unix::signal(SignalKind::terminate())?, unix::signal(SignalKind::hangup())?]))
    }

    async fn next(&mut self) -> Signal {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => Signal::Stop,
            _ = terminate.recv() => Signal::Stop,
            _ = hangup.recv() => Signal::Reload,
        }
    }
}

/// The log's levels, which can change while it is written.
struct Levels(Option<reload::Handle<Targets, Registry>>);

impl Levels {
    fn set(&self, levels: &str) {
        let Some(handle) = &self.0 else {
            return tracing::warn!("ECOWIRE_LOG holds; telemetry.log is for the next start without it");
        };
        match levels.parse().map_err(anyhow::Error::from).and_then(|targets: Targets| Ok(handle.reload(targets)?)) {
            Ok(()) => {}
            Err(error) => tracing::error!(%error, "the log's levels were not changed"),
        }
    }
}

fn log_to_stderr(telemetry: &Telemetry, json: bool) -> anyhow::Result<Levels> {
    let from_env = std::env::var("ECOWIRE_LOG").ok();
    let targets: Targets = from_env.as_ref().unwrap_or(&telemetry.log).parse()?;
    let (filter, handle) = reload::Layer::new(targets);
    let registry = tracing_subscriber::registry().with(filter);
    if json || telemetry.log_format == LogFormat::Json {
        registry.with(tracing_subscriber::fmt::layer().json().with_writer(std::io::stderr)).init();
    } else {
        let colour = command::colour(&std::io::stderr());
        registry.with(tracing_subscriber::fmt::layer().with_ansi(colour).with_writer(std::io::stderr)).init();
    }
    Ok(Levels(from_env.is_none().then_some(handle)))
}

const EXIT_VERIFICATION: u8 = 5;
