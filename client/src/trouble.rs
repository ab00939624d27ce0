//! A gRPC status, or a problem on a stream, read by whose fault it is. The only file that knows status codes.

use std::collections::BTreeMap;
use std::time::Duration;

use proto::v1;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::error::Error;
use crate::link::{Link, chain_text};

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The gateway refused it: as it is, it will never be taken.
    Refused { name: String, text: String, metadata: BTreeMap<String, String> },
    /// Not now.
    Busy { retry_after_ms: u64, text: String },
    /// No answer: whether it was done is not known.
    Lost(String),
    /// The gateway has a fault.
    Fault(String),
}

impl Trouble {
    /// Reads a status. One that was made on this side, because the connection broke, carries its cause.
    pub(crate) fn of_status(status: &Status) -> Self {
        let text = status.message().to_owned();
        if let Some(cause) = std::error::Error::source(status) {
            return Self::Lost(chain_text(cause));
        }
        let retry = status.get_details_retry_info().map(|info| info.retry_delay.map_or(0, |delay| delay.as_millis()));
        let refusal = status.get_details_error_info().filter(|info| info.domain == DOMAIN);
        match (refusal, status.code()) {
            (Some(info), code) if is_refusal(code) && retry.is_none() => {
                Self::Refused { name: info.reason, text, metadata: info.metadata.into_iter().collect() }
            }
            (_, Code::Unavailable | Code::ResourceExhausted | Code::Cancelled | Code::DeadlineExceeded | Code::Aborted) => {
                Self::Busy { retry_after_ms: saturate(retry), text }
            }
            (_, code) => Self::Fault(format!("{code:?}: {text}")),
        }
    }

    /// Reads a problem.
    pub(crate) fn of_problem(problem: v1::Problem) -> Self {
        match problem.fault() {
            v1::Fault::Refused => {
                Self::Refused { name: problem.name, text: problem.text, metadata: problem.metadata.into_iter().collect() }
            }
            v1::Fault::Busy => Self::Busy { retry_after_ms: problem.retry_after_ms, text: problem.text },
            v1::Fault::Internal | v1::Fault::Unspecified => Self::Fault(problem.text),
        }
    }

    pub(crate) fn into_error(self, gateway: &str) -> Error {
        let unreachable = |cause| Error::Unreachable { gateway: gateway.to_owned(), cause, reference: None };
        match self {
            Self::Refused { name, text, metadata } => Error::Refused { name, text, metadata },
            Self::Busy { text, .. } => unreachable(format!("busy: {text}")),
            Self::Lost(text) => unreachable(text),
            Self::Fault(text) => Error::Gateway(text),
        }
    }
}

/// As an error; a connection that ended with an authenticated alert is a refusal of the certificate.
pub(crate) async fn error_of(status: &Status, link: &Link, gateway: &str) -> Error {
    let trouble = Trouble::of_status(status);
    if matches!(trouble, Trouble::Lost(_))
        && let Some(alert) = link.alert().await
    {
        return Error::CertificateRefused { alert };
    }
    trouble.into_error(gateway)
}

/// Codes of refusals. A fault of the gateway has others: then nothing is known about what was sent.
fn is_refusal(code: Code) -> bool {
    matches!(
        code,
        Code::InvalidArgument
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::AlreadyExists
            | Code::NotFound
            | Code::FailedPrecondition
            | Code::OutOfRange
    )
}

/// How long to wait before the attempt after number `attempt`, counted from 0: what the gateway asks for, but not less
/// than a pause that doubles, and never more than two seconds.
pub(crate) fn busy_pause(attempt: u32, retry_after_ms: u64) -> Duration {
    let doubled = BUSY_PAUSE_MS.saturating_mul(1 << attempt.min(16)).min(BUSY_PAUSE_MAX_MS);
    Duration::from_millis(retry_after_ms.clamp(doubled, BUSY_PAUSE_MAX_MS))
}

fn saturate(ms: Option<u128>) -> u64 {
    u64::try_from(ms.unwrap_or(0)).unwrap_or(u64::MAX)
}

/// Domain of our ErrorInfo.
const DOMAIN: &str = "ecowire";
const BUSY_PAUSE_MS: u64 = 100;
const BUSY_PAUSE_MAX_MS: u64 = 2_000;

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic_types::ErrorDetails;

    use super::*;

    fn check(code: Code, name: Option<&str>, retry_ms: Option<u64>, expected: &str) {
        let mut details = ErrorDetails::new();
        if let Some(name) = name {
            details.set_error_info(name, DOMAIN, HashMap::from([("seq".to_owned(), "3".to_owned())]));
        }
        if let Some(ms) = retry_ms {
            details.set_retry_info(Some(Duration::from_millis(ms)));
        }
        let got = match Trouble::of_status(&Status::with_error_details(code, "text", details)) {
            Trouble::Refused { name, metadata, .. } => format!("refused {name} {}", metadata["seq"]),
            Trouble::Busy { retry_after_ms, .. } => format!("busy {retry_after_ms}"),
            Trouble::Lost(_) => "lost".to_owned(),
            Trouble::Fault(_) => "fault".to_owned(),
        };
        assert_eq!(got, expected, "{code:?} {name:?} {retry_ms:?}");
    }

    #[test]
    fn only_a_refusal_is_a_refusal() {
        check(Code::PermissionDenied, Some("NO_GRANT"), None, "refused NO_GRANT 3");
        check(Code::FailedPrecondition, Some("QUOTA"), None, "refused QUOTA 3");
        check(Code::ResourceExhausted, Some("BUSY"), Some(50), "busy 50");
        check(Code::Unavailable, Some("NOT_KNOWN"), Some(50), "busy 50");
        check(Code::Unavailable, None, None, "busy 0");
        check(Code::Internal, Some("FAULT"), None, "fault");
        check(Code::Unknown, None, None, "fault");
        check(Code::PermissionDenied, None, None, "fault");
        let mut lost = Status::unavailable("text");
        lost.set_source(std::sync::Arc::new(std::io::Error::other("reset")));
        assert!(matches!(Trouble::of_status(&lost), Trouble::Lost(_)));
    }

    #[test]
    fn six_busy_answers_are_waited_for_and_more() {
        let pauses = |retry_after_ms| [0, 1, 2, 3, 4, 5].map(|attempt| busy_pause(attempt, retry_after_ms).as_millis());
        assert_eq!(pauses(0), [100, 200, 400, 800, 1600, 2000]);
        assert_eq!(pauses(500), [500, 500, 500, 800, 1600, 2000]);
        assert_eq!(pauses(u64::MAX), [2000; 6]);
        assert_eq!(busy_pause(u32::MAX, 1).as_millis(), 2000);
    }
}
