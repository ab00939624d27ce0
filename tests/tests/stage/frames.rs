//! HTTP/2 by hand over mutual TLS: frames that no library of ours would write (RFC 9113), and what comes back.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::tls;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
/// Identifiers of settings.
pub(crate) const INITIAL_WINDOW_SIZE: u16 = 4;

/// A connection with a sound certificate, on which anything is written.
pub(crate) struct Raw {
    pub(crate) read: ReadHalf<TlsStream<TcpStream>>,
    pub(crate) write: WriteHalf<TlsStream<TcpStream>>,
}

/// A frame that came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The stream that may go on by so many bytes, if that is what it says; 0 is the connection.
    pub(crate) fn window(&self) -> Option<(u32, usize)> {
        let bytes: [u8; 4] = self.payload.as_slice().try_into().ok()?;
        (self.kind == WINDOW_UPDATE).then_some((self.stream, u32::from_be_bytes(bytes) as usize))
    }
}

impl Raw {
    /// Shakes hands as the member of this folder, and sends preface and settings.
    pub(crate) async fn open(to: SocketAddr, member: &Path, settings: &[(u16, u32)]) -> Self {
        let config = Arc::new(tls::client(Some(tls::read(member, "tls")), &["h2"]));
        let tcp = TcpStream::connect(to).await.expect("connected");
        let name = ServerName::try_from("localhost").expect("a name");
        let stream = TlsConnector::from(config).connect(name, tcp).await.expect("a handshake");
        let (mut read, mut write) = tokio::io::split(stream);
        let settings: Vec<u8> = settings.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
        let hello = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(SETTINGS, 0, 0, &settings)].concat();
        write.write_all(&hello).await.expect("written");
        // The gateway's settings hold when they are acknowledged.
        assert_eq!(next(&mut read).await.expect("its settings").kind, SETTINGS);
        write.write_all(&frame(SETTINGS, ACK, 0, &[])).await.expect("written");
        Self { read, write }
    }

    pub(crate) async fn say(&mut self, frames: &[u8]) -> std::io::Result<()> {
        self.write.write_all(frames).await?;
        self.write.flush().await
    }

    /// Repeats what is said until the other end takes no more of it.
    pub(crate) async fn flood(&mut self, mut frames: impl FnMut(u32) -> Vec<u8>) -> std::io::Error {
        for turn in 0.. {
            if let Err(error) = self.say(&frames(turn)).await {
                return error;
            }
        }
        unreachable!("every flood ends")
    }

    /// Reads the next frame; none at the end.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        next(&mut self.read).await
    }
}

/// Reads the next frame; none at the end.
pub(crate) async fn next(read: &mut ReadHalf<TlsStream<TcpStream>>) -> Option<Frame> {
    let mut head = [0; 9];
    read.read_exact(&mut head).await.ok()?;
    let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte));
    let mut payload = vec![0; number(&head[..3]) as usize];
    read.read_exact(&mut payload).await.ok()?;
    Some(Frame { kind: head[3], flags: head[4], stream: number(&head[5..]), payload })
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame");
    [&length.to_be_bytes()[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The n-th stream of a client, from 0.
pub(crate) fn stream(n: u32) -> u32 {
    2 * n + 1
}

/// The header block of a gRPC call (RFC 7541, without a table of its own).
pub(crate) fn call(path: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).expect("short")], text.as_bytes()].concat();
    // POST, https; then literals: :path, :authority, content-type, te.
    [
        &[0x83, 0x87, 0x04][..],
        &text(path),
        &[0x01],
        &text("localhost"),
        &[0x0f, 0x10],
        &text("application/grpc"),
        &[0x00],
        &text("te"),
        &text("trailers"),
    ]
    .concat()
}

/// A literal header with a value of `bytes` (below 16 KiB).
pub(crate) fn header(name: &str, bytes: usize) -> Vec<u8> {
    // A length of at least 127 is 127 and the rest in groups of seven bits.
    let rest = bytes - 127;
    let length = [127, 0x80 | (rest & 0x7f) as u8, (rest >> 7) as u8];
    [&[0x00, name.len() as u8], name.as_bytes(), &length, &vec![b'x'; bytes]].concat()
}

/// Opens a call on a stream.
pub(crate) fn open(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &call(path))
}
