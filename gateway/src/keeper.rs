//! Keeps snapshots of the state, on a thread of its own: writing and merging them must not hold up the writer.
//!
//! It does not know what a row means. A snapshot that is not kept costs the next start a longer tail, and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use exchange::SnapshotPart;
use ledger::Ledger;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::writer::chain;

/// What is to be kept, and in which ledger.
type Work = (Arc<dyn Ledger>, SnapshotPart);

/// The writer's end.
pub(crate) struct Keeper {
    work: mpsc::Sender<Work>,
    /// A part was not kept, so those after it lie over nothing.
    lost: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Starts the thread. Without one, for want of memory, no snapshot is kept.
    pub(crate) fn start() -> Self {
        let (work, mut parts) = mpsc::channel::<Work>(PARTS_WAITING_MAX);
        let lost = Arc::new(AtomicBool::new(false));
        let flag = lost.clone();
        let keep = move || {
            while let Some((ledger, part)) = parts.blocking_recv() {
                if let Err(error) = ledger.save_snapshot(part.from, part.to, &part.rows) {
                    flag.store(true, Ordering::Release);
                    tracing::error!(error = %chain(&error), "a snapshot was not kept; the next start may read a longer tail");
                }
            }
        };
        let thread = std::thread::Builder::new().name("keeper".to_owned()).spawn(keep);
        let thread = thread.map_err(|error| tracing::error!(%error, "there is no thread for snapshots")).ok();
        Self { work, lost, thread }
    }

    /// Room for one more part, if the keeper is not behind.
    pub(crate) fn room(&self) -> Result<mpsc::Permit<'_, Work>, TrySendError<()>> {
        self.work.try_reserve()
    }

    /// Whether a part was lost since the last call.
    pub(crate) fn has_lost(&self) -> bool {
        self.lost.swap(false, Ordering::Acquire)
    }

    /// Waits until everything taken so far is kept.
    pub(crate) fn finish(&mut self) {
        self.work = mpsc::channel(1).0;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the keeper of snapshots did not end well");
        }
    }
}

/// Parts between the writer and the keeper; each holds the changes of some thousand entries.
const PARTS_WAITING_MAX: usize = 2;
