//! Why a certificate or a chain is refused: one variant a reason, its text exact and stable.
//!
//! It does not know who asks. `at` counts the certificates of a chain from the leaf, which is 0.

use super::{ROOTS_MAX, Role};
use crate::address::Address;
use crate::limits::{CERTIFICATE_BYTES_MAX, CHAIN_MAX};

impl IdentityError {
    /// Which certificate is at fault, counted from the leaf; the root's place is one past the last. `None` when it is the
    /// path as a whole.
    #[must_use]
    pub fn at(&self) -> Option<usize> {
        match self {
            Self::CertificateBytes { at, .. }
            | Self::Malformed { at }
            | Self::CriticalExtension { at }
            | Self::SignatureAlgorithm { at }
            | Self::Serial { at }
            | Self::Key { at }
            | Self::KeyRole { at }
            | Self::WeakKey { at }
            | Self::NotCa { at }
            | Self::CaUsage { at }
            | Self::PathLength { at }
            | Self::NoName { at }
            | Self::Names { at, .. }
            | Self::OtherName { at }
            | Self::NameSpelling { at }
            | Self::Subject { at }
            | Self::NotYetValid { at }
            | Self::Expired { at }
            | Self::RepeatedKey { at }
            | Self::Revoked { at } => Some(*at),
            Self::CaAuthenticates
            | Self::RoleClass { .. }
            | Self::ExtendedKeyUsage(_)
            | Self::KeyUsage
            | Self::PolicyMissing
            | Self::PolicyOnTls => Some(0),
            Self::ChainLength(_)
            | Self::PathTooLong
            | Self::Group(_)
            | Self::UnknownIssuer
            | Self::Signature
            | Self::Path(_)
            | Self::OutsideSubtree { .. }
            | Self::NotThePath
            | Self::Roots(_)
            | Self::NotRoot { .. } => None,
        }
    }
}

/// A refusal of a certificate, a chain or a set of roots; always the fault of who made or sent it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// No certificate, or more than a chain may have.
    #[error("a chain has 1 to {CHAIN_MAX} certificates, not {0}")]
    ChainLength(usize),
    /// A certificate that is empty or larger than any of ours.
    #[error("certificate {at} has {bytes} bytes; 1 to {CERTIFICATE_BYTES_MAX} are allowed")]
    CertificateBytes {
        /// Place in the chain.
        at: usize,
        /// Its length in bytes.
        bytes: usize,
    },
    /// Not X.509 version 3 in DER, or an extension that cannot be read or stands twice.
    #[error("certificate {at} is not a well-formed x.509 v3 certificate")]
    Malformed {
        /// Place in the chain.
        at: usize,
    },
    /// A critical extension that nobody here understands.
    #[error("certificate {at} has an unknown critical extension")]
    CriticalExtension {
        /// Place in the chain.
        at: usize,
    },
    /// Not signed with ECDSA P-256 and SHA-256.
    #[error("certificate {at} is not signed with ecdsa p-256 and sha-256")]
    SignatureAlgorithm {
        /// Place in the chain.
        at: usize,
    },
    /// A serial number that is zero, negative or longer than RFC 5280 4.1.2.2 allows.
    #[error("the serial number of certificate {at} is not a positive number of at most 20 bytes")]
    Serial {
        /// Place in the chain.
        at: usize,
    },
    /// A key of another algorithm or curve, or encoded in another way.
    #[error("the key of certificate {at} is neither ecdsa p-256 (uncompressed) nor ed25519")]
    Key {
        /// Place in the chain.
        at: usize,
    },
    /// An allowed key in the wrong kind of certificate.
    #[error("the key of certificate {at} has another role: cas and tls leaves have ecdsa p-256, identity leaves that or ed25519")]
    KeyRole {
        /// Place in the chain.
        at: usize,
    },
    /// A point of small order or in a second encoding, or a point off the curve.
    #[error("the key of certificate {at} is a weak or invalid point")]
    WeakKey {
        /// Place in the chain.
        at: usize,
    },
    /// A CA where a leaf must stand.
    #[error("a ca never authenticates")]
    CaAuthenticates,
    /// A leaf where a CA must stand.
    #[error("certificate {at} is not a ca and cannot issue")]
    NotCa {
        /// Place in the chain.
        at: usize,
    },
    /// A CA without keyCertSign, or with an extended key usage or our identity policy.
    #[error("ca certificate {at} lacks keyCertSign, or has a usage or policy of a leaf")]
    CaUsage {
        /// Place in the chain.
        at: usize,
    },
    /// A pathLen that the profile does not allow for that CA.
    #[error("the path length of ca certificate {at} is not 0 (a country's with sub-bureaus: 1)")]
    PathLength {
        /// Place in the chain.
        at: usize,
    },
    /// More CAs below a CA than its pathLen allows.
    #[error("the path is longer than the path length of one of its cas allows")]
    PathTooLong,
    /// No URI in the subject alternative name, or no such extension.
    #[error("certificate {at} has no uri san")]
    NoName {
        /// Place in the chain.
        at: usize,
    },
    /// More than one URI.
    #[error("certificate {at} has {found} uri sans, not 1")]
    Names {
        /// Place in the chain.
        at: usize,
        /// How many were found.
        found: usize,
    },
    /// Another SAN than the URI, or than the host names of a node.
    #[error("certificate {at} has a san besides its uri")]
    OtherName {
        /// Place in the chain.
        at: usize,
    },
    /// A URI that is not, byte for byte, the one spelling of an address (or CA) of this network.
    #[error("the uri san of certificate {at} is not the canonical spelling of a name in this network")]
    NameSpelling {
        /// Place in the chain.
        at: usize,
    },
    /// A subject that is neither empty nor the one common name that the profile allows.
    #[error("the subject of certificate {at} is not what the profile allows")]
    Subject {
        /// Place in the chain.
        at: usize,
    },
    /// A group, room or broadcast address: a name for several has no key.
    #[error("{0} is a name for several and never has a certificate")]
    Group(Address),
    /// A node where a participant is wanted, or the reverse.
    #[error("{address} cannot have a certificate for {role}")]
    RoleClass {
        /// Whose certificate it is.
        address: Address,
        /// What it was judged for.
        role: Role,
    },
    /// Not exactly the extended key usage of the role.
    #[error("the extended key usage is not that of {0}")]
    ExtendedKeyUsage(Role),
    /// A leaf whose key usage is not exactly digitalSignature.
    #[error("the key usage of the leaf is not exactly digitalSignature")]
    KeyUsage,
    /// An identity leaf without our policy.
    #[error("the identity leaf lacks the identity policy")]
    PolicyMissing,
    /// A TLS leaf with our policy.
    #[error("a tls leaf carries the identity policy")]
    PolicyOnTls,
    /// Judged before its first second.
    #[error("certificate {at} is not yet valid")]
    NotYetValid {
        /// Place in the chain; the root's is one past the last.
        at: usize,
    },
    /// Judged after its last second.
    #[error("certificate {at} has expired")]
    Expired {
        /// Place in the chain; the root's is one past the last.
        at: usize,
    },
    /// No path from the leaf to a root of this network.
    #[error("no path leads from the leaf to a root of this network")]
    UnknownIssuer,
    /// A signature on the only path that does not verify.
    #[error("a signature of the chain does not verify")]
    Signature,
    /// The path was not built for a rarer reason: webpki's word for it is for the log, its text may change.
    #[error("the path cannot be built")]
    Path(webpki::Error),
    /// An issuer that certified somebody who is not its own to certify.
    #[error("{subject} lies outside its issuer's subtree ({issuer})")]
    OutsideSubtree {
        /// The address, or the CA's path.
        subject: String,
        /// The issuing CA's path.
        issuer: String,
    },
    /// A certificate that was sent but does not stand in the path, or stands in another order.
    #[error("the certificates sent are not exactly the path, leaf first, root left out")]
    NotThePath,
    /// One key at two places of the path, the root included.
    #[error("certificate {at} repeats a key of the path")]
    RepeatedKey {
        /// Place in the chain; the root's is one past the last.
        at: usize,
    },
    /// The issuer has revoked it.
    #[error("certificate {at} is revoked")]
    Revoked {
        /// Place in the chain.
        at: usize,
    },
    /// No root, or too many.
    #[error("a network has 1 to {ROOTS_MAX} roots, not {0}")]
    Roots(usize),
    /// A root that is another kind of CA.
    #[error("root {at} is the certificate of another ca, or of another network")]
    NotRoot {
        /// Place in the list of roots.
        at: usize,
    },
}

impl IdentityError {
    /// The reason's stable name, for logs and statistics; it names nobody.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::ChainLength(_) => "CHAIN_LENGTH",
            Self::CertificateBytes { .. } => "CERTIFICATE_BYTES",
            Self::Malformed { .. } => "MALFORMED",
            Self::CriticalExtension { .. } => "CRITICAL_EXTENSION",
            Self::SignatureAlgorithm { .. } => "SIGNATURE_ALGORITHM",
            Self::Serial { .. } => "SERIAL",
            Self::Key { .. } => "KEY",
            Self::KeyRole { .. } => "KEY_ROLE",
            Self::WeakKey { .. } => "WEAK_KEY",
            Self::CaAuthenticates => "CA_AUTHENTICATES",
            Self::NotCa { .. } => "NOT_CA",
            Self::CaUsage { .. } => "CA_USAGE",
            Self::PathLength { .. } => "PATH_LENGTH",
            Self::PathTooLong => "PATH_TOO_LONG",
            Self::NoName { .. } => "NO_NAME",
            Self::Names { .. } => "NAMES",
            Self::OtherName { .. } => "OTHER_NAME",
            Self::NameSpelling { .. } => "NAME_SPELLING",
            Self::Subject { .. } => "SUBJECT",
            Self::Group(_) => "GROUP",
            Self::RoleClass { .. } => "ROLE_CLASS",
            Self::ExtendedKeyUsage(_) => "EXTENDED_KEY_USAGE",
            Self::KeyUsage => "KEY_USAGE",
            Self::PolicyMissing => "POLICY_MISSING",
            Self::PolicyOnTls => "POLICY_ON_TLS",
            Self::NotYetValid { .. } => "NOT_YET_VALID",
            Self::Expired { .. } => "EXPIRED",
            Self::UnknownIssuer => "UNKNOWN_ISSUER",
            Self::Signature => "SIGNATURE",
            Self::Path(_) => "PATH",
            Self::OutsideSubtree { .. } => "OUTSIDE_SUBTREE",
            Self::NotThePath => "NOT_THE_PATH",
            Self::RepeatedKey { .. } => "REPEATED_KEY",
            Self::Revoked { .. } => "REVOKED",
            Self::Roots(_) => "ROOTS",
            Self::NotRoot { .. } => "NOT_ROOT",
        }
    }
}
