//! What the log says of a flood: so many lines a minute of one reason, then a count, so that whoever knocks often fills no
//! disk and hides nobody else's reason.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Who may still write a line, by the reason that it gives. The reasons are ours, so there are few.
#[derive(Debug)]
pub struct Quiet {
    lines_per_minute: u32,
    started: Instant,
    minutes: Mutex<BTreeMap<&'static str, Minute>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Minute {
    from_ms: u64,
    said: u32,
    unsaid: u64,
}

impl Quiet {
    /// So many lines a minute of each reason.
    #[must_use]
    pub fn new(lines_per_minute: u32) -> Self {
        Self { lines_per_minute, started: Instant::now(), minutes: Mutex::default() }
    }

    /// Whether a line may be written; then, how many before it were not.
    pub fn may_say(&self, reason: &'static str) -> Option<u64> {
        let now_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut minutes = self.minutes.lock().unwrap_or_else(PoisonError::into_inner);
        minutes.entry(reason).or_default().may_say(now_ms, self.lines_per_minute)
    }
}

impl Minute {
    fn may_say(&mut self, now_ms: u64, lines_per_minute: u32) -> Option<u64> {
        if now_ms >= self.from_ms + MINUTE_MS {
            (self.from_ms, self.said) = (now_ms, 0);
        }
        if self.said < lines_per_minute {
            self.said += 1;
            return Some(std::mem::take(&mut self.unsaid));
        }
        self.unsaid += 1;
        None
    }
}

const MINUTE_MS: u64 = 60_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_a_minute_then_a_count() {
        let mut minute = Minute::default();
        for (now_ms, expected) in [
            (0, Some(0)),
            (1, Some(0)),
            (2, None),
            (59_999, None),
            (60_000, Some(2)),
            (60_001, Some(0)),
            (119_999, None),
            (120_000, Some(1)),
        ] {
            assert_eq!(minute.may_say(now_ms, 2), expected, "at {now_ms} ms");
        }
    }

    #[test]
    fn one_reason_does_not_silence_another() {
        let quiet = Quiet::new(1);
        assert_eq!([quiet.may_say("A"), quiet.may_say("A"), quiet.may_say("B")], [Some(0), None, Some(0)]);
    }
}
