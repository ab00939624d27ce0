//! `ecowire-demo`: the network in one command. Real certificates, a real gateway, real sockets and files.

mod bureau;
mod forger;
mod narrator;
mod network;
mod story;
mod tamper;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use narrator::Narrator;
use network::{Folder, MEMBERS};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Plays a story on a small network with real certificates, a real gateway and an auditor who proves what happened.
#[derive(Parser)]
#[command(name = "ecowire-demo", version = commit::version!(), after_help = EXAMPLES)]
struct Cli {
    /// Folder of the network; made when it is not there, used again when it is
    #[arg(long, default_value = "demo-network")]
    out: PathBuf,
    /// Which story
    #[arg(long, value_enum, default_value_t)]
    story: Story,
    /// Print the names of the stories, one a line
    #[arg(long)]
    list_stories: bool,
    /// Keep the gateway running afterwards, until Ctrl-C
    #[arg(long)]
    serve: bool,
}

/// The stories that can be played; each in the same network, as often as one likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Story {
    /// A border post's report reaches two bureaus, a forger does not, an auditor proves it
    #[default]
    Ivory,
    /// A post is enrolled, cut off when its device is stolen, and let back in
    Suspended,
    /// An operation's members write to each other; one is left out, and cannot tell
    Denied,
}

const EXAMPLES: &str = "Examples:
  ecowire-demo                    play the story of the ivory container in ./demo-network
  ecowire-demo --list-stories     which others there are
  ecowire-demo --story suspended  play another one
  ecowire-demo --serve            ... and keep the gateway running to go on by hand
  ecowire-demo --out /tmp/demo    ... in another folder";

fn main() -> ExitCode {
    let cli = Cli::parse();
    if cli.list_stories {
        Story::value_variants().iter().filter_map(ValueEnum::to_possible_value).for_each(|story| println!("{}", story.get_name()));
        return ExitCode::SUCCESS;
    }
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(play(cli))
}

async fn play(cli: &Cli) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut tell = Narrator::new();
    tell.step("A network with two bureaus, a border post, a desk of the General Secretariat and an auditor");
    let (folder, new) = Folder::open_or_mint(&cli.out)?;
    log_to(&folder)?;
    if new {
        tell.timed(&format!("minted for development in {}: {}", cli.out.display(), MEMBERS.join(", ")));
    } else {
        tell.timed(&format!("found in {}: the story goes on where it stopped", cli.out.display()));
    }
    let running = folder.start().await?;
    tell.timed(&format!("the gateway node/dev-1 serves on {} with {} entries in its log", running.address, running.size));
    let played = match cli.story {
        Story::Ivory => story::play(&folder, &running, &mut tell).await.map(Some),
        Story::Suspended => bureau::suspended(&folder, &running, &mut tell).await.map(|()| None),
        Story::Denied => bureau::denied(&folder, &running, &mut tell).await.map(|()| None),
    };
    running.stop().await;
    if let Some(report) = played? {
        tamper::flip_a_byte(&folder, report, &mut tell)?;
    }
    println!("\nAll {} steps went as they must, in {:.1} s.", tell.steps(), began.elapsed().as_secs_f64());
    go_on(&folder, cli.serve);
    if cli.serve {
        let running = folder.start().await?;
        println!("The gateway serves on {}; Ctrl-C stops it.", running.address);
        tokio::signal::ctrl_c().await?;
        running.stop().await;
    }
    Ok(())
}

/// What to type next.
fn go_on(folder: &Folder, serving: bool) {
    let out = folder.path().display();
    println!("\nTo go on by hand:");
    println!("  cargo build --release --workspace && export PATH=$PWD/target/release:$PATH");
    if !serving {
        println!("  ecowire-gateway serve --config {out}/gateway.toml &");
    }
    println!("  ecowire send --profile {out}/profiles/ke_cus_kemba --to th,ipsg/ens --kind ecomessage --file README.md");
    println!("  ecowire inbox --profile {out}/profiles/th");
    println!("  ecowire audit verify --profile {out}/profiles/aud_network");
}

/// The gateway's log goes to a file; the demo itself speaks on standard output.
fn log_to(folder: &Folder) -> anyhow::Result<()> {
    let path = folder.log_path();
    let file = std::fs::OpenOptions::new().create(true).append(true).open(&path).with_context(|| path.display().to_string())?;
    let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(Mutex::new(file));
    tracing_subscriber::registry().with(Targets::new().with_default(LevelFilter::INFO)).with(layer).init();
    Ok(())
}
