//! Messages on their way to recipients: what goes to many is read, checked and hashed once, and kept for the others.
//!
//! It does not know who may have what; the mailbox rows of the state decide that.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use envelope::entry::{Entry, MessageEntry, statement_key};
use envelope::slots::Leaf;
use envelope::{Address, Receipt};
use ledger::{Ledger, Stored};
use prost::Message as _;
use proto::v1;
use tlog::small::Nodes;

use crate::limits::{DELIVERIES_KEPT_BYTES_MAX, DELIVERIES_KEPT_MAX};
use crate::problem::Problem;
use crate::receipts::{of_stored, opened, shown_to_recipient};

/// A message of a mailbox, as the state has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its number there.
    pub seq: u64,
    /// Its entry.
    pub index: u64,
    /// The entry that released it; 0 when it was available at once.
    pub release_index: u64,
}

/// The messages that were delivered last.
#[derive(Debug, Default)]
pub struct Deliveries(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// Newest last.
    messages: VecDeque<Arc<Ready>>,
    bytes: usize,
}

/// A message with all that its deliveries have in common.
#[derive(Debug)]
struct Ready {
    stored: Stored,
    leaf: Leaf,
    message: MessageEntry,
    payload: v1::SealedPayload,
    wraps: Nodes,
    /// The permissions that it names, as they were signed.
    authorities: Vec<Bytes>,
    bytes: usize,
}

impl Deliveries {
    /// A message as its recipient gets it.
    ///
    /// # Errors
    /// [`Problem`] when the ledger cannot be read, or the entry is not a message to `recipient`.
    pub fn delivery(&self, ledger: &dyn Ledger, waiting: Waiting, recipient: &Address) -> Result<v1::Delivery, Problem> {
        let ready = match self.kept(waiting.index) {
            Some(ready) => ready,
            None => self.keep(Ready::read(ledger, waiting.index)?),
        };
        ready.delivery(ledger, waiting, recipient)
    }

    fn kept(&self, index: u64) -> Option<Arc<Ready>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.messages.iter().rev().find(|ready| ready.stored.index == index).cloned()
    }

    fn keep(&self, ready: Ready) -> Arc<Ready> {
        let ready = Arc::new(ready);
        // Who is alone with a message will not come again.
        if ready.message.places.len() > 1 {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.bytes += ready.bytes;
            kept.messages.push_back(ready.clone());
            while kept.messages.len() > DELIVERIES_KEPT_MAX || kept.bytes > DELIVERIES_KEPT_BYTES_MAX {
                let Some(oldest) = kept.messages.pop_front() else { break };
                kept.bytes -= oldest.bytes;
            }
        }
        ready
    }
}

impl Ready {
    fn read(ledger: &dyn Ledger, index: u64) -> Result<Self, Problem> {
        let stored = ledger.read(index)?;
        let Ok(Entry::Message(message)) = Entry::read(opened(&stored)?) else { return Err(broken("the entry is no message")) };
        let sealed = stored.sealed.clone().ok_or_else(|| broken("the sealed payload is gone"))?;
        let payload = v1::SealedPayload::decode(sealed.clone()).map_err(|_| broken("the sealed payload is malformed"))?;
        if payload.wraps.len() != message.places.len() {
            return Err(broken("the wraps are not as many as the recipients"));
        }
        let leaves: Vec<tlog::Hash> = payload.wraps.iter().map(|wrap| tlog::leaf_hash(wrap)).collect();
        let authorities = authorities(ledger, &message)?;
        let named: usize = authorities.iter().map(Bytes::len).sum();
        let bytes = sealed.len() + opened(&stored)?.slots().bytes_len() + 256 * leaves.len() + named;
        Ok(Self { leaf: stored.leaf, message: *message, payload, wraps: Nodes::new(&leaves), authorities, bytes, stored })
    }

    fn delivery(&self, ledger: &dyn Ledger, waiting: Waiting, recipient: &Address) -> Result<v1::Delivery, Problem> {
        let mut places = self.message.places.iter();
        let at = places.position(|place| place.address == recipient.as_str()).ok_or_else(|| broken("not a recipient"))?;
        let path = self.wraps.path(at).ok_or_else(|| broken("fewer wraps than recipients"))?;
        let index = self.stored.index;
        let (size, checkpoint) = ledger.checkpoint()?;
        let proof = ledger.inclusion(index, size)?;
        let shown = shown_to_recipient(at as u16 + 1);
        let receipt = Receipt::new(index, &self.leaf, opened(&self.stored)?, &proof, checkpoint, shown).encode().into();
        Ok(v1::Delivery {
            signed: Some(v1::SignedHeader { header: self.message.header.clone(), signatures: self.payload.signatures.clone() }),
            wrap: self.payload.wraps[at].clone(),
            wrap_path: path.iter().map(|hash| Bytes::copy_from_slice(hash.as_bytes())).collect(),
            content: self.payload.content.clone(),
            receipt,
            position: Some(v1::Position { log: 0, index }),
            mailbox_seq: waiting.seq,
            authorities: self.authorities.clone(),
            release: release(ledger, waiting.release_index, recipient)?,
        })
    }
}

/// The statements behind the permissions that a message names, in their order.
fn authorities(ledger: &dyn Ledger, message: &MessageEntry) -> Result<Vec<Bytes>, Problem> {
    let named = v1::Header::decode(message.header.clone()).and_then(|header| v1::Context::decode(header.context));
    let named = named.map_err(|_| broken("the header is malformed"))?.authorities;
    let read = |authority: v1::Authority| {
        let digest = authority.statement_digest.as_ref().try_into().map_err(|_| broken("a permission's digest is malformed"))?;
        let index = ledger.find(&statement_key(&digest))?.ok_or_else(|| broken("a permission that was admitted is not in the ledger"))?;
        match Entry::read(opened(&ledger.read(index)?)?) {
            Ok(Entry::Permission(signed)) => Ok(signed.encode_to_vec().into()),
            _ => Err(broken("a permission's entry is another")),
        }
    };
    named.into_iter().map(read).collect()
}

/// The receipt of the entry that let a held message go; empty for one that was not held.
fn release(ledger: &dyn Ledger, index: u64, recipient: &Address) -> Result<Bytes, Problem> {
    if index == 0 {
        return Ok(Bytes::new());
    }
    let stored = ledger.read(index)?;
    let Ok(Entry::Release { places, .. }) = Entry::read(opened(&stored)?) else { return Err(broken("the entry is no release")) };
    let at = places.iter().position(|place| place.address == recipient.as_str()).ok_or_else(|| broken("not released to this recipient"))?;
    of_stored(ledger, &stored, shown_to_recipient(at as u16 + 1))
}

fn broken(what: &'static str) -> Problem {
    Problem::fault("a delivery could not be made", &what)
}
