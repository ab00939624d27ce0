//! Songbirds at a land border with a dead link: what is written offline goes out when the link is back, each message once.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use client::{Client, Compose, Profile, Sent};
use envelope::Reference;
use proto::v1::{Kind, Priority};

use crate::letters::{letter, read, receive};
use crate::scene::Scene;

const POST: &str = "np/bor/x-birgunj";

/// Plays it.
///
/// # Errors
/// When anything does not happen as it must.
pub(super) async fn play(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    // Everybody has been online once: keys and directory are known, and nothing waits from before.
    let [nepal, secretariat, mut post] = scene.cast(["np", "ipsg/ens", POST]).await?;
    flush(&mut post).await?;
    drop((nepal, secretariat, post));

    scene.tell.step("The link of the border post np/bor/x-birgunj is dead");
    scene.cut().await;
    let mut post = scene.offline(POST)?;
    let mut references = Vec::new();
    for message in [alert()?, report()?] {
        references.push(post.queue(&message).await?.context("its number is known offline, too")?);
    }
    let written: Vec<String> = references.iter().map(Reference::to_string).collect();
    scene.tell.timed(&format!("the officer writes {}: sealed, signed and on the post's disk", written.join(" and ")));
    let tried = post.flush_outbox(Duration::from_secs(1)).await?;
    let why = tried.pending.context("nothing was to be sent")?;
    ensure!(tried.sent.is_empty() && post.outbox().items().len() == 2, "something has left");
    scene.tell.timed(&format!("it tries, and keeps both: {why}"));
    drop(post);
    let backup = scene.folder.path().join("backup-of-birgunj");
    crate::tamper::copy_folder(&scene.folder.profile_path(POST), &backup)?;
    scene.tell.say("the post's machine is switched off for the night, and its disk is saved to a backup");

    scene.tell.step("In the morning the link is back");
    let size = scene.restore().await?;
    scene.tell.timed(&format!("the gateway has {size} entries, none of them from that night"));
    let mut post = scene.offline(POST)?;
    let first = flush(&mut post).await?;
    ensure!(first.iter().map(|one| &one.reference).eq(&references), "{first:?}");
    for sent in &first {
        scene.tell.timed(&format!("{} is durable at entry {}", sent.reference, sent.position.index));
    }
    ensure!(flush(&mut post).await?.is_empty(), "something went out twice");
    drop(post);

    scene.tell.step("The machine breaks, and the backup of that night, both messages in its outbox, takes its place");
    again(&backup, &first).await?;
    scene.tell.timed("it sends the same bytes again: the gateway gives the old receipts, with the old entries");

    scene.tell.step("Nepal's bureau reads, each message once");
    let [mut nepal] = scene.cast(["np"]).await?;
    for reference in &references {
        read(&mut nepal, reference, scene.tell).await?;
        let copies = nepal.inbox()?.iter().filter(|one| one.reference == *reference).count();
        ensure!(copies == 1, "{copies} of {reference}");
    }
    let more = receive(&mut nepal).await?.received;
    ensure!(more.is_empty(), "more mail: {more:?}");
    scene.tell.say("and nothing else is there");

    drop(nepal);
    std::fs::remove_dir_all(&backup)?;
    scene.audit().await.map(drop)
}

async fn flush(post: &mut Client) -> anyhow::Result<Vec<Sent>> {
    let flushed = post.flush_outbox(Duration::from_secs(20)).await?;
    ensure!(flushed.refused.is_empty() && flushed.expired.is_empty() && flushed.pending.is_none(), "{flushed:?}");
    Ok(flushed.sent)
}

/// The backup sends what the machine has sent already, and gets the same receipts.
async fn again(backup: &Path, first: &[Sent]) -> anyhow::Result<()> {
    let mut post = Client::connect(&Profile::open(backup)?).await?;
    let sent = flush(&mut post).await?;
    let places = |all: &[Sent]| all.iter().map(|one| (one.reference.clone(), one.position.index)).collect::<Vec<_>>();
    ensure!(places(&sent) == places(first), "{:?} and {:?}", places(&sent), places(first));
    Ok(())
}

fn alert() -> anyhow::Result<Compose> {
    let text = "Lorry BR-21-4471 with cages, songbirds, turned back at 22:15; it waits on the other side.";
    Ok(Compose { priority: Priority::Urgent, ..letter(Kind::Alert, &["np"], text)? })
}

fn report() -> anyhow::Result<Compose> {
    let text = r#"{"heading":{"reportType":"initial","crimeArea":"wildlife"},"incident":{"what":"refusal_of_entry","place":{"text":"Birgunj"}},
        "goods":[{"taxon":"songbirds","term":"live","quantity":{"mantissa":400,"unit":"specimens","estimated":true}}]}"#;
    letter(Kind::Ecomessage, &["np", "ipsg/ens"], text)
}
