//! Bad links: what is sent arrives once, whatever the network does to it and whichever transport carries it.

mod stage;

use std::time::Duration;

use bench::lab::proxy::State;
use bench::lab::{Lab, Link};
use client::{Carrier, Client, Compose, Profile, ReceiveOptions, Route, Transport};
use envelope::entry::Entry;
use envelope::header::Header;
use stage::{Stage, at, soon};

/// A link as a fast clock sees it: what would take minutes takes seconds.
fn scaled(rtt_ms: u64, loss_permille: u32) -> Link {
    let link = Link::half_of(Duration::from_millis(rtt_ms), loss_permille, 5_000_000);
    Link { jitter: link.delay / 10, reorder_permille: 10, late: link.delay / 2, ..link }.scaled(10)
}

/// A member whose gateway is behind the lab, by this route.
async fn member(stage: &Stage, lab: &Lab, address: &str, route: Route) -> Client {
    drop(stage.member(&lab.url(), address).await);
    let profile = Profile::open(&stage.beside(&format!("profile-{}", at(address).file_name()))).expect("a profile").by(route);
    Client::connect(&profile).await.expect("connected")
}

fn route(transport: Transport) -> Route {
    Route { transport, head_start: Duration::from_millis(400), quiet: Duration::from_secs(2) }
}

fn note(number: u64) -> Compose {
    Compose { wait: Duration::from_secs(30), ..Compose::new(vec![at("th")], format!("letter {number}").into_bytes()) }
}

fn carrier(client: &Client) -> Option<Carrier> {
    client.link().map(client::Link::carrier)
}

/// Numbers of the messages of `sender` in the stopped store, in the log's order.
fn numbers(stage: &Stage, sender: &str) -> Vec<u64> {
    let number = |(_, entry): &(u64, Entry)| match entry {
        Entry::Message(message) => {
            let header = Header::parse(&message.header, &stage.trust.network).expect("a header");
            (header.context.reference.sender == at(sender)).then_some(header.context.reference.number)
        }
        _ => None,
    };
    stage.audit().iter().filter_map(number).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn udp_dies_in_a_run_of_messages_and_each_arrives_once_over_tcp() {
    let stage = Stage::new();
    let running = stage.run().await;
    let lab = Lab::before(running.address, scaled(50, 0), 1).await.expect("a lab");
    let mut thailand = stage.member(&format!("https://{}", running.address), "th").await;
    let mut kenya = member(&stage, &lab, "ke", route(Transport::Auto)).await;
    assert_eq!(carrier(&kenya), Some(Carrier::Quic));
    let mut receipts = Vec::new();
    for number in 1..=6 {
        match number {
            // The message gets through, the answer does not: it is sent again, and is there already.
            3 => lab.set(State { udp_down_dark: true, ..State::default() }),
            4 => lab.set(State { udp_up_dark: true, udp_down_dark: true, ..State::default() }),
            _ => {}
        }
        let sent = soon("a message", kenya.send(note(number))).await.expect("sent");
        receipts.push(sent.position.index);
        assert_eq!(carrier(&kenya), Some(if number < 3 { Carrier::Quic } else { Carrier::Tcp }), "message {number}");
    }
    assert!(receipts.is_sorted());
    // The next connection finds the better way again.
    lab.set(State::default());
    kenya.reconnect(client::CONNECT_TIMEOUT).await.expect("connected");
    assert_eq!(carrier(&kenya), Some(Carrier::Quic));
    soon("a message", kenya.send(note(7))).await.expect("sent");

    let mail = thailand.receive(ReceiveOptions::default()).await.expect("mail");
    let received: Vec<u64> = mail.received.iter().map(|message| message.reference.number).collect();
    assert_eq!(received, [1, 2, 3, 4, 5, 6, 7]);
    drop((kenya, thailand));
    soon("the stop", running.stop()).await;
    assert_eq!(numbers(&stage, "ke"), [1, 2, 3, 4, 5, 6, 7]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_goes_on_when_the_clients_address_changes() {
    let stage = Stage::new();
    let gateway = stage.serve();
    // Half a second for the message.
    let link = Link { rate_bits: 4_000_000, delay: Duration::from_millis(5), ..Link::default() };
    let lab = Lab::before(gateway.address(), link, 2).await.expect("a lab");
    drop(stage.member(&gateway.url, "th").await);
    let mut kenya = member(&stage, &lab, "ke", Route::from(Transport::Quic)).await;
    let mark = gateway.mark();
    let before = lab.passed().udp_up_bytes;
    let large = Compose { wait: Duration::from_secs(30), ..Compose::new(vec![at("th")], vec![7; 250 << 10]) };
    let sending = async { soon("the message", kenya.send(large)).await.expect("sent") };
    let moving = async {
        for part in 1..=3 {
            lab.until(|passed| passed.udp_up_bytes > before + part * (60 << 10)).await;
            lab.change_addresses().await;
        }
    };
    let (sent, ()) = tokio::join!(sending, moving);
    assert_eq!(sent.reference.number, 1);
    assert_eq!(carrier(&kenya), Some(Carrier::Quic));
    drop(kenya);
    gateway.logs(mark, "disconnected peer=ke").await;
    let log = gateway.kill().await;
    assert!(!log[mark..].contains(" connected peer=ke"), "it was one connection:\n{}", &log[mark..]);
    assert_eq!(numbers(&stage, "ke"), [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_udp_is_swallowed_tcp_carries_everything() {
    let stage = Stage::new();
    let running = stage.run().await;
    let lab = Lab::before(running.address, scaled(200, 0), 3).await.expect("a lab");
    lab.set(State { udp_up_dark: true, udp_down_dark: true, ..State::default() });
    drop(stage.member(&format!("https://{}", running.address), "th").await);
    let mut kenya = member(&stage, &lab, "ke", route(Transport::Auto)).await;
    for number in 1..=3 {
        soon("a message", kenya.send(note(number))).await.expect("sent");
        assert_eq!(carrier(&kenya), Some(Carrier::Tcp));
    }
    // Held for a while, TCP goes on where it was.
    lab.set(State { udp_up_dark: true, udp_down_dark: true, tcp_dark: true });
    let before = lab.passed().tcp_up_bytes;
    {
        let mut sending = std::pin::pin!(kenya.send(note(4)));
        tokio::select! {
            biased;
            sent = &mut sending => panic!("{sent:?} through the dark"),
            () = soon("a byte", lab.until(|passed| passed.tcp_up_bytes > before)) => {}
        }
        lab.set(State { udp_up_dark: true, udp_down_dark: true, tcp_dark: false });
        soon("the message", sending).await.expect("sent");
    }
    assert_eq!((carrier(&kenya), lab.passed().tcp), (Some(Carrier::Tcp), 2), "the profile's making, and this");
    let alone = Profile::clone(kenya.profile()).by(route(Transport::Quic));
    let refused = Client::offline(&alone).expect("a client").reconnect(Duration::from_secs(1)).await.expect_err("nothing gets through");
    assert!(matches!(refused, client::Error::Unreachable { .. }), "{refused}");
    drop((kenya, alone));
    soon("the stop", running.stop()).await;
    assert_eq!(numbers(&stage, "ke"), [1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn loss_reordering_and_jitter_lose_nothing() {
    let stage = Stage::new();
    let running = stage.run().await;
    let mut thailand = stage.member(&format!("https://{}", running.address), "th").await;
    let mut expected = Vec::new();
    for (seed, loss_permille) in [(11, 20), (12, 50), (13, 100)] {
        let lab = Lab::before(running.address, scaled(600, loss_permille), seed).await.expect("a lab");
        let profile = stage.beside("profile-ke");
        let mut kenya = if profile.exists() {
            // The same member behind another link.
            let file = profile.join("profile.toml");
            let text = std::fs::read_to_string(&file).expect("a profile");
            let at = text.find("https://").expect("a url");
            let end = at + text[at..].find('"').expect("its end");
            std::fs::write(&file, format!("{}{}{}", &text[..at], lab.url(), &text[end..])).expect("written");
            let profile = Profile::open(&profile).expect("a profile").by(Transport::Quic.into());
            let mut kenya = Client::offline(&profile).expect("a client");
            kenya.reconnect(Duration::from_secs(20)).await.expect("connected");
            kenya
        } else {
            member(&stage, &lab, "ke", Route::from(Transport::Quic)).await
        };
        for _ in 0..5 {
            let number = expected.len() as u64 + 1;
            soon("a message", kenya.send(note(number))).await.expect("sent");
            expected.push(number);
        }
        let large = Compose { wait: Duration::from_secs(30), ..Compose::new(vec![at("th")], vec![7; 200 << 10]) };
        soon("a large one", kenya.send(large)).await.expect("sent");
        expected.push(expected.len() as u64 + 1);
        assert_eq!(carrier(&kenya), Some(Carrier::Quic));
    }
    let mail = thailand.receive(ReceiveOptions::default()).await.expect("mail");
    let received: Vec<u64> = mail.received.iter().map(|message| message.reference.number).collect();
    assert_eq!(received, expected);
    drop(thailand);
    soon("the stop", running.stop()).await;
    assert_eq!(numbers(&stage, "ke"), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_stops_answers_first_what_it_has_taken() {
    let stage = Stage::new();
    let running = stage.run().await;
    drop(stage.member(&format!("https://{}", running.address), "th").await);
    let lab = Lab::before(running.address, scaled(200, 0), 21).await.expect("a lab");
    let mut kenya = member(&stage, &lab, "ke", Route { quiet: Duration::from_secs(20), ..route(Transport::Quic) }).await;
    let mut mailbox = running.shared().mailbox(&at("th"));
    let letter = stage.seal(kenya.directory(), "ke", 1, |_| {});
    let sending = kenya.submit_raw(letter);
    let losing = async {
        soon("the entry", mailbox.changed()).await.expect("the gateway runs");
        lab.set(State { udp_down_dark: true, ..State::default() });
        // The answer, and what follows it, are lost while the gateway stops: it has to say them again.
        let lost = lab.passed().udp_down_lost;
        let stopping = soon("the stop", running.stop());
        let mending = async {
            soon("losses", lab.until(|passed| passed.udp_down_lost >= lost + 2)).await;
            lab.set(State::default());
        };
        tokio::join!(stopping, mending);
    };
    let (sent, ()) = tokio::join!(async { soon("the message", sending).await }, losing);
    assert!(!sent.expect("it was answered before the end").receipt.is_empty());
    drop(kenya);
    assert_eq!(numbers(&stage, "ke"), [1]);
}
