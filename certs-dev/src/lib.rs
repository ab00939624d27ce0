//! A development PKI: a network with its root, CAs, participants, node, genesis and trust file, in one folder.
//!
//! **Invariant:** this is a development tool. Every key lies in one folder of one machine, and every CA's name says
//! DEV; a network that matters is made by its members, each with keys of its own. It does not know the gateway.

pub mod cli;
pub mod forge;

mod clock;
mod files;
mod genesis;
mod issue;
mod mint;
mod revoke;

use std::path::PathBuf;

use envelope::address::Address;
use envelope::canonical::EncodingError;
use envelope::crl::CrlError;
use envelope::identity::IdentityError;
use envelope::keys::{KeyFileError, SignFault};
use envelope::statement::StatementError;
use envelope::trust::TrustError;

pub use clock::{Place, clock_step};
pub use files::read_chain;
pub use issue::issue;
pub use mint::{MintOptions, Minted, MintedParticipant, mint};
pub use revoke::{Revocation, revoke, revoke_at};

/// Why the PKI was not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not exactly one node among the addresses.
    #[error("exactly one address must be a node's (node/...), {0} are")]
    Nodes(usize),
    /// The same address twice.
    #[error("{0} is named twice")]
    Twice(Address),
    /// A name for several.
    #[error("{0} is a name for several and gets no certificate")]
    Group(Address),
    /// There is something already where the PKI should go.
    #[error("{} exists; nothing is overwritten, choose another folder or remove that one", .0.display())]
    Exists(PathBuf),
    /// No PKI, or none of that address.
    #[error("there is no {}", .0.display())]
    Absent(PathBuf),
    /// A file or folder.
    #[error("cannot {what} {}", path.display())]
    File {
        /// What was tried: `read`, `write`, `rename` ...
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        cause: std::io::Error,
    },
    /// A file that does not hold what its name says.
    #[error("{} does not hold {wanted}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What belongs there.
        wanted: &'static str,
    },
    /// The maker of certificates refused.
    #[error("a certificate or list cannot be made")]
    Certificate(#[from] rcgen::Error),
    /// A time that a certificate cannot express.
    #[error("{0} ms since 1970 is not a time for a certificate")]
    Time(u64),
    /// No random bytes, or a key that is none.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The network authority's key did not sign.
    #[error(transparent)]
    Sign(#[from] SignFault),
    /// A chain that was just made or read is not of the profile.
    #[error("the chain of {address} is refused")]
    Chain {
        /// Whose chain.
        address: Address,
        /// Why.
        #[source]
        cause: IdentityError,
    },
    /// A CA that was read is not of the profile.
    #[error("a ca certificate is refused")]
    Ca(#[source] IdentityError),
    /// A revocation list that was just made or read is refused.
    #[error("a revocation list is refused")]
    Crl(#[from] CrlError),
    /// The trust file that was just made or read is refused.
    #[error("the trust file is refused")]
    Trust(#[from] TrustError),
    /// The genesis that was just made, or the last clock step, is refused.
    #[error("a statement is refused")]
    Genesis(#[from] StatementError),
    /// The genesis that was just made, or the last clock step, is not canonical.
    #[error("a statement is refused")]
    Encoding(#[from] EncodingError),
}

impl Error {
    /// Whether the arguments were wrong, not the world.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Nodes(_) | Self::Twice(_) | Self::Group(_))
    }
}
