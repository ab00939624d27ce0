//! The command `ecowire-gateway`: initialise, serve, check.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use envelope::statement;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::gateway::StartError;
use crate::{Config, Init, gateway};

/// A gateway of an Ecowire network: routes sealed messages and keeps the log that nobody can quietly change.
#[derive(Parser)]
#[command(name = "ecowire-gateway", version, after_help = EXAMPLES)]
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
        /// File with the passphrase of the node's keys, when they are encrypted; it is written into the configuration
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
    /// Open the store by checking it, and serve until SIGINT or SIGTERM
    #[command(after_help = EXAMPLES)]
    Serve {
        /// The configuration file
        #[arg(long)]
        config: PathBuf,
        /// File with the passphrase of the node's keys, instead of the one that the configuration names
        #[arg(long, value_name = "FILE", env = "ECOWIRE_GATEWAY_PASSPHRASE_FILE")]
        passphrase_file: Option<PathBuf>,
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
        /// The configuration file
        #[arg(long)]
        config: PathBuf,
        /// File with the passphrase of the node's keys, instead of the one that the configuration names
        #[arg(long, value_name = "FILE", env = "ECOWIRE_GATEWAY_PASSPHRASE_FILE")]
        passphrase_file: Option<PathBuf>,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
}

const EXAMPLES: &str = "Examples:
  ecowire-gateway init --config gateway.toml --genesis pki/genesis.bin --node pki/node_dev-1 --data data --listen 127.0.0.1:7247
  ecowire-gateway serve --config gateway.toml
  ecowire-gateway check --config gateway.toml

Exit codes: 0 done, 1 anything not named here, 2 usage, 5 the store does not verify (the entry is named).
Log levels: ECOWIRE_LOG=info,gateway=debug";

/// Runs the command with its arguments, the program's name first.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = Cli::parse_from(args);
    let done = match cli.command {
        Command::Init { config, genesis, node, data, listen, passphrase_file } => {
            init(&Init { config, genesis, node, data, listen }, passphrase_file.as_deref())
        }
        Command::Serve { config, passphrase_file, clock_step, log_json } => {
            read(&config, passphrase_file).and_then(|config| serve(&config, clock_step.as_deref(), log_json))
        }
        Command::Check { config, passphrase_file, json } => read(&config, passphrase_file).and_then(|config| check(&config, json)),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        let damaged =
            error.downcast_ref::<StartError>().is_some_and(|error| matches!(error, StartError::Store(store) if store.is_damage()));
        ExitCode::from(if damaged { EXIT_VERIFICATION } else { 1 })
    })
}

/// The configuration, with what the command line says otherwise.
fn read(path: &std::path::Path, passphrase_file: Option<PathBuf>) -> anyhow::Result<Config> {
    let mut config = Config::read(path).map_err(StartError::from)?;
    config.keys.passphrase_file = passphrase_file.or(config.keys.passphrase_file);
    Ok(config)
}

fn init(options: &Init, passphrase_file: Option<&std::path::Path>) -> anyhow::Result<ExitCode> {
    gateway::init_locked(options, passphrase_file)?;
    println!("wrote {} and the first entries of the ledger in {}", options.config.display(), options.data.display());
    println!("next: ecowire-gateway serve --config {}", options.config.display());
    Ok(ExitCode::SUCCESS)
}

fn serve(config: &Config, clock_step: Option<&std::path::Path>, log_json: bool) -> anyhow::Result<ExitCode> {
    log_to_stderr(log_json)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut running = gateway::start(config).await?;
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
        stop_signal().await?;
        tracing::info!("stopping");
        running.stop().await;
        Ok(ExitCode::SUCCESS)
    })
}

fn check(config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let checked = gateway::check(config)?;
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

async fn stop_signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

fn log_to_stderr(json: bool) -> anyhow::Result<()> {
    let targets: Targets = std::env::var("ECOWIRE_LOG").unwrap_or_else(|_| "info".to_owned()).parse()?;
    let registry = tracing_subscriber::registry().with(targets);
    if json {
        registry.with(tracing_subscriber::fmt::layer().json().with_writer(std::io::stderr)).init();
    } else {
        let colour = std::io::IsTerminal::is_terminal(&std::io::stderr());
        registry.with(tracing_subscriber::fmt::layer().with_ansi(colour).with_writer(std::io::stderr)).init();
    }
    Ok(())
}

const EXIT_VERIFICATION: u8 = 5;
