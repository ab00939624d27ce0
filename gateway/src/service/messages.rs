//! `Messages`: submit, receive, status.

use std::pin::Pin;
use std::sync::Arc;

use envelope::entry::{Entry, reference_key, reference_key_v1};
use envelope::keys::AwsLc;
use envelope::message::{Envelope, Peer, Verified};
use envelope::{Address, Reference};
use exchange::{Refusal, Rows as _, State};
use ledger::Ledger;
use proto::v1;
use proto::v1::messages_server::Messages;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};

use crate::allowance::Allowance;
use crate::problem::Problem;
use crate::receipts::{self, opened};
use crate::service::{Desk, peer, receive};
use crate::shared::Shared;
use crate::spans::{Step, Trace};
use crate::writer::{Answer, Command, Reply};

/// The service.
#[derive(Clone)]
pub struct MessagesService(pub Desk);

type Out<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Messages for MessagesService {
    type SubmitStreamStream = Out<v1::SubmitStreamResponse>;
    type ReceiveStream = Out<v1::ReceiveResponse>;

    async fn submit(&self, request: Request<v1::SubmitRequest>) -> Result<Response<v1::SubmitResponse>, Status> {
        let peer = peer(request.extensions())?;
        let submission = request.into_inner().submission.unwrap_or_default();
        let tag = submission.tag;
        let mut trace = self.0.shared.spans.begin(bytes_of(&submission));
        let receipt = self.submit_alone(&peer, submission, &mut trace).await;
        answered(&self.0.shared, trace, &receipt);
        Ok(Response::new(v1::SubmitResponse { receipt: receipt?, tag }))
    }

    async fn submit_stream(
        &self,
        request: Request<Streaming<v1::SubmitStreamRequest>>,
    ) -> Result<Response<Self::SubmitStreamStream>, Status> {
        let peer = peer(request.extensions())?;
        let allowance = Allowance::of(request.extensions())?;
        let mut inbound = request.into_inner();
        let (results, out) = mpsc::channel(2 * self.0.shared.limits.in_flight_messages);
        let service = self.clone();
        tokio::spawn(async move {
            while let Ok(Some(request)) = inbound.message().await {
                // Room for the answer first: a client that does not read gets no further.
                let room = tokio::select! {
                    room = allowance.answer() => room,
                    () = results.closed() => return,
                };
                let Ok(place) = results.clone().reserve_owned().await else { return };
                let slot = Slot { place, room };
                service.submit_one(&peer, request.submission.unwrap_or_default(), slot);
            }
        });
        // The room of an answer is given back when it is read.
        Ok(Response::new(Box::pin(ReceiverStream::new(out).map(|(answer, _)| Ok(answer)))))
    }

    async fn receive(&self, request: Request<Streaming<v1::ReceiveRequest>>) -> Result<Response<Self::ReceiveStream>, Status> {
        let peer = peer(request.extensions())?;
        let open = Allowance::of(request.extensions())?.mailbox()?;
        let out = receive::start(self.0.clone(), peer, request.into_inner(), open);
        Ok(Response::new(Box::pin(ReceiverStream::new(out).map(|said| *said))))
    }

    async fn status(&self, request: Request<v1::StatusRequest>) -> Result<Response<v1::StatusResponse>, Status> {
        let peer = peer(request.extensions())?;
        let asked = request.into_inner();
        let reference = Reference { sender: peer.address.clone(), year: asked.year, series: asked.series, number: asked.number };
        Ok(Response::new(self.status_of(&reference)?))
    }
}

type Room = tokio::sync::OwnedSemaphorePermit;

/// Where one answer goes, and its room among those of its participant that wait to be read.
struct Slot {
    place: mpsc::OwnedPermit<(v1::SubmitStreamResponse, Room)>,
    room: Room,
}

impl Slot {
    fn send(self, answer: v1::SubmitStreamResponse) {
        self.place.send((answer, self.room));
    }
}

impl MessagesService {
    /// `bytes -> Envelope -> Verified`, on the caller's task: the costly part needs no lock.
    fn verify(&self, peer: &Arc<Peer>, submission: v1::Submission) -> Result<(Verified, usize), Problem> {
        let bytes = bytes_of(&submission);
        let refuse = |error| Problem::Refused(Refusal::from(error));
        let envelope = Envelope::parse(submission, &self.0.shared.network).map_err(refuse)?;
        let verified = envelope.verify(peer, &*self.0.shared, &AwsLc).map_err(refuse);
        if let Err(Problem::Refused(refusal)) = &verified
            && let Some(unsaid) = self.0.shared.quiet.may_say("SUBMISSION")
        {
            tracing::warn!(peer = %peer.address, refusal = refusal.name(), unsaid, "a submission does not verify");
        }
        Ok((verified?, bytes))
    }

    async fn submit_alone(&self, peer: &Arc<Peer>, submission: v1::Submission, trace: &mut Trace) -> Result<bytes::Bytes, Problem> {
        let verified = self.verify(peer, submission);
        trace.step(Step::Verify);
        let (verified, bytes) = verified?;
        let flash = verified.header().context.priority == v1::Priority::Flash;
        let permit = self.0.shared.gate.enter(&peer.address, bytes, flash)?;
        let answered = self.0.ask(|reply| Command::Message { verified: Box::new(verified), permit, reply }).await;
        // The writer may have begun another batch meanwhile: then the wait looks longer, and the commit shorter.
        trace.step_until(Step::Wait, self.0.shared.metrics.batch_began());
        trace.step(Step::Commit);
        let receipt = receipts::for_author(&*self.0.shared.ledger(), &answered?);
        trace.step(Step::Receipt);
        receipt
    }

    fn submit_one(&self, peer: &Arc<Peer>, submission: v1::Submission, slot: Slot) {
        let tag = submission.tag;
        let mut trace = self.0.shared.spans.begin(bytes_of(&submission));
        let verified = self.verify(peer, submission);
        trace.step(Step::Verify);
        let verified = verified.and_then(|(verified, bytes)| {
            let flash = verified.header().context.priority == v1::Priority::Flash;
            Ok((verified, self.0.shared.gate.enter(&peer.address, bytes, flash)?))
        });
        let (verified, permit) = match verified {
            Ok(pair) => pair,
            Err(problem) => return slot.send(response(&self.0.shared, trace, tag, Err(problem))),
        };
        let shared = self.0.shared.clone();
        let reply = Reply::new(move |answer: Answer| {
            trace.step_until(Step::Wait, shared.metrics.batch_began());
            trace.step(Step::Commit);
            let receipt = answer.and_then(|answered| receipts::for_author(&*shared.ledger(), &answered));
            trace.step(Step::Receipt);
            slot.send(response(&shared, trace, tag, receipt));
        });
        self.0.hand(Command::Message { verified: Box::new(verified), permit, reply });
    }

    fn status_of(&self, reference: &Reference) -> Result<v1::StatusResponse, Problem> {
        let ledger = self.0.shared.ledger();
        let last = last_of(self.0.shared.exchange().state(), &reference.sender);
        let Some(index) = find(&*ledger, reference)? else {
            return Ok(v1::StatusResponse { last, ..v1::StatusResponse::default() });
        };
        let stored = ledger.read(index)?;
        let receipt = receipts::of_stored(&*ledger, &stored, receipts::shown_to_author(v1::EntryKind::Message))?;
        let Ok(Entry::Message(message)) = Entry::read(opened(&stored)?) else {
            return Err(Problem::fault("a reference", &"leads to an entry that is no message"));
        };
        let exchange = self.0.shared.exchange();
        let state = exchange.state();
        let held = state.held(index);
        let status = |place: &v1::Place| {
            let recipient = place.address.clone();
            let released = held.and_then(|row| row.places.iter().find(|other| other.address == place.address));
            let seq = released.map_or(place.mailbox_seq, |place| place.mailbox_seq);
            if let (0, Some(row)) = (seq, held) {
                return v1::RecipientStatus { recipient, state: row.state, at_ms: row.at_ms };
            }
            let at = envelope::Address::parse(&place.address).ok().and_then(|address| state.place(&address, seq).cloned());
            let row = at.unwrap_or_default();
            v1::RecipientStatus { recipient, state: row.state, at_ms: row.at_ms }
        };
        let recipients = message.places.iter().map(status).collect();
        Ok(v1::StatusResponse { known: true, message_id: message.stub.message_id.clone(), receipt, recipients, last })
    }
}

/// The entry of a reference; those of a store of format 1 stand under another key.
///
/// # Errors
/// [`Problem`] when the ledger cannot be read.
pub(crate) fn find(ledger: &dyn Ledger, reference: &Reference) -> Result<Option<u64>, Problem> {
    Ok(match ledger.find(&reference_key(reference))? {
        None => ledger.find(&reference_key_v1(reference))?,
        found => found,
    })
}

/// The highest number of a sender's latest series.
fn last_of(state: &State, sender: &Address) -> Option<v1::Previous> {
    let v1::SenderRow { year, series, .. } = *state.sender(sender)?;
    let number = state.series(sender, year, series).map_or(0, exchange::series::highest);
    Some(v1::Previous { year, series, number })
}

/// What a submission takes in the queue.
fn bytes_of(submission: &v1::Submission) -> usize {
    submission.content.len() + submission.wraps.iter().map(bytes::Bytes::len).sum::<usize>()
}

/// Counts an answer and ends its trace.
fn answered(shared: &Shared, trace: Trace, receipt: &Result<bytes::Bytes, Problem>) {
    shared.metrics.answered(receipt);
    if !trace.end(receipt) {
        shared.metrics.traces_lost(1);
    }
}

/// The answer to one submission of a stream.
fn response(shared: &Shared, trace: Trace, tag: u64, receipt: Result<bytes::Bytes, Problem>) -> v1::SubmitStreamResponse {
    answered(shared, trace, &receipt);
    match receipt {
        Ok(receipt) => v1::SubmitStreamResponse { tag, receipt, problem: None },
        Err(problem) => v1::SubmitStreamResponse { tag, receipt: bytes::Bytes::new(), problem: Some(problem.into()) },
    }
}
