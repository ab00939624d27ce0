//! A member's profile: who it is, whom it trusts, its keys and its store, in one folder that only its owner can read.
//!
//! `profile.toml`, `trust.toml`, `tls.pem` and `.key`, `identity.pem` and `.key` (or a key in a token, which
//! `profile.toml` names), `keys/*.key` (seeds of encryption keys), `store.redb`, `receipts/*.receipt`, `evidence/`. It does not know the gateway. **Invariant:** nothing here is
//! fetched: what a profile trusts came with the certificates.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use envelope::identity::{Anchors, NothingRevoked, PublicKey, Role, chain_sha256};
use envelope::keys::{Signer, SigningKey};
use envelope::locked::Secret;
use envelope::seal::DecryptionKey;
use envelope::trust::Trust;
use envelope::{Address, Network, Reference};
use serde::{Deserialize, Serialize};
use tlog::VerifierKey;

use crate::clock;
use crate::custody::{self, Custody, Unlock};
use crate::error::Error;
use crate::files;
use crate::link::{Credentials, Route, Transport};
use crate::store::Store;

/// An open profile. Clones share it; the store stays locked until the last one is dropped.
#[derive(Clone, Debug)]
pub struct Profile(Arc<Inner>, Route);

struct Inner {
    dir: PathBuf,
    gateway: String,
    address: Address,
    trust: Trust,
    anchors: Anchors,
    log: VerifierKey,
    directory: VerifierKey,
    identity: Box<dyn Signer>,
    /// Opens the other key files when they are needed.
    passphrase: Option<Secret>,
    chain_sha256: [u8; 32],
    store: Store,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Profile").field("dir", &self.dir).field("address", &self.address).finish_non_exhaustive()
    }
}

/// Where a new profile takes its parts from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// URL of the gateway, `https://host:port`.
    pub gateway: String,
    /// The trust file.
    pub trust: PathBuf,
    /// Folder with `tls.pem`, `tls.key`, `identity.pem` and `identity.key`.
    pub identity: PathBuf,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    address: String,
    gateway: String,
    #[serde(default, skip_serializing_if = "is_auto")]
    transport: Transport,
    /// Where the identity key is, when it is not `identity.key`: a PKCS#11 URI.
    #[serde(skip_serializing_if = "Option::is_none")]
    signing: Option<String>,
}

fn is_auto(transport: &Transport) -> bool {
    *transport == Transport::Auto
}

impl File {
    fn read(dir: &Path) -> Result<Self, Error> {
        let text = files::read_text(&dir.join("profile.toml")).map_err(|error| match error {
            Error::File { cause, .. } if cause.kind() == std::io::ErrorKind::NotFound => Error::NoProfile(dir.to_owned()),
            other => other,
        })?;
        Self::parse(&text).ok_or_else(|| Self::is_not(dir, "a profile of version 1"))
    }

    fn parse(text: &str) -> Option<Self> {
        let file: Option<Self> = toml::from_str(text).ok();
        file.filter(|file| file.version == 1)
    }

    /// What is wrong with a text as `profile.toml`, and the keys that it may have.
    fn check(text: &str) -> Result<(), Wrong> {
        let table: toml::Table = toml::from_str(text).map_err(|error| Wrong::Toml(error.message().to_owned()))?;
        let known = Self::keys();
        if let Some(key) = table.keys().find(|key| !known.contains(key)) {
            return Err(Wrong::Key(key.clone(), known));
        }
        let file: Self = toml::from_str(text).map_err(|error| Wrong::Toml(error.message().to_owned()))?;
        match file.version {
            1 => Ok(()),
            other => Err(Wrong::Version(other)),
        }
    }

    /// The keys that serde takes, in its own words, so that none can be forgotten here.
    fn keys() -> Vec<String> {
        let said = toml::from_str::<Self>("\"?\" = 0").err().map_or_else(String::new, |error| error.message().to_owned());
        let known = said.split_once("expected").map_or("", |(_, known)| known);
        known.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    fn is_not(dir: &Path, wanted: &str) -> Error {
        Error::Content { path: dir.join("profile.toml"), wanted: wanted.to_owned() }
    }
}

/// What is wrong with a `profile.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// No TOML, or a value of the wrong type.
    Toml(String),
    /// A key that does not exist, and those that do.
    Key(String, Vec<String>),
    /// A later version.
    Version(u32),
}

/// Checks the text of a `profile.toml`.
pub(crate) fn check_file(text: &str) -> Result<(), Wrong> {
    File::check(text)
}

/// Address and gateway of a profile's file.
#[cfg(feature = "doors")]
pub(crate) fn parse(text: &str) -> Option<(String, String)> {
    File::parse(text).map(|file| (file.address, file.gateway))
}

impl Profile {
    /// Makes a profile at `dir`: copies trust file, certificates and keys, and makes an encryption key. It is built
    /// beside and renamed, so that it is there whole or not at all.
    ///
    /// # Errors
    /// [`Error::Exists`] when anything is at `dir`; otherwise what is wrong with a file.
    pub fn create(dir: &Path, origin: &Origin) -> Result<Self, Error> {
        Self::create_kept(dir, origin, Transport::Auto, &Custody::default())
    }

    /// As [`Profile::create`], with a transport that the profile keeps, and keys that are kept as `custody` says.
    ///
    /// # Errors
    /// Also [`Error::Locked`] and [`Error::Passphrase`] of a key that is copied.
    pub fn create_kept(dir: &Path, origin: &Origin, transport: Transport, custody: &Custody) -> Result<Self, Error> {
        let draft = Draft::new(dir, origin, transport, custody)?;
        draft.finish()
    }

    /// Opens the profile at `dir`, whose keys are not encrypted.
    ///
    /// # Errors
    /// [`Error::InUse`] when another process has it open; [`Error::Locked`]; otherwise what is wrong with a file.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        Self::open_unlocked(dir, &Unlock::default())
    }

    /// Opens the profile at `dir`.
    ///
    /// # Errors
    /// As [`Profile::open`], and [`Error::Passphrase`].
    pub fn open_unlocked(dir: &Path, unlock: &Unlock) -> Result<Self, Error> {
        let file = File::read(dir)?;
        let trust = files::read_trust(&dir.join("trust.toml"))?;
        let anchors = trust.anchors()?;
        let chain = files::read_chain(&dir.join("identity.pem"))?;
        let identity = anchors.judge(Role::Identity, &chain, clock::now(), &NothingRevoked)?;
        let tls = anchors.judge(Role::Tls, &files::read_chain(&dir.join("tls.pem"))?, clock::now(), &NothingRevoked)?;
        let key = signer(dir, &file, unlock, identity.public)?;
        let own = identity.address == tls.address && identity.address.as_str() == file.address;
        if !own || identity.public != key.public() || identity.key_id == tls.key_id {
            return Err(File::is_not(dir, "the profile of its own certificates and keys"));
        }
        let route = Route::from(file.transport);
        let inner = Inner {
            dir: dir.to_owned(),
            gateway: file.gateway,
            address: identity.address,
            log: trust.log_verifier()?,
            directory: trust.directory_verifier()?,
            anchors,
            trust,
            identity: key,
            passphrase: unlock.passphrase.clone(),
            chain_sha256: chain_sha256(&chain),
            store: Store::open(dir)?,
        };
        Ok(Self(Arc::new(inner), route))
    }

    /// The same profile, its gateway reached by another route.
    #[must_use]
    pub fn by(self, route: Route) -> Self {
        Self(self.0, route)
    }

    /// How its gateway is reached.
    #[must_use]
    pub fn route(&self) -> &Route {
        &self.1
    }

    /// As [`Profile::open_unlocked`], but while another process has the profile open, waits at most `wait` for it.
    ///
    /// # Errors
    /// As [`Profile::open_unlocked`].
    pub async fn open_within(dir: &Path, unlock: &Unlock, wait: Duration) -> Result<Self, Error> {
        let deadline = Instant::now() + wait;
        loop {
            match Self::open_unlocked(dir, unlock) {
                Err(Error::InUse(_)) if Instant::now() < deadline => tokio::time::sleep(OPEN_AGAIN).await,
                opened => return opened,
            }
        }
    }

    /// URL of the gateway, route and trust file of the profile at `dir`, without opening its store.
    pub(crate) fn server(dir: &Path) -> Result<(String, Route, Trust), Error> {
        let trust = files::read_trust(&dir.join("trust.toml"))?;
        let file = File::read(dir)?;
        Ok((file.gateway, file.transport.into(), trust))
    }

    /// Whose profile it is.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.0.address
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// URL of the gateway.
    #[must_use]
    pub fn gateway(&self) -> &str {
        &self.0.gateway
    }

    /// What it trusts from the start.
    #[must_use]
    pub fn trust(&self) -> &Trust {
        &self.0.trust
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.0.trust.network
    }

    /// Network and roots, to judge chains by.
    #[must_use]
    pub fn anchors(&self) -> &Anchors {
        &self.0.anchors
    }

    /// What verifies the log's checkpoints.
    #[must_use]
    pub fn log(&self) -> &VerifierKey {
        &self.0.log
    }

    /// What verifies the directory's checkpoints.
    #[must_use]
    pub fn directory(&self) -> &VerifierKey {
        &self.0.directory
    }

    /// The key that signs messages and statements.
    #[must_use]
    pub fn identity(&self) -> &dyn Signer {
        &*self.0.identity
    }

    /// SHA-256 over the chain of the identity.
    #[must_use]
    pub fn identity_chain_sha256(&self) -> &[u8; 32] {
        &self.0.chain_sha256
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// The TLS certificate and its key, read anew: they are held no longer than a connection needs them.
    ///
    /// # Errors
    /// [`Error`] when a file cannot be read.
    pub fn credentials(&self) -> Result<Credentials, Error> {
        Credentials::read_unlocked(&self.0.dir, self.0.passphrase.as_ref())
    }

    /// All encryption keys that this profile can open with, the newest first.
    ///
    /// # Errors
    /// [`Error`] when a key file cannot be read.
    pub fn decryption_keys(&self) -> Result<Vec<DecryptionKey>, Error> {
        let paths = files::newest_first(&self.0.dir.join("keys"), "key")?;
        paths.iter().map(|path| custody::read_seed(path, self.0.passphrase.as_ref())).collect()
    }

    /// Where the receipt of one's own message lies.
    #[must_use]
    pub fn receipt_path(&self, reference: &Reference) -> PathBuf {
        self.0.dir.join("receipts").join(format!("{}.receipt", reference.file_name()))
    }

    /// Where the receipt of an advice lies.
    #[must_use]
    pub fn advice_path(&self, seq: u64) -> PathBuf {
        self.0.dir.join("receipts").join(format!("advice_{seq:06}.receipt"))
    }

    /// The folder for proofs of misbehaviour.
    #[must_use]
    pub fn evidence_dir(&self) -> PathBuf {
        self.0.dir.join("evidence")
    }
}

/// The identity key: in its file, or in a token.
fn signer(dir: &Path, file: &File, unlock: &Unlock, public: PublicKey) -> Result<Box<dyn Signer>, Error> {
    if let Some(uri) = &file.signing {
        return custody::token(uri, unlock.pin.as_ref(), public);
    }
    let path = dir.join("identity.key");
    let der = custody::unlock(&path, &files::read(&path)?, unlock.passphrase.as_ref())?;
    Ok(Box::new(SigningKey::from_pkcs8(&der)?))
}

/// A profile in its temporary folder beside the place where it belongs. Dropped, it is removed.
pub(crate) struct Draft {
    dir: PathBuf,
    temporary: PathBuf,
    unlock: Unlock,
    profile: Option<Profile>,
}

impl Draft {
    pub(crate) fn new(dir: &Path, origin: &Origin, transport: Transport, custody: &Custody) -> Result<Self, Error> {
        if fs::symlink_metadata(dir).is_ok() {
            return Err(Error::Exists(dir.to_owned()));
        }
        let name = dir.file_name().ok_or_else(|| Error::Argument(format!("{} names no folder", dir.display())))?;
        let temporary = dir.with_file_name(format!(".{}.{}.new", name.to_string_lossy(), std::process::id()));
        // One of an earlier process with this number that was killed.
        let _ = fs::remove_dir_all(&temporary);
        let mut draft = Self { dir: dir.to_owned(), temporary, unlock: custody.unlock.clone(), profile: None };
        let opened = draft.fill(origin, transport, custody).and_then(|()| Profile::open_unlocked(&draft.temporary, &custody.unlock));
        draft.profile = Some(opened.map_err(|error| draft.rename(error))?);
        Ok(draft)
    }

    /// The same error, with the profile's folder instead of the temporary one.
    pub(crate) fn rename(&self, error: Error) -> Error {
        let named = |path: PathBuf| path.strip_prefix(&self.temporary).map(|rest| self.dir.join(rest)).unwrap_or(path.clone());
        match error {
            Error::File { what, path, cause } => Error::File { what, path: named(path), cause },
            Error::Content { path, wanted } => Error::Content { path: named(path), wanted },
            Error::Exists(path) => Error::Exists(named(path)),
            Error::InUse(path) => Error::InUse(named(path)),
            Error::Locked(path) => Error::Locked(named(path)),
            Error::Passphrase(path) => Error::Passphrase(named(path)),
            other => other,
        }
    }

    /// The profile, to be used before it has its name.
    pub(crate) fn profile(&self) -> Result<Profile, Error> {
        self.profile.clone().ok_or_else(|| Error::Exists(self.dir.clone()))
    }

    /// Gives the folder its name. Every other clone of the draft's profile must have been dropped.
    pub(crate) fn finish(mut self) -> Result<Profile, Error> {
        drop(self.profile.take());
        if fs::symlink_metadata(&self.dir).is_ok() {
            return Err(Error::Exists(self.dir.clone()));
        }
        fs::rename(&self.temporary, &self.dir).map_err(|cause| Error::File { what: "make", path: self.dir.clone(), cause })?;
        files::sync_folder(self.dir.parent().unwrap_or(Path::new(".")))?;
        Profile::open_unlocked(&self.dir, &self.unlock)
    }

    fn fill(&self, origin: &Origin, transport: Transport, custody: &Custody) -> Result<(), Error> {
        let at = |name: &str| self.temporary.join(name);
        files::make_folder(&self.temporary)?;
        for folder in ["keys", "receipts", "evidence"] {
            files::make_folder(&at(folder))?;
        }
        files::write_new(&at("trust.toml"), &files::read(&origin.trust)?)?;
        for name in ["tls.pem", "identity.pem"] {
            files::write_new(&at(name), &files::read(&origin.identity.join(name))?)?;
        }
        let passphrase = custody.unlock.passphrase.as_ref();
        for name in if custody.signing.is_some() { &["tls.key"][..] } else { &["tls.key", "identity.key"] } {
            files::write_new(&at(name), &custody::copied(&origin.identity.join(name), passphrase)?)?;
        }
        let trust = files::read_trust(&origin.trust)?;
        let chain = files::read_chain(&origin.identity.join("identity.pem"))?;
        let address = trust.anchors()?.judge(Role::Identity, &chain, clock::now(), &NothingRevoked)?.address;
        crate::link::parse_gateway(&origin.gateway)?;
        let signing = custody.signing.clone();
        let file = File { version: 1, address: address.to_string(), gateway: origin.gateway.clone(), transport, signing };
        let text = toml::to_string(&file).map_err(|_| Error::Argument("the gateway's url cannot be written as toml".to_owned()))?;
        files::write_new(&at("profile.toml"), text.as_bytes())?;
        let key = DecryptionKey::generate()?;
        let name = envelope::genesis::hex(&key.key_id()[..8]);
        let path = at("keys").join(format!("{name}.key"));
        files::write_new(&path, &custody::seed_text(&path, &key, passphrase)?)?;
        files::sync_folder(&at("keys"))?;
        files::sync_folder(&self.temporary)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        drop(self.profile.take());
        // After `finish` nothing is there any more; before it, half a profile is worth nothing.
        let _ = fs::remove_dir_all(&self.temporary);
    }
}

/// A profile that is in use is tried again after this.
const OPEN_AGAIN: Duration = Duration::from_millis(20);
