//! The auditor: replays the log, recomputes every hash, and judges every entry again.
//!
//! It trusts no server: what it is shown must lead to a signed checkpoint that extends the one it holds. What is
//! withheld from it is counted, never guessed.

mod partial;
mod replay;

use std::collections::BTreeMap;

use envelope::{Address, Class};
use exchange::{Finding, Gap};
use proto::v1::{self, StatementKind};
use tlog::{Checkpoint, Hash};
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use crate::client::Client;
use crate::error::Error;

pub use replay::{CHUNK_ENTRIES_MAX, Depth, Line, Replay};

/// What to replay, and why.
#[derive(Clone, Debug)]
pub struct Options {
    /// First entry that is read; below it only hashes are. Only a replay from 0 judges.
    pub from: u64,
    /// Stands in the access statement. Printable ASCII, 1 to 256 bytes, no personal data.
    pub purpose: String,
}

impl Default for Options {
    fn default() -> Self {
        Self { from: 0, purpose: "audit".to_owned() }
    }
}

/// How much of an entry was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// All.
    Opening,
    /// Some slots.
    Part,
    /// Only the hash.
    Hash,
    /// The opening is gone by rule.
    Purged,
}

/// What an audit found.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Entries replayed.
    pub size: u64,
    /// Root of all their leaves, equal to the checkpoint's.
    pub root: Hash,
    /// The checkpoint they lead to.
    pub checkpoint: Checkpoint,
    /// Digest of the state that they lead to; `None` when not every entry was judged.
    pub state_digest: Option<[u8; 32]>,
    /// Entries that were judged again.
    pub judged: u64,
    /// Entries of which only a hash or a part was shown.
    pub withheld: u64,
    /// Entries whose opening is gone by rule.
    pub purged: u64,
    /// What an honest gateway would not have written.
    pub findings: Vec<Finding>,
    /// Messages of each sender.
    pub counts: BTreeMap<Address, u64>,
    /// Numbers below the highest that no entry has.
    pub gaps: Vec<Gap>,
}

/// Replays the whole log, hands each entry from `options.from` on over, and judges all of it when it begins at 0. An
/// auditor's access statement is durable before the first entry is asked for.
///
/// ```no_run
/// # async fn example(mut client: client::Client) -> Result<(), client::Error> {
/// let verdict = client::audit::verify(&mut client, &client::audit::Options::default(), |_, _| ()).await?;
/// assert!(verdict.findings.is_empty());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::Unsound`] when hashes do not lead to the checkpoint, [`Error::Forked`], a refusal, or [`Error::Unreachable`].
pub async fn verify(client: &mut Client, options: &Options, mut each: impl FnMut(&Line<'_>, u64)) -> Result<Verdict, Error> {
    let size = client.refresh_checkpoint().await?.size;
    if options.from > 0 && options.from >= size {
        return Err(Error::Argument(format!("the log has {size} entries, there is no entry {}", options.from)));
    }
    if client.address().class() == Class::Auditor {
        publish_access(client, options, size).await?;
        client.refresh_checkpoint().await?;
    }
    let held = client.checkpoint().cloned().ok_or_else(|| Error::unsound("there is no checkpoint"))?;
    // To the newest checkpoint, which the last answer shows.
    let request = v1::ReplayRequest { from_index: 0, to_index: 0 };
    let entries = match client.audit_in_bulk()?.replay(request).await {
        Ok(entries) => entries.into_inner(),
        Err(status) => return Err(client.failed(&status).await),
    };
    let depth = if options.from == 0 { Depth::Rules } else { Depth::Hashes };
    let mut replay = Replay::new(client.profile().trust().genesis_sha256, depth, held.clone());
    let mut hear = |line: &Line<'_>| {
        if line.index >= options.from {
            each(line, held.size);
        }
    };
    let mut chunks = chunks(entries);
    loop {
        match chunks.next().await {
            Ok(Some(chunk)) => replay.push(chunk, &mut hear)?,
            Ok(None) => break,
            Err(status) => return Err(client.failed(&status).await),
        }
    }
    replay.settle(&mut hear)?;
    let note = chunks.note;
    let checkpoint = Checkpoint::open(&note, client.profile().log()).map_err(Error::unsound)?;
    if let Some(text) = replay.contradiction(&checkpoint) {
        let shown = note.clone();
        let held_note = client.held_note()?;
        return Err(client.forked(&text, &held_note, &shown)?);
    }
    // The tree has just been seen to grow from the one to the other.
    client.hold(&checkpoint, &note)?;
    Ok(replay.verdict(checkpoint))
}

/// A replay's stream in chunks; a task of its own reads one ahead and ends with the stream, or when this is dropped.
#[derive(Debug)]
pub struct Chunks {
    read: mpsc::Receiver<Result<Chunk, Status>>,
    /// The note of the checkpoint that the entries lead to, once the stream has ended.
    note: Vec<u8>,
}

#[derive(Debug)]
enum Chunk {
    Entries(Vec<v1::ReplayResponse>),
    /// The checkpoint's note.
    End(Vec<u8>),
}

/// The entries of a stream in chunks for [`Replay::push`].
#[must_use]
pub fn chunks(entries: Streaming<v1::ReplayResponse>) -> Chunks {
    let (out, read) = mpsc::channel(1);
    tokio::spawn(self::read(entries, out));
    Chunks { read, note: Vec::new() }
}

impl Chunks {
    /// The next chunk; `None` when the stream has ended.
    ///
    /// # Errors
    /// The status with which it broke.
    // The type is tonic's; a box would only move it.
    #[allow(clippy::result_large_err)]
    pub async fn next(&mut self) -> Result<Option<Vec<v1::ReplayResponse>>, Status> {
        match self.read.recv().await {
            Some(Ok(Chunk::Entries(chunk))) => Ok(Some(chunk)),
            Some(Ok(Chunk::End(note))) => {
                self.note = note;
                Ok(None)
            }
            Some(Err(status)) => Err(status),
            None => Ok(None),
        }
    }
}

/// Reads the stream into chunks, bounded by entries and by bytes; one is read ahead.
async fn read(mut entries: Streaming<v1::ReplayResponse>, out: mpsc::Sender<Result<Chunk, Status>>) {
    let (mut chunk, mut bytes, mut note) = (Vec::new(), 0, Vec::new());
    loop {
        match entries.message().await {
            Ok(Some(entry)) => {
                if !entry.checkpoint.is_empty() {
                    note = entry.checkpoint.to_vec();
                }
                if !entry.leaf_hash.is_empty() {
                    bytes += entry.opening.len() + entry.part.len() + entry.signatures.len();
                    chunk.push(entry);
                }
                if chunk.len() < CHUNK_ENTRIES_MAX && bytes < CHUNK_BYTES_MAX {
                    continue;
                }
            }
            // Who has stopped listening needs no error.
            Err(status) => return drop(out.send(Err(status)).await),
            Ok(None) => {
                if out.send(Ok(Chunk::Entries(chunk))).await.is_ok() {
                    drop(out.send(Ok(Chunk::End(note))).await);
                }
                return;
            }
        }
        bytes = 0;
        if out.send(Ok(Chunk::Entries(std::mem::take(&mut chunk)))).await.is_err() {
            return;
        }
    }
}

async fn publish_access(client: &mut Client, options: &Options, size: u64) -> Result<(), Error> {
    let printable = options.purpose.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if !printable || !(1..=envelope::limits::PURPOSE_BYTES_MAX).contains(&options.purpose.len()) {
        return Err(Error::Argument("the purpose is not 1 to 256 printable ASCII characters".to_owned()));
    }
    // The statement itself is an entry, and others come while it is written.
    let to_index = size.saturating_add(ACCESS_MARGIN);
    let body = v1::AccessStatement { head: None, purpose: options.purpose.clone(), from_index: options.from.min(to_index - 1), to_index };
    let build = |head| v1::AccessStatement { head: Some(head), ..body.clone() };
    client.publish(StatementKind::Access, build, ACCESS_MS).await.map(drop)
}

/// The word for how much was shown.
impl Shown {
    /// `opening`, `part`, `hash` or `purged`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Part => "part",
            Self::Hash => "hash",
            Self::Purged => "purged",
        }
    }
}

/// Bytes of a chunk after which it is handed over, whatever its number of entries.
const CHUNK_BYTES_MAX: usize = 8 << 20;
/// An access ends after an hour.
const ACCESS_MS: u64 = 3_600_000;
/// Entries beyond the present size that an access covers.
const ACCESS_MARGIN: u64 = 65_536;
