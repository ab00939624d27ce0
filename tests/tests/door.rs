//! At the door, over real TLS: who is refused, by what reason, whom the client refuses, and that nobody else notices.

mod stage;

use std::sync::Arc;

use certs_dev::forge::{Ca, Name, Pair, Spec};
use client::link::{Credentials, Link};
use client::{Client, Error, Origin};
use envelope::entry::Entry;
use envelope::identity::{PublicKey, Role};
use envelope::keys::SigningKey;
use prost::Message as _;
use proto::v1;
use rustls::client::Resumption;
use rustls::{AlertDescription, HandshakeKind};
use stage::{Gateway, Stage, address_of, ask, at, connect_from, credentials, now, soon, tls};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const POST: &str = "ke/cus/kemba";

/// The stagehand: a gateway, and a witness who must never be disturbed.
struct Door {
    stage: Stage,
    gateway: Gateway,
    witness: Link,
}

impl Door {
    async fn open() -> Self {
        let stage = Stage::new();
        let gateway = stage.serve();
        let witness = stage.connect(&gateway.url, "th").await;
        Self { stage, gateway, witness }
    }

    /// Knocks; the client is refused, the gateway's log says why, and the witness is served.
    async fn check(&self, what: &str, credentials: Credentials, alert: Option<&str>, reason: &str) {
        let mark = self.gateway.mark();
        let refused = self.stage.knock(&self.gateway.url, credentials).await.expect_err(what);
        match (&refused, alert) {
            (Error::CertificateRefused { alert: told }, Some(alert)) => assert_eq!(told, alert, "{what}"),
            // A bare end may be anybody's doing, so the client would come back.
            (Error::Unreachable { .. }, None) => {}
            _ => panic!("{what}: {refused}"),
        }
        let line = self.gateway.logs(mark, reason).await;
        assert!(line.contains("refused at the door") || line.contains("a handshake failed"), "{what}: {line}");
        ask(&self.witness).await.expect("the witness is served");
    }

    /// As [`Door::check`] for a leaf with the CAs behind it, which the verifier refuses.
    async fn refuses(&self, what: &str, (leaf, key): (Vec<u8>, Pair), cas: &[&Ca], reason: &str) {
        let chain: Vec<_> = std::iter::once(leaf).chain(cas.iter().map(|ca| ca.der.clone())).collect();
        self.check(what, credentials(&chain, &key), Some(ACCESS_DENIED), reason).await;
    }

    /// The witness has been served on one and the same connection, and nothing was written on anybody's behalf.
    async fn close(self) {
        assert!(!self.witness.is_closed());
        self.gateway.kill().await;
        let entries = self.stage.audit();
        let quiet = |entry: &Entry| matches!(entry, Entry::Genesis(_) | Entry::Head(_) | Entry::Started(_) | Entry::RevocationsSeen { .. });
        assert!(entries.iter().all(|(_, entry)| quiet(entry)), "{entries:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spare_ca_in_the_list_lends_no_name_in_any_order() {
    let door = Door::open().await;
    let [kenya, thailand, china] = ["ke", "th", "cn"].map(|name| door.stage.ca(name));
    let (ke, th, cn) = (&kenya, &thailand, &china);
    for (at, spare) in [[th, ke, cn], [th, cn, ke], [ke, th, cn], [ke, cn, th], [cn, th, ke], [cn, ke, th]].iter().enumerate() {
        let forged = door.stage.leaf(th, POST, |_| {});
        door.refuses(&format!("order {at}"), forged, spare, "ke/cus/kemba lies outside its issuer's subtree (th)").await;
    }
    let sound = || door.stage.leaf(ke, POST, |_| {});
    door.refuses("a sound leaf with a spare ca", sound(), &[ke, th], "not exactly the path").await;
    door.refuses("a sound leaf without its ca", sound(), &[], "no path leads from the leaf").await;
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_of_another_or_of_no_country_lends_no_name() {
    let door = Door::open().await;
    let network = &door.stage.trust.network;
    let [root, kenya, thailand, china] = ["", "ke", "th", "cn"].map(|name| door.stage.ca(name));
    // China's CA may have CAs below it, Thailand's may not.
    for (ca, reason) in
        [(&thailand, "longer than the path length of one of its cas"), (&china, "ke lies outside its issuer's subtree (cn)")]
    {
        let crossed = ca.certify(&Spec::ca(network, "ke", Some(0), now()), door.stage.ca("ke").pair).expect("a certificate");
        let leaf = door.stage.leaf(&kenya, POST, |_| {});
        door.refuses("ke's key, certified by another bureau", leaf, &[&crossed, ca], reason).await;
    }
    for name in ["k", "ke-x", "KE", "ke/"] {
        let ca = root.subordinate(&Spec::ca(network, name, Some(0), now())).expect("a ca");
        let what = format!("a ca named {name:?}");
        door.refuses(&what, door.stage.leaf(&ca, POST, |_| {}), &[&ca], "certificate 1 is not the canonical spelling").await;
    }
    let other = root.subordinate(&Spec::ca(network, "ug", Some(0), now())).expect("a ca");
    door.refuses("a ca of another country", door.stage.leaf(&other, POST, |_| {}), &[&other], "outside its issuer's subtree (ug)").await;
    let own_root = Ca::root(&Spec::ca(network, "", None, now())).expect("a root");
    let own_kenya = own_root.subordinate(&Spec::ca(network, "ke", Some(0), now())).expect("a ca");
    door.refuses("the same names under another root", door.stage.leaf(&own_kenya, POST, |_| {}), &[&own_kenya], "does not verify").await;
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_speaks_in_its_own_role_only() {
    let door = Door::open().await;
    let network = &door.stage.trust.network;
    let kenya = door.stage.ca("ke");
    let post = kenya.certify(&Spec::tls(network, &at(POST), now()), Pair::generate().expect("a key")).expect("a certificate");
    let below = door.stage.leaf(&post, "ke/cus/other", |_| {});
    door.refuses("an endpoint that acts as a ca", below, &[&post, &kenya], "certificate 1 is not a ca and cannot issue").await;
    let as_leaf = credentials(std::slice::from_ref(&kenya.der), &kenya.pair);
    door.check("a ca that knocks itself", as_leaf, Some(ACCESS_DENIED), "a ca never authenticates").await;

    let (chain, key) = tls::read(&door.stage.folder_of("node/dev-1"), "tls");
    door.check(
        "a node's certificate",
        Credentials::new(chain, key),
        Some(ACCESS_DENIED),
        "node/dev-1 cannot have a certificate for a participant's tls",
    )
    .await;
    let (chain, key) = tls::read(&door.stage.folder_of(POST), "identity");
    // Ed25519 is not among the schemes that the gateway asks for, so the client has nothing to show.
    door.check("an identity's certificate", Credentials::new(chain, key), Some("CertificateRequired"), "peer sent no certificates").await;
    let identity = door.stage.leaf(&kenya, POST, |spec| *spec = Spec::identity(network, &at(POST), now()));
    door.refuses(
        "an identity's certificate with a tls key",
        identity,
        &[&kenya],
        "the extended key usage is not that of a participant's tls",
    )
    .await;
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_out_of_time_misspelt_or_unknown_is_refused() {
    let door = Door::open().await;
    let kenya = door.stage.ca("ke");
    let expired = door.stage.leaf(&kenya, POST, |spec| spec.not_after = now().minus(1000));
    door.refuses("expired", expired, &[&kenya], "certificate 0 has expired").await;
    let early = door.stage.leaf(&kenya, POST, |spec| spec.not_before = now().plus(60_000));
    door.refuses("early", early, &[&kenya], "certificate 0 is not yet valid").await;
    let network = &door.stage.trust.network;
    for spelling in [
        "SPIFFE://N/ke/cus/kemba",
        "spiffe://N/ke/cus/kemba/",
        "spiffe://N:443/ke/cus/kemba",
        "spiffe://N/ke/cus/%6bemba",
        "spiffe://other.test/ke/cus/kemba",
        "spiffe://N/ke//cus/kemba",
    ] {
        let uri = spelling.replace('N', network.as_str());
        let misspelt = door.stage.leaf(&kenya, POST, |spec| spec.names = vec![Name::uri(&uri)]);
        door.refuses(&uri, misspelt, &[&kenya], "is not the canonical spelling").await;
    }
    let two = door.stage.leaf(&kenya, POST, |spec| spec.names.push(Name::uri(at("ke").spiffe_id(network))));
    door.refuses("two names", two, &[&kenya], "has 2 uri sans").await;
    let host = door.stage.leaf(&kenya, POST, |spec| spec.names.push(Name::Dns("localhost".to_owned())));
    door.refuses("a host's name", host, &[&kenya], "has a san besides its uri").await;

    let (leaf, key) = door.stage.leaf(&kenya, "ke/cus/unknown", |_| {});
    let unknown = credentials(&[leaf, kenya.der.clone()], &key);
    door.check("a sound certificate of nobody", unknown, Some(ACCESS_DENIED), "ke/cus/unknown is not enrolled in this network").await;
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_certificate_or_with_another_protocol_nobody_gets_in() {
    let door = Door::open().await;
    let own = || Some(tls::read(&door.stage.folder_of(POST), "tls"));
    for (what, config, alert) in [
        ("no certificate", tls::client(None, &["h2"]), AlertDescription::CertificateRequired),
        ("http/1.1", tls::client(own(), &["http/1.1"]), AlertDescription::NoApplicationProtocol),
    ] {
        let error = tls::knock(door.gateway.address(), &Arc::new(config)).await.expect_err(what);
        let told = error.get_ref().and_then(|inside| inside.downcast_ref::<rustls::Error>());
        assert_eq!(told, Some(&rustls::Error::AlertReceived(alert)), "{what}: {error}");
    }
    let mark = door.gateway.mark();
    tls::knock(door.gateway.address(), &Arc::new(tls::client(own(), &[]))).await.expect_err("no protocol agreed on");
    door.gateway.logs(mark, "h2 was not agreed on").await;
    tls::knock(door.gateway.address(), &Arc::new(tls::client(own(), &["h2"]))).await.expect("the same with h2 gets in");
    assert_eq!(tls_12_answer(&door.gateway).await, [21, 3, 3, 0, 2, 2, PROTOCOL_VERSION], "an alert record, fatal");
    ask(&door.witness).await.expect("the witness is served");
    door.close().await;
}

/// What the gateway says to a ClientHello of TLS 1.2 (RFC 5246 7.4.1.2) with suites that would do.
async fn tls_12_answer(gateway: &Gateway) -> Vec<u8> {
    let extension = |kind: u8, body: &[u8]| [&[0, kind, 0, body.len() as u8], body].concat();
    let extensions = [
        extension(10, &[0, 4, 0, 29, 0, 23]),
        extension(11, &[1, 0]),
        extension(13, &[0, 4, 4, 3, 8, 4]),
        extension(16, &[0, 3, 2, b'h', b'2']),
        extension(23, &[]),
    ]
    .concat();
    let suites = [0, 4, 0xc0, 0x2b, 0xc0, 0x2c];
    let body = [&[3, 3][..], &[7; 32], &[0], &suites, &[1, 0, 0, extensions.len() as u8], &extensions].concat();
    let hello = [&[1, 0, 0, body.len() as u8], &body[..]].concat();
    let record = [&[22, 3, 1, 0, hello.len() as u8], &hello[..]].concat();
    let mut stream = TcpStream::connect(gateway.address()).await.expect("connected");
    stream.write_all(&record).await.expect("written");
    let mut answer = Vec::new();
    soon("the end of the connection", stream.read_to_end(&mut answer)).await.expect("read");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn no_session_is_resumed_and_the_key_exchange_is_hybrid() {
    let door = Door::open().await;
    let mut config = tls::client(Some(tls::read(&door.stage.folder_of(POST), "tls")), &["h2"]);
    config.resumption = Resumption::in_memory_sessions(8);
    let config = Arc::new(config);
    for _ in 0..3 {
        let mut stream = tls::knock(door.gateway.address(), &config).await.expect("in");
        assert_eq!(stream.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
        // Preface and empty SETTINGS: by the time they are acknowledged, a ticket would have come.
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.expect("written");
        soon("the acknowledgement", stream.read_u8()).await.expect("read");
        assert_eq!(stream.get_ref().1.tls13_tickets_received(), 0);
    }
    let (url, tapped) = tls::tap(door.gateway.address()).await;
    let link = door.stage.connect(&url, POST).await;
    ask(&link).await.expect("served through the tap");
    check_hellos(&tapped.lock().expect("whole"));
    door.close().await;
}

/// Our client and our gateway agree on the hybrid key exchange, and the client asks for nothing old.
fn check_hellos(tapped: &tls::Tapped) {
    assert_eq!(key_share(&tapped.server), X25519_MLKEM768);
    let asked = extensions_of_hello(&tapped.client);
    assert!(!asked.iter().any(|(kind, _)| [PRE_SHARED_KEY, EARLY_DATA].contains(kind)));
}

/// The group of the ServerHello's key_share (RFC 8446 4.2.8).
fn key_share(server: &[u8]) -> usize {
    let extensions = extensions_of_hello(server);
    let (_, share) = extensions.iter().find(|(kind, _)| *kind == 51).expect("a key share");
    number(&share[..2])
}

/// The extensions of the first hello of a side (RFC 8446 4.1.2 and 4.1.3).
fn extensions_of_hello(bytes: &[u8]) -> Vec<(usize, Vec<u8>)> {
    let from_client = bytes[5] == 1;
    let mut rest = &bytes[5 + 4 + 2 + 32..];
    // Session id, suites, compression: with their lengths from a client, a server names one of each.
    let session = number(take(&mut rest, 1));
    take(&mut rest, session);
    if from_client {
        for width in [2, 1] {
            let length = number(take(&mut rest, width));
            take(&mut rest, length);
        }
    } else {
        take(&mut rest, 3);
    }
    let length = number(take(&mut rest, 2));
    let mut extensions = take(&mut rest, length);
    let mut found = Vec::new();
    while !extensions.is_empty() {
        let (kind, length) = (number(take(&mut extensions, 2)), number(take(&mut extensions, 2)));
        found.push((kind, take(&mut extensions, length).to_vec()));
    }
    found
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, after) = rest.split_at(length);
    *rest = after;
    taken
}

fn number(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_refuses_every_server_that_is_not_its_node() {
    let stage = Stage::new();
    let network = &stage.trust.network;
    let node = |address: &str| Spec::node_tls(network, &at(address), now());
    let own_root = Ca::root(&Spec::ca(network, "", None, now())).expect("a root");
    let own_ca = own_root.subordinate(&Spec::ca(network, "node", Some(0), now())).expect("a ca");
    let made = |ca: &Ca, spec: &Spec| {
        let key = Pair::generate().expect("a key");
        let leaf = ca.issue(spec, &key).expect("a certificate");
        (vec![leaf.into(), ca.der.clone().into()], rustls_pki_types::PrivatePkcs8KeyDer::from(key.pkcs8().to_vec()).into())
    };
    let mut expired = node("node/dev-1");
    expired.not_after = now().minus(1000);
    let mut no_server = node("node/dev-1");
    no_server.usages.clear();
    for (what, server, reason) in [
        ("a post", tls::read(&stage.folder_of(POST), "tls"), "ke/cus/kemba cannot have a certificate for a node's tls"),
        ("another node", made(&stage.ca("node"), &node("node/other")), "it is node/other, which the trust file does not name"),
        ("a bureau's ca", made(&stage.ca("ke"), &node("node/dev-1")), "node/dev-1 lies outside its issuer's subtree (ke)"),
        ("another root", made(&own_ca, &node("node/dev-1")), "does not verify"),
        ("an expired node", made(&stage.ca("node"), &expired), "certificate 0 has expired"),
        (
            "a node's certificate without its usage",
            made(&stage.ca("node"), &no_server),
            "the extended key usage is not that of a node's tls",
        ),
    ] {
        let url = tls::silent_server(server).await;
        let credentials = Credentials::read(&stage.folder_of(POST)).expect("credentials");
        let error = stage.knock(&url, credentials).await.expect_err(what);
        assert_eq!(error.name(), Some("SERVER_REFUSED"), "{what}: {error}");
        assert!(error.to_string().contains(reason), "{what}: {error}");
    }
    stage.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_refuses_a_gateway_whose_log_has_another_key() {
    let stage = Stage::new();
    let gateway = stage.serve();
    // The member's trust file names another key than this gateway signs with; everything else is as it should be.
    let authority = std::fs::read(stage.pki().join("authority/authority.key")).expect("a file");
    let authority = SigningKey::from_pem(&authority).expect("a key");
    let mut trust = stage.trust.clone();
    trust.log_key = SigningKey::generate().expect("a key").0.public().ed25519().expect("its algorithm");
    let path = stage.beside("other-trust.toml");
    std::fs::write(&path, trust.to_toml(&trust.sign(&[&authority]).expect("signed"))).expect("written");
    let origin = Origin { gateway: gateway.url.clone(), trust: path, identity: stage.folder_of("ke") };
    let refused = Client::init(&stage.beside("profile-deceived"), &origin).await.expect_err("another log's key");
    assert_eq!(refused.name(), Some("VERIFICATION_FAILED"), "{refused}");
    assert!(!stage.beside("profile-deceived").exists(), "no profile is left behind");
    // With the right trust file the same member is at home.
    let member = stage.member(&gateway.url, "ke").await;
    assert!(member.checkpoint().is_some());
    gateway.kill().await;
    stage.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_speaks_for_its_sender_only() {
    let stage = Stage::new();
    let gateway = stage.serve();
    let thailand = stage.member(&gateway.url, "th").await;
    let directory = thailand.directory().clone();
    let mut kenya = stage.member(&gateway.url, "ke").await;
    let own = stage.identity_key("ke");
    let (stranger, _) = SigningKey::generate().expect("a key");
    let mut tls_signed = stage.seal(&directory, "ke", 1, |_| {});
    let key = tls_key_id(&stage);
    rename_signer(&mut tls_signed, &key);
    for (what, forged, reason) in [
        ("another's header, own key", stage.seal_with(&directory, POST, 1, &own, |_| {}), "the header's sender is ke/cus/kemba"),
        ("another's header and key", stage.seal(&directory, POST, 1, |_| {}), "the header's sender is ke/cus/kemba"),
        ("own header, a post's key", stage.seal_with(&directory, "ke", 1, &stage.identity_key(POST), |_| {}), "ke/cus/kemba's"),
        ("own header, another bureau's key", stage.seal_with(&directory, "ke", 1, &stage.identity_key("th"), |_| {}), "th's"),
        ("own header, a key of nobody", stage.seal_with(&directory, "ke", 1, &stranger, |_| {}), "a signing key is not enrolled"),
        ("own header, the own tls key", tls_signed, "a signing key is not enrolled"),
    ] {
        let refused = kenya.submit_raw(forged).await.expect_err(what);
        assert_eq!(refused.name(), Some("NOT_SENDER"), "{what}: {refused}");
        assert!(refused.to_string().contains(reason), "{what}: {refused}");
    }
    kenya.submit_raw(stage.seal(&directory, "ke", 1, |_| {})).await.expect("number 1 is still free");
    gateway.kill().await;
    let entries = stage.audit();
    let messages: Vec<_> = entries.iter().filter(|(_, entry)| matches!(entry, Entry::Message(_) | Entry::Refused(_))).collect();
    assert_eq!(messages.len(), 1, "forgeries leave no entry: {messages:?}");
}

/// Id of the key in ke's TLS certificate, as if it were enrolled.
fn tls_key_id(stage: &Stage) -> [u8; 32] {
    let chain = stage.chain_of("ke", "tls.pem");
    let anchors = stage.trust.anchors().expect("roots");
    let certified = anchors.judge(Role::Tls, &chain, now(), &envelope::identity::NothingRevoked).expect("a sound chain");
    assert!(matches!(certified.public, PublicKey::P256(_)));
    certified.key_id
}

/// Puts another key's id into header and signature.
fn rename_signer(submission: &mut v1::Submission, key_id: &[u8; 32]) {
    let signed = submission.signed.as_mut().expect("signed");
    let mut header = v1::Header::decode(signed.header.clone()).expect("a header");
    let mut context = v1::Context::decode(header.context.clone()).expect("a context");
    context.signers[0].key_id = key_id.to_vec().into();
    header.context = context.encode_to_vec().into();
    signed.header = header.encode_to_vec().into();
    signed.signatures[0].key_id = key_id.to_vec().into();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_silent_connections_stop_nobody() {
    let door = Door::open().await;
    let address = address_of(&door.gateway.url);
    let mut silent = Vec::new();
    for n in 0..200 {
        // Of two sources, neither of which has more than its share, which is another promise.
        silent.push(connect_from(2 + n % 2, address).await);
    }
    let sound = door.stage.connect(&door.gateway.url, POST).await;
    ask(&sound).await.expect("served while 200 are silent");
    ask(&door.witness).await.expect("the witness is served");
    // Each is dropped when its handshake has taken too long.
    for mut stream in silent {
        let ended = soon("the end of a silent connection", stream.read(&mut [0; 1])).await;
        assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    }
    ask(&sound).await.expect("served after they were dropped");
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_after_the_handshake_is_cut() {
    let door = Door::open().await;
    let config = Arc::new(tls::client(Some(tls::read(&door.stage.folder_of(POST), "tls")), &["h2"]));
    let mut silent = tls::knock(door.gateway.address(), &config).await.expect("a sound certificate");
    let mark = door.gateway.mark();
    drop(soon("the end of the silent connection", silent.read_to_end(&mut Vec::new())).await);
    door.gateway.logs(mark, "cut: no http/2 preface came").await;
    ask(&door.witness).await.expect("the witness is served");
    door.close().await;
}

/// What rustls makes of our verifier's refusal.
const ACCESS_DENIED: &str = "AccessDenied";
const PROTOCOL_VERSION: u8 = 70;
const X25519_MLKEM768: usize = 0x11ec;
const PRE_SHARED_KEY: usize = 41;
const EARLY_DATA: usize = 42;
