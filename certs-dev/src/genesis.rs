//! Entry 0 of a development network: keys, policy, first participants.
//!
//! It does not know where the keys lie.

use std::collections::BTreeSet;

use envelope::address::{Address, Class, Network};
use envelope::canonical::Canonical as _;
use envelope::keys::{SigningKey, random};
use envelope::limits::RULES_VERSION_MAX;
use envelope::statement::{self, NETWORK_AUTHORITY};
use envelope::time::Timestamp;
use proto::v1::{
    AuthorityKey, ClassGrant, Classification, Genesis, KemId, Kind, OversightMode, Participant, ParticipantClass, ParticipantState, Policy,
    Priority, SigAlg, SignedStatement, StatementHead,
};

use crate::Error;
use crate::forge::DAY_MS;

/// What the genesis names.
pub(crate) struct Parts<'a> {
    pub(crate) network: &'a Network,
    pub(crate) root_der: &'a [u8],
    pub(crate) authority: &'a SigningKey,
    pub(crate) log_key: [u8; 32],
    pub(crate) directory_key: [u8; 32],
    pub(crate) node: &'a Address,
    /// Address and identity chain.
    pub(crate) participants: Vec<(Address, Vec<Vec<u8>>)>,
    /// Whether some identities have P-256 keys.
    pub(crate) p256: bool,
    /// Kinds that two seats sign, in any order.
    pub(crate) dual_control: &'a [Kind],
    pub(crate) broadcasts_per_day: u32,
    pub(crate) now: Timestamp,
}

/// The genesis, signed by the network authority.
pub(crate) fn sign(mut parts: Parts<'_>) -> Result<SignedStatement, Error> {
    parts.participants.sort();
    let authority = AuthorityKey { alg: SigAlg::Ed25519.into(), public: parts.authority.public().as_bytes().to_vec().into() };
    let genesis = Genesis {
        head: Some(StatementHead {
            version: 1,
            network: parts.network.to_string(),
            issuer: NETWORK_AUTHORITY.to_owned(),
            subject: NETWORK_AUTHORITY.to_owned(),
            seq: 1,
            prev_sha256: Vec::new().into(),
            created_ms: parts.now.ms(),
            expires_ms: 0,
        }),
        random: random::<16>()?.to_vec().into(),
        roots: vec![parts.root_der.to_vec().into()],
        authority: vec![authority],
        authority_threshold: 1,
        log_key: parts.log_key.to_vec().into(),
        directory_key: parts.directory_key.to_vec().into(),
        node: parts.node.to_string(),
        policy: Some(policy(&parts)),
        participants: parts.participants.into_iter().map(|(address, chain)| participant(&address, chain)).collect(),
    };
    genesis.check()?;
    Ok(statement::sign(&genesis, &[parts.authority])?)
}

fn participant(address: &Address, chain: Vec<Vec<u8>>) -> Participant {
    Participant {
        address: address.to_string(),
        state: ParticipantState::Active.into(),
        identity_chain: chain.into_iter().map(Into::into).collect(),
        clearance: clearance(address.class()).into(),
        // In a network of one developer every bureau has opened all its posts.
        open_to_foreign: matches!(address.class(), Class::Endpoint | Class::SubBureau),
        oversight: OversightMode::Copy.into(),
    }
}

/// A network without P-256 identities names no algorithm, as before there were any.
fn policy(parts: &Parts<'_>) -> Policy {
    let identity_algs = if parts.p256 { vec![SigAlg::Ed25519.into(), SigAlg::EcdsaP256Sha256.into()] } else { Vec::new() };
    let dual_control: BTreeSet<i32> = parts.dual_control.iter().map(|kind| (*kind).into()).collect();
    Policy {
        rules_version: RULES_VERSION_MAX,
        lifetime_max_ms: 30 * DAY_MS,
        lifetime_min_ms: 3 * DAY_MS,
        skew_max_ms: 5 * 60 * 1000,
        stale_key_grace_ms: DAY_MS,
        kems: vec![KemId::XWing.into()],
        grants: GRANTED.iter().map(|class| grant(*class)).collect(),
        flash_per_day: 1000,
        identity_algs,
        dual_control: dual_control.into_iter().collect(),
        broadcasts_per_day: parts.broadcasts_per_day,
    }
}

fn clearance(class: Class) -> Classification {
    match class {
        Class::Ncb | Class::Ipsg => Classification::Confidential,
        _ => Classification::Restricted,
    }
}

/// What a class may send; the rules of each kind narrow it further.
fn grant(class: ParticipantClass) -> ClassGrant {
    let everybody = [Kind::Message, Kind::Reply, Kind::Correction, Kind::Deletion, Kind::DeletionAttestation, Kind::Void];
    let officers = [Kind::Request, Kind::Ecomessage, Kind::Alert, Kind::Warning, Kind::Feedback, Kind::Seizure];
    let asking = [Kind::Query, Kind::HitConfirmation, Kind::ExpertRequest];
    let bureaus = [Kind::NoticeRequest, Kind::Diffusion, Kind::DiffusionCancel, Kind::ControlledDelivery, Kind::Service];
    let desks = [Kind::Notice, Kind::NoticeUpdate, Kind::NoticeCancel, Kind::Service];
    let mut kinds: Vec<Kind> = everybody.to_vec();
    match class {
        ParticipantClass::Ncb => kinds.extend([&officers[..], &asking, &bureaus].concat()),
        ParticipantClass::Ipsg => kinds.extend([&officers[..], &asking, &desks].concat()),
        ParticipantClass::Service => kinds.extend([Kind::QueryResult, Kind::Hit]),
        _ => kinds.extend([&officers[..], &asking].concat()),
    }
    kinds.sort_unstable();
    let mut classifications = vec![Classification::OfficialUseOnly, Classification::Restricted];
    if class == ParticipantClass::Ncb {
        classifications.push(Classification::Confidential);
    }
    let priorities = [Priority::Routine, Priority::Urgent, Priority::Flash];
    ClassGrant {
        class: class.into(),
        kinds: kinds.into_iter().map(Into::into).collect(),
        priorities: priorities.map(Into::into).to_vec(),
        classifications: classifications.into_iter().map(Into::into).collect(),
    }
}

/// Who may send messages; auditors send none, and partners get grants of their own.
const GRANTED: [ParticipantClass; 5] =
    [ParticipantClass::Ncb, ParticipantClass::SubBureau, ParticipantClass::Endpoint, ParticipantClass::Ipsg, ParticipantClass::Service];
