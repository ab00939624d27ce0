//! The gateway as a whole: initialise, start, stop, check. `main.rs` is the command around it, the demo another.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use envelope::Timestamp;
use envelope::entry::Entry;
use envelope::genesis::{Genesis, GenesisError};
use envelope::keys::AwsLc;
use exchange::{Exchange, Rows as _, Rules};
use ledger::Engine;
use proto::v1;
use proto::v1::audit_server::AuditServer;
use proto::v1::directory_server::DirectoryServer;
use proto::v1::messages_server::MessagesServer;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::server::HealthReporter;

use crate::clock::{Clock, SystemTimeSource, TimeSource};
use crate::config::{self, Config, ConfigError, EngineName, Keys, Telemetry};
use crate::connection::Door;
use crate::health::Facts;
use crate::limits;
use crate::node::{Node, NodeError, hold_log_key};
use crate::otlp::Exporter;
use crate::problem::{Outcome, Problem};
use crate::quic;
use crate::revocations::Lists;
use crate::service::Desk;
use crate::service::audit::AuditService;
use crate::service::directory::DirectoryService;
use crate::service::messages::MessagesService;
use crate::shared::Shared;
use crate::store::{self, Opener, StoreError};
use crate::telemetry::Port;
use crate::tls;
use crate::writer::{Command, Writer};

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file cannot be read or written.
    #[error("{path}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Something is there already; nothing was overwritten.
    #[error("{0} exists already; nothing was overwritten")]
    Exists(PathBuf),
    /// The genesis.
    #[error("{path} is no sound genesis")]
    Genesis {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: GenesisError,
    },
    /// The node's own keys.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The keys lie where a backup of the data would take them along.
    #[error("the node folder {0} lies in the data folder; a backup of the data must not hold the log's key")]
    KeysInData(PathBuf),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The first batch was not appended.
    #[error("entry 0 was not appended")]
    Append(#[source] ledger::AppendError),
    /// Without lists nobody could be cut.
    #[error("the folder of revocation lists, {0}, is not there")]
    Lists(PathBuf),
    /// TLS does not take the keys.
    #[error("the tls key and certificate do not fit")]
    Tls(#[source] rustls::Error),
    /// The address is taken.
    #[error("cannot listen on {address}; free the port, or write another: `listen`, or `metrics` below [telemetry]")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The address is taken over UDP, or UDP cannot be had.
    #[error("cannot listen on {address} over udp; free the port, or write `enabled = false` below [quic] and serve over tcp alone")]
    ListenUdp {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// QUIC does not start.
    #[error("quic does not start")]
    Quic(#[from] quic::QuicError),
}

/// What `init` needs.
#[derive(Clone, Debug)]
pub struct Init {
    /// The configuration to write.
    pub config: PathBuf,
    /// The network's genesis.
    pub genesis: PathBuf,
    /// The node folder.
    pub node: PathBuf,
    /// The data folder to make.
    pub data: PathBuf,
    /// Where to listen.
    pub listen: SocketAddr,
    /// What keeps the ledger.
    pub engine: EngineName,
}

/// Makes the store with entry 0 and writes the configuration; never overwrites. Metrics are off.
///
/// # Errors
/// [`StartError`] says what is in the way.
pub fn init(init: &Init) -> Result<Config, StartError> {
    init_with(init, &Telemetry::default(), None)
}

/// As [`init`], with metrics, log and traces of the caller's, and the file of the passphrase that the node's keys are encrypted under.
///
/// # Errors
/// [`StartError`] says what is in the way.
pub fn init_with(init: &Init, telemetry: &Telemetry, passphrase_file: Option<&Path>) -> Result<Config, StartError> {
    if init.config.exists() {
        return Err(StartError::Exists(init.config.clone()));
    }
    if store::exists(&init.data) {
        return Err(StartError::Exists(init.data.clone()));
    }
    let absolute = |path: &Path| std::path::absolute(path).map_err(|source| StartError::Io { path: path.to_owned(), source });
    let genesis_path = absolute(&init.genesis)?;
    let config = Config {
        listen: init.listen,
        data: absolute(&init.data)?,
        node: absolute(&init.node)?,
        crls: genesis_path.parent().map(|pki| pki.join("crl")).unwrap_or_default(),
        genesis: genesis_path,
        keys: Keys { passphrase_file: passphrase_file.map(absolute).transpose()? },
        store: config::Store { engine: init.engine },
        quic: config::Quic::default(),
        limits: config::Limits::default(),
        telemetry: telemetry.clone(),
    };
    let (opener, genesis) = opener(&config)?;
    let now = SystemTimeSource::default().wall();
    Node::read(&config.node, &config.keys, &genesis, now)?;
    let ledger = opener.create()?;
    let exchange = Exchange::new(Rules::default());
    let mut batch = exchange.batch(0, now);
    let mut drafts = Vec::new();
    let mut entry = Some(Entry::Genesis(genesis.signed.clone()));
    while let Some(next) = entry {
        batch.push(&next).map_err(|source| StoreError::Apply { index: batch.next(), source })?;
        drafts.push(next.into_draft());
        entry = batch.head_due();
    }
    ledger.append(0, now, drafts).map_err(StartError::Append)?;
    ledger.close();
    write_new(&init.config, &config.to_toml())?;
    Ok(config)
}

/// A gateway that is serving.
pub struct Running {
    /// Where it listens; the port is known here when the configuration said 0.
    pub address: SocketAddr,
    /// Where metrics and probes are, when they are on.
    pub metrics: Option<SocketAddr>,
    /// Entries in the log when it was ready.
    pub size: u64,
    shared: Arc<Shared>,
    announced: bool,
    /// Lets go of the log's key when the gateway has stopped.
    key: std::fs::File,
    desk: Desk,
    stop: watch::Sender<bool>,
    door: tokio::task::JoinHandle<()>,
    ticker: tokio::task::JoinHandle<()>,
    writer: std::thread::JoinHandle<()>,
    /// Exports until the end.
    exporter: Option<Exporter>,
    /// Answers until the end, so that a probe sees the gateway go down.
    port: Port,
    /// What holds: the file at the start, and what was taken since.
    config: Config,
}

impl Running {
    /// Takes from a configuration what can change while the gateway runs; gives that, and what waits for the next start.
    pub fn reload(&mut self, wanted: &Config) -> config::Changes {
        let changes = config::diff(&self.config, wanted);
        for change in &changes.taken {
            match change.key.as_str() {
                "telemetry.log" => self.config.telemetry.log.clone_from(&wanted.telemetry.log),
                "limits.connections_per_participant" => {
                    self.config.limits.connections_per_participant = wanted.limits.connections_per_participant;
                    self.shared.connections_per_participant.store(wanted.limits.connections_per_participant, Ordering::Relaxed);
                }
                key => tracing::error!(key, "a key is said to be taken on reload and is not"),
            }
        }
        changes
    }

    /// Common knowledge, for those who watch the gateway from inside its process.
    #[must_use]
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Takes the network authority's clock step: the writer goes on if the machine's clock agrees.
    ///
    /// # Errors
    /// The refusal, or why the clock is still not believed.
    pub async fn clock_step(&mut self, signed: v1::SignedStatement) -> Result<(), String> {
        let node = self.shared.node.clone();
        let permit = self.shared.gate.enter(&node, signed.statement.len(), false).map_err(|full| full.text)?;
        let asked = self.desk.ask(|reply| Command::Statement { peer: node, signed: Box::new(signed), permit, reply });
        asked.await.map_err(|problem| problem.to_string())?;
        self.announced = self.announced || announce(&self.desk).await;
        Ok(())
    }

    /// Stops: no new connections, open calls end, the queue is written, the store is closed.
    pub async fn stop(self) {
        drop(self.desk);
        self.shared.go_down();
        // No receiver is left only when everything has ended already.
        let _ = self.stop.send(true);
        for task in [self.door, self.ticker] {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task did not end well");
            }
        }
        let (writer, key) = (self.writer, self.key);
        if tokio::task::spawn_blocking(move || writer.join().is_err()).await.unwrap_or(true) {
            tracing::error!("the writer did not end well");
        }
        drop(key);
        if let Some(exporter) = self.exporter {
            exporter.close().await;
        }
        self.port.close().await;
    }
}

/// Opens the store by checking it, and serves.
///
/// # Errors
/// [`StartError`] says what is in the way.
pub async fn start(config: &Config) -> Result<Running, StartError> {
    start_with(config, Arc::new(SystemTimeSource::default()), Rules::default(), config.store.engine.engine()).await
}

/// As [`start`], with a clock, rules and an engine of the caller's.
///
/// # Errors
/// [`StartError`] says what is in the way.
pub async fn start_with(config: &Config, time: Arc<dyn TimeSource>, rules: Rules, engine: Engine) -> Result<Running, StartError> {
    let port = Port::open(config.telemetry.metrics).await;
    let metrics = |source| StartError::Listen { address: config.telemetry.metrics.unwrap_or(config.listen), source };
    let port = port.map_err(metrics)?;
    let (opener, genesis) = opener(config)?;
    let opener = Opener { rules, engine, ..opener };
    let node = Node::read(&config.node, &config.keys, &genesis, time.wall())?;
    let (ledger, exchange) = opener.open()?;
    let key = hold_log_key(&config.node)?;
    let size = ledger.size();
    let last_at = exchange.state().clock().map(|clock| Timestamp(clock.last_ms));
    let shared = common_knowledge(config, &genesis, exchange, Arc::from(ledger))?;
    shared.metrics.certificate(node.not_after);
    shared.metrics.watch_disk(&config.data);
    let exporter = Exporter::start(&config.telemetry.otlp, &shared);
    let (commands, queue) = mpsc::channel(config.limits.queue_messages + 64);
    let desk = Desk { shared: shared.clone(), writer: commands };
    if !config.crls.is_dir() {
        return Err(StartError::Lists(config.crls.clone()));
    }
    let lists = Lists::new(&config.crls, &genesis, &node);
    let reset = quic::reset_key(&node.key);
    let tls = Arc::new(ArcSwap::from_pointee(tls::server_config(node, &shared).map_err(StartError::Tls)?));
    let (listener, udp) = quic::bind(config.listen, config.quic.enabled).await?;
    let address = listener.local_addr().map_err(|source| StartError::Listen { address: config.listen, source })?;
    let quic = udp.map(|socket| quic::Listener::new(socket, &tls.load(), reset, &shared.limits)).transpose()?;

    let writer = Writer::new(shared.clone(), opener, Clock::start(time, last_at), last_at.unwrap_or_default(), Handle::current());
    let writer = start_writer(&shared, writer, queue)?;
    let announced = announce(&desk).await;
    let (health, health_service) = tonic_health::server::health_reporter();
    let mut ticker = Ticker {
        desk: desk.clone(),
        lists,
        config: config.clone(),
        genesis,
        tls: tls.clone(),
        tls_seen: [None; 2],
        health,
        reported: None,
    };
    // Revocations are in force before the first connection.
    ticker.lists.refresh(&desk, SystemTimeSource::default().wall()).await;
    ticker.report_health().await;
    port.watch(&shared);
    let (stop, stopping) = watch::channel(false);
    let ticker = tokio::spawn(watched(ticker.run(stopping.clone()), shared.clone()));
    let own = desk.clone();
    let door = Door::new(tls, shared.clone(), routes(desk, health_service), stopping).with_quic(quic);
    let door = tokio::spawn(door.run(listener));
    tracing::info!(%address, quic = config.quic.enabled, entries = size, "serving");
    Ok(Running {
        address,
        metrics: port.address,
        size,
        shared,
        announced,
        key,
        desk: own,
        stop,
        door,
        ticker,
        writer,
        exporter,
        port,
        config: config.clone(),
    })
}

/// What all tasks will read; a log that was convicted before is never written to again.
fn common_knowledge(
    config: &Config,
    genesis: &Genesis,
    exchange: Exchange,
    ledger: Arc<dyn ledger::Ledger>,
) -> Result<Arc<Shared>, StartError> {
    let genesis_node = genesis.node().map_err(|error| StartError::Genesis { path: config.genesis.clone(), source: error.into() })?;
    let anchors = genesis.anchors().map_err(|source| StartError::Genesis { path: config.genesis.clone(), source })?;
    let convicted = crate::service::audit::convicted(&*ledger, &genesis.log_verifier());
    let convicted = convicted.map_err(|source| StoreError::Read { index: ledger.size(), source })?;
    let (network, log_key, bounds) = (genesis.network.clone(), genesis.log_verifier(), crate::files::fit(config.limits.clone()));
    let shared = Arc::new(Shared::new(network, genesis_node, anchors, log_key, exchange, ledger, bounds));
    if let Some(reason) = convicted {
        shared.stop_writing(reason);
    }
    Ok(shared)
}

fn start_writer(shared: &Shared, writer: Writer, queue: mpsc::Receiver<Command>) -> Result<std::thread::JoinHandle<()>, StartError> {
    let pulse = shared.metrics.pulse();
    let thread = std::thread::Builder::new().name("writer".to_owned()).spawn(move || {
        let _pulse = pulse;
        writer.run(queue);
    });
    thread.map_err(|source| StartError::Io { path: "the writer's thread".into(), source })
}

/// What is wrong with a stopped store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The entry, when one can be named.
    pub index: Option<u64>,
    /// What was found.
    pub text: String,
}

/// What a check of a stopped store found.
#[derive(Debug)]
pub struct Checked {
    /// Entries in the log.
    pub size: u64,
    /// The log's root.
    pub root: String,
    /// Empty when everything holds.
    pub damage: Vec<Damage>,
}

/// Verifies a stopped store: pages, every entry, both trees, and every decision again.
///
/// # Errors
/// [`StartError`] when configuration, keys or store do not even open; see [`StoreError::is_damage`].
pub fn check(config: &Config) -> Result<Checked, StartError> {
    let (opener, genesis) = opener(config)?;
    let ledger = opener.open_ledger()?;
    let mut damage = Vec::new();
    if let Err(error) = ledger.check_pages() {
        damage.push(Damage { index: None, text: crate::writer::chain(&error) });
    }
    let read = |index, source| StartError::Store(StoreError::Read { index, source });
    let findings = ledger.scrub(0, ledger.size()).map_err(|source| read(0, source))?;
    damage.extend(findings_of(&findings));
    let mut judge = exchange::Judge::new(genesis.sha256, AwsLc);
    for index in 0..ledger.size() {
        let Ok(stored) = ledger.read(index) else { continue };
        let Some(opening) = stored.opening else { continue };
        let payload = stored.sealed.and_then(|sealed| <v1::SealedPayload as prost::Message>::decode(sealed).ok()).unwrap_or_default();
        judge.feed(&stored.leaf, &opening, &payload.signatures);
    }
    // A judge that has missed an entry would find follow-up errors everywhere.
    if damage.is_empty() {
        damage.extend(
            judge
                .findings()
                .iter()
                .map(|finding| Damage { index: Some(finding.index), text: format!("{}: {}", finding.rule, finding.text) }),
        );
    }
    for (name, _) in ledger.evidence().map_err(|source| read(0, source))? {
        let text = format!("evidence is kept that this log was forked or fell behind: {name}; it is never written to again");
        damage.push(Damage { index: None, text });
    }
    let (size, note) = ledger.checkpoint().map_err(|source| read(0, source))?;
    let root = tlog::Checkpoint::open(&note, &genesis.log_verifier()).map(|checkpoint| checkpoint.root.to_string()).unwrap_or_default();
    ledger.close();
    Ok(Checked { size, root, damage })
}

/// The opening of an entry as it lies in a stopped store, encrypted.
///
/// # Errors
/// [`StartError`] when the store does not open or has no such entry.
pub fn opening_at_rest(config: &Config, index: u64) -> Result<bytes::Bytes, StartError> {
    let ledger = opener(config)?.0.open_ledger()?;
    let bytes = ledger.opening_at_rest(index).map_err(|source| StartError::Store(StoreError::Read { index, source }));
    ledger.close();
    bytes
}

fn findings_of(findings: &ledger::Findings) -> Vec<Damage> {
    findings.findings.iter().map(|finding| Damage { index: Some(finding.index), text: finding.what.clone() }).collect()
}

/// How to open the ledger of a configuration, and its genesis.
///
/// # Errors
/// [`StartError`] when the genesis does not hold, or the keys lie in the data folder.
pub fn opener(config: &Config) -> Result<(Opener, Arc<Genesis>), StartError> {
    let path = &config.genesis;
    let bytes = std::fs::read(path).map_err(|source| StartError::Io { path: path.clone(), source })?;
    let genesis = Genesis::open(&bytes, &AwsLc).map_err(|source| StartError::Genesis { path: path.clone(), source })?;
    if config.node.starts_with(&config.data) {
        return Err(StartError::KeysInData(config.node.clone()));
    }
    let genesis = Arc::new(genesis);
    let (data, node, keys) = (config.data.clone(), config.node.clone(), config.keys.clone());
    Ok((Opener { data, node, keys, genesis: genesis.clone(), rules: Rules::default(), engine: config.store.engine.engine() }, genesis))
}

/// Each start is an entry of its own, so that two machines with one key never write the same log.
async fn announce(desk: &Desk) -> bool {
    let random = envelope::keys::random::<32>().unwrap_or_default().to_vec().into();
    let started = v1::Started { random, version: env!("CARGO_PKG_VERSION").to_owned() };
    for _ in 0..ANNOUNCEMENTS_MAX {
        match desk.ask(|reply| Command::Started(started.clone(), reply)).await {
            Ok(_) => return true,
            // The store was opened again meanwhile; a start that is there twice does no harm.
            Err(Problem::Busy { outcome: Outcome::NotKnown, .. }) => {}
            Err(_) => break,
        }
    }
    tracing::error!("the start was not written; the writer stands still");
    false
}

fn routes(desk: Desk, health: HealthServer<impl Health>) -> Routes {
    let message = limits::SUBMISSION_BYTES_MAX;
    let messages = MessagesServer::new(MessagesService(desk.clone())).max_decoding_message_size(message).max_encoding_message_size(message);
    let directory = DirectoryServer::new(DirectoryService(desk.clone())).max_decoding_message_size(limits::REQUEST_BYTES_MAX);
    let audit = AuditServer::new(AuditService::new(desk)).max_decoding_message_size(limits::REQUEST_BYTES_MAX);
    let routes = Routes::new(messages)
        .add_service(directory.max_encoding_message_size(usize::MAX))
        .add_service(audit.max_encoding_message_size(usize::MAX));
    let routes = routes.add_service(health);
    let reflection = tonic_reflection::server::Builder::configure().register_encoded_file_descriptor_set(proto::DESCRIPTORS).build_v1();
    match reflection {
        Ok(reflection) => routes.add_service(reflection).prepare(),
        Err(error) => {
            tracing::error!(%error, "reflection is not offered");
            routes.prepare()
        }
    }
}

/// Runs the ticker to its end. Without it no revocation list would be read: should it panic, nothing is written any more.
async fn watched(ticking: impl Future<Output = ()> + Send + 'static, shared: Arc<Shared>) {
    if tokio::spawn(ticking).await.is_err() {
        shared.stop_writing("TICKER_PANICKED: a defect of the gateway; start it again, and report what the log says before this");
    }
}

/// Once a second: deadlines for the writer, revocation lists, the node's certificate.
struct Ticker {
    desk: Desk,
    lists: Lists,
    config: Config,
    genesis: Arc<Genesis>,
    tls: Arc<ArcSwap<rustls::ServerConfig>>,
    /// When certificate and key were written: they are two files, and the second may come later.
    tls_seen: [Option<SystemTime>; 2],
    /// The gRPC health service, which follows readiness.
    health: HealthReporter,
    /// What that service says; nobody is told the same twice.
    reported: Option<ServingStatus>,
}

impl Ticker {
    async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        self.tls_seen = self.tls_modified();
        loop {
            tokio::select! {
                () = tokio::time::sleep(limits::TICK) => {}
                _ = stopping.wait_for(|stop| *stop) => return,
            }
            let now = SystemTimeSource::default().wall();
            // A full queue ticks by itself: every batch looks at what is due.
            self.desk.hand(Command::Tick);
            self.lists.refresh(&self.desk, now).await;
            self.reload_certificate(now);
            self.report_health().await;
        }
    }

    async fn report_health(&mut self) {
        let ready = Facts::of(&self.desk.shared, SystemTimeSource::default().wall()).not_ready().is_empty();
        let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
        if self.reported.replace(status) == Some(status) {
            return;
        }
        // The empty name stands for the gateway as a whole.
        for name in ["", proto::v1::messages_server::SERVICE_NAME] {
            self.health.set_service_status(name, status).await;
        }
    }

    fn tls_modified(&self) -> [Option<SystemTime>; 2] {
        ["tls.pem", "tls.key"].map(|file| std::fs::metadata(self.config.node.join(file)).and_then(|metadata| metadata.modified()).ok())
    }

    fn reload_certificate(&mut self, now: Timestamp) {
        let modified = self.tls_modified();
        if modified.contains(&None) || modified == self.tls_seen {
            return;
        }
        self.tls_seen = modified;
        let config = Node::read(&self.config.node, &self.config.keys, &self.genesis, now).map_err(|error| error.to_string());
        let with_end = |node: Node| (node.not_after, tls::server_config(node, &self.desk.shared).map_err(|error| error.to_string()));
        match config.map(with_end).and_then(|(not_after, config)| config.map(|config| (not_after, config))) {
            Ok((not_after, config)) => {
                self.desk.shared.metrics.certificate(not_after);
                self.tls.store(Arc::new(config));
                tracing::info!("the node's certificate was read again");
            }
            Err(reason) => tracing::error!(reason, "the node's new certificate was not taken; the old one stays"),
        }
    }
}

fn write_new(path: &Path, text: &str) -> Result<(), StartError> {
    use std::io::Write as _;
    let io = |source| StartError::Io { path: path.to_owned(), source };
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(path).map_err(io)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io)
}

/// How often a start is written when nobody knows whether it is durable.
const ANNOUNCEMENTS_MAX: usize = 3;
