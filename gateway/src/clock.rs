//! The gateway's clock: one bad time must not date the world, so a jump stops the writer until an authority speaks.
//!
//! It does not know what is written; it says what time it is, or why it will not.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use envelope::Timestamp;

use crate::limits::{CLOCK_DRIFT_MAX_MS, CLOCK_START_GAP_MAX_MS, CLOCK_WINDOW_MS};

/// Where time comes from; tests bring their own.
pub trait TimeSource: Send + Sync {
    /// The wall clock.
    fn wall(&self) -> Timestamp;
    /// Milliseconds of a clock that only goes forward, from any start.
    fn monotonic_ms(&self) -> u64;
}

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemTimeSource(Instant);

impl Default for SystemTimeSource {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl TimeSource for SystemTimeSource {
    fn wall(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    fn monotonic_ms(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Why the clock is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClockFault {
    /// At start, the wall clock lies before the last entry.
    #[error(
        "CLOCK_BEHIND: the clock says {wall}, the last entry is of {last}; set the clock, or start with a clock step that the network authority has signed (serve --clock-step)"
    )]
    Behind {
        /// The wall clock.
        wall: Timestamp,
        /// The last entry.
        last: Timestamp,
    },
    /// At start, the wall clock lies more than a day after the last entry.
    #[error(
        "CLOCK_AHEAD: the clock says {wall}, more than 24 h after the last entry of {last}; start with a clock step that the network authority has signed (serve --clock-step)"
    )]
    Ahead {
        /// The wall clock.
        wall: Timestamp,
        /// The last entry.
        last: Timestamp,
    },
    /// The wall clock jumped.
    #[error(
        "CLOCK_JUMP: the clock says {wall}, by the monotonic clock it should be {expected}; set the clock, or start with a clock step that the network authority has signed (serve --clock-step)"
    )]
    Jump {
        /// The wall clock.
        wall: Timestamp,
        /// What it should be.
        expected: Timestamp,
    },
}

/// The guarded clock. Owned by the writer.
pub struct Clock {
    source: Arc<dyn TimeSource>,
    anchor_wall: Timestamp,
    anchor_monotonic_ms: u64,
    fault: Option<ClockFault>,
}

impl Clock {
    /// A clock that starts behind the last entry of a ledger, if it has one.
    pub fn start(source: Arc<dyn TimeSource>, last: Option<Timestamp>) -> Self {
        let wall = source.wall();
        let fault = last.and_then(|last| {
            if wall < last {
                Some(ClockFault::Behind { wall, last })
            } else if wall > last.plus(CLOCK_START_GAP_MAX_MS) {
                Some(ClockFault::Ahead { wall, last })
            } else {
                None
            }
        });
        let anchor_monotonic_ms = source.monotonic_ms();
        Self { source, anchor_wall: wall, anchor_monotonic_ms, fault }
    }

    /// The time.
    ///
    /// # Errors
    /// [`ClockFault`] from the first jump until [`Clock::step`].
    pub fn now(&mut self) -> Result<Timestamp, ClockFault> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let (wall, elapsed) = (self.source.wall(), self.source.monotonic_ms().saturating_sub(self.anchor_monotonic_ms));
        let expected = self.anchor_wall.plus(elapsed);
        if wall.ms().abs_diff(expected.ms()) > CLOCK_DRIFT_MAX_MS {
            let fault = ClockFault::Jump { wall, expected };
            self.fault = Some(fault.clone());
            return Err(fault);
        }
        if elapsed >= CLOCK_WINDOW_MS {
            (self.anchor_wall, self.anchor_monotonic_ms) = (wall, self.anchor_monotonic_ms + elapsed);
        }
        Ok(wall)
    }

    /// The wall clock, believed or not.
    #[must_use]
    pub fn wall(&self) -> Timestamp {
        self.source.wall()
    }

    /// An authority says that it is `now`: the clock is believed again if it agrees within five minutes.
    pub fn step(&mut self, now: Timestamp) -> bool {
        let wall = self.source.wall();
        let agrees = wall.ms().abs_diff(now.ms()) <= STEP_AGREEMENT_MS;
        if agrees {
            (self.anchor_wall, self.anchor_monotonic_ms, self.fault) = (wall, self.source.monotonic_ms(), None);
        }
        agrees
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clock").field("fault", &self.fault).finish_non_exhaustive()
    }
}

const STEP_AGREEMENT_MS: u64 = 5 * 60_000;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Hands(Mutex<(u64, u64)>);

    impl TimeSource for Hands {
        fn wall(&self) -> Timestamp {
            Timestamp(self.0.lock().unwrap().0)
        }
        fn monotonic_ms(&self) -> u64 {
            self.0.lock().unwrap().1
        }
    }

    /// Moves both clocks and says what the guarded one tells.
    fn check(start: u64, last: Option<u64>, moves: &[(i64, u64)]) -> Vec<String> {
        let hands = Arc::new(Hands(Mutex::new((start, 0))));
        let mut clock = Clock::start(hands.clone(), last.map(Timestamp));
        let tell = |clock: &mut Clock| match clock.now() {
            Ok(at) => format!("+{}", at.ms() as i64 - start as i64),
            Err(fault) => fault.to_string().split(':').next().unwrap().to_owned(),
        };
        let mut told = vec![tell(&mut clock)];
        for (wall, monotonic) in moves {
            {
                let mut hands = hands.0.lock().unwrap();
                *hands = (hands.0.checked_add_signed(*wall).unwrap(), hands.1 + monotonic);
            }
            told.push(tell(&mut clock));
        }
        told
    }

    const NOON: u64 = 1_795_000_000_000;
    const HOUR: u64 = 3_600_000;

    #[test]
    fn an_even_clock_is_believed_and_slow_drift_is_followed() {
        assert_eq!(check(NOON, None, &[(1000, 1000), (64_000, 60_000), (64_000, 60_000)]), ["+0", "+1000", "+65000", "+129000"]);
    }

    #[test]
    fn every_jump_stops_it_by_name_and_it_stays_stopped() {
        for jump in [-(HOUR as i64), HOUR as i64, 24 * HOUR as i64, -24 * HOUR as i64, 5 * 365 * 24 * HOUR as i64, -5_001, 5_001] {
            assert_eq!(check(NOON, None, &[(jump, 0), (-jump, 0)]), ["+0", "CLOCK_JUMP", "CLOCK_JUMP"], "{jump}");
        }
        assert_eq!(check(NOON, None, &[(0, 5_001)]), ["+0", "CLOCK_JUMP"], "frozen");
        assert_eq!(check(NOON, None, &[(5_000, 0)]), ["+0", "+5000"]);
    }

    #[test]
    fn at_start_the_last_entry_is_the_measure() {
        assert_eq!(check(NOON, Some(NOON + 1), &[]), ["CLOCK_BEHIND"]);
        assert_eq!(check(NOON, Some(NOON), &[]), ["+0"]);
        assert_eq!(check(NOON, Some(NOON - 24 * HOUR), &[]), ["+0"]);
        assert_eq!(check(NOON, Some(NOON - 24 * HOUR - 1), &[]), ["CLOCK_AHEAD"]);
    }

    #[test]
    fn an_authority_starts_it_again_if_the_clock_agrees() {
        let hands = Arc::new(Hands(Mutex::new((NOON, 0))));
        let mut clock = Clock::start(hands, Some(Timestamp(NOON + 1)));
        assert!(!clock.step(Timestamp(NOON + HOUR)));
        assert!(clock.now().is_err());
        assert!(clock.step(Timestamp(NOON + 1000)));
        assert_eq!(clock.now(), Ok(Timestamp(NOON)));
    }
}
