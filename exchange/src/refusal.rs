//! Refusals: stable names, their texts and their parameters. A refusal is the peer's fault and is told to them (SPEC.md 10).
//!
//! It does not know gRPC; the gateway's `status.rs` does.

use envelope::canonical::EncodingError;
use envelope::message::VerifyError;
use envelope::{Address, Timestamp};
use proto::v1::{Classification, Kind, Priority};

/// Why something is not admitted; the first failing rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum Refusal {
    /// Rule 1.
    #[error("{0}")]
    BadEncoding(String),
    /// Rule 1.
    #[error("{0}")]
    TooLarge(String),
    /// Rule 1.
    #[error("{0}")]
    NotSender(String),
    /// Rule 2.
    #[error("{0}")]
    BadCommitment(String),
    /// Rule 2.
    #[error("{0}")]
    BadSignature(String),
    /// Rule 3.
    #[error("the reference {reference} stands for another message already")]
    ReferenceReused { reference: String },
    /// Rule 3.
    #[error("{why}; the last series known here is {last_year}.{last_series}, its highest number {last_number}")]
    BadReference { why: &'static str, last_year: u32, last_series: u32, last_number: u64 },
    /// Rule 3.
    #[error("it expired at {expires}, now it is {now}")]
    Expired { expires: Timestamp, now: Timestamp },
    /// Rule 3.
    #[error("it was created at {created}, more than {skew_max_ms} ms after now, {now}")]
    ClockSkew { created: Timestamp, now: Timestamp, skew_max_ms: u64 },
    /// Rule 3.
    #[error("{recipient} has no encryption key now, or another than the message was sealed to")]
    StaleKey { recipient: Address },
    /// Rule 4.
    #[error("{address} is {state}")]
    Suspended { address: Address, state: &'static str },
    /// Rule 4.
    #[error("the {what} of {address} is revoked or past its end")]
    Revoked { address: Address, what: &'static str },
    /// Rule 5.
    #[error(
        "no grant of {sender} covers {what} ({}, {}, {})",
        word(kind.as_str_name()),
        word(priority.as_str_name()),
        word(classification.as_str_name())
    )]
    NoGrant { sender: Address, what: &'static str, kind: Kind, priority: Priority, classification: Classification },
    /// Rule 6.
    #[error("{recipient} is not a participant that can receive")]
    UnknownRecipient { recipient: Address },
    /// Rule 6.
    #[error("{recipient} is not cleared for {}", word(classification.as_str_name()))]
    NotCleared { recipient: Address, classification: Classification },
    /// Rule 7.
    #[error("{why} (bureau {ncb}, recipient {recipient})")]
    OversightMissing { why: &'static str, ncb: Address, recipient: Address },
    /// Rule 8.
    #[error("every {} goes to {desk}, too, unless a reason to opt out is given", word(kind.as_str_name()))]
    IpsgCopyMissing { kind: Kind, desk: Address },
    /// Rule 9.
    #[error("{why} (source {of})")]
    NoOnwardPermission { why: &'static str, of: Address },
    /// Rule 10.
    #[error("{why}; this is {}", word(classification.as_str_name()))]
    ClassAudience { why: &'static str, classification: Classification },
    /// Rule 11.
    #[error("{sender} has sent {used} {of} today, {max} are allowed")]
    Quota { sender: Address, of: &'static str, used: u32, max: u32 },
    /// Rule 12.
    #[error("the directory of {size} statements with this root is not a head of this network's directory")]
    StaleDirectory { size: u64, newest: u64 },
    /// Statements: the chain of one issuer, kind and subject.
    #[error("the next statement of this chain has seq {seq} and follows {prev_sha256}")]
    BadSequence { seq: u64, prev_sha256: String },
    /// Statements: not by who may say it, or not to be published.
    #[error("{0}")]
    NoAuthority(&'static str),
    /// Statements: a mailbox item that is none.
    #[error("message {mailbox_seq} of this mailbox is not the one named")]
    UnknownMessage { mailbox_seq: u64 },
    /// Statements: an encryption key that cannot be published.
    #[error("{0}")]
    KeyRefused(&'static str),
    /// Statements: a certificate that cannot be enrolled.
    #[error("{0}")]
    CertificateRefused(String),
}

impl Refusal {
    /// Every stable name.
    #[rustfmt::skip]
    pub const NAMES: [&str; 26] = [
        "BAD_ENCODING", "TOO_LARGE", "NOT_SENDER", "BAD_COMMITMENT", "BAD_SIGNATURE", "REFERENCE_REUSED", "BAD_REFERENCE", "EXPIRED",
        "CLOCK_SKEW", "STALE_KEY", "SUSPENDED", "REVOKED", "NO_GRANT", "UNKNOWN_RECIPIENT", "NOT_CLEARED", "OVERSIGHT_MISSING",
        "IPSG_COPY_MISSING", "NO_ONWARD_PERMISSION", "CLASS_AUDIENCE", "QUOTA", "STALE_DIRECTORY", "BAD_SEQUENCE", "NO_AUTHORITY",
        "UNKNOWN_MESSAGE", "KEY_REFUSED", "CERTIFICATE_REFUSED",
    ];

    /// The stable name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::BadEncoding(_) => "BAD_ENCODING",
            Self::TooLarge(_) => "TOO_LARGE",
            Self::NotSender(_) => "NOT_SENDER",
            Self::BadCommitment(_) => "BAD_COMMITMENT",
            Self::BadSignature(_) => "BAD_SIGNATURE",
            Self::ReferenceReused { .. } => "REFERENCE_REUSED",
            Self::BadReference { .. } => "BAD_REFERENCE",
            Self::Expired { .. } => "EXPIRED",
            Self::ClockSkew { .. } => "CLOCK_SKEW",
            Self::StaleKey { .. } => "STALE_KEY",
            Self::Suspended { .. } => "SUSPENDED",
            Self::Revoked { .. } => "REVOKED",
            Self::NoGrant { .. } => "NO_GRANT",
            Self::UnknownRecipient { .. } => "UNKNOWN_RECIPIENT",
            Self::NotCleared { .. } => "NOT_CLEARED",
            Self::OversightMissing { .. } => "OVERSIGHT_MISSING",
            Self::IpsgCopyMissing { .. } => "IPSG_COPY_MISSING",
            Self::NoOnwardPermission { .. } => "NO_ONWARD_PERMISSION",
            Self::ClassAudience { .. } => "CLASS_AUDIENCE",
            Self::Quota { .. } => "QUOTA",
            Self::StaleDirectory { .. } => "STALE_DIRECTORY",
            Self::BadSequence { .. } => "BAD_SEQUENCE",
            Self::NoAuthority(_) => "NO_AUTHORITY",
            Self::UnknownMessage { .. } => "UNKNOWN_MESSAGE",
            Self::KeyRefused(_) => "KEY_REFUSED",
            Self::CertificateRefused(_) => "CERTIFICATE_REFUSED",
        }
    }

    /// Every parameter under its documented key, so that a client can say it in its user's language.
    #[must_use]
    pub fn metadata(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::BadEncoding(text)
            | Self::TooLarge(text)
            | Self::NotSender(text)
            | Self::BadCommitment(text)
            | Self::BadSignature(text)
            | Self::CertificateRefused(text) => {
                vec![("detail", text.clone())]
            }
            Self::NoAuthority(text) | Self::KeyRefused(text) => vec![("detail", (*text).to_owned())],
            Self::ReferenceReused { reference } => vec![("reference", reference.clone())],
            Self::BadReference { why, last_year, last_series, last_number } => vec![
                ("detail", (*why).to_owned()),
                ("last_year", last_year.to_string()),
                ("last_series", last_series.to_string()),
                ("last_number", last_number.to_string()),
            ],
            Self::Expired { expires, now } => vec![("expires_ms", expires.ms().to_string()), ("now_ms", now.ms().to_string())],
            Self::ClockSkew { created, now, skew_max_ms } => {
                vec![("created_ms", created.ms().to_string()), ("now_ms", now.ms().to_string()), ("skew_max_ms", skew_max_ms.to_string())]
            }
            Self::StaleKey { recipient } | Self::UnknownRecipient { recipient } => vec![("recipient", recipient.to_string())],
            Self::Suspended { address, state } => vec![("address", address.to_string()), ("state", (*state).to_owned())],
            Self::Revoked { address, what } => vec![("address", address.to_string()), ("what", (*what).to_owned())],
            Self::NoGrant { sender, what, kind, priority, classification } => vec![
                ("sender", sender.to_string()),
                ("what", (*what).to_owned()),
                ("kind", kind.as_str_name().to_owned()),
                ("priority", priority.as_str_name().to_owned()),
                ("classification", classification.as_str_name().to_owned()),
            ],
            Self::NotCleared { recipient, classification } => {
                vec![("recipient", recipient.to_string()), ("classification", classification.as_str_name().to_owned())]
            }
            Self::OversightMissing { why, ncb, recipient } => {
                vec![("detail", (*why).to_owned()), ("ncb", ncb.to_string()), ("recipient", recipient.to_string())]
            }
            Self::IpsgCopyMissing { kind, desk } => vec![("kind", kind.as_str_name().to_owned()), ("desk", desk.to_string())],
            Self::NoOnwardPermission { why, of } => vec![("detail", (*why).to_owned()), ("source", of.to_string())],
            Self::ClassAudience { why, classification } => {
                vec![("detail", (*why).to_owned()), ("classification", classification.as_str_name().to_owned())]
            }
            Self::Quota { sender, of, used, max } => {
                vec![("sender", sender.to_string()), ("what", (*of).to_owned()), ("used", used.to_string()), ("max", max.to_string())]
            }
            Self::StaleDirectory { size, newest } => vec![("size", size.to_string()), ("newest", newest.to_string())],
            Self::BadSequence { seq, prev_sha256 } => vec![("seq", seq.to_string()), ("prev_sha256", prev_sha256.clone())],
            Self::UnknownMessage { mailbox_seq } => vec![("mailbox_seq", mailbox_seq.to_string())],
        }
    }
}

/// The word for a named value: `CLASSIFICATION_OFFICIAL_USE_ONLY` is `official-use-only`.
fn word(name: &str) -> String {
    name.split_once('_').map_or(name, |(_, word)| word).to_ascii_lowercase().replace('_', "-")
}

impl From<EncodingError> for Refusal {
    fn from(error: EncodingError) -> Self {
        match error {
            EncodingError::TooLarge { .. } => Self::TooLarge(error.to_string()),
            _ => Self::BadEncoding(error.to_string()),
        }
    }
}

impl From<VerifyError> for Refusal {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Encoding(encoding) => encoding.into(),
            VerifyError::NotSender { .. } => Self::NotSender(error.to_string()),
            VerifyError::BadCommitment(_) => Self::BadCommitment(error.to_string()),
            VerifyError::BadSignature(_) => Self::BadSignature(error.to_string()),
        }
    }
}
