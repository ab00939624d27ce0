//! Connections: accept, handshake, identity, HTTP/2; each is a future that can be dropped, and is when its certificate ends.
//! What follows the handshake is one function for TCP and for each stream of a QUIC connection ([`crate::quic`]).
//!
//! It does not know what is said on them; the services do.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use envelope::message::Peer;
use envelope::{Address, Timestamp};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ServerConfig;
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::io::InspectReader;
use tonic::body::Body;
use tonic::service::Routes;
use tower::ServiceExt as _;

use crate::clock::{SystemTimeSource, TimeSource as _};
use crate::config::Limits;
use crate::limits;
use crate::metrics::{Connected, HandshakeFailure, Transport};
use crate::quic;
use crate::shared::Shared;
use crate::tls;

/// The door: takes connections until it is told to stop.
pub struct Door {
    /// Read at each accept, so that a new certificate serves the next connection.
    pub tls: Arc<ArcSwap<ServerConfig>>,
    /// Common knowledge.
    pub shared: Arc<Shared>,
    /// The services.
    pub routes: Routes,
    /// Turns true when the gateway goes down.
    pub stopping: watch::Receiver<bool>,
    /// Room for connections, held by each as long as it lives.
    connections: Arc<Semaphore>,
    handshakes: Arc<Semaphore>,
    counts: Arc<Counts>,
    quic: Option<quic::Listener>,
}

/// Somebody who was let in: who it is, and until when.
pub(crate) struct Guest {
    pub(crate) peer: Arc<Peer>,
    /// Registered for revocations before the revoked set was looked at, so that none slips between.
    revocations: watch::Receiver<u64>,
    /// When its certificate ends.
    end: Instant,
    /// When the connection has grown old.
    age: Instant,
    /// Taken as long as the connection lasts.
    _place: Place,
    _counted: Connected,
}

/// How a conversation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// By the peer, or after its calls had come to their end.
    InOrder,
    /// By us, at once: the whole connection goes.
    Cut,
}

/// Connections of each participant.
#[derive(Debug, Default)]
struct Counts(Mutex<BTreeMap<Address, usize>>);

/// One connection's place among its participant's.
struct Place {
    counts: Arc<Counts>,
    address: Address,
}

impl Door {
    /// A door with its limits.
    #[must_use]
    pub fn new(
        tls: Arc<ArcSwap<ServerConfig>>,
        shared: Arc<Shared>,
        routes: Routes,
        stopping: watch::Receiver<bool>,
        bounds: &Limits,
    ) -> Self {
        let connections = Arc::new(Semaphore::new(bounds.connections));
        Self { tls, shared, routes, stopping, connections, handshakes: Arc::new(Semaphore::new(bounds.handshakes)), counts: Arc::default(), quic: None }
    }

    /// Takes connections over QUIC, too.
    #[must_use]
    pub fn with_quic(self, quic: Option<quic::Listener>) -> Self {
        Self { quic, ..self }
    }

    /// Accepts until the gateway stops, then waits for open connections to end their calls.
    pub async fn run(mut self, listener: TcpListener) {
        let quic = self.quic.take();
        let door = Arc::new(self);
        let mut stopping = door.stopping.clone();
        let all = door.connections.available_permits();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                incoming = knock(quic.as_ref()) => {
                    if let Some(quic) = &quic { quic.greet(&door, incoming); }
                    continue;
                }
                _ = stopping.wait_for(|stop| *stop) => break,
            };
            match accepted {
                Ok((stream, _)) => door.clone().greet(stream),
                Err(error) => {
                    // EMFILE and kin: wait for connections to end rather than spin.
                    tracing::error!(%error, "accept failed");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        drop(listener);
        if let Some(quic) = &quic {
            quic.refuse();
        }
        // Each is cut at the end of the grace period at the latest.
        let drained = door.connections.acquire_many(u32::try_from(all).unwrap_or(u32::MAX));
        if tokio::time::timeout(2 * limits::SHUTDOWN_GRACE, drained).await.is_err() {
            tracing::error!("connections were still open after the grace period");
        }
        if let Some(quic) = quic {
            quic.close().await;
        }
    }

    /// Room for one more connection and for its handshake.
    pub(crate) fn room(&self) -> Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)> {
        let room = self.connections.clone().try_acquire_owned().ok().zip(self.handshakes.clone().try_acquire_owned().ok());
        if room.is_none() {
            self.shared.metrics.handshake_failed(HandshakeFailure::NoRoom);
            tracing::warn!("no room for another connection");
        }
        room
    }

    fn greet(self: Arc<Self>, stream: TcpStream) {
        let Some((connection, handshake)) = self.room() else { return };
        tokio::spawn(async move { self.serve(stream, connection, handshake).await });
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, connection: OwnedSemaphorePermit, handshake: OwnedSemaphorePermit) {
        prepare(&stream);
        let mut stopping = self.stopping.clone();
        let accept = TlsAcceptor::from(self.tls.load_full()).accept(stream);
        let accepted = tokio::select! {
            accepted = tokio::time::timeout(limits::HANDSHAKE_TIMEOUT, accept) => accepted,
            _ = stopping.wait_for(|stop| *stop) => return,
        };
        let stream = match accepted {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                self.shared.metrics.handshake_failed(tls::failure(&error));
                return tracing::debug!(%error, "a handshake failed");
            }
            Err(_) => {
                self.shared.metrics.handshake_failed(HandshakeFailure::Timeout);
                return tracing::debug!("a handshake took too long");
            }
        };
        drop(handshake);
        // A client that names no protocol at all gets through the handshake.
        if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            self.shared.metrics.handshake_failed(HandshakeFailure::Protocol);
            return tracing::debug!("a handshake failed: h2 was not agreed on");
        }
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let Some(guest) = self.welcome(chain, Transport::Tcp) else { return };
        tracing::debug!(peer = %guest.peer.address, "connected");
        self.speak(stream, &guest).await;
        tracing::debug!(peer = %guest.peer.address, "disconnected");
        drop(connection);
    }

    /// Judges a chain that has shaken hands, and gives its holder a place.
    pub(crate) fn welcome(&self, chain: &[CertificateDer<'_>], transport: Transport) -> Option<Guest> {
        let revocations = self.shared.revocations();
        let judged = tls::judge(&self.shared.anchors, &self.shared, chain, SystemTimeSource::default().wall());
        let refused = |reason: &String| {
            self.shared.metrics.handshake_failed(HandshakeFailure::Certificate);
            tracing::warn!(reason, "a certificate was refused at the door");
        };
        let peer = judged.inspect_err(refused).ok()?;
        let max = self.shared.limits.load().connections_per_participant;
        let Some(place) = Place::take(&self.counts, &peer.address, max) else {
            self.shared.metrics.handshake_failed(HandshakeFailure::Participant);
            tracing::warn!(peer = %peer.address, max, "too many connections of one participant");
            return None;
        };
        let (end, age) = (Instant::now() + certificate_left(&peer), Instant::now() + connection_age());
        let counted = self.shared.metrics.connected(transport);
        Some(Guest { peer: Arc::new(peer), revocations, end, age, _place: place, _counted: counted })
    }

    /// Serves HTTP/2 until the peer ends it, its certificate ends or is revoked, or it has grown old or idle.
    pub(crate) async fn speak<I>(&self, stream: I, guest: &Guest) -> Ended
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (peer, mut revocations) = (&guest.peer, guest.revocations.clone());
        let heard = Arc::new(AtomicUsize::new(0));
        let (routes, for_calls, counted) = (self.routes.clone(), peer.clone(), heard.clone());
        let io = TokioIo::new(InspectReader::new(stream, move |bytes: &[u8]| {
            counted.fetch_add(bytes.len(), Ordering::Relaxed);
        }));
        let calls = Arc::new(watch::Sender::new(0));
        let mut open = calls.subscribe();
        let service = hyper::service::service_fn(move |request| call(routes.clone(), for_calls.clone(), Call::begin(&calls), request));
        let mut serving = std::pin::pin!(http2_builder().serve_connection(io, service));
        let mut stopping = self.stopping.clone();
        let [mut end, mut age] = [guest.end, guest.age].map(|at| Box::pin(tokio::time::sleep_until(at)));
        let [preface, idle, grace] = [limits::PREFACE_TIMEOUT, limits::IDLE_TIMEOUT, limits::SHUTDOWN_GRACE].map(tokio::time::sleep);
        let mut grace = std::pin::pin!(grace);
        let (mut preface, mut idle) = (std::pin::pin!(preface), std::pin::pin!(idle));
        let (mut greeted, mut ending) = (false, false);
        loop {
            let mut close = false;
            tokio::select! {
                ended = &mut serving => {
                    if let Err(error) = ended { tracing::debug!(peer = %peer.address, %error, "a connection broke"); }
                    return Ended::InOrder;
                }
                () = &mut end => {
                    tracing::warn!(peer = %peer.address, "cut: the certificate has reached its end");
                    return Ended::Cut;
                }
                changed = revocations.changed() => {
                    if changed.is_err() || peer.links.iter().any(|link| self.shared.is_revoked(link)) {
                        tracing::warn!(peer = %peer.address, "cut: the certificate was revoked");
                        return Ended::Cut;
                    }
                }
                () = &mut preface, if !greeted => {
                    greeted = true;
                    if heard.load(Ordering::Relaxed) < PREFACE_BYTES {
                        tracing::warn!(peer = %peer.address, "cut: no http/2 preface came");
                        return Ended::Cut;
                    }
                }
                Ok(()) = open.changed() => idle.as_mut().reset(Instant::now() + limits::IDLE_TIMEOUT),
                () = &mut idle, if !ending && *open.borrow() == 0 => close = true,
                () = &mut age, if !ending => close = true,
                _ = stopping.wait_for(|stop| *stop), if !ending => close = true,
                () = &mut grace, if ending => {
                    tracing::debug!(peer = %peer.address, "cut: calls were still open after the grace period");
                    return Ended::Cut;
                }
            }
            if close {
                ending = true;
                grace.as_mut().reset(Instant::now() + limits::SHUTDOWN_GRACE);
                serving.as_mut().graceful_shutdown();
            }
        }
    }
}

/// The next that knocks over QUIC; never, where there is none.
async fn knock(quic: Option<&quic::Listener>) -> quinn::Incoming {
    match quic {
        Some(quic) => quic.knock().await,
        None => std::future::pending().await,
    }
}

/// A call that is open, from its request's head to the end of its response.
struct Call(Arc<watch::Sender<usize>>);

impl Call {
    fn begin(open: &Arc<watch::Sender<usize>>) -> Self {
        open.send_modify(|count| *count += 1);
        Self(open.clone())
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl Place {
    fn take(counts: &Arc<Counts>, address: &Address, max: usize) -> Option<Self> {
        let mut each = counts.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = each.entry(address.clone()).or_default();
        if *count >= max {
            return None;
        }
        *count += 1;
        Some(Self { counts: counts.clone(), address: address.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut each = self.counts.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = each.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                each.remove(&self.address);
            }
        }
    }
}

/// One call: the TLS identity travels with it.
async fn call(
    routes: Routes,
    peer: Arc<Peer>,
    open: Call,
    mut request: http::Request<Incoming>,
) -> Result<http::Response<Body>, Infallible> {
    request.extensions_mut().insert(peer);
    let response = routes.oneshot(request.map(Body::new)).await?;
    Ok(response.map(|body| {
        // The call is open as long as its body is there.
        Body::new(body.map_frame(move |frame| {
            let _still = &open;
            frame
        }))
    }))
}

fn http2_builder() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits::STREAMS_MAX)
        .max_local_error_reset_streams(limits::LOCAL_ERROR_RESETS_MAX)
        .max_pending_accept_reset_streams(limits::PENDING_ACCEPT_RESETS_MAX)
        .max_header_list_size(limits::HEADER_LIST_BYTES_MAX)
        .initial_connection_window_size(limits::CONNECTION_WINDOW_BYTES)
        .initial_stream_window_size(limits::STREAM_WINDOW_BYTES)
        .max_send_buf_size(limits::SEND_BUFFER_BYTES)
        .keep_alive_interval(limits::KEEPALIVE_INTERVAL)
        .keep_alive_timeout(limits::KEEPALIVE_TIMEOUT);
    builder
}

/// No delay for small frames; BBR where the kernel has it, for it is 4 to 15 times faster on lossy links.
fn prepare(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    // Best effort: a kernel without BBR, or a process that may not choose it, keeps its default.
    let _ = socket2::SockRef::from(stream).set_tcp_congestion(b"bbr");
}

fn certificate_left(peer: &Peer) -> Duration {
    let now = SystemTimeSource::default().wall();
    // Timers beyond a year are of no use and overflow some clocks.
    Duration::from_millis(Timestamp(peer.not_after_ms).ms().saturating_sub(now.ms())).min(Duration::from_secs(366 * 86_400))
}

fn connection_age() -> Duration {
    let jitter = u32::from(envelope::keys::random::<1>().unwrap_or_default()[0]);
    limits::CONNECTION_AGE_MAX + limits::CONNECTION_AGE_MAX * jitter / 2560
}

/// Of the client's preface (RFC 9113 3.4).
const PREFACE_BYTES: usize = 24;
