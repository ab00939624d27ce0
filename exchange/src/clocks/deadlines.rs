//! The deadlines, in one table: by when a message is acknowledged and answered, and who is told when it is not.
//!
//! Every time runs from AVAILABLE at the recipient, in milliseconds of ledger time. A message of an exercise and a VOID have no clock.

use envelope::Address;
use proto::v1::{Escalation, Kind, Priority};

/// Who hears of a FLASH that neither its recipient nor the bureau has seen to.
pub const COMMAND_CENTRE: &str = "ipsg/ccc";

const SECOND_MS: u64 = 1000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// By when a person has seen a message, and who hears of it when nobody has.
///
/// | Priority | acknowledged within | then the recipient's bureau | then `ipsg/ccc` |
/// |---|---|---|---|
/// | FLASH, and an ALERT of any priority | 15 min | at 15 min | at 30 min |
/// | URGENT | 2 h | at 4 h | - |
/// | ROUTINE | 24 h | the weekly report | - |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Within how long.
    pub within_ms: u64,
    /// After how long the recipient's bureau is told.
    pub bureau_ms: Option<u64>,
    /// After how long `ipsg/ccc` is told.
    pub command_ms: Option<u64>,
}

/// Within how long a message is answered, and by what.
///
/// | Kind | within | by |
/// |---|---|---|
/// | REQUEST | FLASH 8 h, URGENT 3 d, ROUTINE 7 d | REPLY |
/// | CONTROLLED_DELIVERY | 8 h | REPLY |
/// | EXPERT_REQUEST | 24 h | REPLY |
/// | WARNING | 24 h | FEEDBACK |
/// | QUERY | 30 s | QUERY_RESULT |
/// | HIT | 1 h | HIT_CONFIRMATION, by one of the recipients for all |
/// | CORRECTION, DELETION | 72 h | DELETION_ATTESTATION, by everybody who got it |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Within how long.
    pub within_ms: u64,
    /// What answers it.
    pub kind: Kind,
    /// Who owes it.
    pub by: By,
}

/// Who of the recipients owes an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Each that is asked; a bureau that has its copy only because it answers for the sender or for another recipient is not.
    Asked,
    /// Each, copies included.
    Everybody,
    /// One of them is enough.
    Anybody,
}

const FLASH: Acknowledgement =
    Acknowledgement { within_ms: 15 * MINUTE_MS, bureau_ms: Some(15 * MINUTE_MS), command_ms: Some(30 * MINUTE_MS) };
const URGENT: Acknowledgement = Acknowledgement { within_ms: 2 * HOUR_MS, bureau_ms: Some(4 * HOUR_MS), command_ms: None };
const ROUTINE: Acknowledgement = Acknowledgement { within_ms: 24 * HOUR_MS, bureau_ms: None, command_ms: None };

/// By when a message of this kind and priority is acknowledged; `None` when nobody has to.
#[must_use]
pub fn acknowledgement(kind: Kind, priority: Priority) -> Option<Acknowledgement> {
    match (kind, priority) {
        // Programs ask and answer: no person is waited for, and what they say lives an hour at most.
        (Kind::Void | Kind::Query | Kind::QueryResult, _) => None,
        (Kind::Alert, _) | (_, Priority::Flash) => Some(FLASH),
        (_, Priority::Urgent) => Some(URGENT),
        (_, Priority::Routine | Priority::Unspecified) => Some(ROUTINE),
    }
}

/// Who is told of a message when a recipient does not acknowledge it in time.
#[must_use]
pub fn escalation(kind: Kind, priority: Priority, exercise: bool) -> Escalation {
    let deadline = acknowledgement(kind, priority).filter(|_| !exercise);
    match deadline.map(|deadline| (deadline.bureau_ms, deadline.command_ms)) {
        Some((Some(_), Some(_))) => Escalation::Centre,
        Some((Some(_), None)) => Escalation::Bureau,
        _ => Escalation::Unspecified,
    }
}

/// Who is told first, and who next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The bureau that answers for the recipient; the recipient where nobody does.
    Bureau,
    /// `ipsg/ccc`.
    Centre,
}

impl Step {
    /// After how long which of them is told, by how many were told before: the first step that is left.
    #[must_use]
    pub fn next(escalation: Escalation, told: u32) -> Option<(Self, u64)> {
        let deadline = match escalation {
            Escalation::Unspecified => return None,
            Escalation::Bureau => URGENT,
            Escalation::Centre => FLASH,
        };
        match told {
            0 => deadline.bureau_ms.map(|ms| (Self::Bureau, ms)),
            1 => deadline.command_ms.map(|ms| (Self::Centre, ms)),
            _ => None,
        }
    }

    /// Who is told about this recipient.
    #[must_use]
    pub fn told(self, recipient: &Address) -> Option<Address> {
        match self {
            Self::Bureau => Some(bureau_of(recipient)),
            Self::Centre => Address::parse(COMMAND_CENTRE).ok(),
        }
    }
}

/// The bureau that answers for an address: its own, or itself.
pub(super) fn bureau_of(address: &Address) -> Address {
    address.own_ncb().unwrap_or_else(|| address.clone())
}

/// By when and by what a message of this kind and priority is answered; `None` when it asks for nothing.
#[must_use]
pub fn answer(kind: Kind, priority: Priority) -> Option<Answer> {
    let asked = |within_ms, kind| Some(Answer { within_ms, kind, by: By::Asked });
    match kind {
        Kind::Request => match priority {
            Priority::Flash => asked(8 * HOUR_MS, Kind::Reply),
            Priority::Urgent => asked(3 * DAY_MS, Kind::Reply),
            Priority::Routine | Priority::Unspecified => asked(7 * DAY_MS, Kind::Reply),
        },
        Kind::ControlledDelivery => asked(8 * HOUR_MS, Kind::Reply),
        Kind::ExpertRequest => asked(24 * HOUR_MS, Kind::Reply),
        Kind::Warning => asked(24 * HOUR_MS, Kind::Feedback),
        Kind::Query => asked(30 * SECOND_MS, Kind::QueryResult),
        Kind::Hit => Some(Answer { within_ms: HOUR_MS, kind: Kind::HitConfirmation, by: By::Anybody }),
        Kind::Correction | Kind::Deletion => Some(Answer { within_ms: 72 * HOUR_MS, kind: Kind::DeletionAttestation, by: By::Everybody }),
        _ => None,
    }
}

/// Whether this kind answers another message, and therefore names it.
pub(super) fn is_answer(kind: Kind) -> bool {
    matches!(kind, Kind::Reply | Kind::Feedback | Kind::QueryResult | Kind::HitConfirmation | Kind::DeletionAttestation)
}
