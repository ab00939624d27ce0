//! The auditor: replays the log, recomputes every hash, and judges every entry again.
//!
//! It trusts no server: what it is shown must lead to a signed checkpoint that extends the one it holds. What is
//! withheld from it is counted, never guessed.

use std::collections::BTreeMap;

use envelope::entry::Entry;
use envelope::keys::AwsLc;
use envelope::slots::{Leaf, Opening};
use envelope::{Address, Class, Receipt};
use exchange::{Finding, Gap, Judge};
use prost::Message as _;
use proto::v1::{self, EntryKind, Kind, StatementKind};
use tlog::{Checkpoint, Hash, Tree};

use crate::client::Client;
use crate::error::Error;
use crate::words::Word as _;

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

/// One entry as the auditor sees it.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its index.
    pub index: u64,
    /// Hash of its leaf.
    pub leaf_hash: Hash,
    /// The leaf, when the auditor may see the entry.
    pub leaf: Option<Leaf>,
    /// What was shown of it.
    pub shown: Shown,
    /// Kind of the entry, when the opening or a part of it was shown.
    pub kind: Option<EntryKind>,
    /// Number, sender and recipients of a message, author of a statement, and so on; empty when nothing was shown.
    pub summary: String,
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
pub async fn verify(client: &mut Client, options: &Options, mut each: impl FnMut(&Line, u64)) -> Result<Verdict, Error> {
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
    let mut entries = match client.audit_in_bulk()?.replay(request).await {
        Ok(entries) => entries.into_inner(),
        Err(status) => return Err(client.failed(&status).await),
    };
    let mut replay = Replay::new(client, options, held.clone());
    let mut note = Vec::new();
    loop {
        let entry = match entries.message().await {
            Ok(Some(entry)) => entry,
            Ok(None) => break,
            Err(status) => return Err(client.failed(&status).await),
        };
        if !entry.leaf_hash.is_empty() {
            let line = replay.take(&entry)?;
            if line.index >= options.from {
                each(&line, held.size);
            }
        }
        if !entry.checkpoint.is_empty() {
            note = entry.checkpoint.to_vec();
        }
    }
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

/// The fold over the entries.
struct Replay {
    tree: Tree,
    held: Checkpoint,
    /// Root at the size of the checkpoint held.
    root_at_held: Option<Hash>,
    judge: Option<Judge<AwsLc>>,
    judged: u64,
    withheld: u64,
    purged: u64,
    findings: Vec<Finding>,
}

impl Replay {
    fn new(client: &Client, options: &Options, held: Checkpoint) -> Self {
        let judge = (options.from == 0).then(|| Judge::new(client.profile().trust().genesis_sha256, AwsLc));
        Self { tree: Tree::new(), held, root_at_held: None, judge, judged: 0, withheld: 0, purged: 0, findings: Vec::new() }
    }

    fn take(&mut self, entry: &v1::ReplayResponse) -> Result<Line, Error> {
        let index = self.tree.size();
        let unsound = |what: &str| Error::Unsound(format!("entry {index} of the replay {what}"));
        if entry.index != index {
            return Err(unsound("is out of order"));
        }
        let leaf_hash = Hash::try_from(entry.leaf_hash.as_ref()).map_err(|_| unsound("has no leaf hash"))?;
        self.tree.append(leaf_hash);
        // The tiles are somebody else's; only the right edge is needed here.
        drop(self.tree.take_dirty());
        if self.tree.size() == self.held.size {
            self.root_at_held = Some(self.tree.root());
        }
        let leaf = if entry.leaf.is_empty() { None } else { Some(Leaf::decode(&entry.leaf).map_err(|_| unsound("has a malformed leaf"))?) };
        if leaf.is_some_and(|leaf| leaf.hash() != leaf_hash) {
            return Err(unsound("has a leaf of another hash"));
        }
        let mut line = Line { index, leaf_hash, leaf, shown: Shown::Hash, kind: None, summary: String::new() };
        if entry.purged {
            line.shown = Shown::Purged;
            self.purged += 1;
        } else if let (Some(leaf), false) = (leaf, entry.opening.is_empty()) {
            self.opened(entry, &leaf, &mut line);
        } else {
            self.withheld += 1;
            if !entry.part.is_empty() {
                self.part(entry, leaf.as_ref(), &mut line)?;
            }
        }
        if line.shown != Shown::Opening {
            self.stop_judging();
        }
        Ok(line)
    }

    fn opened(&mut self, entry: &v1::ReplayResponse, leaf: &Leaf, line: &mut Line) {
        line.shown = Shown::Opening;
        let index = line.index;
        let opening = match Opening::decode(&entry.opening) {
            Ok(opening) => opening,
            Err(error) => {
                self.find(index, "OPENING", error.to_string());
                return self.stop_judging();
            }
        };
        line.kind = Some(opening.kind());
        line.summary = Entry::read(&opening).map_or_else(|error| error.to_string(), |entry| summary(&entry));
        let signatures = v1::SealedPayload::decode(entry.signatures.as_ref()).map(|payload| payload.signatures).unwrap_or_default();
        match &mut self.judge {
            Some(judge) => {
                judge.feed(leaf, &opening, &signatures);
                self.judged += 1;
            }
            None => {
                if let Err(error) = opening.check(leaf) {
                    self.find(index, "OPENING", error.to_string());
                }
            }
        }
    }

    /// Some slots of an entry: they must lead to its leaf.
    fn part(&mut self, entry: &v1::ReplayResponse, leaf: Option<&Leaf>, line: &mut Line) -> Result<(), Error> {
        let receipt = Receipt::decode(&entry.part)?;
        let (index, shown, kind) = receipt.body()?;
        if index != line.index || shown.hash() != line.leaf_hash || leaf.is_some_and(|leaf| *leaf != shown) {
            return Err(Error::Unsound(format!("the part shown of entry {} is another's", line.index)));
        }
        (line.shown, line.kind, line.leaf) = (Shown::Part, Some(kind), Some(shown));
        let slots = &receipt.fields().slots;
        let stub = slots.iter().find(|slot| kind == EntryKind::Message && slot.tag == STUB_TAG);
        let stub = stub.and_then(|slot| v1::Stub::decode(slot.value.as_ref()).ok());
        let reference = stub.and_then(|stub| envelope::entry::reference_of(&stub).ok());
        line.summary = reference.map_or_else(|| format!("{} slots", slots.len()), |reference| reference.to_string());
        Ok(())
    }

    fn find(&mut self, index: u64, rule: &'static str, text: String) {
        self.findings.push(Finding { index, rule, text });
    }

    /// The judge needs every entry: what was found so far stays.
    fn stop_judging(&mut self) {
        if let Some(judge) = self.judge.take() {
            self.findings.extend(judge.findings().iter().cloned());
        }
    }

    /// Why the entries are not those of the checkpoints.
    fn contradiction(&self, checkpoint: &Checkpoint) -> Option<String> {
        if checkpoint.size != self.tree.size() || checkpoint.root != self.tree.root() {
            return Some(format!(
                "{} entries with root {} do not lead to the checkpoint of {}",
                self.tree.size(),
                self.tree.root(),
                checkpoint.size
            ));
        }
        let differs = self.root_at_held.is_none_or(|root| root != self.held.root);
        differs.then(|| format!("the entries do not lead to the checkpoint of {} that is held", self.held.size))
    }

    fn verdict(mut self, checkpoint: Checkpoint) -> Verdict {
        let (mut state_digest, mut counts, mut gaps) = (None, BTreeMap::new(), Vec::new());
        if let Some(judge) = &self.judge {
            state_digest = Some(judge.exchange().state().digest());
            (counts, gaps) = judge.references();
        }
        self.stop_judging();
        Verdict {
            size: self.tree.size(),
            root: self.tree.root(),
            checkpoint,
            state_digest,
            judged: self.judged,
            withheld: self.withheld,
            purged: self.purged,
            findings: self.findings,
            counts,
            gaps,
        }
    }
}

/// An entry in a few words, all of them from closed grammars.
fn summary(entry: &Entry) -> String {
    let statement = |head: Option<v1::StatementHead>| head.map_or_else(String::new, |head| format!("{} seq {}", head.issuer, head.seq));
    match entry {
        Entry::Genesis(_) => String::new(),
        Entry::Message(message) => {
            let reference = message.reference().map_or_else(|_| "?".to_owned(), |reference| reference.to_string());
            let to: Vec<&str> = message.places.iter().map(|place| place.address.as_str()).collect();
            let kind = kind_of(&message.header).map_or_else(|| "?".to_owned(), |kind| kind.word());
            format!("{reference} {kind} to {}", to.join(","))
        }
        Entry::Directory { signed, directory_index } => {
            let head = envelope::statement::read::<v1::KeyStatement>(signed).ok().and_then(|statement| statement.head);
            format!("keys of {}, directory {directory_index}", statement(head))
        }
        Entry::Mailbox { signed, .. } => {
            let kind = if signed.kind() == StatementKind::Acknowledged { "acknowledged" } else { "delivered" };
            let body = v1::MailboxStatement::decode(signed.statement.as_ref()).unwrap_or_default();
            format!("{kind} by {}, {} messages", statement(body.head), body.items.len())
        }
        Entry::Access(signed) => {
            let access = envelope::statement::read::<v1::AccessStatement>(signed).unwrap_or_default();
            format!("{} for {:?}", statement(access.head), access.purpose)
        }
        Entry::ClockStep(_) => "by the network authority".to_owned(),
        Entry::Started(started) => format!("version {:?}", started.version),
        Entry::Head(head) => format!("directory of {}", head.directory_size),
        Entry::RevocationsSeen { seen, .. } => format!("{} new", seen.added.len()),
        Entry::Refused(refused) => format!("{:?} {}/{}.{}/{}", refused.name, refused.sender, refused.year, refused.series, refused.number),
        Entry::RefusalsCounted(counted) => format!("{} of {}", counted.count, counted.sender),
        Entry::StateClaim(claim) => envelope::genesis::hex(&claim.state_sha256_sum),
        Entry::Expired(expired) => format!("entry {} in {} mailboxes", expired.index, expired.places.len()),
        Entry::Later(number) => format!("kind {number}, of a later version"),
    }
}

/// What a message is for, by its header.
fn kind_of(header: &[u8]) -> Option<Kind> {
    let context = v1::Header::decode(header).ok()?.context;
    Some(v1::Context::decode(context.as_ref()).ok()?.kind())
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

impl Line {
    /// The word for the kind; `-` when it was not shown.
    #[must_use]
    pub fn kind_word(&self) -> String {
        self.kind.map_or_else(|| "-".to_owned(), |kind| kind.word())
    }
}

/// Slot 6 of a MESSAGE holds what stays of it after a purge.
const STUB_TAG: u32 = 6;
/// An access ends after an hour.
const ACCESS_MS: u64 = 3_600_000;
/// Entries beyond the present size that an access covers.
const ACCESS_MARGIN: u64 = 65_536;
