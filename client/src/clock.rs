//! This machine's clock: the one place of the crate where time is read.

use std::time::{SystemTime, UNIX_EPOCH};

use envelope::Timestamp;

/// Now; before 1970 it is 1970.
pub(crate) fn now() -> Timestamp {
    let ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    Timestamp(u64::try_from(ms).unwrap_or(u64::MAX))
}
