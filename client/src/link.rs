//! The connection to a gateway: TLS 1.3 with client certificate, HTTP/2, as a service for the generated clients. QUIC is
//! tried first, and TCP beside it when QUIC has not succeeded after a moment.
//!
//! It does not know what is said on it. **Invariant:** only an alert that came after the handshake, which nobody
//! between the two can forge, is reported as a refusal; everything else is "not reachable" and worth another attempt.

mod quic;
mod route;
mod tcp;
pub(crate) mod tls;
mod watched;

use std::error::Error as StdError;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use envelope::Address;
use envelope::locked::{Secret, is_locked};
use envelope::trust::Trust;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::AlertDescription;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_util::task::TaskTracker;

pub use route::{Carrier, Route, Transport};

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
    line: Line,
    bulk: bool,
    origin: http::Uri,
    node: Address,
}

type Sender = http2::SendRequest<tonic::body::Body>;

/// What a transport gives: HTTP/2 to whom the handshake has shown.
#[derive(Clone)]
struct Line {
    sender: Sender,
    end: Arc<Mutex<End>>,
    /// The connection, over QUIC, for more lines.
    quic: Option<Arc<quic::Lines>>,
}

/// How the connection ended, as far as it is known.
#[derive(Debug, Default)]
struct End {
    closed: bool,
    alert: Option<AlertDescription>,
}

impl End {
    fn close(&mut self, alert: Option<AlertDescription>) {
        (self.closed, self.alert) = (true, alert);
    }
}

fn lock(end: &Mutex<End>) -> MutexGuard<'_, End> {
    end.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("node", &self.node).field("over", &self.carrier()).finish_non_exhaustive()
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
    /// Connects to `gateway` (`https://host:port`) by whichever transport succeeds, and waits until it has taken the
    /// client's certificate.
    ///
    /// # Errors
    /// [`Error::CertificateRefused`], [`Error::Server`], [`Error::Unreachable`], or [`Error::Argument`] for the URL.
    pub async fn connect(gateway: &str, trust: &Trust, credentials: Credentials, timeout: Duration) -> Result<Self, Error> {
        Self::connect_by(&Route::default(), gateway, trust, credentials, timeout).await
    }

    /// As [`Link::connect`], by a route of the caller's.
    ///
    /// # Errors
    /// As [`Link::connect`].
    pub async fn connect_by(
        route: &Route,
        gateway: &str,
        trust: &Trust,
        credentials: Credentials,
        timeout: Duration,
    ) -> Result<Self, Error> {
        let (origin, host, port) = parse_gateway(gateway)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let (over_quic, quic_node) = tls::client_config(trust, &credentials, quic::ALPN)?;
        let (over_tcp, tcp_node) = tls::client_config(trust, &credentials, tcp::ALPN)?;
        let unreachable = |cause: String| Error::Unreachable { gateway: gateway.to_owned(), cause, reference: None };
        // On the heap: two handshakes are too large to be carried along in every caller's future.
        let quic = Box::pin(named(quic::connect(host, port, over_quic, route.quiet), &quic_node));
        let tcp = Box::pin(named(tcp::connect(host, port, over_tcp), &tcp_node));
        let connecting = route::first(route.transport, route.head_start.min(timeout / 3), quic, tcp);
        match tokio::time::timeout(timeout, connecting).await {
            Err(_) => Err(unreachable(format!("no connection within {} ms", timeout.as_millis()))),
            Ok(Err(Failure::Alert(alert))) => Err(Error::CertificateRefused { alert: format!("{alert:?}") }),
            Ok(Err(Failure::Server(why))) => Err(Error::Server(why)),
            Ok(Err(Failure::Other(cause))) => Err(unreachable(cause)),
            Ok(Ok((line, node))) => Ok(Self { line, bulk: false, origin, node }),
        }
    }

    /// Waits until the gateway's directory has more than `size` statements, or the connection ends.
    pub async fn directory_grows(&self, size: u64) {
        let mut directory = proto::v1::directory_client::DirectoryClient::with_origin(self.clone(), self.origin());
        if let Ok(news) = directory.watch(proto::v1::WatchRequest { from_size: size }).await {
            drop(news.into_inner().message().await);
        }
    }

    /// What it goes over.
    #[must_use]
    pub fn carrier(&self) -> Carrier {
        if self.line.quic.is_some() { Carrier::Quic } else { Carrier::Tcp }
    }

    /// The same link for large transfers: over QUIC they have a stream of their own, so that small calls do not wait
    /// behind a lost packet of theirs. Over TCP it is the same connection.
    #[must_use]
    pub fn bulk(&self) -> Self {
        Self { bulk: true, ..self.clone() }
    }

    /// A link without TLS to whatever is at the other end.
    #[cfg(test)]
    pub(crate) fn over(sender: Sender) -> Self {
        let origin = http::Uri::from_static("https://127.0.0.1:1");
        let node = Address::parse("node/dev-1").unwrap_or_else(|error| unreachable!("{error}"));
        Self { line: Line { sender, end: Arc::default(), quic: None }, bulk: false, origin, node }
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
        self.line.sender.is_closed() || lock(&self.line.end).closed
    }

    /// The authenticated alert with which the gateway ended the connection, if it did so; waits a moment for it.
    pub async fn alert(&self) -> Option<String> {
        for _ in 0..20 {
            {
                let end = lock(&self.line.end);
                if end.closed {
                    return end.alert.map(|alert| format!("{alert:?}"));
                }
            }
            if !self.line.sender.is_closed() {
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

    /// Always: a connection that has ended says so in its answer, as a lost one, and not as a fault of the gateway.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        let mut sender = self.line.sender.clone();
        let Some(quic) = self.line.quic.clone().filter(|_| self.bulk) else { return Box::pin(sender.send_request(request)) };
        Box::pin(async move {
            // When there is no second line, the first one carries it, or says why nothing goes any more.
            if let Some(bulk) = quic.bulk().await {
                sender = bulk;
            }
            sender.send_request(request).await
        })
    }
}

/// Why a transport did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Failure {
    /// The gateway has refused the client's certificate, and proved that it was the gateway.
    Alert(AlertDescription),
    /// Somebody answered who is not the gateway.
    Server(String),
    /// Anything that anybody on the way can bring about.
    Other(String),
}

/// With the node that the handshake has shown, or why it was none.
async fn named(connecting: impl Future<Output = Result<Line, Failure>>, node: &tls::NodeVerifier) -> Result<(Line, Address), Failure> {
    match connecting.await {
        Ok(line) => {
            let node = node.address().ok_or_else(|| Failure::Other("no server certificate was seen".to_owned()))?;
            Ok((line, node))
        }
        Err(Failure::Server(why)) => Err(Failure::Server(node.why().unwrap_or(why))),
        Err(other) => Err(other),
    }
}

fn http2_builder() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new()).keep_alive_interval(KEEPALIVE_INTERVAL).keep_alive_timeout(KEEPALIVE_TIMEOUT);
    builder.keep_alive_while_idle(true).initial_stream_window_size(WINDOW_BYTES).initial_connection_window_size(WINDOW_BYTES);
    builder
}

/// Waits until links that were dropped have said so to their gateways; a program that ends calls it last, or the gateway
/// keeps the place of a QUIC connection until it has been silent for long. At most a fifth of a second.
pub async fn farewell() {
    LINES.close();
    // What has not been said by then stays unsaid.
    let _ = tokio::time::timeout(FAREWELL_MAX, LINES.wait()).await;
    LINES.reopen();
}

/// The QUIC connections of this process whose end has not been told yet; each holds a token.
static LINES: LazyLock<TaskTracker> = LazyLock::new(TaskTracker::new);

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
/// How long [`farewell`] waits.
const FAREWELL_MAX: Duration = Duration::from_millis(200);
