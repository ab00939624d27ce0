//! Entry 0: the network, its keys, its policy and its first participants, signed by the network authority.
//!
//! It does not know whether this is the genesis that a member trusts; `trust` names its digest.

use std::collections::BTreeSet;

use proto::v1::{self, SigAlg};
use tlog::VerifierKey;

use crate::canonical::EncodingError;
use crate::identity::{Anchors, Certified, IdentityError, NothingRevoked, Role, ca_certificate};
use crate::keys::Verifier;
use crate::statement::{self, StatementError};
use crate::trust::{directory_origin, log_origin};
use crate::{Address, Network, Timestamp};

/// A genesis whose form, signatures and certificates hold.
#[derive(Clone, Debug)]
pub struct Genesis {
    /// The statement.
    pub statement: v1::Genesis,
    /// As signed.
    pub signed: v1::SignedStatement,
    /// SHA-256 of the file.
    pub sha256: [u8; 32],
    /// The network.
    pub network: Network,
    /// The first participants with their judged identities, in order of address.
    pub participants: Vec<(v1::Participant, Certified)>,
}

/// Why a file is no genesis.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// Form or signatures.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// A root that is none.
    #[error("a root certificate does not hold: {0}")]
    Root(IdentityError),
    /// A participant's certificate.
    #[error("the identity of {address} does not hold: {source}")]
    Identity {
        /// Whose.
        address: String,
        /// Why.
        source: IdentityError,
    },
    /// The chain is another participant's, or its key is used twice.
    #[error("the certificate of {0} names another address, or a key that another participant or a ca has")]
    Mismatch(String),
    /// The policy does not allow the algorithm of an identity's key.
    #[error("the network's policy does not allow the kind of key that {0} has")]
    Algorithm(String),
}

impl From<EncodingError> for GenesisError {
    fn from(error: EncodingError) -> Self {
        Self::Statement(error.into())
    }
}

impl Genesis {
    /// Reads `genesis.bin` and judges every certificate in it at the time when it was created.
    ///
    /// # Errors
    /// [`GenesisError`] names what does not hold.
    pub fn open(bytes: &[u8], verifier: &impl Verifier) -> Result<Self, GenesisError> {
        Self::from_signed(statement::decode_signed(bytes)?, tlog::sha256(bytes), verifier)
    }

    /// As [`Genesis::open`], from the statement in entry 0; `sha256` is that of its encoding.
    ///
    /// # Errors
    /// [`GenesisError`] names what does not hold.
    pub fn from_signed(signed: v1::SignedStatement, sha256: [u8; 32], verifier: &impl Verifier) -> Result<Self, GenesisError> {
        let form: v1::Genesis = statement::read(&signed)?;
        let statement: v1::Genesis = statement::open_by_authority(verifier, &signed, &form.authority, form.authority_threshold)?;
        let head = statement::read_head(statement.head.as_ref())?;
        let anchors = Anchors::new(head.network.clone(), &statement.roots).map_err(GenesisError::Root)?;
        let at = Timestamp(head.created_ms);
        let ca_keys = ca_keys(&statement);
        let mut participants: Vec<(v1::Participant, Certified)> = Vec::with_capacity(statement.participants.len());
        for participant in &statement.participants {
            let address = &participant.address;
            let judged = anchors.judge(Role::Identity, &participant.identity_chain, at, &NothingRevoked);
            let certified = judged.map_err(|source| GenesisError::Identity { address: address.clone(), source })?;
            if !allows(statement.policy.as_ref(), certified.public.alg()) {
                return Err(GenesisError::Algorithm(address.clone()));
            }
            let own = certified.address.as_str() == address && !ca_keys.contains(&certified.key_id);
            if !own || participants.iter().any(|(_, other)| other.key_id == certified.key_id) {
                return Err(GenesisError::Mismatch(address.clone()));
            }
            participants.push((participant.clone(), certified));
        }
        Ok(Self { network: head.network, statement, signed, sha256, participants })
    }

    /// The roots that a genesis names which was opened before, and stands in a ledger.
    ///
    /// # Errors
    /// [`GenesisError`] when it is none.
    pub fn anchors_of(signed: &v1::SignedStatement) -> Result<Anchors, GenesisError> {
        let statement: v1::Genesis = statement::read(signed)?;
        let head = statement::read_head(statement.head.as_ref())?;
        Anchors::new(head.network, &statement.roots).map_err(GenesisError::Root)
    }

    /// The roots, for judging certificates of connections and statements.
    ///
    /// # Errors
    /// [`GenesisError::Root`]; it was checked on opening.
    pub fn anchors(&self) -> Result<Anchors, GenesisError> {
        Anchors::new(self.network.clone(), &self.statement.roots).map_err(GenesisError::Root)
    }

    /// Origin of the log: `<network>/log/0/<first 8 hex digits of the genesis digest>`.
    #[must_use]
    pub fn log_origin(&self) -> String {
        log_origin(&self.network, &self.sha256)
    }

    /// Origin of the directory's tree.
    #[must_use]
    pub fn directory_origin(&self) -> String {
        directory_origin(&self.network, &self.sha256)
    }

    /// The key that signs the log's checkpoints.
    #[must_use]
    pub fn log_verifier(&self) -> VerifierKey {
        VerifierKey::ed25519(&self.log_origin(), key(&self.statement.log_key)).expect("an origin is a sound key name")
    }

    /// The key that signs the directory's checkpoints.
    #[must_use]
    pub fn directory_verifier(&self) -> VerifierKey {
        VerifierKey::ed25519(&self.directory_origin(), key(&self.statement.directory_key)).expect("an origin is a sound key name")
    }

    /// The gateway's address.
    ///
    /// # Errors
    /// [`EncodingError`]; it was checked on opening.
    pub fn node(&self) -> Result<Address, EncodingError> {
        crate::canonical::address(&self.statement.node, "node")
    }
}

/// Lower-case hexadecimal digits of some bytes.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether identity keys may be of this algorithm; a policy that says nothing means Ed25519.
#[must_use]
pub fn allows(policy: Option<&v1::Policy>, alg: SigAlg) -> bool {
    let listed: Vec<SigAlg> = policy.map_or_else(Vec::new, |policy| policy.identity_algs().collect());
    if listed.is_empty() { alg == SigAlg::Ed25519 } else { listed.contains(&alg) }
}

/// Keys of the CAs that the genesis names: a key has one role, so no identity may have one of them.
/// What is no CA is refused with its chain.
fn ca_keys(statement: &v1::Genesis) -> BTreeSet<[u8; 32]> {
    let below = statement.participants.iter().flat_map(|participant| participant.identity_chain.iter().skip(1));
    let ders: BTreeSet<&[u8]> = statement.roots.iter().chain(below).map(AsRef::as_ref).collect();
    ders.into_iter().filter_map(|der| ca_certificate(der).ok()).map(|ca| ca.spki_sha256).collect()
}

fn key(bytes: &[u8]) -> [u8; 32] {
    bytes.try_into().expect("the statement's check demands 32 bytes")
}
