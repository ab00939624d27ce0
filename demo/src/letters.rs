//! What people in the stories do with a message: write it, send it, read it, or hear nothing of it. Each says what its side sees.
//!
//! It does not know what a message is about.

use anyhow::{Context as _, ensure};
use client::words::Word as _;
use client::{Client, Compose, Mail, Opened, ReceiveOptions, Sent};
use content::{Form, Payload};
use envelope::keys::random;
use envelope::{Address, Reference};
use proto::v1::{GroupSenders, Kind};

use crate::narrator::Narrator;

/// A message of this kind, in the kind's form: JSON, or a text for the field in which the form has one.
///
/// # Errors
/// When an address is none, or the form is not like this.
pub(crate) fn letter(kind: Kind, to: &[&str], text: &str) -> anyhow::Result<Compose> {
    let (media_type, content) = form(kind, text)?;
    Ok(Compose { kind, media_type, ..Compose::new(addresses(to)?, content) })
}

/// Media type and content of a form.
///
/// # Errors
/// When the form is not like this.
pub(crate) fn form(kind: Kind, text: &str) -> anyhow::Result<(String, Vec<u8>)> {
    let form = Form::of_name(&kind.word()).with_context(|| format!("{} has no form", kind.word()))?;
    let place: &[&str] = match kind {
        Kind::Alert => &["seen"],
        Kind::Diffusion => &["body", "text"],
        _ => &["text"],
    };
    let said = || place.iter().rev().fold(serde_json::json!(text), |inner, name| serde_json::json!({ *name: inner })).to_string();
    let json = if text.starts_with('{') { text.to_owned() } else { said() };
    Ok((form.media_type().to_owned(), Payload::from_json(form, json.as_bytes())?.encode()))
}

/// What a reader sees of a content: of a form each field that says something, of anything else the text.
pub(crate) fn shown(opened: &Opened) -> String {
    let form = Form::of_media_type(&opened.media_type).and_then(|form| Payload::decode(form, &opened.content).ok());
    let Some(payload) = form else { return String::from_utf8_lossy(&opened.content).into_owned() };
    match &payload.lines()[..] {
        [(_, text)] => text.clone(),
        lines => {
            let name = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
            lines.iter().map(|(path, value)| format!("{}: {value}", name(path))).collect::<Vec<_>>().join("; ")
        }
    }
}

/// The same, as the answer to a message.
///
/// # Errors
/// When an address is none.
pub(crate) fn answer(kind: Kind, to: &[&str], about: &Reference, text: &str) -> anyhow::Result<Compose> {
    Ok(Compose { in_reply_to: Some(about.clone()), ..letter(kind, to, text)? })
}

pub(crate) fn addresses(texts: &[&str]) -> anyhow::Result<Vec<Address>> {
    Ok(texts.iter().map(|text| Address::parse(text)).collect::<Result<_, _>>()?)
}

/// Sends, and says where it stands and to whom it went.
///
/// # Errors
/// When it is refused, or nobody answers.
pub(crate) async fn send(sender: &mut Client, message: Compose, tell: &mut Narrator) -> anyhow::Result<Sent> {
    let (kind, priority) = (message.kind.word(), message.priority.word());
    let sent = sender.send(message).await?;
    let recipients = &sender.header_of(&sent.reference)?.context.recipients;
    let recipients: Vec<&str> = recipients.iter().map(Address::as_str).collect();
    let waits = sent.held_by.as_ref().map(|desk| format!("; it waits for the word of {desk}")).unwrap_or_default();
    let place = sent.position.index;
    tell.timed(&format!("{}: {kind}, {priority}, durable at entry {place}, sealed to {}{waits}", sent.reference, recipients.join(", ")));
    Ok(sent)
}

/// Fetches the mail, opens the message and acknowledges it; says what was read.
///
/// # Errors
/// When it is not there, or does not prove itself.
pub(crate) async fn read(reader: &mut Client, reference: &Reference, tell: &mut Narrator) -> anyhow::Result<Opened> {
    let opened = opened(reader, reference).await?;
    let text = shown(&opened);
    tell.timed(&format!("{} reads and acknowledges {reference}: \"{text}\"", reader.address()));
    Ok(opened)
}

/// Several read the same; what they read is said once.
///
/// # Errors
/// As [`read`].
pub(crate) async fn all_read(readers: &mut [&mut Client], reference: &Reference, tell: &mut Narrator) -> anyhow::Result<Vec<Opened>> {
    let mut all = Vec::with_capacity(readers.len());
    for reader in readers.iter_mut() {
        all.push(opened(reader, reference).await?);
    }
    let names: Vec<&str> = readers.iter().map(|reader| reader.address().as_str()).collect();
    ensure!(all.windows(2).all(|two| two[0].content == two[1].content), "one of {names:?} reads something else");
    let text = all.first().map(shown).unwrap_or_default();
    tell.timed(&format!("{} read and acknowledge {reference}: \"{text}\"", names.join(", ")));
    Ok(all)
}

async fn opened(reader: &mut Client, reference: &Reference) -> anyhow::Result<Opened> {
    receive(reader).await?;
    let opened = reader.open(reference)?;
    ensure!(opened.message.finding.is_none(), "{:?}", opened.message.finding);
    reader.acknowledge(reference).await?;
    Ok(opened)
}

/// Fetches the mail, and the message is not in it.
///
/// # Errors
/// When it is.
pub(crate) async fn hears_nothing(reader: &mut Client, reference: &Reference, tell: &mut Narrator) -> anyhow::Result<()> {
    receive(reader).await?;
    ensure!(reader.inbox()?.iter().all(|one| one.reference != *reference), "{} has {reference}", reader.address());
    tell.timed(&format!("{} asks for its mail, and nothing of it is there", reader.address()));
    Ok(())
}

/// Says what became of one's own message at each recipient.
///
/// # Errors
/// Whatever the gateway says.
pub(crate) async fn standing(sender: &mut Client, reference: &Reference, tell: &mut Narrator) -> anyhow::Result<()> {
    for one in sender.status(reference).await? {
        tell.say(&format!("{reference} -> {}: {}", one.recipient, one.state().word()));
    }
    Ok(())
}

pub(crate) async fn receive(client: &mut Client) -> anyhow::Result<Mail> {
    let mail = client.receive(ReceiveOptions { follow: false }).await?;
    ensure!(mail.unsound.is_empty() && mail.missing.is_empty(), "{}: {:?} {:?}", client.address(), mail.unsound, mail.missing);
    Ok(mail)
}

/// Founds an operation: its name says nothing. Members learn of it when they fetch the directory.
///
/// # Errors
/// Whatever the gateway says.
pub(crate) async fn found(owner: &mut Client, members: &[&str], tell: &mut Narrator) -> anyhow::Result<Address> {
    let operation = Address::parse(&format!("grp/op/{}", opaque()?))?;
    owner.set_group(&operation, addresses(members)?, GroupSenders::Members, None).await?;
    tell.timed(&format!("{operation}, with {}; its name says nothing, and only they know of it", members.join(", ")));
    Ok(operation)
}

/// The operation is over: nobody belongs to it any more.
///
/// # Errors
/// Whatever the gateway says.
pub(crate) async fn close(owner: &mut Client, operation: &Address, tell: &mut Narrator) -> anyhow::Result<()> {
    owner.set_group(operation, Vec::new(), GroupSenders::Members, None).await?;
    tell.timed(&format!("{} closes {operation}", owner.address()));
    Ok(())
}

/// A name that nobody has had.
///
/// # Errors
/// When there are no random bytes.
pub(crate) fn opaque() -> anyhow::Result<String> {
    Ok(random::<4>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}
