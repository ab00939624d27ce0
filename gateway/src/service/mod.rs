//! The gRPC services. Each turns bytes into the route's first type, hands it on, and answers; none decides anything.

pub mod audit;
pub mod directory;
pub mod messages;
pub mod receive;

use std::sync::Arc;

use envelope::message::Peer;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tonic::{Extensions, Status};

use crate::problem::{Bound, Problem};
use crate::shared::Shared;
use crate::writer::{Answer, Command, Reply};

/// What every service holds.
#[derive(Clone)]
pub struct Desk {
    /// Common knowledge.
    pub shared: Arc<Shared>,
    /// The way to the writer.
    pub writer: mpsc::Sender<Command>,
}

impl Desk {
    /// Hands a command to the writer without waiting. When the queue is full or the gateway is going down, the command is
    /// answered with [`Problem::Busy`].
    pub fn hand(&self, command: Command) {
        if let Err(TrySendError::Full(command) | TrySendError::Closed(command)) = self.writer.try_send(command) {
            command.refuse(Problem::busy_at(Bound::Queue, "the queue to the ledger is full, or the gateway is going down"));
        }
    }

    /// Hands a command to the writer and waits for the answer.
    ///
    /// # Errors
    /// [`Problem`] as the writer says.
    pub async fn ask(&self, command: impl FnOnce(Reply) -> Command) -> Answer {
        let (reply, answer) = oneshot::channel();
        // A caller that has gone away does not hinder the writer.
        self.hand(command(Reply::new(move |answer| drop(reply.send(answer)))));
        answer.await.unwrap_or_else(|_| Err(Problem::not_known()))
    }

    /// Publishes a statement that `peer` brought.
    ///
    /// # Errors
    /// [`Problem`] as the writer says.
    pub async fn publish(&self, peer: &Peer, signed: proto::v1::SignedStatement) -> Answer {
        let paced = self.shared.pace.take(&peer.address, signed.kind(), std::time::Instant::now());
        if let Err(problem) = paced {
            self.shared.metrics.told(&problem);
            return Err(problem);
        }
        let answer = match self.shared.gate.enter(&peer.address, signed.statement.len(), false) {
            Ok(permit) => {
                let address = peer.address.clone();
                self.ask(|reply| Command::Statement { peer: address, signed: Box::new(signed), permit, reply }).await
            }
            Err(full) => Err(full.into()),
        };
        answer.inspect_err(|problem| self.shared.metrics.told(problem))
    }
}

/// The TLS identity of a call; the connection has put it there.
///
/// # Errors
/// An internal status when it is not there, which no peer can cause.
// The type is tonic's; a box would only move it.
#[allow(clippy::result_large_err)]
pub fn peer(extensions: &Extensions) -> Result<Arc<Peer>, Status> {
    extensions.get::<Arc<Peer>>().cloned().ok_or_else(|| Problem::fault("a call", &"came without a TLS identity").into())
}
