//! The facts: files, disk, store and gateway as they are. Nothing is judged here, and whatever is missing is a fact, too.

use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use envelope::identity::{Certified, Description, IdentityError, NothingRevoked, Role, describe};
use envelope::keys::SigningKey;
use envelope::trust::Trust;
use envelope::{Address, Network, Reference, Timestamp};
use exchange::state::Rows as _;
use proto::v1::audit_client::AuditClient;
use proto::v1::{self, ParticipantState, Priority, RecipientState};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;

use crate::custody::Unlock;
use crate::directory::Head;
use crate::link::{self, Credentials, Link, Route, Transport, chain_text};
use crate::outbox::Item;
use crate::store::{Store, Table};
use crate::{Client, Error, Profile, clock, files, inbox};

/// Who the profile says that it is, and where its gateway is.
pub(super) struct Own {
    pub(super) address: String,
    pub(super) gateway: String,
    pub(super) transport: Transport,
}

/// A file or folder of the profile.
#[derive(Clone, Debug)]
pub(super) struct FileFact {
    pub(super) name: String,
    /// Permission bits; `None` when it is not there.
    pub(super) mode: Option<u32>,
    pub(super) secret: bool,
}

/// One of the profile's two chains.
#[derive(Debug)]
pub(super) struct CertificateFacts {
    /// `tls` or `identity`.
    pub(super) name: &'static str,
    /// The chain, leaf first, then the roots.
    pub(super) described: Vec<Description>,
    /// Certificates of the chain, without the roots.
    pub(super) length: usize,
    pub(super) judged: Result<Certified, IdentityError>,
    pub(super) key: KeyFact,
    pub(super) network: Network,
}

/// What a private key has to do with its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum KeyFact {
    Fits,
    /// It is another certificate's.
    Other,
    /// It cannot be compared without its passphrase or token.
    Locked,
    Unread(String),
}

/// The disk below the profile.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    pub(super) free_bytes: Option<u64>,
    /// Why a file cannot be written beside the profile's.
    pub(super) write: Option<String>,
}

/// The store, and the profile when it can be opened whole.
pub(super) struct Open {
    pub(super) profile: Option<Profile>,
    store: Option<Store>,
}

/// Why the store was not looked into.
#[derive(Clone, Debug)]
pub(super) enum Closed {
    InUse,
    Absent,
    Fault(String),
}

/// How far one gets.
#[derive(Clone, Debug)]
pub(super) enum Reach {
    /// No address, or nobody listens.
    NoPort(String),
    /// Somebody listens, but no gateway answers.
    NoAnswer(String),
    /// The server is not the node.
    Server(String),
    /// The gateway takes none of this certificate.
    Refused(String),
    /// It has taken the certificate, and then something did not prove itself or was refused.
    Unsound(String),
    /// It has taken the certificate; the name of the node. The profile was not open to go further.
    Linked(String),
    /// Checkpoint and directory hold; the name of the node and the entries of the log.
    Met(String, u64),
    /// This side has nothing to knock with.
    NoCredentials(String),
}

/// What the visit brought.
pub(super) struct Met {
    pub(super) reach: Reach,
    pub(super) times: Option<Times>,
}

/// The gateway's time of an answer, in whole seconds, and this machine's before the question and after the answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) before: Timestamp,
    pub(super) gateway: Timestamp,
    pub(super) after: Timestamp,
}

/// What the directory says about this member.
#[derive(Clone, Debug)]
pub(super) struct DirectoryFacts {
    pub(super) address: String,
    pub(super) head: Option<Head>,
    /// `None`: it is not among the participants.
    pub(super) state: Option<ParticipantState>,
    /// The published key.
    pub(super) published: Option<Vec<u8>>,
    pub(super) published_at: Option<Timestamp>,
    /// Own keys, the newest first.
    pub(super) own: Result<Vec<Vec<u8>>, String>,
}

/// What waits on both sides.
pub(super) struct MailFacts {
    pub(super) outbox: Vec<Waiting>,
    pub(super) inbox: Vec<Arrived>,
}

/// A message of the outbox.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) reference: Option<String>,
    pub(super) void: bool,
    pub(super) sealed: bool,
    pub(super) sent: bool,
    pub(super) expires: Timestamp,
}

/// A message of the inbox.
#[derive(Clone, Debug)]
pub(super) struct Arrived {
    pub(super) reference: String,
    pub(super) state: RecipientState,
    pub(super) priority: Priority,
    pub(super) at: Timestamp,
    pub(super) expires: Timestamp,
}

/// The text of `profile.toml`.
pub(super) fn file(dir: &Path) -> Result<String, String> {
    files::read_text(&dir.join("profile.toml")).map_err(|error| chain_text(&error))
}

/// Address and gateway, even of a profile whose file has more in it than it may have.
pub(super) fn own(dir: &Path) -> Option<Own> {
    let table: toml::Table = toml::from_str(&file(dir).ok()?).ok()?;
    let text = |key: &str| table.get(key)?.as_str().map(str::to_owned);
    let transport = table.get("transport").and_then(|value| value.clone().try_into().ok()).unwrap_or_default();
    Some(Own { address: text("address")?, gateway: text("gateway")?, transport })
}

pub(super) fn files(dir: &Path) -> Vec<FileFact> {
    let mut facts = Vec::new();
    let mut add = |name: &str, wanted: bool| {
        let path = dir.join(name);
        let mode = std::fs::metadata(path).ok().map(|metadata| metadata.permissions().mode() & 0o777);
        let secret = name.ends_with(".key") || matches!(name, "." | "keys" | "store.redb");
        if wanted || mode.is_some() {
            facts.push(FileFact { name: name.to_owned(), mode, secret });
        }
    };
    for name in [".", "profile.toml", "trust.toml", "tls.pem", "tls.key", "identity.pem", "keys", "store.redb"] {
        add(name, true);
    }
    // An identity key may be in a token instead.
    for name in ["identity.key", "receipts", "evidence"] {
        add(name, false);
    }
    let keys = names(&dir.join("keys")).into_iter().filter(|name| name.ends_with(".key"));
    keys.for_each(|name| add(&format!("keys/{name}"), true));
    facts
}

pub(super) fn trust(dir: &Path) -> Result<Trust, String> {
    files::read_trust(&dir.join("trust.toml")).map_err(|error| chain_text(&error))
}

pub(super) fn certificates(dir: &Path, trust: &Trust, now: Timestamp) -> Vec<CertificateFacts> {
    let Ok(anchors) = trust.anchors() else { return Vec::new() };
    let roots: Vec<Description> = trust.roots.iter().filter_map(|der| describe(der)).collect();
    let facts = |(name, role): (&'static str, Role)| {
        let chain = files::read_chain(&dir.join(format!("{name}.pem"))).unwrap_or_default();
        let judged = anchors.judge(role, &chain, now, &NothingRevoked);
        let key = key_fact(&dir.join(format!("{name}.key")), role, &chain);
        let own: Vec<Description> = chain.iter().filter_map(|der| describe(der)).collect();
        let described = own.iter().chain(&roots).cloned().collect();
        CertificateFacts { name, described, length: chain.len(), judged, key, network: trust.network.clone() }
    };
    [("tls", Role::Tls), ("identity", Role::Identity)].map(facts).into()
}

fn key_fact(path: &Path, role: Role, chain: &[CertificateDer<'static>]) -> KeyFact {
    let text = match files::read(path) {
        Ok(text) => text,
        // Its place may be a token.
        Err(_) if role == Role::Identity && !path.exists() => return KeyFact::Locked,
        Err(error) => return KeyFact::Unread(chain_text(&error)),
    };
    if String::from_utf8_lossy(&text).contains("BEGIN ENCRYPTED PRIVATE KEY") {
        return KeyFact::Locked;
    }
    let unread = |why: String| KeyFact::Unread(format!("{}: {why}", path.display()));
    if role == Role::Tls {
        let Ok(key) = PrivateKeyDer::from_pem_slice(&text) else { return unread("no private key in PEM".to_owned()) };
        return match rustls::sign::CertifiedKey::from_der(chain.to_vec(), key, &link::tls::provider()) {
            Ok(_) => KeyFact::Fits,
            Err(rustls::Error::InconsistentKeys(_)) => KeyFact::Other,
            Err(error) => unread(error.to_string()),
        };
    }
    let key = match SigningKey::from_pem(&text) {
        Ok(key) => key,
        Err(error) => return unread(error.to_string()),
    };
    // The profile asks for the leaf's key id, whatever else is wrong with the chain.
    let leaf = chain.first().and_then(|der| envelope::identity::key_id(der));
    if leaf == Some(key.key_id()) { KeyFact::Fits } else { KeyFact::Other }
}

pub(super) fn disk(dir: &Path) -> Disk {
    let free_bytes = rustix::fs::statvfs(dir).ok().map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    let path = dir.join(format!(".doctor.{}", std::process::id()));
    let written = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let written = written.and_then(|mut file| file.write_all(&[0; PROBE_BYTES]).and_then(|()| file.sync_all()));
    let _ = std::fs::remove_file(&path);
    Disk { free_bytes, write: written.err().map(|error| error.to_string()) }
}

/// Folders with proofs of a fork.
pub(super) fn evidence(dir: &Path) -> Vec<PathBuf> {
    let folder = dir.join("evidence");
    names(&folder).into_iter().map(|name| folder.join(name)).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The whole profile; where a certificate of it does not hold, its store alone.
pub(super) fn open(dir: &Path, unlock: &Unlock) -> Result<Open, Closed> {
    if !dir.join("store.redb").is_file() {
        return Err(Closed::Absent);
    }
    match Profile::open_unlocked(dir, unlock) {
        Ok(profile) => return Ok(Open { profile: Some(profile), store: None }),
        Err(Error::InUse(_)) => return Err(Closed::InUse),
        Err(error @ Error::Store(_)) => return Err(Closed::Fault(chain_text(&error))),
        Err(_) => {}
    }
    match Store::open(dir) {
        Ok(store) => Ok(Open { profile: None, store: Some(store) }),
        Err(Error::InUse(_)) => Err(Closed::InUse),
        Err(error) => Err(Closed::Fault(chain_text(&error))),
    }
}

/// What the gateway is shown.
pub(super) fn credentials(dir: &Path, unlock: &Unlock) -> Result<Credentials, String> {
    Credentials::read_unlocked(dir, unlock.passphrase.as_ref()).map_err(|error| chain_text(&error))
}

pub(super) async fn meet(
    credentials: Result<Credentials, String>,
    own: &Own,
    trust: Trust,
    profile: Option<&Profile>,
    wait: Duration,
) -> Met {
    let end = |reach| Met { reach, times: None };
    let (host, port) = match link::parse_gateway(&own.gateway) {
        Ok((_, host, port)) => (host, port),
        Err(error) => return end(Reach::NoPort(error.to_string())),
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    // Of a UDP port nobody learns that it is open before a gateway has answered.
    if own.transport != Transport::Quic {
        match tokio::time::timeout(wait, TcpStream::connect((bare, port))).await {
            Err(_) => return end(Reach::NoPort(format!("no connection to TCP port {port} of {bare} within {} s", wait.as_secs()))),
            Ok(Err(error)) => return end(Reach::NoPort(format!("TCP port {port} of {bare}: {error}"))),
            Ok(Ok(_)) => {}
        }
    }
    let credentials = match credentials {
        Ok(credentials) => credentials,
        Err(why) => return end(Reach::NoCredentials(why)),
    };
    let link = match Link::connect_by(&Route::from(own.transport), &own.gateway, &trust, credentials, wait).await {
        Ok(link) => link,
        Err(Error::Unreachable { cause, .. }) if own.transport == Transport::Quic => {
            return end(Reach::NoPort(format!("UDP port {port} of {bare}: {cause}")));
        }
        Err(error) => return end(reach_of(error)),
    };
    let times = times(&link).await;
    let node = link.node().to_string();
    let Some(profile) = profile else { return Met { reach: Reach::Linked(node), times } };
    let reach = match visit(profile, link).await {
        Ok(size) => Reach::Met(node, size),
        Err(error) => reach_of(error),
    };
    Met { reach, times }
}

async fn visit(profile: &Profile, link: Link) -> Result<u64, Error> {
    let mut client = Client::offline(profile)?;
    client.take_link(link).await?;
    Ok(client.checkpoint().map_or(0, |checkpoint| checkpoint.size))
}

fn reach_of(error: Error) -> Reach {
    match error {
        Error::CertificateRefused { alert } => Reach::Refused(alert),
        Error::Server(why) => Reach::Server(why),
        Error::Unreachable { cause, .. } => Reach::NoAnswer(cause),
        Error::Argument(why) => Reach::NoCredentials(why),
        other => Reach::Unsound(chain_text(&other)),
    }
}

/// The gateway's clock, from the date of an answer (RFC 9110 6.6.1).
async fn times(link: &Link) -> Option<Times> {
    let mut audit = AuditClient::with_origin(link.clone(), link.origin());
    let before = clock::now();
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, audit.checkpoint(v1::CheckpointRequest::default())).await.ok()?.ok()?;
    let after = clock::now();
    let date = httpdate::parse_http_date(answer.metadata().get("date")?.to_str().ok()?).ok()?;
    let since = date.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Times { before, gateway: Timestamp(u64::try_from(since.as_millis()).ok()?), after })
}

/// As it is after the visit, or was kept from an earlier one.
pub(super) fn directory(profile: &Profile) -> Result<DirectoryFacts, String> {
    let client = Client::offline(profile).map_err(|error| chain_text(&error))?;
    let (directory, address) = (client.directory(), client.address());
    let statement = directory.key_statement(address).and_then(|statement| statement.head.as_ref());
    let own = profile.decryption_keys().map(|keys| keys.iter().map(|key| key.public().to_vec()).collect());
    Ok(DirectoryFacts {
        address: address.to_string(),
        head: directory.head(),
        state: directory.state().participant(address).map(|row| row.state()),
        published: directory.current_key(address).map(|key| key.to_vec()),
        published_at: statement.map(|head| Timestamp(head.created_ms)),
        own: own.map_err(|error| chain_text(&error)),
    })
}

pub(super) fn mail(open: &Open, own: Option<&Own>) -> Result<MailFacts, String> {
    let Some(store) = open.profile.as_ref().map(Profile::store).or(open.store.as_ref()) else {
        return Err("it is not open".to_owned());
    };
    let read = |error: Error| chain_text(&error);
    let sender = own.and_then(|own| Address::parse(&own.address).ok());
    let mut mail = MailFacts { outbox: Vec::new(), inbox: Vec::new() };
    for (_, row) in store.numbered(Table::Outbox).map_err(read)? {
        let item: Item = serde_json::from_slice(&row).map_err(|_| read(Error::Row("outbox")))?;
        let reference = item.number.zip(sender.clone());
        let reference = reference
            .map(|(number, sender)| Reference { sender, year: number.year, series: number.series, number: number.number }.to_string());
        let expires = Timestamp(item.expires_ms);
        mail.outbox.push(Waiting { reference, void: item.void, sealed: item.sealed, sent: item.sent, expires });
    }
    for (_, row) in store.numbered(Table::Facts).map_err(read)? {
        let message = inbox::facts(&row).and_then(|facts| facts.received(clock::now())).map_err(read)?;
        mail.inbox.push(Arrived {
            reference: message.reference.to_string(),
            state: message.state,
            priority: message.priority,
            at: message.at,
            expires: message.expires,
        });
    }
    Ok(mail)
}

/// Large enough that a full disk shows, small enough to be nothing.
const PROBE_BYTES: usize = 16 * 1024;
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
