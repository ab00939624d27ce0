//! What all tasks read: the durable state, the ledger, and who waits for what. Only the writer changes it.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use envelope::identity::{Anchors, Link};
use envelope::message::{Identity, Keyring};
use envelope::{Address, Network};
use exchange::{Exchange, Rows as _};
use ledger::Ledger;
use tlog::VerifierKey;
use tokio::sync::watch;

use crate::bounds::Limits;
use crate::deliveries::Deliveries;
use crate::gate::Gate;
use crate::metrics::Metrics;
use crate::pace::Pace;
use crate::quiet::Quiet;
use crate::spans::Spans;

/// The gateway's common knowledge.
pub struct Shared {
    /// The network.
    pub network: Network,
    /// This gateway.
    pub node: Address,
    /// Its roots.
    pub anchors: Anchors,
    /// The key of the log's checkpoints.
    pub log_key: VerifierKey,
    /// The bounds as the operator has set them.
    pub limits: Arc<Limits>,
    /// Who may still write a line about somebody turned away.
    pub quiet: Quiet,
    /// Room for messages on their way to the writer.
    pub gate: Arc<Gate>,
    /// Messages that several recipients fetch.
    pub deliveries: Deliveries,
    /// Statements that stay for ever, by participant and hour.
    pub(crate) pace: Pace,
    /// Connections of one participant, as a reload has left them.
    pub connections_per_participant: AtomicUsize,
    /// What is counted; counted by everybody where it occurs.
    pub metrics: Arc<Metrics>,
    /// Where submissions spend their time.
    pub spans: Spans,
    /// Changed by the writer only, after a commit has returned.
    exchange: RwLock<Exchange>,
    /// Replaced by the writer only, when it has to open the store again.
    ledger: RwLock<Arc<dyn Ledger>>,
    /// One for each mailbox that somebody reads.
    mailboxes: Mutex<BTreeMap<Address, watch::Sender<u64>>>,
    /// The directory's size.
    directory: watch::Sender<u64>,
    /// Counts changes of the revoked set.
    revocations: watch::Sender<u64>,
    /// Turns true when the gateway goes down: streams that wait for news end.
    going_down: watch::Sender<bool>,
    /// Why nothing is written, if so.
    halted: watch::Sender<Option<String>>,
    /// Why nothing will ever be written again by this process: somebody holds a checkpoint that this log does not extend.
    stopped: OnceLock<String>,
}

impl Shared {
    /// Common knowledge of an opened ledger.
    #[must_use]
    pub fn new(
        network: Network,
        node: Address,
        anchors: Anchors,
        log_key: VerifierKey,
        exchange: Exchange,
        ledger: Arc<dyn Ledger>,
        limits: Limits,
    ) -> Self {
        let limits = Arc::new(limits);
        let size = exchange.state().directory().map_or(0, |row| row.size);
        Self {
            network,
            node,
            anchors,
            log_key,
            quiet: Quiet::new(limits.refusals_logged_per_minute),
            gate: Arc::new(Gate::new(limits.clone())),
            connections_per_participant: AtomicUsize::new(limits.connections_per_participant),
            limits,
            deliveries: Deliveries::default(),
            pace: Pace::default(),
            metrics: Arc::default(),
            spans: Spans::default(),
            exchange: RwLock::new(exchange),
            ledger: RwLock::new(ledger),
            mailboxes: Mutex::default(),
            directory: watch::Sender::new(size),
            revocations: watch::Sender::new(0),
            going_down: watch::Sender::new(false),
            halted: watch::Sender::new(None),
            stopped: OnceLock::new(),
        }
    }

    /// The state, for reading; hold it briefly.
    pub fn exchange(&self) -> RwLockReadGuard<'_, Exchange> {
        self.exchange.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, for the writer.
    pub(crate) fn exchange_mut(&self) -> RwLockWriteGuard<'_, Exchange> {
        self.exchange.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ledger.
    pub fn ledger(&self) -> Arc<dyn Ledger> {
        self.ledger.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts a ledger that was opened again in the place of the closed one.
    pub(crate) fn replace_ledger(&self, ledger: Arc<dyn Ledger>) {
        *self.ledger.write().unwrap_or_else(PoisonError::into_inner) = ledger;
    }

    /// Wakes when something arrives for `address`.
    pub fn mailbox(&self, address: &Address) -> watch::Receiver<u64> {
        self.mailbox_senders().entry(address.clone()).or_insert_with(|| watch::Sender::new(0)).subscribe()
    }

    /// Wakes when the directory grows.
    pub fn directory(&self) -> watch::Receiver<u64> {
        self.directory.subscribe()
    }

    /// Turns true when the gateway goes down.
    pub fn going_down(&self) -> watch::Receiver<bool> {
        self.going_down.subscribe()
    }

    pub(crate) fn go_down(&self) {
        self.going_down.send_replace(true);
    }

    /// Wakes when certificates are revoked.
    pub fn revocations(&self) -> watch::Receiver<u64> {
        self.revocations.subscribe()
    }

    /// Why the writer stands still, if it does.
    pub fn halted(&self) -> watch::Receiver<Option<String>> {
        self.halted.subscribe()
    }

    /// Says that the writer stands still, or goes on.
    pub fn set_halted(&self, reason: Option<String>) {
        // What stopped it for good stays the reason.
        let reason = self.stopped.get().cloned().or(reason);
        self.halted.send_if_modified(|now| {
            let changed = *now != reason;
            match &reason {
                Some(reason) if changed => tracing::error!(reason, "the writer stands still"),
                None if changed => tracing::warn!("the writer goes on"),
                _ => {}
            }
            *now = reason;
            changed
        });
    }

    /// Stops the writer for good: before its next batch, whatever waits in the queue.
    pub(crate) fn stop_writing(&self, reason: &str) {
        // The first reason stays.
        let _ = self.stopped.set(reason.to_owned());
        self.set_halted(self.stopped.get().cloned());
    }

    /// Why the writer has been stopped for good.
    pub(crate) fn stopped(&self) -> Option<&String> {
        self.stopped.get()
    }

    /// Wakes everybody who waits: what a commit of unknown outcome has left durable was told to nobody.
    pub(crate) fn tell_all(&self) {
        self.mailbox_senders().values().for_each(|mailbox| mailbox.send_modify(|_| ()));
        self.tell(vec![exchange::Effect::DirectoryGrew, exchange::Effect::Revoked]);
    }

    pub(crate) fn tell(&self, effects: Vec<exchange::Effect>) {
        for effect in effects {
            match effect {
                exchange::Effect::Available { recipient, mailbox_seq } => {
                    if let Some(mailbox) = self.mailbox_senders().get(&recipient) {
                        mailbox.send_replace(mailbox_seq);
                    }
                }
                exchange::Effect::Advised { told } => {
                    if let Some(mailbox) = self.mailbox_senders().get(&told) {
                        mailbox.send_modify(|_| ());
                    }
                }
                exchange::Effect::DirectoryGrew => {
                    let size = self.exchange().state().directory().map_or(0, |row| row.size);
                    self.directory.send_replace(size);
                }
                exchange::Effect::Revoked | exchange::Effect::StandingChanged => self.revocations.send_modify(|count| *count += 1),
            }
        }
    }

    /// Why `address` may not be connected: its state, when that is neither active nor supervised.
    #[must_use]
    pub fn barred(&self, address: &Address) -> Option<&'static str> {
        exchange::rules::barred(self.exchange().state(), address)
    }

    /// Whether the ledger holds a revocation of this certificate.
    #[must_use]
    pub fn is_revoked(&self, link: &Link) -> bool {
        exchange::rules::is_revoked(self.exchange().state(), link)
    }

    fn mailbox_senders(&self) -> MutexGuard<'_, BTreeMap<Address, watch::Sender<u64>>> {
        self.mailboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The enrolled identity keys as they are now.
impl Keyring for Shared {
    fn identity(&self, key_id: &[u8; 32]) -> Option<Identity> {
        self.exchange().state().identity(key_id)
    }
}
