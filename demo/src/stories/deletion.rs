//! The wrong man: a post deletes what it sent, with its bureau's signature, and sees who has attested to it and who has not.

use anyhow::{Context as _, ensure};
use client::holds::Permit;
use client::{Client, Compose};
use envelope::{Address, Reference};
use proto::v1::Kind;

use crate::letters::{all_read, form, letter, read, receive, send, shown};
use crate::narrator::Narrator;
use crate::scene::Scene;

const POST: &str = "ke/cus/kemba";

/// Plays it.
///
/// # Errors
/// When anything does not happen as it must.
pub(super) async fn play(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    let [mut kenya, mut thailand, mut nepal, mut post] = scene.cast(["ke", "th", "np", POST]).await?;
    let tell = &mut *scene.tell;

    tell.step("The post in Mombasa names a courier to Thailand and Nepal");
    let courier = "Courier of pangolin scales: born in 1984, green suitcase, flies on Friday.";
    let sent = send(&mut post, letter(Kind::Message, &["th", "np"], courier)?, tell).await?;
    all_read(&mut [&mut thailand, &mut nepal, &mut kenya], &sent.reference, tell).await?;

    tell.step("He was somebody else: the post wants it deleted");
    let concerned = post.concerned(&sent.reference)?;
    let why = format!(
        r#"{{"of":"{}","reason":"wrong_subject","text":"The wrong man. Please delete it everywhere, and say so."}}"#,
        sent.reference
    );
    let (media_type, content) = form(Kind::Deletion, &why)?;
    let deletion = |permissions| Compose {
        kind: Kind::Deletion,
        target: Some(sent.reference.clone()),
        permissions,
        media_type: media_type.clone(),
        ..Compose::new(concerned.clone(), content.clone())
    };
    let refusal = post.send(deletion(Vec::new())).await.err().context("deleted without its bureau")?;
    ensure!(refusal.name() == Some("NO_AUTHORITY"), "refused, but with another name: {refusal}");
    tell.timed(&format!("not without its bureau: {refusal}"));
    let what = Permit::Countersignature { message: sent.reference.clone() };
    let signature = kenya.permit(&Address::parse(POST)?, &what).await?;
    post.refresh_directory().await?;
    tell.timed("Kenya's bureau signs, too, for this message alone");
    let deleted = send(&mut post, deletion(vec![signature.digest]), tell).await?;
    ensure!(who_attested(&post, &deleted.reference)?.is_empty(), "somebody attested before it was told");

    tell.step("Thailand and Kenya delete what they have, and attest to it");
    for (reader, what) in [(&mut thailand, r#""message","copies","prints""#), (&mut kenya, r#""message""#)] {
        read(reader, &deleted.reference, tell).await?;
        let to = reader.concerned(&deleted.reference)?;
        let (deletion, of) = (&deleted.reference, &sent.reference);
        let text = format!(r#"{{"deletion":"{deletion}","of":"{of}","deleted":[{what}],"byRole":"desk officer"}}"#);
        let (media_type, content) = form(Kind::DeletionAttestation, &text)?;
        let target = Some(deleted.reference.clone());
        let attestation = Compose { kind: Kind::DeletionAttestation, target, media_type, ..Compose::new(to, content) };
        send(reader, attestation, tell).await?;
    }

    tell.step("The post sees who has attested, and who has not");
    receive(&mut post).await?;
    list(&post, &deleted.reference, tell)?;
    let mut attested = who_attested(&post, &deleted.reference)?;
    attested.sort();
    ensure!(attested == ["ke", "th"], "{attested:?} attested");
    tell.say("Nepal has 72 hours; the list is made of signed messages, not of anybody's word for them");
    drop((kenya, thailand, nepal, post));
    scene.audit().await.map(drop)
}

fn list(post: &Client, deletion: &Reference, tell: &mut Narrator) -> anyhow::Result<()> {
    for (recipient, attestation) in post.attestations(deletion)? {
        let text = match attestation {
            Some(one) => format!("attested in {}: \"{}\"", one.reference, shown(&post.open(&one.reference)?)),
            None => "has not attested".to_owned(),
        };
        tell.say(&format!("{recipient} {text}"));
    }
    Ok(())
}

fn who_attested(post: &Client, deletion: &Reference) -> anyhow::Result<Vec<String>> {
    let all = post.attestations(deletion)?;
    Ok(all.into_iter().filter(|(_, one)| one.is_some()).map(|(who, _)| who.to_string()).collect())
}
