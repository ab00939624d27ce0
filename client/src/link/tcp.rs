//! A link over TCP and TLS 1.3.

use std::error::Error as StdError;

use rustls::{AlertDescription, ClientConfig};
use rustls_pki_types::ServerName;
use std::sync::Arc;
use tokio::io::AsyncBufReadExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::tls::is_refusal;
use super::{End, FIRST_BYTES_TIMEOUT, Failure, Line, chain_text, http2_builder};

/// What is spoken inside.
pub(super) const ALPN: &[u8] = b"h2";

pub(super) async fn connect(host: &str, port: u16, config: ClientConfig) -> Result<Line, Failure> {
    let tcp = TcpStream::connect((host, port)).await.map_err(|error| Failure::Other(chain_text(&error)))?;
    // Both are improvements only: a system without BBR keeps its default.
    let _ = tcp.set_nodelay(true);
    let _ = socket2::SockRef::from(&tcp).set_tcp_congestion(b"bbr");
    let name = ServerName::try_from(host.to_owned()).map_err(|_| Failure::Other(format!("{host:?} is no host name")))?;
    let connected = TlsConnector::from(Arc::new(config)).connect(name, tcp).await;
    let mut tls = connected.map_err(|error| match rustls_error(&error) {
        Some(rustls::Error::InvalidCertificate(why)) => Failure::Server(format!("{why:?}")),
        // An alert this early may be anybody's.
        _ => Failure::Other(chain_text(&error)),
    })?;
    if tls.get_ref().1.alpn_protocol() != Some(ALPN) {
        return Err(Failure::Other("the server does not speak h2".to_owned()));
    }
    // In TLS 1.3 the client's certificate is judged after the client has finished: the first bytes tell, which are
    // the server's SETTINGS or an alert.
    if let Ok(Err(error)) = tokio::time::timeout(FIRST_BYTES_TIMEOUT, tls.fill_buf()).await {
        return Err(failure(&error));
    }
    let (sender, connection) = http2_builder().handshake(hyper_util::rt::TokioIo::new(tls)).await.map_err(|error| failure(&error))?;
    let end = Arc::<std::sync::Mutex<End>>::default();
    let shared = Arc::clone(&end);
    tokio::spawn(async move {
        let result = connection.await;
        super::lock(&shared).close(result.err().and_then(|error| alert_of(&error)));
    });
    Ok(Line { sender, end, quic: None })
}

fn failure(error: &(dyn StdError + 'static)) -> Failure {
    alert_of(error).map_or_else(|| Failure::Other(chain_text(error)), Failure::Alert)
}

fn rustls_error(error: &std::io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// The alert somewhere in a chain of causes.
fn alert_of(error: &(dyn StdError + 'static)) -> Option<AlertDescription> {
    let mut next = Some(error);
    while let Some(current) = next {
        let inside = current.downcast_ref::<std::io::Error>().and_then(rustls_error);
        if let Some(rustls::Error::AlertReceived(alert)) = inside.or_else(|| current.downcast_ref()) {
            return is_refusal(*alert).then_some(*alert);
        }
        next = current.source();
    }
    None
}
