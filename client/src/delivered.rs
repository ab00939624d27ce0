//! What this mailbox says about itself: DELIVERED when messages are durable here, ACKNOWLEDGED when a person has seen
//! them. Only these statements move the ledger's state.
//!
//! One of each kind is under way at a time. It does not know what a delivery must prove; `inbox` has checked that.

use std::time::Duration;

use envelope::Reference;
use envelope::statement::{Acknowledged, Delivered};
use proto::v1::{self, ClockQuality, ReceiveRequest, ReceiveStart, RecipientState, SignedStatement, StatementKind};
use tokio::sync::mpsc;
use tonic::Streaming;

use crate::client::Client;
use crate::clock;
use crate::error::Error;
use crate::inbox::{Facts, facts};
use crate::store::Table;
use crate::trouble::{Trouble, busy_pause};

impl Client {
    /// Says that a person has seen a message; returns when the ledger holds that durably.
    ///
    /// # Errors
    /// [`Error::NotHere`], [`Error::Finding`], [`Error::Open`], [`Error::Unreachable`], or a refusal.
    pub async fn acknowledge(&mut self, reference: &Reference) -> Result<(), Error> {
        let wanted = self.facts_of(reference)?;
        if let Some(text) = wanted.finding {
            return Err(Error::Finding { reference: reference.clone(), text });
        }
        // Nobody can have seen what does not open here.
        self.open(reference)?;
        loop {
            let current = self.facts_of(reference)?;
            if current.state == RecipientState::Acknowledged as i32 {
                return Ok(());
            }
            // An earlier one whose answer was lost goes first.
            if self.pending(StatementKind::Acknowledged)?.is_none() {
                self.sign_mailbox(StatementKind::Acknowledged, &[current])?;
            }
            self.settle_kind(StatementKind::Acknowledged).await?;
        }
    }

    /// Sends the DELIVERED that is due on an open stream, unless it is the one `offered` there last. False when nothing
    /// is to be said.
    pub(crate) async fn offer_delivered(
        &mut self,
        requests: &mpsc::Sender<ReceiveRequest>,
        offered: &mut Option<[u8; 32]>,
    ) -> Result<bool, Error> {
        let signed = match self.pending(StatementKind::Delivered)? {
            Some(signed) => signed,
            None => match self.next_delivered()? {
                Some(signed) => signed,
                None => return Ok(false),
            },
        };
        let digest = envelope::statement::digest_of(&signed);
        if *offered != Some(digest) {
            // A closed stream shows on the next answer.
            let _ = requests.send(ReceiveRequest { statement: Some(signed), ..ReceiveRequest::default() }).await;
            *offered = Some(digest);
        }
        Ok(true)
    }

    /// Signs DELIVERED for at most 64 messages that are durable here and not yet called so.
    fn next_delivered(&self) -> Result<Option<SignedStatement>, Error> {
        let mut waiting = Vec::new();
        for (_, row) in self.profile.store().numbered(Table::Facts)? {
            let facts = facts(&row)?;
            if facts.state == RecipientState::Available as i32 {
                waiting.push(facts);
            }
            if waiting.len() == envelope::limits::MAILBOX_ITEMS_MAX {
                break;
            }
        }
        if waiting.is_empty() { Ok(None) } else { self.sign_mailbox(StatementKind::Delivered, &waiting).map(Some) }
    }

    fn sign_mailbox(&self, kind: StatementKind, facts: &[Facts]) -> Result<SignedStatement, Error> {
        let item = |facts: &Facts| v1::ReceiptItem { mailbox_seq: facts.mailbox_seq, message_id: facts.message_id.to_vec().into() };
        self.sign_items(kind, facts.iter().map(item).collect())
    }

    fn sign_items(&self, kind: StatementKind, items: Vec<v1::ReceiptItem>) -> Result<SignedStatement, Error> {
        let checkpoint_size = self.checkpoint().map_or(0, |checkpoint| checkpoint.size);
        let at_ms = clock::now().ms();
        let build =
            |head| v1::MailboxStatement { head: Some(head), items: items.clone(), at_ms, clock: ClockQuality::Ntp.into(), checkpoint_size };
        if kind == StatementKind::Acknowledged {
            self.sign_next(kind, &|head| Acknowledged(build(head)), 0)
        } else {
            self.sign_next(kind, &|head| Delivered(build(head)), 0)
        }
    }

    /// Sends what is still to be said about this mailbox, until the ledger holds all of it.
    pub(crate) async fn settle_mailbox(&mut self) -> Result<(), Error> {
        loop {
            if self.pending(StatementKind::Delivered)?.is_none() && self.next_delivered()?.is_none() {
                break;
            }
            self.settle_kind(StatementKind::Delivered).await?;
        }
        if self.pending(StatementKind::Acknowledged)?.is_some() {
            self.settle_kind(StatementKind::Acknowledged).await?;
        }
        Ok(())
    }

    /// Sends the pending statement of a kind on a stream of its own and waits for its result, signing it anew if its
    /// chain has gone on elsewhere.
    async fn settle_kind(&mut self, kind: StatementKind) -> Result<(), Error> {
        let start = ReceiveStart { after_seq: u64::MAX, retained: false, until_caught_up: false, after_advice: u64::MAX };
        let (requests, mut answers) = self.open_mailbox(start, 0).await?;
        for attempt in 0..ATTEMPTS_MAX {
            let Some(signed) = self.pending(kind)? else { return Ok(()) };
            let digest = envelope::statement::digest_of(&signed);
            let request = ReceiveRequest { statement: Some(signed), ..ReceiveRequest::default() };
            if requests.send(request).await.is_err() {
                return Err(self.unreachable("the gateway ended the stream"));
            }
            let result = self.await_result(&mut answers, &digest).await?;
            let busy = self.read_result(result)?;
            if let Some(pause_ms) = busy.filter(|_| attempt + 1 < ATTEMPTS_MAX) {
                tokio::time::sleep(busy_pause(attempt, pause_ms)).await;
            }
        }
        if self.pending(kind)?.is_none() {
            return Ok(());
        }
        let word = if kind == StatementKind::Acknowledged { "ACKNOWLEDGED" } else { "DELIVERED" };
        Err(self
            .unreachable(&format!("the gateway is busy; the statement {word} could not be made durable and is kept for the next visit")))
    }

    async fn await_result(&self, answers: &mut Streaming<v1::ReceiveResponse>, digest: &[u8; 32]) -> Result<v1::StatementResult, Error> {
        loop {
            match tokio::time::timeout(RESULT_TIMEOUT, answers.message()).await {
                Err(_) => return Err(self.unreachable("no answer to a statement in time")),
                Ok(Ok(None)) => return Err(self.unreachable("the gateway ended the stream before it answered")),
                Ok(Err(status)) => return Err(self.failed(&status).await),
                Ok(Ok(Some(answer))) => {
                    if let Some(result) = answer.statement.filter(|result| result.sha256 == digest[..]) {
                        return Ok(result);
                    }
                }
            }
        }
    }

    /// What became of a statement. Gives a pause in milliseconds when it must be sent again.
    pub(crate) fn read_result(&mut self, result: v1::StatementResult) -> Result<Option<u64>, Error> {
        for kind in [StatementKind::Delivered, StatementKind::Acknowledged] {
            let Some(signed) = self.pending(kind)? else { continue };
            if envelope::statement::digest_of(&signed)[..] != result.sha256 {
                continue;
            }
            let Some(problem) = result.problem else {
                self.note_durable(kind, &signed)?;
                return Ok(None);
            };
            return match Trouble::of_problem(problem) {
                Trouble::Refused { name, metadata, .. } if name == "BAD_SEQUENCE" => {
                    if self.resequence(kind, &signed, &metadata)? {
                        self.note_durable(kind, &signed)?;
                    } else {
                        self.sign_items(kind, items_of(kind, &signed)?)?;
                    }
                    Ok(None)
                }
                Trouble::Busy { retry_after_ms, .. } => Ok(Some(retry_after_ms)),
                other => {
                    if matches!(other, Trouble::Refused { .. }) {
                        self.discard(kind)?;
                    }
                    Err(other.into_error(self.profile.gateway()))
                }
            };
        }
        Ok(None)
    }

    /// The ledger holds a statement: the states here follow, then the chain goes on.
    fn note_durable(&self, kind: StatementKind, signed: &SignedStatement) -> Result<(), Error> {
        let state = if kind == StatementKind::Acknowledged { RecipientState::Acknowledged } else { RecipientState::Delivered };
        let mut writes = Vec::new();
        for item in items_of(kind, signed)? {
            let Some(row) = self.profile.store().get_number(Table::Facts, item.mailbox_seq)? else { continue };
            let mut facts = facts(&row)?;
            facts.state = facts.state.max(state.into());
            writes.push(facts.write()?);
        }
        self.profile.store().commit(&writes)?;
        self.settle(kind, signed).map(drop)
    }
}

fn items_of(kind: StatementKind, signed: &SignedStatement) -> Result<Vec<v1::ReceiptItem>, Error> {
    let read = if kind == StatementKind::Acknowledged {
        envelope::statement::read::<Acknowledged>(signed).map(|statement| statement.0.items)
    } else {
        envelope::statement::read::<Delivered>(signed).map(|statement| statement.0.items)
    };
    read.map_err(|_| Error::Row("pending"))
}

const RESULT_TIMEOUT: Duration = Duration::from_secs(20);
/// Attempts at a statement: it may have to be signed anew once, and the gateway may be busy.
const ATTEMPTS_MAX: u32 = 6;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::pin::Pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use hyper_util::rt::{TokioExecutor, TokioIo};
    use hyper_util::service::TowerToHyperService;
    use proto::v1::messages_server::{Messages, MessagesServer};
    use tokio_stream::{Stream, StreamExt as _};
    use tonic::{Request, Response, Status};

    use super::*;
    use crate::link::Link;
    use crate::store::Write;

    /// A gateway that is busy, whatever is said.
    struct Busy(Arc<AtomicU32>);

    type Out<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

    #[tonic::async_trait]
    impl Messages for Busy {
        type SubmitStreamStream = Out<v1::SubmitStreamResponse>;
        type ReceiveStream = Out<v1::ReceiveResponse>;

        async fn submit(&self, _: Request<v1::SubmitRequest>) -> Result<Response<v1::SubmitResponse>, Status> {
            Err(Status::unavailable("busy"))
        }

        async fn submit_stream(
            &self,
            _: Request<Streaming<v1::SubmitStreamRequest>>,
        ) -> Result<Response<Self::SubmitStreamStream>, Status> {
            Err(Status::unavailable("busy"))
        }

        async fn receive(&self, request: Request<Streaming<ReceiveRequest>>) -> Result<Response<Self::ReceiveStream>, Status> {
            let answers = Arc::clone(&self.0);
            let busy = move |request: Result<ReceiveRequest, Status>| {
                let sha256 = envelope::statement::digest_of(&request.ok()?.statement?).to_vec().into();
                answers.fetch_add(1, Ordering::Relaxed);
                let problem = v1::Problem { fault: v1::Fault::Busy.into(), retry_after_ms: 1, ..v1::Problem::default() };
                let statement = Some(v1::StatementResult { sha256, problem: Some(problem) });
                Some(Ok(v1::ReceiveResponse { statement, ..v1::ReceiveResponse::default() }))
            };
            Ok(Response::new(Box::pin(request.into_inner().filter_map(busy))))
        }

        async fn status(&self, _: Request<v1::StatusRequest>) -> Result<Response<v1::StatusResponse>, Status> {
            Err(Status::unavailable("busy"))
        }
    }

    async fn link(gateway: Busy) -> Link {
        let (near, far) = tokio::io::duplex(1 << 16);
        let service = TowerToHyperService::new(MessagesServer::new(gateway));
        tokio::spawn(hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(far), service));
        let shaken = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(near)).await;
        let (sender, connection) = shaken.unwrap();
        tokio::spawn(connection);
        Link::over(sender)
    }

    #[tokio::test]
    async fn six_busy_answers_leave_the_statement_for_later() {
        let folder = tempfile::tempdir().unwrap();
        let mut client = crate::tests::member(folder.path());
        let facts = serde_json::json!({
            "reference": "TH/2026/000001", "index": 3, "mailbox_seq": 1, "message_id": vec![7; 32], "kind": 1, "priority": 1,
            "at_ms": 1, "expires_ms": u64::MAX, "state": RecipientState::Available as i32, "finding": null,
        });
        client.profile.store().commit(&[Write::number(Table::Facts, 1, facts.to_string())]).unwrap();
        let answers = Arc::new(AtomicU32::new(0));
        client.link = Some(link(Busy(Arc::clone(&answers))).await);

        let error = client.settle_mailbox().await.unwrap_err();
        assert_eq!((answers.load(Ordering::Relaxed), error.exit_code()), (ATTEMPTS_MAX, 4), "{error}");
        assert!(error.to_string().contains("the statement DELIVERED could not be made durable"), "{error}");
        assert!(client.pending(StatementKind::Delivered).unwrap().is_some(), "the same bytes go out on the next visit");
        assert_eq!(client.inbox().unwrap().len(), 1, "and what is here is listed");
    }
}
