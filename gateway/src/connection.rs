//! Connections: accept, handshake, identity, HTTP/2; each is a future that can be dropped, and is when its certificate ends.
//! What follows the handshake is one function for TCP and for each stream of a QUIC connection ([`crate::quic`]).
//!
//! It does not know what is said on them; the services do.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::IpAddr;
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

use crate::allowance::{Allowance, Held, Metered};
use crate::bounds::Limits;
use crate::clock::{SystemTimeSource, TimeSource as _};
use crate::metrics::{Connected, HandshakeFailure, Metrics, Transport};
use crate::quic;
use crate::shared::Shared;
use crate::sources::{Source, Sources};
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
    sources: Arc<Sources>,
    counts: Arc<Counts>,
    quic: Option<quic::Listener>,
}

/// Room for a handshake, among all and among those of its source; given back when it has ended.
pub(crate) type Handshake = (OwnedSemaphorePermit, Source);

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
    place: Place,
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

/// Connections of each participant, and what it may hold over all of them.
struct Counts {
    limits: Arc<Limits>,
    metrics: Arc<Metrics>,
    each: Mutex<BTreeMap<Address, (usize, Arc<Allowance>)>>,
}

/// One connection's place among its participant's.
struct Place {
    counts: Arc<Counts>,
    address: Address,
    allowance: Arc<Allowance>,
}

impl Door {
    /// A door with its limits.
    #[must_use]
    pub fn new(tls: Arc<ArcSwap<ServerConfig>>, shared: Arc<Shared>, routes: Routes, stopping: watch::Receiver<bool>) -> Self {
        let limits = &shared.limits;
        let counts = Arc::new(Counts { limits: limits.clone(), metrics: shared.metrics.clone(), each: Mutex::default() });
        let [connections, handshakes] = [limits.connections, limits.handshakes].map(|of| Arc::new(Semaphore::new(of)));
        let sources = Arc::new(Sources::new(limits.handshakes_per_source));
        Self { tls, shared, routes, stopping, connections, handshakes, sources, counts, quic: None }
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
                Ok((stream, from)) => door.clone().greet(stream, from.ip()),
                Err(error) => {
                    // EMFILE and kin: wait for connections to end rather than spin.
                    if let Some(unsaid) = door.shared.quiet.may_say("ACCEPT") {
                        tracing::error!(%error, unsaid, "accept failed");
                    }
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
        if tokio::time::timeout(2 * door.shared.limits.shutdown_grace(), drained).await.is_err() {
            tracing::error!("connections were still open after the grace period");
        }
        if let Some(quic) = quic {
            quic.close().await;
        }
    }

    /// Room for one more connection and for its handshake.
    pub(crate) fn room(&self, from: IpAddr) -> Option<(OwnedSemaphorePermit, Handshake)> {
        let Some(source) = self.sources.take(from) else {
            self.turn_away("HANDSHAKES", "one source has too many handshakes under way");
            return None;
        };
        let room = self.connections.clone().try_acquire_owned().ok().zip(self.handshakes.clone().try_acquire_owned().ok());
        if room.is_none() {
            self.turn_away("CONNECTIONS", "no room for another connection");
        }
        room.map(|(connection, handshake)| (connection, (handshake, source)))
    }

    fn greet(self: Arc<Self>, stream: TcpStream, from: IpAddr) {
        let Some((connection, handshake)) = self.room(from) else { return };
        tokio::spawn(async move { self.serve(stream, connection, handshake).await });
    }

    /// Says why nobody was let in, unless that has been said often enough.
    fn turn_away(&self, reason: &'static str, detail: &str) {
        self.shared.metrics.handshake_failed(HandshakeFailure::NoRoom);
        if let Some(unsaid) = self.shared.quiet.may_say(reason) {
            tracing::warn!(reason, detail, unsaid, "turned away at the door");
        }
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, connection: OwnedSemaphorePermit, handshake: Handshake) {
        prepare(&stream);
        let mut stopping = self.stopping.clone();
        // Boxed: this task waits for years with what it has by value, and a handshake is over in a moment.
        let mut accept = Box::pin(TlsAcceptor::from(self.tls.load_full()).accept(stream));
        let accepted = tokio::select! {
            accepted = tokio::time::timeout(self.shared.limits.handshake_timeout(), &mut accept) => accepted,
            _ = stopping.wait_for(|stop| *stop) => return,
        };
        let stream = match accepted {
            Ok(Ok(stream)) => Box::new(stream),
            Ok(Err(error)) => return self.handshake_failed(tls::failure(&error), &error),
            Err(_) => return self.handshake_failed(TOO_SLOW, &"it took too long"),
        };
        drop((accept, handshake));
        // A client that names no protocol at all gets through the handshake.
        if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            return self.handshake_failed(("NO_PROTOCOL", HandshakeFailure::Protocol), &"h2 was not agreed on");
        }
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let Some(guest) = self.welcome(chain, Transport::Tcp) else { return };
        tracing::debug!(peer = %guest.peer.address, "connected");
        self.speak(stream, &guest).await;
        tracing::debug!(peer = %guest.peer.address, "disconnected");
        drop(connection);
    }

    /// The verifier has said by itself what it refuses; a peer that goes away in mid-handshake is nobody's news.
    pub(crate) fn handshake_failed(&self, (reason, class): (&'static str, HandshakeFailure), detail: &dyn std::fmt::Display) {
        self.shared.metrics.handshake_failed(class);
        if ["CERTIFICATE", "CONNECTION_LOST"].contains(&reason) {
            return tracing::debug!(reason, %detail, "a handshake failed");
        }
        if let Some(unsaid) = self.shared.quiet.may_say(reason) {
            tracing::warn!(reason, %detail, unsaid, "a handshake failed");
        }
    }

    /// Judges a chain that has shaken hands, and gives its holder a place.
    pub(crate) fn welcome(&self, chain: &[CertificateDer<'_>], transport: Transport) -> Option<Guest> {
        // Registered for revocations before the revoked set is looked at, so that none slips between.
        let revocations = self.shared.revocations();
        let judged = tls::judge(&self.shared.anchors, &self.shared, chain, SystemTimeSource::default().wall());
        let refused = |stranger: &tls::Stranger| {
            self.shared.metrics.handshake_failed(HandshakeFailure::Certificate);
            tls::say_refused(&self.shared.quiet, stranger);
        };
        let peer = judged.inspect_err(refused).ok()?;
        let max = self.shared.connections_per_participant.load(Ordering::Relaxed);
        let Some(place) = Place::take(&self.counts, &peer.address, max) else {
            self.shared.metrics.handshake_failed(HandshakeFailure::Participant);
            if let Some(unsaid) = self.shared.quiet.may_say("CONNECTIONS_OF_ONE") {
                tracing::warn!(peer = %peer.address, max, unsaid, "too many connections of one participant");
            }
            return None;
        };
        let (end, age) = (Instant::now() + certificate_left(&peer), Instant::now() + connection_age(&self.shared.limits));
        let counted = self.shared.metrics.connected(transport);
        Some(Guest { peer: Arc::new(peer), revocations, end, age, place, _counted: counted })
    }

    /// Serves HTTP/2 until the peer ends it, its certificate ends or is revoked, or it has grown old or idle.
    pub(crate) async fn speak<I>(&self, stream: I, guest: &Guest) -> Ended
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (peer, allowance, mut revocations) = (&guest.peer, &guest.place.allowance, guest.revocations.clone());
        let heard = Arc::new(AtomicUsize::new(0));
        let bounds = &self.shared.limits;
        let (routes, for_calls, counted) = (self.routes.clone(), (peer.clone(), allowance.clone()), heard.clone());
        let io = TokioIo::new(InspectReader::new(stream, move |bytes: &[u8]| {
            counted.fetch_add(bytes.len(), Ordering::Relaxed);
        }));
        let calls = Arc::new(watch::Sender::new(0));
        let mut open = calls.subscribe();
        let service = hyper::service::service_fn(move |request| call(routes.clone(), for_calls.clone(), Call::begin(&calls), request));
        let mut serving = std::pin::pin!(http2_builder(bounds).serve_connection(io, service));
        let mut stopping = self.stopping.clone();
        let idle_timeout = seconds(bounds.idle_timeout_s);
        let [mut end, mut age] = [guest.end, guest.age].map(|at| Box::pin(tokio::time::sleep_until(at)));
        let [preface, idle, grace] = [seconds(bounds.preface_timeout_s), idle_timeout, bounds.shutdown_grace()].map(tokio::time::sleep);
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
                    if let Some(state) = self.shared.barred(&peer.address) {
                        tracing::warn!(peer = %peer.address, state, "cut: the participant's state has changed");
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
                Ok(()) = open.changed() => idle.as_mut().reset(Instant::now() + idle_timeout),
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
                grace.as_mut().reset(Instant::now() + bounds.shutdown_grace());
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
        let mut each = counts.each.lock().unwrap_or_else(PoisonError::into_inner);
        let rooms = || (0, Arc::new(Allowance::new(&counts.limits, counts.metrics.clone())));
        let (count, allowance) = each.entry(address.clone()).or_insert_with(rooms);
        if *count >= max {
            return None;
        }
        *count += 1;
        Some(Self { counts: counts.clone(), address: address.clone(), allowance: allowance.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut each = self.counts.each.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((count, _)) = each.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                each.remove(&self.address);
            }
        }
    }
}

/// One call: the TLS identity travels with it, and what its holder may hold.
async fn call(
    routes: Routes,
    (peer, allowance): (Arc<Peer>, Arc<Allowance>),
    open: Call,
    mut request: http::Request<Incoming>,
) -> Result<http::Response<Body>, Infallible> {
    request.extensions_mut().insert(peer);
    request.extensions_mut().insert(allowance.clone());
    let mut response = routes.oneshot(request.map(|body| Body::new(Metered::new(body, allowance)))).await?;
    let held = response.extensions_mut().remove::<Held>();
    Ok(response.map(|body| {
        // The call is open, and what it holds is held, as long as its body is there.
        Body::new(body.map_frame(move |frame| {
            let _still = (&open, &held);
            frame
        }))
    }))
}

fn http2_builder(bounds: &Limits) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(bounds.streams_per_connection)
        .max_local_error_reset_streams(bounds.local_error_resets)
        .max_pending_accept_reset_streams(bounds.pending_accept_resets)
        .max_header_list_size(bounds.header_list_bytes)
        .initial_connection_window_size(bounds.connection_window_bytes)
        .initial_stream_window_size(bounds.stream_window_bytes)
        .max_send_buf_size(bounds.send_buffer_bytes)
        .keep_alive_interval(seconds(bounds.keepalive_interval_s))
        .keep_alive_timeout(seconds(bounds.keepalive_timeout_s));
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

fn connection_age(bounds: &Limits) -> Duration {
    let jitter = u32::from(envelope::keys::random::<1>().unwrap_or_default()[0]);
    let age = seconds(bounds.connection_age_s);
    age + age * jitter / 2560
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Name and class of a handshake that did not end in its time.
pub(crate) const TOO_SLOW: (&str, HandshakeFailure) = ("HANDSHAKE_TIMEOUT", HandshakeFailure::Timeout);
/// Of the client's preface (RFC 9113 3.4).
const PREFACE_BYTES: usize = 24;
