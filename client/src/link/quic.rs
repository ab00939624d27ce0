//! A link over QUIC: one connection, small calls on its first stream, bulk on the second, HTTP/2 on each.
//!
//! It does not know what is said on them.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use quinn::congestion::BbrConfig;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{
    Connection, ConnectionError, Endpoint, EndpointConfig, Runtime as _, TokioRuntime, TransportConfig, TransportErrorCode, VarInt,
};
use rustls::{AlertDescription, ClientConfig};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio_util::io::InspectReader;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::tls::is_refusal;
use super::watched::Watched;
use super::{End, FIRST_BYTES_TIMEOUT, Failure, Line, Sender, chain_text, http2_builder};

/// What is spoken inside.
pub(super) const ALPN: &[u8] = b"ecowire-q/1";

/// A connection and its second line, which is opened when it is needed.
pub(super) struct Lines {
    connection: Connection,
    /// Held by the lines: the last of them closes the connection.
    open: Weak<Open>,
    bulk: tokio::sync::Mutex<Option<Sender>>,
}

pub(super) async fn connect(host: &str, port: u16, config: ClientConfig, quiet: Duration) -> Result<Line, Failure> {
    let config = client_config(config, quiet)?;
    let found = tokio::net::lookup_host((host, port)).await.map_err(|error| Failure::Other(chain_text(&error)))?;
    let mut failure = Failure::Other(format!("{host} has no address"));
    for address in found {
        match reach(address, host, config.clone()).await {
            Err(Failure::Other(cause)) => failure = Failure::Other(cause),
            done => return done,
        }
    }
    Err(failure)
}

/// Shakes hands, opens the first line, and waits until the gateway has taken the certificate.
async fn reach(address: SocketAddr, host: &str, config: quinn::ClientConfig) -> Result<Line, Failure> {
    let broken = |error: std::io::Error| Failure::Other(chain_text(&error));
    let socket = std::net::UdpSocket::bind(any_like(address)).map_err(broken)?;
    let (socket, sent) = Watched::new(TokioRuntime.wrap_udp_socket(socket).map_err(broken)?);
    let endpoint = Endpoint::new_with_abstract_socket(EndpointConfig::default(), None, Arc::new(socket), Arc::new(TokioRuntime));
    let endpoint = endpoint.map_err(broken)?;
    let connecting = endpoint.connect_with(config, address, host).map_err(|error| Failure::Other(chain_text(&error)))?;
    let shaken = tokio::select! {
        shaken = connecting => shaken,
        () = closed(address) => return Err(Failure::Other("nothing listens there over udp".to_owned())),
    };
    let connection = shaken.map_err(|error| before_the_handshake(&error))?;
    if let Some(error) = connection.close_reason() {
        // Before the client has shown its certificate nobody can have judged it: then anybody may have said so.
        return Err(if sent.is_true() { after_the_handshake(&error) } else { Failure::Other(chain_text(&error)) });
    }
    let open = Arc::new(Open { connection: connection.clone(), token: super::LINES.token() });
    let lines = Arc::new(Lines { connection: connection.clone(), open: Arc::downgrade(&open), bulk: tokio::sync::Mutex::default() });
    let (sender, end, mut heard) = speak(&connection, open).await?;
    // In TLS 1.3 the client's certificate is judged after the client has finished: the first bytes tell, which are
    // the server's SETTINGS or an alert.
    // What is waited for holds a lock that no other thread may open: it stays in here, so that a caller may move.
    let first = async { heard.wait_for(|bytes| *bytes > 0).await.map(drop) };
    tokio::select! {
        heard = tokio::time::timeout(FIRST_BYTES_TIMEOUT, first) => if matches!(heard, Ok(Err(_))) {
            return Err(after_the_handshake(&connection.closed().await));
        },
        error = connection.closed() => return Err(after_the_handshake(&error)),
    }
    Ok(Line { sender, end, quic: Some(lines) })
}

impl Lines {
    /// The second line. `None` when the connection has ended.
    pub(super) async fn bulk(&self) -> Option<Sender> {
        let mut bulk = self.bulk.lock().await;
        if let Some(sender) = bulk.as_ref().filter(|sender| !sender.is_closed()) {
            return Some(sender.clone());
        }
        let (sender, ..) = speak(&self.connection, self.open.upgrade()?).await.ok()?;
        *bulk = Some(sender.clone());
        Some(sender)
    }
}

/// HTTP/2 on a new stream, and how many bytes have come back on it.
async fn speak(connection: &Connection, open: Arc<Open>) -> Result<(Sender, Arc<Mutex<End>>, watch::Receiver<usize>), Failure> {
    let (send, recv) = connection.open_bi().await.map_err(|error| after_the_handshake(&error))?;
    let (counted, heard) = watch::channel(0);
    let recv = InspectReader::new(recv, move |bytes: &[u8]| {
        // HTTP/2 drops its stream when the last call has ended, which may be after the last sender is gone.
        let _ = &open;
        // Nobody listens any more once the first bytes have come.
        let _ = counted.send_if_modified(|count| std::mem::replace(count, *count + bytes.len()) == 0 && !bytes.is_empty());
    });
    let shaken = http2_builder().handshake(TokioIo::new(tokio::io::join(recv, send))).await;
    // What the gateway has said of the certificate may come while the first frames go out.
    let why = |error: hyper::Error| {
        connection.close_reason().map_or_else(|| Failure::Other(chain_text(&error)), |reason| after_the_handshake(&reason))
    };
    let (sender, speaking) = shaken.map_err(why)?;
    let end = Arc::<Mutex<End>>::default();
    let (shared, connection) = (Arc::clone(&end), connection.clone());
    tokio::spawn(async move {
        // How it ended is in the connection.
        let _ = speaking.await;
        let alert = connection.close_reason().as_ref().and_then(alert_of);
        super::lock(&shared).close(alert);
    });
    Ok((sender, end, heard))
}

/// A connection on which something may still be said. Dropped, it is closed.
struct Open {
    connection: Connection,
    /// Until the gateway has been told, the process is not ready to end.
    token: TaskTrackerToken,
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.connection.close_reason().is_some() {
            return;
        }
        self.connection.close(VarInt::from_u32(0), b"");
        // Without a runtime nothing is told any more.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(part(self.connection.clone(), self.token.clone()));
        }
    }
}

/// Returns when the packet that says that the connection is closed is out.
async fn part(connection: Connection, _token: TaskTrackerToken) {
    for _ in 0..PARTING_STEPS {
        if connection.stats().frame_tx.connection_close > 0 {
            return;
        }
        tokio::time::sleep(PARTING_STEP).await;
    }
}

fn client_config(tls: ClientConfig, quiet: Duration) -> Result<quinn::ClientConfig, Failure> {
    let broken = |error: &(dyn std::error::Error + 'static)| Failure::Other(chain_text(error));
    let crypto = QuicClientConfig::try_from(tls).map_err(|error| broken(&error))?;
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(super::WINDOW_BYTES.into())
        .receive_window(WINDOW_BYTES.into())
        .max_idle_timeout(Some(quiet.try_into().map_err(|error| broken(&error))?))
        // Well below what a network keeps the address of a silent sender for, and twice before the other side gives up.
        .keep_alive_interval(Some((quiet / 2).min(KEEPALIVE_INTERVAL_MAX)))
        .allow_spin(false)
        .congestion_controller_factory(Arc::new(BbrConfig::default()));
    let mut config = quinn::ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::new(transport));
    Ok(config)
}

/// Returns when the system has learnt that nothing listens there. Anybody can make it believe that; then TCP is tried
/// sooner than it would be.
async fn closed(address: SocketAddr) {
    let asked = async {
        let socket = UdpSocket::bind(any_like(address)).await?;
        socket.connect(address).await?;
        // Shorter than any packet of QUIC: a gateway drops it without a word.
        socket.send(&[0]).await?;
        socket.recv(&mut [0]).await
    };
    match asked.await {
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {}
        _ => std::future::pending().await,
    }
}

fn any_like(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

/// Nothing that comes before the end of the handshake is proved, but for what our own verifier says of the server.
fn before_the_handshake(error: &ConnectionError) -> Failure {
    match error {
        ConnectionError::TransportError(error) if alert(error.code).is_some_and(is_refusal) => Failure::Server(error.to_string()),
        other => Failure::Other(chain_text(other)),
    }
}

fn after_the_handshake(error: &ConnectionError) -> Failure {
    alert_of(error).map_or_else(|| Failure::Other(chain_text(error)), Failure::Alert)
}

/// The alert about the client's certificate with which the gateway has closed the connection (RFC 9001 4.8).
fn alert_of(error: &ConnectionError) -> Option<AlertDescription> {
    let ConnectionError::ConnectionClosed(close) = error else { return None };
    alert(close.error_code).filter(|alert| is_refusal(*alert))
}

fn alert(code: TransportErrorCode) -> Option<AlertDescription> {
    Some(AlertDescription::from(u8::try_from(u64::from(code).checked_sub(CRYPTO_ERROR)?).ok()?))
}

/// TLS alerts are error codes from here (RFC 9001 4.8).
const CRYPTO_ERROR: u64 = 0x100;
/// Over both lines.
const WINDOW_BYTES: u32 = 2 * super::WINDOW_BYTES;
const KEEPALIVE_INTERVAL_MAX: Duration = Duration::from_secs(15);
const PARTING_STEP: Duration = Duration::from_millis(1);
const PARTING_STEPS: u32 = 100;
