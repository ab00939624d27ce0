//! How many statements of one participant may stay for ever in an hour: everybody reads the directory whole, and it never shrinks.
//!
//! In memory, like every pace here: a restart begins a new hour. Statements of mailboxes, which a mailbox's own messages bound, are
//! not counted.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use envelope::Address;
use proto::v1::StatementKind;

use crate::limits::{KEYS_PER_HOUR, STATEMENTS_PER_HOUR};
use crate::problem::{Bound, Problem};

/// The count of each participant in its current hour; only who is enrolled gets here, so it is bounded by the registry.
#[derive(Debug, Default)]
pub(crate) struct Pace(Mutex<BTreeMap<(Address, Budget), Hour>>);

/// Statements that are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Budget {
    Keys,
    Permissions,
    Rest,
}

/// When it began, and what was said in it.
type Hour = (Option<Instant>, u32);

impl Pace {
    /// Counts a statement.
    ///
    /// # Errors
    /// [`Problem::Busy`] when its issuer has said as many in this hour as it may.
    pub(crate) fn take(&self, issuer: &Address, kind: StatementKind, now: Instant) -> Result<(), Problem> {
        let max = match kind {
            // Held messages bound it: a word about one is said once.
            StatementKind::Release => return Ok(()),
            StatementKind::Keys | StatementKind::Permission => KEYS_PER_HOUR,
            StatementKind::Enrolment | StatementKind::Standing | StatementKind::Grants | StatementKind::Group => STATEMENTS_PER_HOUR,
            _ => return Ok(()),
        };
        let mut hours = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let budget = match kind {
            StatementKind::Keys => Budget::Keys,
            StatementKind::Permission => Budget::Permissions,
            _ => Budget::Rest,
        };
        let (began, count) = hours.entry((issuer.clone(), budget)).or_default();
        if began.is_none_or(|began| now.saturating_duration_since(began) >= HOUR) {
            (*began, *count) = (Some(now), 0);
        }
        if *count >= max {
            return Err(Problem::busy_at(Bound::Participant, format!("at most {max} statements of this kind are taken in an hour")));
        }
        *count += 1;
        Ok(())
    }
}

const HOUR: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn so_many_an_hour_each_and_mailboxes_are_not_counted() {
        let (pace, start) = (Pace::default(), Instant::now());
        let [ke, th] = ["ke", "th"].map(|text| Address::parse(text).unwrap());
        for _ in 0..KEYS_PER_HOUR {
            assert!(pace.take(&ke, StatementKind::Keys, start).is_ok());
        }
        assert!(matches!(pace.take(&ke, StatementKind::Keys, start + HOUR / 2), Err(Problem::Busy { .. })));
        // Others, and of another kind, are not held up by it.
        assert!(pace.take(&th, StatementKind::Keys, start).is_ok());
        assert!(pace.take(&ke, StatementKind::Standing, start).is_ok());
        for _ in 0..2 * STATEMENTS_PER_HOUR {
            assert!(pace.take(&ke, StatementKind::Delivered, start).is_ok());
        }
        assert!(pace.take(&ke, StatementKind::Keys, start + HOUR).is_ok());
    }
}
