//! One sender's stream: at most so many in flight, every answer kept.

use std::time::{Duration, Instant};

use bytes::Bytes;
use client::link::Link;
use proto::v1;
use proto::v1::messages_client::MessagesClient;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// One answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The submission's number.
    pub tag: u64,
    /// The receipt; empty when it was not taken.
    pub receipt: Bytes,
    /// Why not, if so.
    pub problem: Option<v1::Problem>,
    /// From hand-over to answer.
    pub latency: Duration,
}

/// Submits on one stream, `inflight` at a time, until all are answered or the stream ends; gives what was answered.
pub async fn drive(link: Link, submissions: Vec<v1::Submission>, inflight: usize) -> Vec<Answer> {
    let mut client = MessagesClient::with_origin(link.clone(), link.origin());
    let (requests, stream) = mpsc::channel(inflight.max(1));
    let Ok(response) = client.submit_stream(ReceiverStream::new(stream)).await else { return Vec::new() };
    let mut inbound = response.into_inner();
    let mut answers = Vec::with_capacity(submissions.len());
    let mut started = std::collections::BTreeMap::new();
    let mut waiting = submissions.into_iter();
    loop {
        while started.len() < inflight {
            let Some(submission) = waiting.next() else { break };
            started.insert(submission.tag, Instant::now());
            if requests.send(v1::SubmitStreamRequest { submission: Some(submission) }).await.is_err() {
                return answers;
            }
        }
        if started.is_empty() {
            return answers;
        }
        let Ok(Some(response)) = inbound.message().await else { return answers };
        if let Some(start) = started.remove(&response.tag) {
            let v1::SubmitStreamResponse { tag, receipt, problem } = response;
            answers.push(Answer { tag, receipt, problem, latency: start.elapsed() });
        }
    }
}
