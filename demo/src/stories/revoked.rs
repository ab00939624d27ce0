//! A patrol boat is boarded while its photographs go out: its certificates are taken back in the middle of the upload.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use client::bureau::Terms;
use client::{Client, Error, ReceiveOptions, Received};
use envelope::{Address, Reference};
use proto::v1::{Kind, ParticipantState, StandingReason};

use crate::letters::{letter, opaque, receive};
use crate::narrator::Narrator;
use crate::scene::Scene;

/// Plays it.
///
/// # Errors
/// When anything does not happen as it must.
pub(super) async fn play(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    let [mut kenya] = scene.cast(["ke"]).await?;

    scene.tell.step("Kenya enrols a patrol boat");
    // A certificate that was taken back never returns: each time it is another boat.
    let name = format!("ke/sea/x-{}", opaque()?);
    let (address, pki) = (Address::parse(&name)?, scene.folder.pki());
    let made = certs_dev::issue(&pki, &address, None)?;
    kenya.enrol(&made.folder.join("identity.pem"), Terms::default()).await?;
    let [mut boat] = scene.cast([&name]).await?;
    scene.tell.timed(&format!("{name} has certificates by Kenya's CA, and is in the directory"));

    scene.tell.step("The boat sends photographs of a night landing, part after part; it is boarded, and Kenya acts");
    let both = async { tokio::try_join!(upload(&mut boat), take_back(&mut kenya, &address, &pki, scene.tell)) };
    let ((receipts, last), ()) = tokio::time::timeout(PATIENCE, both).await.context("the upload does not end")??;
    scene.tell.timed(&format!("the upload ends in the middle: {last}"));
    match boat.reconnect(client::CONNECT_TIMEOUT).await {
        Err(error @ Error::CertificateRefused { .. }) => scene.tell.timed(&format!("who holds the boat's keys now reads: {error}")),
        Err(other) => bail!("the boat was not refused, but: {other}"),
        Ok(()) => bail!("the boat came back through the door"),
    }
    drop(boat);

    scene.tell.step("What was admitted before stays, and nothing comes after");
    let parts = parts_of(&mut kenya, &address).await?;
    // The answer to the last one may have been cut off.
    ensure!(receipts.len() <= parts.len() && parts.len() <= receipts.len() + 1, "{} receipts, {} parts", receipts.len(), parts.len());
    ensure!(parts.iter().zip(1..).all(|(part, number)| part.number == number), "{parts:?}");
    ensure!(receipts.iter().all(|one| parts.contains(one)), "a receipt without its message");
    let opened = kenya.open(parts.last().context("no part")?)?;
    ensure!(opened.message.finding.is_none(), "{:?}", opened.message.finding);
    scene.tell.timed(&format!("Kenya has {} parts, numbers without a gap; the last one opens, judged by its time", parts.len()));
    kenya.set_standing(&address, ParticipantState::Withdrawn, StandingReason::Compromise).await?;
    scene.tell.timed(&format!("{name} is withdrawn for good"));
    drop(kenya);
    let verdict = scene.audit().await?;
    let counted = verdict.counts.get(&address).copied();
    ensure!(counted == Some(parts.len() as u64), "the log has {counted:?} messages of the boat, Kenya {}", parts.len());
    Ok(())
}

/// Waits until some parts are here, then takes the boat's certificates back.
async fn take_back(kenya: &mut Client, boat: &Address, pki: &Path, tell: &mut Narrator) -> anyhow::Result<()> {
    let mut came = 0;
    let count = |one: &Received| {
        came += u32::from(one.reference.sender == *boat);
        if came < PARTS_SEEN { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    kenya.receive_each(ReceiveOptions { follow: true }, count).await?;
    ensure!(came == PARTS_SEEN, "the mailbox has ended early");
    tell.timed(&format!("Kenya's bureau has seen {came} parts, and more are coming"));
    let taken = certs_dev::revoke(pki, boat)?;
    tell.timed(&format!("both certificates of the boat are on list {} of Kenya's CA, which the gateway reads", taken.number));
    Ok(())
}

/// Sends part after part until one is not taken; gives what it has receipts for, and why it ended.
async fn upload(boat: &mut Client) -> anyhow::Result<(Vec<Reference>, Error)> {
    let mut receipts = Vec::new();
    for number in 1..=PARTS_MAX {
        let part = letter(Kind::Message, &["ke"], &format!("photographs, part {number}: {}", "x".repeat(PART_BYTES)))?;
        match boat.send(part).await {
            Ok(sent) => receipts.push(sent.reference),
            Err(error) => return Ok((receipts, error)),
        }
        tokio::time::sleep(PACE).await;
    }
    bail!("all {PARTS_MAX} parts were taken")
}

async fn parts_of(kenya: &mut Client, boat: &Address) -> anyhow::Result<Vec<Reference>> {
    receive(kenya).await?;
    let mut parts: Vec<Reference> = kenya.inbox()?.into_iter().map(|one| one.reference).filter(|one| one.sender == *boat).collect();
    parts.sort_by_key(|one| one.number);
    Ok(parts)
}

/// Parts that the bureau sees before it acts.
const PARTS_SEEN: u32 = 5;
/// A link at sea: the gateway reads the lists each second, and by then not all parts are through.
const PACE: Duration = Duration::from_millis(25);
/// The upload ends within this, or something is wrong.
const PATIENCE: Duration = Duration::from_secs(40);
/// More than are sent before the gateway has read the list, however slow the machine.
const PARTS_MAX: u32 = 2000;
/// A part of a photograph.
const PART_BYTES: usize = 16_000;
