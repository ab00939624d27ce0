//! Milliseconds since the Unix epoch, as a type. There is no clock here: time is passed in.

use std::fmt;

/// A point in time, in milliseconds since 1970-01-01T00:00:00Z, leap seconds left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Milliseconds since the epoch.
    #[must_use]
    pub fn ms(self) -> u64 {
        self.0
    }

    /// `ms` milliseconds later; stops at the end of the type.
    #[must_use]
    pub fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// `ms` milliseconds earlier; stops at the epoch.
    #[must_use]
    pub fn minus(self, ms: u64) -> Self {
        Self(self.0.saturating_sub(ms))
    }

    /// Whole seconds since the epoch.
    #[must_use]
    pub fn secs(self) -> u64 {
        self.0 / 1000
    }

    /// Whole days since the epoch, UTC.
    #[must_use]
    pub fn day(self) -> u64 {
        self.0 / DAY_MS
    }

    /// The civil year, UTC; of a time past the year 9999 it is 9999.
    #[must_use]
    pub fn year(self) -> u32 {
        self.civil().map_or(9999, |time| time.year().unsigned_abs())
    }

    fn civil(self) -> Option<time::UtcDateTime> {
        time::UtcDateTime::from_unix_timestamp(i64::try_from(self.secs()).ok()?).ok()
    }
}

/// RFC 3339, UTC, milliseconds: `2026-11-22T19:16:00.000Z`; a time past the year 9999 as its milliseconds.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(at) = self.civil() else { return write!(f, "{} ms", self.0) };
        let (year, month, day) = at.to_calendar_date();
        let (hour, minute, second) = at.as_hms();
        let month = u8::from(month);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", self.0 % 1000)
    }
}

const DAY_MS: u64 = 86_400_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_795_374_960_123, "2026-11-22T19:16:00.123Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(Timestamp(ms).to_string(), text);
        }
        assert_eq!(Timestamp(1_795_374_960_123).year(), 2026);
    }
}
