//! The stories that can be played, each in the same network, as often as one likes.
//!
//! It does not know what happens in one; each stands in a file of its own.

mod bureau;
mod ivory;

use clap::ValueEnum;

use crate::narrator::Narrator;
use crate::network::Folder;
use crate::tamper;

/// The stories that can be played; each in the same network, as often as one likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Story {
    /// A border post's report reaches two bureaus, a forger does not, an auditor proves it
    #[default]
    Ivory,
    /// A post is enrolled, cut off when its device is stolen, and let back in
    Suspended,
    /// An operation's members write to each other; one is left out, and cannot tell
    Denied,
}

/// Starts the gateway of the network in `folder`, plays a story, and stops it.
///
/// # Errors
/// When anything does not happen as it must.
pub async fn play(story: Story, folder: &Folder, tell: &mut Narrator) -> anyhow::Result<()> {
    let running = folder.start().await?;
    tell.timed(&format!("the gateway node/dev-1 serves on {} with {} entries in its log", running.address, running.size));
    let played = match story {
        Story::Ivory => ivory::play(folder, &running, tell).await.map(Some),
        Story::Suspended => bureau::suspended(folder, &running, tell).await.map(|()| None),
        Story::Denied => bureau::denied(folder, &running, tell).await.map(|()| None),
    };
    running.stop().await;
    if let Some(report) = played? {
        tamper::flip_a_byte(folder, report, tell)?;
    }
    Ok(())
}
