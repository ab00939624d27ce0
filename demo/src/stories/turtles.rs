//! Live turtles that must be fed today and flown home next week: one request, an answer in part, and the final one.

use anyhow::ensure;
use client::Compose;
use proto::v1::{Kind, Priority};

use crate::letters::{all_read, answer, letter, read, send, standing};
use crate::scene::Scene;

/// Plays it.
///
/// # Errors
/// When anything does not happen as it must.
pub(super) async fn play(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    let members = ["ke", "th", "th/cus/thbkk", "ipsg/ens", "org/latf"];
    let [mut kenya, mut thailand, mut bangkok, mut secretariat, mut task_force] = scene.cast(members).await?;
    let tell = &mut *scene.tell;

    tell.step("Customs in Bangkok find live turtles and report them");
    let report = send(&mut bangkok, letter(Kind::Ecomessage, &["ke", "ipsg/ens"], REPORT)?, tell).await?;
    all_read(&mut [&mut thailand, &mut kenya, &mut secretariat], &report.reference, tell).await?;

    tell.step("Thailand asks Kenya, where they live: how to keep them, and who takes them back?");
    let request = "214 pancake tortoises, 9 of them dead. Care until they fly? Who receives them, on which permit?";
    let request = Compose { priority: Priority::Urgent, ..letter(Kind::Request, &["ke"], request)? };
    let request = send(&mut thailand, request, tell).await?;
    read(&mut kenya, &request.reference, tell).await?;

    tell.step("Kenya answers what cannot wait, and asks a partner about the rest");
    let care =
        r#"{"state":"partial","text":"Dry boxes, 26 to 30 degrees, hay; a vet calls you within the hour. Permit and flight follow."}"#;
    let care = send(&mut kenya, answer(Kind::Reply, &["th"], &request.reference, care)?, tell).await?;
    let opened = read(&mut thailand, &care.reference, tell).await?;
    ensure!(opened.in_reply_to.as_ref() == Some(&request.reference), "it answers {:?}", opened.in_reply_to);
    let question =
        letter(Kind::Message, &["org/latf"], "Can a ranger go with 205 tortoises, Bangkok to Nairobi, next week? (no names, please)")?;
    let question = send(&mut kenya, question, tell).await?;
    read(&mut task_force, &question.reference, tell).await?;
    tell.say("a partner organisation reads what it is sent; nobody has granted it to write");

    tell.step("Kenya's final answer");
    let home = r#"{"state":"final","text":"Import permit by fax, export permit at your end; Tuesday, with a ranger; the wildlife service receives them."}"#;
    let home = send(&mut kenya, answer(Kind::Reply, &["th"], &request.reference, home)?, tell).await?;
    let opened = read(&mut thailand, &home.reference, tell).await?;
    ensure!(opened.in_reply_to.as_ref() == Some(&request.reference), "it answers {:?}", opened.in_reply_to);
    standing(&mut thailand, &request.reference, tell).await?;

    drop((kenya, thailand, bangkok, secretariat, task_force));
    scene.audit().await.map(drop)
}

const REPORT: &str = r#"{"heading":{"reportType":"initial","crimeArea":"wildlife"},"incident":{"what":"seizure","place":{"locode":{"raw":"THBKK"}}},
    "goods":[{"taxon":"Malacochersus tornieri","term":"live","quantity":{"mantissa":214,"unit":"specimens"}}],
    "transports":[{"mode":"air","legs":[{"at":"KENBO","role":"export"},{"at":"THBKK","role":"import"}]}]}"#;
