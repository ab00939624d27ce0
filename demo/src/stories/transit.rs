//! Rhino horn in transit luggage: the airport in the middle finds it, and both ends hear of it at once.

use client::Compose;
use proto::v1::{Kind, Priority};

use crate::letters::{all_read, answer, letter, read, send, standing};
use crate::scene::Scene;

/// Plays it.
///
/// # Errors
/// When anything does not happen as it must.
pub(super) async fn play(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    let [mut kenya, mut thailand, mut china, mut bangkok] = scene.cast(["ke", "th", "cn", "th/cus/thbkk"]).await?;
    super::airport(&mut kenya, scene.folder).await?;
    let [mut nairobi] = scene.cast(["ke/air/kenbo"]).await?;
    thailand.refresh_directory().await?;
    let tell = &mut *scene.tell;

    tell.step("Bangkok, between Nairobi and Guangzhou: the x-ray shows horn in a suitcase that only changes planes");
    let alert = "Two rhino horns in foil, suitcase from Nairobi, booked through to Guangzhou. Its owner boards in 40 minutes.";
    let alert = Compose { priority: Priority::Flash, ..letter(Kind::Alert, &["th"], alert)? };
    let alert = send(&mut bangkok, alert, tell).await?;
    read(&mut thailand, &alert.reference, tell).await?;
    tell.say("an alert goes to the own bureau first, which has 15 minutes; it is acknowledged");

    tell.step("Thailand's bureau tells both ends at once, FLASH");
    let flash = "Rhino horn, suitcase Nairobi - Bangkok - Guangzhou, today. Origin: who checked it in? Destination: who waits for it?";
    let flash = Compose { priority: Priority::Flash, ..letter(Kind::Request, &["ke", "cn", "ke/air/kenbo"], flash)? };
    let flash = send(&mut thailand, flash, tell).await?;
    all_read(&mut [&mut kenya, &mut china, &mut nairobi], &flash.reference, tell).await?;

    tell.step("Both ends answer while the suitcase is in Bangkok");
    let origin = answer(Kind::Reply, &["th"], &flash.reference, "Checked in at 04:10 with a second suitcase, which flew via Doha.")?;
    let origin = send(&mut kenya, origin, tell).await?;
    let destination =
        answer(Kind::Reply, &["th"], &flash.reference, "Two men wait for this flight; we watch. Let it fly, sealed, if you can.")?;
    let destination = send(&mut china, destination, tell).await?;
    for reply in [&origin, &destination] {
        read(&mut thailand, &reply.reference, tell).await?;
    }
    standing(&mut thailand, &flash.reference, tell).await?;

    drop((kenya, thailand, china, bangkok, nairobi));
    scene.audit().await.map(drop)
}
