//! The commands, one function each: arguments in, library calls, output. Nothing is decided here.

pub(crate) mod args;
mod auditing;
mod key;
mod mail;
pub(crate) mod print;
mod receipts;
mod secrets;
mod sending;

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crate::{CONNECT_TIMEOUT, Client, Custody, Error, Flushed, Link, Origin, Profile};
use clap::Parser as _;
use tracing_subscriber::Layer as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use args::{Arguments, Command};
use secrets::Secrets;

/// Runs the command with its arguments, the program's name first.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(args) {
        Ok(arguments) => arguments,
        // Help and version are done with 0, wrong usage with 2.
        Err(error) => error.exit(),
    };
    logs();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("ecowire: no runtime: {error}");
            return ExitCode::from(1);
        }
    };
    let done = runtime.block_on(carry_out(arguments));
    // A connection's last frames need no waiting for.
    runtime.shutdown_background();
    done.unwrap_or_else(|error| print::failure(&error))
}

async fn carry_out(arguments: Arguments) -> Result<ExitCode, Error> {
    let secrets = Secrets::new(arguments.passphrase_file);
    match arguments.command {
        Command::Init(init) => self::init(&init, &secrets).await,
        Command::Send(send) => sending::send(&send, &secrets).await,
        Command::Status(status) => sending::status(&status, &secrets).await,
        Command::Inbox(inbox) => mail::inbox(&inbox, &secrets).await,
        Command::Open(open) => mail::open(&open, &secrets).await,
        Command::Ack(ack) => mail::acknowledge(&ack, &secrets).await,
        Command::Receipt(receipt) => receipts::run(&receipt),
        Command::Audit(audit) => auditing::run(&audit, &secrets).await,
        Command::Key(key) => key::run(&key, &secrets),
    }
}

/// Warnings to stderr; `ECOWIRE_LOG=info,client=debug` shows more.
fn logs() {
    let wanted = std::env::var("ECOWIRE_LOG").unwrap_or_default();
    let targets = wanted.parse::<tracing_subscriber::filter::Targets>().ok().filter(|_| !wanted.is_empty());
    let targets = targets.unwrap_or_else(|| tracing_subscriber::filter::Targets::new().with_default(tracing::Level::ERROR));
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_filter(targets);
    // Set once, at the start.
    let _ = tracing_subscriber::registry().with(layer).try_init();
}

async fn init(init: &args::Init, secrets: &Secrets) -> Result<ExitCode, Error> {
    let origin = Origin { gateway: init.gateway.clone(), trust: init.trust.clone(), identity: init.identity.clone() };
    for name in ["tls.key", "identity.key"] {
        let path = origin.identity.join(name);
        if std::fs::metadata(&path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0) {
            print::note(&format!(
                "warning: {} can be read by others; take their rights away (chmod 600) or have a new key made",
                path.display()
            ));
        }
    }
    if init.passphrase || secrets.given()?.is_some() {
        secrets.choose()?;
    }
    let client = loop {
        let custody = Custody { unlock: secrets.unlock(), signing: init.signing.clone() };
        match Client::init_kept(&init.profile, &origin, &custody).await {
            Err(error) => secrets.learn(error)?,
            Ok(client) => break client,
        }
    };
    if client.replaces_key() {
        let text = "warning: another profile of this member had published a key; messages sealed to that key open only there";
        print::note(text);
    }
    let (address, network) = (client.address(), client.profile().network());
    print::note(&format!("{address} of {network}: profile {}, encryption key published", init.profile.display()));
    Ok(ExitCode::SUCCESS)
}

/// Opens a profile, asking for what its keys need; while another command has it, waits at most `wait` for it.
async fn open(dir: &Path, secrets: &Secrets, wait: Duration) -> Result<Profile, Error> {
    let opened = loop {
        match Profile::open_within(dir, &secrets.unlock(), wait).await {
            Err(error @ (Error::Locked(_) | Error::Token(_))) => secrets.learn(error)?,
            opened => break opened,
        }
    };
    if matches!(opened, Err(Error::InUse(_))) {
        print::note(&format!("{} s were waited for another command to end", wait.as_secs_f32()));
    }
    opened
}

/// Connects, and sends on the way what still waits in the outbox.
async fn connect(profile: &Profile) -> Result<Client, Error> {
    let mut client = Client::offline(profile)?;
    reach(&mut client, None, FLUSH_WAIT).await?;
    Ok(client)
}

/// As [`connect`], over a link that is there already, if there is one. What became of waiting messages is said even when
/// the gateway is not reached.
async fn reach(client: &mut Client, link: Option<Link>, flush_wait: Duration) -> Result<(), Error> {
    let reached = match link {
        Some(link) => client.take_link(link).await,
        None => client.reconnect(CONNECT_TIMEOUT).await,
    };
    let flushed = match reached {
        Ok(()) if !client.outbox().is_empty() => client.flush_outbox(flush_wait).await,
        Ok(()) => Ok(Flushed::default()),
        Err(error) => Err(error),
    };
    let (sent, pending) = flushed.as_ref().map_or((&[][..], None), |flushed| (&flushed.sent[..], flushed.pending.as_ref()));
    print::news(client, sent, pending)?;
    flushed.map(drop)
}

/// What waits in the outbox must not hold up a look into the inbox for long.
const FLUSH_WAIT: Duration = Duration::from_secs(5);
/// A profile that another command has is waited for.
const PROFILE_WAIT: Duration = Duration::from_secs(5);
