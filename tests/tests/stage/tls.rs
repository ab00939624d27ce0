//! TLS below the client library: ends that offer what no client of ours would, servers that are none, and a tap.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bench::attack::AnyServer;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

pub(crate) type KeyAndChain = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// A chain and key as files of a folder hold them.
pub(crate) fn read(folder: &std::path::Path, name: &str) -> KeyAndChain {
    use rustls_pki_types::pem::PemObject as _;
    let chain = certs_dev::read_chain(&folder.join(name).with_extension("pem")).expect("a chain");
    let key = PrivateKeyDer::from_pem_file(folder.join(name).with_extension("key")).expect("a key");
    (chain.into_iter().map(CertificateDer::from).collect(), key)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// A client that believes any server.
pub(crate) fn client(own: Option<KeyAndChain>, alpn: &[&str]) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[&rustls::version::TLS13]).expect("tls 1.3");
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyServer(provider())));
    let mut config = match own {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).expect("a key that fits"),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

/// As [`client`], over QUIC: it would send early data if it could.
pub(crate) fn quic(own: Option<KeyAndChain>, alpn: &[&str]) -> (quinn::Endpoint, quinn::ClientConfig) {
    let mut config = client(own, alpn);
    config.enable_early_data = true;
    let config = quinn::crypto::rustls::QuicClientConfig::try_from(config).expect("a suite");
    (quinn::Endpoint::client(([127, 0, 0, 1], 0).into()).expect("a socket"), quinn::ClientConfig::new(Arc::new(config)))
}

/// A client that shows any chain with any key, whether they fit or not, and believes any server.
pub(crate) fn showing((chain, key): KeyAndChain) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[&rustls::version::TLS13]).expect("tls 1.3");
    let key = provider().key_provider.load_private_key(key).expect("a key");
    let shown = rustls::sign::SingleCertAndKey::from(rustls::sign::CertifiedKey::new(chain, key));
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyServer(provider())));
    let mut config = builder.with_client_cert_resolver(Arc::new(shown));
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

/// Shakes hands and reads the first bytes: in TLS 1.3 a client learns only then what the server thinks of it.
pub(crate) async fn knock(to: SocketAddr, config: &Arc<ClientConfig>) -> std::io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(to).await?;
    let name = ServerName::try_from("localhost").expect("a name");
    let mut stream = TlsConnector::from(config.clone()).connect(name, tcp).await?;
    let mut first = [0; 9];
    super::soon("the server's first bytes", stream.read_exact(&mut first)).await?;
    Ok(stream)
}

/// A server that shakes hands with whoever comes, and says nothing.
pub(crate) async fn silent_server((chain, key): KeyAndChain) -> String {
    let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&rustls::version::TLS13]).expect("tls 1.3");
    let mut config = builder.with_no_client_auth().with_single_cert(chain, key).expect("a key that fits");
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("https://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    drop(stream.read_to_end(&mut Vec::new()).await);
                }
            });
        }
    });
    url
}

/// What went through a tap: from the client, and from the server.
#[derive(Debug, Default)]
pub(crate) struct Tapped {
    pub(crate) client: Vec<u8>,
    pub(crate) server: Vec<u8>,
}

/// A way to `to` that keeps what goes through it on the first connection.
pub(crate) async fn tap(to: SocketAddr) -> (String, Arc<Mutex<Tapped>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("https://{}", listener.local_addr().expect("an address"));
    let tapped = Arc::new(Mutex::new(Tapped::default()));
    let kept = tapped.clone();
    tokio::spawn(async move {
        let (near, _) = listener.accept().await.expect("a client");
        let far = TcpStream::connect(to).await.expect("the server");
        let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
        let (for_client, for_server) = (kept.clone(), kept);
        tokio::spawn(copy(near_read, far_write, move |bytes| for_client.lock().expect("whole").client.extend(bytes)));
        copy(far_read, near_write, move |bytes| for_server.lock().expect("whole").server.extend(bytes)).await;
    });
    (url, tapped)
}

async fn copy(mut from: tokio::net::tcp::OwnedReadHalf, mut to: tokio::net::tcp::OwnedWriteHalf, keep: impl Fn(&[u8])) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        keep(&buffer[..count]);
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
