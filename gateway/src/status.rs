//! The only file that names a gRPC code. No `_` arm: a new refusal must choose one.

use std::collections::HashMap;
use std::time::Duration;

use exchange::Refusal;
use proto::v1;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::problem::{Outcome, Problem};

/// The domain of every `google.rpc.ErrorInfo` of ours.
pub const DOMAIN: &str = "ecowire";

impl From<Problem> for Status {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Refused(refusal) => {
                let metadata: HashMap<String, String> = metadata(&refusal);
                let details = ErrorDetails::with_error_info(refusal.name(), DOMAIN, metadata);
                Self::with_error_details(code(&refusal), refusal.to_string(), details)
            }
            Problem::Busy { text, retry_after_ms, outcome, .. } => {
                let (name, code) = busy(outcome);
                let mut details = ErrorDetails::with_error_info(name, DOMAIN, HashMap::new());
                details.set_retry_info(Some(Duration::from_millis(retry_after_ms)));
                Self::with_error_details(code, text, details)
            }
            Problem::Fault { reference } => {
                let metadata = HashMap::from([("reference".to_owned(), reference.clone())]);
                let details = ErrorDetails::with_error_info("FAULT", DOMAIN, metadata);
                Self::with_error_details(Code::Internal, format!("internal fault, reference {reference}"), details)
            }
        }
    }
}

/// The same on a stream, where a status would end the stream.
impl From<Problem> for v1::Problem {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Refused(refusal) => Self {
                fault: v1::Fault::Refused.into(),
                name: refusal.name().to_owned(),
                text: refusal.to_string(),
                metadata: metadata(&refusal),
                retry_after_ms: 0,
            },
            Problem::Busy { text, retry_after_ms, outcome, .. } => {
                Self { fault: v1::Fault::Busy.into(), name: busy(outcome).0.to_owned(), text, metadata: HashMap::new(), retry_after_ms }
            }
            Problem::Fault { reference } => Self {
                fault: v1::Fault::Internal.into(),
                name: "FAULT".to_owned(),
                text: format!("internal fault, reference {reference}"),
                metadata: HashMap::from([("reference".to_owned(), reference)]),
                retry_after_ms: 0,
            },
        }
    }
}

fn metadata(refusal: &Refusal) -> HashMap<String, String> {
    refusal.metadata().into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn busy(outcome: Outcome) -> (&'static str, Code) {
    match outcome {
        Outcome::NotDone => ("BUSY", Code::ResourceExhausted),
        Outcome::NotKnown => ("NOT_KNOWN", Code::Unavailable),
    }
}

fn code(refusal: &Refusal) -> Code {
    match refusal {
        Refusal::BadEncoding(_) | Refusal::TooLarge(_) | Refusal::BadCommitment(_) | Refusal::BadSignature(_) => Code::InvalidArgument,
        Refusal::NotSender(_) | Refusal::NoAuthority(_) => Code::PermissionDenied,
        Refusal::Suspended { .. } | Refusal::Revoked { .. } | Refusal::NoGrant { .. } | Refusal::NotCleared { .. } => {
            Code::PermissionDenied
        }
        Refusal::OversightMissing { .. }
        | Refusal::IpsgCopyMissing { .. }
        | Refusal::NoOnwardPermission { .. }
        | Refusal::ClassAudience { .. } => Code::PermissionDenied,
        Refusal::ReferenceReused { .. } => Code::AlreadyExists,
        Refusal::UnknownRecipient { .. } | Refusal::UnknownMessage { .. } => Code::NotFound,
        // Not RESOURCE_EXHAUSTED: that invites a retry, and today's quota stays used up.
        Refusal::Quota { .. } => Code::FailedPrecondition,
        Refusal::BadReference { .. } | Refusal::BadSequence { .. } | Refusal::KeyRefused(_) | Refusal::CertificateRefused(_) => {
            Code::FailedPrecondition
        }
        Refusal::Expired { .. } | Refusal::ClockSkew { .. } | Refusal::StaleKey { .. } | Refusal::StaleDirectory { .. } => {
            Code::FailedPrecondition
        }
    }
}
