//! What a message's kind alone decides: who may originate it at all, to whom, what it must name, how long it lives and is kept.
//!
//! One table, from which the rules, the gateway's retention and a client's `explain` read. Grants narrow it, they never widen it.

use envelope::Class;
use proto::v1::Kind;

/// What a kind allows (SPEC.md 11).
#[derive(Clone, Copy, Debug)]
pub struct KindRules {
    /// Classes that may originate it, whatever a grant says; empty: any.
    pub senders: &'static [Class],
    /// Whom it may reach.
    pub to: To,
    /// What it must name.
    pub names: Names,
    /// The General Secretariat gets its copy.
    pub copied: bool,
    /// It lives an hour at most, and as short as its sender likes.
    pub brief: bool,
    /// How long the gateway keeps the ciphertext: its class in SPEC.md 11.
    pub retention: u32,
}

/// Whom a kind may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// Anybody whom the other rules allow.
    Anybody,
    /// The sender's own NCB is among the recipients, if it has one.
    OwnBureauFirst,
    /// Desks of the General Secretariat alone.
    Secretariat,
    /// Responder services, and the sender's own NCB.
    Services,
    /// Through the group of an operation.
    Operation,
    /// NCBs by name, through no group.
    Bureaus,
    /// The own NCB alone; who has none, oneself.
    Home,
}

/// What a kind must name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// Nothing.
    Nothing,
    /// The message that it answers, in `in_reply_to`.
    Question,
    /// One's own earlier message, in `target`, and everybody who got it among the recipients.
    OwnMessage,
    /// A message that one got, in `target`, and its sender among the recipients.
    GotMessage,
}

/// The rules of a kind.
#[must_use]
pub fn of(kind: Kind) -> &'static KindRules {
    match kind {
        Kind::Message | Kind::Request | Kind::Reply => &CORRESPONDENCE,
        Kind::Ecomessage => &REPORT,
        Kind::Alert => &ALERT,
        Kind::Warning | Kind::Feedback | Kind::Seizure => &OPERATION,
        Kind::Query => &QUERY,
        Kind::QueryResult => &QUERY_RESULT,
        Kind::Hit => &HIT,
        Kind::HitConfirmation => &HIT_CONFIRMATION,
        Kind::NoticeRequest => &NOTICE_REQUEST,
        Kind::Notice => &NOTICE,
        Kind::NoticeUpdate | Kind::NoticeCancel => &NOTICE_CHANGE,
        Kind::Diffusion => &DIFFUSION,
        Kind::DiffusionCancel => &DIFFUSION_CANCEL,
        Kind::ControlledDelivery => &CONTROLLED_DELIVERY,
        Kind::ExpertRequest => &EXPERT_REQUEST,
        Kind::Correction | Kind::Deletion => &SOURCE,
        Kind::DeletionAttestation => &ATTESTATION,
        Kind::Service => &SERVICE,
        Kind::Void => &VOID,
        Kind::Unspecified => &NOBODY,
    }
}

/// How long the gateway keeps the ciphertext; the kind decides. The numbers stand in SPEC.md 11.
pub(crate) fn retention_class(kind: Kind) -> u32 {
    of(kind).retention
}

/// Retention class of what is published: notices and diffusions.
pub(crate) const PUBLISHED: u32 = 5;
const ANYBODY: KindRules = KindRules { senders: &[], to: To::Anybody, names: Names::Nothing, copied: false, brief: false, retention: 7 };
const CORRESPONDENCE: KindRules = KindRules { retention: 2, ..ANYBODY };
const REPORT: KindRules = KindRules { copied: true, retention: 3, ..ANYBODY };
const ALERT: KindRules = KindRules { to: To::OwnBureauFirst, retention: 1, ..ANYBODY };
const OPERATION: KindRules = KindRules { to: To::Operation, retention: 4, ..ANYBODY };
const QUERY: KindRules = KindRules { to: To::Services, brief: true, retention: 6, ..ANYBODY };
const QUERY_RESULT: KindRules = KindRules { senders: &[Class::Service], names: Names::Question, brief: true, retention: 6, ..ANYBODY };
const HIT: KindRules = KindRules { senders: &[Class::Service], retention: 1, ..ANYBODY };
const HIT_CONFIRMATION: KindRules = KindRules { names: Names::Question, retention: 1, ..ANYBODY };
const NOTICE_REQUEST: KindRules = KindRules { senders: &[Class::Ncb], to: To::Secretariat, copied: true, retention: PUBLISHED, ..ANYBODY };
const NOTICE: KindRules = KindRules { senders: &[Class::Ipsg], retention: PUBLISHED, ..ANYBODY };
const NOTICE_CHANGE: KindRules = KindRules { names: Names::OwnMessage, ..NOTICE };
const DIFFUSION: KindRules = KindRules { senders: &[Class::Ncb], copied: true, retention: PUBLISHED, ..ANYBODY };
const DIFFUSION_CANCEL: KindRules = KindRules { names: Names::OwnMessage, copied: false, ..DIFFUSION };
const CONTROLLED_DELIVERY: KindRules = KindRules { senders: &[Class::Ncb], to: To::Bureaus, retention: 3, ..ANYBODY };
const EXPERT_REQUEST: KindRules = KindRules { senders: &[Class::Ncb, Class::SubBureau, Class::Endpoint], retention: 2, ..ANYBODY };
const SOURCE: KindRules = KindRules { names: Names::OwnMessage, ..ANYBODY };
const ATTESTATION: KindRules = KindRules { names: Names::GotMessage, ..ANYBODY };
const SERVICE: KindRules = KindRules { senders: &[Class::Ipsg, Class::Ncb], retention: 2, ..ANYBODY };
const VOID: KindRules = KindRules { to: To::Home, ..ANYBODY };
/// Of no kind that has a name; a node is no sender.
const NOBODY: KindRules = KindRules { senders: &[Class::Node], ..ANYBODY };
