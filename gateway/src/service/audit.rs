//! `Audit`: checkpoints, proofs, tiles, and the replay of the log for whoever may see what.

use std::collections::BTreeSet;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use envelope::message::Peer;
use envelope::slots::{Opening, SlotId};
use envelope::{Address, Class, Receipt, Reference};
use exchange::{Refusal, Rows as _};
use ledger::{Ledger, ReadError};
use prost::Message as _;
use proto::v1::audit_server::Audit;
use proto::v1::{self, EntryKind};
use tlog::{Checkpoint, Hash, parse_tile_path};
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::allowance::Allowance;
use crate::clock::{SystemTimeSource, TimeSource as _};
use crate::limits::REPLAYED_WAITING_MAX;
use crate::problem::{Bound, Problem};
use crate::receipts::{opened, shown_to_author};
use crate::service::{Desk, messages, peer};

/// The service.
#[derive(Clone)]
pub struct AuditService {
    desk: Desk,
    /// Room for calls of Replay, each of which takes a thread.
    replays: Arc<Semaphore>,
}

impl AuditService {
    /// The service at this desk.
    #[must_use]
    pub fn new(desk: Desk) -> Self {
        let replays = Arc::new(Semaphore::new(desk.shared.limits.replays));
        Self { desk, replays }
    }
}

#[tonic::async_trait]
impl Audit for AuditService {
    type ReplayStream = Pin<Box<dyn Stream<Item = Result<v1::ReplayResponse, Status>> + Send>>;

    async fn checkpoint(&self, request: Request<v1::CheckpointRequest>) -> Result<Response<v1::CheckpointResponse>, Status> {
        let held = request.into_inner().held;
        Ok(Response::new(self.compare(&held)?))
    }

    async fn consistency(&self, request: Request<v1::ConsistencyRequest>) -> Result<Response<v1::ConsistencyResponse>, Status> {
        let asked = request.into_inner();
        let ledger = self.desk.shared.ledger();
        in_log(&*ledger, asked.from_size <= asked.to_size && asked.to_size <= ledger.size())?;
        let path = ledger.consistency(asked.from_size, asked.to_size).map_err(Problem::from)?;
        Ok(Response::new(v1::ConsistencyResponse { path: to_bytes(&path) }))
    }

    async fn inclusion(&self, request: Request<v1::InclusionRequest>) -> Result<Response<v1::InclusionResponse>, Status> {
        let asked = request.into_inner();
        let ledger = self.desk.shared.ledger();
        in_log(&*ledger, asked.index < asked.size && asked.size <= ledger.size())?;
        let leaf = ledger.leaf_hash(asked.index).map_err(Problem::from)?;
        let path = ledger.inclusion(asked.index, asked.size).map_err(Problem::from)?;
        Ok(Response::new(v1::InclusionResponse { leaf_hash: Bytes::copy_from_slice(leaf.as_bytes()), path: to_bytes(&path) }))
    }

    async fn replay(&self, request: Request<v1::ReplayRequest>) -> Result<Response<Self::ReplayStream>, Status> {
        let peer = peer(request.extensions())?;
        let own = Allowance::of(request.extensions())?.replay()?;
        let all = self.replays.clone().try_acquire_owned().map_err(|_| self.full())?;
        let asked = request.into_inner();
        let (size, checkpoint) = self.desk.shared.ledger().checkpoint().map_err(Problem::from)?;
        let to = if asked.to_index == 0 { size } else { asked.to_index };
        in_log(&*self.desk.shared.ledger(), asked.from_index <= to && to <= size)?;
        self.check_access(&peer)?;
        let (out, responses) = mpsc::channel(REPLAYED_WAITING_MAX);
        let service = self.clone();
        tokio::task::spawn_blocking(move || {
            service.replay_range(&peer, asked.from_index..to, checkpoint, &out);
            drop((own, all));
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(responses))))
    }

    async fn tile(&self, request: Request<v1::TileRequest>) -> Result<Response<v1::TileResponse>, Status> {
        let path = request.into_inner().path;
        let (id, width) = parse_tile_path(&path).map_err(|error| refused(Refusal::BadEncoding(error.to_string())))?;
        let ledger = self.desk.shared.ledger();
        // Tile n of level l holds hashes of subtrees of 256^l leaves; the last one asked for must be complete.
        let span = 256u64.checked_pow(u32::from(id.level));
        let end = span.and_then(|span| (id.index.checked_mul(256)?).checked_add(u64::from(width))?.checked_mul(span));
        in_log(&*ledger, end.is_some_and(|end| end <= ledger.size()))?;
        let tile = ledger.tile(id, width).map_err(Problem::from)?;
        Ok(Response::new(v1::TileResponse { tile: tile.into() }))
    }
}

/// Which entries a caller may see, and how much of them.
enum Scope {
    /// All of these.
    Whole(Range<u64>),
    /// What both ends are shown of the entries in which these take part.
    Own { owner: Owner, indexes: BTreeSet<u64> },
}

/// Whose entries a caller may see in part.
enum Owner {
    /// Its own.
    One(Address),
    /// A country's auditor: those of the bureau and of everybody below it.
    Country(Address),
}

impl Owner {
    fn owns(&self, address: &Address) -> bool {
        match self {
            Self::One(one) => one == address,
            Self::Country(country) => address == country || address.is_below(country.as_str()),
        }
    }
}

impl AuditService {
    /// Counts that all places of Replay are taken.
    fn full(&self) -> Problem {
        let problem = Problem::busy_at(Bound::Replays, "as many calls of Replay are open as are allowed");
        self.desk.shared.metrics.told(&problem);
        problem
    }

    /// Compares the caller's checkpoint with ours. One that is larger or differs stops the writer: a log that is behind
    /// is never continued. The caller is shown ours all the same, so that it keeps both notes, too.
    fn compare(&self, held: &[u8]) -> Result<v1::CheckpointResponse, Problem> {
        let ledger = self.desk.shared.ledger();
        let (_, checkpoint) = ledger.checkpoint()?;
        let now_ms = SystemTimeSource::default().wall().ms();
        let response =
            |consistency: Vec<Hash>| v1::CheckpointResponse { checkpoint: checkpoint.clone(), consistency: to_bytes(&consistency), now_ms };
        if held.is_empty() {
            return Ok(response(Vec::new()));
        }
        let ours =
            Checkpoint::open(&checkpoint, &self.desk.shared.log_key).map_err(|error| Problem::fault("our own checkpoint", &error))?;
        let theirs = Checkpoint::open(held, &self.desk.shared.log_key).map_err(|error| Refusal::BadSignature(error.to_string()))?;
        match extends(&*ledger, &ours, &theirs)? {
            Ok(path) => Ok(response(path)),
            Err(reason) => {
                self.stop_writing(&*ledger, held, reason);
                Ok(response(Vec::new()))
            }
        }
    }

    fn stop_writing(&self, ledger: &dyn Ledger, held: &[u8], reason: &str) {
        self.desk.shared.stop_writing(reason);
        if let Err(error) = ledger.keep_evidence(HELD_BY_A_PARTICIPANT, held) {
            tracing::error!(%error, "the evidence was not kept");
        }
        // Who waits in the queue is told now; should it be full, the next batch stops all the same.
    }

    /// An auditor says first what it is about to read, in the log.
    fn check_access(&self, peer: &Peer) -> Result<(), Problem> {
        if peer.address.class() != Class::Auditor {
            return Ok(());
        }
        let exchange = self.desk.shared.exchange();
        // Of both clocks the later one: an idle ledger's time stands still.
        let now_ms = exchange.state().clock().map_or(0, |clock| clock.last_ms).max(SystemTimeSource::default().wall().ms());
        let access = exchange.state().access(&peer.address);
        if access.is_some_and(|access| access.expires_ms > now_ms) {
            return Ok(());
        }
        Err(Refusal::NoAuthority("an auditor's access statement comes before the first opening").into())
    }

    fn replay_range(
        &self,
        peer: &Peer,
        range: std::ops::Range<u64>,
        checkpoint: Bytes,
        out: &mpsc::Sender<Result<v1::ReplayResponse, Status>>,
    ) {
        let ledger = self.desk.shared.ledger();
        let scope = match self.scope(&*ledger, peer) {
            Ok(scope) => scope,
            // A caller that has gone away needs no answer.
            Err(problem) => return drop(out.blocking_send(Err(problem.into()))),
        };
        for index in range {
            let response = replay_one(&*ledger, &scope, index).map_err(Status::from);
            let failed = response.is_err();
            if out.blocking_send(response).is_err() || failed {
                return;
            }
        }
        let end = v1::ReplayResponse { checkpoint, ..v1::ReplayResponse::default() };
        // A caller that has gone away needs no end.
        drop(out.blocking_send(Ok(end)));
    }

    /// Decided from the state and the caller's own references before any entry is read: what is not the caller's costs
    /// and tells the same for all.
    fn scope(&self, ledger: &dyn Ledger, peer: &Peer) -> Result<Scope, Problem> {
        let address = &peer.address;
        let exchange = self.desk.shared.exchange();
        let state = exchange.state();
        let auditor = address.class() == Class::Auditor;
        let range = if auditor { state.access(address).map_or(0..0, |access| access.from_index..access.to_index) } else { 0..u64::MAX };
        if auditor && address.as_str() == NETWORK_AUDITOR {
            return Ok(Scope::Whole(range));
        }
        let country = address.as_str().strip_prefix("aud/").filter(|_| auditor).and_then(|country| Address::parse(country).ok());
        let owner = country.map_or_else(|| Owner::One(address.clone()), Owner::Country);
        let (Owner::One(first) | Owner::Country(first)) = &owner;
        let mut indexes = BTreeSet::new();
        let mut sent = Vec::new();
        for own in state.participants(first).take_while(|address| owner.owns(address)) {
            indexes.extend(
                state.places(own, 0).flat_map(|(_, place)| [Some(place.index), Some(place.release_index).filter(|at| *at > 0)]).flatten(),
            );
            indexes.extend(state.permissions_of(own).map(|row| row.index));
            indexes.extend(state.grants(own).map(|grants| grants.index));
            indexes.extend(state.advices(own, 0).map(|(_, index)| index));
            for (year, series, used) in state.all_series(own) {
                let reference = |number| Reference { sender: own.clone(), year, series, number };
                sent.extend(used.used.iter().flat_map(|range| range.first..=range.last).map(reference));
            }
        }
        // Whose message is held, and who holds it, see what became of it.
        let concerned =
            |row: &v1::HeldRow| [&row.sender, &row.held_by].iter().any(|one| Address::parse(one).is_ok_and(|one| owner.owns(&one)));
        indexes.extend(state.all_held().filter(|(_, row)| row.release_index > 0 && concerned(row)).map(|(_, row)| row.release_index));
        // A group's members know each other.
        let is_own = |one: &String| Address::parse(one).is_ok_and(|one| owner.owns(&one));
        let knows = |row: &v1::GroupRow| is_own(&row.owner) || row.members.iter().any(is_own);
        indexes.extend(state.groups().filter(|(_, row)| knows(row)).map(|(_, row)| row.index));
        drop(exchange);
        for reference in &sent {
            indexes.extend(messages::find(ledger, reference)?);
        }
        indexes.retain(|index| range.contains(index));
        Ok(Scope::Own { owner, indexes })
    }
}

fn replay_one(ledger: &dyn Ledger, scope: &Scope, index: u64) -> Result<v1::ReplayResponse, Problem> {
    let leaf_hash = Bytes::copy_from_slice(ledger.leaf_hash(index)?.as_bytes());
    let mut response = v1::ReplayResponse { index, leaf_hash, ..v1::ReplayResponse::default() };
    let visible = match scope {
        Scope::Whole(range) => range.contains(&index),
        Scope::Own { indexes, .. } => indexes.contains(&index),
    };
    if !visible {
        return Ok(response);
    }
    let stored = ledger.read(index)?;
    response.leaf = Bytes::copy_from_slice(&stored.leaf.encode());
    if stored.opening.is_none() {
        response.purged = true;
        return Ok(response);
    }
    let opening = opened(&stored)?;
    match scope {
        Scope::Whole(_) => response.opening = opening.encode().into(),
        Scope::Own { owner, .. } => {
            let common = shown_to_author(opening.kind());
            let own = |(tag, sub): SlotId| tag == 7 && is_place_of(owner, opening.slots().value(tag, sub));
            response.part = part(index, &stored.leaf, opening, &|id| common(id) || own(id));
        }
    }
    if opening.kind() == EntryKind::Message
        && let Some(sealed) = &stored.sealed
    {
        let payload = v1::SealedPayload::decode(sealed.clone()).map_err(|error| Problem::fault("a sealed payload", &error))?;
        response.signatures = v1::SealedPayload { signatures: payload.signatures, ..v1::SealedPayload::default() }.encode_to_vec().into();
    }
    Ok(response)
}

fn is_place_of(owner: &Owner, value: &[u8]) -> bool {
    let place = v1::Place::decode(value).ok();
    place.and_then(|place| Address::parse(&place.address).ok()).is_some_and(|address| owner.owns(&address))
}

/// The proof that `ours` extends `theirs`, or why it does not: then there are two histories under one key.
///
/// # Errors
/// [`ReadError`] when the ledger cannot be read.
pub(crate) fn extends(ledger: &dyn Ledger, ours: &Checkpoint, theirs: &Checkpoint) -> Result<Result<Vec<Hash>, &'static str>, ReadError> {
    if theirs.size > ours.size {
        return Ok(Err("LOG_FORKED: a participant holds a larger checkpoint of this log: the store is behind"));
    }
    let path = ledger.consistency(theirs.size, ours.size)?;
    let extended = tlog::verify_consistency(theirs.size, &theirs.root, ours.size, &ours.root, &path);
    Ok(extended.map(|()| path).map_err(|_| "LOG_FORKED: a participant holds a checkpoint of this log that this log does not extend"))
}

/// Why this store must not be continued, if a participant has shown a checkpoint that it does not extend.
///
/// # Errors
/// [`ReadError`] when the ledger cannot be read.
pub(crate) fn convicted(ledger: &dyn Ledger, log: &tlog::VerifierKey) -> Result<Option<&'static str>, ReadError> {
    let (_, note) = ledger.checkpoint()?;
    let Ok(ours) = Checkpoint::open(&note, log) else { return Ok(None) };
    for (_, held) in ledger.evidence()?.iter().filter(|(name, _)| name.starts_with(HELD_BY_A_PARTICIPANT)) {
        let Ok(theirs) = Checkpoint::open(held, log) else { continue };
        if let Err(reason) = extends(ledger, &ours, &theirs)? {
            return Ok(Some(reason));
        }
    }
    Ok(None)
}

/// A receipt without path and checkpoint: the whole tree proves the leaf.
fn part(index: u64, leaf: &envelope::slots::Leaf, opening: &Opening, shown: &dyn Fn((u16, u16)) -> bool) -> Bytes {
    Receipt::new(index, leaf, opening, &[], Bytes::new(), shown).encode().into()
}

fn in_log(ledger: &dyn Ledger, sound: bool) -> Result<(), Problem> {
    let text = || format!("the place asked for lies beyond the log's {} entries", ledger.size());
    if sound { Ok(()) } else { Err(Problem::Refused(Refusal::BadEncoding(text()))) }
}

fn refused(refusal: Refusal) -> Status {
    Problem::Refused(refusal).into()
}

fn to_bytes(hashes: &[Hash]) -> Vec<Bytes> {
    hashes.iter().map(|hash| Bytes::copy_from_slice(hash.as_bytes())).collect()
}

/// Name of a piece of evidence.
const HELD_BY_A_PARTICIPANT: &str = "checkpoint-held-by-a-participant";
const NETWORK_AUDITOR: &str = "aud/network";
