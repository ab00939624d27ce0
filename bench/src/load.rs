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
    drive_until(link, submissions, inflight, None, |_| {}).await
}

/// As [`drive`]: after `until` nothing more is handed over, and what is in flight is waited for. `sent` hears the
/// number of each submission just before it goes.
pub async fn drive_until(
    link: Link,
    submissions: Vec<v1::Submission>,
    inflight: usize,
    until: Option<Instant>,
    mut sent: impl FnMut(u64),
) -> Vec<Answer> {
    let mut client = MessagesClient::with_origin(link.clone(), link.origin());
    let (requests, stream) = mpsc::channel(inflight.max(1));
    let Ok(response) = client.submit_stream(ReceiverStream::new(stream)).await else { return Vec::new() };
    let mut inbound = response.into_inner();
    let mut answers = Vec::with_capacity(submissions.len());
    let mut started = std::collections::BTreeMap::new();
    let mut waiting = submissions.into_iter();
    loop {
        while started.len() < inflight && until.is_none_or(|until| Instant::now() < until) {
            let Some(submission) = waiting.next() else { break };
            sent(submission.tag);
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

/// The value below which this share of `sorted` lies; 0 of nothing.
#[must_use]
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = (sorted.len().saturating_sub(1) as f64 * share) as usize;
    sorted.get(at).copied().unwrap_or(0.0)
}

/// Milliseconds, ascending.
#[must_use]
pub fn sorted_ms(durations: impl IntoIterator<Item = Duration>) -> Vec<f64> {
    let mut sorted: Vec<f64> = durations.into_iter().map(|duration| duration.as_secs_f64() * 1e3).collect();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_a_value_that_was_measured() {
        let sorted = sorted_ms([3, 1, 2].map(Duration::from_millis));
        assert_eq!(sorted, [1.0, 2.0, 3.0]);
        assert_eq!([0.0, 0.5, 0.99, 1.0].map(|share| quantile(&sorted, share)), [1.0, 2.0, 2.0, 3.0]);
        assert_eq!(quantile(&[], 0.5), 0.0);
    }
}
