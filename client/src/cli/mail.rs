//! `inbox`, `open` and `ack`.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::words::{Escaped, EscapedLines, Word as _};
use crate::{CONNECT_TIMEOUT, Client, Credentials, Error, Link, Mail, Opened, Profile, ReceiveOptions};
use envelope::Reference;
use proto::v1::Kind;

use super::secrets::Secrets;
use super::{advices, args, print, querying, reports};

pub(super) async fn inbox(inbox: &args::Inbox, secrets: &Secrets, way: &args::Way) -> Result<ExitCode, Error> {
    if inbox.follow {
        return follow(inbox, secrets, way).await;
    }
    let profile = super::open(&inbox.profile, secrets, super::PROFILE_WAIT, way).await?;
    let visited = match super::connect(&profile, way).await {
        Ok(mut client) => client.receive(ReceiveOptions::default()).await,
        Err(error) => Err(error),
    };
    // What is here is shown whatever the gateway says.
    let client = Client::offline(&profile)?;
    for message in client.inbox()? {
        print::received(&message, inbox.json);
    }
    advices::news(&client)?;
    let mail = visited?;
    Ok(report(&mail))
}

/// Lists what is here, then what comes, until it is interrupted. The profile is open only during a visit, so that other
/// commands work beside it; the connection is kept, and a lost one is made again.
async fn follow(inbox: &args::Inbox, secrets: &Secrets, way: &args::Way) -> Result<ExitCode, Error> {
    // What the keys need is asked for once, before anything is listed.
    drop(super::open(&inbox.profile, secrets, super::PROFILE_WAIT, way).await?);
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    let mut follower = Follower { link: None, shown: BTreeSet::new(), missing: Vec::new() };
    let mut trouble = String::new();
    let mut pause = PAUSE_MIN;
    loop {
        let began = Instant::now();
        let visited = tokio::select! {
            _ = &mut interrupted => return Ok(ExitCode::SUCCESS),
            visited = follower.visit(inbox, secrets, way) => visited,
        };
        match visited {
            Ok(mail) => {
                let code = report(&mail);
                if !mail.unsound.is_empty() {
                    return Ok(code);
                }
                trouble.clear();
                // Others get most of the time.
                pause = PAUSE_MIN.max(began.elapsed() * 4);
            }
            Err(error @ Error::Unreachable { .. }) => {
                // The same trouble is told once.
                let text = error.to_string();
                if text != trouble {
                    print::note(&text);
                    trouble = text;
                }
                pause = (pause * 2).min(PAUSE_MAX);
            }
            // Somebody else's visit takes long.
            Err(Error::InUse(_)) => {}
            Err(other) => return Err(other),
        }
        tokio::select! {
            _ = &mut interrupted => return Ok(ExitCode::SUCCESS),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// What a follower keeps from visit to visit.
struct Follower {
    link: Option<Link>,
    /// Mailbox numbers of the messages that were listed.
    shown: BTreeSet<u64>,
    /// Missing numbers that were told last.
    missing: Vec<u64>,
}

impl Follower {
    async fn visit(&mut self, inbox: &args::Inbox, secrets: &Secrets, way: &args::Way) -> Result<Mail, Error> {
        let link = match self.link.take().filter(|link| !link.is_closed()) {
            Some(link) => Ok(link),
            // The profile is not held while nobody answers.
            None => {
                let (gateway, route, trust) = Profile::server(&inbox.profile)?;
                let route = way.transport.map_or(route, Into::into);
                let credentials = Credentials::read_unlocked(&inbox.profile, secrets.unlock().passphrase.as_ref())?;
                Link::connect_by(&route, &gateway, &trust, credentials, CONNECT_TIMEOUT).await
            }
        };
        let profile = Profile::open_within(&inbox.profile, &secrets.unlock(), super::PROFILE_WAIT).await?;
        let visited = self.fetch(&profile, link, way).await;
        // What another command fetched is new to this list, too; and it is shown whatever the gateway says.
        let client = Client::offline(&profile)?;
        for message in client.inbox()? {
            if self.shown.insert(message.mailbox_seq) {
                print::received(&message, inbox.json);
            }
        }
        advices::news(&client)?;
        let mut mail = visited?;
        if mail.missing == self.missing {
            mail.missing.clear();
        } else {
            self.missing.clone_from(&mail.missing);
        }
        Ok(mail)
    }

    async fn fetch(&mut self, profile: &Profile, link: Result<Link, Error>, way: &args::Way) -> Result<Mail, Error> {
        let link = link?;
        let mut client = Client::offline(profile)?;
        super::reach(&mut client, Some(link), FLUSH_WAIT, way).await?;
        let mail = client.receive(ReceiveOptions::default()).await?;
        self.link = client.link().cloned();
        Ok(mail)
    }
}

/// Says what did not prove itself.
pub(super) fn unsound(mail: &Mail) {
    for text in &mail.unsound {
        eprintln!("VERIFICATION_FAILED: {}", Escaped(text));
    }
}

/// What was wrong with a visit; 5 when something did not prove itself.
fn report(mail: &Mail) -> ExitCode {
    unsound(mail);
    if !mail.missing.is_empty() {
        let numbers: Vec<String> = mail.missing.iter().take(20).map(u64::to_string).collect();
        print::note(&format!("numbers of the mailbox that were not delivered (expired, purged or withheld): {}", numbers.join(", ")));
    }
    let findings = mail.received.iter().any(|message| message.finding.is_some());
    if mail.unsound.is_empty() && !findings { ExitCode::SUCCESS } else { ExitCode::from(5) }
}

pub(super) async fn open(open: &args::Open, secrets: &Secrets, way: &args::Way) -> Result<ExitCode, Error> {
    if let Some(out) = open.out.as_ref().filter(|out| !open.force && out.symlink_metadata().is_ok()) {
        return Err(Error::Exists(out.clone()));
    }
    let profile = super::open(&open.profile, secrets, super::PROFILE_WAIT, way).await?;
    let mut client = Client::offline(&profile)?;
    let opened = match client.open(&open.reference) {
        Err(Error::NotHere(_)) => {
            client = fetch(&profile, way).await?;
            client.open(&open.reference)?
        }
        other => other?,
    };
    describe(&opened);
    said_of(&client, &open.reference)?;
    querying::hits_in(&client, &opened)?;
    let report = if open.raw { None } else { reports::opened(&opened.media_type, &opened.content).transpose()? };
    match (&open.out, &report) {
        (Some(out), Some(report)) => write(out, format!("{}\n", report.to_json()).as_bytes(), open.force)?,
        (Some(out), None) => write(out, &opened.content, open.force)?,
        (None, Some(report)) if open.json => print::json_text(&report.to_json()),
        (None, Some(report)) => {
            report.lines().iter().for_each(|(path, value)| print::line(&format!("{path:<32} {}", Escaped(value))));
        }
        (None, None) => show(&opened, open.json)?,
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn acknowledge(ack: &args::Ack, secrets: &Secrets, way: &args::Way) -> Result<ExitCode, Error> {
    let profile = super::open(&ack.profile, secrets, super::PROFILE_WAIT, way).await?;
    let mut client = super::connect(&profile, way).await?;
    if !is_here(&client, &ack.reference)? {
        client.receive(ReceiveOptions::default()).await?;
    }
    client.acknowledge(&ack.reference).await?;
    print::note(&format!("{} is acknowledged", ack.reference));
    Ok(ExitCode::SUCCESS)
}

async fn fetch(profile: &Profile, way: &args::Way) -> Result<Client, Error> {
    let mut client = super::connect(profile, way).await?;
    let mail = client.receive(ReceiveOptions::default()).await?;
    report(&mail);
    Ok(client)
}

fn is_here(client: &Client, reference: &Reference) -> Result<bool, Error> {
    Ok(client.inbox()?.iter().any(|message| message.reference == *reference))
}

fn describe(opened: &Opened) {
    let (message, context) = (&opened.message, &opened.header.context);
    let to: Vec<&str> = context.recipients.iter().map(envelope::Address::as_str).collect();
    print::note(&format!("{}  entry {}", message.reference, message.position.index));
    print::note(&format!("signed by {}, in the ledger since {}", context.reference.sender, message.at));
    let exercise = if context.exercise { ", exercise" } else { "" };
    let (kind, priority, classification) = (context.kind.word(), context.priority.word(), context.classification.word());
    print::note(&format!("{kind}, {priority}, {classification}, handling {}{exercise}", context.handling.word()));
    print::note(&format!("to {}", to.join(", ")));
    match (&opened.in_reply_to, &context.in_reply_to) {
        (Some(reference), _) => print::note(&format!("in reply to {reference}")),
        (None, Some(id)) => print::note(&format!("in reply to a message that is not in this profile, id {}", envelope::genesis::hex(id))),
        (None, None) => {}
    }
    print::note(&format!("{}, {} bytes", opened.media_type, opened.content.len()));
}

/// Notes what its sender has said of a message since.
pub(super) fn said_of(client: &Client, reference: &Reference) -> Result<(), Error> {
    for one in client.said_of(reference)? {
        let said = match one.kind {
            Kind::Deletion => "is to be deleted",
            _ => "is corrected",
        };
        print::note(&format!("{reference} {said}: {} of {}; `ecowire open` shows why", one.reference, one.at));
    }
    Ok(())
}

fn show(opened: &Opened, json: bool) -> Result<(), Error> {
    let Ok(text) = std::str::from_utf8(&opened.content) else {
        let text = format!("the content is no text ({} bytes of {}): give --out FILE", opened.content.len(), opened.media_type);
        return Err(Error::Argument(text));
    };
    if json {
        print::json(&serde_json::json!({"media_type": opened.media_type, "text": text}));
        return Ok(());
    }
    print::line(EscapedLines(text).to_string().trim_end_matches('\n'));
    Ok(())
}

pub(super) fn write(path: &Path, content: &[u8], force: bool) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    if force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let written = options.open(path).and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()));
    written.map_err(|cause| match cause.kind() {
        std::io::ErrorKind::AlreadyExists => Error::Exists(path.to_owned()),
        _ => Error::File { what: "write", path: path.to_owned(), cause },
    })
}

/// A follower's flush must not keep the profile from other commands.
const FLUSH_WAIT: Duration = Duration::from_secs(1);
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);
