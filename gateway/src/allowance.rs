//! What one participant may hold of the gateway at a time, over all its connections: bounds of memory and threads, so that
//! who does not read, or does not end what it begins, costs no more than its share.
//!
//! It travels with each call beside the TLS identity. It does not know what is said.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Extensions, Status};

use crate::bounds::Limits;
use crate::limits::SUBMISSION_BYTES_MAX;
use crate::metrics::Metrics;
use crate::problem::{Bound, Problem};

/// One participant's rooms.
pub struct Allowance {
    /// Where it is counted that a room was full: who is told so gets no further, so nobody else counts it.
    metrics: Arc<Metrics>,
    /// Bytes of large requests that have begun and not ended.
    unfinished_bytes: Arc<Semaphore>,
    /// Answers of submissions that were not read.
    answers: Arc<Semaphore>,
    mailboxes: Arc<Semaphore>,
    pages: Arc<Semaphore>,
    replays: Arc<Semaphore>,
}

/// Room that is given back when the response that carries it has been sent to its end.
#[derive(Clone, Debug)]
pub struct Held(#[expect(dead_code, reason = "it is held, not used")] Arc<OwnedSemaphorePermit>);

impl Allowance {
    /// A participant's rooms, all free.
    #[must_use]
    pub fn new(limits: &Limits, metrics: Arc<Metrics>) -> Self {
        let room = |of: usize| Arc::new(Semaphore::new(of));
        Self {
            metrics,
            unfinished_bytes: room(limits.unfinished_bytes_per_participant),
            answers: room(limits.answers_per_participant),
            mailboxes: room(limits.mailboxes_per_participant),
            pages: room(limits.pages_per_participant),
            replays: room(limits.replays_per_participant),
        }
    }

    /// The allowance of a call; the connection has put it there.
    ///
    /// # Errors
    /// An internal status when it is not there, which no peer can cause.
    // The type is tonic's; a box would only move it.
    #[allow(clippy::result_large_err)]
    pub fn of(extensions: &Extensions) -> Result<Arc<Self>, Status> {
        extensions.get::<Arc<Self>>().cloned().ok_or_else(|| Problem::fault("a call", &"came without an allowance").into())
    }

    /// Waits until there is room for one more answer.
    pub(crate) async fn answer(&self) -> OwnedSemaphorePermit {
        self.answers.clone().acquire_owned().await.expect("these rooms are never closed")
    }

    /// Room for one more call of Receive.
    pub(crate) fn mailbox(&self) -> Result<OwnedSemaphorePermit, Problem> {
        self.take(&self.mailboxes, "calls of Receive")
    }

    /// Room for one more page of the directory, until it was sent.
    pub(crate) fn page(&self) -> Result<Held, Problem> {
        self.take(&self.pages, "calls of Snapshot").map(|permit| Held(Arc::new(permit)))
    }

    /// Room for one more call of Replay.
    pub(crate) fn replay(&self) -> Result<OwnedSemaphorePermit, Problem> {
        self.take(&self.replays, "calls of Replay")
    }

    fn take(&self, room: &Arc<Semaphore>, what: &str) -> Result<OwnedSemaphorePermit, Problem> {
        room.clone().try_acquire_owned().map_err(|_| self.full(format!("you have as many {what} open as are allowed")))
    }

    /// Counts that a room is full.
    fn full(&self, text: String) -> Problem {
        let problem = Problem::busy_at(Bound::Participant, text);
        self.metrics.told(&problem);
        problem
    }
}

/// A request's body that counts what has begun and not ended. A message that would be too large together with its
/// participant's others ends the call; waiting instead would hold the window that the others need to end.
pub(crate) struct Metered<B> {
    inner: B,
    allowance: Arc<Allowance>,
    framing: Framing,
    held: Option<OwnedSemaphorePermit>,
}

impl<B> Metered<B> {
    pub(crate) fn new(inner: B, allowance: Arc<Allowance>) -> Self {
        Self { inner, allowance, framing: Framing::default(), held: None }
    }

    fn heard(&mut self, bytes: &[u8]) -> Result<(), Status> {
        let (ended, unfinished) = self.framing.walk(bytes);
        if ended {
            self.held = None;
        }
        // What is longer than anything may be is refused for that, by whoever reads it.
        let Some(length) = unfinished.filter(|length| self.held.is_none() && SMALL_BYTES < *length && *length <= SUBMISSION_BYTES_MAX)
        else {
            return Ok(());
        };
        let room = self.allowance.unfinished_bytes.clone().try_acquire_many_owned(u32::try_from(length).unwrap_or(u32::MAX));
        self.held = Some(room.map_err(|_| self.allowance.full("you have too many bytes of unfinished requests".to_owned()))?);
        Ok(())
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Metered<B>
where
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        Poll::Ready(frame.map(|frame| {
            let frame = frame.map_err(Into::into)?;
            if let Some(data) = frame.data_ref() {
                self.heard(data)?;
            }
            Ok(frame)
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.inner.size_hint()
    }
}

/// Where in gRPC's frames (a byte, four of length, the message) a body stands.
#[derive(Debug, Default)]
struct Framing {
    /// Bytes of the head that have come.
    head: usize,
    length: u32,
    /// Bytes of the message that are still to come.
    left: usize,
}

impl Framing {
    /// Goes on by these bytes: whether a message has ended in them, and the length of one that has begun and not ended.
    fn walk(&mut self, mut bytes: &[u8]) -> (bool, Option<usize>) {
        let mut ended = false;
        while let Some(byte) = bytes.first() {
            if self.head < HEAD_BYTES {
                self.length = if self.head == 0 { 0 } else { self.length << 8 | u32::from(*byte) };
                self.head += 1;
                bytes = &bytes[1..];
                if self.head == HEAD_BYTES {
                    self.left = self.length as usize;
                }
            } else {
                let some = self.left.min(bytes.len());
                self.left -= some;
                bytes = &bytes[some..];
            }
            if self.head == HEAD_BYTES && self.left == 0 {
                (self.head, ended) = (0, true);
            }
        }
        (ended, (self.head == HEAD_BYTES).then_some(self.length as usize))
    }
}

/// Of gRPC's frame.
const HEAD_BYTES: usize = 5;
/// A message of one DATA frame costs less than the counting would.
const SMALL_BYTES: usize = 16 << 10;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn message(length: usize) -> Vec<u8> {
        [&[0], &u32::try_from(length).unwrap().to_be_bytes()[..], &vec![7; length]].concat()
    }

    #[test]
    fn frames_are_followed_wherever_they_are_cut() {
        let bytes = [message(3), message(0), message(300), message(1)].concat();
        for cut in 0..bytes.len() {
            let mut framing = Framing::default();
            let (_, unfinished) = framing.walk(&bytes[..cut]);
            let expected = match cut {
                5..=7 => Some(3),
                18..318 => Some(300),
                323 => Some(1),
                _ => None,
            };
            assert_eq!(unfinished, expected, "cut at {cut}");
            assert_eq!(framing.walk(&bytes[cut..]), (true, None), "cut at {cut}");
        }
    }

    #[test]
    fn what_has_begun_and_not_ended_is_bounded_and_given_back() {
        let limits = Limits { unfinished_bytes_per_participant: 1 << 20, ..Limits::default() };
        let allowance = Arc::new(Allowance::new(&limits, Arc::default()));
        let begin = |length: usize| {
            let mut body = Metered::new((), allowance.clone());
            let heard = body.heard(&message(length)[..length]);
            (body, heard)
        };
        let (mut first, heard) = begin(700 << 10);
        heard.unwrap();
        let (_, heard) = begin(400 << 10);
        assert!(heard.unwrap_err().message().contains("unfinished"));
        begin(SMALL_BYTES).1.unwrap();
        begin(SUBMISSION_BYTES_MAX + 1).1.unwrap();
        first.heard(&[7; 5]).unwrap();
        let (second, heard) = begin(1 << 20);
        heard.unwrap();
        drop(second);
        begin(1 << 20).1.unwrap();
    }
}
