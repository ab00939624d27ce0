//! QUIC, the second way in: the same port over UDP. A connection is judged once, and on each of its bidirectional streams
//! the door speaks HTTP/2 as it does over TCP.
//!
//! It does not know what is said, and decides nothing about identity: the door does. **Invariant:** nothing that a
//! connection was let in by outlives it: identity, place and age belong to the connection, not to its streams.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::{hkdf, hmac};
use quinn::congestion::BbrConfig;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{
    AsyncTimer, AsyncUdpSocket, Connection, ConnectionId, ConnectionIdGenerator, Endpoint, EndpointConfig, Incoming, Runtime, TokioRuntime,
};
use quinn::{TransportConfig, TransportErrorCode, ValidationTokenConfig, VarInt};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

use crate::bounds::Limits;
use crate::connection::{Door, Ended, Guest, Handshake, TOO_SLOW};
use crate::gateway::StartError;
use crate::limits;
use crate::metrics::{HandshakeFailure, Transport};

/// What is spoken inside: HTTP/2 on each bidirectional stream. Not `h3`: nothing of that is spoken here.
pub const ALPN: &[u8] = b"ecowire-q/1";

/// Why there is no QUIC.
#[derive(Debug, thiserror::Error)]
pub enum QuicError {
    /// The system does not give the socket.
    #[error(transparent)]
    Socket(#[from] io::Error),
    /// The TLS library has no AES-128-GCM, which QUIC's first packets are sealed with.
    #[error("the tls library cannot seal quic's first packets")]
    Crypto(#[from] quinn::crypto::rustls::NoInitialCipherSuite),
    /// No random bytes.
    #[error("the system gives no random bytes")]
    Random(#[from] envelope::keys::KeyFileError),
}

/// The socket and what waits on it.
pub struct Listener {
    endpoint: Endpoint,
    settings: Settings,
    /// Handshakes of addresses that have not shown that they receive what is sent to them.
    unvalidated: Arc<Semaphore>,
    drivers: TaskTracker,
    /// What the drivers get to end when the gateway goes down.
    grace: Duration,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// What every connection is accepted with, but for the certificate.
struct Settings {
    transport: Arc<TransportConfig>,
    /// Seals the addresses in Retry tokens.
    tokens: Arc<hkdf::Prk>,
}

/// Listens on `address`, and on the same port over UDP when `quic` says so. When `address` leaves the port open, pairs are
/// tried until both are free.
///
/// # Errors
/// [`StartError::Listen`] or [`StartError::ListenUdp`] with the address that is taken.
pub(crate) async fn bind(address: SocketAddr, quic: bool) -> Result<(TcpListener, Option<UdpSocket>), StartError> {
    let mut tries = 0;
    loop {
        tries += 1;
        let tcp = TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, source })?;
        if !quic {
            return Ok((tcp, None));
        }
        let local = tcp.local_addr().map_err(|source| StartError::Listen { address, source })?;
        match UdpSocket::bind(local) {
            Ok(udp) => return Ok((tcp, Some(udp))),
            Err(error) if address.port() == 0 && error.kind() == io::ErrorKind::AddrInUse && tries < limits::PORT_PAIRS_MAX => {}
            Err(source) => return Err(StartError::ListenUdp { address: local, source }),
        }
    }
}

impl Listener {
    /// Takes the socket.
    ///
    /// # Errors
    /// [`QuicError`].
    pub fn new(socket: UdpSocket, tls: &ServerConfig, reset: hmac::Key, bounds: &Limits) -> Result<Self, QuicError> {
        let buffers = socket2::SockRef::from(&socket);
        // Best effort: the system may have a lower bound of its own.
        let _ = buffers.set_recv_buffer_size(limits::QUIC_SOCKET_BYTES).and(buffers.set_send_buffer_size(limits::QUIC_SOCKET_BYTES));
        let secret = Zeroizing::new(envelope::keys::random::<32>()?);
        let tokens = Arc::new(hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(&*secret));
        let settings = Settings { transport: Arc::new(transport(bounds)), tokens };
        let drivers = TaskTracker::new();
        let runtime = Arc::new(Tracked(drivers.clone()));
        let endpoint = Endpoint::new(endpoint_config(reset), Some(settings.accept(tls)?), socket, runtime)?;
        let unvalidated = Arc::new(Semaphore::new(limits::QUIC_UNVALIDATED_HANDSHAKES_MAX));
        Ok(Self { endpoint, settings, unvalidated, drivers, grace: bounds.shutdown_grace() })
    }

    /// The next that knocks; never, when the endpoint is gone.
    pub(crate) async fn knock(&self) -> Incoming {
        match self.endpoint.accept().await {
            Some(incoming) => incoming,
            None => std::future::pending().await,
        }
    }

    /// Takes one that knocks, if there is room, or asks it to show its address first.
    pub(crate) fn greet(&self, door: &Arc<Door>, incoming: Incoming) {
        let unvalidated = match self.unvalidated.clone().try_acquire_owned() {
            _ if incoming.remote_address_validated() => None,
            Ok(permit) => Some(permit),
            Err(_) => {
                tracing::debug!("many handshakes are under way: an address is asked for first");
                // An address that is not validated may always be asked.
                if let Err(error) = incoming.retry() {
                    tracing::warn!(%error, "an address was not asked for");
                }
                return;
            }
        };
        let Some((connection, handshake)) = door.room(incoming.remote_address().ip()) else {
            return incoming.refuse();
        };
        let settings = match self.settings.accept(&door.tls.load_full()) {
            Ok(settings) => Arc::new(settings),
            Err(error) => return tracing::error!(%error, "quic"),
        };
        let door = door.clone();
        tokio::spawn(async move {
            serve(&door, incoming, settings, (handshake, unvalidated)).await;
            drop(connection);
        });
    }

    /// New connections are refused from now on.
    pub(crate) fn refuse(&self) {
        self.endpoint.set_server_config(None);
    }

    /// Ends all connections, and returns when the port is free.
    pub(crate) async fn close(self) {
        self.endpoint.close(DONE, b"");
        drop(self.endpoint);
        self.drivers.close();
        if tokio::time::timeout(self.grace, self.drivers.wait()).await.is_err() {
            tracing::error!("quic connections were still open after the grace period");
        }
    }
}

impl Settings {
    /// With the certificate of now.
    fn accept(&self, tls: &ServerConfig) -> Result<quinn::ServerConfig, quinn::crypto::rustls::NoInitialCipherSuite> {
        let mut tls = tls.clone();
        tls.alpn_protocols = vec![ALPN.to_vec()];
        let mut config = quinn::ServerConfig::new(Arc::new(QuicServerConfig::try_from(tls)?), self.tokens.clone());
        let mut tokens = ValidationTokenConfig::default();
        // Only a Retry's token counts, for seconds: addresses that were good yesterday are asked again.
        tokens.sent(0);
        config
            .transport_config(self.transport.clone())
            .validation_token_config(tokens)
            .max_incoming(limits::QUIC_INCOMING_MAX)
            .incoming_buffer_size(limits::QUIC_INCOMING_BYTES_MAX)
            .incoming_buffer_size_total(limits::QUIC_INCOMING_BYTES_TOTAL_MAX);
        Ok(config)
    }
}

fn transport(bounds: &Limits) -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(limits::QUIC_STREAMS_MAX.into())
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(limits::QUIC_STREAM_WINDOW_BYTES.into())
        .receive_window(limits::QUIC_WINDOW_BYTES.into())
        .send_window(limits::QUIC_SEND_WINDOW_BYTES)
        .max_idle_timeout(bounds.silence().try_into().ok())
        // The bit would show each connection's round trips to everybody on the way.
        .allow_spin(false)
        // As over TCP; quinn's own default is 4 to 15 times slower on lossy links.
        .congestion_controller_factory(Arc::new(BbrConfig::default()));
    transport
}

/// The key of stateless resets: the same after a restart, known to nobody else.
#[must_use]
pub fn reset_key(tls_key: &PrivateKeyDer<'_>) -> hmac::Key {
    let secret = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, tls_key.secret_der()), b"ecowire quic stateless reset");
    hmac::Key::new(hmac::HMAC_SHA256, secret.as_ref())
}

/// A client learns after a restart of the gateway, from the answer to its next packet, that its connection is gone.
fn endpoint_config(reset: hmac::Key) -> EndpointConfig {
    let mut config = EndpointConfig::new(Arc::new(reset));
    // quinn's own ids are told from foreign ones by a key of the process; then nothing would answer after a restart.
    config.cid_generator(|| Box::new(RandomIds));
    config
}

/// Connection ids that say nothing.
struct RandomIds;

impl ConnectionIdGenerator for RandomIds {
    fn generate_cid(&mut self) -> ConnectionId {
        ConnectionId::new(&envelope::keys::random::<ID_BYTES>().expect("the system gave random bytes when it started"))
    }

    fn cid_len(&self) -> usize {
        ID_BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// Shakes hands, and serves the connection to its end.
async fn serve(
    door: &Arc<Door>,
    incoming: Incoming,
    settings: Arc<quinn::ServerConfig>,
    permits: (Handshake, Option<OwnedSemaphorePermit>),
) {
    let mut stopping = door.stopping.clone();
    let connecting = match incoming.accept_with(settings) {
        Ok(connecting) => connecting,
        Err(error) => return tracing::debug!(%error, "a handshake failed"),
    };
    let accepted = tokio::select! {
        accepted = tokio::time::timeout(door.shared.limits.handshake_timeout(), connecting) => accepted,
        _ = stopping.wait_for(|stop| *stop) => return,
    };
    let connection = match accepted {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return door.handshake_failed(failure(&error), &error),
        Err(_) => return door.handshake_failed(TOO_SLOW, &"it took too long"),
    };
    drop(permits);
    let chain = connection.peer_identity().and_then(|chain| chain.downcast::<Vec<CertificateDer<'static>>>().ok()).unwrap_or_default();
    let Some(guest) = door.welcome(&chain, Transport::Quic) else { return connection.close(CUT, b"") };
    tracing::debug!(peer = %guest.peer.address, over = "quic", "connected");
    converse(door, &connection, &Arc::new(guest)).await;
}

/// Why a handshake over QUIC failed: the same names and classes as over TCP ([`crate::tls::failure`]), as far as the alert tells it.
fn failure(error: &quinn::ConnectionError) -> (&'static str, HandshakeFailure) {
    let quinn::ConnectionError::TransportError(error) = error else { return ("CONNECTION_LOST", HandshakeFailure::Tls) };
    match alert(error.code) {
        // The verifier's own refusal; it has said more.
        Some(ACCESS_DENIED) => ("CERTIFICATE", HandshakeFailure::Certificate),
        Some(CERTIFICATE_REQUIRED) => ("NO_CERTIFICATE", HandshakeFailure::Certificate),
        // bad_certificate to unknown_ca (RFC 8446 6.2).
        Some(42..=48) => ("CERTIFICATE_UNREADABLE", HandshakeFailure::Certificate),
        Some(NO_APPLICATION_PROTOCOL) => ("NO_PROTOCOL", HandshakeFailure::Protocol),
        _ => ("TLS", HandshakeFailure::Tls),
    }
}

/// The TLS alert in an error of the transport (RFC 9001 4.8: 0x0100 and the alert's number).
fn alert(code: TransportErrorCode) -> Option<u8> {
    u64::from(code).checked_sub(0x0100).and_then(|alert| u8::try_from(alert).ok())
}

/// Speaks on each stream until the last has ended, or one was cut: then all are.
async fn converse(door: &Arc<Door>, connection: &Connection, guest: &Arc<Guest>) {
    let mut stopping = door.stopping.clone();
    let (mut open, peer) = (JoinSet::new(), guest.peer.clone());
    let mut spoken = false;
    // The first stream comes as soon as the preface would; after the last one, its last bytes have to arrive.
    let mut alone = std::pin::pin!(tokio::time::sleep(Duration::from_secs(door.shared.limits.preface_timeout_s)));
    loop {
        tokio::select! {
            accepted = connection.accept_bi() => {
                // When the connection has ended, so has everything on it.
                let Ok((send, recv)) = accepted else { break };
                let (door, guest) = (door.clone(), guest.clone());
                open.spawn(async move { door.speak(tokio::io::join(recv, send), &guest).await });
                tracing::debug!(peer = %peer.address, streams = open.len(), "a stream was opened");
                spoken = true;
            }
            Some(ended) = open.join_next() => {
                if !matches!(ended, Ok(Ended::InOrder)) {
                    connection.close(CUT, b"");
                    break;
                }
                alone.as_mut().reset(tokio::time::Instant::now() + limits::QUIC_LINGER);
            }
            () = &mut alone, if open.is_empty() => {
                connection.close(DONE, b"");
                break;
            }
            _ = stopping.wait_for(|stop| *stop), if !spoken => {
                connection.close(DONE, b"");
                break;
            }
        }
    }
    let why = connection.close_reason().map(|reason| reason.to_string());
    tracing::debug!(peer = %guest.peer.address, over = "quic", why, "disconnected");
}

/// Tokio, and a way to know when everything that holds the socket has ended.
#[derive(Debug)]
struct Tracked(TaskTracker);

impl Runtime for Tracked {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        TokioRuntime.new_timer(at)
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.0.spawn(future);
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        TokioRuntime.wrap_udp_socket(socket)
    }

    fn now(&self) -> Instant {
        TokioRuntime.now()
    }
}

/// Of a connection id; as many as quinn's own have.
const ID_BYTES: usize = 8;
/// Closed because everything is done.
const DONE: VarInt = VarInt::from_u32(0);
/// Cut: the reason is told by the handshake of the next connection, not here.
const CUT: VarInt = VarInt::from_u32(1);
/// Alert of a verifier that refuses a certificate by rules of its own (RFC 8446 6.2).
const ACCESS_DENIED: u8 = 49;
/// Alert for who shows no certificate (RFC 8446 6.2).
const CERTIFICATE_REQUIRED: u8 = 116;
/// Alert for who speaks nothing that we do (RFC 7301 3.2).
const NO_APPLICATION_PROTOCOL: u8 = 120;

#[cfg(test)]
mod tests {
    use super::*;
    use quinn::ConnectionError;

    /// By what rustls says, so that its choice of alerts is held fast, too.
    #[test]
    fn a_refused_certificate_is_told_from_a_broken_handshake() {
        use rustls::{AlertDescription, CertificateError};
        let refused = |error: CertificateError| AlertDescription::from(error);
        for (alert, name, class) in [
            (refused(CertificateError::ApplicationVerificationFailure), "CERTIFICATE", HandshakeFailure::Certificate),
            (refused(CertificateError::BadEncoding), "CERTIFICATE_UNREADABLE", HandshakeFailure::Certificate),
            (refused(CertificateError::UnknownIssuer), "CERTIFICATE_UNREADABLE", HandshakeFailure::Certificate),
            (AlertDescription::CertificateRequired, "NO_CERTIFICATE", HandshakeFailure::Certificate),
            (AlertDescription::NoApplicationProtocol, "NO_PROTOCOL", HandshakeFailure::Protocol),
            (AlertDescription::HandshakeFailure, "TLS", HandshakeFailure::Tls),
        ] {
            let code = TransportErrorCode::crypto(alert.into());
            let error = ConnectionError::TransportError(code.into());
            assert_eq!(failure(&error), (name, class), "{alert:?}");
        }
        let lost = ConnectionError::TimedOut;
        assert_eq!(failure(&lost), ("CONNECTION_LOST", HandshakeFailure::Tls));
    }

    #[test]
    fn who_is_silent_over_quic_is_gone_when_a_ping_over_tcp_would_say_so() {
        let bounds = Limits { keepalive_interval_s: 300, keepalive_timeout_s: 100, ..Limits::default() };
        assert!(format!("{:?}", transport(&bounds)).contains("max_idle_timeout: Some(400000)"), "{:?}", transport(&bounds));
    }
}
