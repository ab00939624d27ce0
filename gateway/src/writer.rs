//! The writer: one thread admits, appends, applies. Nobody else calls `append`, and nothing is answered before its fsync.
//!
//! As soon as it is idle it takes what queued up during the last commit; there is no timer. Changes lie over the state
//! until the commit has returned; after a commit whose outcome nobody knows it closes the store and opens it again by
//! the normal path.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use envelope::entry::{Entry, message_key, statement_key};
use envelope::keys::AwsLc;
use envelope::message::Verified;
use envelope::statement::{self, digest_of};
use envelope::{Address, Draft, Position, Reference, Timestamp};
use exchange::earlier::named;
use exchange::rules::rules_version;
use exchange::{Admission, Batch, Earlier, Found, Refusal, STATE_CLAIM_INTERVAL};
use ledger::{AppendError, Committed, CommittedEntry, Ledger};
use proto::v1::{self, SignedStatement, StatementKind};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::gate::Permit;
use crate::keeper::Keeper;
use crate::limits::{BATCH_BYTES_MAX, BATCH_MESSAGES_MAX, COMMANDS_MAX, DUE_PLACES_PER_BATCH, OWN_ENTRIES_MAX};
use crate::problem::{Bound, Problem};
use crate::queue::{Place, Queue};
use crate::receipts::opened;
use crate::refusal_limiter::RefusalLimiter;
use crate::shared::Shared;
use crate::store::{Opener, derive};

/// What the writer is asked to do.
pub enum Command {
    /// Admit and append a message.
    Message {
        /// The message.
        verified: Box<Verified>,
        /// Its room in the queue, given back when it is answered.
        permit: Permit,
        /// Where the answer goes.
        reply: Reply,
    },
    /// Admit and append a statement that `peer` brought.
    Statement {
        /// Who brought it.
        peer: Address,
        /// The statement.
        signed: Box<SignedStatement>,
        /// Its room in the queue.
        permit: Permit,
        /// Where the answer goes.
        reply: Reply,
    },
    /// A newer revocation list was read.
    Revocations(v1::RevocationsSeen, Bytes, Reply),
    /// The gateway has started.
    Started(v1::Started, Reply),
    /// A second has passed: heads and deadlines may be due.
    Tick,
}

/// Takes the answer, once, after the commit. When the writer loses it, it says by itself that nobody knows.
pub struct Reply(Option<Box<dyn FnOnce(Answer) + Send>>);

impl Reply {
    /// Hears the answer; called on the runtime or, when the commit failed, on the writer's thread, so it must not wait.
    pub fn new(hear: impl FnOnce(Answer) + Send + 'static) -> Self {
        Self(Some(Box::new(hear)))
    }

    /// Gives the answer.
    pub fn answer(mut self, answer: Answer) {
        if let Some(hear) = self.0.take() {
            hear(answer);
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(hear) = self.0.take() {
            hear(Err(Problem::not_known()));
        }
    }
}

/// What became of a command.
pub type Answer = Result<Answered, Problem>;

/// Something durable.
#[derive(Clone, Debug)]
pub enum Answered {
    /// In this commit: all that a receipt needs.
    New(Arc<CommittedEntry>, Bytes),
    /// It was in the ledger before.
    Known(Position),
}

/// The writer's own state; it lives on the writer's thread.
pub struct Writer {
    shared: Arc<Shared>,
    opener: Opener,
    clock: Clock,
    refusals: RefusalLimiter,
    keeper: Keeper,
    /// Where answers are made.
    runtime: Handle,
    last_at: Timestamp,
    /// The last batch said as much as one may; there may be more to say.
    more_is_due: bool,
}

/// What a command leads to, while the batch is open.
enum Pending {
    /// Entry number n of the batch.
    Entry(usize),
    Known(Position),
    Problem(Problem),
}

/// A batch that is being filled.
struct Filling<'a> {
    batch: Batch<'a>,
    drafts: Vec<Draft>,
    /// Message ids and statement digests that this batch has already, by their place in it.
    own: BTreeMap<[u8; 32], usize>,
    pending: Vec<(Option<Reply>, Option<Permit>, Pending)>,
}

impl Writer {
    /// A writer over an opened ledger; answers are made on `runtime`.
    #[must_use]
    pub fn new(shared: Arc<Shared>, opener: Opener, clock: Clock, last_at: Timestamp, runtime: Handle) -> Self {
        Self { shared, opener, clock, refusals: RefusalLimiter::default(), keeper: Keeper::start(), runtime, last_at, more_is_due: false }
    }

    /// Takes commands until the queue is closed and empty. What waits is bounded by the permits that it holds.
    pub fn run(mut self, mut queue: mpsc::Receiver<Command>) {
        let mut waiting = Queue::default();
        while let Some(first) = queue.blocking_recv() {
            first.wait_in(&mut waiting);
            loop {
                while let Ok(next) = queue.try_recv() {
                    next.wait_in(&mut waiting);
                }
                let mut commands = next_batch(&mut waiting);
                if commands.is_empty() {
                    // A backlog does not wait for the next second.
                    if !std::mem::take(&mut self.more_is_due) {
                        break;
                    }
                    commands.push(Command::Tick);
                }
                self.handle_or_stop(commands);
            }
        }
        self.keeper.finish();
        self.shared.ledger().close();
    }

    /// A panic leaves a state that nobody can vouch for: the writer stops for good by name, and whoever waits is told.
    fn handle_or_stop(&mut self, commands: Vec<Command>) {
        // What the panic has left half done is never written: the writer is stopped before the next batch.
        let handled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.handle(commands)));
        if handled.is_err() {
            self.shared.stop_writing("WRITER_PANICKED: a defect of the gateway; start it again, and report what the log says before this");
        }
    }

    fn handle(&mut self, commands: Vec<Command>) {
        if self.shared.stopped().is_some() {
            return refuse_all(commands, "the gateway has stopped writing for good; its operator has the reason");
        }
        let commands = if self.clock.now().is_err() { self.ask_authority(commands) } else { commands };
        let believed = self.clock.now();
        self.shared.metrics.clock(believed.is_ok());
        let now = match believed {
            Ok(now) => now.max(self.last_at),
            Err(fault) => {
                self.shared.set_halted(Some(fault.to_string()));
                return refuse_all(commands, "the gateway's clock is not believed; its operator has the reason");
            }
        };
        self.shared.set_halted(None);
        self.commit(now, commands);
    }

    /// Fills a batch under the read lock, appends it without any lock, then folds it in.
    fn commit(&mut self, now: Timestamp, commands: Vec<Command>) {
        let shared = self.shared.clone();
        let ledger = shared.ledger();
        let began = shared.metrics.batch_begins();
        let first = ledger.size();
        let exchange = shared.exchange();
        let mut filling = Filling { batch: exchange.batch(first, now), drafts: Vec::new(), own: BTreeMap::new(), pending: Vec::new() };
        for command in commands {
            self.fill(&mut filling, &*ledger, command);
        }
        self.more_is_due = (!filling.drafts.is_empty() || filling.pending.is_empty()) && filling.add_own_entries(&exchange, &*ledger);
        let Filling { batch, drafts, pending, .. } = filling;
        let (changes, effects) = batch.finish();
        drop(exchange);
        if drafts.is_empty() {
            return self.answer(pending, None);
        }
        let claims = (first / STATE_CLAIM_INTERVAL) != ((first + drafts.len() as u64) / STATE_CLAIM_INTERVAL);
        match ledger.append(first, now, drafts) {
            Ok(committed) => {
                self.last_at = now;
                shared.metrics.batch_committed(began, &committed);
                shared.exchange_mut().fold(changes);
                shared.tell(effects);
                self.answer(pending, Some(committed));
                if claims {
                    self.take_snapshot(&ledger);
                }
            }
            Err(error) => {
                self.more_is_due = false;
                self.after_failure(error, pending);
            }
        }
    }

    /// Answers off this thread, a group at a time: what follows an answer, such as a receipt, is hashing.
    fn answer(&self, pending: Vec<(Option<Reply>, Option<Permit>, Pending)>, committed: Option<Committed>) {
        let (entries, checkpoint) = committed.map_or((Vec::new(), Bytes::new()), |committed| (committed.entries, committed.checkpoint));
        let entries: Vec<Arc<CommittedEntry>> = entries.into_iter().map(Arc::new).collect();
        let mut answers = Vec::with_capacity(pending.len());
        for (reply, permit, pending) in pending {
            let answer = match pending {
                Pending::Entry(at) => match entries.get(at) {
                    Some(entry) => Ok(Answered::New(entry.clone(), checkpoint.clone())),
                    None => Err(Problem::fault("a commit", &"returned fewer entries than it was given")),
                },
                Pending::Known(position) => Ok(Answered::Known(position)),
                Pending::Problem(problem) => Err(problem),
            };
            drop(permit);
            answers.extend(reply.map(|reply| (reply, answer)));
        }
        let mut answers = answers.into_iter();
        loop {
            let group: Vec<(Reply, Answer)> = answers.by_ref().take(ANSWERS_AT_ONCE).collect();
            if group.is_empty() {
                return;
            }
            self.runtime.spawn(async move { group.into_iter().for_each(|(reply, answer)| reply.answer(answer)) });
        }
    }

    fn fill(&mut self, filling: &mut Filling<'_>, ledger: &dyn ledger::Ledger, command: Command) {
        match command {
            Command::Message { verified, permit, reply } => {
                let pending = self.message(filling, ledger, *verified);
                filling.pending.push((Some(reply), Some(permit), pending));
            }
            Command::Statement { peer, signed, permit, reply } => {
                let pending = filling.statement(ledger, &peer, *signed);
                filling.pending.push((Some(reply), Some(permit), pending));
            }
            Command::Revocations(seen, list, reply) => {
                let pending = filling.push(Entry::RevocationsSeen { seen, list }, None, None);
                filling.pending.push((Some(reply), None, pending));
            }
            Command::Started(started, reply) => {
                let pending = filling.push(Entry::Started(started), None, None);
                filling.pending.push((Some(reply), None, pending));
            }
            Command::Tick => {}
        }
    }

    fn message(&mut self, filling: &mut Filling<'_>, ledger: &dyn ledger::Ledger, verified: Verified) -> Pending {
        let (reference, message_id) = (verified.header().context.reference.clone(), verified.header().message_id);
        let key = message_key(&message_id);
        // A number that nobody has used spares a look into the store.
        let known = if filling.batch.is_used(&reference) { filling.known(ledger, &key) } else { Ok(None) };
        let prior = match known {
            Ok(Some(Pending::Known(position))) => Some(position),
            Ok(Some(pending)) => return pending,
            Ok(None) => None,
            Err(problem) => return Pending::Problem(problem),
        };
        let earlier = match named(&verified.header().context).filter(|_| prior.is_none()) {
            Some(id) => filling.earlier(ledger, id),
            None => Ok(None),
        };
        let earlier = match earlier {
            Ok(earlier) => earlier,
            Err(problem) => return Pending::Problem(problem),
        };
        match filling.batch.admit(Found { prior, earlier: earlier.as_ref() }, verified) {
            Ok(Admission::Known(position)) => Pending::Known(position),
            Ok(Admission::New(admitted)) => {
                let (entry, sealed) = admitted.into_entry();
                filling.push(entry, Some(sealed), Some(key))
            }
            Err(refusal) => {
                let rules_version = rules_version(filling.batch.rows());
                let refused = refused_entry(&refusal, rules_version, &reference, &message_id);
                self.refuse(filling, refusal, refused)
            }
        }
    }

    /// A refusal of a correctly signed header has an entry, up to a bound; the rest is counted.
    fn refuse(&mut self, filling: &mut Filling<'_>, refusal: Refusal, refused: v1::Refused) -> Pending {
        let now = filling.batch.now();
        if let Some(counted) = filling.has_room().then(|| self.refusals.take_counted(&refused.sender, now)).flatten() {
            filling.push(Entry::RefusalsCounted(counted), None, None);
        }
        if self.refusals.may_record(&refused.sender, now) {
            filling.push(Entry::Refused(refused), None, None);
        }
        Pending::Problem(refusal.into())
    }

    /// While the clock is not believed: listens to the network authority's clock steps among the commands, answers those
    /// that do not hold, and gives the commands that are left.
    fn ask_authority(&mut self, commands: Vec<Command>) -> Vec<Command> {
        let mut left = Vec::with_capacity(commands.len());
        for command in commands {
            match command {
                Command::Statement { signed, reply, permit, peer } if signed.kind() == StatementKind::ClockStep => {
                    match self.believe_authority(&signed) {
                        Ok(()) => left.push(Command::Statement { signed, reply, permit, peer }),
                        Err(problem) => reply.answer(Err(problem)),
                    }
                }
                other => left.push(other),
            }
        }
        left
    }

    /// A clock step is judged by the rules like any statement; and the machine's clock must agree with it.
    fn believe_authority(&mut self, signed: &SignedStatement) -> Result<(), Problem> {
        let wall = self.clock.wall().max(self.last_at);
        let exchange = self.shared.exchange();
        exchange.batch(self.shared.ledger().size(), wall).admit_statement(None, signed.clone(), &AwsLc)?;
        drop(exchange);
        let step: v1::ClockStep = statement::read(signed).map_err(|error| Problem::busy(error.to_string()))?;
        if !self.clock.step(Timestamp(step.now_ms)) {
            let text = format!("the machine's clock says {wall}, the step {}; set the clock, or sign a new step", Timestamp(step.now_ms));
            return Err(Problem::busy(text));
        }
        tracing::warn!("the network authority has said what time it is; the writer goes on");
        Ok(())
    }

    /// Whatever is not `Unknown` has changed nothing. After `Unknown`, only the store itself can say what is durable.
    fn after_failure(&mut self, error: AppendError, pending: Vec<(Option<Reply>, Option<Permit>, Pending)>) {
        self.shared.metrics.batch_failed();
        let problem = match &error {
            AppendError::Unknown { .. } | AppendError::Closed => Problem::not_known(),
            AppendError::Full { .. } => Problem::busy_at(Bound::Disk, "the gateway's disk is full"),
            other => Problem::fault("a batch was not appended", other),
        };
        tracing::error!(error = %chain(&error), "a commit failed; the batch is dropped");
        let unknown = matches!(problem, Problem::Busy { outcome: crate::problem::Outcome::NotKnown, .. });
        for (reply, permit, _) in pending {
            drop(permit);
            if let Some(reply) = reply {
                reply.answer(Err(problem.clone()));
            }
        }
        if unknown {
            self.reopen();
        }
    }

    fn reopen(&mut self) {
        self.shared.ledger().close();
        let opened = self.opener.open_ledger().and_then(|ledger| derive(&*ledger, &self.opener.rules).map(|exchange| (ledger, exchange)));
        match opened {
            Ok((ledger, exchange)) => {
                self.last_at = exchange::Rows::clock(exchange.state()).map_or(self.last_at, |clock| Timestamp(clock.last_ms));
                *self.shared.exchange_mut() = exchange;
                self.shared.replace_ledger(Arc::from(ledger));
                self.shared.tell_all();
                tracing::warn!("the store was opened again after a failed commit");
            }
            Err(error) => self.shared.stop_writing(&format!("the store does not open again: {}", chain(&error))),
        }
    }

    /// Takes what has changed since the last snapshot and has it kept beside; if the keeper is behind, the next one takes
    /// more.
    fn take_snapshot(&mut self, ledger: &Arc<dyn Ledger>) {
        let Ok(room) = self.keeper.room() else { return };
        let mut exchange = self.shared.exchange_mut();
        if self.keeper.has_lost() {
            exchange.begin_snapshot_anew();
        }
        let part = exchange.take_snapshot(ledger.size());
        drop(exchange);
        room.send((ledger.clone(), part));
    }
}

impl Filling<'_> {
    fn known(&self, ledger: &dyn ledger::Ledger, key: &[u8; 32]) -> Result<Option<Pending>, Problem> {
        if let Some(at) = self.own.get(key) {
            return Ok(Some(Pending::Entry(*at)));
        }
        Ok(ledger.find(key)?.map(|index| Pending::Known(Position::at(index))))
    }

    /// The message that another one names. Of one that is in this very batch nobody knows yet whether it will be there.
    fn earlier(&self, ledger: &dyn ledger::Ledger, id: &[u8; 32]) -> Result<Option<Earlier>, Problem> {
        if self.own.contains_key(&message_key(id)) {
            return Err(Problem::busy("the message that it names is being written; send it again"));
        }
        let Some(index) = ledger.find(&message_key(id))? else { return Ok(None) };
        let stored = ledger.read(index)?;
        let entry = stored.opening.as_ref().map(Entry::read);
        Ok(match entry {
            Some(Ok(Entry::Message(message))) => Earlier::of(&message, self.batch.rows().held(index).map(|row| &**row)),
            _ => None,
        })
    }

    fn statement(&mut self, ledger: &dyn ledger::Ledger, peer: &Address, signed: SignedStatement) -> Pending {
        let key = statement_key(&digest_of(&signed));
        let by_authority = signed.kind() == StatementKind::ClockStep;
        // Only its issuer gets a known statement's receipt again; to anybody else it is one that is not theirs to say.
        if by_authority || is_issuer(peer, &signed) {
            match self.known(ledger, &key) {
                Ok(Some(pending)) => return pending,
                Ok(None) => {}
                Err(problem) => return Pending::Problem(problem),
            }
        }
        match self.batch.admit_statement(if by_authority { None } else { Some(peer) }, signed, &AwsLc) {
            Ok(admitted) => self.push(admitted.into_entry(), None, Some(key)),
            Err(refusal) => Pending::Problem(refusal.into()),
        }
    }

    /// Whether the batch may take what can also wait: the commands still to come need at most one draft each.
    fn has_room(&self) -> bool {
        self.drafts.len() < BATCH_MESSAGES_MAX - OWN_ENTRIES_MAX - COMMANDS_MAX + self.pending.len()
    }

    fn push(&mut self, entry: Entry, sealed: Option<Bytes>, key: Option<[u8; 32]>) -> Pending {
        if let Err(error) = self.batch.push(&entry) {
            return Pending::Problem(Problem::fault("an admitted entry does not apply", &error));
        }
        let at = self.drafts.len();
        self.drafts.push(Draft { sealed, ..entry.into_draft() });
        self.own.extend(key.map(|key| (key, at)));
        Pending::Entry(at)
    }

    /// What the gateway says by itself: what has ended and who is told of what, the directory's head, the state's digest. Whether it
    /// said as much as fits, so that there may be more.
    fn add_own_entries(&mut self, exchange: &exchange::Exchange, ledger: &dyn ledger::Ledger) -> bool {
        let (all, before) = (exchange.due(self.batch.now(), DUE_PLACES_PER_BATCH), self.drafts.len());
        let full = all.iter().map(exchange::Due::places).sum::<usize>() >= DUE_PLACES_PER_BATCH;
        for due in all {
            let index = due.index();
            match stub(ledger, index) {
                Ok(stub) => {
                    let entries = self.batch.say(due, &stub);
                    // What has ended and what its sender is told stand side by side, so both or none.
                    if self.drafts.len() + entries.len() <= BATCH_MESSAGES_MAX {
                        entries.into_iter().for_each(|entry| drop(self.push(entry, None, None)));
                    }
                }
                Err(problem) => tracing::error!(index, ?problem, "what is due about a message cannot be said"),
            }
        }
        // What cannot be said stays due: it is not tried again at once.
        let more = full && self.drafts.len() > before;
        if let Some(head) = self.batch.head_due() {
            self.push(head, None, None);
        }
        let (first, next) = (self.batch.next() - self.drafts.len() as u64, self.batch.next());
        if first / STATE_CLAIM_INTERVAL != (next + 1) / STATE_CLAIM_INTERVAL {
            let claim = self.batch.state_claim();
            self.push(claim, None, None);
        }
        more
    }
}

/// What stays of the message at `index`.
fn stub(ledger: &dyn ledger::Ledger, index: u64) -> Result<v1::Stub, Problem> {
    match Entry::read(opened(&ledger.read(index)?)?) {
        Ok(Entry::Message(message)) => Ok(message.stub),
        _ => Err(Problem::fault("a message that something is due about", &"is none")),
    }
}

impl Command {
    /// Answers that it was not done.
    pub(crate) fn refuse(self, problem: Problem) {
        match self {
            Self::Message { reply, .. } | Self::Statement { reply, .. } | Self::Revocations(_, _, reply) | Self::Started(_, reply) => {
                reply.answer(Err(problem));
            }
            Self::Tick => {}
        }
    }

    fn wait_in(self, waiting: &mut Queue<Self>) {
        match &self {
            Self::Message { verified, permit, .. } => {
                let of = permit.address().clone();
                let flash = verified.header().context.priority == v1::Priority::Flash;
                waiting.push(if flash { Place::Flash(&of) } else { Place::Rest(&of) }, self);
            }
            Self::Statement { permit, .. } => {
                let of = permit.address().clone();
                waiting.push(Place::Rest(&of), self);
            }
            Self::Revocations(..) | Self::Started(..) | Self::Tick => waiting.push(Place::Own, self),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Message { verified, .. } => verified.sealed().len() + verified.header().bytes.len(),
            Self::Statement { signed, .. } => signed.statement.len(),
            Self::Revocations(seen, list, _) => seen.added.len() * 24 + list.len(),
            Self::Started(..) | Self::Tick => 0,
        }
    }
}

fn refuse_all(commands: Vec<Command>, text: &str) {
    commands.into_iter().for_each(|command| command.refuse(Problem::busy(text)));
}

/// What one commit carries of what waits.
fn next_batch(waiting: &mut Queue<Command>) -> Vec<Command> {
    let (mut commands, mut bytes) = (Vec::new(), 0);
    while commands.len() < COMMANDS_MAX && bytes < BATCH_BYTES_MAX - envelope::limits::CIPHERTEXT_BYTES_MAX * 3 {
        let Some(next) = waiting.pop() else { break };
        bytes += next.bytes();
        commands.push(next);
    }
    commands
}

/// Whether the statement's head names `peer` as issuer.
fn is_issuer(peer: &Address, signed: &SignedStatement) -> bool {
    statement::head_of(signed).is_some_and(|head| head.issuer == peer.as_str())
}

fn refused_entry(refusal: &Refusal, rules_version: u32, reference: &Reference, message_id: &[u8; 32]) -> v1::Refused {
    v1::Refused {
        sender: reference.sender.to_string(),
        year: reference.year,
        series: reference.series,
        number: reference.number,
        message_id: message_id.to_vec().into(),
        name: refusal.name().to_owned(),
        rules_version,
    }
}

/// An error with its causes, for the log.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Answers that one task makes: enough to spare wake-ups, few enough for all cores to share a batch.
const ANSWERS_AT_ONCE: usize = 32;
