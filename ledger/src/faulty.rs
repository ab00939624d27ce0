//! A store that fails when it is told to: what a disk does once in years, on demand.
//!
//! For tests of this crate, and of others with the feature `faults`. It does not know which call matters; the tests
//! let each one fail in turn.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use envelope::vault::EntryKey;

use crate::error::{Cause, WriteError};
use crate::keyfile::Keys;
use crate::log::Parts;
use crate::payloads::{Payloads, Place};
use crate::store::{Batch, Row, Store, Table, View};

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does nothing and fails.
    Fails,
    /// It does its work and fails all the same.
    FailsButPersists,
    /// There is no room on the disk; it does nothing.
    DiskFull,
}

/// Which call fails, and how. Clones share one counter.
#[derive(Clone, Debug)]
pub struct Plan {
    fault: Fault,
    /// The call that fails, from 1.
    at: u64,
    calls: Arc<AtomicU64>,
}

impl Plan {
    /// The `at`-th call from now on fails; 0 for none.
    #[must_use]
    pub fn new(fault: Fault, at: u64) -> Self {
        Self { fault, at, calls: Arc::default() }
    }

    /// Whether the call has come and failed.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.calls.load(Ordering::SeqCst) >= self.at
    }

    pub(crate) fn wrap(self, parts: Parts) -> Parts {
        let Parts { store, keys, payloads, shelf, _held } = parts;
        let store = Box::new(Faulty { inner: store, plan: self.clone() });
        let keys = Box::new(FaultyKeys { inner: keys, plan: self.clone() });
        Parts { store, keys, payloads: Box::new(FaultyPayloads { inner: payloads, plan: self }), shelf, _held }
    }

    fn write(&self, write: impl FnOnce() -> Result<(), WriteError>) -> Result<(), WriteError> {
        let full = self.fault == Fault::DiskFull;
        self.call(write, |error| if full { WriteError::Full(error.into()) } else { WriteError::Unknown(error.into()) })
    }

    fn call<T, E>(&self, call: impl FnOnce() -> Result<T, E>, fail: impl FnOnce(io::Error) -> E) -> Result<T, E> {
        if self.calls.fetch_add(1, Ordering::SeqCst) + 1 != self.at {
            return call();
        }
        if self.fault == Fault::FailsButPersists {
            call()?;
        }
        let kind = if self.fault == Fault::DiskFull { io::ErrorKind::StorageFull } else { io::ErrorKind::Other };
        Err(fail(io::Error::new(kind, "made to fail")))
    }
}

struct Faulty {
    inner: Box<dyn Store>,
    plan: Plan,
}

struct FaultyView<'a> {
    inner: Box<dyn View + 'a>,
    plan: &'a Plan,
}

struct FaultyKeys {
    inner: Box<dyn Keys>,
    plan: Plan,
}

struct FaultyPayloads {
    inner: Box<dyn Payloads>,
    plan: Plan,
}

impl Store for Faulty {
    fn view(&self) -> Result<Box<dyn View + '_>, Cause> {
        let view = self.plan.call(|| self.inner.view(), Cause::from)?;
        Ok(Box::new(FaultyView { inner: view, plan: &self.plan }))
    }

    fn commit(&self, batch: Batch) -> Result<(), Cause> {
        self.plan.call(|| self.inner.commit(batch), Cause::from)
    }

    fn check(&mut self) -> Result<bool, Cause> {
        let Self { inner, plan } = self;
        plan.call(|| inner.check(), Cause::from)
    }
}

impl View for FaultyView<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Cause> {
        self.plan.call(|| self.inner.get(table, key), Cause::from)
    }

    fn range(&self, table: Table, from: &[u8], limit: usize) -> Result<Vec<Row>, Cause> {
        self.plan.call(|| self.inner.range(table, from, limit), Cause::from)
    }

    fn len(&self, table: Table) -> Result<u64, Cause> {
        self.plan.call(|| self.inner.len(table), Cause::from)
    }
}

impl Keys for FaultyKeys {
    fn write(&self, first: u64, keys: &[&EntryKey]) -> Result<(), WriteError> {
        self.plan.write(|| self.inner.write(first, keys))
    }

    fn read(&self, index: u64) -> Result<Option<EntryKey>, Cause> {
        self.plan.call(|| self.inner.read(index), Cause::from)
    }

    fn extent(&self) -> Result<u64, Cause> {
        self.plan.call(|| self.inner.extent(), Cause::from)
    }
}

impl Payloads for FaultyPayloads {
    fn write(&self, place: Place, bytes: &[u8]) -> Result<(), WriteError> {
        self.plan.write(|| self.inner.write(place, bytes))
    }

    fn read(&self, place: Place, length: usize) -> Result<Vec<u8>, Cause> {
        self.plan.call(|| self.inner.read(place, length), Cause::from)
    }

    fn extent(&self, segment: u32) -> Result<u64, Cause> {
        self.plan.call(|| self.inner.extent(segment), Cause::from)
    }
}
