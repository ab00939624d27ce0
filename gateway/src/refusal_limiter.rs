//! How many refusals of a sender get an entry of their own: 60 a minute; the rest is counted into one.

use std::collections::BTreeMap;

use envelope::Timestamp;
use proto::v1::RefusalsCounted;

use crate::limits::REFUSALS_PER_MINUTE;

/// The count of each sender in its current minute. Only senders with sound signatures get here, so it is bounded by the registry.
#[derive(Debug, Default)]
pub(crate) struct RefusalLimiter(BTreeMap<String, Minute>);

#[derive(Clone, Copy, Debug, Default)]
struct Minute {
    from_ms: u64,
    recorded: u32,
    counted: u64,
}

impl RefusalLimiter {
    /// Whether the next refusal of `sender` may have an entry; otherwise it is counted.
    pub(crate) fn may_record(&mut self, sender: &str, now: Timestamp) -> bool {
        let minute = self.0.entry(sender.to_owned()).or_default();
        if now.ms() >= minute.from_ms + MINUTE_MS {
            *minute = Minute { from_ms: now.ms(), recorded: 0, counted: 0 };
        }
        if minute.recorded < REFUSALS_PER_MINUTE {
            minute.recorded += 1;
            return true;
        }
        minute.counted += 1;
        false
    }

    /// What was only counted in a minute of `sender` that is over.
    pub(crate) fn take_counted(&mut self, sender: &str, now: Timestamp) -> Option<RefusalsCounted> {
        let minute = self.0.get_mut(sender)?;
        if minute.counted == 0 || now.ms() < minute.from_ms + MINUTE_MS {
            return None;
        }
        let counted = RefusalsCounted {
            sender: sender.to_owned(),
            count: minute.counted,
            from_ms: minute.from_ms,
            to_ms: minute.from_ms + MINUTE_MS,
        };
        minute.counted = 0;
        Some(counted)
    }
}

const MINUTE_MS: u64 = 60_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixty_a_minute_then_a_count() {
        let mut limiter = RefusalLimiter::default();
        let recorded = (0..100).filter(|n| limiter.may_record("ke", Timestamp(1_000_000 + n))).count();
        assert_eq!(recorded, 60);
        assert!(limiter.may_record("th", Timestamp(1_000_000)));
        assert_eq!(limiter.take_counted("ke", Timestamp(1_000_100)), None);
        let counted = limiter.take_counted("ke", Timestamp(1_060_000));
        assert_eq!(counted.map(|counted| counted.count), Some(40));
        assert!(limiter.may_record("ke", Timestamp(1_060_000)));
        assert_eq!(limiter.take_counted("ke", Timestamp(1_060_000)), None);
    }
}
