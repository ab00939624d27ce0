//! What a message's kind alone decides.

use proto::v1::Kind;

/// How long the gateway keeps the ciphertext; the kind decides. The numbers stand in SPEC.md 11.
pub(crate) fn retention_class(kind: Kind) -> u32 {
    match kind {
        Kind::Alert | Kind::Hit | Kind::HitConfirmation => 1,
        Kind::Message | Kind::Request | Kind::Reply | Kind::ExpertRequest | Kind::Service => 2,
        Kind::Ecomessage | Kind::ControlledDelivery => 3,
        Kind::Warning | Kind::Feedback | Kind::Seizure => 4,
        Kind::NoticeRequest | Kind::Notice | Kind::NoticeUpdate | Kind::NoticeCancel | Kind::Diffusion | Kind::DiffusionCancel => 5,
        Kind::Query | Kind::QueryResult => 6,
        Kind::Void | Kind::Correction | Kind::Deletion | Kind::DeletionAttestation | Kind::Unspecified => 7,
    }
}
