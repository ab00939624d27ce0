//! The clocks that a story moves by hand. They know nothing of the gateway that reads them.

#![allow(dead_code)] // Each story uses a part of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use envelope::Timestamp;
use gateway::clock::TimeSource;

/// Clocks in the hand of the test: both stand still until they are moved.
#[derive(Debug)]
pub(crate) struct Hands {
    wall: AtomicU64,
    monotonic: AtomicU64,
}

impl Hands {
    pub(crate) fn at(wall: Timestamp) -> Arc<Self> {
        Arc::new(Self { wall: AtomicU64::new(wall.ms()), monotonic: AtomicU64::new(0) })
    }

    /// Both clocks go on evenly.
    pub(crate) fn pass(&self, ms: u64) {
        self.wall.fetch_add(ms, Ordering::SeqCst);
        self.monotonic.fetch_add(ms, Ordering::SeqCst);
    }

    /// Only the wall clock is set.
    pub(crate) fn set(&self, wall: Timestamp) {
        self.wall.store(wall.ms(), Ordering::SeqCst);
    }

    /// Only the monotonic clock goes on.
    pub(crate) fn freeze(&self, ms: u64) {
        self.monotonic.fetch_add(ms, Ordering::SeqCst);
    }
}

impl TimeSource for Hands {
    fn wall(&self) -> Timestamp {
        Timestamp(self.wall.load(Ordering::SeqCst))
    }

    fn monotonic_ms(&self) -> u64 {
        self.monotonic.load(Ordering::SeqCst)
    }
}
