//! `held`, `permit` and `deletion`: a bureau's or a desk's word about messages.

use std::process::ExitCode;

use content::{Form, Payload};
use envelope::genesis::hex;
use envelope::{Reference, Timestamp};
use proto::v1::{Kind, ReleaseReason, ReleaseVerdict};
use serde::Serialize;

use super::args::{DeletionCommand, HeldCommand, PermitCommand};
use super::secrets::Secrets;
use super::{args, print, reports};
use crate::holds::{Permission, Permit};
use crate::words::{Word as _, media_type_of};
use crate::{Client, Compose, Error, ReceiveOptions, clock};

pub(super) async fn held(held: &args::Held, secrets: &Secrets, way: &args::Way) -> Result<ExitCode, Error> {
    let office = held.command.office();
    let profile = super::open(&office.profile, secrets, super::PROFILE_WAIT, way).await?;
    let mut client = super::connect(&profile, way).await?;
    client.receive(ReceiveOptions::default()).await?;
    let (reference, verdict, reason) = match &held.command {
        HeldCommand::List(_) => {
            let waiting = client.held()?;
            if waiting.is_empty() {
                print::note(&format!("nothing waits for the word of {}", client.address()));
            }
            waiting.iter().for_each(|message| print::received(message, office.json));
            return Ok(ExitCode::SUCCESS);
        }
        HeldCommand::Release(one) => (&one.reference, ReleaseVerdict::Released, ReleaseReason::None),
        HeldCommand::Refuse(one) => (&one.reference, ReleaseVerdict::Refused, one.reason),
    };
    client.give_word(reference, verdict, reason).await?;
    print::note(&format!("{reference} is {}", verdict.word()));
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn permit(permit: &args::Permit, secrets: &Secrets, way: &args::Way) -> Result<ExitCode, Error> {
    let office = permit.command.office();
    let profile = super::open(&office.profile, secrets, super::PROFILE_WAIT, way).await?;
    let mut client = super::connect(&profile, way).await?;
    let (subject, what) = match &permit.command {
        PermitCommand::List(_) => {
            let all = client.permissions();
            if all.is_empty() {
                print::note(&format!("{} gave no permission and was given none", client.address()));
            }
            all.iter().for_each(|one| say(&client, one, office.json));
            return Ok(ExitCode::SUCCESS);
        }
        PermitCommand::Waive(one) => (&one.address, Permit::Waiver { lifetime_ms: u64::from(one.days) * DAY_MS }),
        PermitCommand::Onward(one) => (&one.address, Permit::Onward { message: one.message.clone(), recipients: one.to.clone() }),
        PermitCommand::Countersign(one) => (&one.address, Permit::Countersignature { message: one.message.clone() }),
    };
    let given = client.permit(subject, &what).await?;
    say(&client, &given, office.json);
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct PermissionLine<'a> {
    digest: String,
    kind: String,
    issuer: &'a str,
    subject: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    recipients: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    ended: bool,
}

fn say(client: &Client, permission: &Permission, json: bool) {
    let row = &permission.row;
    let (digest, kind) = (hex(&permission.digest), row.kind().word());
    let until = (row.expires_ms != 0).then(|| Timestamp(row.expires_ms).to_string());
    let ended = row.expires_ms != 0 && row.expires_ms <= clock::now().ms();
    let message = client.message_named(&row.message_id);
    if json {
        let (issuer, subject, recipients) = (row.issuer.as_str(), row.subject.as_str(), &row.recipients[..]);
        return print::json(&PermissionLine { digest, kind, issuer, subject, message, recipients, until, ended });
    }
    let of = message.map_or_else(String::new, |message| format!(" of {message}"));
    let to = if row.recipients.is_empty() { String::new() } else { format!(" to {}", row.recipients.join(", ")) };
    let until = until.map_or_else(String::new, |until| format!(", {} {until}", if ended { "ended" } else { "until" }));
    print::line(&format!("{}  {kind} for {} by {}{of}{to}{until}", &digest[..DIGITS_SHOWN], row.subject, row.issuer));
}

pub(super) async fn deletion(deletion: &args::Deletion, secrets: &Secrets, way: &args::Way) -> Result<ExitCode, Error> {
    match &deletion.command {
        DeletionCommand::Attest(attest) => self::attest(attest, secrets, way).await,
        DeletionCommand::Status(status) => self::status(status, secrets, way).await,
    }
}

async fn attest(attest: &args::Attest, secrets: &Secrets, way: &args::Way) -> Result<ExitCode, Error> {
    let content = std::fs::read(&attest.file).map_err(|cause| Error::File { what: "read", path: attest.file.clone(), cause })?;
    let name = attest.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let about = (Some(&attest.reference), None);
    let (media_type, content) = reports::sealed(Kind::DeletionAttestation, about, &attest.file, media_type_of(&name), content)?;
    let profile = super::open(&attest.office.profile, secrets, super::PROFILE_WAIT, way).await?;
    let mut client = super::connect(&profile, way).await?;
    client.receive(ReceiveOptions::default()).await?;
    is_deletion(&client, &attest.reference)?;
    let content = of_this(&client, &attest.reference, &media_type, content)?;
    if let Some(before) = client.attested(&attest.reference)? {
        print::note(&format!("{before} has said so before; this one is sent, too"));
    }
    let to = client.concerned(&attest.reference)?;
    let sent = client
        .send(Compose { kind: Kind::DeletionAttestation, target: Some(attest.reference.clone()), media_type, ..Compose::new(to, content) })
        .await?;
    print::note(&format!("{}: {} is told that {} was carried out", sent.reference, attest.reference.sender, attest.reference));
    Ok(ExitCode::SUCCESS)
}

/// An attestation names this deletion and what that deletes, or nothing; then it names them now.
fn of_this(client: &Client, deletion: &Reference, media_type: &str, content: Vec<u8>) -> Result<Vec<u8>, Error> {
    let Some(form) = Form::of_media_type(media_type) else { return Ok(content) };
    let target = client.header_of(deletion)?.context.target;
    let of = target.map(|id| client.reference_of_message(&id)).transpose()?.flatten().map_or_else(String::new, |one| one.to_string());
    let wrong = |error: content::ContentError| Error::Argument(error.to_string());
    let mut payload = Payload::decode(form, &content).map_err(wrong)?;
    payload.fill("of", &of);
    let said: content::v1::DeletionAttestation = payload.message_as().map_err(wrong)?;
    for (field, named, meant) in [("deletion", &said.deletion, &deletion.to_string()), ("of", &said.of, &of)] {
        if !meant.is_empty() && named != meant {
            return Err(Error::Argument(format!("the attestation says {field} {named:?}, and {deletion} is about {meant}")));
        }
    }
    Ok(payload.encode())
}

fn is_deletion(client: &Client, reference: &Reference) -> Result<(), Error> {
    match client.header_of(reference)?.context.kind {
        Kind::Deletion => Ok(()),
        _ => Err(Error::Argument(format!("{reference} is no deletion"))),
    }
}

#[derive(Serialize)]
struct AttestationLine {
    recipient: String,
    attested: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_ms: Option<u64>,
}

async fn status(status: &args::DeletionStatus, secrets: &Secrets, way: &args::Way) -> Result<ExitCode, Error> {
    let profile = super::open(&status.office.profile, secrets, super::PROFILE_WAIT, way).await?;
    let mut client = super::connect(&profile, way).await?;
    client.receive(ReceiveOptions::default()).await?;
    if status.reference.sender != *client.address() {
        return Err(Error::Argument(format!("only {} hears who has carried {} out", status.reference.sender, status.reference)));
    }
    is_deletion(&client, &status.reference)?;
    for (recipient, attestation) in client.attestations(&status.reference)? {
        let (reference, at) = attestation.map(|one| (one.reference.to_string(), one.at)).unzip();
        if status.office.json {
            let line =
                AttestationLine { recipient: recipient.to_string(), attested: at.is_some(), reference, at_ms: at.map(Timestamp::ms) };
            print::json(&line);
            continue;
        }
        let said = match (reference, at) {
            (Some(reference), Some(at)) => format!("deleted, {reference} of {at}"),
            _ => "has not attested yet".to_owned(),
        };
        print::line(&format!("{:<24} {said}", recipient.to_string()));
    }
    Ok(ExitCode::SUCCESS)
}

const DAY_MS: u64 = 86_400_000;
/// Digits of a digest that are shown; they name it.
const DIGITS_SHOWN: usize = 16;
