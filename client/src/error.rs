//! What can go wrong, by whose fault, and the exit code that says so.
//!
//! It does not know gRPC; `trouble` reads a status into one of these.

use std::collections::BTreeMap;
use std::path::PathBuf;

use envelope::Reference;

/// Every error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The gateway refused, or the rules that the directory tells would: the name is stable, the text is for people.
    #[error("{name}: {text}")]
    Refused {
        /// For instance `NO_GRANT`.
        name: String,
        /// What the gateway says about it.
        text: String,
        /// Its parameters under their documented keys.
        metadata: BTreeMap<String, String>,
    },
    /// An authenticated TLS alert: the gateway does not accept this certificate.
    #[error(
        "CERTIFICATE_REFUSED: the gateway ended the connection with the tls alert {alert}; suspended, withdrawn, revoked or unknown: \
         `ecowire doctor` and the bureau above know more"
    )]
    CertificateRefused {
        /// The alert's name.
        alert: String,
    },
    /// Nobody answered, or the gateway is too busy.
    #[error("{gateway} is not reachable: {cause}{}", kept(.reference))]
    Unreachable {
        /// The gateway's URL.
        gateway: String,
        /// What happened last.
        cause: String,
        /// The message that is kept in the outbox for the next attempt.
        reference: Option<Reference>,
    },
    /// The server is not a gateway that the trust file names.
    #[error("SERVER_REFUSED: the server's certificate is refused: {0}")]
    Server(String),
    /// Two checkpoints signed by the log's key that cannot both be true. They are kept in `evidence/`.
    #[error("LOG_FORKED: {text}; both checkpoints are kept in {}", .evidence.display())]
    Forked {
        /// What does not fit.
        text: String,
        /// The folder with both notes.
        evidence: PathBuf,
    },
    /// Something that the gateway sent does not prove what it should.
    #[error("VERIFICATION_FAILED: {0}")]
    Unsound(String),
    /// A message that the rules should have refused; it is shown, not opened.
    #[error("FINDING: {reference} should have been refused: {text}")]
    Finding {
        /// Which.
        reference: Reference,
        /// Rule and reason.
        text: String,
    },
    /// The gateway has a fault of its own; it is in its log under the reference that it gave.
    #[error("the gateway has a fault: {0}")]
    Gateway(String),
    /// Another process has this profile open.
    #[error("profile {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// Something is there already, and is not overwritten.
    #[error("{} exists already and is not overwritten", .0.display())]
    Exists(PathBuf),
    /// A folder in which no profile was made.
    #[error("{} is no profile: `ecowire init` makes one", .0.display())]
    NoProfile(PathBuf),
    /// There is no such message here, or at the gateway that was asked.
    #[error("no message {0} is known")]
    NotHere(Reference),
    /// An argument that no message can have.
    #[error("{0}")]
    Argument(String),
    /// A file cannot be read, written or made.
    #[error("cannot {what} {}", .path.display())]
    File {
        /// A verb.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// A file holds something else than it should.
    #[error("{} is not {wanted}", .path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What should be there.
        wanted: String,
    },
    /// The profile's store.
    #[error("the store of the profile: {0}")]
    Store(#[source] Box<redb::Error>),
    /// The profile's store holds a row that this version cannot read.
    #[error("the store of the profile has a malformed row in {0}")]
    Row(&'static str),
    /// A message cannot be sealed.
    #[error(transparent)]
    Seal(#[from] envelope::seal::SealError),
    /// A message cannot be opened.
    #[error("VERIFICATION_FAILED: {0}")]
    Open(#[from] envelope::seal::OpenError),
    /// A receipt that proves nothing.
    #[error("VERIFICATION_FAILED: {0}")]
    Receipt(#[from] envelope::receipt::ReceiptError),
    /// No random bytes, or a key that is none.
    #[error(transparent)]
    Key(#[from] envelope::keys::KeyFileError),
    /// A key file is encrypted, and there is no passphrase.
    #[error("KEY_LOCKED: {} is encrypted: a passphrase is needed", .0.display())]
    Locked(PathBuf),
    /// Another passphrase than the key's.
    #[error("WRONG_PASSPHRASE: the passphrase does not open {}", .0.display())]
    Passphrase(PathBuf),
    /// A key file is locked in a way that is not taken, or what was given is no passphrase.
    #[error("{}: {cause}", .path.display())]
    Lock {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: envelope::locked::LockError,
    },
    /// The token that holds the identity key.
    #[error(transparent)]
    Token(#[from] crate::token::TokenError),
    /// The identity key does not sign now.
    #[error(transparent)]
    Sign(#[from] envelope::keys::SignFault),
    /// A certificate of the profile.
    #[error("the profile's certificate does not hold: {0}")]
    Identity(#[from] envelope::identity::IdentityError),
    /// The trust file.
    #[error(transparent)]
    Trust(#[from] envelope::trust::TrustError),
}

impl Error {
    /// The exit code of a command that ends with this error: 2 usage, 3 refused, 4 not reachable, 5 verification
    /// failed, 6 a key is locked, 1 anything else.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Argument(_) => 2,
            Self::Refused { .. } | Self::CertificateRefused { .. } => 3,
            Self::Unreachable { .. } => 4,
            Self::Locked(_) | Self::Passphrase(_) => 6,
            Self::Token(error) => {
                if error.is_locked() {
                    6
                } else {
                    1
                }
            }
            Self::Server(_) | Self::Forked { .. } | Self::Unsound(_) | Self::Finding { .. } | Self::Open(_) | Self::Receipt(_) => 5,
            Self::Gateway(_)
            | Self::InUse(_)
            | Self::Exists(_)
            | Self::NotHere(_)
            | Self::NoProfile(_)
            | Self::File { .. }
            | Self::Content { .. }
            | Self::Store(_)
            | Self::Row(_)
            | Self::Seal(_)
            | Self::Key(_)
            | Self::Sign(_)
            | Self::Lock { .. }
            | Self::Identity(_)
            | Self::Trust(_) => 1,
        }
    }

    /// The stable name, when there is one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Refused { name, .. } => Some(name),
            Self::CertificateRefused { .. } => Some("CERTIFICATE_REFUSED"),
            Self::Server(_) => Some("SERVER_REFUSED"),
            Self::Forked { .. } => Some("LOG_FORKED"),
            Self::Unsound(_) | Self::Open(_) | Self::Receipt(_) => Some("VERIFICATION_FAILED"),
            Self::Finding { .. } => Some("FINDING"),
            Self::Token(error) => Some(error.name()),
            Self::Locked(_) => Some("KEY_LOCKED"),
            Self::Passphrase(_) => Some("WRONG_PASSPHRASE"),
            _ => None,
        }
    }

    pub(crate) fn refused(name: &str, text: impl Into<String>) -> Self {
        Self::Refused { name: name.to_owned(), text: text.into(), metadata: BTreeMap::new() }
    }

    pub(crate) fn unsound(text: impl std::fmt::Display) -> Self {
        Self::Unsound(text.to_string())
    }

    /// The same error, with the message that waits for a better time.
    pub(crate) fn keeping(self, kept: Reference) -> Self {
        match self {
            Self::Unreachable { gateway, cause, .. } => Self::Unreachable { gateway, cause, reference: Some(kept) },
            other => other,
        }
    }
}

impl From<exchange::Refusal> for Error {
    fn from(refusal: exchange::Refusal) -> Self {
        let metadata = refusal.metadata().into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Self::Refused { name: refusal.name().to_owned(), text: refusal.to_string(), metadata }
    }
}

fn kept(reference: &Option<Reference>) -> String {
    reference.as_ref().map_or_else(String::new, |reference| format!("; {reference} is kept in the outbox"))
}
