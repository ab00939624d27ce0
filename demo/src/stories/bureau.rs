//! Two stories of a bureau: a post that is enrolled and cut off, and an operation from which one bureau is left out.

use anyhow::{Context as _, bail, ensure};
use client::bureau::{Terms, in_order};
use client::{Client, Compose, Error};
use envelope::Address;
use proto::v1::{Audience, Classification, Grant, GroupSenders, Kind, ParticipantState, Priority, StandingReason};

use crate::letters::{opaque, receive};
use crate::narrator::Narrator;
use crate::scene::Scene;

const POST: &str = "ke/air/kenbo";

/// A post at an airport joins, reports, loses its device, is cut off at once, and comes back.
///
/// # Errors
/// When anything does not happen as it must.
pub(super) async fn suspended(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    let (folder, running, tell) = scene.split()?;
    tell.step("Kenya certifies and enrols a new post, ke/air/kenbo");
    let [mut kenya, mut thailand] = [folder.client(running, "ke").await?, folder.client(running, "th").await?];
    drop(folder.client(running, "ipsg/ens").await?);
    let address = Address::parse(POST)?;
    let identity = folder.pki().join(address.file_name());
    if !identity.exists() {
        certs_dev::issue(&folder.pki(), &address, None)?;
    }
    kenya.enrol(&identity.join("identity.pem"), Terms { open_to_foreign: true, ..Terms::default() }).await?;
    tell.timed("enrolled: one statement of the bureau, signed, numbered, in the log and in everybody's directory");
    kenya.set_grants(&address, vec![reports_to_bureaus()]).await?;
    tell.timed("it may send reports and alerts to bureaus; only it, Kenya and the network's auditor can see that");

    tell.step("The post reports, and may do nothing else");
    let mut post = folder.client(running, POST).await?;
    let report =
        Compose { kind: Kind::Ecomessage, priority: Priority::Urgent, ..to(&["th", "ipsg/ens"], "rhino horn in transit luggage")? };
    let sent = post.send(report).await?;
    tell.timed(&format!("{} is durable at entry {}", sent.reference, sent.position.index));
    refused(post.send(to(&["th"], "a plain message")?).await, "NO_GRANT", tell)?;

    tell.step("The device is stolen: Kenya suspends the post");
    kenya.set_standing(&address, ParticipantState::Suspended, StandingReason::Compromise).await?;
    tell.timed("durable; its connections are cut, and the door is closed");
    match post.reconnect(client::CONNECT_TIMEOUT).await {
        Err(error @ Error::CertificateRefused { .. }) => tell.say(&format!("the thief reads: {error}")),
        Err(other) => bail!("the post was not refused, but: {other}"),
        Ok(()) => bail!("the post came back through the door"),
    }
    thailand.refresh_directory().await?;
    refused(thailand.send(to(&["ke", POST], "where are you?")?).await, "UNKNOWN_RECIPIENT", tell)?;

    tell.step("What the post sent before is as good as it was");
    receive(&mut thailand).await?;
    let opened = thailand.open(&sent.reference)?;
    ensure!(opened.message.finding.is_none(), "{:?}", opened.message.finding);
    tell.timed(&format!(
        "th opens {}, judged by the directory of its time: \"{}\"",
        sent.reference,
        String::from_utf8_lossy(&opened.content)
    ));

    tell.step("The device is found, and Kenya lets the post back in");
    kenya.set_standing(&address, ParticipantState::Active, StandingReason::Routine).await?;
    post.reconnect(client::CONNECT_TIMEOUT).await?;
    tell.timed("connected again");
    drop((post, kenya, thailand));
    scene.audit().await.map(drop)
}

/// An operation of three; then one of them must not hear something.
///
/// # Errors
/// When anything does not happen as it must.
pub(super) async fn denied(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    let (folder, running, tell) = scene.split()?;
    tell.step("Kenya founds an operation with its post and with Thailand");
    let [mut kenya, mut thailand] = [folder.client(running, "ke").await?, folder.client(running, "th").await?];
    let [mut post, mut secretariat] = [folder.client(running, "ke/cus/kemba").await?, folder.client(running, "ipsg/ens").await?];
    let operation = Address::parse(&format!("grp/op/{}", opaque()?))?;
    let members = ["ke", "ke/cus/kemba", "th"].map(Address::parse).into_iter().collect::<Result<Vec<_>, _>>()?;
    kenya.set_group(&operation, members, GroupSenders::Members, None).await?;
    tell.timed(&format!("{operation}: its name says nothing, and only its members know of it"));
    for client in [&mut thailand, &mut post, &mut secretariat] {
        client.refresh_directory().await?;
    }
    ensure!(secretariat.groups().iter().all(|(group, _)| *group != operation), "the General Secretariat sees the group");
    tell.say("ipsg/ens, which does not belong to it, is shown nothing");

    tell.step("The post writes to the operation");
    let name = operation.to_string();
    let sent = post.send(to(&[&name], "a lorry with logs, two hours from the border")?).await?;
    tell.timed(&format!("{} went to {}", sent.reference, recipients(&mut post, &sent.reference).await?));
    receive(&mut thailand).await?;
    let opened = thailand.open(&sent.reference)?;
    tell.timed(&format!("th opens it: it came through {}", opened.header.context.via_group.as_ref().map_or("nothing", Address::as_str)));

    tell.step("Something is not for Thailand");
    let quiet = Compose { except: vec![Address::parse("th")?], ..to(&[&name], "the driver talks of an officer in Bangkok")? };
    let sent = post.send(quiet).await?;
    tell.timed(&format!("{} went to {}", sent.reference, recipients(&mut post, &sent.reference).await?));
    receive(&mut kenya).await?;
    let opened = kenya.open(&sent.reference)?;
    ensure!(opened.header.context.via_group.is_none(), "the header names the group");
    tell.say("the header names no group: nothing tells anybody that somebody is missing");
    let mail = receive(&mut thailand).await?;
    ensure!(mail.received.iter().all(|one| one.reference != sent.reference), "th got it");
    tell.timed("th asks for its mail, and nothing is there");
    drop((kenya, thailand, post, secretariat));
    scene.audit().await.map(drop)
}

fn reports_to_bureaus() -> Grant {
    in_order(Grant {
        kinds: [Kind::Ecomessage, Kind::Alert].map(Into::into).to_vec(),
        priorities: [Priority::Routine, Priority::Urgent, Priority::Flash].map(Into::into).to_vec(),
        classifications: [Classification::OfficialUseOnly, Classification::Restricted].map(Into::into).to_vec(),
        audience: Audience::Bureaus.into(),
        expires_ms: 0,
    })
}

fn to(recipients: &[&str], text: &str) -> anyhow::Result<Compose> {
    let to = recipients.iter().map(|text| Address::parse(text)).collect::<Result<Vec<_>, _>>()?;
    Ok(Compose { media_type: "text/plain; charset=utf-8".to_owned(), ..Compose::new(to, text.as_bytes().to_vec()) })
}

async fn recipients(sender: &mut Client, reference: &envelope::Reference) -> anyhow::Result<String> {
    let all: Vec<String> = sender.status(reference).await?.into_iter().map(|one| one.recipient).collect();
    Ok(all.join(", "))
}

fn refused<T: std::fmt::Debug>(outcome: Result<T, Error>, name: &str, tell: &mut Narrator) -> anyhow::Result<()> {
    let error = outcome.err().with_context(|| format!("it was taken, and {name} was due"))?;
    ensure!(error.name() == Some(name), "refused, but with another name: {error}");
    tell.timed(&error.to_string());
    Ok(())
}
