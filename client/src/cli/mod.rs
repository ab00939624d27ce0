//! The commands, one function each: arguments in, library calls, output. Nothing is decided here.

mod advices;
pub(crate) mod args;
mod auditing;
mod board;
mod bureau;
mod desk;
mod doctor;
mod explaining;
mod exporting;
mod group;
mod hotlist;
mod key;
mod mail;
mod overdue;
pub(crate) mod print;
mod querying;
mod receipts;
mod reports;
mod secrets;
mod sending;

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crate::{CONNECT_TIMEOUT, Client, Custody, Error, Flushed, Link, Origin, Profile};
use clap::{CommandFactory as _, FromArgMatches as _};
use tracing_subscriber::Layer as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use args::{Arguments, Command, Way};
use secrets::Secrets;

/// What can be typed, for the help, the manual and completions.
#[must_use]
pub fn command(version: &'static str) -> clap::Command {
    command::dress(Arguments::command(), version)
}

/// Runs the command with its arguments, the program's name first.
pub fn run(args: impl IntoIterator<Item = OsString>, version: &'static str) -> ExitCode {
    let parsed = command(version).try_get_matches_from(args).and_then(|matches| Arguments::from_arg_matches(&matches));
    let arguments = match parsed {
        Ok(arguments) => arguments,
        // Help and version are done with 0, wrong usage with 2.
        Err(error) => error.exit(),
    };
    if let Command::Common(common) = &arguments.command {
        return print::done(common.carry_out(command(version)));
    }
    if let Err(error) = reports::use_packs(arguments.packs.as_deref()) {
        return print::failure(&error);
    }
    let offline = match &arguments.command {
        Command::Compose(compose) => Some(reports::compose(compose)),
        Command::Export(export) => Some(exporting::run(export)),
        Command::Schema(asked) => Some(reports::schema(asked)),
        Command::Import(import) => Some(reports::import(import)),
        Command::Pack(packing) => Some(reports::pack(&packing.command)),
        _ => None,
    };
    if let Some(done) = offline {
        return done.unwrap_or_else(|error| print::failure(&error));
    }
    logs();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("ecowire: no runtime: {error}");
            return ExitCode::from(1);
        }
    };
    let done = runtime.block_on(carry_out(arguments));
    // The gateway is told that the connection is over; nothing else needs waiting for.
    runtime.block_on(crate::link::farewell());
    runtime.shutdown_background();
    done.unwrap_or_else(|error| print::failure(&error))
}

async fn carry_out(arguments: Arguments) -> Result<ExitCode, Error> {
    let secrets = Secrets::new(arguments.passphrase_file);
    let way = &arguments.way;
    match arguments.command {
        Command::Init(init) => self::init(&init, &secrets, way).await,
        Command::Send(send) => sending::send(&send, &secrets, way).await,
        Command::Status(status) => sending::status(&status, &secrets, way).await,
        Command::Inbox(inbox) => mail::inbox(&inbox, &secrets, way).await,
        Command::Open(open) => mail::open(&open, &secrets, way).await,
        Command::Ack(ack) => mail::acknowledge(&ack, &secrets, way).await,
        Command::Receipt(receipt) => receipts::run(&receipt),
        Command::Audit(audit) => auditing::run(&audit, &secrets, way).await,
        Command::Explain(explain) => explaining::run(&explain, &secrets, way).await,
        Command::Notices(asked) => board::notices(&asked, &secrets, way).await,
        Command::Report(asked) => board::report(&asked, &secrets, way).await,
        Command::Held(held) => desk::held(&held, &secrets, way).await,
        Command::Permit(permit) => desk::permit(&permit, &secrets, way).await,
        Command::Deletion(deletion) => desk::deletion(&deletion, &secrets, way).await,
        Command::Advices(asked) => advices::run(&asked.office, &secrets, way).await,
        Command::Overdue(overdue) => overdue::run(&overdue, &secrets, way).await,
        Command::Query(query) => querying::query(&query, &secrets, way).await,
        Command::Respond(respond) => querying::respond(&respond, &secrets, way).await,
        Command::Confirm(confirm) => querying::confirm(&confirm, &secrets, way).await,
        Command::Hotlist(hotlist) => hotlist::run(&hotlist, &secrets, way).await,
        Command::Group(group) => group::run(&group, &secrets, way).await,
        Command::Bureau(bureau) => bureau::run(&bureau, &secrets, way).await,
        Command::Code(code) => bureau::code(&code),
        Command::Key(key) => key::run(&key, &secrets),
        Command::Doctor(doctor) => Ok(doctor::run(&doctor, &secrets, way).await),
        // They need no runtime: `run` has done them.
        Command::Common(_) | Command::Compose(_) | Command::Export(_) | Command::Schema(_) | Command::Import(_) | Command::Pack(_) => {
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Warnings to stderr; `ECOWIRE_LOG=info,client=debug` shows more.
fn logs() {
    let wanted = std::env::var("ECOWIRE_LOG").unwrap_or_default();
    let targets = wanted.parse::<tracing_subscriber::filter::Targets>().ok().filter(|_| !wanted.is_empty());
    let targets = targets.unwrap_or_else(|| tracing_subscriber::filter::Targets::new().with_default(tracing::Level::ERROR));
    let layer =
        tracing_subscriber::fmt::layer().with_ansi(command::colour(&std::io::stderr())).with_writer(std::io::stderr).with_filter(targets);
    // Set once, at the start.
    let _ = tracing_subscriber::registry().with(layer).try_init();
}

async fn init(init: &args::Init, secrets: &Secrets, way: &Way) -> Result<ExitCode, Error> {
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
    let transport = way.transport.unwrap_or_default();
    let client = loop {
        let custody = Custody { unlock: secrets.unlock(), signing: init.signing.clone() };
        match Client::init_kept(&init.profile, &origin, transport, &custody).await {
            Err(error) => secrets.learn(error)?,
            Ok(client) => break client,
        }
    };
    print::carrier(&client, way);
    if client.replaces_key() {
        let text = "warning: another profile of this member had published a key; messages sealed to that key open only there";
        print::note(text);
    }
    let (address, network) = (client.address(), client.profile().network());
    print::note(&format!("{address} of {network}: profile {}, encryption key published", init.profile.display()));
    Ok(ExitCode::SUCCESS)
}

/// Opens a profile, asking for what its keys need; while another command has it, waits at most `wait` for it.
async fn open(dir: &Path, secrets: &Secrets, wait: Duration, way: &Way) -> Result<Profile, Error> {
    let opened = loop {
        match Profile::open_within(dir, &secrets.unlock(), wait).await {
            Err(error @ (Error::Locked(_) | Error::Token(_))) => secrets.learn(error)?,
            opened => break opened,
        }
    };
    if matches!(opened, Err(Error::InUse(_))) {
        print::note(&format!("{} s were waited for another command to end", wait.as_secs_f32()));
    }
    Ok(match way.transport {
        Some(transport) => opened?.by(transport.into()),
        None => opened?,
    })
}

/// Connects, and sends on the way what still waits in the outbox.
async fn connect(profile: &Profile, way: &Way) -> Result<Client, Error> {
    let mut client = Client::offline(profile)?;
    reach(&mut client, None, FLUSH_WAIT, way).await?;
    Ok(client)
}

/// As [`connect`], over a link that is there already, if there is one. What became of waiting messages is said even when
/// the gateway is not reached.
async fn reach(client: &mut Client, link: Option<Link>, flush_wait: Duration, way: &Way) -> Result<(), Error> {
    let reached = match link {
        Some(link) => client.take_link(link).await,
        None => client.reconnect(CONNECT_TIMEOUT).await,
    };
    print::carrier(client, way);
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
