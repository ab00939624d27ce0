//! The fold over a replay's entries: what needs no state is done on all cores, a chunk ahead; then each in its turn.
//!
//! It does not know where the entries come from. At most two chunks are held: the one that is prepared while the one
//! before it is judged.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use envelope::Receipt;
use envelope::entry::Entry;
use envelope::keys::AwsLc;
use envelope::slots::{Leaf, Opening};
use exchange::{Clocks, Exchange, Finding, Identities, Judge, Prepared, State};
use prost::Message as _;
use proto::v1::{self, EntryKind, Kind, StatementKind};
use tlog::{Checkpoint, Hash, Tree};

use super::partial::{Partial, STUB_TAG};
use super::{Shown, Verdict};
use crate::error::Error;
use crate::words::Word as _;

/// How deep a replay looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Leaves and openings: that they lead to the root.
    Hashes,
    /// And the state that they lead to, by the gateway's word.
    Structure,
    /// And every signature and every decision.
    Rules,
}

/// One entry as the auditor sees it.
pub struct Line<'a> {
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
    said: Said<'a>,
    partial: Option<&'a Partial>,
}

impl std::fmt::Debug for Line<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").field("index", &self.index).field("shown", &self.shown).finish_non_exhaustive()
    }
}

/// What there is to say of an entry.
enum Said<'a> {
    Entry(&'a Entry),
    Text(&'a str),
}

/// What was looked at without the state.
struct Seen {
    index: u64,
    leaf_hash: Hash,
    leaf: Option<Leaf>,
    shown: Shown,
    kind: Option<EntryKind>,
    /// Of an entry that was shown whole.
    prepared: Option<Prepared>,
    /// Of one of which a part was shown.
    partial: Option<Partial>,
    /// Of one that was not; or why its opening cannot be read.
    text: String,
}

/// Replays entries from 0 on, chunk by chunk.
pub struct Replay {
    tree: Tree,
    held: Checkpoint,
    /// Root at the size of the checkpoint held.
    root_at_held: Option<Hash>,
    course: Course,
    identities: Arc<Identities>,
    /// Prepared, and waiting for their turn.
    waiting: Vec<Result<Seen, Error>>,
    /// Entries taken, those that wait included.
    taken: u64,
    judged: u64,
    withheld: u64,
    purged: u64,
    findings: Vec<Finding>,
}

/// What follows from the entries so far.
enum Course {
    Hashes,
    Structure(Box<Exchange>),
    Rules(Box<Judge<AwsLc>>),
}

impl std::fmt::Debug for Replay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replay").field("taken", &self.taken).finish_non_exhaustive()
    }
}

impl Replay {
    /// A replay of the log that begins with the genesis of this digest and must lead through the checkpoint `held`.
    #[must_use]
    pub fn new(genesis_sha256: [u8; 32], depth: Depth, held: Checkpoint) -> Self {
        let course = match depth {
            Depth::Hashes => Course::Hashes,
            Depth::Structure => Course::Structure(Box::default()),
            Depth::Rules => Course::Rules(Box::new(Judge::new(genesis_sha256, AwsLc))),
        };
        Self {
            tree: Tree::new(),
            held,
            root_at_held: None,
            course,
            identities: Arc::default(),
            waiting: Vec::new(),
            taken: 0,
            judged: 0,
            withheld: 0,
            purged: 0,
            findings: Vec::new(),
        }
    }

    /// Takes the next entries, best [`CHUNK_ENTRIES_MAX`] at a time: prepares them on all cores and meanwhile judges the
    /// chunk before. `each` hears each entry in its turn, at the latest in [`Replay::settle`].
    ///
    /// # Errors
    /// [`Error::Unsound`] names the first entry that is out of order, malformed, or not what its hash says.
    pub fn push(&mut self, mut chunk: Vec<v1::ReplayResponse>, each: &mut impl FnMut(&Line<'_>)) -> Result<(), Error> {
        if self.taken == 0 && chunk.len() > 1 {
            // Genesis names the keys that the others are prepared with.
            let rest = chunk.split_off(1);
            self.push(chunk, each)?;
            self.settle(each)?;
            chunk = rest;
        }
        self.refresh_identities();
        let sign = matches!(self.course, Course::Rules(_)).then(|| self.identities.clone());
        let count = chunk.len() as u64;
        let work = Work { entries: Mutex::new((self.taken, chunk.into_iter())), done: Mutex::new(Vec::new()), sign };
        let waiting = std::mem::take(&mut self.waiting);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let folded = std::thread::scope(|scope| {
            for _ in 1..cores {
                scope.spawn(|| work.run());
            }
            let folded = self.fold(waiting, each);
            work.run();
            folded
        });
        self.waiting = work.finish();
        self.taken += count;
        folded
    }

    /// Judges what waits.
    ///
    /// # Errors
    /// As [`Replay::push`].
    pub fn settle(&mut self, each: &mut impl FnMut(&Line<'_>)) -> Result<(), Error> {
        let waiting = std::mem::take(&mut self.waiting);
        self.fold(waiting, each)
    }

    fn fold(&mut self, waiting: Vec<Result<Seen, Error>>, each: &mut impl FnMut(&Line<'_>)) -> Result<(), Error> {
        for seen in waiting {
            self.take(seen?, each);
        }
        // The tiles are somebody else's; only the right edge is needed here.
        drop(self.tree.take_dirty());
        Ok(())
    }

    fn take(&mut self, seen: Seen, each: &mut impl FnMut(&Line<'_>)) {
        self.tree.append(seen.leaf_hash);
        if self.tree.size() == self.held.size {
            self.root_at_held = Some(self.tree.root());
        }
        each(&seen.line());
        let Seen { index, shown, prepared, text, .. } = seen;
        match shown {
            Shown::Purged => self.purged += 1,
            Shown::Hash | Shown::Part => self.withheld += 1,
            Shown::Opening => {}
        }
        match prepared {
            Some(prepared) => self.follow(index, prepared),
            None => {
                if shown == Shown::Opening {
                    self.findings.push(Finding { index, rule: "OPENING", text });
                }
                self.stop_judging();
            }
        }
    }

    fn follow(&mut self, index: u64, prepared: Prepared) {
        match &mut self.course {
            Course::Rules(judge) => {
                judge.feed_prepared(prepared);
                self.judged += 1;
            }
            Course::Structure(exchange) => {
                let applied = prepared.entry().map(|entry| exchange.replay(index, prepared.leaf().at, entry));
                let fault = prepared.fault().map(|(check, why)| (check, why.to_owned()));
                let fault = fault.or_else(|| applied?.err().map(|error| ("APPLY", error.to_string())));
                self.findings.extend(fault.map(|(rule, text)| Finding { index, rule, text }));
            }
            Course::Hashes => {
                let fault = prepared.fault().filter(|(check, _)| *check == "OPENING");
                self.findings.extend(fault.map(|(rule, text)| Finding { index, rule, text: text.to_owned() }));
            }
        }
    }

    /// The judge needs every entry: what was found so far stays.
    fn stop_judging(&mut self) {
        if let Course::Rules(judge) = std::mem::replace(&mut self.course, Course::Hashes) {
            let before = std::mem::take(&mut self.findings);
            self.findings = judge.findings().to_vec();
            self.findings.extend(before);
        }
    }

    fn refresh_identities(&mut self) {
        if let Course::Rules(judge) = &self.course {
            let state = judge.exchange().state();
            if !self.identities.is_of(state) {
                self.identities = Arc::new(Identities::of(state));
            }
        }
    }

    /// Why the entries are not those of the checkpoints.
    #[must_use]
    pub fn contradiction(&self, checkpoint: &Checkpoint) -> Option<String> {
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

    /// What was found, under the checkpoint that the entries lead to. Nothing waits any more.
    #[must_use]
    pub fn verdict(mut self, checkpoint: Checkpoint) -> Verdict {
        let state: Option<&State> = match &self.course {
            Course::Hashes => None,
            Course::Structure(exchange) => Some(exchange.state()),
            Course::Rules(judge) => Some(judge.exchange().state()),
        };
        let state_digest = state.map(State::digest);
        let (counts, gaps) = match &self.course {
            Course::Rules(judge) => judge.references(),
            _ => (BTreeMap::new(), Vec::new()),
        };
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

/// Index of the first of some, and what was seen of them.
type Judged = (u64, Vec<Result<Seen, Error>>);

/// A chunk that all cores work at, a few entries at a time.
struct Work {
    /// Index of the next entry, and the entries from it on.
    entries: Mutex<(u64, std::vec::IntoIter<v1::ReplayResponse>)>,
    /// What was seen so far, in any order.
    done: Mutex<Vec<Judged>>,
    /// Signatures are checked with these.
    sign: Option<Arc<Identities>>,
}

impl Work {
    fn run(&self) {
        loop {
            let (first, some) = {
                let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
                let some: Vec<_> = entries.1.by_ref().take(PIECE_ENTRIES).collect();
                let first = entries.0;
                entries.0 += some.len() as u64;
                (first, some)
            };
            if some.is_empty() {
                return;
            }
            let seen = (first..).zip(&some).map(|(index, entry)| look(index, entry, self.sign.as_deref())).collect();
            self.done.lock().unwrap_or_else(PoisonError::into_inner).push((first, seen));
        }
    }

    fn finish(self) -> Vec<Result<Seen, Error>> {
        let mut done = self.done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|(first, _)| *first);
        done.into_iter().flat_map(|(_, seen)| seen).collect()
    }
}

/// Everything that the entry shows by itself.
fn look(index: u64, entry: &v1::ReplayResponse, sign: Option<&Identities>) -> Result<Seen, Error> {
    let unsound = |what: &str| Error::Unsound(format!("entry {index} of the replay {what}"));
    if entry.index != index {
        return Err(unsound("is out of order"));
    }
    let leaf_hash = Hash::try_from(entry.leaf_hash.as_ref()).map_err(|_| unsound("has no leaf hash"))?;
    let leaf = if entry.leaf.is_empty() { None } else { Some(Leaf::decode(&entry.leaf).map_err(|_| unsound("has a malformed leaf"))?) };
    if leaf.is_some_and(|leaf| leaf.hash() != leaf_hash) {
        return Err(unsound("has a leaf of another hash"));
    }
    let mut seen = Seen { index, leaf_hash, leaf, shown: Shown::Hash, kind: None, prepared: None, partial: None, text: String::new() };
    if entry.purged {
        seen.shown = Shown::Purged;
    } else if let (Some(leaf), false) = (leaf, entry.opening.is_empty()) {
        seen.open(entry, leaf, sign);
    } else if !entry.part.is_empty() {
        seen.part(entry)?;
    }
    Ok(seen)
}

impl Seen {
    fn open(&mut self, entry: &v1::ReplayResponse, leaf: Leaf, sign: Option<&Identities>) {
        self.shown = Shown::Opening;
        let opening = match Opening::decode(&entry.opening) {
            Ok(opening) => opening,
            Err(error) => return self.text = error.to_string(),
        };
        self.kind = Some(opening.kind());
        let signatures = v1::SealedPayload::decode(entry.signatures.clone()).map(|payload| payload.signatures).unwrap_or_default();
        let mut prepared = Prepared::new(leaf, &opening, signatures);
        if let Some(identities) = sign {
            prepared.check_signatures(identities, &AwsLc);
        }
        self.prepared = Some(prepared);
    }

    /// Some slots of an entry: they must lead to its leaf.
    fn part(&mut self, entry: &v1::ReplayResponse) -> Result<(), Error> {
        let receipt = Receipt::decode(&entry.part)?;
        let (index, shown, kind) = receipt.body()?;
        if index != self.index || shown.hash() != self.leaf_hash || self.leaf.is_some_and(|leaf| leaf != shown) {
            return Err(Error::Unsound(format!("the part shown of entry {} is another's", self.index)));
        }
        (self.shown, self.kind, self.leaf) = (Shown::Part, Some(kind), Some(shown));
        let slots = &receipt.fields().slots;
        self.partial = Partial::read(kind, slots);
        let stub = slots.iter().find(|slot| kind == EntryKind::Message && slot.tag == STUB_TAG);
        let stub = stub.and_then(|slot| v1::Stub::decode(slot.value.as_ref()).ok());
        let reference = stub.and_then(|stub| envelope::entry::reference_of(&stub).ok());
        self.text = reference.map_or_else(|| format!("{} slots", slots.len()), |reference| reference.to_string());
        Ok(())
    }

    fn line(&self) -> Line<'_> {
        let fault = self.prepared.as_ref().and_then(Prepared::fault).map(|(_, why)| Said::Text(why));
        let entry = self.prepared.as_ref().and_then(Prepared::entry).map(Said::Entry);
        let said = entry.or(fault).unwrap_or(Said::Text(&self.text));
        Line {
            index: self.index,
            leaf_hash: self.leaf_hash,
            leaf: self.leaf,
            shown: self.shown,
            kind: self.kind,
            said,
            partial: self.partial.as_ref(),
        }
    }
}

impl Line<'_> {
    /// Number, sender and recipients of a message, author of a statement, and so on; empty when nothing was shown.
    #[must_use]
    pub fn summary(&self) -> String {
        match self.said {
            Said::Entry(entry) => summary(entry),
            Said::Text(text) => text.to_owned(),
        }
    }

    /// Lets the clocks hear of the entry, as far as it is shown.
    pub fn note(&self, clocks: &mut Clocks) {
        match (&self.said, self.partial, self.leaf) {
            (Said::Entry(entry), _, Some(leaf)) => clocks.note(self.index, leaf.at, entry),
            (_, Some(partial), Some(leaf)) => partial.note(self.index, leaf.at, clocks),
            _ => {}
        }
    }

    /// The word for the kind; `-` when it was not shown.
    #[must_use]
    pub fn kind_word(&self) -> String {
        self.kind.map_or_else(|| "-".to_owned(), |kind| kind.word())
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
            let head = envelope::statement::head_of(signed);
            let subject = head.as_ref().map_or_else(String::new, |head| head.subject.clone());
            let by = statement(head);
            match signed.kind() {
                StatementKind::Enrolment => format!("enrolment of {subject} by {by}, directory {directory_index}"),
                StatementKind::Standing => {
                    let standing = envelope::statement::read::<v1::Standing>(signed).unwrap_or_default();
                    let (state, reason) = (standing.state().word(), standing.reason().word());
                    format!("{subject} {state} ({reason}) by {by}, directory {directory_index}")
                }
                _ => format!("keys of {by}, directory {directory_index}"),
            }
        }
        Entry::Grants(signed) => {
            let grants = envelope::statement::read::<v1::GrantStatement>(signed).unwrap_or_default();
            let subject = grants.head.as_ref().map_or_else(String::new, |head| head.subject.clone());
            format!("{} for {subject} by {}", grants.grants.len(), statement(grants.head))
        }
        Entry::Group(signed) => {
            let group = envelope::statement::read::<v1::Group>(signed).unwrap_or_default();
            let subject = group.head.as_ref().map_or_else(String::new, |head| head.subject.clone());
            format!("{subject} of {} members by {}", group.members.len(), statement(group.head))
        }
        Entry::Release { signed, places } => {
            let release = envelope::statement::read::<v1::Release>(signed).unwrap_or_default();
            let (what, by) = (release.verdict().word(), statement(release.head));
            format!("entry {} {what} to {} mailboxes by {by}", release.entry_index, places.len())
        }
        Entry::Permission(signed) => {
            let permission = envelope::statement::read::<v1::Permission>(signed).unwrap_or_default();
            let subject = permission.head.as_ref().map_or_else(String::new, |head| head.subject.clone());
            format!("{} for {subject} by {}", permission.kind().word(), statement(permission.head))
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
        Entry::Advice { advice, .. } => {
            let (what, recipients) = (advice.kind().word(), advice.recipients.join(", "));
            let (sender, year, series, number) = (&advice.sender, advice.year, advice.series, advice.number);
            format!("{} told that {sender}/{year}.{series}/{number} is {what} at {recipients}", advice.told)
        }
        Entry::Later(number) => format!("kind {number}, of a later version"),
    }
}

/// What a message is for, by its header.
fn kind_of(header: &[u8]) -> Option<Kind> {
    let context = v1::Header::decode(header).ok()?.context;
    Some(v1::Context::decode(context.as_ref()).ok()?.kind())
}

/// Entries that are prepared together while those before them are judged.
pub const CHUNK_ENTRIES_MAX: usize = 1024;
/// Entries that a core takes of a chunk at a time.
const PIECE_ENTRIES: usize = 16;
