//! The inbox: deliveries are verified from their receipts up, made durable, and only then called delivered.
//!
//! What the gateway sends proves itself or is not stored (`proof.rs`). What the rules should have refused is stored as a finding and not
//! opened. It does not know how a message looks to a person.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use envelope::header::Header;
use envelope::seal::{self, Sealed};
use envelope::{Address, Position, Receipt, Reference, Timestamp};
use prost::Message as _;
use proto::v1::{self, EntryKind, Kind, Priority, ReceiveRequest, ReceiveStart, RecipientState};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::client::{Client, hashes};
use crate::clock;
use crate::error::Error;
use crate::hotlist::HOTLIST_TYPE;
use crate::proof::{Fault, places};
use crate::store::{Table, Write};

/// One message of the inbox, as its receipt and signatures prove it.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// The sender's number.
    pub reference: Reference,
    /// Where it stands in the log.
    pub position: Position,
    /// Number in this mailbox.
    pub mailbox_seq: u64,
    /// Id of the message.
    pub message_id: [u8; 32],
    /// What it is for.
    pub kind: Kind,
    /// How urgent.
    pub priority: Priority,
    /// Ledger time.
    pub at: Timestamp,
    /// End of the message.
    pub expires: Timestamp,
    /// Available (stored here), delivered (the ledger knows that), acknowledged, or expired.
    pub state: RecipientState,
    /// A rule that should have refused it; such a message is not opened.
    pub finding: Option<String>,
    /// Nobody else gets it before this member releases it.
    pub held_here: bool,
    /// The message that it corrects, deletes or attests to, by id.
    pub target: Option<[u8; 32]>,
    /// The message that it answers, by id.
    pub in_reply_to: Option<[u8; 32]>,
}

/// What a visit to the mailbox brought.
#[derive(Clone, Debug, Default)]
pub struct Mail {
    /// New messages, in the order in which they came.
    pub received: Vec<Received>,
    /// Deliveries that do not prove themselves; they were not stored.
    pub unsound: Vec<String>,
    /// Numbers of the mailbox, up to its head, that are not here: expired, purged, or withheld.
    pub missing: Vec<u64>,
}

/// How to visit the mailbox.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReceiveOptions {
    /// Stay for what comes; otherwise end when everything that waits has come.
    pub follow: bool,
}

/// A message that was opened.
#[derive(Clone, Debug)]
pub struct Opened {
    /// What its receipt proves.
    pub message: Received,
    /// Everything that is signed.
    pub header: Header,
    /// The message that it answers, when it is in this profile.
    pub in_reply_to: Option<Reference>,
    /// What the sender says the content is.
    pub media_type: String,
    /// The content, byte for byte.
    pub content: Vec<u8>,
}

/// As the store keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Facts {
    pub(crate) reference: String,
    pub(crate) index: u64,
    pub(crate) mailbox_seq: u64,
    pub(crate) message_id: [u8; 32],
    pub(crate) kind: i32,
    pub(crate) priority: i32,
    pub(crate) at_ms: u64,
    pub(crate) expires_ms: u64,
    pub(crate) state: i32,
    pub(crate) finding: Option<String>,
    #[serde(default)]
    pub(crate) held_here: bool,
    #[serde(default)]
    pub(crate) target: Option<[u8; 32]>,
    #[serde(default)]
    pub(crate) in_reply_to: Option<[u8; 32]>,
}

impl Client {
    /// Fetches what waits, and what was delivered before but is not here. Every message is durable here before the
    /// ledger is told DELIVERED.
    ///
    /// # Errors
    /// [`Error::Unreachable`], a refusal, or [`Error::Unsound`] about the mailbox itself. Single deliveries that are
    /// unsound are in [`Mail::unsound`].
    pub async fn receive(&mut self, options: ReceiveOptions) -> Result<Mail, Error> {
        self.receive_each(options, |_| ControlFlow::Continue(())).await
    }

    /// As [`Client::receive`], and hands each message over as soon as it is durable; the visit ends when that breaks.
    ///
    /// # Errors
    /// As [`Client::receive`].
    pub async fn receive_each(
        &mut self,
        options: ReceiveOptions,
        mut each: impl FnMut(&Received) -> ControlFlow<()>,
    ) -> Result<Mail, Error> {
        let floor = self.floor()?;
        let after_advice = self.last_advice()?;
        let start = ReceiveStart { after_seq: floor, retained: true, until_caught_up: !options.follow, after_advice };
        let (requests, mut answers) = self.open_mailbox(start, CREDIT).await?;
        let mut mail = Mail::default();
        let (mut last_seq, mut owed, mut caught_up) = (0, 0, false);
        let (mut offered, mut due, mut quiet) = (None, true, 0u32);
        loop {
            let next = tokio::time::timeout(DELIVERED_AFTER, answers.message()).await;
            let answer = match next {
                Err(_) => {
                    // A quiet moment: what came until now is called delivered.
                    due = due && self.offer_delivered(&requests, &mut offered).await?;
                    quiet += 1;
                    if quiet.is_multiple_of(QUIET_MAX) {
                        // The log must go on as it was; and a gateway that is about to go takes no new question, so that a
                        // stream on which nothing more will come is not waited on for ever.
                        self.refresh_checkpoint().await?;
                    }
                    continue;
                }
                Ok(Ok(Some(answer))) => answer,
                Ok(Ok(None)) => break,
                Ok(Err(status)) => return Err(self.failed(&status).await),
            };
            if let Some(head) = &answer.head {
                last_seq = self.check_head(head).await?;
            }
            (owed, due) = (owed + u32::from(answer.delivery.is_some()), due || answer.delivery.is_some());
            if self.take_all(&answer, &mut mail, &mut each).await?.is_break() {
                break;
            }
            if let Some(result) = answer.statement {
                match self.read_result(result)? {
                    // Offered again in the next quiet moment.
                    Some(_) => offered = None,
                    None => due = self.offer_delivered(&requests, &mut offered).await?,
                }
            }
            if owed >= CREDIT / 2 {
                let more = ReceiveRequest { credit: std::mem::take(&mut owed), ..ReceiveRequest::default() };
                // A closed stream shows on the next answer.
                let _ = requests.send(more).await;
                self.offer_delivered(&requests, &mut offered).await?;
            }
            if answer.caught_up {
                caught_up = true;
                if !options.follow {
                    break;
                }
            }
        }
        drop((requests, answers));
        self.end_visit(mail, caught_up.then_some((floor, last_seq))).await
    }

    /// Keeps what an answer brings.
    async fn take_all(
        &mut self,
        answer: &v1::ReceiveResponse,
        mail: &mut Mail,
        each: &mut impl FnMut(&Received) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Error> {
        if !answer.advice.is_empty()
            && let Err(text) = self.take_advice(&answer.advice).await?
        {
            mail.unsound.push(text);
        }
        let Some(delivery) = &answer.delivery else { return Ok(ControlFlow::Continue(())) };
        match self.take(delivery).await? {
            Ok(Some(received)) => {
                let going = each(&received);
                mail.received.push(received);
                return Ok(going);
            }
            Ok(None) => {}
            Err(text) => mail.unsound.push(text),
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Says what is still to be said; a visit that caught up also knows what did not come.
    async fn end_visit(&mut self, mut mail: Mail, caught_up: Option<(u64, u64)>) -> Result<Mail, Error> {
        if let Some((floor, last_seq)) = caught_up {
            mail.missing = self.note_caught_up(floor, last_seq, mail.unsound.is_empty())?;
        }
        self.settle_mailbox().await?;
        self.refresh_states(&mut mail)?;
        Ok(mail)
    }

    /// Everything that is here, oldest first.
    ///
    /// # Errors
    /// [`Error::Store`] or [`Error::Row`].
    pub fn inbox(&self) -> Result<Vec<Received>, Error> {
        let rows = self.profile.store().numbered(Table::Facts)?;
        rows.iter().map(|(_, row)| facts(row)?.received(clock::now())).collect()
    }

    /// Opens a message of the inbox with this profile's keys.
    ///
    /// # Errors
    /// [`Error::NotHere`], [`Error::Finding`], or [`Error::Open`] when the sealed parts do not fit.
    pub fn open(&self, reference: &Reference) -> Result<Opened, Error> {
        let facts = self.facts_of(reference)?;
        if let Some(text) = facts.finding {
            return Err(Error::Finding { reference: reference.clone(), text });
        }
        let row = self.profile.store().get_number(Table::Inbox, facts.mailbox_seq)?.ok_or(Error::Row("inbox"))?;
        let delivery = v1::Delivery::decode(row.as_slice()).map_err(|_| Error::Row("inbox"))?;
        let signed = delivery.signed.ok_or(Error::Row("inbox"))?;
        let header = Header::parse(&signed.header, self.profile.network()).map_err(Error::unsound)?;
        if delivery.wrap.is_empty() && delivery.content.is_empty() {
            return Err(Error::Argument(format!("{reference} was a hot list, and was erased")));
        }
        let wrap_path = hashes(&delivery.wrap_path)?;
        let sealed = Sealed { header: &header, wrap: &delivery.wrap, wrap_path: &wrap_path, content: &delivery.content };
        let (body, content_key) = seal::open(self.profile.address(), &self.profile.decryption_keys()?, &sealed)?;
        let seq = facts.mailbox_seq;
        // A hot list lies here sealed, under the profile's keys and nothing beside them.
        if body.media_type != HOTLIST_TYPE {
            self.profile.store().commit(&[Write::number(Table::ContentKeys, seq, content_key.as_bytes().to_vec())])?;
        }
        let message = facts.received(clock::now())?;
        let in_reply_to = header.context.in_reply_to.map(|id| self.reference_of_message(&id)).transpose()?.flatten();
        Ok(Opened { message, header, in_reply_to, media_type: body.media_type, content: body.content.to_vec() })
    }

    pub(crate) fn facts_of(&self, reference: &Reference) -> Result<Facts, Error> {
        let absent = || Error::NotHere(reference.clone());
        let seq = self.profile.store().get(Table::References, reference.to_string().as_bytes())?.ok_or_else(absent)?;
        let row = self.profile.store().get(Table::Facts, &seq)?.ok_or_else(absent)?;
        facts(&row)
    }

    /// Up to this number everything that the mailbox retained is here.
    fn floor(&self) -> Result<u64, Error> {
        let Some(row) = self.profile.store().get(Table::Meta, FLOOR_KEY.as_bytes())? else { return Ok(0) };
        Ok(u64::from_be_bytes(row.try_into().map_err(|_| Error::Row("meta"))?))
    }

    fn note_caught_up(&self, floor: u64, last_seq: u64, sound: bool) -> Result<Vec<u64>, Error> {
        if sound && last_seq > floor {
            self.profile.store().commit(&[Write::text(Table::Meta, FLOOR_KEY, last_seq.to_be_bytes())])?;
        }
        let here: Vec<u64> = self.profile.store().numbered(Table::Facts)?.into_iter().map(|(seq, _)| seq).collect();
        Ok((floor + 1..=last_seq).filter(|seq| here.binary_search(seq).is_err()).take(MISSING_MAX).collect())
    }

    pub(crate) async fn open_mailbox(
        &mut self,
        start: ReceiveStart,
        credit: u32,
    ) -> Result<(mpsc::Sender<ReceiveRequest>, Streaming<v1::ReceiveResponse>), Error> {
        let (requests, queue) = mpsc::channel(16);
        let first = ReceiveRequest { start: Some(start), credit, statement: None };
        // The channel has room for sixteen.
        let _ = requests.send(first).await;
        match self.messages()?.receive(ReceiverStream::new(queue)).await {
            Ok(answers) => Ok((requests, answers.into_inner())),
            Err(status) => Err(self.failed(&status).await),
        }
    }

    /// The mailbox's head is disclosed from the ledger: nothing behind it can be kept from us unnoticed.
    async fn check_head(&mut self, head: &v1::MailboxHead) -> Result<u64, Error> {
        let known = self.profile.store().numbered(Table::Facts)?.last().map_or(0, |(seq, _)| *seq).max(self.floor()?);
        if head.receipt.is_empty() {
            return if head.last_seq == 0 && known == 0 { Ok(0) } else { Err(Error::unsound("the mailbox's head has no receipt")) };
        }
        let proven = self.witness_receipt(&head.receipt).await?;
        let place = places(&proven).find(|(_, place)| place.address == self.profile.address().as_str());
        let shown = place.is_some_and(|(_, place)| place.mailbox_seq == head.last_seq);
        if !matches!(proven.kind, EntryKind::Message | EntryKind::Release) || !shown {
            return Err(Error::unsound("the receipt of the mailbox's head shows another place"));
        }
        if head.last_seq < known {
            return Err(Error::unsound(format!("the mailbox's head is {}, {known} has been delivered here", head.last_seq)));
        }
        Ok(head.last_seq)
    }

    /// Verifies and stores one delivery; `None` when it was here before.
    async fn take(&mut self, delivery: &v1::Delivery) -> Result<Result<Option<Received>, String>, Error> {
        if self.profile.store().get_number(Table::Facts, delivery.mailbox_seq)?.is_some() {
            return Ok(Ok(None));
        }
        let judged = match self.judge(delivery) {
            Err(Fault::Directory(_)) => {
                self.refresh_directory().await?;
                self.judge(delivery)
            }
            judged => judged,
        };
        let (facts, checkpoints) = match judged {
            Ok(judged) => judged,
            Err(Fault::Unsound(text) | Fault::Directory(text)) => {
                return Ok(Err(format!("delivery {} of the mailbox: {text}", delivery.mailbox_seq)));
            }
        };
        if self.facts_of(&facts.reference.parse().map_err(|_| Error::Row("facts"))?).is_ok() {
            return Ok(Err(format!(
                "delivery {} of the mailbox is {}, which is here under another number",
                delivery.mailbox_seq, facts.reference
            )));
        }
        for (checkpoint, receipt) in checkpoints.iter().zip([&delivery.receipt, &delivery.release]) {
            self.witness(checkpoint, &Receipt::decode(receipt)?.fields().checkpoint).await?;
        }
        let seq = facts.mailbox_seq;
        self.profile.store().commit(&[
            Write::number(Table::Inbox, seq, delivery.encode_to_vec()),
            facts.write()?,
            Write::text(Table::References, &facts.reference, seq.to_be_bytes()),
        ])?;
        facts.received(clock::now()).map(|received| Ok(Some(received)))
    }

    fn refresh_states(&self, mail: &mut Mail) -> Result<(), Error> {
        let states: BTreeMap<u64, RecipientState> = self.inbox()?.into_iter().map(|one| (one.mailbox_seq, one.state)).collect();
        for received in &mut mail.received {
            received.state = states.get(&received.mailbox_seq).copied().unwrap_or(received.state);
        }
        Ok(())
    }
}

impl Facts {
    pub(crate) fn write(&self) -> Result<Write, Error> {
        let row = serde_json::to_vec(self).map_err(|_| Error::Row("facts"))?;
        Ok(Write::number(Table::Facts, self.mailbox_seq, row))
    }

    pub(crate) fn received(&self, now: Timestamp) -> Result<Received, Error> {
        let malformed = || Error::Row("facts");
        let stored = RecipientState::try_from(self.state).map_err(|_| malformed())?;
        let over = stored == RecipientState::Available && self.expires_ms <= now.ms();
        Ok(Received {
            reference: self.reference.parse().map_err(|_| malformed())?,
            position: Position::at(self.index),
            mailbox_seq: self.mailbox_seq,
            message_id: self.message_id,
            kind: Kind::try_from(self.kind).map_err(|_| malformed())?,
            priority: Priority::try_from(self.priority).map_err(|_| malformed())?,
            at: Timestamp(self.at_ms),
            expires: Timestamp(self.expires_ms),
            state: if over { RecipientState::Expired } else { stored },
            finding: self.finding.clone(),
            held_here: self.held_here,
            target: self.target,
            in_reply_to: self.in_reply_to,
        })
    }
}

impl Received {
    /// Who sent it.
    #[must_use]
    pub fn from(&self) -> &Address {
        &self.reference.sender
    }
}

pub(crate) fn facts(row: &[u8]) -> Result<Facts, Error> {
    serde_json::from_slice(row).map_err(|_| Error::Row("facts"))
}

/// Deliveries that the gateway may have on the way.
const CREDIT: u32 = 64;
/// What came is called delivered after a pause of this length.
const DELIVERED_AFTER: Duration = Duration::from_secs(1);
/// Missing numbers that are listed.
const MISSING_MAX: usize = 1000;
/// Quiet moments after which the checkpoint is looked at again.
const QUIET_MAX: u32 = 30;
const FLOOR_KEY: &str = "mailbox_floor";
