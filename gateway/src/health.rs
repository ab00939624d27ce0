//! Whether the gateway lives, and whether it is of use: liveness apart from readiness, judged from facts.
//!
//! A gateway that lives but is not ready is left alone: it says why, and nobody mends it by killing it.

use envelope::Timestamp;

use crate::shared::Shared;

/// What health is judged by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Whether the writer's thread runs.
    pub writer_lives: bool,
    /// Why this process will never write again.
    pub stopped: Option<String>,
    /// Why nothing is written for now.
    pub halted: Option<String>,
    /// Whether the gateway is shutting down.
    pub going_down: bool,
    /// Whether the store is open.
    pub store_open: bool,
    /// When the node's certificate ends; `None` before it was read.
    pub certificate_not_after: Option<Timestamp>,
    /// Whether the revocation lists have been read.
    pub lists_read: bool,
    /// The time.
    pub now: Timestamp,
}

impl Facts {
    /// The facts of a gateway that has opened its store.
    #[must_use]
    pub fn of(shared: &Shared, now: Timestamp) -> Self {
        Self {
            writer_lives: shared.metrics.writer_lives(),
            stopped: shared.stopped().cloned(),
            halted: shared.halted().borrow().clone(),
            going_down: *shared.going_down().borrow(),
            store_open: shared.ledger().checkpoint().is_ok(),
            certificate_not_after: shared.metrics.certificate_not_after(),
            lists_read: shared.metrics.list_facts().is_some(),
            now,
        }
    }

    /// Why the process is of no use any more, even to an operator; `None` while it lives.
    #[must_use]
    pub fn dead(&self) -> Option<&'static str> {
        // When it goes down, the writer ends first.
        (!self.writer_lives && !self.going_down).then_some("the writer's thread has ended")
    }

    /// Why nobody should be sent here, most serious first; empty when the gateway is ready.
    #[must_use]
    pub fn not_ready(&self) -> Vec<String> {
        let certificate = match self.certificate_not_after {
            None => Some("the node's certificate has not been read".to_owned()),
            Some(end) if end <= self.now => Some(format!("the node's certificate ended at {end}")),
            Some(_) => None,
        };
        let reasons = [
            self.going_down.then(|| "the gateway is shutting down".to_owned()),
            self.dead().map(str::to_owned),
            self.stopped.as_ref().map(|reason| format!("nothing is written any more: {reason}")),
            self.halted.clone().filter(|_| self.stopped.is_none()).map(|reason| format!("nothing is written for now: {reason}")),
            (!self.store_open && !self.going_down).then(|| "the store is closed".to_owned()),
            certificate,
            (!self.lists_read).then(|| "the revocation lists have not been read".to_owned()),
        ];
        reasons.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_named_and_a_halted_writer_is_not_a_dead_one() {
        let well = Facts {
            writer_lives: true,
            stopped: None,
            halted: None,
            going_down: false,
            store_open: true,
            certificate_not_after: Some(Timestamp(1001)),
            lists_read: true,
            now: Timestamp(1000),
        };
        assert_eq!((well.not_ready(), well.dead()), (Vec::new(), None));
        for (change, wanted, dead) in [
            ((|facts| facts.going_down = true) as fn(&mut Facts), "the gateway is shutting down", false),
            (|facts| facts.writer_lives = false, "the writer's thread has ended", true),
            (|facts| (facts.writer_lives, facts.going_down) = (false, true), "the gateway is shutting down", false),
            (|facts| facts.halted = Some("CLOCK_JUMP".to_owned()), "nothing is written for now: CLOCK_JUMP", false),
            (
                |facts| (facts.halted, facts.stopped) = (Some("forked".to_owned()), Some("forked".to_owned())),
                "nothing is written any more: forked",
                false,
            ),
            (|facts| facts.store_open = false, "the store is closed", false),
            (|facts| facts.now = Timestamp(1001), "the node's certificate ended at 1970-01-01T00:00:01.001Z", false),
            (|facts| facts.certificate_not_after = None, "the node's certificate has not been read", false),
            (|facts| facts.lists_read = false, "the revocation lists have not been read", false),
        ] {
            let mut facts = well.clone();
            change(&mut facts);
            assert_eq!((facts.not_ready(), facts.dead().is_some()), (vec![wanted.to_owned()], dead));
        }
    }
}
