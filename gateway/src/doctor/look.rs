//! Facts for the doctor: files, certificates, lists, store, ports. It judges none of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use envelope::Timestamp;
use envelope::genesis::{Genesis, hex};
use envelope::identity::{Description, NothingRevoked, Role, describe};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::verify_tls13_signature;
use rustls::{DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::judge::{Answers, CertificateFacts, FileFact, ListFact, Refused, StoreFacts, Want};
use crate::clock::{SystemTimeSource, TimeSource as _};
use crate::config::Config;
use crate::limits::DOCTOR_PATIENCE;
use crate::node::Node;
use crate::revocations::Lists;
use crate::store::{self, Opener, StoreError};
use crate::tls;

pub(super) fn now() -> Timestamp {
    SystemTimeSource::default().wall()
}

pub(super) fn files(config: &Config) -> Vec<FileFact> {
    let node = |name: &str| config.node.join(name);
    let wanted = [
        (node("tls.key"), Want::Secret),
        (node("log.key"), Want::Secret),
        (node("directory.key"), Want::Secret),
        (node("tls.pem"), Want::Present),
        (config.genesis.clone(), Want::Present),
        (config.crls.clone(), Want::Present),
        (config.data.clone(), Want::Private),
        (config.data.join("keys"), Want::Private),
    ];
    let fact = |(path, want): (std::path::PathBuf, Want)| {
        let mode = std::fs::metadata(&path).ok().map(|metadata| metadata.permissions().mode());
        FileFact { path, mode, want }
    };
    wanted.into_iter().map(fact).collect()
}

pub(super) fn certificates(config: &Config, genesis: &Genesis, now: Timestamp) -> CertificateFacts {
    let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(config.node.join("tls.pem")).and_then(Iterator::collect);
    let ders: Vec<Vec<u8>> = read.unwrap_or_default().iter().map(|der| der.to_vec()).collect();
    let roots = genesis.statement.roots.iter().map(|der| der.to_vec());
    let chain: Vec<Description> = ders.iter().cloned().chain(roots).filter_map(|der| describe(&der)).collect();
    let judged = genesis.anchors().ok().map(|anchors| anchors.judge(Role::NodeTls, &ders, now, &NothingRevoked));
    let refused = match judged {
        Some(Err(error)) if !ders.is_empty() => Some(Refused::Identity(error)),
        _ => match Node::read(&config.node, &config.keys, genesis, now).map(tls::fits) {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(Refused::Unread(format!("tls.key does not fit tls.pem: {error}"))),
            Err(error) => Some(Refused::Unread(crate::writer::chain(&error))),
        },
    };
    CertificateFacts { chain, ders, refused }
}

pub(super) fn lists(config: &Config, genesis: &Genesis, certificates: &CertificateFacts, now: Timestamp) -> Vec<ListFact> {
    let operators = certificates.ders.iter().skip(1).cloned().collect();
    let surveyed = Lists::over(&config.crls, genesis, operators).survey(now);
    let fact = |(der, list): (Vec<u8>, Result<envelope::crl::Crl, String>)| ListFact {
        ca: describe(&der).map_or("a ca".to_owned(), |it| it.subject),
        list: list.map(|crl| (hex(&crl.number), crl.this_update, crl.next_update)),
    };
    surveyed.into_iter().map(fact).collect()
}

pub(super) fn store(config: &Config, opener: &Opener) -> StoreFacts {
    let mut facts = StoreFacts { exists: store::exists(&config.data), ..StoreFacts::default() };
    if !facts.exists {
        return facts;
    }
    facts.holder = holder(&config.data.join("lock"));
    if facts.holder.is_some() {
        return facts;
    }
    match opener.open_ledger() {
        Ok(ledger) => {
            let last = ledger.size().checked_sub(1).and_then(|index| ledger.read(index).ok());
            facts.last_at = last.map(|stored| stored.leaf.at);
            facts.opened = Some(Ok(ledger.size()));
            ledger.close();
        }
        Err(StoreError::Open(ledger::OpenError::Locked { holder })) => facts.holder = Some(holder),
        Err(error) => facts.opened = Some(Err(crate::writer::chain(&error))),
    }
    facts
}

/// Who holds a file's lock, without touching it: to take it for a moment could keep a gateway from starting.
fn holder(lock: &Path) -> Option<String> {
    let metadata = std::fs::metadata(lock).ok()?;
    let (major, minor) = (rustix::fs::major(metadata.dev()), rustix::fs::minor(metadata.dev()));
    let process = lock_holder(&std::fs::read_to_string("/proc/locks").ok()?, major, minor, metadata.ino())?;
    let name = std::fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
    Some(format!("process {process} {}", name.trim()).trim_end().to_owned())
}

/// The process that holds an flock of a file, by the text of /proc/locks (proc(5)).
fn lock_holder(locks: &str, major: u32, minor: u32, inode: u64) -> Option<u32> {
    let file = format!("{major:02x}:{minor:02x}:{inode}");
    locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, "WRITE", process, at, ..] = words[..] else { return None };
        (at == file).then(|| process.parse().ok()).flatten()
    })
}

pub(super) fn free_bytes(data: &Path) -> Result<u64, String> {
    crate::metrics::free_bytes(data).map_err(|error| format!("{}: {error}", data.display()))
}

/// Where to knock for a gateway that listens on an address.
fn door(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

pub(super) async fn tcp(listen: SocketAddr, certificates: &CertificateFacts) -> Answers {
    let knock = async {
        let stream = match TcpStream::connect(door(listen)).await {
            Ok(stream) => stream,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => return Answers::Nobody,
            Err(error) => return Answers::Stranger(error.to_string()),
        };
        match leaf_of(stream).await {
            Ok(leaf) if certificates.ders.first() == Some(&leaf) => Answers::Ours,
            Ok(_) => Answers::Another,
            Err(error) => Answers::Stranger(format!("no TLS handshake: {error}")),
        }
    };
    tokio::time::timeout(DOCTOR_PATIENCE, knock).await.unwrap_or_else(|_| Answers::Stranger("it says nothing".to_owned()))
}

/// The certificate that a server shows, its key proven. Without a certificate of ours, a gateway hangs up after that.
async fn leaf_of(stream: TcpStream) -> std::io::Result<Vec<u8>> {
    let seen = Arc::new(Seen::default());
    let config = rustls::ClientConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(std::io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(seen.clone());
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::from(IpAddr::from(Ipv4Addr::LOCALHOST));
    drop(tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await?);
    let leaf = seen.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    leaf.ok_or_else(|| std::io::Error::other("no certificate was shown"))
}

/// Takes down the certificate that is shown; what it is worth is judged by comparing it.
#[derive(Debug, Default)]
struct Seen(Mutex<Option<Vec<u8>>>);

impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(leaf.to_vec());
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("tls 1.2 is not spoken here".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, leaf, signature, &tls::provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        tls::provider().signature_verification_algorithms.supported_schemes()
    }
}

pub(super) fn udp(listen: SocketAddr) -> Result<(), String> {
    std::net::UdpSocket::bind(listen).map(drop).map_err(|error| error.to_string())
}

/// What `/readyz` says; `None` when there is no such port.
pub(super) async fn ready(metrics: Option<SocketAddr>) -> Option<Result<(u16, String), String>> {
    Some(ask(metrics?, "/readyz").await)
}

/// How many entries a running gateway's newest checkpoint has, as it says itself.
pub(super) async fn checkpoint(metrics: Option<SocketAddr>) -> Option<u64> {
    let (_, page) = ask(metrics?, "/metrics").await.ok()?;
    page.lines().find_map(|line| line.strip_prefix("ecowire_checkpoint_entries "))?.trim().parse().ok()
}

async fn ask(metrics: SocketAddr, path: &str) -> Result<(u16, String), String> {
    let asked = tokio::time::timeout(DOCTOR_PATIENCE, fetch(door(metrics), path)).await;
    asked.unwrap_or_else(|_| Err("it took too long".to_owned()))
}

async fn fetch(address: SocketAddr, path: &str) -> Result<(u16, String), String> {
    let said = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(address).await.map_err(said)?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(said)?;
    let mut bytes = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes).await.map_err(said)?;
    let text: String = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").ok_or("no HTTP came back")?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or("no HTTP came back")?;
    Ok((status, body.chars().filter(|c| *c == '\n' || !c.is_control()).collect()))
}

/// A page of reasons is far shorter.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_lock_is_found_by_its_file() {
        let locks = "1: POSIX  ADVISORY  WRITE 11 08:01:77 0 EOF\n\
                     2: FLOCK  ADVISORY  READ  12 08:01:77 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 13 08:02:77 0 EOF\n\
                     3: -> FLOCK  ADVISORY  WRITE 15 08:01:77 0 EOF\n\
                     4: FLOCK  ADVISORY  WRITE 14 08:01:77 0 EOF\n";
        assert_eq!(lock_holder(locks, 8, 1, 77), Some(14), "exclusive, of this file, and not who waits for it");
        assert_eq!(lock_holder(locks, 8, 1, 78), None);
        assert_eq!(lock_holder("", 8, 1, 77), None);
    }

    #[test]
    fn a_gateway_that_listens_everywhere_is_asked_on_loopback() {
        assert_eq!(door(([0, 0, 0, 0], 7).into()), ([127, 0, 0, 1], 7).into());
        assert_eq!(door(([10, 0, 0, 1], 7).into()), ([10, 0, 0, 1], 7).into());
    }
}
