//! A fishing vessel with three names and three flags: one bureau asks for a notice, all get it, a border post recognises her.

use anyhow::ensure;
use client::Compose;
use envelope::Address;
use proto::v1::{Kind, Priority};

use crate::letters::{all_read, answer, letter, read, send};
use crate::scene::Scene;

/// Plays it.
///
/// # Errors
/// When anything does not happen as it must.
pub(super) async fn play(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    let members = ["ke", "th", "np", "cn", "gb", "us", "ipsg/ens", "th/cus/thbkk"];
    let [mut kenya, mut thailand, np, mut china, gb, mut america, mut secretariat, mut bangkok] = scene.cast(members).await?;
    // They get the notice, too, and read it when they like.
    drop((np, gb));
    let tell = &mut *scene.tell;

    tell.step("Kenya asks the General Secretariat for a purple notice on a fishing vessel");
    let request = send(&mut kenya, letter(Kind::NoticeRequest, &["ipsg/ens"], VESSEL)?, tell).await?;
    read(&mut secretariat, &request.reference, tell).await?;

    tell.step("The General Secretariat publishes the notice to every bureau");
    let notice = send(&mut secretariat, letter(Kind::Notice, &["all/ncb"], NOTICE)?, tell).await?;
    all_read(&mut [&mut china, &mut america], &notice.reference, tell).await?;
    let opened = read(&mut thailand, &notice.reference, tell).await?;
    let via = opened.header.context.via_group.as_ref().map(Address::as_str);
    ensure!(via == Some("all/ncb"), "it came through {via:?}");

    tell.step("Thailand passes it on to its port");
    let tip = "Watch for IMO 9074729, whatever name is painted on her; three names so far, see the notice.";
    let tip = Compose { parent: Some(notice.reference.clone()), ..letter(Kind::Message, &["th/cus/thbkk"], tip)? };
    let tip = send(&mut thailand, tip, tell).await?;
    read(&mut bangkok, &tip.reference, tell).await?;

    tell.step("The port recognises her under a fourth name, by the number welded to her hull");
    let alert = "She is here: painted MING STAR, flag of Togo; the IMO number on the hull is 9074729. She sails in two hours.";
    let alert = Compose { priority: Priority::Flash, ..letter(Kind::Alert, &["th", "ke", "ipsg/ens"], alert)? };
    let alert = send(&mut bangkok, alert, tell).await?;
    all_read(&mut [&mut thailand, &mut kenya, &mut secretariat], &alert.reference, tell).await?;

    tell.step("Kenya, whose notice it is, confirms and says what it asks for");
    let reply = "Confirmed, it is she. Please inspect and hold; our officer flies tonight.";
    let reply = send(&mut kenya, answer(Kind::Reply, &["th/cus/thbkk", "th"], &alert.reference, reply)?, tell).await?;
    read(&mut bangkok, &reply.reference, tell).await?;
    read(&mut thailand, &reply.reference, tell).await?;

    drop((kenya, thailand, china, america, secretariat, bangkok));
    scene.audit().await.map(drop)
}

const VESSEL: &str = r#"{"about":{"crimeArea":"fisheries"},"body":{"colour":"purple","crimeArea":"fisheries",
    "text":"fishing without a licence, transshipment at night","subjects":[{"kind":"vessel","vessel":{"name":"LUCKY 8",
    "formerNames":["SEA ROVER","GOLDEN TIDE"],"imo":{"raw":"9074729"},"formerFlags":["KM","BO"]}}]}}"#;
const NOTICE: &str = r#"{"number":"P-17/2026","owner":"ke","status":"published","body":{"colour":"purple","crimeArea":"fisheries","text":"fishes without a licence",
    "modusOperandi":"one hull, a new name and flag after each port","action":"inform","validUntil":"2031-11-20T00:00:00Z",
    "subjects":[{"kind":"vessel","vessel":{"name":"LUCKY 8","formerNames":["SEA ROVER","GOLDEN TIDE"],"imo":{"raw":"9074729"}}}]}}"#;
