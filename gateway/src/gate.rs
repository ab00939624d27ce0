//! Room on the way to the writer: bounded for all, for each participant, and a part kept for FLASH.
//!
//! A permit is a value: who holds one has room, and dropping it gives the room back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use envelope::Address;

use crate::bounds::Limits;
use crate::problem::{Bound, Problem};

/// The rooms.
#[derive(Debug, Default)]
pub struct Gate {
    limits: Arc<Limits>,
    rooms: Mutex<Rooms>,
}

#[derive(Debug, Default)]
struct Rooms {
    all: Room,
    each: BTreeMap<Address, Room>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Room {
    messages: usize,
    bytes: usize,
}

/// Room for one message.
#[derive(Debug)]
pub struct Permit {
    gate: Arc<Gate>,
    address: Address,
    bytes: usize,
}

/// There is no room.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Full {
    /// Which bound is reached.
    pub bound: Bound,
    /// The same in words.
    pub text: String,
}

impl From<Full> for Problem {
    fn from(full: Full) -> Self {
        Self::busy_at(full.bound, full.text)
    }
}

impl Gate {
    /// Empty rooms of these bounds.
    #[must_use]
    pub fn new(limits: Arc<Limits>) -> Self {
        Self { limits, rooms: Mutex::default() }
    }

    /// Messages and bytes that hold room now.
    #[must_use]
    pub fn depth(&self) -> (usize, usize) {
        let rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        (rooms.all.messages, rooms.all.bytes)
    }

    /// Takes room for a message of `bytes`; FLASH may use the part that is kept for it.
    ///
    /// # Errors
    /// [`Full`] names the bound that is reached.
    pub fn enter(self: &Arc<Self>, address: &Address, bytes: usize, flash: bool) -> Result<Permit, Full> {
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        let Limits { queue_messages, queue_bytes, in_flight_messages, in_flight_bytes, .. } = *self.limits;
        // An eighth is kept free for FLASH.
        let max = if flash { queue_messages } else { queue_messages - queue_messages / 8 };
        if rooms.all.messages >= max || rooms.all.bytes + bytes > queue_bytes {
            return Err(Full { bound: Bound::Queue, text: "the queue to the ledger is full".to_owned() });
        }
        let own = rooms.each.get(address).copied().unwrap_or_default();
        if own.messages >= in_flight_messages || own.bytes + bytes > in_flight_bytes {
            let text = format!("{address} has {} messages and {} bytes in flight, the most that are allowed", own.messages, own.bytes);
            return Err(Full { bound: Bound::Participant, text });
        }
        rooms.all.add(bytes);
        rooms.each.entry(address.clone()).or_default().add(bytes);
        Ok(Permit { gate: self.clone(), address: address.clone(), bytes })
    }
}

impl Room {
    fn add(&mut self, bytes: usize) {
        self.messages += 1;
        self.bytes += bytes;
    }

    fn remove(&mut self, bytes: usize) {
        self.messages -= 1;
        self.bytes -= bytes;
    }
}

impl Permit {
    /// Who holds it.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut rooms = self.gate.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        rooms.all.remove(self.bytes);
        if let Some(own) = rooms.each.get_mut(&self.address) {
            own.remove(self.bytes);
            if own.messages == 0 {
                rooms.each.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::limits::{IN_FLIGHT_BYTES_MAX, IN_FLIGHT_MESSAGES_MAX, QUEUE_MESSAGES_MAX};

    fn at(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    #[test]
    fn one_participant_has_256_in_flight_and_others_still_enter() {
        let gate = Arc::new(Gate::default());
        let mut held: Vec<_> = (0..IN_FLIGHT_MESSAGES_MAX).map(|_| gate.enter(&at("ke"), 10, false).unwrap()).collect();
        assert!(gate.enter(&at("ke"), 10, true).unwrap_err().text.contains("256 messages"));
        assert!(gate.enter(&at("th"), 10, false).is_ok());
        held.pop();
        assert!(gate.enter(&at("ke"), 10, false).is_ok());
    }

    #[test]
    fn bytes_are_bounded_for_each_and_for_all() {
        let gate = Arc::new(Gate::default());
        assert!(gate.enter(&at("ke"), IN_FLIGHT_BYTES_MAX + 1, false).is_err());
        let _held: Vec<_> = (0..8).map(|n| gate.enter(&at(&format!("ke/cus/x-{n}")), IN_FLIGHT_BYTES_MAX, false).unwrap()).collect();
        assert_eq!(gate.enter(&at("th"), 1, true).unwrap_err().text, "the queue to the ledger is full");
    }

    #[test]
    fn an_eighth_is_kept_for_flash() {
        let gate = Arc::new(Gate::default());
        let fill = |n: usize, flash| gate.enter(&at(&format!("ke/cus/x-{}", n / IN_FLIGHT_MESSAGES_MAX)), 1, flash);
        let _held: Vec<_> = (0..QUEUE_MESSAGES_MAX - QUEUE_MESSAGES_MAX / 8).map(|n| fill(n, false).unwrap()).collect();
        assert!(gate.enter(&at("th"), 1, false).is_err());
        assert!(gate.enter(&at("th"), 1, true).is_ok());
    }

    #[test]
    fn the_bounds_are_those_of_the_configuration() {
        let limits = Limits { queue_messages: 16, in_flight_messages: 2, ..Limits::default() };
        let gate = Arc::new(Gate::new(Arc::new(limits)));
        let fill = |n: usize, flash| gate.enter(&at(&format!("ke/cus/x-{}", n / 2)), 1, flash);
        let held: Vec<_> = (0..14).map(|n| fill(n, false).unwrap()).collect();
        assert_eq!(fill(14, false).unwrap_err().text, "the queue to the ledger is full");
        assert!(fill(14, true).is_ok());
        drop(held);
        let _two: Vec<_> = (0..2).map(|_| gate.enter(&at("ke"), 1, false).unwrap()).collect();
        assert!(gate.enter(&at("ke"), 1, false).unwrap_err().text.contains("ke has 2 messages"));
    }
}
