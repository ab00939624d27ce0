//! The commands, one function each: arguments in, library calls, output. Nothing is decided here.

pub(crate) mod args;
mod auditing;
mod mail;
pub(crate) mod print;
mod receipts;
mod sending;

use std::process::ExitCode;
use std::time::Duration;

use client::{Client, Error, Origin, Profile};
use tracing_subscriber::Layer as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use args::{Arguments, Command};

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Error> {
    match arguments.command {
        Command::Init(init) => self::init(&init).await,
        Command::Send(send) => sending::send(&send).await,
        Command::Status(status) => sending::status(&status).await,
        Command::Inbox(inbox) => mail::inbox(&inbox).await,
        Command::Open(open) => mail::open(&open).await,
        Command::Ack(ack) => mail::acknowledge(&ack).await,
        Command::Receipt(receipt) => receipts::run(&receipt),
        Command::Audit(audit) => auditing::run(&audit).await,
    }
}

/// Warnings to stderr; `ECOWIRE_LOG=info,client=debug` shows more.
pub(crate) fn logs() {
    let wanted = std::env::var("ECOWIRE_LOG").unwrap_or_default();
    let targets = wanted.parse::<tracing_subscriber::filter::Targets>().ok().filter(|_| !wanted.is_empty());
    let targets = targets.unwrap_or_else(|| tracing_subscriber::filter::Targets::new().with_default(tracing::Level::ERROR));
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_filter(targets);
    // Set once, at the start.
    let _ = tracing_subscriber::registry().with(layer).try_init();
}

async fn init(init: &args::Init) -> Result<ExitCode, Error> {
    let origin = Origin { gateway: init.gateway.clone(), trust: init.trust.clone(), identity: init.identity.clone() };
    let client = Client::init(&init.profile, &origin).await?;
    let (address, network) = (client.address(), client.profile().network());
    print::note(&format!("{address} of {network}: profile {}, encryption key published", init.profile.display()));
    Ok(ExitCode::SUCCESS)
}

/// Connects, and sends on the way what still waits in the outbox.
async fn connect(profile: &Profile) -> Result<Client, Error> {
    let mut client = Client::connect(profile).await?;
    if !client.outbox().is_empty() {
        let flushed = client.flush_outbox(FLUSH_WAIT).await?;
        print::flushed(&flushed);
    }
    Ok(client)
}

/// What waits in the outbox must not hold up a look into the inbox for long.
const FLUSH_WAIT: Duration = Duration::from_secs(5);
