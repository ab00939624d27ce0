//! Revocation lists: read one by one as they change; one that is bad or older leaves the last good one in force.
//!
//! The order is fixed: the ledger has the revocation durably, then the state refuses, then live connections are cut.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use envelope::Timestamp;
use envelope::crl::Crl;
use envelope::genesis::Genesis;
use exchange::Rows as _;
use proto::v1;

use crate::metrics::ListFacts;
use crate::node::Node;
use crate::service::Desk;
use crate::shared::Shared;
use crate::writer::Command;

/// Reads the lists of a folder.
#[derive(Debug)]
pub struct Lists {
    folder: PathBuf,
    /// Certificates of the CAs whose lists count: roots, and every CA of an enrolled chain.
    issuers: Vec<Vec<u8>>,
    /// Certificates of the operator's own CAs: they issue nodes, so their lists are for members and not for the ledger.
    operators: Vec<Vec<u8>>,
    /// Next update of the list in force of each issuer, by the issuer's key.
    in_force: BTreeMap<[u8; 32], Timestamp>,
    /// What each file was when it was read last.
    seen: BTreeMap<PathBuf, Look>,
}

/// A file from outside: bytes, change of the content, change of anything else (access bits, name). `None`: it cannot
/// even be looked at.
type Look = Option<(u64, SystemTime, (i64, i64))>;

impl Lists {
    /// The lists of `folder`, by CAs that the genesis names.
    #[must_use]
    pub fn new(folder: &Path, genesis: &Genesis, node: &Node) -> Self {
        Self::over(folder, genesis, node.chain.iter().skip(1).map(|der| der.to_vec()).collect())
    }

    /// As [`Lists::new`], with the certificates of the operator's own CAs.
    pub(crate) fn over(folder: &Path, genesis: &Genesis, operators: Vec<Vec<u8>>) -> Self {
        let mut issuers: Vec<Vec<u8>> = genesis.statement.roots.iter().map(|der| der.to_vec()).collect();
        let enrolled = genesis.statement.participants.iter().flat_map(|participant| participant.identity_chain.iter().skip(1));
        issuers.extend(enrolled.map(|der| der.to_vec()));
        issuers.sort();
        issuers.dedup();
        Self { folder: folder.to_owned(), issuers, operators, in_force: BTreeMap::new(), seen: BTreeMap::new() }
    }

    /// The newest list in the folder of each issuing CA, by the CA's certificate; or why there is none.
    pub(crate) fn survey(&self, now: Timestamp) -> Vec<(Vec<u8>, Result<Crl, String>)> {
        let mut best: BTreeMap<[u8; 32], Crl> = BTreeMap::new();
        let mut unread = Vec::new();
        for file in self.files().unwrap_or_default() {
            match self.read(&file, now) {
                Ok(Some((crl, _))) if best.get(&crl.issuer_key_sha256).is_none_or(|known| !crl.is_older_than(&known.number)) => {
                    drop(best.insert(crl.issuer_key_sha256, crl));
                }
                Ok(_) => {}
                Err(reason) => unread.push(format!("{}: {reason}", file.file_name().unwrap_or_default().display())),
            }
        }
        let hint = if unread.is_empty() { String::new() } else { format!(" ({})", unread.join("; ")) };
        let of = |issuer: &Vec<u8>| {
            let crl = envelope::identity::ca_certificate(issuer).ok().and_then(|facts| best.get(&facts.spki_sha256).cloned());
            (issuer.clone(), crl.ok_or_else(|| format!("no sound list{hint}")))
        };
        self.issuers.iter().map(of).collect()
    }

    fn files(&self) -> std::io::Result<Vec<PathBuf>> {
        let files = std::fs::read_dir(&self.folder)?.flatten().map(|entry| entry.path());
        Ok(files.filter(|path| path.extension().is_some_and(|end| end == "crl")).take(FILES_MAX).collect())
    }

    /// Reads what has changed since the last time, and waits until the ledger has it.
    pub async fn refresh(&mut self, desk: &Desk, now: Timestamp) {
        let Ok(files) = self.files() else {
            desk.shared.metrics.lists(None);
            return tracing::error!(folder = %self.folder.display(), "the folder of revocation lists cannot be read");
        };
        for file in files {
            if let Some(seen) = self.changed(&file)
                && self.take(desk, &file, now).await
            {
                self.seen.insert(file, seen);
            }
        }
        desk.shared.metrics.lists(Some(self.facts(now)));
    }

    /// How many CAs have a list in force, and until when.
    fn facts(&self, now: Timestamp) -> ListFacts {
        let in_force = self.in_force.len();
        ListFacts {
            in_force,
            overdue: self.in_force.values().filter(|next| **next <= now).count(),
            missing: self.issuers.len().saturating_sub(in_force),
            next_update: self.in_force.values().min().copied(),
        }
    }

    /// Remembers a list if it is the one that the ledger has.
    fn note(&mut self, shared: &Shared, crl: &Crl) {
        let known = shared.exchange().state().crl(&crl.issuer_key_sha256).is_some_and(|row| row.sha256 == crl.sha256[..]);
        if known {
            self.in_force.insert(crl.issuer_key_sha256, crl.next_update);
        }
    }

    fn changed(&self, file: &Path) -> Option<Look> {
        let look =
            |metadata: std::fs::Metadata| Some((metadata.len(), metadata.modified().ok()?, (metadata.ctime(), metadata.ctime_nsec())));
        let now = std::fs::metadata(file).ok().and_then(look);
        (self.seen.get(file) != Some(&now)).then_some(now)
    }

    /// Whether the file is done with: taken, or refused for good.
    async fn take(&mut self, desk: &Desk, file: &Path, now: Timestamp) -> bool {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (crl, der) = match self.read(file, now) {
            Ok(Some(read)) => read,
            Ok(None) => return true,
            Err(reason) => {
                tracing::error!(list = name, reason, "a revocation list was not taken; the last good one of its CA stays in force");
                return true;
            }
        };
        if crl.is_overdue(now) {
            tracing::error!(list = name, "a revocation list is past its next update");
        }
        let Some(seen) = news(&desk.shared, &crl, &name) else {
            self.note(&desk.shared, &crl);
            return true;
        };
        let added = seen.added.len();
        match desk.ask(|reply| Command::Revocations(seen, der.into(), reply)).await {
            Ok(_) => {
                self.note(&desk.shared, &crl);
                tracing::info!(list = name, added, "a revocation list was taken");
                true
            }
            Err(_) => false,
        }
    }

    /// The list in a file; `None` when it is the operator's own.
    fn read(&self, file: &Path, now: Timestamp) -> Result<Option<(Crl, Vec<u8>)>, String> {
        let size = std::fs::metadata(file).map_err(|error| error.to_string())?.len();
        if size > envelope::limits::CRL_BYTES_MAX as u64 {
            return Err(format!("it has {size} bytes, at most {} are read", envelope::limits::CRL_BYTES_MAX));
        }
        let bytes = std::fs::read(file).map_err(|error| error.to_string())?;
        let der = der_of(&bytes)?;
        let mut reason = "it is by no CA of this network".to_owned();
        for issuer in &self.issuers {
            match Crl::open(&der, issuer, now) {
                Ok(crl) => return Ok(Some((crl, der))),
                Err(envelope::crl::CrlError::OtherIssuer) => {}
                Err(error) => reason = error.to_string(),
            }
        }
        if self.operators.iter().any(|operator| Crl::open(&der, operator, now).is_ok()) { Ok(None) } else { Err(reason) }
    }
}

/// What a list adds to the state; `None` when it is the known one or an older.
fn news(shared: &Arc<Shared>, crl: &Crl, name: &str) -> Option<v1::RevocationsSeen> {
    let exchange = shared.exchange();
    let state = exchange.state();
    if let Some(known) = state.crl(&crl.issuer_key_sha256) {
        if crl.is_older_than(&known.number) {
            tracing::error!(list = name, "a revocation list has a lower number than the one in force; that one stays");
            return None;
        }
        if known.sha256 == crl.sha256[..] {
            return None;
        }
    }
    let unknown = crl.serials.iter().filter(|serial| state.revoked(&crl.issuer_key_sha256, serial).is_none());
    let added = unknown.map(|serial| v1::RevokedSerial { serial: serial.clone().into() }).collect();
    Some(v1::RevocationsSeen {
        issuer_key_sha256: crl.issuer_key_sha256.to_vec().into(),
        crl_number: crl.number.clone().into(),
        crl_sha256: crl.sha256.to_vec().into(),
        added,
    })
}

/// A list in DER, whether the file holds that or PEM.
fn der_of(bytes: &[u8]) -> Result<Vec<u8>, String> {
    use rustls_pki_types::CertificateRevocationListDer;
    use rustls_pki_types::pem::PemObject as _;
    if !bytes.starts_with(b"-----BEGIN") {
        return Ok(bytes.to_vec());
    }
    CertificateRevocationListDer::from_pem_slice(bytes).map(|der| der.to_vec()).map_err(|error| error.to_string())
}

/// One list for each issuing CA of 200 countries, and room for sub-bureaus.
const FILES_MAX: usize = 4096;
