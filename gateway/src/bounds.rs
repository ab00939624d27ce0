//! `[limits]` of the configuration: every bound that an operator may set, with its default, its range and its sentence.
//!
//! The defaults stand in [`crate::limits`]; so do the bounds that are nobody's to set, since formats, other participants
//! or each other depend on them.

use std::time::Duration;

use serde::Deserialize;

use crate::limits;

/// A limit that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// Below or above what makes sense.
    #[error("limits.{key} is {value}; {min} to {max} are allowed")]
    Range {
        /// The key in `[limits]`.
        key: &'static str,
        /// What was given.
        value: u64,
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// One would have more than its eighth of what is there for all.
    #[error("limits.{key} is {value}; at most {max} are allowed, an eighth of limits.{whole} ({of})")]
    Share {
        /// The key in `[limits]`.
        key: &'static str,
        /// What was given.
        value: u64,
        /// The most.
        max: u64,
        /// The key of what it is a part of.
        whole: &'static str,
        /// Its value.
        of: u64,
    },
}

/// One bound as it stands.
struct Row {
    key: &'static str,
    value: u64,
    min: u64,
    max: u64,
    text: &'static str,
}

macro_rules! bounds {
    ($($(#[doc = $text:literal])+ $key:ident: $kind:ty = $default:expr, $min:literal..=$max:literal;)+) => {
        /// Bounds that an operator may lower or raise; the unit is the name's last part.
        #[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct Limits {
            $($(#[doc = $text])+ pub $key: $kind,)+
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($key: $default,)+ }
            }
        }

        impl Limits {
            fn rows(&self) -> Vec<Row> {
                vec![$(Row {
                    key: stringify!($key),
                    value: self.$key as u64,
                    min: $min,
                    max: $max,
                    text: concat!($($text),+).trim_ascii(),
                }),+]
            }
        }
    };
}

bounds! {
    /// Connections of all participants.
    connections: usize = limits::CONNECTIONS_MAX, 8..=1_000_000;
    /// Connections of one participant, at most an eighth of all.
    connections_per_participant: usize = limits::CONNECTIONS_PER_PARTICIPANT_MAX, 1..=4_096;
    /// TLS handshakes under way.
    handshakes: usize = limits::HANDSHAKES_MAX, 8..=65_536;
    /// TLS handshakes under way from one source (an IPv4 address, an IPv6 /64, loopback, too), at most an eighth of all.
    handshakes_per_source: usize = limits::HANDSHAKES_PER_SOURCE_MAX, 1..=8_192;
    /// Seconds that a TLS handshake may take.
    handshake_timeout_s: u64 = limits::HANDSHAKE_TIMEOUT.as_secs(), 1..=60;
    /// Seconds after the handshake within which the HTTP/2 preface comes.
    preface_timeout_s: u64 = limits::PREFACE_TIMEOUT.as_secs(), 1..=60;
    /// Seconds after which a connection without a call is closed.
    idle_timeout_s: u64 = limits::IDLE_TIMEOUT.as_secs(), 1..=86_400;
    /// Seconds after which a connection is closed, whatever happens on it; up to a tenth is added by chance.
    connection_age_s: u64 = limits::CONNECTION_AGE_MAX.as_secs(), 1..=604_800;
    /// Seconds that open calls get to end when their connection, or the gateway, is going down.
    shutdown_grace_s: u64 = limits::SHUTDOWN_GRACE.as_secs(), 1..=300;
    /// Seconds between pings on a quiet connection.
    keepalive_interval_s: u64 = limits::KEEPALIVE_INTERVAL.as_secs(), 1..=300;
    /// Seconds that the answer to a ping may take.
    keepalive_timeout_s: u64 = limits::KEEPALIVE_TIMEOUT.as_secs(), 1..=300;
    /// Concurrent calls of a connection; the next one waits.
    streams_per_connection: u32 = limits::STREAMS_MAX, 1..=1_024;
    /// Calls that we reset for the peer's errors before its connection ends.
    local_error_resets: usize = limits::LOCAL_ERROR_RESETS_MAX, 1..=65_536;
    /// Calls that the peer may open and reset at once before its connection ends.
    pending_accept_resets: usize = limits::PENDING_ACCEPT_RESETS_MAX, 1..=1_024;
    /// Bytes of a call's header list; more is answered with 431.
    header_list_bytes: u32 = limits::HEADER_LIST_BYTES_MAX, 4_096..=1_048_576;
    /// Bytes that a connection may have unread.
    connection_window_bytes: u32 = limits::CONNECTION_WINDOW_BYTES, 65_536..=16_777_216;
    /// Bytes that a call may have unread.
    stream_window_bytes: u32 = limits::STREAM_WINDOW_BYTES, 65_536..=16_777_216;
    /// Bytes of a call's answers that wait for a peer that does not read.
    send_buffer_bytes: usize = limits::SEND_BUFFER_BYTES, 16_384..=4_194_304;
    /// Bytes of one participant's large requests that have begun and not ended; further ones are told that we are busy.
    unfinished_bytes_per_participant: usize = limits::UNFINISHED_BYTES_PER_PARTICIPANT_MAX, 2_097_152..=1_073_741_824;
    /// Answers of one participant's submissions that it has not read; submissions beyond wait.
    answers_per_participant: usize = limits::ANSWERS_PER_PARTICIPANT_MAX, 16..=65_536;
    /// Calls of Receive that one participant may have open.
    mailboxes_per_participant: usize = limits::MAILBOXES_PER_PARTICIPANT_MAX, 1..=1_024;
    /// Calls of Snapshot that one participant may have open.
    pages_per_participant: usize = limits::PAGES_PER_PARTICIPANT_MAX, 1..=1_024;
    /// Calls of Replay of all participants; each takes a thread.
    replays: usize = limits::REPLAYS_MAX, 8..=400;
    /// Calls of Replay of one participant, at most an eighth of all.
    replays_per_participant: usize = limits::REPLAYS_PER_PARTICIPANT_MAX, 1..=50;
    /// Messages that wait for the ledger, of all participants; an eighth is kept for FLASH.
    queue_messages: usize = limits::QUEUE_MESSAGES_MAX, 64..=65_536;
    /// Bytes that wait for the ledger, of all participants.
    queue_bytes: usize = limits::QUEUE_BYTES_MAX, 16_777_216..=4_294_967_296;
    /// Messages of one participant between verification and answer, at most an eighth of the queue.
    in_flight_messages: usize = limits::IN_FLIGHT_MESSAGES_MAX, 1..=8_192;
    /// Bytes of one participant between verification and answer, at most an eighth of the queue.
    in_flight_bytes: usize = limits::IN_FLIGHT_BYTES_MAX, 2_097_152..=536_870_912;
    /// Lines a minute that the log has of one reason for which somebody is turned away; the rest is counted.
    refusals_logged_per_minute: u32 = limits::REFUSALS_LOGGED_PER_MINUTE, 1..=100_000;
}

impl Limits {
    /// Judges every bound by its range, and each participant's by what is there for all.
    ///
    /// # Errors
    /// The first that cannot be taken, with its key, its value and what is allowed.
    pub fn check(&self) -> Result<(), LimitError> {
        let rows = self.rows();
        for Row { key, value, min, max, .. } in &rows {
            if !(min..=max).contains(&value) {
                return Err(LimitError::Range { key, value: *value, min: *min, max: *max });
            }
        }
        let value = |key: &str| rows.iter().find(|row| row.key == key).map_or(0, |row| row.value);
        for (key, whole) in SHARES {
            let (value, of) = (value(key), value(whole));
            if value > of / 8 {
                return Err(LimitError::Share { key, value, max: of / 8, whole, of });
            }
        }
        Ok(())
    }

    /// The section as `init` writes it: every key with its sentence and its range, and what is fixed.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let rows = self.rows();
        let line = |row: &Row| format!("# {} ({} to {})\n{} = {}\n", row.text, row.min, row.max, row.key, row.value);
        format!("{HEADING}{}", rows.iter().map(line).collect::<String>())
    }

    pub(crate) fn handshake_timeout(&self) -> Duration {
        Duration::from_secs(self.handshake_timeout_s)
    }

    /// A QUIC connection that is silent this long is gone: a ping and the wait for its answer, as over TCP.
    pub(crate) fn silence(&self) -> Duration {
        Duration::from_secs(self.keepalive_interval_s + self.keepalive_timeout_s)
    }

    pub(crate) fn shutdown_grace(&self) -> Duration {
        Duration::from_secs(self.shutdown_grace_s)
    }
}

/// A part for one, and what it is a part of: an eighth, so that nobody alone fills it.
const SHARES: [(&str, &str); 5] = [
    ("connections_per_participant", "connections"),
    ("handshakes_per_source", "handshakes"),
    ("replays_per_participant", "replays"),
    ("in_flight_messages", "queue_messages"),
    ("in_flight_bytes", "queue_bytes"),
];

const HEADING: &str = "[limits]\n\
    # Fixed, since formats or other participants depend on them: a header 64 KiB, 512 recipients, content 256 KiB, a submission\n\
    # 2 MiB, any other request 256 KiB, a batch 256 messages and 4 MiB, a mailbox credit of 1,024, 60 recorded refusals a\n\
    # minute and sender, clocks 5 minutes fast at most; no compression, no resumption, TLS 1.3 only.\n";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(text: &str) -> Limits {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn the_defaults_are_allowed_and_those_of_the_design() {
        let limits = Limits::default();
        limits.check().unwrap();
        assert_eq!((limits.handshake_timeout_s, limits.preface_timeout_s, limits.idle_timeout_s), (10, 10, 900));
        assert_eq!((limits.keepalive_interval_s, limits.keepalive_timeout_s, limits.connection_age_s), (30, 20, 43_200));
        assert_eq!((limits.streams_per_connection, limits.local_error_resets, limits.pending_accept_resets), (128, 1024, 20));
        assert_eq!((limits.header_list_bytes, limits.queue_messages, limits.queue_bytes), (16 << 10, 4096, 64 << 20));
        assert_eq!((limits.in_flight_messages, limits.in_flight_bytes), (256, 8 << 20));
    }

    #[test]
    fn every_bound_is_refused_on_either_side_of_its_range_by_name() {
        for Row { key, min, max, .. } in Limits::default().rows() {
            for value in [min.wrapping_sub(1), max + 1] {
                // Zero's lower neighbour would be no number of TOML's.
                let Ok(limits) = toml::from_str::<Limits>(&format!("{key} = {value}")) else { continue };
                let error = limits.check().unwrap_err();
                assert_eq!(error, LimitError::Range { key, value, min, max });
                assert_eq!(error.to_string(), format!("limits.{key} is {value}; {min} to {max} are allowed"));
            }
        }
    }

    #[test]
    fn nobody_gets_more_than_an_eighth() {
        for (text, key, max, whole, of) in [
            ("connections = 511", "connections_per_participant", 63, "connections", 511),
            ("handshakes = 8\nhandshakes_per_source = 2", "handshakes_per_source", 1, "handshakes", 8),
            ("replays_per_participant = 50", "replays_per_participant", 8, "replays", 64),
            ("in_flight_messages = 513", "in_flight_messages", 512, "queue_messages", 4096),
            ("queue_bytes = 16777216", "in_flight_bytes", 2 << 20, "queue_bytes", 16 << 20),
        ] {
            let error = read(text).check().unwrap_err();
            assert!(
                matches!(&error, LimitError::Share { key: k, max: m, whole: w, of: o, .. } if (*k, *m, *w, *o) == (key, max, whole, of)),
                "{error}"
            );
        }
        read("connections = 512\nhandshakes = 8\nhandshakes_per_source = 1\nin_flight_messages = 512").check().unwrap();
    }

    #[test]
    fn what_is_written_is_read_again_and_says_everything() {
        let limits = Limits { handshake_timeout_s: 3, ..Limits::default() };
        let text = limits.to_toml();
        let body = text.strip_prefix("[limits]\n").unwrap();
        assert_eq!(read(body), limits);
        for row in limits.rows() {
            assert!(row.text.ends_with('.') && text.contains(row.text), "{}", row.key);
        }
        assert!(text.contains("# Seconds that a TLS handshake may take. (1 to 60)\nhandshake_timeout_s = 3\n"), "{text}");
    }

    /// The fixed ones are said where an operator looks, with the numbers that hold.
    #[test]
    fn what_is_fixed_is_said_as_it_is() {
        use envelope::limits as format;
        assert_eq!((format::HEADER_BYTES_MAX, format::RECIPIENTS_MAX, format::CONTENT_BYTES_MAX), (64 << 10, 512, 256 << 10));
        assert_eq!((limits::SUBMISSION_BYTES_MAX, limits::REQUEST_BYTES_MAX), (2 << 20, 256 << 10));
        assert_eq!((limits::BATCH_MESSAGES_MAX, limits::BATCH_BYTES_MAX), (256, 4 << 20));
        assert_eq!((limits::MAILBOX_CREDIT_MAX, limits::REFUSALS_PER_MINUTE), (1024, 60));
    }
}
