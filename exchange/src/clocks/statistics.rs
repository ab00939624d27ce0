//! What the clocks say of each bureau: counts and two times, all whole numbers. It does not know who reads them.

use std::collections::BTreeMap;

use envelope::{Address, Timestamp};

use super::deadlines::bureau_of;
use super::{Clocks, Course, Noted, acknowledgement, answer};

/// How a bureau, with those below it, took what it was sent.
///
/// `received` is the sum of `acknowledged_in_time`, `acknowledged_late`, `not_acknowledged` and `expired`; `asked` that of
/// `replied_in_time`, `replied_late` and `not_replied`. A message to two of a bureau counts twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Messages that waited in a mailbox; of those that no person has to acknowledge only what expired there.
    pub received: u64,
    /// Those that were taken out of it.
    pub delivered: u64,
    /// Acknowledged by the deadline.
    pub acknowledged_in_time: u64,
    /// Acknowledged later.
    pub acknowledged_late: u64,
    /// Not acknowledged so far, late or not.
    pub not_acknowledged: u64,
    /// Ended without having been delivered.
    pub expired: u64,
    /// Messages that ask for an answer; what expired undelivered asks nobody.
    pub asked: u64,
    /// Answered by the deadline.
    pub replied_in_time: u64,
    /// Answered later.
    pub replied_late: u64,
    /// Not answered so far, late or not.
    pub not_replied: u64,
    /// Acknowledgements and answers that have not come, and whose deadline is over.
    pub overdue: u64,
    /// From available to acknowledged: half of them took at most so long.
    pub acknowledgement_median_ms: Option<u64>,
    /// From available to acknowledged: 95 of 100 took at most so long.
    pub acknowledgement_p95_ms: Option<u64>,
}

pub(super) fn of(clocks: &Clocks, now: Timestamp) -> BTreeMap<Address, Statistics> {
    let mut all: BTreeMap<Address, (Statistics, Vec<u64>)> = BTreeMap::new();
    for (id, noted) in &clocks.messages {
        for (recipient, course) in &noted.courses {
            // What was never available to somebody is not held against him.
            let Some(available) = course.times.available else { continue };
            let (counts, took) = all.entry(bureau_of(recipient)).or_default();
            count_acknowledgement(counts, took, noted, course, (available, now));
            count_reply(counts, noted, course, clocks.replied(id, noted, recipient), (available, now));
        }
    }
    let settled = |(bureau, (counts, mut took)): (Address, (Statistics, Vec<u64>))| {
        took.sort_unstable();
        let (acknowledgement_median_ms, acknowledgement_p95_ms) = (percentile(&took, 50), percentile(&took, 95));
        (bureau, Statistics { acknowledgement_median_ms, acknowledgement_p95_ms, ..counts })
    };
    all.into_iter().map(settled).collect()
}

fn count_acknowledgement(
    counts: &mut Statistics,
    took: &mut Vec<u64>,
    noted: &Noted,
    course: &Course,
    (available, now): (Timestamp, Timestamp),
) {
    if course.told && course.is_undelivered() {
        counts.received += 1;
        counts.expired += 1;
        return;
    }
    let Some(within) = acknowledgement(noted.kind, noted.priority).filter(|_| course.told) else { return };
    counts.received += 1;
    counts.delivered += u64::from(course.times.delivered.is_some());
    let due = available.plus(within.within_ms);
    match course.times.acknowledged {
        Some(at) => {
            took.push(at.ms().saturating_sub(available.ms()));
            *if at <= due { &mut counts.acknowledged_in_time } else { &mut counts.acknowledged_late } += 1;
        }
        None => {
            counts.not_acknowledged += 1;
            counts.overdue += u64::from(due < now);
        }
    }
}

fn count_reply(
    counts: &mut Statistics,
    noted: &Noted,
    course: &Course,
    replied: Option<Timestamp>,
    (available, now): (Timestamp, Timestamp),
) {
    let Some(answer) = answer(noted.kind, noted.priority).filter(|_| course.asked) else { return };
    let due = available.plus(answer.within_ms);
    match replied {
        Some(at) => *if at <= due { &mut counts.replied_in_time } else { &mut counts.replied_late } += 1,
        None if course.is_undelivered() => return,
        None => {
            counts.not_replied += 1;
            counts.overdue += u64::from(due < now);
        }
    }
    counts.asked += 1;
}

/// The smallest of the times that at least so many of 100 do not exceed.
fn percentile(sorted: &[u64], of_100: usize) -> Option<u64> {
    let rank = (sorted.len() * of_100).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}
