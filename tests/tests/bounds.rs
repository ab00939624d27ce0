//! Bounds as an operator sets them: each is what the configuration says, and one that cannot be is refused at the start.

mod stage;

use std::process::Command;

use client::link::Link;
use gateway::bounds::Limits;
use proto::v1;
use proto::v1::directory_client::DirectoryClient;
use stage::frames::{self, Raw, frame};
use stage::{Gateway, Stage, ask, soon};

/// A gateway with other bounds, and ke's connection to it.
async fn with(change: impl FnOnce(&mut Limits)) -> (Stage, Gateway, Link) {
    let stage = Stage::new();
    stage.limit(change);
    let gateway = stage.serve();
    let link = stage.connect(&gateway.url, "ke").await;
    ask(&link).await.expect("served");
    (stage, gateway, link)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_ends_idle_old_or_silent_when_the_configuration_says_so() {
    let (_stage, gateway, link) = with(|limits| limits.idle_timeout_s = 1).await;
    gateway.logs(0, "disconnected peer=ke").await;
    let closed = async {
        while !link.is_closed() {
            tokio::task::yield_now().await;
        }
    };
    soon("the end of the link", closed).await;

    // A call that is open gets the grace period, and no more.
    let (_stage, gateway, link) = with(|limits| (limits.connection_age_s, limits.shutdown_grace_s) = (1, 1)).await;
    let mut directory = DirectoryClient::with_origin(link.clone(), link.origin());
    let mut watching = directory.watch(v1::WatchRequest { from_size: u64::MAX }).await.expect("a stream").into_inner();
    gateway.logs(0, "cut: calls were still open after the grace period peer=ke").await;
    assert!(!matches!(soon("the end of the stream", watching.message()).await, Ok(Some(_))));

    let (stage, gateway, _) = with(|limits| (limits.keepalive_interval_s, limits.keepalive_timeout_s) = (1, 1)).await;
    let mut deaf = Raw::open(gateway.address(), &stage.folder_of("th"), &[]).await;
    let mut pinged = false;
    while let Some(said) = soon("a ping, or the end", deaf.next()).await {
        pinged |= said.kind == frames::PING;
    }
    assert!(pinged, "it was asked whether it is there");

    let (stage, gateway, _) = with(|limits| limits.preface_timeout_s = 1).await;
    let config = std::sync::Arc::new(stage::tls::client(Some(stage::tls::read(&stage.folder_of("th"), "tls")), &["h2"]));
    let _silent = stage::tls::knock(gateway.address(), &config).await.expect("a sound certificate");
    gateway.logs(0, "cut: no http/2 preface came peer=th").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_and_headers_are_bounded_as_the_configuration_says() {
    let (stage, gateway, link) = with(|limits| (limits.streams_per_connection, limits.header_list_bytes) = (2, 8192)).await;
    let mut directory = DirectoryClient::with_origin(link.clone(), link.origin());
    let mut watching = Vec::new();
    for _ in 0..2 {
        watching.push(directory.watch(v1::WatchRequest { from_size: u64::MAX }).await.expect("a stream"));
    }
    let waiting = tokio::spawn({
        let link = link.clone();
        async move { ask(&link).await }
    });
    ask(&stage.connect(&gateway.url, "th").await).await.expect("another connection is served");
    assert!(!waiting.is_finished(), "no stream is free");
    watching.pop();
    waiting.await.expect("no panic").expect("served as soon as one is free");

    // Who opens a third without asking is refused that call; one header above the bound is answered.
    let mut raw = Raw::open(gateway.address(), &stage.folder_of("th"), &[]).await;
    let large = [frames::call("/ecowire.v1.Audit/Checkpoint"), frames::header("x-large", 9000)].concat();
    raw.say(&frame(frames::HEADERS, frames::END_HEADERS | frames::END_STREAM, 1, &large)).await.expect("written");
    let answer = loop {
        let said = soon("an answer", raw.next()).await.expect("the connection lives");
        if said.stream == 1 {
            break said;
        }
    };
    assert_eq!(answer.kind, frames::HEADERS, "431, not the end of the connection");
    for n in 1..4 {
        raw.say(&frames::open(frames::stream(n), "/ecowire.v1.Messages/SubmitStream")).await.expect("written");
    }
    let refused = loop {
        let said = soon("a refused call", raw.next()).await.expect("the connection lives");
        if said.kind == frames::RST_STREAM {
            break said;
        }
    };
    assert_eq!((refused.stream, refused.payload), (frames::stream(3), vec![0, 0, 0, 7]), "REFUSED_STREAM");
}

#[test]
fn a_bound_that_cannot_be_is_refused_at_the_start_by_key_value_and_range() {
    let stage = Stage::new();
    let path = stage.beside("gateway.toml");
    let sound = std::fs::read_to_string(&path).expect("a file");
    for (from, to, said) in [
        ("\nhandshakes = 1024", "\nhandshakes = 7", "limits.handshakes is 7; 8 to 65536 are allowed"),
        (
            "\nconnections = 12288",
            "\nconnections = 500",
            "limits.connections_per_participant is 64; at most 62 are allowed, an eighth of limits.connections (500)",
        ),
        ("\nidle_timeout_s = 900", "\nidle_timeout = 900", "limits.idle_timeout is not a key; did you mean limits.idle_timeout_s?"),
    ] {
        assert!(sound.contains(from), "{from}");
        std::fs::write(&path, sound.replace(from, to)).expect("written");
        let output = Command::new(env!("CARGO_BIN_EXE_ecowire-all"))
            .args(["ecowire-gateway", "serve", "--config"])
            .arg(&path)
            .output()
            .expect("it runs");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && error.contains(said), "{error}");
    }
}
