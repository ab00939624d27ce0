//! The stories that can be played, each in the same network, as often as one likes.
//!
//! It does not know what happens in one; each stands in a file of its own.

mod broadcast;
mod bureau;
mod container;
mod deletion;
mod ivory;
mod revoked;
mod songbirds;
mod supervised;
mod timber;
mod transit;
mod turtles;
mod vessel;

use clap::ValueEnum;
use client::Client;
use client::bureau::Terms;
use envelope::Address;

use crate::narrator::Narrator;
use crate::network::Folder;
use crate::scene::Scene;
use crate::tamper;

/// The stories that can be played; each in the same network, as often as one likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Story {
    /// A border post's report reaches two bureaus, a forger does not, an auditor proves it
    #[default]
    Ivory,
    /// An ivory container, from its origin to its destination: seizure, report, request, reply
    Container,
    /// A fishing vessel with three names and flags: a notice to all, an alert by the port that recognises her
    Vessel,
    /// Rhino horn in transit luggage over three airports: an alert, and FLASH to both ends
    Transit,
    /// Live turtles: a request for care and return, answered in part and then for good
    Turtles,
    /// Songbirds at a land border with a dead link: what is written offline goes out once
    Songbirds,
    /// Timber by sea: warning, feedback and seizure within an operation
    Timber,
    /// A supervised bureau's diffusion is held and refused, another one released
    Supervised,
    /// A message is deleted: who has attested to it, and who has not
    Deletion,
    /// A patrol boat's certificates are taken back while it uploads
    Revoked,
    /// A notice to all bureaus but one, which finds no trace of it
    Broadcast,
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
    let mut scene = Scene::open(folder, tell).await?;
    let played = match story {
        Story::Ivory => ivory::play(&mut scene).await.map(Some),
        other => one_of(other, &mut scene).await.map(|()| None),
    };
    scene.cut().await;
    if let Some(report) = played? {
        tamper::flip_a_byte(folder, report, tell)?;
    }
    Ok(())
}

async fn one_of(story: Story, scene: &mut Scene<'_>) -> anyhow::Result<()> {
    match story {
        Story::Ivory => ivory::play(scene).await.map(drop),
        Story::Container => container::play(scene).await,
        Story::Vessel => vessel::play(scene).await,
        Story::Transit => transit::play(scene).await,
        Story::Turtles => turtles::play(scene).await,
        Story::Songbirds => songbirds::play(scene).await,
        Story::Timber => timber::play(scene).await,
        Story::Supervised => supervised::play(scene).await,
        Story::Deletion => deletion::play(scene).await,
        Story::Revoked => revoked::play(scene).await,
        Story::Broadcast => broadcast::play(scene).await,
        Story::Suspended => bureau::suspended(scene).await,
        Story::Denied => bureau::denied(scene).await,
    }
}

/// The post at Nairobi's airport is certified from the first day, and enrolled when a story needs it.
async fn airport(kenya: &mut Client, folder: &Folder) -> anyhow::Result<()> {
    let address = Address::parse(crate::network::AIRPORT)?;
    if kenya.participant(&address).is_none() {
        kenya.enrol(&folder.pki().join(address.file_name()).join("identity.pem"), OPEN).await?;
    }
    Ok(())
}

/// What Kenya lays down for its airport: other bureaus may write to it.
const OPEN: Terms =
    Terms { clearance: proto::v1::Classification::Restricted, open_to_foreign: true, oversight: proto::v1::OversightMode::Copy };
