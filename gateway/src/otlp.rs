//! Traces to a collector beside the gateway: OTLP 1.x, protobuf over HTTP/1.1 (`POST /v1/traces`), in the clear.
//!
//! The few messages of the protocol that a span needs stand here. A collector that is slow or dead costs traces, never time:
//! the queue to this task is bounded, and whoever finds it full goes on.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use prost::Message;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::config::collector;
use crate::limits::{OTLP_PAUSE, OTLP_QUEUE_TRACES_MAX, OTLP_REQUEST_TRACES_MAX, OTLP_TIMEOUT};
use crate::shared::Shared;
use crate::spans::Finished;

/// The task that exports.
pub(crate) struct Exporter {
    task: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

impl Exporter {
    /// Starts exporting to an endpoint; `None` when the configuration names none.
    pub(crate) fn start(endpoint: &str, shared: &Arc<Shared>) -> Option<Self> {
        let (host, port) = collector(endpoint)?;
        let address = format!("{host}:{port}");
        let (out, traces) = mpsc::channel(OTLP_QUEUE_TRACES_MAX);
        let (stop, stopped) = oneshot::channel();
        shared.spans.export_to(out);
        let task = tokio::spawn(run(address, traces, stopped, shared.clone()));
        Some(Self { task, stop })
    }

    /// Exports what is queued once more, and ends.
    pub(crate) async fn close(self) {
        // The task may have ended already.
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

async fn run(address: String, mut traces: mpsc::Receiver<Finished>, mut stopped: oneshot::Receiver<()>, shared: Arc<Shared>) {
    let (mut batch, mut reached, mut stopping) = (Vec::new(), true, false);
    while !stopping {
        tokio::select! {
            count = traces.recv_many(&mut batch, OTLP_REQUEST_TRACES_MAX) => if count == 0 { return },
            _ = &mut stopped => {
                stopping = true;
                while batch.len() < OTLP_REQUEST_TRACES_MAX && let Ok(trace) = traces.try_recv() {
                    batch.push(trace);
                }
            }
        }
        if batch.is_empty() {
            continue;
        }
        let (count, request) = (batch.len(), request(&batch));
        batch.clear();
        let sent = tokio::time::timeout(OTLP_TIMEOUT, post(&address, request)).await;
        let failure = match sent {
            Ok(Ok(())) => None,
            Ok(Err(reason)) => Some(reason),
            Err(_) => Some("it takes too long".to_owned()),
        };
        match failure {
            None if !reached => tracing::info!("the collector of traces is reached again"),
            None => {}
            Some(reason) => {
                shared.metrics.traces_lost(count);
                if reached {
                    tracing::warn!(reason, "the collector of traces is not reached; traces are lost, nothing else");
                }
                reached = false;
                if stopping {
                    return;
                }
                tokio::select! { () = tokio::time::sleep(OTLP_PAUSE) => {}, _ = &mut stopped => return }
                continue;
            }
        }
        reached = true;
    }
}

async fn post(address: &str, body: Vec<u8>) -> Result<(), String> {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let stream = TcpStream::connect(address).await.map_err(|error| said(&error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| said(&error))?;
    let request = Request::post("/v1/traces")
        .header(header::HOST, address)
        .header(header::CONTENT_TYPE, "application/x-protobuf")
        .header(header::USER_AGENT, concat!("ecowire-gateway/", env!("CARGO_PKG_VERSION")))
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| said(&error))?;
    // It ends when the sender is dropped; an error of its own is the request's, too.
    tokio::spawn(connection);
    let status = sender.send_request(request).await.map_err(|error| said(&error))?.status();
    if status == StatusCode::OK { Ok(()) } else { Err(format!("it answers {status}")) }
}

/// `ExportTraceServiceRequest` of these traces.
fn request(traces: &[Finished]) -> Vec<u8> {
    let text =
        |key: &str, text: &str| KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(Value::Text(text.to_owned())) }) };
    let scope = Scope { name: "ecowire".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
    let spans = traces.iter().flat_map(spans).collect();
    let resource =
        Resource { attributes: vec![text("service.name", "ecowire-gateway"), text("service.version", env!("CARGO_PKG_VERSION"))] };
    let spans = ResourceSpans { resource: Some(resource), scope_spans: vec![ScopeSpans { scope: Some(scope), spans }] };
    ExportRequest { resource_spans: vec![spans] }.encode_to_vec()
}

/// The span of a submission, then one for each of its steps.
fn spans(trace: &Finished) -> Vec<Span> {
    // Without random numbers the machine has other troubles than its traces.
    let Ok(ids) = envelope::keys::random::<56>() else { return Vec::new() };
    let (trace_id, rest) = ids.split_at(16);
    let mut span_ids = rest.chunks_exact(8).map(<[u8]>::to_vec);
    let own = span_ids.next().unwrap_or_default();
    let at = |since: Duration| trace.began_ns.saturating_add(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
    let text =
        |key: &str, text: &str| KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(Value::Text(text.to_owned())) }) };
    let size = i64::try_from(trace.bytes).unwrap_or(i64::MAX);
    let size = KeyValue { key: "ecowire.bytes".to_owned(), value: Some(AnyValue { value: Some(Value::Whole(size)) }) };
    let submit = Span {
        trace_id: trace_id.to_vec(),
        span_id: own.clone(),
        name: "submit".to_owned(),
        kind: KIND_SERVER,
        start_ns: trace.began_ns,
        end_ns: at(trace.took),
        attributes: vec![text("ecowire.outcome", trace.outcome), size],
        ..Span::default()
    };
    let step = |(step, from, to): &(crate::spans::Step, Duration, Duration)| Span {
        trace_id: trace_id.to_vec(),
        span_id: span_ids.next().unwrap_or_default(),
        parent_span_id: own.clone(),
        name: step.word().to_owned(),
        kind: KIND_INTERNAL,
        start_ns: at(*from),
        end_ns: at(*to),
        ..Span::default()
    };
    std::iter::once(submit).chain(trace.steps.iter().map(step).collect::<Vec<_>>()).collect()
}

// opentelemetry-proto 1.x: trace.proto, common.proto, resource.proto, trace_service.proto; numbers as there.

#[derive(Clone, PartialEq, Message)]
struct ExportRequest {
    #[prost(message, repeated, tag = "1")]
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct ScopeSpans {
    #[prost(message, optional, tag = "1")]
    scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    spans: Vec<Span>,
}

#[derive(Clone, PartialEq, Message)]
struct Scope {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    version: String,
}

#[derive(Clone, PartialEq, Message)]
struct Span {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(int32, tag = "6")]
    kind: i32,
    #[prost(fixed64, tag = "7")]
    start_ns: u64,
    #[prost(fixed64, tag = "8")]
    end_ns: u64,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(oneof = "Value", tags = "1, 3")]
    value: Option<Value>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Value {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(int64, tag = "3")]
    Whole(i64),
}

const KIND_INTERNAL: i32 = 1;
const KIND_SERVER: i32 = 2;
