//! The story: a border post's report reaches two bureaus and the General Secretariat, a forger does not, an auditor proves it.

use anyhow::{Context as _, bail, ensure};
use client::words::Word as _;
use client::{Client, Compose, Sent};
use envelope::Reference;
use gateway::Running;
use proto::v1::{Kind, Priority};

use crate::forger;
use crate::letters::{answer, form, letter, receive, shown};
use crate::narrator::{Narrator, size};
use crate::network::Folder;
use crate::scene::{Scene, audited};

/// Who takes part.
const CAST: [&str; 5] = ["ke", "th", "ke/cus/kemba", "ipsg/ens", "aud/network"];

/// Everybody in the story, connected.
struct Cast {
    kenya: Client,
    thailand: Client,
    post: Client,
    secretariat: Client,
    auditor: Client,
}

/// Plays the story against a running gateway; gives the place of the report in the log.
///
/// # Errors
/// When anything does not happen as it must.
pub(super) async fn play(scene: &mut Scene<'_>) -> anyhow::Result<u64> {
    let (folder, running, tell) = scene.split()?;
    let mut cast = meet(folder, running, tell).await?;
    let sent = report(&mut cast, tell).await?;
    for reader in [&mut cast.kenya, &mut cast.thailand, &mut cast.secretariat] {
        read(reader, &sent.reference, tell).await?;
    }
    reply(&mut cast, &sent.reference, tell).await?;
    forge(folder, running, &mut cast, tell).await?;
    audited(&mut cast.auditor, tell).await?;
    Ok(sent.position.index)
}

async fn meet(folder: &Folder, running: &Running, tell: &mut Narrator) -> anyhow::Result<Cast> {
    tell.step("Everybody connects and has an encryption key that the others can trust");
    let mut clients = Vec::new();
    for member in CAST {
        clients.push(folder.client(running, member).await.with_context(|| format!("{member} does not connect"))?);
    }
    let [kenya, thailand, post, secretariat, auditor] = <[Client; 5]>::try_from(clients).map_err(|_| anyhow::anyhow!("five clients"))?;
    tell.timed(&format!("{} participants connected over TLS 1.3 with client certificates", CAST.len()));
    let mut cast = Cast { kenya, thailand, post, secretariat, auditor };
    for client in [&mut cast.kenya, &mut cast.thailand, &mut cast.post, &mut cast.secretariat, &mut cast.auditor] {
        client.refresh_directory().await?;
    }
    tell.say(&format!("each holds the whole directory, {} signed statements, and has checked it", cast.post.directory().size()));
    Ok(cast)
}

async fn report(cast: &mut Cast, tell: &mut Narrator) -> anyhow::Result<Sent> {
    tell.step("The border post ke/cus/kemba reports an ivory container");
    let message = Compose { priority: Priority::Urgent, ..letter(Kind::Ecomessage, &["th", "ipsg/ens"], REPORT)? };
    let bytes = message.content.len();
    let sent = cast.post.send(message).await?;
    tell.timed(&format!(
        "{} is durable at entry {} of the log: {} of report, {} sealed and signed",
        sent.reference,
        sent.position.index,
        size(bytes),
        size(sent.bytes.len())
    ));
    tell.say("sealed to th and ipsg/ens, and to ke: the copy to the own bureau was added by itself");
    tell.say(&format!(
        "the gateway cannot read it; the post keeps a receipt ({})",
        size(std::fs::metadata(&sent.receipt_path)?.len() as usize)
    ));
    Ok(sent)
}

async fn read(reader: &mut Client, reference: &Reference, tell: &mut Narrator) -> anyhow::Result<()> {
    let address = reader.address().clone();
    tell.step(&format!("{address} receives and opens it"));
    let mail = receive(reader).await?;
    ensure!(mail.received.iter().any(|received| received.reference == *reference), "{address} did not receive {reference}");
    let opened = reader.open(reference)?;
    ensure!(opened.content == form(Kind::Ecomessage, REPORT)?.1, "{address} opened other bytes than were sent");
    tell.timed(&format!(
        "{}: signature of {} and receipt verified, {} opened, byte for byte as sent",
        reference,
        reference.sender,
        size(opened.content.len())
    ));
    reader.acknowledge(reference).await?;
    tell.timed("acknowledged: that a person has seen it is in the log, signed");
    Ok(())
}

async fn reply(cast: &mut Cast, reference: &Reference, tell: &mut Narrator) -> anyhow::Result<()> {
    tell.step("th replies to the border post, with the copy to ke");
    tell.say("the network's genesis opens this post to foreign bureaus; others would be told OVERSIGHT_MISSING");
    let sent = cast.thailand.send(answer(Kind::Reply, &["ke/cus/kemba"], reference, REPLY)?).await?;
    tell.timed(&format!("{} is durable at entry {}", sent.reference, sent.position.index));
    receive(&mut cast.post).await?;
    let opened = cast.post.open(&sent.reference)?;
    ensure!(shown(&opened) == REPLY, "the post opened other bytes than were sent");
    tell.timed(&format!("the post reads: \"{REPLY}\""));
    receive(&mut cast.kenya).await?;
    cast.kenya.open(&sent.reference)?;
    tell.say("ke, which answers for the post, opens its copy");
    for status in cast.post.status(reference).await? {
        tell.say(&format!("{reference} -> {}: {}", status.recipient, status.state().word()));
    }
    Ok(())
}

async fn forge(folder: &Folder, running: &Running, cast: &mut Cast, tell: &mut Narrator) -> anyhow::Result<()> {
    tell.step("A forger in th, with a real certificate of th, wants to speak as ke/cus/kemba");
    let gateway = format!("https://{}", running.address);
    match forger::knock(&folder.pki(), &gateway, &cast.thailand).await? {
        Ok(()) => bail!("the forger came through the door"),
        Err(error) => tell.say(&format!("at the door, with ke's CA certificate thrown into the chain: {error}")),
    }
    let log = std::fs::read_to_string(folder.log_path())?;
    let line = log
        .lines()
        .rev()
        .find(|line| line.contains("outside its issuer's subtree"))
        .context("the gateway's log does not name the reason")?;
    tell.say(&format!("the gateway's log says: {}", line.split("reason=").nth(1).unwrap_or(line)));
    match forger::impersonate(&folder.pki(), &mut cast.thailand).await? {
        Ok(()) => bail!("the forger's message was taken"),
        Err(error) => {
            ensure!(error.name() == Some("NOT_SENDER"), "refused, but with another name: {error}");
            tell.timed(&format!("with its own certificate over a header of the post: {error}"));
        }
    }
    Ok(())
}

const REPORT: &str = r#"{
  "heading": { "reportType": "initial", "crimeArea": "wildlife" },
  "incident": { "what": "seizure", "place": { "locode": { "raw": "KEMBA" } }, "concealment": "tea leaves" },
  "goods": [{ "taxon": "Loxodonta africana", "term": "tusks", "quantity": { "mantissa": 312, "unit": "kg" } }],
  "transports": [{ "mode": "sea", "container": { "raw": "CSQU3054383" }, "legs": [{ "at": "UGKLA", "role": "origin" },
    { "at": "KEMBA", "role": "export" }, { "at": "THLCH", "role": "destination" }] }],
  "requests": [{ "kind": "identify", "question": "Who is the consignee in Laem Chabang?" }]
}"#;
const REPLY: &str = "Consignee known here. Controlled delivery under way; please keep the seal number.";
