//! The connection to a gateway: TLS 1.3 with client certificate, HTTP/2, as a service for the generated clients.
//!
//! It does not know what is said on it. **Invariant:** only an alert that came after the handshake, which nobody
//! between the two can forge, is reported as a refusal; everything else is "not reachable" and worth another attempt.

use std::error::Error as StdError;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use envelope::Address;
use envelope::identity::{Anchors, NothingRevoked, Role};
use envelope::locked::{Secret, is_locked};
use envelope::trust::Trust;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature};
use rustls::{AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use tokio::io::AsyncBufReadExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::clock;
use crate::custody;
use crate::error::Error;
use crate::files;

/// A client certificate chain (leaf first) and its key.
pub struct Credentials {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("certificates", &self.chain.len()).finish_non_exhaustive()
    }
}

impl Credentials {
    /// Any chain with any key: nothing is checked here, the gateway does that.
    #[must_use]
    pub fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Self {
        Self { chain, key }
    }

    /// `tls.pem` and `tls.key` in a folder.
    ///
    /// # Errors
    /// [`Error::File`] or [`Error::Content`].
    pub fn read(folder: &std::path::Path) -> Result<Self, Error> {
        Self::read_unlocked(folder, None)
    }

    /// As [`Credentials::read`], of a key that may be encrypted under `passphrase`.
    ///
    /// # Errors
    /// Also [`Error::Locked`] and [`Error::Passphrase`].
    pub fn read_unlocked(folder: &std::path::Path, passphrase: Option<&Secret>) -> Result<Self, Error> {
        let path = folder.join("tls.key");
        let text = files::read(&path)?;
        let key = if is_locked(&text) {
            PrivateKeyDer::from(PrivatePkcs8KeyDer::from(custody::unlock(&path, &text, passphrase)?.to_vec()))
        } else {
            let key = PrivateKeyDer::from_pem_slice(&text);
            key.map_err(|_| Error::Content { path, wanted: "a private key in PEM".to_owned() })?
        };
        Ok(Self { chain: files::read_chain(&folder.join("tls.pem"))?, key })
    }
}

/// An HTTP/2 connection to a gateway. Clones share it.
///
/// ```no_run
/// # async fn example(trust: envelope::trust::Trust, folder: &std::path::Path) -> Result<(), client::Error> {
/// use client::link::{Credentials, Link};
/// use proto::v1::{self, messages_client::MessagesClient};
///
/// let link = Link::connect("https://127.0.0.1:7247", &trust, Credentials::read(folder)?, client::CONNECT_TIMEOUT).await?;
/// let mut messages = MessagesClient::with_origin(link.clone(), link.origin());
/// let answer = messages.status(v1::StatusRequest { year: 2026, series: 1, number: 1 }).await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Link {
    sender: http2::SendRequest<tonic::body::Body>,
    origin: http::Uri,
    node: Address,
    end: Arc<Mutex<End>>,
}

/// How the connection ended, as far as it is known.
#[derive(Debug, Default)]
struct End {
    closed: bool,
    alert: Option<AlertDescription>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("node", &self.node).finish_non_exhaustive()
    }
}

/// Scheme, host and port of a gateway's URL.
pub(crate) fn parse_gateway(url: &str) -> Result<(http::Uri, String, u16), Error> {
    let wrong = || Error::Argument(format!("{url:?} is no url like https://127.0.0.1:7247"));
    let uri: http::Uri = url.parse().map_err(|_| wrong())?;
    let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(wrong)?.to_owned();
    let plain = uri.scheme_str() == Some("https") && matches!(uri.path(), "" | "/") && uri.query().is_none();
    let userinfo = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    if !plain || userinfo {
        return Err(wrong());
    }
    let port = uri.port_u16().unwrap_or(DEFAULT_PORT);
    Ok((uri, host, port))
}

impl Link {
    /// Connects to `gateway` (`https://host:port`) and waits until it has taken the client's certificate.
    ///
    /// # Errors
    /// [`Error::CertificateRefused`], [`Error::Server`], [`Error::Unreachable`], or [`Error::Argument`] for the URL.
    pub async fn connect(gateway: &str, trust: &Trust, credentials: Credentials, timeout: Duration) -> Result<Self, Error> {
        let (origin, host, port) = parse_gateway(gateway)?;
        let (config, node) = client_config(trust, credentials)?;
        let unreachable = |cause: String| Error::Unreachable { gateway: gateway.to_owned(), cause, reference: None };
        let connecting = Self::handshake(&host, port, config);
        let connected = tokio::time::timeout(timeout, connecting).await;
        let (sender, end) = match connected {
            Err(_) => return Err(unreachable(format!("no connection within {} ms", timeout.as_millis()))),
            Ok(Err(Failure::Alert(alert))) => return Err(Error::CertificateRefused { alert: format!("{alert:?}") }),
            Ok(Err(Failure::Server(why))) => return Err(Error::Server(node.why().unwrap_or(why))),
            Ok(Err(Failure::Other(cause))) => return Err(unreachable(cause)),
            Ok(Ok(connected)) => connected,
        };
        let node = node.address().ok_or_else(|| unreachable("no server certificate was seen".to_owned()))?;
        Ok(Self { sender, origin, node, end })
    }

    async fn handshake(
        host: &str,
        port: u16,
        config: ClientConfig,
    ) -> Result<(http2::SendRequest<tonic::body::Body>, Arc<Mutex<End>>), Failure> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let tcp = TcpStream::connect((bare, port)).await.map_err(|error| Failure::Other(chain_text(&error)))?;
        // Both are improvements only: a system without BBR keeps its default.
        let _ = tcp.set_nodelay(true);
        let _ = socket2::SockRef::from(&tcp).set_tcp_congestion(b"bbr");
        let name = ServerName::try_from(bare.to_owned()).map_err(|_| Failure::Other(format!("{bare:?} is no host name")))?;
        let connected = TlsConnector::from(Arc::new(config)).connect(name, tcp).await;
        let mut tls = connected.map_err(|error| match rustls_error(&error) {
            Some(rustls::Error::InvalidCertificate(why)) => Failure::Server(format!("{why:?}")),
            // An alert this early may be anybody's.
            _ => Failure::Other(chain_text(&error)),
        })?;
        if tls.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err(Failure::Other("the server does not speak h2".to_owned()));
        }
        // In TLS 1.3 the client's certificate is judged after the client has finished: the first bytes tell, which are
        // the server's SETTINGS or an alert.
        if let Ok(Err(error)) = tokio::time::timeout(FIRST_BYTES_TIMEOUT, tls.fill_buf()).await {
            return Err(alert_of(&error).map_or_else(|| Failure::Other(chain_text(&error)), Failure::Alert));
        }
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new()).keep_alive_interval(KEEPALIVE_INTERVAL).keep_alive_timeout(KEEPALIVE_TIMEOUT);
        builder.keep_alive_while_idle(true).initial_stream_window_size(WINDOW_BYTES).initial_connection_window_size(WINDOW_BYTES);
        let shaken = builder.handshake(TokioIo::new(tls)).await;
        let (sender, connection) =
            shaken.map_err(|error| alert_of(&error).map_or_else(|| Failure::Other(chain_text(&error)), Failure::Alert))?;
        let end = Arc::new(Mutex::new(End::default()));
        let shared = Arc::clone(&end);
        tokio::spawn(async move {
            let result = connection.await;
            let mut end = shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            end.closed = true;
            end.alert = result.err().and_then(|error| alert_of(&error));
        });
        Ok((sender, end))
    }

    /// A link without TLS to whatever is at the other end.
    #[cfg(test)]
    pub(crate) fn over(sender: http2::SendRequest<tonic::body::Body>) -> Self {
        let origin = http::Uri::from_static("https://127.0.0.1:1");
        let node = Address::parse("node/dev-1").unwrap_or_else(|error| unreachable!("{error}"));
        Self { sender, origin, node, end: Arc::default() }
    }

    /// What the generated clients are given as origin.
    #[must_use]
    pub fn origin(&self) -> http::Uri {
        self.origin.clone()
    }

    /// The node at the other end, as its certificate names it.
    #[must_use]
    pub fn node(&self) -> &Address {
        &self.node
    }

    /// Whether the connection has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed() || self.end.lock().unwrap_or_else(std::sync::PoisonError::into_inner).closed
    }

    /// The authenticated alert with which the gateway ended the connection, if it did so; waits a moment for it.
    pub async fn alert(&self) -> Option<String> {
        for _ in 0..20 {
            {
                let end = self.end.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                if end.closed {
                    return end.alert.map(|alert| format!("{alert:?}"));
                }
            }
            if !self.sender.is_closed() {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        None
    }
}

impl tower::Service<http::Request<tonic::body::Body>> for Link {
    type Response = http::Response<hyper::body::Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.sender.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        Box::pin(self.sender.send_request(request))
    }
}

enum Failure {
    Alert(AlertDescription),
    Server(String),
    Other(String),
}

/// The only place that makes a TLS configuration of the client.
fn client_config(trust: &Trust, credentials: Credentials) -> Result<(ClientConfig, Arc<NodeVerifier>), Error> {
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
        .with_client_auth_cert(credentials.chain, credentials.key)
        .map_err(fault)?;
    // A resumed session would skip the next revocation list.
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok((config, verifier))
}

/// X25519MLKEM768 first: without the feature `prefer-post-quantum` the library would offer it last.
fn provider() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519MLKEM768, aws_lc_rs::kx_group::X25519];
    provider
}

/// Takes a server only if its chain is a node's of the network, and the node is one that the trust file names. The
/// name in the URL does not matter: it is only a way to the node.
#[derive(Debug)]
struct NodeVerifier {
    anchors: Anchors,
    nodes: Vec<Address>,
    provider: Arc<CryptoProvider>,
    seen: Mutex<Option<Result<Address, String>>>,
}

impl NodeVerifier {
    fn address(&self) -> Option<Address> {
        self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()?.ok()
    }

    fn why(&self) -> Option<String> {
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

fn rustls_error(error: &std::io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// The alert somewhere in a chain of causes.
fn alert_of(error: &(dyn StdError + 'static)) -> Option<AlertDescription> {
    let mut next = Some(error);
    while let Some(current) = next {
        let inside = current.downcast_ref::<std::io::Error>().and_then(rustls_error);
        if let Some(rustls::Error::AlertReceived(alert)) = inside.or_else(|| current.downcast_ref()) {
            return is_refusal(*alert).then_some(*alert);
        }
        next = current.source();
    }
    None
}

/// Alerts that speak about the client's certificate; others are accidents.
fn is_refusal(alert: AlertDescription) -> bool {
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

/// An error and its causes in one line.
pub(crate) fn chain_text(error: &(dyn StdError + 'static)) -> String {
    let text = causes_text(error);
    // What rustls says of a peer that goes without a word.
    if text.contains("close_notify") { "the gateway has ended the connection".to_owned() } else { text }
}

fn causes_text(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

/// Where a gateway listens when its URL names no port.
const DEFAULT_PORT: u16 = 7247;
/// A server that is silent after the handshake is spoken to all the same.
const FIRST_BYTES_TIMEOUT: Duration = Duration::from_secs(3);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// Room for several deliveries in flight.
const WINDOW_BYTES: u32 = 2 * 1024 * 1024;
