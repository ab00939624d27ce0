//! The stage for stories over real sockets: a minted network, its gateway, and its members.
//!
//! It sets up and watches; it does not know what should happen. A gateway runs as a process of its own, so that its log
//! can be read as it comes and the process can be killed, or in this one.

#![allow(dead_code)]

pub(crate) mod desk;
pub(crate) mod frames;
pub(crate) mod tls;

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use certs_dev::MintOptions;
use certs_dev::forge::{Ca, Pair, Spec};
use client::directory::Directory;
use client::link::{Credentials, Link, Transport};
use client::{Client, Error, Origin};
use envelope::entry::Entry;
use envelope::keys::{SigningKey, random};
use envelope::trust::Trust;
use envelope::{Address, Network, Timestamp, seal};
use gateway::{Config, Init};
use proto::v1;
use proto::v1::audit_client::AuditClient;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::sync::watch;

/// The network that most stories play in.
pub(crate) const MEMBERS: [&str; 6] = ["ke", "ke/cus/kemba", "th", "cn/hk", "ipsg/ens", "aud/network"];
const NODE: &str = "node/dev-1";
/// Nothing that a story waits for takes longer.
const PATIENCE: Duration = Duration::from_secs(40);

/// A minted network with an initialised gateway.
pub(crate) struct Stage {
    folder: tempfile::TempDir,
    pub(crate) trust: Trust,
}

/// Waits for what must come.
pub(crate) async fn soon<T>(what: &str, coming: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, coming).await.unwrap_or_else(|_| panic!("this did not happen in time: {what}"))
}

pub(crate) fn at(address: &str) -> Address {
    Address::parse(address).expect("an address")
}

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    Timestamp(u64::try_from(since.as_millis()).expect("before the year 584 million"))
}

/// A chain with its key, as a link takes it.
pub(crate) fn credentials(chain: &[Vec<u8>], key: &Pair) -> Credentials {
    let chain = chain.iter().cloned().map(CertificateDer::from).collect();
    Credentials::new(chain, PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.pkcs8().to_vec())))
}

impl Stage {
    /// The usual network.
    pub(crate) fn new() -> Self {
        Self::of(&MEMBERS)
    }

    /// A network of these members and one node.
    pub(crate) fn of(members: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let pki = folder.path().join("pki");
        let addresses = members.iter().chain([&NODE]).map(|address| at(address)).collect();
        let minted = certs_dev::mint(&MintOptions::new(&pki, Network::parse("ecowire.test").expect("a name"), addresses)).expect("minted");
        gateway::init(&Init {
            config: folder.path().join("gateway.toml"),
            genesis: pki.join("genesis.bin"),
            node: pki.join("node_dev-1"),
            data: folder.path().join("data"),
            listen: ([127, 0, 0, 1], 0).into(),
            engine: gateway::config::EngineName::default(),
        })
        .expect("initialised");
        no_fork_under_way();
        Self { folder, trust: minted.trust }
    }

    pub(crate) fn pki(&self) -> PathBuf {
        self.folder.path().join("pki")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A file or folder beside the others.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn config(&self) -> Config {
        Config::read(&self.folder.path().join("gateway.toml")).expect("the configuration")
    }

    /// Writes the configuration anew, changed.
    pub(crate) fn configure(&self, change: impl FnOnce(&mut Config)) {
        let mut config = self.config();
        change(&mut config);
        std::fs::write(self.folder.path().join("gateway.toml"), config.to_toml()).expect("written");
    }

    /// Sets bounds in the configuration file.
    pub(crate) fn limit(&self, change: impl FnOnce(&mut gateway::bounds::Limits)) {
        self.configure(|config| change(&mut config.limits));
    }

    /// A gateway in a process of its own.
    pub(crate) fn serve(&self) -> Gateway {
        self.serve_logging("info,gateway=debug")
    }

    /// As [`Stage::serve`], with log levels of the caller's.
    pub(crate) fn serve_logging(&self, levels: &str) -> Gateway {
        Gateway::start(&self.folder.path().join("gateway.toml"), Some(levels))
    }

    /// As [`Stage::serve`], with log levels as the configuration says.
    pub(crate) fn serve_as_configured(&self) -> Gateway {
        Gateway::start(&self.folder.path().join("gateway.toml"), None)
    }

    /// As [`Stage::serve`], where the system allows so many open files.
    pub(crate) fn serve_with_files(&self, files: usize) -> Gateway {
        let mut shell = Command::new("sh");
        shell.args(["-c", "ulimit -n \"$0\" && exec \"$@\"", &files.to_string(), env!("CARGO_BIN_EXE_ecowire-all")]);
        Gateway::start_by(shell, &self.folder.path().join("gateway.toml"), Some("info,gateway=debug"))
    }

    /// A gateway in this process.
    pub(crate) async fn run(&self) -> gateway::Running {
        gateway::start(&self.config()).await.expect("the gateway starts")
    }

    pub(crate) fn ca(&self, name: &str) -> Ca {
        Ca::load(&self.pki(), name).expect("a ca")
    }

    /// A TLS leaf for `address` by `ca`, changed by `change`, with its key.
    pub(crate) fn leaf(&self, ca: &Ca, address: &str, change: impl FnOnce(&mut Spec)) -> (Vec<u8>, Pair) {
        let mut spec = Spec::tls(&self.trust.network, &at(address), now());
        change(&mut spec);
        let key = Pair::generate().expect("a key");
        (ca.issue(&spec, &key).expect("a certificate"), key)
    }

    pub(crate) fn folder_of(&self, address: &str) -> PathBuf {
        self.pki().join(at(address).file_name())
    }

    pub(crate) fn chain_of(&self, address: &str, file: &str) -> Vec<Vec<u8>> {
        certs_dev::read_chain(&self.folder_of(address).join(file)).expect("a chain")
    }

    /// DER as PEM (RFC 7468, in one line each).
    pub(crate) fn pem(label: &str, ders: &[&[u8]]) -> String {
        let one = |der: &&[u8]| format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", BASE64.encode(der));
        ders.iter().map(one).collect()
    }

    pub(crate) fn identity_key(&self, address: &str) -> SigningKey {
        SigningKey::from_pem(&std::fs::read(self.folder_of(address).join("identity.key")).expect("a file")).expect("a key")
    }

    /// Knocks over TCP with any credentials. Members come by whichever transport succeeds; `quic` plays over QUIC.
    pub(crate) async fn knock(&self, url: &str, credentials: Credentials) -> Result<Link, Error> {
        self.knock_over(Transport::Tcp, url, credentials).await
    }

    /// Knocks with any credentials.
    pub(crate) async fn knock_over(&self, transport: Transport, url: &str, credentials: Credentials) -> Result<Link, Error> {
        Link::connect_by(&transport.into(), url, &self.trust, credentials, PATIENCE).await
    }

    /// Connects as a member.
    pub(crate) async fn connect(&self, url: &str, address: &str) -> Link {
        let credentials = Credentials::read(&self.folder_of(address)).expect("credentials");
        self.knock(url, credentials).await.expect("connected")
    }

    /// A member with a profile that has published its encryption key.
    pub(crate) async fn member(&self, url: &str, address: &str) -> Client {
        let origin = Origin { gateway: url.to_owned(), trust: self.pki().join("trust.toml"), identity: self.folder_of(address) };
        let profile = self.beside(&format!("profile-{}", at(address).file_name()));
        Client::init(&profile, &origin).await.expect("a member")
    }

    /// A MESSAGE to `th`, whose key `directory` holds; what is signed can be changed first.
    pub(crate) fn seal(&self, directory: &Directory, sender: &str, number: u64, change: impl FnOnce(&mut v1::Context)) -> v1::Submission {
        self.seal_with(directory, sender, number, &self.identity_key(sender), change)
    }

    /// A MESSAGE to `th` with this content.
    pub(crate) fn seal_content(&self, directory: &Directory, sender: &str, number: u64, content: Bytes) -> v1::Submission {
        self.seal_body(directory, sender, number, &self.identity_key(sender), content, |_| {})
    }

    /// As [`Stage::seal`], signed with any key.
    pub(crate) fn seal_with(
        &self,
        directory: &Directory,
        sender: &str,
        number: u64,
        key: &SigningKey,
        change: impl FnOnce(&mut v1::Context),
    ) -> v1::Submission {
        self.seal_body(directory, sender, number, key, Bytes::from_static(b"the content"), change)
    }

    fn seal_body(
        &self,
        directory: &Directory,
        sender: &str,
        number: u64,
        key: &SigningKey,
        content: Bytes,
        change: impl FnOnce(&mut v1::Context),
    ) -> v1::Submission {
        let head = directory.head().expect("a head");
        let created = now();
        let mut context = v1::Context {
            version: 1,
            network: self.trust.network.to_string(),
            sender: sender.to_owned(),
            year: created.year(),
            series: 1,
            number,
            signers: vec![key.public().signer_ref()],
            recipients: vec!["th".to_owned()],
            kind: v1::Kind::Message.into(),
            priority: v1::Priority::Routine.into(),
            classification: v1::Classification::OfficialUseOnly.into(),
            handling: v1::Handling::H0.into(),
            created_ms: created.ms(),
            expires_ms: created.plus(directory.policy().lifetime_max_ms).ms(),
            clock: v1::ClockQuality::Ntp.into(),
            content_suite: v1::ContentSuite::Aes256Gcm.into(),
            directory_size: head.size,
            directory_root: head.root.as_bytes().to_vec().into(),
            deny_digest: random::<32>().expect("random").to_vec().into(),
            ipsg_opt_out: v1::OptOut::None.into(),
            ..v1::Context::default()
        };
        change(&mut context);
        let body = v1::SealedBody { media_type: "text/plain".to_owned(), content };
        let public = directory.current_key(&at("th")).expect("th has published a key");
        let submission = seal::seal(&context, &body, &[public], &[key]).expect("sealed");
        v1::Submission { tag: number, ..submission }
    }

    /// The end of every story: the stopped store verifies, every decision in it is judged again, and its entries.
    pub(crate) fn audit(&self) -> Vec<(u64, Entry)> {
        no_fork_under_way();
        let checked = gateway::check(&self.config()).expect("the store opens");
        assert_eq!(checked.damage, []);
        bench::fleet::entries(self.folder.path()).expect("the entries")
    }
}

/// Held while a process is being made: until it has become its program it has every file of this process open, and so the
/// locks of stores that another test has closed meanwhile.
static FORKS: Mutex<()> = Mutex::new(());

/// Makes a process.
pub(crate) fn spawn(command: &mut Command) -> Child {
    let _one = FORKS.lock().unwrap_or_else(PoisonError::into_inner);
    command.spawn().expect("it starts")
}

/// A store that was closed before this call is free after it.
fn no_fork_under_way() {
    drop(FORKS.lock().unwrap_or_else(PoisonError::into_inner));
}

/// A gateway in a process of its own. Dropping it kills it.
pub(crate) struct Gateway {
    child: Child,
    pub(crate) url: String,
    log: watch::Receiver<String>,
}

impl Gateway {
    fn start(config: &std::path::Path, levels: Option<&str>) -> Self {
        Self::start_by(Command::new(env!("CARGO_BIN_EXE_ecowire-all")), config, levels)
    }

    fn start_by(mut command: Command, config: &std::path::Path, levels: Option<&str>) -> Self {
        command
            .args(["ecowire-gateway", "serve", "--config"])
            .arg(config)
            .env_remove("ECOWIRE_LOG")
            .envs(levels.map(|levels| ("ECOWIRE_LOG", levels)));
        let mut child = spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()));
        let lines = BufReader::new(child.stderr.take().expect("piped"));
        let (written, log) = watch::channel(String::new());
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                written.send_modify(|log| *log += &format!("{line}\n"));
            }
        });
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let address = line.strip_prefix("serving on ").and_then(|rest| rest.split(' ').next());
        let url = format!("https://{}", address.unwrap_or_else(|| panic!("the gateway said {line:?}\n{}", *log.borrow())));
        Self { child, url, log }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        address_of(&self.url)
    }

    /// Sends a signal by its name, as `kill` takes it.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name]).arg(self.child.id().to_string()).status().expect("kill runs");
        assert!(sent.success(), "{name}");
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How much has been logged.
    pub(crate) fn mark(&self) -> usize {
        self.log.borrow().len()
    }

    /// Waits until something is logged behind a mark, and gives its line.
    pub(crate) async fn logs(&self, mark: usize, text: &str) -> String {
        let mut log = self.log.clone();
        let line = |log: &String| log[mark..].lines().find(|line| line.contains(text)).map(str::to_owned);
        let waited = tokio::time::timeout(PATIENCE, log.wait_for(|log| line(log).is_some())).await;
        let found = waited.ok().and_then(Result::ok).and_then(|log| line(&log));
        found.unwrap_or_else(|| panic!("{text:?} was not logged:\n{}", &self.log.borrow()[mark..]))
    }

    /// Kills it at once (SIGKILL) and gives all that it has logged.
    pub(crate) async fn kill(mut self) -> String {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
        let mut log = self.log.clone();
        // The writing end is dropped at the end of the process's output.
        while log.changed().await.is_ok() {}
        log.borrow().clone()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub(crate) fn address_of(url: &str) -> SocketAddr {
    url.trim_start_matches("https://").parse().expect("an address and port")
}

/// A TCP connection from a loopback address of the caller's: 127.0.0.x.
pub(crate) async fn connect_from(x: u8, to: SocketAddr) -> tokio::net::TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, x], 0).into()).expect("loopback has 2^24 addresses");
    socket.connect(to).await.expect("connected")
}

/// A small call that any member may make; `Err` says how it failed.
pub(crate) async fn ask(link: &Link) -> Result<(), tonic::Status> {
    let mut audit = AuditClient::with_origin(link.clone(), link.origin());
    soon("an answer", audit.checkpoint(v1::CheckpointRequest::default())).await.map(drop)
}
