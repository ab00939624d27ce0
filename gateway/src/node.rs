//! The gateway's own folder: its TLS certificate and the keys that sign checkpoints. Nobody else's keys are read.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use envelope::Timestamp;
use envelope::genesis::Genesis;
use envelope::identity::{Anchors, NothingRevoked, Role};
use envelope::locked::{LockError, Secret, is_locked, unlock};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tlog::Ed25519Signer;
use zeroize::Zeroizing;

use crate::config::Keys;

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
    /// A key under a passphrase that is missing or another, or no passphrase.
    #[error("{path}: {source}; its passphrase stands in the file that keys.passphrase_file or --passphrase-file names")]
    Locked {
        /// Which.
        path: PathBuf,
        /// Why.
        source: LockError,
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
    pub fn read(folder: &Path, keys: &Keys, genesis: &Genesis, now: Timestamp) -> Result<Self, NodeError> {
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
        let text = read(&key)?;
        let key = if is_locked(&text) {
            PrivateKeyDer::from(PrivatePkcs8KeyDer::from(opened(&key, &text, keys)?.to_vec()))
        } else {
            PrivateKeyDer::from_pem_slice(&text).map_err(|error| content(&key, error.to_string()))?
        };
        Ok(Self { chain, key, not_after: judged.not_after })
    }

    /// The signers of log and directory, checked against the keys in the genesis.
    ///
    /// # Errors
    /// [`NodeError`] names the file.
    pub fn signers(folder: &Path, keys: &Keys, genesis: &Genesis) -> Result<ledger::Signers, NodeError> {
        let log = signer(&folder.join("log.key"), keys, &genesis.log_origin(), &genesis.statement.log_key)?;
        let directory = signer(&folder.join("directory.key"), keys, &genesis.directory_origin(), &genesis.statement.directory_key)?;
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

fn signer(path: &Path, keys: &Keys, origin: &str, public: &[u8]) -> Result<Ed25519Signer, NodeError> {
    let content = |why: String| NodeError::Content { path: path.to_owned(), why };
    let der = opened(path, &read(path)?, keys)?;
    let signer = Ed25519Signer::from_pkcs8(origin, &der).map_err(|error| content(error.to_string()))?;
    if tlog::NoteSigner::key(&signer).public[..] == *public {
        Ok(signer)
    } else {
        Err(content("it is not the key that the genesis names".to_owned()))
    }
}

/// The PKCS#8 document of a key file; the passphrase is read for each that needs it, and not kept.
fn opened(path: &Path, text: &[u8], keys: &Keys) -> Result<Zeroizing<Vec<u8>>, NodeError> {
    let passphrase = if is_locked(text) { keys.passphrase_file.as_deref().map(passphrase).transpose()? } else { None };
    unlock(text, passphrase.as_ref()).map_err(|source| NodeError::Locked { path: path.to_owned(), source })
}

/// A passphrase from a file that only its owner may read.
fn passphrase(path: &Path) -> Result<Secret, NodeError> {
    let failed = |source| NodeError::Read { path: path.to_owned(), source };
    let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(NodeError::Content { path: path.to_owned(), why: "others may read it; take their rights away (chmod 600)".to_owned() });
    }
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(failed)?);
    Secret::new(text).map_err(|source| NodeError::Locked { path: path.to_owned(), source })
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, NodeError> {
    std::fs::read(path).map(Zeroizing::new).map_err(|source| NodeError::Read { path: path.to_owned(), source })
}
