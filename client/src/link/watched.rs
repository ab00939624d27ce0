//! A UDP socket that notices when the first packet of the handshake's second part leaves.
//!
//! **Invariant:** from then on nothing that anybody on the way can make ends the connection. Until then a client still takes
//! Initial packets, whose keys everybody can compute, and one of them may say that the connection was refused (RFC 9001
//! 4.9.1, 5.2). It does not know what the packets say: only their types.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};

/// Whether a Handshake packet has left.
#[derive(Clone, Debug, Default)]
pub(super) struct Sent(Arc<AtomicBool>);

impl Sent {
    pub(super) fn is_true(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

#[derive(Debug)]
pub(super) struct Watched {
    socket: Arc<dyn AsyncUdpSocket>,
    sent: Sent,
}

impl Watched {
    pub(super) fn new(socket: Arc<dyn AsyncUdpSocket>) -> (Self, Sent) {
        let sent = Sent::default();
        (Self { socket, sent: sent.clone() }, sent)
    }
}

impl AsyncUdpSocket for Watched {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.socket.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.socket.try_send(transmit)?;
        if !self.sent.is_true() {
            let size = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
            if transmit.contents.chunks(size).any(holds_handshake) {
                self.sent.0.store(true, Ordering::Release);
            }
        }
        Ok(())
    }

    fn poll_recv(&self, cx: &mut Context<'_>, bufs: &mut [IoSliceMut<'_>], meta: &mut [RecvMeta]) -> Poll<io::Result<usize>> {
        self.socket.poll_recv(cx, bufs, meta)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.socket.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.socket.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.socket.may_fragment()
    }
}

/// Whether one of a datagram's packets is a Handshake packet (RFC 9000 12.2, 17.2).
fn holds_handshake(datagram: &[u8]) -> bool {
    let mut rest = datagram;
    loop {
        let Some((first, after)) = rest.split_first().filter(|(first, _)| **first & LONG_HEADER != 0) else { return false };
        match (first & TYPE) >> 4 {
            HANDSHAKE => return true,
            INITIAL => match after_initial(after) {
                Some(next) => rest = next,
                None => return false,
            },
            _ => return false,
        }
    }
}

/// What follows an Initial packet whose first byte was taken.
fn after_initial(bytes: &[u8]) -> Option<&[u8]> {
    let rest = bytes.get(4..)?;
    let rest = after_bytes(after_bytes(rest)?)?;
    let (token, rest) = varint(rest)?;
    let (length, rest) = varint(rest.get(token..)?)?;
    rest.get(length..)
}

/// What follows a field of at most 255 bytes with its length before it.
fn after_bytes(bytes: &[u8]) -> Option<&[u8]> {
    bytes.get(1 + usize::from(*bytes.first()?)..)
}

/// A number of variable length (RFC 9000 16), and what follows it.
fn varint(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let first = *bytes.first()?;
    let length = 1 << (first >> 6);
    let (number, rest) = bytes.split_at_checked(length)?;
    let value = number.iter().skip(1).fold(usize::from(first & 0x3f), |value, byte| value << 8 | usize::from(*byte));
    Some((value, rest))
}

const LONG_HEADER: u8 = 0x80;
const TYPE: u8 = 0x30;
const INITIAL: u8 = 0;
const HANDSHAKE: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    /// An Initial packet with a token and so many bytes behind its length.
    fn initial(token: usize, bytes: usize) -> Vec<u8> {
        let length = u16::try_from(bytes).unwrap_or_default() | 0x4000;
        let mut packet = vec![0xc0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 2, 9, 9];
        packet.push(u8::try_from(token).unwrap_or_default());
        packet.extend(vec![0xe0; token]);
        packet.extend(length.to_be_bytes());
        packet.extend(vec![0xe0; bytes]);
        packet
    }

    #[test]
    fn a_handshake_packet_is_found_behind_others() {
        let handshake = [0xe0, 0, 0, 0, 1];
        for (what, datagram, expected) in [
            ("nothing", vec![], false),
            ("an initial", initial(0, 1100), false),
            ("an initial with a token", initial(60, 1100), false),
            ("a handshake", handshake.to_vec(), true),
            ("both", [initial(0, 40), handshake.to_vec()].concat(), true),
            ("both, with a token", [initial(60, 300), handshake.to_vec()].concat(), true),
            ("an initial and a short header", [initial(0, 40), vec![0x40; 30]].concat(), false),
            ("a short header", vec![0x40; 60], false),
            ("a cut initial", initial(0, 40)[..30].to_vec(), false),
            ("a retry", vec![0xf0; 60], false),
        ] {
            assert_eq!(holds_handshake(&datagram), expected, "{what}");
        }
    }
}
