//! Sending: a message is made durable under its number, then sent until a definite answer comes.
//!
//! It carries out what the outbox decides and reads answers for it; it decides nothing about numbers itself.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use envelope::header::message_id;
use envelope::keys::{Signer, random};
use envelope::message::signatures_sha256;
use envelope::receipt::Proven;
use envelope::{Address, Position, Reference, Timestamp, seal};
use exchange::Rows as _;
use exchange::rules::{Sight, foresee};
use prost::Message as _;
use proto::v1::{self, EntryKind};
use serde::{Deserialize, Serialize};

use crate::client::{CONNECT_TIMEOUT, Client, NUMBERING_KEY};
use crate::clock;
use crate::compose::{self, Compose, Frame, Named};
use crate::error::Error;
use crate::files;
use crate::kept::STUB_TAG;
use crate::outbox::{Action, Changes, Event, Id, Item, Number, Refusal, Wait};
use crate::profile::Profile;
use crate::standing::{End, outcome_row};
use crate::store::{Table, Write};
use crate::trouble::Trouble;

/// A message that is durable, published and available.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Its number.
    pub reference: Reference,
    /// Where it stands in the log.
    pub position: Position,
    /// Ledger time.
    pub at: Timestamp,
    /// Its receipt, verified.
    pub receipt_path: PathBuf,
    /// The Submission exactly as it was sent.
    pub bytes: Bytes,
    /// Who must release it before anybody else gets it.
    pub held_by: Option<Address>,
}

/// What became of an outbox.
#[derive(Debug, Default)]
pub struct Flushed {
    /// In the ledger now.
    pub sent: Vec<Sent>,
    /// Refused for good, with the reason.
    pub refused: Vec<(Option<Reference>, Error)>,
    /// Past their end; a VOID closes their number.
    pub expired: Vec<Reference>,
    /// Why the rest is still there, if something is.
    pub pending: Option<Error>,
}

/// What is known of one's own message, as the store keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SentRow {
    pub(crate) index: u64,
    pub(crate) message_id: [u8; 32],
    /// It is the VOID that closes the number.
    #[serde(default)]
    pub(crate) void: bool,
    /// Every recipient has acknowledged it, or was refused it by its bureau: nothing more will become of it there.
    #[serde(default)]
    pub(crate) settled: bool,
}

/// What a context needs from the directory: the recipients' keys in their order, and size and root of its Head.
type Foreseen = (Vec<Bytes>, (u64, [u8; 32]));

/// What happened to the items of the outbox while it was driven.
#[derive(Debug, Default)]
struct Driven {
    sent: BTreeMap<Id, Sent>,
    refused: BTreeMap<Id, (Option<Reference>, Error)>,
    expired: BTreeMap<Id, Option<Reference>>,
    reasons: BTreeMap<Id, Error>,
    pending: Option<Error>,
}

impl Driven {
    fn has(&self, id: Id) -> bool {
        self.sent.contains_key(&id) || self.refused.contains_key(&id) || self.expired.contains_key(&id)
    }
}

impl Client {
    /// Sends a message, trying for `message.wait`. It is durable in the outbox before the first attempt.
    ///
    /// # Errors
    /// [`Error::Refused`] by the directory's rules (then no number was taken) or by the gateway; [`Error::Unreachable`]
    /// when it is still in the outbox; what is unsound in an answer.
    pub async fn send(&mut self, message: Compose) -> Result<Sent, Error> {
        let deadline = Instant::now() + message.wait;
        self.sent_beside.clear();
        if self.link().is_none() {
            match self.reconnect((message.wait / 2).max(Duration::from_millis(100))).await {
                Ok(()) | Err(Error::Unreachable { .. }) => {}
                Err(other) => return Err(other),
            }
        }
        let id = self.queue_with(&message, Vec::new()).await?;
        let reference = self.reference_of(id);
        let mut driven = self.drive(Some(id), deadline).await?;
        let sent = driven.sent.remove(&id);
        self.sent_beside = driven.sent.into_values().collect();
        if let Some(sent) = sent {
            return Ok(sent);
        }
        if let Some((_, error)) = driven.refused.remove(&id) {
            self.told_of(id)?;
            return Err(error);
        }
        if driven.expired.contains_key(&id) {
            self.told_of(id)?;
            return Err(Error::refused("EXPIRED", "it expired before it was sent"));
        }
        let error = driven.pending.unwrap_or_else(|| self.unreachable("no answer in time"));
        Err(reference.map_or_else(|| self.unreachable("its series is not known yet"), |reference| error.keeping(reference)))
    }

    /// Makes a message durable in the outbox without sending it; its reference, when the series is known.
    ///
    /// # Errors
    /// [`Error::Refused`] by the directory's rules; then no number was taken.
    pub async fn queue(&mut self, message: &Compose) -> Result<Option<Reference>, Error> {
        let id = self.queue_with(message, Vec::new()).await?;
        Ok(self.reference_of(id))
    }

    /// Sends what waits in the outbox, for at most `wait`.
    ///
    /// # Errors
    /// What is unsound in an answer, or a certificate that is refused. Single messages' refusals are in [`Flushed`].
    pub async fn flush_outbox(&mut self, wait: Duration) -> Result<Flushed, Error> {
        let driven = self.drive(None, Instant::now() + wait).await?;
        Ok(Flushed {
            sent: driven.sent.into_values().collect(),
            refused: driven.refused.into_values().collect(),
            expired: driven.expired.into_values().flatten().collect(),
            pending: driven.pending,
        })
    }

    pub(crate) fn reference_of(&self, id: Id) -> Option<Reference> {
        self.outbox.items().get(&id).and_then(|item| item.number).map(|number| self.reference(number))
    }

    fn reference(&self, number: Number) -> Reference {
        Reference { sender: self.address().clone(), year: number.year, series: number.series, number: number.number }
    }

    /// Puts a message into the outbox, and `beside` into the store, in one commit.
    pub(crate) async fn queue_with(&mut self, message: &Compose, beside: Vec<Write>) -> Result<Id, Error> {
        let body = v1::SealedBody { media_type: message.media_type.clone(), content: Bytes::from(message.content.clone()) };
        if body.content.len() > envelope::limits::CONTENT_BYTES_MAX {
            return Err(Error::Argument(envelope::seal::SealError::ContentSize(body.content.len()).to_string()));
        }
        if self.directory.size() == 0 {
            self.directory.fresh_head(clock::now(), false)?;
        }
        let named = self.named(message)?;
        let policy = self.directory.policy();
        let draft = compose::context(&self.frame(&policy), message, &self.expand(message)?, &named)?;
        if let Err(error) = self.foresee(&draft) {
            let is_refusal = matches!(error, Error::Refused { .. });
            // The directory may have grown since it was fetched. Without a link a message whose recipient's key is not
            // known here yet is kept unsealed.
            match self.link() {
                Some(_) if is_refusal => {
                    self.refresh_directory().await?;
                    self.foresee(&draft)?;
                }
                None if error.name() == Some("STALE_KEY") => {}
                _ => return Err(error),
            }
        }
        let id = self.outbox.next_id();
        let mut extra = beside;
        extra.push(Write::number(Table::DraftContext, id, draft.encode_to_vec()));
        extra.push(Write::number(Table::DraftBody, id, body.encode_to_vec()));
        let event = Event::Queue { priority: draft.priority, expires_ms: draft.expires_ms };
        let mut driven = Driven::default();
        let mut actions = VecDeque::from(self.decide(event, extra, &mut driven)?);
        while let Some(action) = actions.pop_front() {
            // Only sealing follows: nothing is sent here.
            actions.extend(self.perform(action, &mut driven).await?);
        }
        match driven.refused.remove(&id) {
            Some((_, error)) => {
                self.told_of(id)?;
                Err(error)
            }
            None => Ok(id),
        }
    }

    /// Refuses what the directory alone tells, by the name that the gateway would use; gives the recipients' keys.
    fn foresee(&self, draft: &v1::Context) -> Result<Foreseen, Error> {
        let now = clock::now();
        let mut whole = draft.clone();
        let own_ncb_only = self.address().own_ncb().is_some_and(|ncb| draft.recipients == [ncb.to_string()]);
        let head = self.directory.fresh_head(now, own_ncb_only)?;
        compose::place_anywhere(&mut whole, now, (head.size, *head.root.as_bytes()));
        let context = compose::read(&whole)?;
        let earlier = self.earlier_of(&context)?;
        let refused: exchange::Refusal = match foresee(self.directory.state(), now, &context, earlier.as_ref(), Sight::Whole) {
            Err(refusal) => refusal,
            Ok(()) => {
                let key = |recipient| self.directory.current_key(recipient).ok_or_else(|| recipient.clone());
                match context.recipients.iter().map(key).collect() {
                    Ok(keys) => return Ok((keys, (head.size, *head.root.as_bytes()))),
                    Err(recipient) => exchange::Refusal::StaleKey { recipient },
                }
            }
        };
        Err(refused.into())
    }

    pub(crate) fn frame<'a>(&'a self, policy: &'a v1::Policy) -> Frame<'a> {
        Frame {
            network: self.profile.network().as_str(),
            sender: self.profile.address(),
            signers: self.signers().map(|signer| signer.public().signer_ref()).collect(),
            supervisor: self.supervisor(),
            policy,
            now: clock::now(),
        }
    }

    /// Lets the outbox decide and makes its decision durable, `extra` with it; gives what is to be done now.
    fn decide(&mut self, event: Event, extra: Vec<Write>, driven: &mut Driven) -> Result<Vec<Action>, Error> {
        let before: BTreeMap<Id, (Option<Number>, bool)> =
            self.outbox.items().iter().map(|(id, item)| (*id, (item.number, item.void))).collect();
        let mut writes = extra;
        let mut todo = Vec::new();
        for action in self.outbox.handle(clock::now(), event) {
            let number_of = |id: &Id| before.get(id).and_then(|(number, _)| *number);
            match action {
                Action::Save(changes) => writes.extend(rows(&changes)?),
                Action::Done(id) => writes.extend(emptied(id)),
                Action::Dropped(id) => {
                    writes.extend(emptied(id));
                    let reason = driven.reasons.remove(&id).unwrap_or_else(|| Error::refused("REFUSED", "the message was dropped"));
                    if !before.get(&id).is_some_and(|(_, void)| *void) {
                        let reference = number_of(&id).map(|number| self.reference(number));
                        writes.push(outcome_row(id, reference.as_ref(), end_of(&reason))?);
                        driven.refused.insert(id, (reference, reason));
                    }
                }
                Action::GivenUp(id) => {
                    writes.extend(emptied(id));
                    let reference = number_of(&id).map(|number| self.reference(number));
                    writes.push(outcome_row(id, reference.as_ref(), End::Expired)?);
                    driven.expired.insert(id, reference);
                }
                other => todo.push(other),
            }
        }
        self.profile.store().commit(&writes)?;
        Ok(todo)
    }

    /// Works through the outbox until `want` has its answer, nothing is left, or the deadline has passed.
    async fn drive(&mut self, want: Option<Id>, deadline: Instant) -> Result<Driven, Error> {
        let mut driven = Driven::default();
        let mut actions = VecDeque::new();
        loop {
            let answered = want.is_some_and(|id| driven.has(id));
            if self.link().is_none() {
                if answered || self.outbox.is_empty() {
                    return Ok(driven);
                }
                match self.reconnect(CONNECT_TIMEOUT.min(deadline.saturating_duration_since(Instant::now()).max(FIRST_TRY))).await {
                    Ok(()) => {}
                    Err(error @ Error::Unreachable { .. }) => {
                        driven.pending = Some(error);
                        self.decide(Event::Later(0, wait(0)?), Vec::new(), &mut driven)?;
                        if !self.sleep(deadline).await {
                            return Ok(driven);
                        }
                        continue;
                    }
                    Err(other) => return Err(other),
                }
            }
            actions.extend(self.decide(Event::Tick, Vec::new(), &mut driven)?);
            if actions.is_empty() && (answered || self.outbox.is_empty() || !self.sleep(deadline).await) {
                return Ok(driven);
            }
            while let Some(action) = actions.pop_front() {
                actions.extend(self.perform(action, &mut driven).await?);
            }
            if Instant::now() >= deadline && (answered || want.is_none()) {
                return Ok(driven);
            }
        }
    }

    /// Waits until the outbox wants to go on; false when the deadline comes first.
    async fn sleep(&self, deadline: Instant) -> bool {
        let Some(wake) = self.outbox.wake_at() else { return false };
        let pause = Duration::from_millis(wake.ms().saturating_sub(clock::now().ms()).max(1));
        let left = deadline.saturating_duration_since(Instant::now());
        // The last attempt falls on the deadline.
        tokio::time::sleep(pause.min(left)).await;
        !left.is_zero()
    }

    async fn perform(&mut self, action: Action, driven: &mut Driven) -> Result<Vec<Action>, Error> {
        match action {
            Action::Seal { id, number, previous, void } => self.perform_seal(id, number, previous, void, driven).await,
            Action::Submit(id) => self.perform_submit(id, driven).await,
            Action::AskStatus(id, number) => self.perform_ask(id, number, driven).await,
            Action::Probe => {
                let event = match self.probe().await {
                    Ok(last) => Event::Last(last),
                    Err(trouble) => self.later(0, trouble, driven)?,
                };
                self.decide(event, Vec::new(), driven)
            }
            Action::Save(_) | Action::Done(_) | Action::Dropped(_) | Action::GivenUp(_) => Ok(Vec::new()),
        }
    }

    async fn perform_seal(
        &mut self,
        id: Id,
        number: Number,
        previous: Option<Number>,
        void: bool,
        driven: &mut Driven,
    ) -> Result<Vec<Action>, Error> {
        if self.outbox.items().get(&id).is_some_and(|item: &Item| item.reseals > 0) && self.link().is_some() {
            self.refresh_directory().await?;
        }
        let (event, extra) = match self.seal(id, number, previous, void) {
            Ok((submission, message_id, expires_ms)) => {
                (Event::Sealed { id, message_id, expires_ms }, vec![Write::number(Table::Signed, id, submission.encode_to_vec())])
            }
            Err(error)
                if void || error.name() == Some("STALE_DIRECTORY") || (self.link().is_none() && error.name() == Some("STALE_KEY")) =>
            {
                driven.pending = Some(error);
                (Event::SealLater(id, wait(SEAL_PAUSE_MS)?), Vec::new())
            }
            Err(error @ (Error::Refused { .. } | Error::Seal(_))) => {
                driven.reasons.insert(id, error);
                (Event::SealRefused(id), Vec::new())
            }
            Err(other) => return Err(other),
        };
        self.decide(event, extra, driven)
    }

    /// Seals a draft, or a VOID, under a number.
    fn seal(&self, id: Id, number: Number, previous: Option<Number>, void: bool) -> Result<(v1::Submission, [u8; 32], u64), Error> {
        let policy = self.directory.policy();
        let (mut context, body) = if void { compose::void(&self.frame(&policy))? } else { self.draft(id)? };
        compose::carry_over(&mut context, number, clock::now());
        self.leave_out_who_left(&mut context);
        let (keys, head) = self.foresee(&context)?;
        compose::place(&mut context, number, previous, head);
        let signers: Vec<&dyn Signer> = self.signers().take(context.signers.len()).collect();
        let seats_here = context.signers.iter().zip(&signers).all(|(named, signer)| named.key_id == signer.public().key_id()[..]);
        if signers.len() < context.signers.len() || !seats_here {
            return Err(Error::refused("SEATS_ABSENT", "officers' seats are to sign it, who are not here: send it again with --seat"));
        }
        let submission = seal::seal(&context, &body, &keys, &signers)?;
        let id = submission.signed.as_ref().map_or([0; 32], |signed| message_id(&signed.header));
        Ok((submission, id, context.expires_ms))
    }

    fn draft(&self, id: Id) -> Result<(v1::Context, v1::SealedBody), Error> {
        let row = |table| self.profile.store().get_number(table, id)?.ok_or(Error::Row("draft_context"));
        let context = v1::Context::decode(row(Table::DraftContext)?.as_slice()).map_err(|_| Error::Row("draft_context"))?;
        let body = v1::SealedBody::decode(row(Table::DraftBody)?.as_slice()).map_err(|_| Error::Row("draft_body"))?;
        Ok((context, body))
    }

    async fn perform_submit(&mut self, id: Id, driven: &mut Driven) -> Result<Vec<Action>, Error> {
        let bytes = Bytes::from(self.profile.store().get_number(Table::Signed, id)?.ok_or(Error::Row("signed"))?);
        let submission = v1::Submission::decode(bytes.clone()).map_err(|_| Error::Row("signed"))?;
        let signed = submission.signed.clone().ok_or(Error::Row("signed"))?;
        let request = v1::SubmitRequest { submission: Some(submission) };
        let mut messages = if bytes.len() < BULK_BYTES { self.messages()? } else { self.messages_in_bulk()? };
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, messages.submit(request)).await;
        let event = match answer {
            Err(_) => self.later(id, Trouble::Lost("no answer in time".to_owned()), driven)?,
            Ok(Ok(answer)) => {
                let receipt = answer.into_inner().receipt;
                let proven = self.witness_receipt(&receipt).await?;
                proven.is_of_message(&signed.header, &signatures_sha256(&signed.signatures))?;
                return self.admitted(id, &proven, &receipt, bytes, driven);
            }
            Ok(Err(status)) => match self.failed(&status).await {
                refused @ Error::CertificateRefused { .. } => return Err(refused),
                _ => self.read_refusal(id, Trouble::of_status(&status), driven)?,
            },
        };
        self.decide(event, Vec::new(), driven)
    }

    /// Keeps the receipt, then tells the outbox.
    fn admitted(&mut self, id: Id, proven: &Proven, receipt: &[u8], bytes: Bytes, driven: &mut Driven) -> Result<Vec<Action>, Error> {
        let Some((number, void)) = self.outbox.items().get(&id).and_then(|item| Some((item.number?, item.void))) else {
            return Ok(Vec::new());
        };
        let reference = self.reference(number);
        let receipt_path = self.profile.receipt_path(&reference);
        files::replace(&receipt_path, receipt)?;
        let message_id = proven.slot(1, 0).map_or([0; 32], |header| message_id(header));
        let row = SentRow { index: proven.position.index, message_id, void, settled: false };
        let row = serde_json::to_vec(&row).map_err(|_| Error::Row("sent"))?;
        let extra = vec![Write::text(Table::Sent, &reference.to_string(), row)];
        let actions = self.decide(Event::Admitted(id), extra, driven)?;
        if !void {
            let stub = proven.slot(STUB_TAG, 0).and_then(|bytes| v1::Stub::decode(bytes.as_ref()).ok()).unwrap_or_default();
            let held_by = Address::parse(&stub.held_by).ok();
            driven.sent.insert(id, Sent { reference, position: proven.position, at: proven.leaf.at, receipt_path, bytes, held_by });
        }
        Ok(actions)
    }

    async fn perform_ask(&mut self, id: Id, number: Number, driven: &mut Driven) -> Result<Vec<Action>, Error> {
        let request = v1::StatusRequest { year: number.year, series: number.series, number: number.number };
        let answer = match self.messages()?.status(request).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => {
                let error = self.failed(&status).await;
                if matches!(error, Error::CertificateRefused { .. }) {
                    return Err(error);
                }
                let event = self.later(id, Trouble::of_status(&status), driven)?;
                return self.decide(event, Vec::new(), driven);
            }
        };
        if !answer.known {
            return self.decide(Event::Unknown(id), Vec::new(), driven);
        }
        let proven = self.proven_message(&answer.receipt, &answer.message_id).await?;
        let found: [u8; 32] = answer.message_id.as_ref().try_into().map_err(|_| Error::unsound("a message id has 32 bytes"))?;
        if self.outbox.items().get(&id).is_some_and(|item| item.message_ids.contains(&found)) {
            let bytes = Bytes::from(self.profile.store().get_number(Table::Signed, id)?.unwrap_or_default());
            return self.admitted(id, &proven, &answer.receipt, bytes, driven);
        }
        self.decide(Event::Known(id, found), Vec::new(), driven)
    }

    /// A receipt of the message with this id.
    pub(crate) async fn proven_message(&mut self, receipt: &[u8], id: &[u8]) -> Result<Proven, Error> {
        let proven = self.witness_receipt(receipt).await?;
        let same = proven.kind == EntryKind::Message && proven.slot(1, 0).is_some_and(|header| message_id(header) == id);
        if same { Ok(proven) } else { Err(Error::unsound("the receipt is not that of the message named")) }
    }

    fn read_refusal(&mut self, id: Id, trouble: Trouble, driven: &mut Driven) -> Result<Event, Error> {
        let Trouble::Refused { name, text, metadata } = trouble else { return self.later(id, trouble, driven) };
        let refusal = match name.as_str() {
            "STALE_KEY" | "STALE_DIRECTORY" => Refusal::Stale,
            "EXPIRED" => Refusal::Expired,
            "REFERENCE_REUSED" => Refusal::Reused,
            "BAD_REFERENCE" => last_number(&metadata).map_or(Refusal::Other, Refusal::Reference),
            _ => Refusal::Other,
        };
        driven.reasons.insert(id, Error::Refused { name, text, metadata });
        Ok(Event::Refused { id, refusal })
    }

    /// No definite answer: the same bytes again, later.
    fn later(&mut self, id: Id, trouble: Trouble, driven: &mut Driven) -> Result<Event, Error> {
        let at_least_ms = if let Trouble::Busy { retry_after_ms, .. } = &trouble { *retry_after_ms } else { 0 };
        if matches!(trouble, Trouble::Lost(_)) {
            self.link = None;
        }
        driven.pending = Some(trouble.into_error(self.profile.gateway()));
        Ok(Event::Later(id, wait(at_least_ms)?))
    }

    /// Asks for the highest number of the sender's latest series that the gateway knows.
    pub(crate) async fn probe(&mut self) -> Result<Option<Number>, Trouble> {
        let request = v1::StatusRequest { year: clock::now().year(), series: 1, number: 1 };
        let answer = self.messages().map_err(|error| Trouble::Fault(error.to_string()))?.status(request).await;
        let last = answer.map_err(|status| Trouble::of_status(&status))?.into_inner().last;
        Ok(last.map(|last| Number { year: last.year, series: last.series, number: last.number }))
    }

    /// What a message names, by id.
    pub(crate) fn named(&self, message: &Compose) -> Result<Named, Error> {
        let id = |reference: &Option<Reference>| reference.as_ref().map(|reference| self.message_id_of(reference)).transpose();
        let authority = |digest: &[u8; 32]| {
            let row = self.directory.state().permission(digest);
            let row = row.ok_or_else(|| Error::Argument(format!("{} is no permission of this profile", envelope::genesis::hex(digest))))?;
            Ok::<_, Error>(v1::Authority { kind: row.kind, statement_digest: digest.to_vec().into() })
        };
        let authorities = message.permissions.iter().map(authority).collect::<Result<_, _>>()?;
        Ok(Named { in_reply_to: id(&message.in_reply_to)?, target: id(&message.target)?, parent: id(&message.parent)?, authorities })
    }

    /// Whoever signs what this client sends: the sender, and the officers' seats that are here.
    fn signers(&self) -> impl Iterator<Item = &dyn Signer> {
        std::iter::once(self.profile.identity()).chain(self.seats.iter().map(Profile::identity))
    }

    /// For whom what a supervised bureau publishes is held.
    fn supervisor(&self) -> Option<Address> {
        let state = self.directory.state().participant(self.address())?.state();
        Address::parse(exchange::rules::COMPLIANCE_DESK).ok().filter(|_| state == v1::ParticipantState::Supervised)
    }
}

/// The last number in the parameters of BAD_REFERENCE; year 0 means that the gateway knows none.
fn last_number(metadata: &BTreeMap<String, String>) -> Option<Option<Number>> {
    let year = metadata.get("last_year")?.parse().ok()?;
    let series = metadata.get("last_series")?.parse().ok()?;
    let number = metadata.get("last_number")?.parse().ok()?;
    Some((year > 0).then_some(Number { year, series, number }))
}

fn rows(changes: &Changes) -> Result<Vec<Write>, Error> {
    let mut writes = Vec::new();
    if let Some(numbering) = &changes.numbering {
        let row = serde_json::to_vec(numbering).map_err(|_| Error::Row("meta"))?;
        writes.push(Write::text(Table::Meta, NUMBERING_KEY, row));
    }
    for item in &changes.items {
        writes.push(Write::number(Table::Outbox, item.id, serde_json::to_vec(item).map_err(|_| Error::Row("outbox"))?));
    }
    writes.extend(changes.gone.iter().map(|id| Write::gone(Table::Outbox, *id)));
    Ok(writes)
}

/// A reason for good, as a notice keeps it.
fn end_of(reason: &Error) -> End {
    match reason {
        Error::Refused { name, text, .. } => End::Refused { name: name.clone(), text: text.clone() },
        other => End::Refused { name: other.name().unwrap_or("REFUSED").to_owned(), text: other.to_string() },
    }
}

/// Content and bytes of an item that are no longer needed.
fn emptied(id: Id) -> [Write; 3] {
    [Write::gone(Table::DraftContext, id), Write::gone(Table::DraftBody, id), Write::gone(Table::Signed, id)]
}

fn wait(at_least_ms: u64) -> Result<Wait, Error> {
    let drawn = u32::from_be_bytes(random()?);
    Ok(Wait { at_least_ms, jitter: drawn % 1000 })
}

/// Messages of this size take a stream of their own where there is one: small ones do not wait behind them.
const BULK_BYTES: usize = 32 << 10;
/// An answer that takes longer than this is asked for again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// What cannot be sealed yet is tried again after this, or on the next connection.
const SEAL_PAUSE_MS: u64 = 10_000;
/// Even without time left, a connection is tried this long.
const FIRST_TRY: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::standing::Standing;

    #[test]
    fn what_will_never_be_sent_leaves_a_notice() {
        let folder = tempfile::tempdir().unwrap();
        let mut client = crate::tests::member(folder.path());
        for _ in 0..3 {
            let event = Event::Queue { priority: 1, expires_ms: clock::now().ms() + 60_000 };
            client.decide(event, Vec::new(), &mut Driven::default()).unwrap();
        }
        let ids: Vec<Id> = client.outbox.items().keys().copied().collect();
        let references: Vec<Reference> = ids.iter().map(|id| client.reference_of(*id).unwrap()).collect();
        let mut driven = Driven::default();
        driven.reasons.insert(ids[0], Error::refused("CLOCK_SKEW", "created in the future"));
        client.decide(Event::Refused { id: ids[0], refusal: Refusal::Other }, Vec::new(), &mut driven).unwrap();
        client.decide(Event::Refused { id: ids[1], refusal: Refusal::Expired }, Vec::new(), &mut driven).unwrap();
        let profile = client.profile.clone();
        drop(client);

        // Another command of the same profile.
        let client = Client::offline(&profile).unwrap();
        let news = client.news().unwrap();
        let said: Vec<(Option<Reference>, String)> = news.iter().map(|notice| (notice.reference.clone(), notice.end.to_string())).collect();
        assert_eq!(
            said,
            [
                (Some(references[0].clone()), "refused CLOCK_SKEW: created in the future".to_owned()),
                (Some(references[1].clone()), "expired before it was sent".to_owned()),
            ]
        );
        assert_eq!(client.standing_here(&references[0]), None);
        assert_eq!(client.standing_here(&references[1]), Some(Standing::Closing));
        assert_eq!(client.standing_here(&references[2]), Some(Standing::Queued));
        client.told(&news).unwrap();
        assert_eq!(client.news().unwrap(), [], "it is told once");
        assert_eq!(client.outcomes_of(&references[0]).unwrap(), [news[0].clone()], "and kept");
        assert_eq!(client.outcomes_of(&references[2]).unwrap(), []);
    }
}
