//! A stand-in for the link between a client and a gateway, in the test's own process: datagrams and TCP on one port.
//!
//! Datagrams meet every fate of a schedule. **TCP is another matter:** between two sockets there are no packets to lose. Its
//! bytes are delayed, slowed, and held for as long as it is dark, but never lost, and neither end's congestion control sees
//! any of it; what TCP makes of loss is measured on [`super::wire`].

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::schedule::{Fate, Link, Schedule};

/// A link with both its ends on this machine. Dropped, it is gone, with everything that is on the way.
#[derive(Debug)]
pub struct Lab {
    /// Where clients find the gateway, over TCP and UDP.
    pub address: SocketAddr,
    state: watch::Sender<State>,
    passed: watch::Receiver<Passed>,
    addresses: mpsc::Sender<()>,
    _tasks: JoinSet<()>,
}

/// What gets through now, whatever the schedule says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// No datagram gets to the gateway.
    pub udp_up_dark: bool,
    /// No datagram gets back.
    pub udp_down_dark: bool,
    /// Bytes of TCP are held, both ways.
    pub tcp_dark: bool,
}

/// What has gone through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Datagrams that reached the gateway.
    pub udp_up: u64,
    /// Their bytes.
    pub udp_up_bytes: u64,
    /// Datagrams that came back.
    pub udp_down: u64,
    /// Datagrams of the gateway that did not.
    pub udp_down_lost: u64,
    /// TCP connections.
    pub tcp: u64,
    /// Bytes that came in over them from clients, held or not.
    pub tcp_up_bytes: u64,
    /// Bytes that came in over them from the gateway.
    pub tcp_down_bytes: u64,
}

/// What the tasks share.
struct Common {
    gateway: SocketAddr,
    link: Link,
    seed: u64,
    began: Instant,
    state: watch::Receiver<State>,
    passed: watch::Sender<Passed>,
}

impl Lab {
    /// A link to `gateway`, the same both ways.
    ///
    /// # Errors
    /// When no port is free over both TCP and UDP.
    pub async fn before(gateway: SocketAddr, link: Link, seed: u64) -> io::Result<Self> {
        let (listener, socket) = pair(gateway).await?;
        let address = listener.local_addr()?;
        let (state, seen) = watch::channel(State::default());
        let (counts, passed) = watch::channel(Passed::default());
        let (addresses, changes) = mpsc::channel(1);
        let common = Arc::new(Common { gateway, link, seed, began: Instant::now(), state: seen, passed: counts });
        let mut tasks = JoinSet::new();
        tasks.spawn(carry_datagrams(common.clone(), Arc::new(socket), changes));
        tasks.spawn(carry_connections(common, listener));
        Ok(Self { address, state, passed, addresses, _tasks: tasks })
    }

    /// As a client is told it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// From now on, this gets through.
    pub fn set(&self, state: State) {
        self.state.send_replace(state);
    }

    /// What has gone through so far.
    #[must_use]
    pub fn passed(&self) -> Passed {
        *self.passed.borrow()
    }

    /// Waits until so much has gone through.
    pub async fn until(&self, enough: impl FnMut(&Passed) -> bool) {
        let mut passed = self.passed.clone();
        // The sender lives as long as the tasks, which live as long as the lab.
        let _ = passed.wait_for(enough).await;
    }

    /// From the next datagram on, the clients have other addresses, as the gateway sees them; what is on the way to the old
    /// ones is lost.
    pub async fn change_addresses(&self) {
        let _ = self.addresses.send(()).await;
    }
}

async fn pair(like: SocketAddr) -> io::Result<(TcpListener, UdpSocket)> {
    for _ in 0..PAIRS_MAX {
        let listener = TcpListener::bind((like.ip(), 0)).await?;
        if let Ok(socket) = UdpSocket::bind(listener.local_addr()?).await {
            return Ok((listener, socket));
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}

/// A client's way through: the socket that the gateway sees, and who carries back what comes to it.
struct Flow {
    upstream: Arc<UdpSocket>,
    _back: JoinSet<()>,
}

impl Flow {
    async fn open(common: &Arc<Common>, socket: &Arc<UdpSocket>, client: SocketAddr) -> io::Result<Self> {
        let upstream = Arc::new(UdpSocket::bind((common.gateway.ip(), 0)).await?);
        upstream.connect(common.gateway).await?;
        let mut back = JoinSet::new();
        back.spawn(carry_back(common.clone(), upstream.clone(), socket.clone(), client));
        Ok(Self { upstream, _back: back })
    }
}

async fn carry_datagrams(common: Arc<Common>, socket: Arc<UdpSocket>, mut changes: mpsc::Receiver<()>) {
    let mut schedule = Schedule::new(common.link.clone(), common.seed);
    let mut flows: HashMap<SocketAddr, Flow> = HashMap::new();
    let (mut buffer, mut n) = (vec![0; DATAGRAM_BYTES_MAX], 0);
    loop {
        let (bytes, client) = tokio::select! {
            received = socket.recv_from(&mut buffer) => match received { Ok(received) => received, Err(_) => continue },
            changed = changes.recv() => match changed {
                Some(()) => { flows.clear(); continue }
                None => return,
            },
        };
        let flow = match flows.entry(client) {
            std::collections::hash_map::Entry::Occupied(flow) => flow.into_mut(),
            std::collections::hash_map::Entry::Vacant(place) => match Flow::open(&common, &socket, client).await {
                Ok(flow) => place.insert(flow),
                Err(_) => continue,
            },
        };
        n += 1;
        let fate = schedule.fate(n, common.began.elapsed(), bytes as u64);
        if let (Fate::Arrives(at), false) = (fate, common.state.borrow().udp_up_dark) {
            let (common, upstream, datagram) = (common.clone(), flow.upstream.clone(), buffer[..bytes].to_vec());
            tokio::spawn(async move {
                tokio::time::sleep_until(common.began + at).await;
                if upstream.send(&datagram).await.is_ok() {
                    common.passed.send_modify(|passed| {
                        passed.udp_up += 1;
                        passed.udp_up_bytes += datagram.len() as u64;
                    });
                }
            });
        }
    }
}

async fn carry_back(common: Arc<Common>, upstream: Arc<UdpSocket>, socket: Arc<UdpSocket>, client: SocketAddr) {
    let mut schedule = Schedule::new(common.link.clone(), !common.seed);
    let (mut buffer, mut n) = (vec![0; DATAGRAM_BYTES_MAX], 0);
    loop {
        // A refusal by the system is no datagram.
        let Ok(bytes) = upstream.recv(&mut buffer).await else { continue };
        n += 1;
        let fate = schedule.fate(n, common.began.elapsed(), bytes as u64);
        if let (Fate::Arrives(at), false) = (fate, common.state.borrow().udp_down_dark) {
            let (common, socket, datagram) = (common.clone(), socket.clone(), buffer[..bytes].to_vec());
            tokio::spawn(async move {
                tokio::time::sleep_until(common.began + at).await;
                if socket.send_to(&datagram, client).await.is_ok() {
                    common.passed.send_modify(|passed| passed.udp_down += 1);
                }
            });
        } else {
            common.passed.send_modify(|passed| passed.udp_down_lost += 1);
        }
    }
}

async fn carry_connections(common: Arc<Common>, listener: TcpListener) {
    let mut pumps = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        common.passed.send_modify(|passed| passed.tcp += 1);
        let common = common.clone();
        pumps.spawn(async move {
            // One round trip goes by before the first byte.
            tokio::time::sleep(2 * common.link.delay).await;
            let Ok(gateway) = TcpStream::connect(common.gateway).await else { return };
            let (from_client, to_client) = client.into_split();
            let (from_gateway, to_gateway) = gateway.into_split();
            tokio::select! {
                () = pump(&common, from_client, to_gateway, common.seed, |passed| &mut passed.tcp_up_bytes) => {}
                () = pump(&common, from_gateway, to_client, !common.seed, |passed| &mut passed.tcp_down_bytes) => {}
            }
        });
    }
}

/// Carries bytes one way until an end is closed.
async fn pump(common: &Common, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, seed: u64, counter: fn(&mut Passed) -> &mut u64) {
    // Nothing of a stream is lost, overtaken, or dropped by a queue: the sender is made to wait.
    let link = Link { loss_permille: 0, reorder_permille: 0, queue_bytes: 0, dark: Vec::new(), ..common.link.clone() };
    let mut schedule = Schedule::new(link, seed);
    let (queue, mut waiting) = mpsc::channel::<(Duration, Vec<u8>)>(CHUNKS_MAX);
    // The queue goes with the reader: when there is nothing more to read, the writer ends after the last byte.
    let read = async move {
        let mut buffer = vec![0; CHUNK_BYTES];
        for n in 0.. {
            let Ok(bytes @ 1..) = from.read(&mut buffer).await else { return };
            let Fate::Arrives(at) = schedule.fate(n, common.began.elapsed(), bytes as u64) else { continue };
            common.passed.send_modify(|passed| *counter(passed) += bytes as u64);
            if queue.send((at, buffer[..bytes].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let write = async {
        let mut state = common.state.clone();
        while let Some((at, bytes)) = waiting.recv().await {
            tokio::time::sleep_until(common.began + at).await;
            if state.wait_for(|state| !state.tcp_dark).await.is_err() || to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(read, write);
}

const DATAGRAM_BYTES_MAX: usize = 65_535;
const CHUNK_BYTES: usize = 16 << 10;
const CHUNKS_MAX: usize = 256;
const PAIRS_MAX: u32 = 64;
