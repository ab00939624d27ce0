//! The client's side of TLS 1.3, the same for both transports: which node is taken for a gateway.
//!
//! It does not know what a connection goes over.

use std::sync::{Arc, Mutex};

use envelope::Address;
use envelope::identity::{Anchors, NothingRevoked, Role};
use envelope::trust::Trust;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature};
use rustls::{AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::Credentials;
use crate::clock;
use crate::error::Error;

/// The only place that makes a TLS configuration of the client.
pub(super) fn client_config(trust: &Trust, credentials: &Credentials, alpn: &[u8]) -> Result<(ClientConfig, Arc<NodeVerifier>), Error> {
    let provider = Arc::new(provider());
    let verifier = Arc::new(NodeVerifier {
        anchors: trust.anchors()?,
        nodes: trust.nodes.clone(),
        provider: Arc::clone(&provider),
        seen: Mutex::new(None),
    });
    let fault = |error: rustls::Error| Error::Argument(format!("the tls credentials cannot be used: {error}"));
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(fault)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&verifier) as Arc<dyn ServerCertVerifier>)
        .with_client_auth_cert(credentials.chain.clone(), credentials.key.clone_key())
        .map_err(fault)?;
    // A resumed session would skip the next revocation list.
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![alpn.to_vec()];
    // Nothing is said before the gateway is known.
    config.enable_early_data = false;
    Ok((config, verifier))
}

/// X25519MLKEM768 first: without the feature `prefer-post-quantum` the library would offer it last.
pub(crate) fn provider() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519MLKEM768, aws_lc_rs::kx_group::X25519];
    provider
}

/// Takes a server only if its chain is a node's of the network, and the node is one that the trust file names. The
/// name in the URL does not matter: it is only a way to the node.
#[derive(Debug)]
pub(super) struct NodeVerifier {
    anchors: Anchors,
    nodes: Vec<Address>,
    provider: Arc<CryptoProvider>,
    seen: Mutex<Option<Result<Address, String>>>,
}

impl NodeVerifier {
    pub(super) fn address(&self) -> Option<Address> {
        self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()?.ok()
    }

    pub(super) fn why(&self) -> Option<String> {
        self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()?.err()
    }

    fn judge(&self, chain: &[&[u8]]) -> Result<Address, String> {
        let certified = self.anchors.judge(Role::NodeTls, chain, clock::now(), &NothingRevoked).map_err(|error| error.to_string())?;
        if self.nodes.contains(&certified.address) {
            Ok(certified.address)
        } else {
            Err(format!("it is {}, which the trust file does not name", certified.address))
        }
    }
}

impl ServerCertVerifier for NodeVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain: Vec<&[u8]> = std::iter::once(end_entity).chain(intermediates).map(AsRef::as_ref).collect();
        let judged = self.judge(&chain);
        let sound = judged.is_ok();
        *self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(judged);
        let refused = rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure);
        if sound { Ok(ServerCertVerified::assertion()) } else { Err(refused) }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("only TLS 1.3 is spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

/// Alerts that speak about the client's certificate; others are accidents.
pub(super) fn is_refusal(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::CertificateRequired
            | AlertDescription::DecryptError
    )
}
