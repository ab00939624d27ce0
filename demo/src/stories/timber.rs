//! Timber by sea: warning, feedback and seizure, the triangle of an operation that nobody outside it hears of.

use anyhow::{Context as _, bail, ensure};
use client::Compose;
use proto::v1::{Kind, Priority};

use crate::letters::{all_read, answer, close, found, hears_nothing, letter, send};
use crate::scene::Scene;

/// Plays it.
///
/// # Errors
/// When anything does not happen as it must.
pub(super) async fn play(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    let members = ["ke", "ke/cus/kemba", "cn", "th", "th/cus/thbkk"];
    let [mut kenya, mut mombasa, mut china, mut thailand, mut bangkok] = scene.cast(members).await?;
    let [mut america] = scene.cast(["us"]).await?;
    let tell = &mut *scene.tell;

    tell.step("China founds an operation with Kenya and Thailand, for as long as the ship is at sea");
    let operation = found(&mut china, &members, tell).await?;
    for client in [&mut kenya, &mut mombasa, &mut thailand, &mut bangkok, &mut america] {
        client.refresh_directory().await?;
    }
    ensure!(america.groups().iter().all(|(group, _)| *group != operation), "us sees the operation");
    tell.say("us, which does not belong to it, is shown nothing");
    let outside = mombasa.send(letter(Kind::Warning, &["ke"], "rosewood")?).await;
    let refusal = outside.err().context("a warning went past the operation")?;
    if refusal.name() != Some("NO_GRANT") {
        bail!("refused, but with another name: {refusal}");
    }
    tell.timed(&format!("a warning goes through an operation or not at all: {refusal}"));

    tell.step("WARNING: the port of Mombasa has loaded logs that are called scrap");
    let warning = "Rosewood, 12 containers declared as scrap metal, left Mombasa on the 2nd, calls at Bangkok on the 19th.";
    let warning = Compose { priority: Priority::Urgent, ..letter(Kind::Warning, &[operation.as_str()], warning)? };
    let warning = send(&mut mombasa, warning, tell).await?;
    all_read(&mut [&mut china, &mut kenya, &mut thailand, &mut bangkok], &warning.reference, tell).await?;

    tell.step("FEEDBACK: within a day the others say what they know");
    let feedback = "Twelve containers booked onward to Guangzhou; we open three of them here.";
    let feedback = send(&mut thailand, answer(Kind::Feedback, &[operation.as_str()], &warning.reference, feedback)?, tell).await?;
    all_read(&mut [&mut mombasa, &mut china], &feedback.reference, tell).await?;

    tell.step("SEIZURE: customs in Bangkok tell the operation what they found");
    let seizure = "Three of three are Dalbergia logs, 61 m3; nine sail on under seal.";
    let seizure = send(&mut bangkok, letter(Kind::Seizure, &[operation.as_str()], seizure)?, tell).await?;
    all_read(&mut [&mut mombasa, &mut kenya, &mut china], &seizure.reference, tell).await?;
    hears_nothing(&mut america, &seizure.reference, tell).await?;
    close(&mut china, &operation, tell).await?;

    drop((kenya, mombasa, china, thailand, bangkok, america));
    scene.audit().await.map(drop)
}
