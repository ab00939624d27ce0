//! Statements: everything that gives, takes or deletes, signed by its authority (SPEC.md 8).
//!
//! Here a statement is read, checked for form and opened with given keys. Who may say what is the exchange's to know.

use bytes::Bytes;
use proto::v1::{self, SignedStatement, StatementHead, StatementKind};

use crate::canonical::{self, Canonical, EncodingError, address, digest, digest_or_empty, ensure, named, network};
use crate::dsse::{self, SignatureFault, SignerKey};
use crate::identity::PublicKey;
use crate::keys::{SignFault, Signer, Verifier};
use crate::limits::{
    CERTIFICATE_BYTES_MAX, CHAIN_MAX, GENESIS_BYTES_MAX, GRANTED_MAX, GRANTS_MAX, KEYS_MAX, MAILBOX_ITEMS_MAX, PERMISSION_MAX_MS,
    PURPOSE_BYTES_MAX, RECIPIENTS_MAX, RULES_VERSION_MAX, SIGNERS_MAX, STATEMENT_BYTES_MAX, WAIVER_MAX_MS,
};
use crate::seal_sizes::public_key_bytes;
use crate::{Address, Network};

/// Issuer and subject of the network authority's own statements.
pub const NETWORK_AUTHORITY: &str = "network";

/// A type of statement.
pub trait Statement: Canonical {
    /// Its number on the wire.
    const KIND: StatementKind;
    /// Its DSSE payload type.
    const PAYLOAD_TYPE: &'static str;
    /// The head, when there is one; [`Canonical::check`] demands it.
    fn head(&self) -> Option<&StatementHead>;
}

/// Why a statement cannot be taken as what it says it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// Its bytes.
    #[error(transparent)]
    Encoding(#[from] EncodingError),
    /// Its signatures.
    #[error(transparent)]
    Signature(#[from] SignatureFault),
    /// Another kind than the one that is asked for.
    #[error("a statement of kind {found:?} stands where {expected:?} belongs")]
    Kind {
        /// What belongs here.
        expected: StatementKind,
        /// What is here.
        found: StatementKind,
    },
}

/// Signs `statement` with each key, in order.
///
/// # Errors
/// [`SignFault`] of the first key that cannot be used now.
pub fn sign<S: Statement, K: Signer + ?Sized>(statement: &S, keys: &[&K]) -> Result<SignedStatement, SignFault> {
    let bytes = Bytes::from(statement.encode_to_vec());
    let signatures = dsse::sign(S::PAYLOAD_TYPE, &bytes, keys)?;
    Ok(SignedStatement { kind: S::KIND.into(), statement: bytes, signatures })
}

/// Reads a statement of one kind; its signatures are not yet looked at.
///
/// # Errors
/// [`StatementError`] when it is of another kind or not canonical.
pub fn read<S: Statement>(signed: &SignedStatement) -> Result<S, StatementError> {
    let found = named(signed.kind, "kind")?;
    if found != S::KIND {
        return Err(StatementError::Kind { expected: S::KIND, found });
    }
    ensure(signed.signatures.len() <= SIGNERS_MAX, "signatures", "are more than 4")?;
    Ok(canonical::decode(&signed.statement)?)
}

/// Reads a statement of one kind and checks that exactly `signers` (key id, key) signed it, in order.
///
/// # Errors
/// [`StatementError`] when form or a signature is wrong.
pub fn open<S: Statement>(verifier: &impl Verifier, signed: &SignedStatement, signers: &[SignerKey]) -> Result<S, StatementError> {
    let statement = read::<S>(signed)?;
    verify::<S>(verifier, signed, signers)?;
    Ok(statement)
}

/// Checks that exactly `signers` signed a statement that [`read`] has read as an `S`, in order.
///
/// # Errors
/// [`SignatureFault`] says which signature is missing, superfluous or wrong.
pub fn verify<S: Statement>(verifier: &impl Verifier, signed: &SignedStatement, signers: &[SignerKey]) -> Result<(), SignatureFault> {
    dsse::verify(verifier, S::PAYLOAD_TYPE, &signed.statement, signers, &signed.signatures)
}

/// The DSSE payload type of a kind that a participant issues; `None` of the others.
#[must_use]
pub fn payload_type(kind: StatementKind) -> Option<&'static str> {
    match kind {
        StatementKind::Keys => Some(v1::KeyStatement::PAYLOAD_TYPE),
        StatementKind::Access => Some(v1::AccessStatement::PAYLOAD_TYPE),
        StatementKind::Delivered => Some(Delivered::PAYLOAD_TYPE),
        StatementKind::Acknowledged => Some(Acknowledged::PAYLOAD_TYPE),
        StatementKind::Enrolment => Some(v1::Enrolment::PAYLOAD_TYPE),
        StatementKind::Standing => Some(v1::Standing::PAYLOAD_TYPE),
        StatementKind::Grants => Some(v1::GrantStatement::PAYLOAD_TYPE),
        StatementKind::Group => Some(v1::Group::PAYLOAD_TYPE),
        StatementKind::Release => Some(v1::Release::PAYLOAD_TYPE),
        StatementKind::Permission => Some(v1::Permission::PAYLOAD_TYPE),
        StatementKind::Genesis | StatementKind::Trust | StatementKind::ClockStep | StatementKind::Unspecified => None,
    }
}

/// The head of a statement of any kind; `None` when it cannot be read.
#[must_use]
pub fn head_of(signed: &SignedStatement) -> Option<StatementHead> {
    fn head<S: Statement>(signed: &SignedStatement) -> Option<StatementHead> {
        read::<S>(signed).ok().and_then(|statement| statement.head().cloned())
    }
    match signed.kind() {
        StatementKind::Genesis => head::<v1::Genesis>(signed),
        StatementKind::Trust => head::<v1::Trust>(signed),
        StatementKind::Keys => head::<v1::KeyStatement>(signed),
        StatementKind::Access => head::<v1::AccessStatement>(signed),
        StatementKind::Delivered => head::<Delivered>(signed),
        StatementKind::Acknowledged => head::<Acknowledged>(signed),
        StatementKind::ClockStep => head::<v1::ClockStep>(signed),
        StatementKind::Enrolment => head::<v1::Enrolment>(signed),
        StatementKind::Standing => head::<v1::Standing>(signed),
        StatementKind::Grants => head::<v1::GrantStatement>(signed),
        StatementKind::Group => head::<v1::Group>(signed),
        StatementKind::Release => head::<v1::Release>(signed),
        StatementKind::Permission => head::<v1::Permission>(signed),
        StatementKind::Unspecified => None,
    }
}

/// Decodes a [`SignedStatement`] in its one encoding, for instance a leaf of the directory.
///
/// # Errors
/// [`EncodingError`] when it is too large or not canonical.
pub fn decode_signed(bytes: &[u8]) -> Result<SignedStatement, EncodingError> {
    canonical::decode(bytes)
}

/// SHA-256 of a statement's bytes without its signatures: what `prev_sha256` of the next one names.
#[must_use]
pub fn digest_of(signed: &SignedStatement) -> [u8; 32] {
    tlog::sha256(&signed.statement)
}

impl Canonical for SignedStatement {
    const WHAT: &'static str = "the signed statement";
    const BYTES_MAX: usize = GENESIS_BYTES_MAX + 4096;

    fn check(&self) -> Result<(), EncodingError> {
        named::<StatementKind>(self.kind, "kind")?;
        ensure((1..=SIGNERS_MAX).contains(&self.signatures.len()), "signatures", "are not 1 to 4")?;
        for signature in &self.signatures {
            digest(&signature.key_id, "signatures.key_id")?;
            ensure(signature.signature.len() == 64, "signatures.signature", "is not 64 bytes")?;
        }
        Ok(())
    }
}

/// What the heads of all statements have in common, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The network that it belongs to.
    pub network: Network,
    /// Who says it; `None` is the network authority.
    pub issuer: Option<Address>,
    /// About whom; `None` is the network.
    pub subject: Option<Address>,
    /// + 1 for each (issuer, kind, subject), from 1.
    pub seq: u64,
    /// SHA-256 of the statement before it.
    pub prev_sha256: Option<[u8; 32]>,
    /// The issuer's clock, Unix milliseconds.
    pub created_ms: u64,
    /// 0 means without end.
    pub expires_ms: u64,
}

/// Reads a head.
///
/// # Errors
/// [`EncodingError`] names the field that is out of bounds.
pub fn read_head(head: Option<&StatementHead>) -> Result<Head, EncodingError> {
    let head = head.ok_or(EncodingError::Field { field: "head", why: "is absent" })?;
    let party = |text: &str, field| if text == NETWORK_AUTHORITY { Ok(None) } else { address(text, field).map(Some) };
    let read = Head {
        network: network(&head.network, "head.network")?,
        issuer: party(&head.issuer, "head.issuer")?,
        subject: party(&head.subject, "head.subject")?,
        seq: head.seq,
        prev_sha256: digest_or_empty(&head.prev_sha256, "head.prev_sha256")?,
        created_ms: head.created_ms,
        expires_ms: head.expires_ms,
    };
    ensure(read.seq >= 1, "head.seq", "counts from 1")?;
    ensure((read.seq == 1) == read.prev_sha256.is_none(), "head.prev_sha256", "is empty exactly when seq is 1")?;
    ensure(read.expires_ms == 0 || read.expires_ms > read.created_ms, "head.expires_ms", "is not after created_ms")?;
    Ok(read)
}

/// The first checks of every statement: version, then head.
fn version_of(head: Option<&StatementHead>) -> u32 {
    head.map_or(1, |head| head.version)
}

macro_rules! statement {
    ($type:ty, $kind:ident, $name:literal, $max:expr) => {
        impl Statement for $type {
            const KIND: StatementKind = StatementKind::$kind;
            const PAYLOAD_TYPE: &'static str = concat!("application/vnd.ecowire.", $name, ".v1+protobuf");
            fn head(&self) -> Option<&StatementHead> {
                self.head.as_ref()
            }
        }
        impl Canonical for $type {
            const WHAT: &'static str = concat!("the ", $name, " statement");
            const BYTES_MAX: usize = $max;
            fn version(&self) -> u32 {
                version_of(self.head.as_ref())
            }
            fn check(&self) -> Result<(), EncodingError> {
                read_head(self.head.as_ref())?;
                self.check_body()
            }
        }
    };
}

/// The network authority speaks of the network only.
fn ensure_of_network(head: Option<&StatementHead>) -> Result<(), EncodingError> {
    let of_network = head.is_some_and(|head| head.issuer == NETWORK_AUTHORITY && head.subject == NETWORK_AUTHORITY);
    ensure(of_network, "head.issuer", "is not the network authority, speaking of the network")
}

/// The issuer is a participant and speaks of itself.
fn ensure_of_itself(head: Option<&StatementHead>) -> Result<(), EncodingError> {
    let of_itself = head.is_some_and(|head| head.issuer != NETWORK_AUTHORITY && head.issuer == head.subject);
    ensure(of_itself, "head.subject", "is not the participant that signs")
}

/// A participant speaks of another one.
fn ensure_of_another(head: Option<&StatementHead>) -> Result<(), EncodingError> {
    let sound = |head: &StatementHead| head.issuer != NETWORK_AUTHORITY && head.subject != NETWORK_AUTHORITY && head.issuer != head.subject;
    ensure(head.is_some_and(sound), "head.subject", "is not another participant than the issuer")
}

trait Body {
    fn check_body(&self) -> Result<(), EncodingError>;
}

statement!(v1::Genesis, Genesis, "genesis", GENESIS_BYTES_MAX);
statement!(v1::Trust, Trust, "trust", STATEMENT_BYTES_MAX);
statement!(v1::KeyStatement, Keys, "keys", STATEMENT_BYTES_MAX);
statement!(v1::AccessStatement, Access, "access", STATEMENT_BYTES_MAX);
statement!(v1::ClockStep, ClockStep, "clock-step", STATEMENT_BYTES_MAX);
statement!(v1::Enrolment, Enrolment, "enrolment", STATEMENT_BYTES_MAX);
statement!(v1::Standing, Standing, "standing", STATEMENT_BYTES_MAX);
statement!(v1::GrantStatement, Grants, "grants", STATEMENT_BYTES_MAX);
statement!(v1::Group, Group, "group", STATEMENT_BYTES_MAX);
statement!(v1::Release, Release, "release", STATEMENT_BYTES_MAX);
statement!(v1::Permission, Permission, "permission", STATEMENT_BYTES_MAX);

/// The two statements of a mailbox share a type; the DSSE payload type keeps them apart.
#[derive(Clone, PartialEq, Default)]
pub struct Delivered(pub v1::MailboxStatement);
/// As [`Delivered`]: a person has seen the messages.
#[derive(Clone, PartialEq, Default)]
pub struct Acknowledged(pub v1::MailboxStatement);

macro_rules! mailbox_statement {
    ($type:ident, $kind:ident, $name:literal) => {
        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
        impl prost::Message for $type {
            fn encode_raw(&self, buf: &mut impl bytes::BufMut) {
                self.0.encode_raw(buf);
            }
            fn merge_field(
                &mut self,
                tag: u32,
                wire: prost::encoding::WireType,
                buf: &mut impl bytes::Buf,
                ctx: prost::encoding::DecodeContext,
            ) -> Result<(), prost::DecodeError> {
                self.0.merge_field(tag, wire, buf, ctx)
            }
            fn encoded_len(&self) -> usize {
                self.0.encoded_len()
            }
            fn clear(&mut self) {
                self.0.clear();
            }
        }
        impl Statement for $type {
            const KIND: StatementKind = StatementKind::$kind;
            const PAYLOAD_TYPE: &'static str = concat!("application/vnd.ecowire.", $name, ".v1+protobuf");
            fn head(&self) -> Option<&StatementHead> {
                self.0.head.as_ref()
            }
        }
        impl Canonical for $type {
            const WHAT: &'static str = concat!("the ", $name, " statement");
            const BYTES_MAX: usize = STATEMENT_BYTES_MAX;
            fn version(&self) -> u32 {
                version_of(self.0.head.as_ref())
            }
            fn check(&self) -> Result<(), EncodingError> {
                read_head(self.0.head.as_ref())?;
                ensure_of_itself(self.0.head.as_ref())?;
                self.0.check_body()
            }
        }
    };
}

mailbox_statement!(Delivered, Delivered, "delivered");
mailbox_statement!(Acknowledged, Acknowledged, "acknowledged");

impl Body for v1::MailboxStatement {
    fn check_body(&self) -> Result<(), EncodingError> {
        ensure((1..=MAILBOX_ITEMS_MAX).contains(&self.items.len()), "items", "are not 1 to 64")?;
        ensure(self.items.windows(2).all(|pair| pair[0].mailbox_seq < pair[1].mailbox_seq), "items", "do not ascend by mailbox_seq")?;
        ensure(self.items[0].mailbox_seq >= 1, "items.mailbox_seq", "counts from 1")?;
        for item in &self.items {
            digest(&item.message_id, "items.message_id")?;
        }
        ensure(self.at_ms > 0, "at_ms", "is absent")?;
        named::<v1::ClockQuality>(self.clock, "clock").map(drop)
    }
}

impl Body for v1::KeyStatement {
    fn check_body(&self) -> Result<(), EncodingError> {
        ensure_of_itself(self.head.as_ref())?;
        ensure((1..=KEYS_MAX).contains(&self.keys.len()), "keys", "are not 1 to 16")?;
        for (at, key) in self.keys.iter().enumerate() {
            ensure(self.keys[..at].iter().all(|earlier| earlier.public != key.public), "keys.public", "stands twice")?;
            let kem = named::<v1::KemId>(key.kem, "keys.kem")?;
            named::<v1::KeyState>(key.state, "keys.state")?;
            ensure(key.public.len() == public_key_bytes(kem), "keys.public", "has not the size of its kem")?;
        }
        digest(&self.cert_chain_sha256, "cert_chain_sha256").map(drop)
    }
}

impl Body for v1::AccessStatement {
    fn check_body(&self) -> Result<(), EncodingError> {
        let printable = self.purpose.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        ensure(
            printable && (1..=PURPOSE_BYTES_MAX).contains(&self.purpose.len()),
            "purpose",
            "is not 1 to 256 printable ASCII characters",
        )?;
        ensure(self.from_index < self.to_index, "to_index", "is not above from_index")?;
        ensure(self.head.as_ref().is_some_and(|head| head.expires_ms > 0), "head.expires_ms", "is absent; an access has an end")
    }
}

impl Body for v1::ClockStep {
    fn check_body(&self) -> Result<(), EncodingError> {
        ensure_of_network(self.head.as_ref())?;
        ensure(self.now_ms > 0, "now_ms", "is absent")
    }
}

fn check_authority(keys: &[v1::AuthorityKey], threshold: u32) -> Result<(), EncodingError> {
    ensure((1..=SIGNERS_MAX).contains(&keys.len()), "authority", "has not 1 to 4 keys")?;
    ensure((1..=keys.len()).contains(&(threshold as usize)), "authority_threshold", "is not 1 to the number of keys")?;
    for (at, key) in keys.iter().enumerate() {
        ensure(named::<v1::SigAlg>(key.alg, "authority.alg")? == v1::SigAlg::Ed25519, "authority.alg", "is not Ed25519")?;
        ed25519_public(&key.public, "authority.public")?;
        ensure(keys[..at].iter().all(|earlier| earlier.public != key.public), "authority.public", "stands twice")?;
    }
    Ok(())
}

fn ed25519_public(bytes: &[u8], field: &'static str) -> Result<(), EncodingError> {
    let key = digest(bytes, field)?;
    ensure(tlog::ed25519::check_public(&key).is_ok(), field, "is no sound Ed25519 key")
}

fn check_certificates(chain: &[Bytes], field: &'static str) -> Result<(), EncodingError> {
    ensure((1..=CHAIN_MAX).contains(&chain.len()), field, "has not 1 to 4 certificates")?;
    ensure(chain.iter().all(|der| (1..=CERTIFICATE_BYTES_MAX).contains(&der.len())), field, "holds an empty or too large certificate")
}

impl Body for v1::Genesis {
    fn check_body(&self) -> Result<(), EncodingError> {
        ensure_of_network(self.head.as_ref())?;
        ensure(self.head.as_ref().is_some_and(|head| head.seq == 1), "head.seq", "is not 1")?;
        ensure(self.random.len() == 16, "random", "is not 16 bytes")?;
        check_certificates(&self.roots, "roots")?;
        check_authority(&self.authority, self.authority_threshold)?;
        ed25519_public(&self.log_key, "log_key")?;
        ed25519_public(&self.directory_key, "directory_key")?;
        ensure(address(&self.node, "node")?.class() == crate::Class::Node, "node", "is no node")?;
        check_policy(self.policy.as_ref().ok_or(EncodingError::Field { field: "policy", why: "is absent" })?)?;
        let mut last: Option<Address> = None;
        for participant in &self.participants {
            let at = check_participant(participant)?;
            ensure(last.as_ref().is_none_or(|last| *last < at), "participants", "are not in order of address")?;
            last = Some(at);
        }
        Ok(())
    }
}

fn check_participant(participant: &v1::Participant) -> Result<Address, EncodingError> {
    let at = address(&participant.address, "participants.address")?;
    named::<v1::ParticipantState>(participant.state, "participants.state")?;
    named::<v1::Classification>(participant.clearance, "participants.clearance")?;
    named::<v1::OversightMode>(participant.oversight, "participants.oversight")?;
    check_certificates(&participant.identity_chain, "participants.identity_chain")?;
    Ok(at)
}

impl Body for v1::Enrolment {
    fn check_body(&self) -> Result<(), EncodingError> {
        ensure_of_another(self.head.as_ref())?;
        let participant = self.participant.as_ref().ok_or(EncodingError::Field { field: "participant", why: "is absent" })?;
        let at = check_participant(participant)?;
        let of_subject = self.head.as_ref().is_some_and(|head| head.subject == at.as_str());
        ensure(of_subject, "participant.address", "is not the head's subject")?;
        ensure(participant.state() == v1::ParticipantState::Active, "participant.state", "is not ACTIVE; another one is a standing")
    }
}

impl Body for v1::Standing {
    fn check_body(&self) -> Result<(), EncodingError> {
        ensure_of_another(self.head.as_ref())?;
        let state = named::<v1::ParticipantState>(self.state, "state")?;
        ensure(state != v1::ParticipantState::Pending, "state", "is PENDING, which nobody becomes again")?;
        named::<v1::StandingReason>(self.reason, "reason").map(drop)
    }
}

impl Body for v1::GrantStatement {
    fn check_body(&self) -> Result<(), EncodingError> {
        ensure_of_another(self.head.as_ref())?;
        ensure(self.grants.len() <= GRANTS_MAX, "grants", "are more than 32")?;
        for grant in &self.grants {
            check_set::<v1::Kind>(&grant.kinds, "grants.kinds")?;
            check_set::<v1::Priority>(&grant.priorities, "grants.priorities")?;
            check_set::<v1::Classification>(&grant.classifications, "grants.classifications")?;
            named::<v1::Audience>(grant.audience, "grants.audience")?;
        }
        Ok(())
    }
}

impl Body for v1::Group {
    fn check_body(&self) -> Result<(), EncodingError> {
        ensure_of_another(self.head.as_ref())?;
        let subject = address(self.head.as_ref().map_or("", |head| &head.subject), "head.subject")?;
        ensure(subject.class() == crate::Class::Group, "head.subject", "is no group")?;
        ensure(self.members.len() <= RECIPIENTS_MAX, "members", "are more than 512")?;
        let members = self.members.iter().map(|member| address(member, "members")).collect::<Result<Vec<_>, _>>()?;
        ensure(members.is_sorted_by(|a, b| a < b), "members", "do not ascend")?;
        ensure(members.iter().all(|member| member.class() != crate::Class::Group), "members", "name a group")?;
        named::<v1::GroupSenders>(self.senders, "senders").map(drop)
    }
}

/// Named values, 1 to 32, ascending.
fn check_set<E: TryFrom<i32> + Default + PartialEq>(values: &[i32], field: &'static str) -> Result<(), EncodingError> {
    ensure((1..=GRANTED_MAX).contains(&values.len()) && values.is_sorted_by(|a, b| a < b), field, "are not 1 to 32 in ascending order")?;
    values.iter().try_for_each(|value| named::<E>(*value, field).map(drop))
}

fn check_policy(policy: &v1::Policy) -> Result<(), EncodingError> {
    let known = (1..=RULES_VERSION_MAX).contains(&policy.rules_version);
    ensure(known, "policy.rules_version", "is neither 1 nor 2, the rules that this program knows")?;
    ensure(
        0 < policy.lifetime_min_ms && policy.lifetime_min_ms <= policy.lifetime_max_ms,
        "policy.lifetime_min_ms",
        "is 0 or above the maximum",
    )?;
    ensure(policy.lifetime_max_ms <= 366 * 86_400_000, "policy.lifetime_max_ms", "is more than a year")?;
    ensure(policy.skew_max_ms <= 3_600_000, "policy.skew_max_ms", "is more than an hour")?;
    ensure((1..=4).contains(&policy.kems.len()), "policy.kems", "are not 1 to 4")?;
    for kem in &policy.kems {
        named::<v1::KemId>(*kem, "policy.kems")?;
    }
    ensure(policy.identity_algs.len() <= 2 && policy.identity_algs.is_sorted_by(|a, b| a < b), "policy.identity_algs", "do not ascend")?;
    for alg in &policy.identity_algs {
        named::<v1::SigAlg>(*alg, "policy.identity_algs")?;
    }
    let dual = &policy.dual_control;
    ensure(dual.len() <= GRANTED_MAX && dual.is_sorted_by(|a, b| a < b), "policy.dual_control", "do not ascend, or are more than 32")?;
    dual.iter().try_for_each(|kind| named::<v1::Kind>(*kind, "policy.dual_control").map(drop))?;
    ensure(policy.grants.len() <= 64, "policy.grants", "are more than 64")?;
    for grant in &policy.grants {
        named::<v1::ParticipantClass>(grant.class, "policy.grants.class")?;
        grant.kinds.iter().try_for_each(|kind| named::<v1::Kind>(*kind, "policy.grants.kinds").map(drop))?;
        grant.priorities.iter().try_for_each(|priority| named::<v1::Priority>(*priority, "policy.grants.priorities").map(drop))?;
        grant
            .classifications
            .iter()
            .try_for_each(|class| named::<v1::Classification>(*class, "policy.grants.classifications").map(drop))?;
    }
    Ok(())
}

impl Body for v1::Release {
    fn check_body(&self) -> Result<(), EncodingError> {
        ensure_of_another(self.head.as_ref())?;
        digest(&self.message_id, "message_id")?;
        let verdict = named::<v1::ReleaseVerdict>(self.verdict, "verdict")?;
        let reason = named::<v1::ReleaseReason>(self.reason, "reason")?;
        let fits = verdict == v1::ReleaseVerdict::Refused || reason == v1::ReleaseReason::None;
        ensure(fits, "reason", "is given for what was released")
    }
}

impl Body for v1::Permission {
    fn check_body(&self) -> Result<(), EncodingError> {
        ensure_of_another(self.head.as_ref())?;
        let kind = named::<v1::AuthorityKind>(self.kind, "kind")?;
        let of_one = digest_or_empty(&self.message_id, "message_id")?.is_some();
        ensure(of_one == (kind != v1::AuthorityKind::Waiver), "message_id", "is empty exactly for a waiver")?;
        let life_ms = self.head.as_ref().map_or(0, |head| head.expires_ms.saturating_sub(head.created_ms));
        let most_ms = if kind == v1::AuthorityKind::Waiver { WAIVER_MAX_MS } else { PERMISSION_MAX_MS };
        ensure((1..=most_ms).contains(&life_ms), "head.expires_ms", "is absent, or further away than a permission of this kind lasts")?;
        ensure(self.recipients.len() <= RECIPIENTS_MAX, "recipients", "are more than 512")?;
        ensure(self.recipients.is_empty() || kind == v1::AuthorityKind::OnwardGrant, "recipients", "are named by onward grants only")?;
        let read = self.recipients.iter().map(|text| address(text, "recipients")).collect::<Result<Vec<_>, _>>()?;
        ensure(read.is_sorted_by(|a, b| a.as_str() < b.as_str()), "recipients", "do not ascend")
    }
}

impl Body for v1::Trust {
    fn check_body(&self) -> Result<(), EncodingError> {
        ensure_of_network(self.head.as_ref())?;
        check_certificates(&self.roots, "roots")?;
        check_authority(&self.authority, self.authority_threshold)?;
        ensure((1..=64).contains(&self.nodes.len()), "nodes", "are not 1 to 64")?;
        for node in &self.nodes {
            ensure(address(node, "nodes")?.class() == crate::Class::Node, "nodes", "names another class")?;
        }
        ensure((1..=200).contains(&self.log_origin.len()) && self.log_origin.is_ascii(), "log_origin", "is no origin")?;
        ensure((1..=200).contains(&self.directory_origin.len()) && self.directory_origin.is_ascii(), "directory_origin", "is no origin")?;
        ed25519_public(&self.log_key, "log_key")?;
        ed25519_public(&self.directory_key, "directory_key")?;
        digest(&self.genesis_sha256, "genesis_sha256")?;
        ensure(self.witnesses.len() <= 16 && self.witnesses_k as usize <= self.witnesses.len(), "witnesses_k", "is more than the witnesses")
    }
}

/// Those of the authority's keys that signed, in the order of the signatures; at least `threshold` of them.
///
/// # Errors
/// [`SignatureFault::Signers`] when there are fewer, or a signature is by no key of the authority.
pub fn authority_signers(
    keys: &[v1::AuthorityKey],
    threshold: u32,
    signatures: &[v1::Signature],
) -> Result<Vec<SignerKey>, SignatureFault> {
    let too_few = SignatureFault::Signers { expected: threshold as usize, found: signatures.len() };
    let publics: Vec<[u8; 32]> = keys.iter().filter_map(|key| key.public.as_ref().try_into().ok()).collect();
    let known: Vec<SignerKey> = publics.into_iter().map(PublicKey::Ed25519).map(|public| (public.key_id(), public)).collect();
    let find = |signature: &v1::Signature| known.iter().find(|(key_id, _)| signature.key_id == key_id[..]).copied();
    let signers: Option<Vec<_>> = signatures.iter().map(find).collect();
    signers.filter(|signers| signers.len() >= threshold.max(1) as usize).ok_or(too_few)
}

/// Opens a statement of the network authority: enough of its keys signed, nobody else did.
///
/// # Errors
/// [`StatementError`] when form, threshold or a signature is wrong.
pub fn open_by_authority<S: Statement>(
    verifier: &impl Verifier,
    signed: &SignedStatement,
    keys: &[v1::AuthorityKey],
    threshold: u32,
) -> Result<S, StatementError> {
    open(verifier, signed, &authority_signers(keys, threshold, &signed.signatures)?)
}
