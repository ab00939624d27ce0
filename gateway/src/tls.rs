//! TLS 1.3 with client certificates: who may knock, and with which keys the gateway answers.
//!
//! The door judges certificates; it does not know what a participant may send.

use std::sync::Arc;

use envelope::identity::{Anchors, IdentityError, Link, Revoked, Role};
use envelope::message::Peer;
use envelope::{Address, Timestamp};
use exchange::Rows as _;
use rustls::DigitallySignedStruct;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::metrics::HandshakeFailure;
use crate::node::Node;
use crate::quiet::Quiet;
use crate::shared::Shared;

/// The one provider of this program: hybrid post-quantum key exchange first.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    let kx_groups = vec![aws_lc_rs::kx_group::X25519MLKEM768, aws_lc_rs::kx_group::X25519];
    Arc::new(CryptoProvider { kx_groups, ..aws_lc_rs::default_provider() })
}

/// The server's configuration. No resumption: a resumed session would skip a newer revocation list.
///
/// # Errors
/// [`rustls::Error`] when key and certificate do not fit.
pub fn server_config(node: Node, shared: &Arc<Shared>) -> Result<rustls::ServerConfig, rustls::Error> {
    let door = Arc::new(Door { shared: shared.clone(), provider: provider() });
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(door)
        .with_single_cert(node.chain, node.key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.max_early_data_size = 0;
    Ok(config)
}

/// Whether a node's key and certificate fit.
///
/// # Errors
/// [`rustls::Error`] when they do not.
pub fn fits(node: Node) -> Result<(), rustls::Error> {
    let key = provider().key_provider.load_private_key(node.key)?;
    rustls::sign::CertifiedKey::new(node.chain, key).keys_match()
}

/// Why the holder of a certificate is not let in.
#[derive(Debug, thiserror::Error)]
pub enum Stranger {
    /// The certificate, or its path.
    #[error(transparent)]
    Certificate(#[from] IdentityError),
    /// Nobody whom the network knows.
    #[error("{0} is not enrolled in this network")]
    NotEnrolled(Address),
    /// Suspended, withdrawn, or not yet let in.
    #[error("{0} is {1}")]
    Barred(Address, &'static str),
    /// A key of another role.
    #[error("the key of the tls certificate is an identity's; a key has one role")]
    TwoRoles,
}

impl Stranger {
    /// The reason's stable name, for the log.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Certificate(error) => error.name(),
            Self::NotEnrolled(_) => "NOT_ENROLLED",
            Self::Barred(..) => "SUSPENDED",
            Self::TwoRoles => "TWO_ROLES",
        }
    }
}

/// Says in the log who was refused and why, unless that has been said often enough.
pub(crate) fn say_refused(quiet: &Quiet, stranger: &Stranger) {
    if let Some(unsaid) = quiet.may_say(stranger.name()) {
        tracing::warn!(reason = stranger.name(), detail = %stranger, unsaid, "a certificate was refused at the door");
    }
}

/// Why a handshake failed before or beside the judgement of the certificate: its stable name for the log, and its class, by which who
/// was refused by [`judge`] is told from who speaks no TLS of ours.
#[must_use]
pub fn failure(error: &std::io::Error) -> (&'static str, HandshakeFailure) {
    use rustls::{CertificateError, Error};
    match error.get_ref().and_then(|inside| inside.downcast_ref::<Error>()) {
        None => ("CONNECTION_LOST", HandshakeFailure::Tls),
        // Our verifier's, which has said more; what else there is comes of a certificate that rustls itself cannot read.
        Some(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)) => ("CERTIFICATE", HandshakeFailure::Certificate),
        Some(Error::InvalidCertificate(CertificateError::BadSignature)) => ("KEY_NOT_PROVEN", HandshakeFailure::Certificate),
        Some(Error::InvalidCertificate(_)) => ("CERTIFICATE_UNREADABLE", HandshakeFailure::Certificate),
        Some(Error::NoCertificatesPresented) => ("NO_CERTIFICATE", HandshakeFailure::Certificate),
        Some(Error::NoApplicationProtocol) => ("NO_PROTOCOL", HandshakeFailure::Protocol),
        Some(Error::PeerIncompatible(_)) => ("INCOMPATIBLE", HandshakeFailure::Tls),
        Some(Error::PeerMisbehaved(_)) => ("MISBEHAVED", HandshakeFailure::Tls),
        Some(Error::InvalidMessage(_) | Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. }) => {
            ("BAD_MESSAGE", HandshakeFailure::Tls)
        }
        Some(Error::AlertReceived(_)) => ("CLIENT_ALERT", HandshakeFailure::Tls),
        Some(_) => ("TLS", HandshakeFailure::Tls),
    }
}

/// Judges a client's chain as it is now, and that the network knows its holder.
///
/// # Errors
/// [`Stranger`] says why not.
pub fn judge(anchors: &Anchors, shared: &Shared, chain: &[CertificateDer<'_>], now: Timestamp) -> Result<Peer, Stranger> {
    let certified = anchors.judge(Role::Tls, chain, now, &RevokedByState(shared))?;
    let exchange = shared.exchange();
    if exchange.state().participant(&certified.address).is_none() {
        return Err(Stranger::NotEnrolled(certified.address));
    }
    if let Some(state) = exchange::rules::barred(exchange.state(), &certified.address) {
        return Err(Stranger::Barred(certified.address, state));
    }
    if exchange.state().identity_owner(&certified.key_id).is_some() {
        return Err(Stranger::TwoRoles);
    }
    Ok(Peer {
        address: certified.address,
        fingerprint: certified.fingerprint,
        chain_sha256: certified.chain_sha256,
        links: certified.links,
        not_after_ms: certified.not_after.ms(),
    })
}

/// What the ledger says is revoked.
struct RevokedByState<'a>(&'a Shared);

impl Revoked for RevokedByState<'_> {
    fn is_revoked(&self, link: &Link) -> bool {
        self.0.is_revoked(link)
    }
}

/// rustls' own verifier judges the list that was sent; this one judges the path that was built.
struct Door {
    shared: Arc<Shared>,
    provider: Arc<CryptoProvider>,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Door")
    }
}

impl ClientCertVerifier for Door {
    fn root_hint_subjects(&self) -> &[rustls::DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let chain: Vec<CertificateDer<'_>> = std::iter::once(leaf).chain(others).cloned().collect();
        let now = Timestamp(now.as_secs().saturating_mul(1000));
        match judge(&self.shared.anchors, &self.shared, &chain, now) {
            Ok(_) => Ok(ClientCertVerified::assertion()),
            Err(stranger) => {
                say_refused(&self.shared.quiet, &stranger);
                Err(rustls::Error::InvalidCertificate(rustls::CertificateError::ApplicationVerificationFailure))
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("tls 1.2 is not spoken here".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        vec![rustls::SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_certificate_is_told_from_a_broken_handshake() {
        use rustls::{CertificateError, Error};
        for (error, class) in [
            (Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure), HandshakeFailure::Certificate),
            (Error::NoCertificatesPresented, HandshakeFailure::Certificate),
            (Error::NoApplicationProtocol, HandshakeFailure::Protocol),
            (Error::HandshakeNotComplete, HandshakeFailure::Tls),
        ] {
            assert_eq!(failure(&std::io::Error::new(std::io::ErrorKind::InvalidData, error)).1, class);
        }
        assert_eq!(failure(&std::io::ErrorKind::UnexpectedEof.into()).1, HandshakeFailure::Tls);
    }
}
