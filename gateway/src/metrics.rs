//! What is counted, for Prometheus: facts come from where they occur, as one shared value; no crate below knows of it.
//!
//! **Invariant:** a label's value is a word of this program (`&'static str`), so that no address, reference or country can
//! be one. Counting is an atomic addition; histograms are fed once a batch. The names stand in `docs/operating/metrics.md`.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use envelope::Timestamp;
use exchange::{Refusal, Rows as _};
use ledger::Committed;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use proto::v1::EntryKind;

use crate::clock::{SystemTimeSource, TimeSource as _};
use crate::health::Facts;
use crate::problem::{Bound, Problem};
use crate::shared::Shared;

/// One label with one of our own words.
type Label = [(&'static str, &'static str); 1];
type Labelled<M> = Family<Label, M>;
type Float = Gauge<f64, AtomicU64>;

/// Everything that is counted. Whoever holds it may count; the page is made from it.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    admitted: Labelled<Counter>,
    refused: Labelled<Counter>,
    busy: Labelled<Counter>,
    faults: Counter,
    receipts: Counter,
    deliveries: Counter,
    batch_entries: Histogram,
    commit_seconds: Histogram,
    sync_seconds: Histogram,
    commits_failed: Counter,
    connections: Labelled<Gauge>,
    handshakes_failed: Labelled<Counter>,
    traces_lost: Counter,
    now: AtScrape,
    /// When the writer began its batch, in nanoseconds after `epoch`.
    batch_began_ns: AtomicU64,
    epoch: Instant,
    /// Whether the writer believes its clock.
    clock_believed: AtomicBool,
    /// When the node's certificate ends, in ms; 0 before it was read.
    certificate_not_after_ms: AtomicU64,
    lists: Mutex<Option<ListFacts>>,
    /// The data folder, whose disk is watched.
    data: OnceLock<PathBuf>,
    writer: Mutex<std::sync::Weak<()>>,
}

/// What is read when the page is asked for.
#[derive(Debug, Default)]
struct AtScrape {
    queue_messages: Gauge,
    queue_bytes: Gauge,
    mailboxes: Labelled<Gauge>,
    mailbox_messages: Gauge,
    mailbox_depth_max: Gauge,
    checkpoint_entries: Gauge,
    directory_statements: Gauge,
    certificate_days: Float,
    lists: Labelled<Gauge>,
    list_days: Float,
    disk_free_bytes: Gauge,
    memory_bytes: Gauge,
    open_files: Gauge,
    clock_believed: Gauge,
    writer_halted: Gauge,
    writer_stopped: Gauge,
    ready: Gauge,
}

/// The revocation lists as they were read last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListFacts {
    /// Issuing CAs with a sound list.
    pub in_force: usize,
    /// Of those, lists past their next update.
    pub overdue: usize,
    /// Issuing CAs without one.
    pub missing: usize,
    /// The earliest next update.
    pub next_update: Option<Timestamp>,
}

/// How somebody is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TLS over TCP.
    Tcp,
    /// QUIC.
    Quic,
}

/// Why a connection was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeFailure {
    /// All places for connections or handshakes are taken.
    NoRoom,
    /// It took too long.
    Timeout,
    /// TLS was not agreed on, or broke.
    Tls,
    /// Another protocol than HTTP/2.
    Protocol,
    /// The certificate was refused.
    Certificate,
    /// The participant has all its connections.
    Participant,
}

impl Transport {
    fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Quic => "quic",
        }
    }
}

impl HandshakeFailure {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::NoRoom, Self::Timeout, Self::Tls, Self::Protocol, Self::Certificate, Self::Participant];

    /// Its word in metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::NoRoom => "no_room",
            Self::Timeout => "timeout",
            Self::Tls => "tls",
            Self::Protocol => "protocol",
            Self::Certificate => "certificate",
            Self::Participant => "participant",
        }
    }
}

/// A connection that is counted as long as it lives.
#[derive(Debug)]
pub struct Connected(Gauge);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Held by the writer's thread: when it is gone, so is the writer.
#[derive(Debug)]
pub struct Pulse(#[allow(dead_code)] Arc<()>);

impl Default for Metrics {
    fn default() -> Self {
        let seconds = || Histogram::new(exponential_buckets(0.000_25, 2.0, 16));
        let mut metrics = Self {
            registry: Registry::with_prefix("ecowire"),
            admitted: Labelled::default(),
            refused: Labelled::default(),
            busy: Labelled::default(),
            faults: Counter::default(),
            receipts: Counter::default(),
            deliveries: Counter::default(),
            batch_entries: Histogram::new(exponential_buckets(1.0, 2.0, 9)),
            commit_seconds: seconds(),
            sync_seconds: seconds(),
            commits_failed: Counter::default(),
            connections: Labelled::default(),
            handshakes_failed: Labelled::default(),
            traces_lost: Counter::default(),
            now: AtScrape::default(),
            batch_began_ns: AtomicU64::new(0),
            epoch: Instant::now(),
            clock_believed: AtomicBool::new(true),
            certificate_not_after_ms: AtomicU64::new(0),
            lists: Mutex::default(),
            data: OnceLock::new(),
            writer: Mutex::default(),
        };
        // What can happen is shown as 0 before it does, so that a rate over it has a beginning.
        for kind in ["message", "statement"] {
            drop(metrics.admitted.get_or_create(&[("kind", kind)]));
        }
        for name in Refusal::NAMES {
            drop(metrics.refused.get_or_create(&[("name", name)]));
        }
        for bound in Bound::ALL {
            drop(metrics.busy.get_or_create(&[("bound", bound.word())]));
        }
        for reason in HandshakeFailure::ALL {
            drop(metrics.handshakes_failed.get_or_create(&[("reason", reason.word())]));
        }
        for transport in [Transport::Tcp, Transport::Quic] {
            drop(metrics.connections.get_or_create(&[("transport", transport.word())]));
        }
        metrics.register();
        metrics
    }
}

impl Metrics {
    #[rustfmt::skip]
    fn register(&mut self) {
        let mut registry = Registry::with_prefix("ecowire");
        let version: Labelled<Gauge> = Labelled::default();
        version.get_or_create(&[("version", env!("CARGO_PKG_VERSION"))]).set(1);
        let started = SystemTimeSource::default().wall().secs();
        let start_time: Gauge = Gauge::default();
        start_time.set(whole(started));
        registry.register("build_info", "1, with the version of the program", version);
        registry.register("start_time_seconds", "when the gateway started, in seconds since 1970", start_time);
        registry.register("admitted", "messages and statements that the ledger took, by kind", self.admitted.clone());
        registry.register("refused", "submissions and statements refused, by the refusal's name", self.refused.clone());
        registry.register("busy", "calls told to come back, by the bound that was reached", self.busy.clone());
        registry.register("faults", "calls that failed by a fault of this gateway; the log has each under its reference", self.faults.clone());
        registry.register("receipts_served", "receipts given to senders and issuers", self.receipts.clone());
        registry.register("deliveries", "messages handed to recipients, repetitions included", self.deliveries.clone());
        registry.register("batch_entries", "entries of a commit", self.batch_entries.clone());
        registry.register("commit_seconds", "from the first look at a batch to its commit", self.commit_seconds.clone());
        registry.register("sync_seconds", "of that, until keys and rows were durable on the disk", self.sync_seconds.clone());
        registry.register("commits_failed", "batches that were dropped because the store did not take them", self.commits_failed.clone());
        registry.register("connections", "participants' connections, by transport", self.connections.clone());
        registry.register("handshakes_failed", "connections that were not taken, by reason", self.handshakes_failed.clone());
        registry.register("traces_lost", "traces that the collector did not take", self.traces_lost.clone());
        let now = &self.now;
        registry.register("queue_messages", "messages and statements between verification and answer", now.queue_messages.clone());
        registry.register("queue_bytes", "bytes of those", now.queue_bytes.clone());
        registry.register("mailboxes", "mailboxes in which at least so many messages wait", now.mailboxes.clone());
        registry.register("mailbox_messages", "messages that wait in all mailboxes together", now.mailbox_messages.clone());
        registry.register("mailbox_depth_max", "messages that wait in the fullest mailbox", now.mailbox_depth_max.clone());
        registry.register("checkpoint_entries", "entries under the newest checkpoint", now.checkpoint_entries.clone());
        registry.register("directory_statements", "statements in the directory", now.directory_statements.clone());
        registry.register("certificate_days", "days until the gateway's own certificate ends", now.certificate_days.clone());
        registry.register("revocation_lists", "issuing CAs by the state of their revocation list", now.lists.clone());
        registry.register("revocation_list_days", "days until the first of the lists is past its next update", now.list_days.clone());
        registry.register("disk_free_bytes", "bytes free on the disk of the data folder", now.disk_free_bytes.clone());
        registry.register("memory_bytes", "bytes of memory that the process holds (resident)", now.memory_bytes.clone());
        registry.register("open_files", "files and sockets that the process has open", now.open_files.clone());
        registry.register("clock_believed", "1 while the gateway believes its clock", now.clock_believed.clone());
        registry.register("writer_halted", "1 while nothing is written; /readyz says why", now.writer_halted.clone());
        registry.register("writer_stopped", "1 when this process will never write again: the log was forked or fell behind", now.writer_stopped.clone());
        registry.register("ready", "1 while /readyz answers 200", now.ready.clone());
        self.registry = registry;
    }

    /// A call was answered, well or not.
    pub fn answered<T>(&self, answer: &Result<T, Problem>) {
        match answer {
            Ok(_) => drop(self.receipts.inc()),
            Err(problem) => self.told(problem),
        }
    }

    /// A call did not get what it asked for.
    pub fn told(&self, problem: &Problem) {
        match problem {
            Problem::Refused(refusal) => drop(self.refused.get_or_create(&[("name", refusal.name())]).inc()),
            Problem::Busy { bound, .. } => drop(self.busy.get_or_create(&[("bound", bound.word())]).inc()),
            Problem::Fault { .. } => drop(self.faults.inc()),
        }
    }

    /// A message was handed to its recipient.
    pub fn delivered(&self) {
        self.deliveries.inc();
    }

    /// Traces were lost on their way to the collector.
    pub(crate) fn traces_lost(&self, count: usize) {
        self.traces_lost.inc_by(count as u64);
    }

    /// The writer looks at a batch from now on.
    pub(crate) fn batch_begins(&self) -> Instant {
        let now = Instant::now();
        let since = now.saturating_duration_since(self.epoch).as_nanos();
        self.batch_began_ns.store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Relaxed);
        now
    }

    /// When the writer began the batch that it is at; on the writer's thread, the batch that is being answered.
    pub(crate) fn batch_began(&self) -> Instant {
        self.epoch + std::time::Duration::from_nanos(self.batch_began_ns.load(Ordering::Relaxed))
    }

    /// A batch is durable.
    pub(crate) fn batch_committed(&self, began: Instant, committed: &Committed) {
        self.commit_seconds.observe(began.elapsed().as_secs_f64());
        self.sync_seconds.observe(committed.sync.as_secs_f64());
        self.batch_entries.observe(committed.entries.len() as f64);
        let messages = committed.entries.iter().filter(|entry| entry.opening.kind() == EntryKind::Message).count();
        let statements = committed.entries.iter().filter(|entry| is_published(entry.opening.kind())).count();
        self.admitted.get_or_create(&[("kind", "message")]).inc_by(messages as u64);
        self.admitted.get_or_create(&[("kind", "statement")]).inc_by(statements as u64);
    }

    /// A batch was dropped.
    pub(crate) fn batch_failed(&self) {
        self.commits_failed.inc();
    }

    /// Whether the writer believes its clock.
    pub(crate) fn clock(&self, believed: bool) {
        self.clock_believed.store(believed, Ordering::Relaxed);
    }

    /// A participant is connected as long as the value lives.
    #[must_use]
    pub fn connected(&self, transport: Transport) -> Connected {
        let gauge = self.connections.get_or_create_owned(&[("transport", transport.word())]);
        gauge.inc();
        Connected(gauge)
    }

    /// A connection was not taken.
    pub fn handshake_failed(&self, reason: HandshakeFailure) {
        self.handshakes_failed.get_or_create(&[("reason", reason.word())]).inc();
    }

    /// The node's certificate was read.
    pub(crate) fn certificate(&self, not_after: Timestamp) {
        self.certificate_not_after_ms.store(not_after.ms(), Ordering::Relaxed);
    }

    /// When the node's certificate ends; `None` before it was read.
    pub(crate) fn certificate_not_after(&self) -> Option<Timestamp> {
        Some(Timestamp(self.certificate_not_after_ms.load(Ordering::Relaxed))).filter(|end| end.ms() > 0)
    }

    /// The data folder, whose disk is watched from now on.
    pub(crate) fn watch_disk(&self, data: &Path) {
        // A gateway has one data folder.
        let _ = self.data.set(data.to_owned());
    }

    /// The revocation lists were looked at; `None` when their folder cannot be read.
    pub(crate) fn lists(&self, facts: Option<ListFacts>) {
        *self.lists.lock().unwrap_or_else(PoisonError::into_inner) = facts;
    }

    /// The revocation lists as they were read last.
    pub(crate) fn list_facts(&self) -> Option<ListFacts> {
        *self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The writer lives as long as the value does.
    pub(crate) fn pulse(&self) -> Pulse {
        let pulse = Arc::new(());
        *self.writer.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&pulse);
        Pulse(pulse)
    }

    /// Whether the writer's thread runs.
    pub(crate) fn writer_lives(&self) -> bool {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).strong_count() > 0
    }

    /// The page, in the OpenMetrics text format.
    #[must_use]
    pub fn page(&self, shared: &Shared, now: Timestamp) -> String {
        self.look(shared, now);
        let mut page = String::with_capacity(16 << 10);
        encode(&mut page, &self.registry).expect("a string takes everything");
        page
    }

    fn look(&self, shared: &Shared, now: Timestamp) {
        let gauges = &self.now;
        let (messages, bytes) = shared.gate.depth();
        gauges.queue_messages.set(whole(messages as u64));
        gauges.queue_bytes.set(whole(bytes as u64));
        let exchange = shared.exchange();
        let depths: Vec<usize> = exchange.state().mailbox_depths().collect();
        gauges.directory_statements.set(whole(exchange.state().directory().map_or(0, |row| row.size)));
        drop(exchange);
        for (word, least) in DEPTHS {
            let count = depths.iter().filter(|depth| **depth >= least).count();
            gauges.mailboxes.get_or_create(&[("depth_at_least", word)]).set(whole(count as u64));
        }
        gauges.mailbox_messages.set(whole(depths.iter().sum::<usize>() as u64));
        gauges.mailbox_depth_max.set(whole(depths.iter().max().copied().unwrap_or_default() as u64));
        gauges.checkpoint_entries.set(whole(shared.ledger().size()));
        gauges.certificate_days.set(days(self.certificate_not_after(), now));
        let lists = self.list_facts().unwrap_or_default();
        for (word, count) in [("in_force", lists.in_force), ("overdue", lists.overdue), ("missing", lists.missing)] {
            gauges.lists.get_or_create(&[("state", word)]).set(whole(count as u64));
        }
        gauges.list_days.set(days(lists.next_update, now));
        let free = self.data.get().and_then(|data| free_bytes(data).ok());
        gauges.disk_free_bytes.set(whole(free.unwrap_or_default()));
        gauges.memory_bytes.set(whole(memory_bytes().unwrap_or_default()));
        gauges.open_files.set(whole(std::fs::read_dir("/proc/self/fd").map_or(0, |files| files.count() as u64)));
        let facts = Facts::of(shared, now);
        gauges.clock_believed.set(self.clock_believed.load(Ordering::Relaxed).into());
        gauges.writer_halted.set(facts.halted.is_some().into());
        gauges.writer_stopped.set(facts.stopped.is_some().into());
        gauges.ready.set(facts.not_ready().is_empty().into());
    }
}

/// Kinds of entries that a participant has published.
fn is_published(kind: EntryKind) -> bool {
    matches!(
        kind,
        EntryKind::Directory
            | EntryKind::Mailbox
            | EntryKind::Access
            | EntryKind::ClockStep
            | EntryKind::Grants
            | EntryKind::Group
            | EntryKind::Release
            | EntryKind::Permission
    )
}

/// Bytes that are free for this process on the disk of a folder.
///
/// # Errors
/// The system's, when it does not tell.
pub(crate) fn free_bytes(folder: &Path) -> std::io::Result<u64> {
    let stat = rustix::fs::statvfs(folder)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Resident memory, by proc(5).
fn memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib << 10)
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Days from `now` to `end`, negative afterwards; NaN when there is no end, which no comparison takes for a number.
fn days(end: Option<Timestamp>, now: Timestamp) -> f64 {
    end.map_or(f64::NAN, |end| (end.ms() as f64 - now.ms() as f64) / 86_400_000.0)
}

/// How mailboxes are sorted by what waits in them.
const DEPTHS: [(&str, usize); 6] = [("1", 1), ("10", 10), ("100", 100), ("1000", 1000), ("10000", 10_000), ("100000", 100_000)];
