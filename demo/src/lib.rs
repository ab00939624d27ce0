//! The network in one folder, and the stories that are played on it. Real certificates, a real gateway, real sockets and files.
//!
//! It does not know how a message is judged or sealed; it asks the gateway and the clients, as anybody would.

mod forger;
mod letters;
mod tamper;

pub mod full;
pub mod narrator;
pub mod network;
pub mod scene;
pub mod stories;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use anyhow::Context as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

pub use narrator::Narrator;
pub use network::Folder;
pub use stories::Story;

use network::MEMBERS;

/// What is played, and where.
#[derive(Clone, Debug)]
pub struct Evening {
    /// Folder of the network; made when it is not there.
    pub out: PathBuf,
    /// Which story.
    pub story: Story,
    /// Whether the gateway runs on afterwards, until Ctrl-C.
    pub serve: bool,
}

/// Plays a story on the network in a folder, and says what to type next.
///
/// # Errors
/// When anything does not happen as it must.
pub fn run(evening: &Evening) -> anyhow::Result<()> {
    runtime()?.block_on(play(evening))
}

/// Builds the network of the world's size in a folder, and broadcasts a notice to every bureau.
///
/// # Errors
/// When anything does not happen as it must.
pub fn run_full(out: &Path) -> anyhow::Result<()> {
    let (began, mut tell) = (Instant::now(), Narrator::aloud());
    runtime()?.block_on(full::play(out, &mut tell))?;
    ended(&tell, began);
    Ok(())
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

fn ended(tell: &Narrator, began: Instant) {
    println!("\nAll {} steps went as they must, in {:.1} s.", tell.steps(), began.elapsed().as_secs_f64());
}

async fn play(evening: &Evening) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut tell = Narrator::aloud();
    tell.step("A network with bureaus, border posts, desks of the General Secretariat and an auditor");
    let (folder, new) = Folder::open_or_mint(&evening.out)?;
    log_to(&folder.log_path())?;
    if new {
        tell.timed(&format!("minted for development in {}: {}", evening.out.display(), MEMBERS.join(", ")));
    } else {
        tell.timed(&format!("found in {}: the story goes on where it stopped", evening.out.display()));
    }
    stories::play(evening.story, &folder, &mut tell).await?;
    ended(&tell, began);
    go_on(&folder, evening.serve);
    if evening.serve {
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
///
/// # Errors
/// When the file cannot be opened, or something else gets this process's log already.
pub fn log_to(path: &Path) -> anyhow::Result<()> {
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path).with_context(|| path.display().to_string())?;
    let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(Mutex::new(file));
    tracing_subscriber::registry().with(Targets::new().with_default(LevelFilter::INFO)).with(layer).try_init()?;
    Ok(())
}
