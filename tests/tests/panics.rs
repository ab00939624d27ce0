//! A panic ends one call at most: the connection, the others, and the gateway go on. In the writer, whose state nobody could
//! vouch for afterwards, it stops the writing by name, and nobody waits in vain.

mod stage;
mod theatre;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use client::link::{Credentials, Link};
use envelope::Timestamp;
use gateway::clock::{SystemTimeSource, TimeSource};
use gateway::connection::Door;
use gateway::node::Node;
use http_body_util::BodyExt as _;
use ledger::Engine;
use proto::v1;
use proto::v1::messages_client::MessagesClient;
use stage::soon;
use theatre::{NODE, Theatre, now, until_halted};
use tokio::sync::watch;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tower::ServiceExt as _;

/// A service with a defect: which, the call's last word says.
#[derive(Clone)]
struct Defective;

impl NamedService for Defective {
    const NAME: &'static str = "test.Defective";
}

/// A body that breaks when it is asked for its first frame.
struct Broken;

impl hyper::body::Body for Broken {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Infallible>>> {
        panic!("a defect in a body");
    }
}

impl tower::Service<http::Request<Body>> for Defective {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let path = request.uri().path().to_owned();
        assert!(!path.ends_with("/AtOnce"), "a defect in a call");
        Box::pin(async move {
            tokio::task::yield_now().await;
            assert!(!path.ends_with("/Later"), "a defect behind an await");
            Ok(http::Response::new(if path.ends_with("/InBody") { Body::new(Broken) } else { Body::empty() }))
        })
    }
}

async fn call(link: &Link, method: &str) -> Result<http::StatusCode, Box<dyn std::error::Error>> {
    let mut uri = link.origin().into_parts();
    uri.path_and_query = Some(format!("/test.Defective/{method}").parse().expect("a path"));
    let request = http::Request::post(http::Uri::from_parts(uri).expect("a uri")).body(Body::empty()).expect("a request");
    let response = soon("an answer", link.clone().oneshot(request)).await?;
    let status = response.status();
    soon("its body", response.into_body().collect()).await?;
    Ok(status)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_a_call_ends_that_call_and_nothing_else() {
    let theatre = Theatre::new(&["ke", "th"]);
    let running = theatre.start().await;
    let genesis = gateway::gateway::opener(&theatre.config()).expect("a configuration").1;
    let node = Node::read(&theatre.identity(NODE), &gateway::config::Keys::default(), &genesis, now()).expect("the node's keys");
    let tls = gateway::tls::server_config(node, running.shared()).expect("a configuration");
    let (stop, stopping) = watch::channel(false);
    let door = Door::new(Arc::new(ArcSwap::from_pointee(tls)), running.shared().clone(), Routes::new(Defective).prepare(), stopping);
    let listener = tokio::net::TcpListener::bind((theatre.listen.ip(), 0)).await.expect("a free port");
    let url = format!("https://{}", listener.local_addr().expect("an address"));
    let door = tokio::spawn(door.run(listener));
    let connect = async |member: &str| {
        let credentials = Credentials::read(&theatre.identity(member)).expect("credentials");
        Link::connect(&url, &theatre.trust(), credentials, Duration::from_secs(10)).await.expect("connected")
    };
    let [ke, th] = [connect("ke").await, connect("th").await];
    for _ in 0..3 {
        for defect in ["AtOnce", "Later", "InBody"] {
            assert!(call(&ke, defect).await.is_err(), "{defect}: the call ends");
            // Whether the connection has gone with it or not, its holder is served, and so is everybody else.
            let again = if ke.is_closed() { connect("ke").await } else { ke.clone() };
            assert_eq!(call(&again, "Sound").await.expect("served"), http::StatusCode::OK, "{defect}");
            assert_eq!(call(&th, "Sound").await.expect("served"), http::StatusCode::OK, "{defect}");
            assert!(!th.is_closed(), "{defect}: nobody else's connection has ended");
        }
    }
    // Nothing is left of the calls that broke: the door ends as soon as it is told to.
    drop((ke, th));
    stop.send(true).expect("it serves");
    soon("the end of the door", door).await.expect("no panic");
    running.stop().await;
    theatre.check();
}

/// The machine's clock, with a defect that can be set off.
#[derive(Default)]
struct Bomb {
    time: SystemTimeSource,
    armed: AtomicBool,
}

impl TimeSource for Bomb {
    fn wall(&self) -> Timestamp {
        assert!(!self.armed.load(Ordering::SeqCst), "a defect on the writer's thread");
        self.time.wall()
    }

    fn monotonic_ms(&self) -> u64 {
        self.time.monotonic_ms()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_of_the_writer_stops_it_by_name_and_everybody_is_answered() {
    let theatre = Theatre::new(&["ke", "th"]);
    let bomb = Arc::new(Bomb::default());
    let running = theatre.start_with(bomb.clone(), Engine::Redb).await;
    drop(theatre.client("th").await);
    let kenya = theatre.client("ke").await;
    let letter = |number| theatre.letter(&kenya, &["th"], number, |_| ());
    let mut messages = theatre.messages("ke").await;
    messages.submit(v1::SubmitRequest { submission: Some(letter(1)) }).await.expect("taken");
    bomb.armed.store(true, Ordering::SeqCst);
    // Whoever waits when it happens, or comes later, on a stream or alone, has an answer: nothing was acknowledged.
    let stream = tokio::spawn({
        let (link, letters) = (theatre.link("ke").await, (2..=9).map(|number| v1::Submission { tag: number, ..letter(number) }).collect());
        bench::load::drive(link, letters, 8)
    });
    let alone = soon("an answer", messages.submit(v1::SubmitRequest { submission: Some(letter(10)) })).await;
    assert!(alone.is_err());
    let answers = soon("answers on the stream", stream).await.expect("no panic");
    assert_eq!(answers.len(), 8);
    assert!(answers.iter().all(|answer| answer.problem.as_ref().is_some_and(|problem| problem.fault() == v1::Fault::Busy)), "{answers:?}");
    let reason = until_halted(&running, |reason| reason.is_some()).await.expect("a reason");
    assert!(reason.starts_with("WRITER_PANICKED"), "{reason}");
    // It does not go on when the defect has passed: nobody knows what it has left behind.
    bomb.armed.store(false, Ordering::SeqCst);
    let later = soon("an answer", messages.submit(v1::SubmitRequest { submission: Some(letter(11)) })).await.expect_err("stopped for good");
    assert!(later.message().contains("stopped writing for good"), "{later:?}");
    // Reading goes on.
    let year = now().year();
    let status = MessagesClient::with_origin(theatre.link("ke").await, theatre.link("ke").await.origin())
        .status(v1::StatusRequest { year, series: 1, number: 1 })
        .await
        .expect("an answer");
    assert!(status.into_inner().known);
    drop((messages, kenya));
    soon("the stop", running.stop()).await;
    // Started again, everything that was acknowledged is there, and the rest can be sent again.
    theatre.check();
    let running = theatre.start().await;
    let mut messages = theatre.messages("ke").await;
    let client = theatre.client("ke").await;
    for number in 1..=3 {
        let letter = theatre.letter(&client, &["th"], number + 20, |_| ());
        messages.submit(v1::SubmitRequest { submission: Some(letter) }).await.expect("taken");
    }
    drop((messages, client));
    running.stop().await;
    theatre.check();
}
