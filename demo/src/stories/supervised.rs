//! A supervised bureau: what it publishes waits for the compliance desk, which refuses one diffusion and releases another.

use anyhow::ensure;
use client::{Client, Sent};
use envelope::Address;
use proto::v1::{Kind, ParticipantState, RecipientState, ReleaseReason, ReleaseVerdict, StandingReason};

use crate::letters::{all_read, hears_nothing, letter, read, receive, send, standing};
use crate::narrator::Narrator;
use crate::scene::Scene;

const DESK: &str = "ipsg/compliance";

/// Plays it.
///
/// # Errors
/// When anything does not happen as it must.
pub(super) async fn play(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    let members = ["np", "ke", "th", "ipsg/ens", DESK];
    let [mut nepal, mut kenya, mut thailand, mut secretariat, mut desk] = scene.cast(members).await?;
    let tell = &mut *scene.tell;

    tell.step("The compliance desk of the General Secretariat puts Nepal's bureau under supervision");
    let subject = Address::parse("np")?;
    desk.set_standing(&subject, ParticipantState::Supervised, StandingReason::Investigation).await?;
    tell.timed("one signed statement, in the log and in everybody's directory");
    nepal.refresh_directory().await?;

    tell.step("Nepal sends a diffusion on a journalist, and a plain message");
    let first = diffusion(&mut nepal, "Wanted: the author of articles on timber concessions.", tell).await?;
    let plain = send(&mut nepal, letter(Kind::Message, &["ke"], "Our liaison officer comes on Monday.")?, tell).await?;
    ensure!(plain.held_by.is_none(), "a plain message is held");
    hears_nothing(&mut kenya, &first.reference, tell).await?;
    read(&mut kenya, &plain.reference, tell).await?;
    tell.say("what bureaus write to each other goes on; only what is published waits");

    tell.step("The desk reads the diffusion and refuses it");
    read(&mut desk, &first.reference, tell).await?;
    desk.give_word(&first.reference, ReleaseVerdict::Refused, ReleaseReason::Rules).await?;
    tell.timed("refused: it is against the rules; the word is signed, and cannot be taken back");
    for reader in [&mut kenya, &mut thailand, &mut secretariat] {
        hears_nothing(reader, &first.reference, tell).await?;
    }
    standing(&mut nepal, &first.reference, tell).await?;
    ensure!(state_at(&mut nepal, &first, "ke").await? == Some(RecipientState::Refused), "Nepal is not told");

    tell.step("Nepal sends another, on a trader in tiger bones; the desk releases it");
    let second = diffusion(&mut nepal, "Wanted: trader in tiger bones, uses two passports, last seen in Kathmandu.", tell).await?;
    hears_nothing(&mut kenya, &second.reference, tell).await?;
    read(&mut desk, &second.reference, tell).await?;
    desk.give_word(&second.reference, ReleaseVerdict::Released, ReleaseReason::None).await?;
    tell.timed("released: only now it is on its way, with the desk's word beside it");
    all_read(&mut [&mut kenya, &mut thailand, &mut secretariat], &second.reference, tell).await?;
    standing(&mut nepal, &second.reference, tell).await?;

    tell.step("The supervision ends");
    receive(&mut desk).await?;
    ensure!(desk.held()?.is_empty(), "something still waits: {:?}", desk.held()?);
    desk.set_standing(&subject, ParticipantState::Active, StandingReason::Routine).await?;
    tell.timed("Nepal's bureau is as it was");
    drop((nepal, kenya, thailand, secretariat, desk));
    scene.audit().await.map(drop)
}

/// Sends a diffusion, which is held.
async fn diffusion(nepal: &mut Client, text: &str, tell: &mut Narrator) -> anyhow::Result<Sent> {
    let sent = send(nepal, letter(Kind::Diffusion, &["ke", "th", "ipsg/ens"], text)?, tell).await?;
    ensure!(sent.held_by.as_ref().map(Address::as_str) == Some(DESK), "held by {:?}", sent.held_by);
    Ok(sent)
}

async fn state_at(sender: &mut Client, sent: &Sent, recipient: &str) -> anyhow::Result<Option<RecipientState>> {
    let all = sender.status(&sent.reference).await?;
    Ok(all.iter().find(|one| one.recipient == recipient).map(|one| one.state()))
}
