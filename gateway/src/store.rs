//! Opening the ledger and the state that follows from it: newest sound snapshot, then the tail, by the normal path.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use envelope::Timestamp;
use envelope::entry::{Entry, EntryError};
use envelope::genesis::Genesis;
use envelope::identity::Anchors;
use exchange::{ApplyError, Exchange, Rules};
use ledger::{Engine, Ledger};

use crate::config::Keys;
use crate::node::{Node, NodeError};

/// How to open this gateway's ledger, as often as it must be opened.
#[derive(Clone, Debug)]
pub struct Opener {
    /// The data folder.
    pub data: PathBuf,
    /// The folder with the signing keys.
    pub node: PathBuf,
    /// What opens them.
    pub keys: Keys,
    /// The genesis.
    pub genesis: Arc<Genesis>,
    /// The rules that judge.
    pub rules: Rules,
    /// Where rows are kept.
    pub engine: Engine,
}

/// Why ledger or state cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Keys.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The ledger does not open.
    #[error(transparent)]
    Open(ledger::OpenError),
    /// The store is another engine's than the configuration says.
    #[error(
        "the store in {} is one of {found}, the configuration says engine = \"{configured}\": write engine = \"{found}\" under [store] to \
         open it; an engine is chosen when a store is made and cannot be changed", .data.display()
    )]
    Engine {
        /// Where the store is.
        data: PathBuf,
        /// Its engine.
        found: &'static str,
        /// The engine of the configuration.
        configured: &'static str,
    },
    /// An entry cannot be read.
    #[error("entry {index} cannot be read")]
    Read {
        /// Which.
        index: u64,
        /// Why.
        #[source]
        source: ledger::ReadError,
    },
    /// The snapshots cannot be read.
    #[error("the snapshots cannot be read")]
    Snapshots(#[source] ledger::ReadError),
    /// An entry is not what its kind says.
    #[error("entry {index} is not sound")]
    Entry {
        /// Which.
        index: u64,
        /// Why.
        #[source]
        source: EntryError,
    },
    /// An entry does not make sense at its place.
    #[error("entry {index} does not make sense at its place")]
    Apply {
        /// Which.
        index: u64,
        /// Why.
        #[source]
        source: ApplyError,
    },
    /// An opening that no rule has purged is gone.
    #[error("the opening of entry {index} is gone")]
    Missing {
        /// Which.
        index: u64,
    },
}

impl From<ledger::OpenError> for StoreError {
    fn from(error: ledger::OpenError) -> Self {
        match error {
            ledger::OpenError::Engine { dir, found, wanted } => Self::Engine { data: dir, found, configured: wanted },
            error => Self::Open(error),
        }
    }
}

impl StoreError {
    /// Whether the store itself is at fault: it did not pass its check.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        use ledger::OpenError::{Exists, Io, Locked, Missing, Other, Signer, Version};
        let elsewhere = matches!(
            self,
            Self::Node(_)
                | Self::Engine { .. }
                | Self::Open(Exists(..) | Missing(..) | Locked { .. } | Version { .. } | Other { .. } | Signer { .. } | Io { .. })
        );
        !elsewhere
    }
}

impl Opener {
    /// What the store says of itself.
    #[must_use]
    pub fn config(&self) -> ledger::Config {
        ledger::Config {
            origin: self.genesis.log_origin(),
            directory_origin: self.genesis.directory_origin(),
            genesis_sha256: self.genesis.sha256,
            created_by: concat!("ecowire-gateway ", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }

    /// Makes the store; it must not exist.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn create(&self) -> Result<Box<dyn Ledger>, StoreError> {
        let signers = Node::signers(&self.node, &self.keys, &self.genesis)?;
        Ok(ledger::create(self.engine.clone(), &self.data, &self.config(), signers)?)
    }

    /// Opens the store by checking it.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn open_ledger(&self) -> Result<Box<dyn Ledger>, StoreError> {
        let signers = Node::signers(&self.node, &self.keys, &self.genesis)?;
        Ok(ledger::open(self.engine.clone(), &self.data, &self.config(), signers)?)
    }

    /// Opens the store and derives the state.
    ///
    /// # Errors
    /// [`StoreError`] names the entry.
    pub fn open(&self) -> Result<(Box<dyn Ledger>, Exchange), StoreError> {
        let ledger = self.open_ledger()?;
        let exchange = derive(&*ledger, &self.rules)?;
        Ok((ledger, exchange))
    }
}

/// The state of a ledger: the newest snapshot that is sound, and every entry after it.
///
/// # Errors
/// [`StoreError`] names the entry that does not apply.
pub fn derive(ledger: &dyn Ledger, rules: &Rules) -> Result<Exchange, StoreError> {
    let snapshot = ledger.snapshot().map_err(StoreError::Snapshots)?;
    let derived = match snapshot {
        Some(snapshot) => read(&snapshot, anchors(ledger)?, rules),
        None => None,
    };
    let (mut exchange, from) = derived.unwrap_or((Exchange::new(rules.clone()), 0));
    exchange.keep_snapshots();
    for index in from..ledger.size() {
        replay(ledger, &mut exchange, index)?;
    }
    tracing::info!(snapshot = from, tail = ledger.size() - from, "the state was derived");
    Ok(exchange)
}

/// The state of a snapshot, and its entries; `None`, and a line in the log, when it is not what its digest says.
fn read(snapshot: &ledger::Snapshot, anchors: Anchors, rules: &Rules) -> Option<(Exchange, u64)> {
    match Exchange::from_snapshot(snapshot.rows(), Some(anchors), rules.clone()) {
        Ok((exchange, size)) if size == snapshot.size() => Some((exchange, size)),
        Ok((_, size)) => {
            tracing::error!(size, named = snapshot.size(), "the snapshot is of another size; the state is derived from entry 0");
            None
        }
        Err(error) => {
            tracing::error!(%error, "the snapshot is not sound; the state is derived from entry 0");
            None
        }
    }
}

/// The roots that the ledger's genesis names; no row of the state holds them.
fn anchors(ledger: &dyn Ledger) -> Result<Anchors, StoreError> {
    match entry(ledger, 0)? {
        (_, Entry::Genesis(signed)) => {
            Genesis::anchors_of(&signed).map_err(|error| StoreError::Apply { index: 0, source: ApplyError::BadGenesis(error) })
        }
        _ => Err(StoreError::Apply { index: 0, source: ApplyError::Genesis }),
    }
}

fn replay(ledger: &dyn Ledger, exchange: &mut Exchange, index: u64) -> Result<(), StoreError> {
    let (at, entry) = entry(ledger, index)?;
    exchange.replay(index, at, &entry).map_err(|source| StoreError::Apply { index, source })
}

fn entry(ledger: &dyn Ledger, index: u64) -> Result<(Timestamp, Entry), StoreError> {
    let stored = ledger.read(index).map_err(|source| StoreError::Read { index, source })?;
    let opening = stored.opening.ok_or(StoreError::Missing { index })?;
    let entry = Entry::read(&opening).map_err(|source| StoreError::Entry { index, source })?;
    Ok((stored.leaf.at, entry))
}

/// Whether a folder holds a store already, of any engine.
#[must_use]
pub fn exists(data: &Path) -> bool {
    Engine::found_in(data).is_some()
}
