//! The stagehand of the stories over real sockets: a minted network, a gateway in this process that can be started again
//! and again at one address, members with their profiles, letters that skip the client's own checks, and the audit at the end.

#![allow(dead_code)] // Each story uses a part of it.

pub(crate) mod hands;
pub(crate) mod middle;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use certs_dev::MintOptions;
use client::link::{Credentials, Link};
use client::{Client, Compose, Origin, Profile};
use envelope::entry::Entry;
use envelope::keys::{SigningKey, random};
use envelope::seal::DecryptionKey;
use envelope::trust::Trust;
use envelope::{Address, Network, Receipt, Reference, Timestamp, seal, statement};
use exchange::Rules;
use gateway::clock::{SystemTimeSource, TimeSource};
use gateway::{Config, Init, Running};
use ledger::Engine;
use prost::Message as _;
use proto::v1;
use proto::v1::directory_client::DirectoryClient;
use proto::v1::messages_client::MessagesClient;

/// Who takes part in most stories.
pub(crate) const CAST: [&str; 6] = ["ke", "th", "ke/cus/kemba", "ipsg/ens", "aud/network", "aud/ke"];
pub(crate) const NODE: &str = "node/test-1";

pub(crate) fn address(text: &str) -> Address {
    Address::parse(text).expect("an address")
}

pub(crate) fn now() -> Timestamp {
    SystemTimeSource::default().wall()
}

/// A network in a folder of its own. The gateway listens on a loopback address that no other test uses.
pub(crate) struct Theatre {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) listen: SocketAddr,
}

impl Theatre {
    /// A network with these members, and a gateway that was never started.
    pub(crate) fn new(members: &[&str]) -> Self {
        Self::with_genesis(members, |_| ())
    }

    /// As `new`, with another genesis than a development network has.
    pub(crate) fn with_genesis(members: &[&str], change: impl FnOnce(&mut v1::Genesis)) -> Self {
        Self::minted(members, &[], change)
    }

    /// As `new`; the identity keys of `p256` are P-256.
    pub(crate) fn with_p256(members: &[&str], p256: &[&str]) -> Self {
        Self::minted(members, p256, |_| ())
    }

    fn minted(members: &[&str], p256: &[&str], change: impl FnOnce(&mut v1::Genesis)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let [a, b] = random::<2>().expect("random bytes");
        let ip = Ipv4Addr::new(127, 77, a, b.clamp(1, 254));
        let listen = TcpListener::bind((ip, 0)).and_then(|listener| listener.local_addr()).expect("a free port");
        let theatre = Self { folder, listen };
        let addresses = members.iter().chain([&NODE]).map(|text| address(text)).collect();
        let network = Network::parse("story.test").expect("a network");
        let p256 = p256.iter().map(|text| address(text)).collect();
        certs_dev::mint(&MintOptions { p256, ..MintOptions::new(theatre.pki(), network, addresses) }).expect("a pki");
        theatre.sign_genesis(change);
        theatre.init("gateway.toml", "data");
        theatre
    }

    fn init(&self, config: &str, data: &str) {
        let at = |name: &str| self.folder.path().join(name);
        let node = self.pki().join(address(NODE).file_name());
        let init = Init {
            config: at(config),
            genesis: self.pki().join("genesis.bin"),
            node,
            data: at(data),
            listen: self.listen,
            engine: gateway::config::EngineName::default(),
        };
        gateway::init(&init).expect("a store");
    }

    /// Signs genesis and trust file anew.
    fn sign_genesis(&self, change: impl FnOnce(&mut v1::Genesis)) {
        let (path, authority) = (self.pki().join("genesis.bin"), self.authority());
        let signed = statement::decode_signed(&std::fs::read(&path).expect("the genesis")).expect("a statement");
        let mut genesis: v1::Genesis = statement::read(&signed).expect("a genesis");
        change(&mut genesis);
        let bytes = statement::sign(&genesis, &[&authority]).expect("signed").encode_to_vec();
        std::fs::write(&path, &bytes).expect("written");
        let mut trust = self.trust();
        trust.genesis_sha256 = tlog::sha256(&bytes);
        trust.log_origin = envelope::trust::log_origin(&trust.network, &trust.genesis_sha256);
        trust.directory_origin = envelope::trust::directory_origin(&trust.network, &trust.genesis_sha256);
        let text = trust.to_toml(&trust.sign(&[&authority]).expect("signed"));
        std::fs::write(self.pki().join("trust.toml"), text).expect("written");
    }

    pub(crate) fn pki(&self) -> PathBuf {
        self.folder.path().join("pki")
    }

    pub(crate) fn identity(&self, member: &str) -> PathBuf {
        self.pki().join(address(member).file_name())
    }

    pub(crate) fn profile_dir(&self, member: &str) -> PathBuf {
        self.folder.path().join("profiles").join(address(member).file_name())
    }

    pub(crate) fn trust(&self) -> Trust {
        Trust::parse_toml(&std::fs::read_to_string(self.pki().join("trust.toml")).expect("a trust file")).expect("a sound trust file")
    }

    pub(crate) fn authority(&self) -> SigningKey {
        let pem = std::fs::read(self.pki().join("authority").join("authority.key")).expect("the authority's key");
        SigningKey::from_pem(&pem).expect("a key")
    }

    pub(crate) fn key(&self, member: &str) -> SigningKey {
        SigningKey::from_pem(&std::fs::read(self.identity(member).join("identity.key")).expect("a key file")).expect("a key")
    }

    pub(crate) fn config(&self) -> Config {
        Config::read(&self.folder.path().join("gateway.toml")).expect("the configuration")
    }

    /// The configuration of a gateway on another data folder, with the same keys and the same address.
    pub(crate) fn config_of(&self, data: &Path) -> Config {
        Config { data: data.to_owned(), ..self.config() }
    }

    pub(crate) async fn start(&self) -> Running {
        gateway::start(&self.config()).await.expect("the gateway starts")
    }

    pub(crate) async fn start_with(&self, time: Arc<dyn TimeSource>, engine: Engine) -> Running {
        gateway::start_with(&self.config(), time, Rules::default(), engine).await.expect("the gateway starts")
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.listen)
    }

    /// A member at work; the first time its profile is made and its key is published.
    pub(crate) async fn client(&self, member: &str) -> Client {
        let dir = self.profile_dir(member);
        if dir.exists() {
            return Client::connect(&self.profile(member)).await.expect("connected");
        }
        std::fs::create_dir_all(dir.parent().expect("a parent")).expect("a folder");
        Client::init(&dir, &self.origin(member, &self.url())).await.expect("a member")
    }

    pub(crate) fn origin(&self, member: &str, gateway: &str) -> Origin {
        Origin { gateway: gateway.to_owned(), trust: self.pki().join("trust.toml"), identity: self.identity(member) }
    }

    pub(crate) fn profile(&self, member: &str) -> Profile {
        Profile::open(&self.profile_dir(member)).expect("a profile")
    }

    /// A bare connection as `member`.
    pub(crate) async fn link(&self, member: &str) -> Link {
        let credentials = Credentials::read(&self.identity(member)).expect("credentials");
        Link::connect(&self.url(), &self.trust(), credentials, Duration::from_secs(10)).await.expect("connected")
    }

    pub(crate) async fn messages(&self, member: &str) -> MessagesClient<Link> {
        let link = self.link(member).await;
        MessagesClient::with_origin(link.clone(), link.origin())
    }

    /// A sealed and signed letter of `member`, by the directory that its client knows; nothing is checked before it is sent.
    pub(crate) fn letter(&self, client: &Client, to: &[&str], number: u64, change: impl FnOnce(&mut v1::Context)) -> v1::Submission {
        let key = |client: &Client, to: &str| client.directory().current_key(&address(to));
        self.letter_to_keys(client, to, number, key, change)
    }

    pub(crate) fn letter_to_keys(
        &self,
        client: &Client,
        to: &[&str],
        number: u64,
        key: impl Fn(&Client, &str) -> Option<Bytes>,
        change: impl FnOnce(&mut v1::Context),
    ) -> v1::Submission {
        let (head, signer, created) = (client.directory().head().expect("a head"), self.key(client.address().as_str()), now());
        let mut context = v1::Context {
            version: 1,
            network: client.profile().network().to_string(),
            sender: client.address().to_string(),
            year: created.year(),
            series: 1,
            number,
            signers: vec![signer.public().signer_ref()],
            recipients: to.iter().map(|text| (*text).to_owned()).collect(),
            kind: v1::Kind::Message.into(),
            priority: v1::Priority::Routine.into(),
            classification: v1::Classification::OfficialUseOnly.into(),
            handling: v1::Handling::H0.into(),
            created_ms: created.ms(),
            expires_ms: created.plus(30 * DAY_MS).ms(),
            clock: v1::ClockQuality::Ntp.into(),
            content_suite: v1::ContentSuite::Aes256Gcm.into(),
            directory_size: head.size,
            directory_root: head.root.as_bytes().to_vec().into(),
            deny_digest: random::<32>().expect("random bytes").to_vec().into(),
            ipsg_opt_out: v1::OptOut::None.into(),
            ..v1::Context::default()
        };
        change(&mut context);
        let nobodys = DecryptionKey::generate().expect("a key");
        let keys: Vec<Bytes> = context.recipients.iter().map(|to| key(client, to).unwrap_or_else(|| nobodys.public().clone())).collect();
        let body = v1::SealedBody { media_type: "text/plain".to_owned(), content: Bytes::from(format!("letter {number}")) };
        seal::seal(&context, &body, &keys, &[&signer]).expect("sealed")
    }

    /// A clock step by `key`, which is the authority's or not.
    pub(crate) fn clock_step(&self, key: &SigningKey, seq: u64, prev_sha256: &[u8], at: Timestamp) -> v1::SignedStatement {
        let head = v1::StatementHead {
            version: 1,
            network: self.trust().network.to_string(),
            issuer: statement::NETWORK_AUTHORITY.to_owned(),
            subject: statement::NETWORK_AUTHORITY.to_owned(),
            seq,
            prev_sha256: prev_sha256.to_vec().into(),
            created_ms: at.ms(),
            expires_ms: 0,
        };
        statement::sign(&v1::ClockStep { head: Some(head), now_ms: at.ms() }, &[key]).expect("signed")
    }

    /// Publishes a statement over the connection of `member`.
    pub(crate) async fn publish(&self, member: &str, signed: &v1::SignedStatement) -> Result<(), tonic::Status> {
        let link = self.link(member).await;
        let mut directory = DirectoryClient::with_origin(link.clone(), link.origin());
        directory.publish_statement(v1::PublishStatementRequest { statement: Some(signed.clone()) }).await.map(drop)
    }

    /// The stopped store verifies: pages, every entry, both trees, every decision again.
    pub(crate) fn check(&self) -> gateway::gateway::Checked {
        self.check_data(&self.config().data)
    }

    pub(crate) fn check_data(&self, data: &Path) -> gateway::gateway::Checked {
        let mut checked = gateway::check(&self.config_of(data)).expect("the store opens");
        // Evidence of a fork damages no entry; `histories` demands that it is named.
        checked.damage.retain(|damage| !damage.text.starts_with("evidence is kept"));
        assert_eq!(checked.damage, []);
        checked
    }

    /// Every entry of the stopped store with its ledger time.
    pub(crate) fn entries(&self) -> Vec<(Timestamp, Entry)> {
        let opener = gateway::gateway::opener(&self.config()).expect("a configuration").0;
        let ledger = opener.open_ledger().expect("the store opens");
        let read = |index| {
            let stored = ledger.read(index).expect("an entry");
            (stored.leaf.at, Entry::read(&stored.opening.expect("an opening")).expect("a sound entry"))
        };
        let entries = (0..ledger.size()).map(read).collect();
        ledger.close();
        entries
    }
}

/// Audits over the socket: everything is judged again, and nothing is found.
pub(crate) async fn audit(auditor: &mut Client) -> client::audit::Verdict {
    let verdict = client::audit::verify(auditor, &client::audit::Options::default(), |_, _| ()).await.expect("the audit ends");
    assert_eq!(verdict.findings, []);
    verdict
}

/// What a story sends mostly.
pub(crate) fn note(to: &[&str], text: &str) -> Compose {
    Compose::new(to.iter().map(|text| address(text)).collect(), text.as_bytes().to_vec())
}

/// The reference of the letter with this number.
pub(crate) fn reference(sender: &str, number: u64) -> Reference {
    Reference { sender: address(sender), year: now().year(), series: 1, number }
}

/// Size and root of the checkpoint in a receipt that verifies.
pub(crate) fn proven(trust: &Trust, receipt: &[u8]) -> envelope::receipt::Proven {
    Receipt::decode(receipt).expect("a receipt").verify(&trust.log_verifier().expect("the log's key")).expect("a sound receipt")
}

/// Copies a folder with everything in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copied");
        }
    }
}

/// Waits until the writer stands still for a reason, or goes on.
pub(crate) async fn until_halted(running: &Running, wanted: impl Fn(Option<&str>) -> bool) -> Option<String> {
    let mut halted = running.shared().halted();
    let waited = tokio::time::timeout(PATIENCE, halted.wait_for(|reason| wanted(reason.as_deref()))).await;
    waited.expect("the writer's state changes in time").expect("the gateway runs").clone()
}

pub(crate) const DAY_MS: u64 = 86_400_000;
/// A condition that does not come in this time never comes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
