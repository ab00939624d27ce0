//! The gateway's own folder: its TLS certificate and the keys that sign checkpoints. Nobody else's keys are read.

use std::path::{Path, PathBuf};

use envelope::Timestamp;
use envelope::genesis::Genesis;
use envelope::identity::{Anchors, NothingRevoked, Role};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tlog::Ed25519Signer;

/// What the node folder holds.
#[derive(Debug)]
pub struct Node {
    /// Leaf first, root left out.
    pub chain: Vec<CertificateDer<'static>>,
    /// The TLS key.
    pub key: PrivateKeyDer<'static>,
    /// When the first certificate of the path ends.
    pub not_after: Timestamp,
}

/// Why a node folder is not taken.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Two gateways that sign with one key write two histories.
    #[error("another gateway is running with {0}; one log is written by one gateway")]
    KeyInUse(PathBuf),
    /// A file is not what its name says.
    #[error("{path}: {why}")]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

impl Node {
    /// Reads tls.pem and tls.key and checks that they are the node's that the genesis names.
    ///
    /// # Errors
    /// [`NodeError`] names the file.
    pub fn read(folder: &Path, genesis: &Genesis, now: Timestamp) -> Result<Self, NodeError> {
        let (pem, key) = (folder.join("tls.pem"), folder.join("tls.key"));
        let content = |path: &Path, why: String| NodeError::Content { path: path.to_owned(), why };
        let bytes = read(&pem)?;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
        let chain = chain.map_err(|error| content(&pem, error.to_string()))?;
        let anchors: Anchors = genesis.anchors().map_err(|error| content(&pem, error.to_string()))?;
        let judged = anchors.judge(Role::NodeTls, &chain, now, &NothingRevoked).map_err(|error| content(&pem, error.to_string()))?;
        if judged.address.as_str() != genesis.statement.node {
            return Err(content(&pem, format!("the certificate is of {}, the genesis names {}", judged.address, genesis.statement.node)));
        }
        let key = PrivateKeyDer::from_pem_slice(&read(&key)?).map_err(|error| content(&key, error.to_string()))?;
        Ok(Self { chain, key, not_after: judged.not_after })
    }

    /// The signers of log and directory, checked against the keys in the genesis.
    ///
    /// # Errors
    /// [`NodeError`] names the file.
    pub fn signers(folder: &Path, genesis: &Genesis) -> Result<ledger::Signers, NodeError> {
        let log = signer(&folder.join("log.key"), &genesis.log_origin(), &genesis.statement.log_key)?;
        let directory = signer(&folder.join("directory.key"), &genesis.directory_origin(), &genesis.statement.directory_key)?;
        Ok(ledger::Signers { log: Box::new(log), directory: Box::new(directory) })
    }
}

/// Holds the log's key for one gateway of this machine: a copied data folder started beside the first signs nothing.
///
/// # Errors
/// [`NodeError`] when another gateway holds it.
pub fn hold_log_key(folder: &Path) -> Result<std::fs::File, NodeError> {
    let path = folder.join("log.key");
    let file = std::fs::File::open(&path).map_err(|source| NodeError::Read { path: path.clone(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(NodeError::KeyInUse(path)),
        Err(std::fs::TryLockError::Error(source)) => Err(NodeError::Read { path, source }),
    }
}

fn signer(path: &Path, origin: &str, public: &[u8]) -> Result<Ed25519Signer, NodeError> {
    let content = |why: String| NodeError::Content { path: path.to_owned(), why };
    let der = PrivatePkcs8KeyDer::from_pem_slice(&read(path)?).map_err(|error| content(error.to_string()))?;
    let signer = Ed25519Signer::from_pkcs8(origin, der.secret_pkcs8_der()).map_err(|error| content(error.to_string()))?;
    if tlog::NoteSigner::key(&signer).public[..] == *public {
        Ok(signer)
    } else {
        Err(content("it is not the key that the genesis names".to_owned()))
    }
}

fn read(path: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>, NodeError> {
    std::fs::read(path).map(zeroize::Zeroizing::new).map_err(|source| NodeError::Read { path: path.to_owned(), source })
}
