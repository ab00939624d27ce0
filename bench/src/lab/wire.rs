//! A link between two network namespaces: whole IP packets, read from one TUN device and written to the other.
//!
//! Needs root, `ip` (iproute2), `python3` and /dev/net/tun. A kernel's own emulator (netem) is not needed; most small
//! kernels come without it. The addresses exist in the two namespaces alone.

use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::Ipv4Addr;
use std::os::fd::AsFd as _;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::schedule::{Fate, Link, Schedule};

/// Where the client's processes run.
pub const CLIENT: &str = "ecowire-lab-a";
/// Where the gateway runs.
pub const GATEWAY: &str = "ecowire-lab-b";
/// The gateway's address.
pub const GATEWAY_IP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
const CLIENT_IP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

/// Two namespaces with a wire between them. Dropped, they are gone.
#[derive(Debug)]
pub struct Wire {
    emulator: Option<Child>,
}

impl Wire {
    /// Lays the wire. `carry` is the program, with its arguments, that does [`carry`] on the devices at its standard input
    /// and output.
    ///
    /// # Errors
    /// Whatever is missing for it.
    pub fn lay(carry: &[&str]) -> anyhow::Result<Self> {
        // Of an earlier run that was killed.
        drop(Self { emulator: None });
        let mut wire = Self { emulator: None };
        for namespace in [CLIENT, GATEWAY] {
            ip(&["netns", "add", namespace]).context("namespaces need root and iproute2")?;
            ip(&["-n", namespace, "link", "set", "lo", "up"])?;
        }
        let mut command = Command::new("python3");
        command.args(["-c", LAUNCHER, CLIENT, GATEWAY]).args(carry).stdin(Stdio::null()).stdout(Stdio::null());
        wire.emulator = Some(command.spawn().context("the devices are opened by python3")?);
        for (namespace, own, other) in [(CLIENT, CLIENT_IP, GATEWAY_IP), (GATEWAY, GATEWAY_IP, CLIENT_IP)] {
            wire.wait_for(namespace)?;
            let (own, other) = (own.to_string(), other.to_string());
            ip(&["-n", namespace, "addr", "add", &own, "peer", &other, "dev", DEVICE])?;
            ip(&["-n", namespace, "link", "set", DEVICE, "up"])?;
        }
        Ok(wire)
    }

    /// Waits until the namespace has its device.
    fn wait_for(&mut self, namespace: &str) -> anyhow::Result<()> {
        let began = Instant::now();
        while ip(&["-n", namespace, "link", "show", DEVICE]).is_err() {
            let ended = self.emulator.as_mut().map(Child::try_wait).transpose()?.flatten();
            if ended.is_some() || began.elapsed() > Duration::from_secs(10) {
                bail!("the tun devices did not come up; /dev/net/tun and root are needed");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// A command that runs in a namespace.
    #[must_use]
    pub fn command(namespace: &str, program: &std::path::Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace]).arg(program);
        command
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if let Some(mut emulator) = self.emulator.take() {
            // It may have ended already.
            drop(emulator.kill());
            drop(emulator.wait());
        }
        for namespace in [CLIENT, GATEWAY] {
            drop(ip(&["netns", "del", namespace]));
        }
    }
}

fn ip(args: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("ip").args(args).stdin(Stdio::null()).output().context("ip is not there")?;
    if !output.status.success() {
        bail!("ip {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// Carries IP packets between the devices at standard input and output, as a link with this seed would, until it is killed.
///
/// # Errors
/// When a device cannot be read.
pub fn carry(link: &Link, seed: u64) -> anyhow::Result<()> {
    let client = File::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    let gateway = File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
    let (from_client, from_gateway) = (client.try_clone()?, gateway.try_clone()?);
    let up = Schedule::new(link.clone(), seed);
    let down = Schedule::new(link.clone(), !seed);
    let upwards = std::thread::spawn(move || one_way(from_client, gateway, up));
    one_way(from_gateway, client, down)?;
    upwards.join().map_err(|_| anyhow::anyhow!("the upward direction ended"))?
}

/// A packet on its way; the heap gives the one that arrives first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct OnTheWay(std::cmp::Reverse<(Duration, u64)>, Vec<u8>);

type Heap = Arc<(Mutex<BinaryHeap<OnTheWay>>, Condvar)>;

fn one_way(mut from: File, to: File, mut schedule: Schedule) -> anyhow::Result<()> {
    let (began, heap) = (Instant::now(), Heap::default());
    let shared = heap.clone();
    std::thread::spawn(move || write_out(&shared, to, began));
    let mut buffer = vec![0; 65_535];
    for n in 0.. {
        let bytes = from.read(&mut buffer)?;
        if let Fate::Arrives(at) = schedule.fate(n, began.elapsed(), bytes as u64) {
            let packet = OnTheWay(std::cmp::Reverse((at, n)), buffer[..bytes].to_vec());
            heap.0.lock().unwrap_or_else(PoisonError::into_inner).push(packet);
            heap.1.notify_one();
        }
    }
    Ok(())
}

fn write_out(heap: &Heap, mut to: File, began: Instant) {
    let mut packets = heap.0.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let left = packets.peek().map(|OnTheWay(std::cmp::Reverse((at, _)), _)| at.saturating_sub(began.elapsed()));
        packets = match left {
            None => heap.1.wait(packets).unwrap_or_else(PoisonError::into_inner),
            Some(Duration::ZERO) => {
                if let Some(OnTheWay(_, packet)) = packets.pop() {
                    // A device that is not up yet takes nothing: the packet is lost.
                    drop(to.write_all(&packet));
                }
                packets
            }
            Some(left) => heap.1.wait_timeout(packets, left).unwrap_or_else(PoisonError::into_inner).0,
        };
    }
}

const DEVICE: &str = "tun0";
/// Opens a device, moves it into each namespace, and becomes the program, with the devices at its standard input and output.
/// Python, because it takes a system call that has no safe form in Rust's library.
const LAUNCHER: &str = "
import fcntl, os, struct, subprocess, sys
devices = []
for namespace in sys.argv[1:3]:
    device = os.open('/dev/net/tun', os.O_RDWR)
    name = ('lab%d' % (len(devices) + os.getpid() * 2))[:15]
    fcntl.ioctl(device, 0x400454ca, struct.pack('16sH', name.encode(), 0x1001))
    subprocess.run(['ip', 'link', 'set', name, 'netns', namespace, 'name', 'tun0'], check=True)
    devices.append(device)
os.dup2(devices[0], 0)
os.dup2(devices[1], 1)
os.execv(sys.argv[3], sys.argv[3:])
";
