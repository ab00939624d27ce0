//! Numbers: gap-free within a sender, year and series; a later series names the number before it.
//!
//! It does not know messages, only which numbers are taken, free, or known to be in the ledger.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Year, series and number of one's own message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Number {
    /// The year of the numbering.
    pub year: u32,
    /// Series within the year, from 1.
    pub series: u32,
    /// From 1.
    pub number: u64,
}

impl Number {
    /// Whether both are of one series.
    #[must_use]
    pub fn is_of(self, other: Self) -> bool {
        (self.year, self.series) == (other.year, other.series)
    }
}

/// All series of a sender that still matter, the present one last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbering {
    /// Name of the next item.
    pub next_id: u64,
    /// False: the gateway must be asked for the last number before another is taken.
    pub known: bool,
    series: Vec<Series>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Series {
    year: u32,
    series: u32,
    /// Taken when the gateway said what it knows last; `after` is that.
    base: bool,
    after: Option<Number>,
    next: u64,
    /// A message of it is in the ledger.
    opened: bool,
    admitted: u64,
    free: BTreeSet<u64>,
    /// The gateway refuses this sender's VOIDs: not tried again before another message is admitted.
    void_refused: bool,
}

impl Series {
    fn new(year: u32, series: u32, base: bool, after: Option<Number>) -> Self {
        Self { year, series, base, after, next: 1, opened: false, admitted: 0, free: BTreeSet::new(), void_refused: false }
    }

    fn at(&self, number: u64) -> Number {
        Number { year: self.year, series: self.series, number }
    }

    fn take(&mut self) -> Number {
        let number = self.free.pop_first().unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        });
        self.at(number)
    }

    /// Free numbers at the top were never taken, as far as anybody else knows.
    fn trim(&mut self) {
        while self.next > 1 && self.free.remove(&(self.next - 1)) {
            self.next -= 1;
        }
    }
}

impl Numbering {
    /// Of a sender that has never sent: series 1, without one before it.
    #[must_use]
    pub fn brand_new() -> Self {
        Self { next_id: 1, known: true, series: Vec::new() }
    }

    /// Of a sender that may have sent from another place: the gateway is asked first.
    #[must_use]
    pub fn unknown() -> Self {
        Self { known: false, ..Self::brand_new() }
    }

    /// Takes the lowest free number of the present series; a new year opens a new series.
    pub(super) fn take(&mut self, year: u32) -> Option<Number> {
        if !self.known {
            return None;
        }
        match self.series.last() {
            None => self.series.push(Series::new(year, 1, true, None)),
            Some(last) if last.year < year => self.series.push(Series::new(year, 1, false, None)),
            Some(_) => {}
        }
        self.series.last_mut().map(Series::take)
    }

    /// Opens the series after the last that the gateway knows.
    pub(super) fn adopt(&mut self, year: u32, last: Option<Number>) {
        let (year, mut number) = match last {
            Some(last) if last.year >= year => (last.year, last.series.saturating_add(1)),
            _ => (year, 1),
        };
        while self.series.iter().any(|series| (series.year, series.series) == (year, number) && series.opened) {
            number += 1;
        }
        let last = last.map(|last| Number { number: last.number.max(1), ..last });
        self.known = true;
        match self.series.iter().position(|series| (series.year, series.series) == (year, number)) {
            // Ours already, but after another one than we thought.
            Some(at) => {
                let mut series = self.series.remove(at);
                (series.base, series.after) = (true, last);
                self.series.push(series);
            }
            None => self.series.push(Series::new(year, number, true, last)),
        }
    }

    /// A message with this number is in the ledger.
    pub(super) fn admitted(&mut self, number: Number) {
        if let Some(series) = self.find_mut(number) {
            series.opened = true;
            series.admitted = series.admitted.max(number.number);
        }
        self.series.iter_mut().for_each(|series| series.void_refused = false);
    }

    /// The gateway has numbers of this series up to `last`. False when that was known: it does not explain a refusal.
    pub(super) fn note_opened(&mut self, number: Number, last: Option<Number>) -> bool {
        let Some(series) = self.find_mut(number) else { return false };
        let news = !series.opened;
        series.opened = true;
        series.admitted = series.admitted.max(last.map_or(0, |last| last.number));
        series.next = series.next.max(series.admitted + 1);
        news
    }

    /// The number's bytes were refused for good.
    pub(super) fn free(&mut self, number: Number, void: bool) {
        if let Some(series) = self.find_mut(number) {
            series.free.insert(number.number);
            series.void_refused |= void;
            series.trim();
        }
    }

    /// The number was never in the ledger and its series goes no further.
    pub(super) fn forget(&mut self, number: Number) {
        self.free(number, false);
    }

    /// A free number below one that is taken, in a series whose VOIDs are not refused.
    pub(super) fn take_gap(&mut self) -> Option<Number> {
        let series = self.series.iter_mut().find(|series| !series.void_refused && !series.free.is_empty())?;
        let number = series.free.pop_first()?;
        Some(series.at(number))
    }

    pub(super) fn is_current(&self, number: Number) -> bool {
        self.series.last().is_some_and(|last| (last.year, last.series) == (number.year, number.series))
    }

    pub(super) fn is_opened(&self, number: Number) -> bool {
        self.find(number).is_some_and(|series| series.opened)
    }

    pub(super) fn highest_admitted(&self, number: Number) -> u64 {
        self.find(number).map_or(0, |series| series.admitted)
    }

    /// Whether the series of `one` comes before that of `other` here.
    pub(super) fn is_before(&self, one: Number, other: Number) -> bool {
        self.place(one) < self.place(other)
    }

    /// What the first message of the series names: the highest number of the last series that is in the ledger.
    pub(super) fn previous_of(&self, number: Number) -> Option<Number> {
        let at = self.place(number)?;
        if self.series[at].base {
            return self.series[at].after;
        }
        for earlier in self.series[..at].iter().rev() {
            if earlier.opened {
                return Some(earlier.at((earlier.next - 1).max(1)));
            }
            if earlier.base {
                return earlier.after;
            }
        }
        None
    }

    fn place(&self, number: Number) -> Option<usize> {
        self.series.iter().position(|series| (series.year, series.series) == (number.year, number.series))
    }

    fn find(&self, number: Number) -> Option<&Series> {
        self.series.get(self.place(number)?)
    }

    fn find_mut(&mut self, number: Number) -> Option<&mut Series> {
        let at = self.place(number)?;
        self.series.get_mut(at)
    }
}
