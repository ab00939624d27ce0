//! QUIC: the second transport has the first one's rules.

mod stage;

use std::net::SocketAddr;
use std::process::Stdio;

use bench::lab::Lab;
use client::Error;
use client::link::{Carrier, Credentials, Link, Transport};
use envelope::identity::{NothingRevoked, Role};
use gateway::limits;
use proto::v1;
use proto::v1::messages_client::MessagesClient;
use quinn::{Connection, ConnectionError, Endpoint};
use stage::{MEMBERS, Stage, ask, now, soon, tls};
use tokio::net::{TcpStream, UdpSocket};
use tokio_stream::wrappers::ReceiverStream;

/// Knocks over QUIC as a member.
async fn knock(stage: &Stage, url: &str, member: &str) -> Result<Link, Error> {
    let credentials = Credentials::read(&stage.folder_of(member)).expect("credentials");
    stage.knock_over(Transport::Quic, url, credentials).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_goes_over_quic() {
    let stage = Stage::new();
    let gateway = stage.serve();
    let url = gateway.url.clone();
    let mut th = stage.member(&url, "th").await;
    let mut ke = stage.member(&url, "ke").await;
    assert_eq!(ke.link().expect("connected").carrier(), Carrier::Quic);

    let to = vec![stage::at("th")];
    let sent = ke.send(client::Compose::new(to.clone(), b"tusks".to_vec())).await.expect("sent");
    // Large enough for a stream of its own.
    let mark = gateway.mark();
    let large = ke.send(client::Compose::new(to, vec![7; 200 << 10])).await.expect("sent");
    gateway.logs(mark, "a stream was opened peer=ke streams=2").await;
    let mail = th.receive(client::ReceiveOptions::default()).await.expect("received");
    let received: Vec<_> = mail.received.iter().map(|message| message.reference.clone()).collect();
    assert_eq!(received, [sent.reference, large.reference]);

    let mut auditor = stage.member(&url, "aud/network").await;
    let verdict = client::audit::verify(&mut auditor, &client::audit::Options::default(), |_, _| ()).await.expect("audited");
    assert_eq!(verdict.findings, []);
    gateway.logs(mark, "a stream was opened peer=aud/network streams=2").await;
    drop((ke, th, auditor));
    gateway.kill().await;
    stage.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_member_is_who_it_is_over_quic() {
    let stage = Stage::new();
    let gateway = stage.serve();
    for member in MEMBERS {
        let mark = gateway.mark();
        let link = knock(&stage, &gateway.url, member).await.expect("connected");
        assert_eq!((link.carrier(), link.node().as_str()), (Carrier::Quic, "node/dev-1"));
        gateway.logs(mark, &format!("connected peer={member} over=\"quic\"")).await;
        soon("an answer", ask(&link)).await.expect("answered");
    }
}

/// The code with which the gateway closes a connection that was not let in.
async fn refused(to: SocketAddr, own: Option<tls::KeyAndChain>, alpn: &[&str]) -> u64 {
    let (endpoint, config) = tls::quic(own, alpn);
    let error = match soon("a handshake", endpoint.connect_with(config, to, "localhost").expect("an address")).await {
        Ok(connection) => soon("the end", connection.closed()).await,
        Err(error) => error,
    };
    match error {
        ConnectionError::ConnectionClosed(close) => close.error_code.into(),
        other => panic!("{other:?}"),
    }
}

/// Shakes hands as a member, below HTTP/2.
async fn enter(stage: &Stage, to: SocketAddr, member: &str) -> (Endpoint, Connection) {
    let (endpoint, config) = tls::quic(Some(tls::read(&stage.folder_of(member), "tls")), &["ecowire-q/1"]);
    let connecting = endpoint.connect_with(config, to, "localhost").expect("an address");
    let connection = soon("a handshake", connecting).await.expect("connected");
    (endpoint, connection)
}

/// The datagram with which a client begins, as it leaves it: caught by a socket that never answers.
async fn first_datagram() -> Vec<u8> {
    let sink = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let (endpoint, config) = tls::quic(None, &["ecowire-q/1"]);
    let connecting = endpoint.connect_with(config, sink.local_addr().expect("an address"), "localhost").expect("an address");
    let mut datagram = vec![0; 2048];
    let bytes = soon("a datagram", sink.recv(&mut datagram)).await.expect("received");
    datagram.truncate(bytes);
    drop(connecting);
    datagram
}

/// One who begins a handshake and says nothing more.
async fn half(to: SocketAddr) -> (UdpSocket, usize) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    socket.connect(to).await.expect("connected");
    let sent = socket.send(&first_datagram().await).await.expect("sent");
    (socket, sent)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_certificate_or_with_another_protocol_nobody_gets_in() {
    let stage = Stage::new();
    let gateway = stage.serve();
    let to = gateway.address();
    let own = || Some(tls::read(&stage.folder_of("ke"), "tls"));
    assert_eq!(refused(to, None, &["ecowire-q/1"]).await, ALERT + 116, "certificate_required");
    for alpn in [&["h2"][..], &["h3"], &[]] {
        assert_eq!(refused(to, own(), alpn).await, ALERT + 120, "no_application_protocol for {alpn:?}");
    }
    // A stranger's certificate: the client says whose fault it is, and does not hide behind TCP.
    let elsewhere = Stage::new();
    let mark = gateway.mark();
    for transport in [Transport::Quic, Transport::Auto] {
        let stranger = Credentials::read(&elsewhere.folder_of("ke")).expect("credentials");
        let error = stage.knock_over(transport, &gateway.url, stranger).await.expect_err("a stranger");
        assert!(matches!(error, Error::CertificateRefused { .. }), "{error}");
    }
    gateway.logs(mark, "a certificate was refused at the door").await;
    // A server of another network is none of ours.
    let credentials = Credentials::read(&elsewhere.folder_of("ke")).expect("credentials");
    let error = elsewhere.knock_over(Transport::Quic, &gateway.url, credentials).await.expect_err("another network's node");
    assert!(matches!(error, Error::Server(_)), "{error}");
    ask(&knock(&stage, &gateway.url, "ke").await.expect("connected")).await.expect("an answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fifth_stream_waits_and_there_are_no_others() {
    let stage = Stage::new();
    let running = stage.run().await;
    let (_endpoint, connection) = enter(&stage, running.address, "ke").await;
    let mut streams = Vec::new();
    for _ in 0..limits::QUIC_STREAMS_MAX {
        let (mut send, recv) = soon("a stream", connection.open_bi()).await.expect("a stream");
        send.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.expect("a preface");
        streams.push((send, recv));
    }
    // Each is spoken to: the server's SETTINGS come.
    for (_, recv) in &mut streams {
        soon("settings", recv.read_exact(&mut [0; 9])).await.expect("settings");
    }
    let mut fifth = Box::pin(connection.open_bi());
    let mut other = Box::pin(connection.open_uni());
    for (_, recv) in &mut streams {
        tokio::select! {
            biased;
            _ = &mut fifth => panic!("a fifth stream"),
            _ = &mut other => panic!("a unidirectional stream"),
            more = recv.read_chunk(1, true) => drop(more.expect("more of it")),
        }
    }
    // When one has ended, another may begin; of the others there is never one.
    let (mut send, mut recv) = streams.pop().expect("a stream");
    send.finish().expect("open");
    drop(soon("the end", recv.read_to_end(1 << 16)).await);
    tokio::select! {
        biased;
        _ = &mut other => panic!("a unidirectional stream"),
        fifth = soon("room", &mut fifth) => drop(fifth.expect("a stream")),
    }
    drop((streams, other));
    connection.close(0u32.into(), b"");
    soon("the stop", running.stop()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_resumed_or_said_early() {
    let stage = Stage::new();
    let running = stage.run().await;
    let (endpoint, config) = tls::quic(Some(tls::read(&stage.folder_of("ke"), "tls")), &["ecowire-q/1"]);
    let connect = || endpoint.connect_with(config.clone(), running.address, "localhost").expect("an address");
    let connection = soon("a handshake", connect()).await.expect("connected");
    let (mut send, mut recv) = connection.open_bi().await.expect("a stream");
    send.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.expect("a preface");
    // By then every ticket would have come.
    soon("settings", recv.read_exact(&mut [0; 9])).await.expect("settings");
    connection.close(0u32.into(), b"");
    // A client that would send early data has nothing to send it with.
    let connecting = connect().into_0rtt().map(|_| "early data").expect_err("no early data");
    let again = soon("a handshake", connecting).await.expect("connected");
    assert!(again.peer_identity().is_some(), "the whole handshake was made again");
    again.close(0u32.into(), b"");
    soon("the stop", running.stop()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_sent_more_than_three_times_what_came_from_there() {
    let stage = Stage::new();
    let gateway = stage.serve();
    let mark = gateway.mark();
    let (socket, sent) = half(gateway.address()).await;
    // The gateway repeats itself until the handshake's time is over.
    let (mut received, mut buffer) = (0, [0; 2048]);
    let over = gateway.logs(mark, "HANDSHAKE_TIMEOUT");
    let mut over = std::pin::pin!(over);
    loop {
        tokio::select! {
            bytes = socket.recv(&mut buffer) => received += bytes.expect("received"),
            _ = &mut over => break,
        }
    }
    assert!(received > 0, "it answers");
    // The library finishes the datagram in which the bound is reached.
    assert!(received <= 3 * sent + 1200, "{received} bytes for {sent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn above_64_handshakes_an_address_is_asked_for_first() {
    let stage = Stage::new();
    let gateway = stage.serve();
    let inside = knock(&stage, &gateway.url, "th").await.expect("connected");
    let mark = gateway.mark();
    let mut knocking = Vec::new();
    for _ in 0..limits::QUIC_UNVALIDATED_HANDSHAKES_MAX {
        let (socket, _) = half(gateway.address()).await;
        // Its handshake is under way when it is answered, with an Initial.
        assert_eq!(soon("an answer", packet_type(&socket)).await, INITIAL);
        knocking.push(socket);
    }
    let (one_more, _) = half(gateway.address()).await;
    assert_eq!(soon("an answer", packet_type(&one_more)).await, RETRY);
    // Whoever has an address gets in all the same, and who is in is served.
    let link = knock(&stage, &gateway.url, "ke").await.expect("connected");
    gateway.logs(mark, "an address is asked for first").await;
    ask(&link).await.expect("an answer");
    ask(&inside).await.expect("an answer");
}

/// The type of the next packet with a long header (RFC 9000 17.2).
async fn packet_type(socket: &UdpSocket) -> u8 {
    let mut buffer = [0; 2048];
    let bytes = socket.recv(&mut buffer).await.expect("received");
    assert!(bytes > 0 && buffer[0] & 0x80 != 0, "a long header");
    (buffer[0] & 0x30) >> 4
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_of_both_transports_share_one_bound() {
    let stage = Stage::new();
    let mut config = stage.config();
    config.limits.handshakes = 2;
    let running = gateway::start(&config).await.expect("the gateway starts");
    let url = format!("https://{}", running.address);
    let inside = knock(&stage, &url, "th").await.expect("connected");
    let silent_over_tcp = TcpStream::connect(running.address).await.expect("connected");
    let (silent, _) = half(running.address).await;
    assert_eq!(soon("an answer", packet_type(&silent)).await, INITIAL);
    for transport in [Transport::Quic, Transport::Tcp] {
        let own = Credentials::read(&stage.folder_of("ke")).expect("credentials");
        let refused = stage.knock_over(transport, &url, own).await.expect_err("two are under way");
        assert!(matches!(refused, Error::Unreachable { .. }), "{refused}");
    }
    ask(&inside).await.expect("who is in is served");
    drop(silent_over_tcp);
    soon("the stop", running.stop()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rubbish_moves_nobody() {
    let stage = Stage::new();
    let gateway = stage.serve();
    let link = knock(&stage, &gateway.url, "ke").await.expect("connected");
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    socket.connect(gateway.address()).await.expect("connected");
    let hello = first_datagram().await;
    let mut sent = 0;
    let mut received = 0;
    for n in 0..2000_usize {
        let noise = envelope::keys::random::<1400>().expect("random");
        let mut datagram = match n % 4 {
            // Short, long, of no version that exists, and a true one with one byte changed.
            0 => noise[..n % 60].to_vec(),
            1 => [&[0x40], &noise[..n % 1300]].concat(),
            2 => [&[0xc0, 9, 9, 9, 9, 8], &noise[..n % 1300]].concat(),
            _ => hello.clone(),
        };
        if n % 4 == 3 {
            let at = n % datagram.len();
            datagram[at] ^= 1 << (n % 8);
        }
        sent += socket.send(&datagram).await.expect("sent");
        let mut buffer = [0; 2048];
        while let Ok(bytes) = socket.try_recv(&mut buffer) {
            received += bytes;
        }
        if n % 500 == 0 {
            ask(&link).await.expect("who is in is served");
        }
    }
    assert!(received <= 3 * sent, "{received} bytes for {sent}");
    ask(&link).await.expect("who is in is served");
    ask(&knock(&stage, &gateway.url, "th").await.expect("connected")).await.expect("an answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_member_is_cut_on_all_its_streams_and_nobody_else() {
    let stage = Stage::new();
    let gateway = stage.serve();
    let (cut, other) =
        (knock(&stage, &gateway.url, POST).await.expect("connected"), knock(&stage, &gateway.url, "th").await.expect("connected"));
    for link in [&cut, &cut.bulk(), &other] {
        ask(link).await.expect("an answer");
    }
    // Something is open on it, too.
    let (requests, queue) = tokio::sync::mpsc::channel(1);
    let start = v1::ReceiveRequest { start: Some(v1::ReceiveStart::default()), credit: 8, statement: None };
    requests.send(start).await.expect("room");
    let mut messages = MessagesClient::with_origin(cut.clone(), cut.origin());
    let mut mail = messages.receive(ReceiverStream::new(queue)).await.expect("a stream").into_inner();
    let mark = gateway.mark();
    let serial = {
        let chain = stage.chain_of(POST, "tls.pem");
        let anchors = stage.trust.anchors().expect("anchors");
        anchors.judge(Role::Tls, &chain, now(), &NothingRevoked).expect("a chain").links[0].serial.clone()
    };
    let list = stage.ca("ke").crl(7, &[(serial, now())], now()).expect("a list");
    let (new, path) = (stage.beside("new.crl"), stage.pki().join("crl").join("ke.crl"));
    std::fs::write(&new, list).and_then(|()| std::fs::rename(&new, &path)).expect("written");
    gateway.logs(mark, "cut: the certificate was revoked").await;
    while let Ok(Some(_)) = soon("the end of its stream", mail.message()).await {}
    gateway.logs(mark, &format!("disconnected peer={POST}")).await;
    ask(&cut).await.expect_err("it is cut");
    ask(&cut.bulk()).await.expect_err("its other stream, too");
    ask(&other).await.expect("nobody else is");
    let refused = knock(&stage, &gateway.url, POST).await.expect_err("a revoked certificate");
    assert!(matches!(refused, Error::CertificateRefused { .. }), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_participants_places_are_counted_over_both_transports_and_after_a_change_of_address() {
    let stage = Stage::new();
    let config = stage.beside("gateway.toml");
    let text = std::fs::read_to_string(&config).expect("a configuration");
    let line = format!("connections_per_participant = {}", limits::CONNECTIONS_PER_PARTICIPANT_MAX);
    assert!(text.contains(&line));
    std::fs::write(&config, text.replace(&line, "connections_per_participant = 1")).expect("written");
    let gateway = stage.serve();
    let lab = Lab::before(gateway.address(), bench::lab::Link::default(), 1).await.expect("a lab");
    let first = knock(&stage, &lab.url(), "ke").await.expect("connected");
    let full = async |when: &str| {
        for transport in [Transport::Quic, Transport::Tcp] {
            let mark = gateway.mark();
            let own = Credentials::read(&stage.folder_of("ke")).expect("credentials");
            let refused = stage.knock_over(transport, &gateway.url, own).await.expect_err(when);
            assert!(matches!(refused, Error::Unreachable { .. }), "{refused}");
            gateway.logs(mark, "too many connections of one participant peer=ke max=1").await;
        }
    };
    full("one is there").await;
    lab.change_addresses().await;
    ask(&first).await.expect("it goes on from its new address");
    full("it is still one").await;
    let mark = gateway.mark();
    drop(first);
    gateway.logs(mark, "disconnected peer=ke").await;
    ask(&knock(&stage, &gateway.url, "ke").await.expect("there is room again")).await.expect("an answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_ends_with_its_certificate_over_either_transport() {
    let stage = Stage::new();
    let gateway = stage.serve();
    let kenya = stage.ca("ke");
    for transport in [Transport::Quic, Transport::Tcp] {
        let mark = gateway.mark();
        // Certificates count whole seconds.
        let (leaf, key) = stage.leaf(&kenya, "ke", |spec| spec.not_after = now().plus(4000));
        let own = stage::credentials(&[leaf, kenya.der.clone()], &key);
        let link = stage.knock_over(transport, &gateway.url, own).await.expect("connected");
        ask(&link).await.expect("an answer");
        gateway.logs(mark, "cut: the certificate has reached its end peer=ke").await;
        gateway.logs(mark, "disconnected peer=ke").await;
        soon("the end", async { while ask(&link).await.is_ok() {} }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_opens_no_stream_is_sent_away() {
    let stage = Stage::new();
    let running = stage.run().await;
    let (_endpoint, connection) = enter(&stage, running.address, "ke").await;
    let closed = soon("the end", connection.closed()).await;
    assert!(matches!(closed, ConnectionError::ApplicationClosed(_)), "{closed:?}");
    soon("the stop", running.stop()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_a_client_learns_that_its_connection_is_gone() {
    let stage = Stage::new();
    let gateway = stage.serve();
    let (to, config) = (gateway.address(), stage.beside("gateway.toml"));
    let (_endpoint, connection) = enter(&stage, to, "ke").await;
    gateway.kill().await;
    let text = std::fs::read_to_string(&config).expect("a configuration");
    std::fs::write(&config, text.replace("127.0.0.1:0", &to.to_string())).expect("written");
    let gateway = stage.serve();
    let (mut send, _recv) = connection.open_bi().await.expect("a stream");
    send.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("written");
    let closed = soon("the end", connection.closed()).await;
    assert!(matches!(closed, ConnectionError::Reset), "{closed:?}");
    drop(gateway);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_without_udp_says_why_and_serves_over_tcp_when_told_so() {
    let stage = Stage::new();
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let mut config = stage.config();
    config.listen = taken.local_addr().expect("an address");
    let error = gateway::start(&config).await.err().expect("the port is taken over udp").to_string();
    assert!(error.contains("over udp") && error.contains("enabled = false"), "{error}");
    config.quic.enabled = false;
    let running = gateway::start(&config).await.expect("the gateway starts");
    drop(taken);
    let url = format!("https://{}", running.address);
    let own = || Credentials::read(&stage.folder_of("ke")).expect("credentials");
    let link = stage.knock_over(Transport::Auto, &url, own()).await.expect("connected");
    assert_eq!(link.carrier(), Carrier::Tcp);
    let error = stage.knock_over(Transport::Quic, &url, own()).await.expect_err("there is no quic").to_string();
    assert!(error.contains("nothing listens there over udp"), "{error}");
    drop(link);
    soon("the stop", running.stop()).await;
}

/// TLS alerts are codes from here (RFC 9001 4.8).
const ALERT: u64 = 0x100;
const INITIAL: u8 = 0;
const RETRY: u8 = 3;
const POST: &str = "ke/cus/kemba";

/// The command's answer: its code, what it says, and what it says beside.
fn ecowire(args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ecowire-all"));
    let piped = command.arg("ecowire").args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = stage::spawn(piped).wait_with_output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_name_the_transport_and_take_their_leave() {
    let stage = Stage::new();
    let gateway = stage.serve();
    drop(stage.member(&gateway.url, "th").await);
    let path = |name: &str| stage.beside(name).display().to_string();
    std::fs::write(stage.beside("text"), "tusks").expect("written");
    let (profile, trust, identity) = (path("ke"), path("pki/trust.toml"), path("pki/ke"));
    let init = ["init", "--profile", &profile, "--gateway", &gateway.url, "--trust", &trust, "--identity", &identity];
    let said = ecowire(&[&init[..], &["--transport", "tcp", "-v"]].concat());
    assert!(said.2.contains("connected to node/dev-1 over tcp"), "{said:?}");
    let file = path("text");
    let send = ["send", "--profile", &profile, "--to", "th", "--file", &file, "--json"];
    // As the profile says, and as the command says otherwise.
    for (more, carrier) in [(&[][..], "tcp"), (&["--transport", "quic", "--verbose"], "quic"), (&["--transport", "auto"], "quic")] {
        let mark = gateway.mark();
        let (code, out, err) = ecowire(&[&send[..], more].concat());
        let line: serde_json::Value = serde_json::from_str(&out).expect("a line of json");
        assert_eq!((code, line["transport"].as_str()), (Some(0), Some(carrier)), "{out}{err}");
        assert_eq!(err.contains("connected to node/dev-1 over quic"), more.contains(&"--verbose"), "{err}");
        let left = gateway.logs(mark, "disconnected peer=ke").await;
        // It says so itself; nobody has to wait for its silence.
        assert!(carrier == "tcp" || left.contains("closed by peer"), "{left}");
    }
    let (code, _, err) = ecowire(&[&send[..], &["--transport", "pigeon"]].concat());
    assert!(code == Some(2) && err.contains("auto, quic, tcp"), "{err}");
}
