//! Traces of submissions at a collector: what arrives is OTLP, has the steps of the way, and names nobody. A collector that
//! is dead or says nothing costs nothing but traces.

mod stage;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use client::Compose;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message as _;
use stage::{Stage, at, soon};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// A collector in this process; it gives the requests as they come.
async fn collector() -> (SocketAddr, mpsc::UnboundedReceiver<Bytes>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    let (arrived, requests) = mpsc::unbounded_channel();
    let arrived = Arc::new(arrived);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let arrived = arrived.clone();
            let service = hyper::service::service_fn(move |request: http::Request<Incoming>| {
                let arrived = arrived.clone();
                async move {
                    assert_eq!((request.method().as_str(), request.uri().path()), ("POST", "/v1/traces"));
                    assert_eq!(request.headers()["content-type"], "application/x-protobuf");
                    let body = request.into_body().collect().await?.to_bytes();
                    arrived.send(body).expect("the test waits");
                    Ok::<_, hyper::Error>(http::Response::new(Full::new(Bytes::new())))
                }
            });
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    (address, requests)
}

fn spans(request: &Bytes) -> Vec<Span> {
    let request = ExportTraceServiceRequest::decode(request.clone()).expect("OTLP");
    request.resource_spans.into_iter().flat_map(|spans| spans.scope_spans).flat_map(|spans| spans.spans).collect()
}

/// The attribute of a span, as text.
fn attribute(span: &Span, key: &str) -> String {
    let attribute = span.attributes.iter().find(|attribute| attribute.key == key);
    match attribute.and_then(|attribute| attribute.value.as_ref()).and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(whole)) => whole.to_string(),
        other => panic!("{key} is {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submission_arrives_at_the_collector_with_its_steps_and_without_a_name() {
    const POST: &str = "ke/cus/canary-3f9c";
    const CONTENT: &str = "canary-content-3f9c";
    let (collecting, mut requests) = collector().await;
    let stage = Stage::of(&["ke", POST, "th", "ipsg/ens"]);
    stage.configure(|config| config.telemetry.otlp = format!("http://{collecting}"));
    let running = stage.run().await;
    let url = format!("https://{}", running.address);
    let thailand = stage.member(&url, "th").await;
    drop((stage.member(&url, "ke").await, stage.member(&url, "ipsg/ens").await));
    let mut post = stage.member(&url, POST).await;
    let sent = post.send(Compose::new(vec![at("th")], CONTENT.as_bytes().to_vec())).await.expect("sent");
    let mut raw = vec![soon("the trace of what was taken", requests.recv()).await.expect("a request")];
    let forged = stage.seal(thailand.directory(), "ke", 1, |_| {});
    assert_eq!(post.submit_raw(forged).await.expect_err("another's header").name(), Some("NOT_SENDER"));
    raw.push(soon("the trace of what was refused", requests.recv()).await.expect("a request"));

    let taken = spans(&raw[0]);
    let names: Vec<&str> = taken.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["submit", "verify", "wait", "commit", "receipt"]);
    let submit = &taken[0];
    assert_eq!((submit.kind(), attribute(submit, "ecowire.outcome").as_str()), (SpanKind::Server, "ok"));
    assert!(attribute(submit, "ecowire.bytes").parse::<u64>().expect("a size") > CONTENT.len() as u64);
    assert!(submit.trace_id.len() == 16 && submit.span_id.len() == 8 && submit.parent_span_id.is_empty());
    assert!(stage::now().ms() - submit.start_time_unix_nano / 1_000_000 < 60_000, "its time is of now");
    for step in &taken[1..] {
        assert_eq!((&step.trace_id, &step.parent_span_id), (&submit.trace_id, &submit.span_id), "{}", step.name);
        assert!(step.attributes.is_empty() && step.events.is_empty());
        let within = submit.start_time_unix_nano..=submit.end_time_unix_nano;
        assert!(within.contains(&step.start_time_unix_nano) && within.contains(&step.end_time_unix_nano), "{step:?}");
    }
    let refused = spans(&raw[1]);
    let names: Vec<&str> = refused.iter().map(|span| span.name.as_str()).collect();
    assert_eq!((names, attribute(&refused[0], "ecowire.outcome").as_str()), (vec!["submit", "verify"], "NOT_SENDER"));
    assert_ne!(refused[0].trace_id, submit.trace_id);
    for canary in ["canary", "3f9c", "KE.CUS", &sent.reference.to_string(), "ipsg", "127.0.0.1", "node/dev"] {
        let holds = |bytes: &Bytes| bytes.windows(canary.len()).any(|window| window == canary.as_bytes());
        assert!(!raw.iter().any(holds), "{canary} was exported");
    }
    drop((thailand, post));
    running.stop().await;
    stage.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_dead_or_says_nothing_costs_traces_and_nothing_else() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let dead = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port that is free again");
    for collecting in [silent.local_addr().expect("its address"), dead] {
        let stage = Stage::of(&["ke", "th", "ipsg/ens"]);
        stage.configure(|config| config.telemetry.otlp = format!("http://{collecting}"));
        let running = stage.run().await;
        let url = format!("https://{}", running.address);
        drop((stage.member(&url, "th").await, stage.member(&url, "ipsg/ens").await));
        let mut kenya = stage.member(&url, "ke").await;
        for _ in 0..3 {
            let message = Compose::new(vec![at("th")], b"content".to_vec());
            soon("a message", kenya.send(message)).await.expect("sent");
        }
        drop(kenya);
        soon("the stop", running.stop()).await;
        stage.audit();
    }
}
