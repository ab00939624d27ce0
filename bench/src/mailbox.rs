//! One recipient's mailbox by the raw protocol: takes what comes within its credit and says DELIVERED in batches.
//!
//! Nothing is opened and nothing is kept; the receipt of one delivery in so many is verified as a client verifies all.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use client::link::Link;
use envelope::keys::SigningKey;
use envelope::statement::{self, Delivered, digest_of};
use envelope::{Address, Receipt};
use prost::Message as _;
use proto::v1;
use proto::v1::messages_client::MessagesClient;
use tlog::VerifierKey;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::fleet::{Fleet, now};

/// How a mailbox is read.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Deliveries that one statement names, at most 64.
    pub batch: usize,
    /// A statement goes out with fewer after this pause.
    pub pause: Duration,
    /// Of so many deliveries the receipt of one is verified.
    pub check_one_in: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { batch: envelope::limits::MAILBOX_ITEMS_MAX, pause: Duration::from_secs(1), check_one_in: 64 }
    }
}

/// One message that came.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// Its number among its sender's.
    pub number: u64,
    /// When it came.
    pub received: Instant,
    /// When the statement that names it was durable.
    pub delivered: Instant,
}

/// An open Receive stream.
pub struct Mailbox {
    requests: mpsc::Sender<v1::ReceiveRequest>,
    answers: Streaming<v1::ReceiveResponse>,
    statements: Statements,
    log: VerifierKey,
    pace: Pace,
    came: u64,
    /// Came, and is not yet named by a statement.
    unsaid: Vec<(v1::ReceiptItem, Taken)>,
    /// The statement under way: its digest, and what it names.
    under_way: Option<([u8; 32], Vec<Taken>)>,
    taken: Vec<Taken>,
}

impl std::fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailbox").field("came", &self.came).finish_non_exhaustive()
    }
}

/// What a recipient signs with, and where its chain of statements stands.
struct Statements {
    address: Address,
    network: String,
    key: SigningKey,
    seq: u64,
    prev: Option<[u8; 32]>,
}

impl Mailbox {
    /// Opens the mailbox of `address` over its own link, with full credit, and waits for its head.
    ///
    /// # Errors
    /// Whatever the gateway says.
    pub async fn open(fleet: &Fleet, link: Link, address: &Address, pace: Pace) -> anyhow::Result<Self> {
        let mut client = MessagesClient::with_origin(link.clone(), link.origin()).max_decoding_message_size(16 << 20);
        let (requests, stream) = mpsc::channel(16);
        let start = v1::ReceiveStart { after_seq: 0, retained: false, until_caught_up: false, after_advice: 0 };
        requests.send(v1::ReceiveRequest { start: Some(start), credit: CREDIT, ..v1::ReceiveRequest::default() }).await?;
        let mut answers = client.receive(ReceiverStream::new(stream)).await?.into_inner();
        let first = answers.message().await?.context("the stream ended before its head")?;
        ensure!(first.head.is_some(), "the first response is the mailbox's head");
        let statements = Statements {
            address: address.clone(),
            network: fleet.trust.network.to_string(),
            key: fleet.signing_key(address)?,
            seq: 0,
            prev: None,
        };
        Ok(Self {
            requests,
            answers,
            statements,
            log: fleet.trust.log_verifier()?,
            pace,
            came: 0,
            unsaid: Vec::new(),
            under_way: None,
            taken: Vec::new(),
        })
    }

    /// Takes `count` deliveries and returns when the statements that name them are durable. `heard` hears each number
    /// when its message comes.
    ///
    /// # Errors
    /// When the stream ends first, a receipt does not verify, or a statement is refused.
    pub async fn take(mut self, count: u64, mut heard: impl FnMut(u64)) -> anyhow::Result<Vec<Taken>> {
        let mut due = tokio::time::Instant::now();
        while (self.taken.len() as u64) < count {
            if self.under_way.is_none() && (self.unsaid.len() >= self.pace.batch || self.came == count && !self.unsaid.is_empty()) {
                self.say().await?;
            }
            let waits = self.under_way.is_none() && !self.unsaid.is_empty();
            let response = tokio::select! {
                response = self.answers.message() => response?,
                () = tokio::time::sleep_until(due), if waits => {
                    self.say().await?;
                    continue;
                }
            };
            let response = response.context("the gateway ended the stream")?;
            if let Some(delivery) = response.delivery {
                if self.unsaid.is_empty() {
                    due = tokio::time::Instant::now() + self.pace.pause;
                }
                heard(self.note(&delivery)?);
            }
            if let Some(result) = response.statement {
                self.settle(result)?;
            }
        }
        Ok(self.taken)
    }

    fn note(&mut self, delivery: &v1::Delivery) -> anyhow::Result<u64> {
        let received = Instant::now();
        let header = &delivery.signed.as_ref().context("a delivery has its header")?.header;
        let context = v1::Context::decode(v1::Header::decode(header.clone())?.context)?;
        let message_id = envelope::header::message_id(header);
        if self.came.is_multiple_of(self.pace.check_one_in) {
            let proven = Receipt::decode(&delivery.receipt)?.verify(&self.log)?;
            ensure!(proven.slot(1, 0) == Some(header), "the receipt is of another message");
        }
        self.came += 1;
        let item = v1::ReceiptItem { mailbox_seq: delivery.mailbox_seq, message_id: message_id.to_vec().into() };
        self.unsaid.push((item, Taken { number: context.number, received, delivered: received }));
        Ok(context.number)
    }

    /// Signs DELIVERED for what came, gives the credit back with it, and sends both.
    async fn say(&mut self) -> anyhow::Result<()> {
        let rest = self.unsaid.split_off(self.unsaid.len().min(self.pace.batch));
        let named = std::mem::replace(&mut self.unsaid, rest);
        let credit = u32::try_from(named.len())?;
        let (mut items, taken): (Vec<_>, Vec<_>) = named.into_iter().unzip();
        items.sort_by_key(|item| item.mailbox_seq);
        let signed = self.statements.delivered(items)?;
        self.under_way = Some((digest_of(&signed), taken));
        self.requests.send(v1::ReceiveRequest { credit, statement: Some(signed), ..v1::ReceiveRequest::default() }).await?;
        Ok(())
    }

    fn settle(&mut self, result: v1::StatementResult) -> anyhow::Result<()> {
        let (digest, taken) = self.under_way.take().context("no statement is under way")?;
        ensure!(result.sha256 == digest[..], "the result is of another statement");
        if let Some(problem) = result.problem {
            bail!("DELIVERED was not taken: {} {}", problem.name, problem.text);
        }
        let delivered = Instant::now();
        self.taken.extend(taken.into_iter().map(|taken| Taken { delivered, ..taken }));
        Ok(())
    }
}

impl Statements {
    fn delivered(&mut self, items: Vec<v1::ReceiptItem>) -> anyhow::Result<v1::SignedStatement> {
        self.seq += 1;
        let created_ms = now().ms();
        let head = v1::StatementHead {
            version: 1,
            network: self.network.clone(),
            issuer: self.address.to_string(),
            subject: self.address.to_string(),
            seq: self.seq,
            prev_sha256: self.prev.map(|digest| digest.to_vec()).unwrap_or_default().into(),
            created_ms,
            expires_ms: 0,
        };
        let clock = v1::ClockQuality::Ntp.into();
        let body = v1::MailboxStatement { head: Some(head), items, at_ms: created_ms, clock, checkpoint_size: 0 };
        let signed = statement::sign(&Delivered(body), &[&self.key])?;
        self.prev = Some(digest_of(&signed));
        Ok(signed)
    }
}

/// The most that a gateway allows.
const CREDIT: u32 = 1024;
