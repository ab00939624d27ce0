//! One Receive stream: a mailbox's head, then deliveries as far as the client's credit goes.
//!
//! What was sent moves nothing: only the recipient's signed statement does, and that goes through the writer.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use envelope::message::Peer;
use envelope::statement::digest_of;
use exchange::Rows as _;
use proto::v1::{self, ReceiveRequest, ReceiveResponse, ReceiveStart, StatementKind};
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tonic::{Status, Streaming};

use crate::deliveries::Waiting;
use crate::limits::{DELIVERIES_WAITING_MAX, MAILBOX_CREDIT_MAX};
use crate::problem::Problem;
use crate::receipts;
use crate::service::Desk;

/// Boxed: a channel has places in blocks of 32, and a response by itself is half a KiB, which every mailbox would wait with.
pub(crate) type Said = Box<Result<ReceiveResponse, Status>>;
type Out = mpsc::Sender<Said>;

/// Starts the stream's task and gives what it says.
pub(crate) fn start(
    desk: Desk,
    peer: Arc<Peer>,
    mut inbound: Streaming<ReceiveRequest>,
    open: OwnedSemaphorePermit,
) -> mpsc::Receiver<Said> {
    let (out, responses) = mpsc::channel(DELIVERIES_WAITING_MAX);
    tokio::spawn(async move {
        let _open = open;
        let first = match inbound.message().await {
            Ok(Some(ReceiveRequest { start: Some(start), credit, .. })) => (start, credit),
            _ => {
                let text = "the first request of Receive is start".to_owned();
                let problem = Problem::Refused(exchange::Refusal::BadEncoding(text));
                return drop(out.send(Box::new(Err(problem.into()))).await);
            }
        };
        let (mailbox, last) = (desk.shared.mailbox(&peer.address), out.clone());
        let (start, credit) = first;
        let (after, advised) = (start.after_seq, start.after_advice);
        let reader = Reader { desk, peer, out, mailbox, start, credit: 0, sent: BTreeSet::new(), after, advised, told: false };
        if let Err(status) = reader.run(inbound, credit).await {
            tracing::debug!(code = ?status.code(), "a receive stream ended");
            // A peer that has gone away needs no reason.
            drop(last.send(Box::new(Err(status))).await);
        }
    });
    responses
}

/// The stream's state; its task owns it.
struct Reader {
    desk: Desk,
    peer: Arc<Peer>,
    out: Out,
    mailbox: watch::Receiver<u64>,
    start: ReceiveStart,
    credit: u32,
    /// Numbers sent on this stream.
    sent: BTreeSet<u64>,
    /// With `retained`: what was delivered before has been sent up to here.
    after: u64,
    /// Number of the last advice that was sent, or that the client had.
    advised: u64,
    /// Whether the client was told that it has caught up since the last delivery.
    told: bool,
}

/// The message to send next.
struct Next {
    place: Waiting,
    /// It was not delivered before.
    waited: bool,
}

impl Next {
    fn new(seq: u64, place: &v1::PlaceRow, waited: bool) -> Self {
        Self { place: Waiting { seq, index: place.index, release_index: place.release_index }, waited }
    }
}

impl Reader {
    async fn run(mut self, mut inbound: Streaming<ReceiveRequest>, credit: u32) -> Result<(), Status> {
        self.send_head().await?;
        self.add_credit(credit)?;
        let mut going_down = self.desk.shared.going_down();
        loop {
            while self.credit > 0 {
                let Some(next) = self.next() else { break };
                let shared = &self.desk.shared;
                let delivery = shared.deliveries.delivery(&*shared.ledger(), next.place, &self.peer.address)?;
                self.note_sent(&next);
                self.desk.shared.metrics.delivered();
                self.say(ReceiveResponse { delivery: Some(delivery), ..ReceiveResponse::default() }).await?;
            }
            // After what waits: a message that is late is no reason to make others late.
            while let Some(receipt) = self.next_advice()? {
                self.say(ReceiveResponse { advice: receipt, ..ReceiveResponse::default() }).await?;
            }
            if self.next().is_none() && !self.told {
                self.told = true;
                self.say(ReceiveResponse { caught_up: true, ..ReceiveResponse::default() }).await?;
            }
            tokio::select! {
                request = inbound.message() => match request? {
                    // Boxed: a mailbox that waits has no room in hand for what is said once in a while.
                    Some(request) => Box::pin(self.take(request)).await?,
                    None => return Ok(()),
                },
                () = async { drop(going_down.wait_for(|down| *down).await) } => return Ok(()),
                changed = self.mailbox.changed(), if !self.start.until_caught_up => {
                    if changed.is_err() { return Ok(()) }
                }
            }
        }
    }

    async fn take(&mut self, request: ReceiveRequest) -> Result<(), Status> {
        self.add_credit(request.credit)?;
        let Some(signed) = request.statement else { return Ok(()) };
        let sha256 = digest_of(&signed).to_vec().into();
        let mailbox_kind = matches!(signed.kind(), StatementKind::Delivered | StatementKind::Acknowledged);
        let published = if mailbox_kind {
            self.desk.publish(&self.peer, signed).await.map(drop)
        } else {
            Err(Problem::Refused(exchange::Refusal::NoAuthority("only DELIVERED and ACKNOWLEDGED are said in Receive")))
        };
        let statement = Some(v1::StatementResult { sha256, problem: published.err().map(Into::into) });
        self.say(ReceiveResponse { statement, ..ReceiveResponse::default() }).await
    }

    // The type is tonic's; a box would only move it.
    #[allow(clippy::result_large_err)]
    fn add_credit(&mut self, credit: u32) -> Result<(), Status> {
        self.credit = self.credit.saturating_add(credit);
        if self.credit > MAILBOX_CREDIT_MAX {
            let text = format!("a credit of {} is open, at most {MAILBOX_CREDIT_MAX} are allowed", self.credit);
            return Err(Problem::Refused(exchange::Refusal::TooLarge(text)).into());
        }
        Ok(())
    }

    /// The next message to send: what waits, by urgency; then, with `retained`, what was delivered before, by number.
    fn next(&self) -> Option<Next> {
        let exchange = self.desk.shared.exchange();
        let state = exchange.state();
        let address = &self.peer.address;
        let new = |seq: &u64| *seq > self.start.after_seq && !self.sent.contains(seq);
        if let Some(seq) = state.waiting(address).find(new) {
            return Some(Next::new(seq, state.place(address, seq)?, true));
        }
        if !self.start.retained {
            return None;
        }
        let mut places = state.places(address, self.after.saturating_add(1));
        let next = places.find(|(seq, place)| new(seq) && place.state() != v1::RecipientState::Expired);
        next.map(|(seq, place)| Next::new(seq, place, false))
    }

    /// The receipt of the next thing that the reader is told.
    fn next_advice(&mut self) -> Result<Option<Bytes>, Problem> {
        let next = self.desk.shared.exchange().state().advices(&self.peer.address, self.advised).next();
        let Some((seq, index)) = next else { return Ok(None) };
        self.advised = seq;
        receipts::advice(&*self.desk.shared.ledger(), index).map(Some)
    }

    fn note_sent(&mut self, next: &Next) {
        self.credit -= 1;
        self.told = false;
        self.sent.insert(next.place.seq);
        // Not by what it is by now: another connection may have taken it, and those before it are still to be sent.
        if !next.waited {
            self.after = self.after.max(next.place.seq);
        }
        // What no longer waits, and lies behind what is still to be sent, need not be remembered.
        if self.sent.len() > 2 * MAILBOX_CREDIT_MAX as usize {
            let exchange = self.desk.shared.exchange();
            let state = exchange.state();
            let waits =
                |seq: &u64| state.place(&self.peer.address, *seq).is_some_and(|place| place.state() == v1::RecipientState::Available);
            let (after, retained) = (self.after, self.start.retained);
            self.sent.retain(|seq| waits(seq) || (retained && *seq > after));
        }
    }

    async fn send_head(&mut self) -> Result<(), Status> {
        let mailbox = self.desk.shared.exchange().state().mailbox(&self.peer.address).cloned();
        // Who was only told something has a row, and no message.
        let mailbox = mailbox.filter(|row| row.last_seq > 0);
        let head = match mailbox {
            Some(mailbox) => receipts::mailbox_head(&*self.desk.shared.ledger(), &mailbox, &self.peer.address)?,
            None => v1::MailboxHead::default(),
        };
        self.say(ReceiveResponse { head: Some(head), ..ReceiveResponse::default() }).await
    }

    fn say(&self, response: ReceiveResponse) -> impl Future<Output = Result<(), Status>> + Send + '_ {
        let said = Box::new(Ok(response));
        async move { self.out.send(said).await.map_err(|_| Status::cancelled("the client has gone")) }
    }
}
