//! The exchange: one durable state, and batches over it. The writer owns it; everybody else reads.

use std::collections::BTreeMap;

use envelope::entry::Entry;
use envelope::identity::{Anchors, PublicKey};
use envelope::keys::Verifier;
use envelope::message::{Identity, Keyring, Verified};
use envelope::{Address, Position, Reference, Timestamp};
use prost::Message as _;
use proto::v1::{self, SignedStatement};

use crate::admit::{self, Admission, Found};
use crate::advices::{self, Due};
use crate::apply::{self, ApplyError, Effect};
use crate::edge;
use crate::history::AsOf;
use crate::refusal::Refusal;
use crate::rules::Rules;
use crate::series;
use crate::state::{Changes, Key, Overlay, Row, Rows, State};
use crate::statements::{self, AdmittedStatement};

/// The derived state and the rules that judge by it.
#[derive(Clone, Debug, Default)]
pub struct Exchange {
    state: State,
    rules: Rules,
    /// Entries of the last snapshot that was taken of it, or that it was made from.
    snapshot_size: u64,
}

/// Rows of the state that changed between two sizes of the log.
#[derive(Clone, Debug)]
pub struct SnapshotPart {
    /// Entries of the snapshot that it lies over; 0 for none.
    pub from: u64,
    /// Entries that were applied.
    pub to: u64,
    /// The rows by encoded key. The one under the empty key says what all rows must add up to.
    pub rows: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Why a snapshot is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Not a snapshot of this version.
    #[error("the snapshot is malformed or of another version")]
    Malformed,
    /// Its rows do not add up to its digest.
    #[error("the snapshot's rows are not those of its digest")]
    Digest,
}

impl Exchange {
    /// An empty state that judges by `rules`.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { state: State::default(), rules, snapshot_size: 0 }
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Takes what a participant may send from its newest statement, where the log is not at hand: in a client.
    pub fn learn_grants(&mut self, subject: &Address, grants: Vec<v1::Grant>) {
        self.state.set(Key::Grants(subject.clone()), Row::Grants(v1::GrantsRow { grants, index: 0 }));
    }

    /// Takes a group from its newest statement, where the log is not at hand: in a client.
    pub fn learn_group(&mut self, group: &Address, row: v1::GroupRow) {
        self.state.set(Key::Group(group.clone()), Row::Group(Box::new(row)));
    }

    /// Takes a permission that a message names from its statement, where the log is not at hand: in a client.
    pub fn learn_permission(&mut self, digest: [u8; 32], row: v1::PermissionRow) {
        self.state.set(Key::Permission(digest), Row::Permission(Box::new(row)));
    }

    /// Opens a batch whose first entry will stand at `first`.
    #[must_use]
    pub fn batch(&self, first: u64, now: Timestamp) -> Batch<'_> {
        Batch { rows: Overlay::new(&self.state), rules: &self.rules, now, next: first, effects: Vec::new() }
    }

    /// Takes over a batch that is durable.
    pub fn fold(&mut self, changes: Changes) {
        self.state.fold(changes);
    }

    /// Applies one durable entry, at start or in a replay.
    ///
    /// # Errors
    /// [`ApplyError`] when the entry does not make sense at its place; the state is as before then.
    pub fn replay(&mut self, index: u64, at: Timestamp, entry: &Entry) -> Result<(), ApplyError> {
        let mut batch = self.batch(index, at);
        batch.push(entry)?;
        let (changes, _) = batch.finish();
        self.fold(changes);
        Ok(())
    }

    /// From now on [`Exchange::take_snapshot`] gives what has changed since its last call.
    pub fn keep_snapshots(&mut self) {
        self.state.note_changed();
    }

    /// The next part has all rows: an earlier one was lost.
    pub fn begin_snapshot_anew(&mut self) {
        self.snapshot_size = 0;
        self.state.note_all_changed();
    }

    /// The rows that were written since the last call, for a quick start; `size` entries were applied. It costs what has
    /// changed. The parts, laid one over the other, are the whole state but for message rows.
    pub fn take_snapshot(&mut self, size: u64) -> SnapshotPart {
        let mut rows = self.state.take_changed();
        let sum = v1::SnapshotSum {
            size,
            state_sha256_sum: self.state.digest().to_vec().into(),
            messages_sha256_sum: self.state.messages_digest().to_vec().into(),
        };
        rows.insert(Vec::new(), sum.encode_to_vec());
        SnapshotPart { from: std::mem::replace(&mut self.snapshot_size, size), to: size, rows }
    }

    /// Takes a state back from all its rows, in any order but each once, with the number of entries that it stands for.
    /// `anchors` are the roots of the ledger's genesis; without them it judges no enrolment.
    ///
    /// # Errors
    /// [`SnapshotError`] when a row is malformed or the digest is not that of the rows.
    pub fn from_snapshot<'a>(
        rows: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
        anchors: Option<Anchors>,
        rules: Rules,
    ) -> Result<(Self, u64), SnapshotError> {
        let (mut state, mut sum) = (State::default(), None);
        anchors.into_iter().for_each(|anchors| state.set_anchors(anchors));
        for (key, row) in rows {
            if key.is_empty() {
                sum = Some(v1::SnapshotSum::decode(row).map_err(|_| SnapshotError::Malformed)?);
                continue;
            }
            let key = Key::decode(key).filter(|key| !matches!(key, Key::Message(_))).ok_or(SnapshotError::Malformed)?;
            let value = Row::decode(&key, row).ok_or(SnapshotError::Malformed)?;
            state.set(key, value);
        }
        let sum = sum.ok_or(SnapshotError::Malformed)?;
        let messages = sum.messages_sha256_sum.as_ref().try_into().map_err(|_| SnapshotError::Malformed)?;
        state.add_messages(&messages);
        if state.digest()[..] != sum.state_sha256_sum[..] {
            return Err(SnapshotError::Digest);
        }
        Ok((Self { state, rules, snapshot_size: sum.size }, sum.size))
    }

    /// What the gateway is to say by itself by now, at most about `max` places: who is told of what is not acknowledged, then what
    /// has ended before its recipients took it, each longest first.
    #[must_use]
    pub fn due(&self, now: Timestamp, max: usize) -> Vec<Due> {
        advices::due(&self.state, now, max)
    }
}

/// The identity keys of the state.
impl Keyring for State {
    fn identity(&self, key_id: &[u8; 32]) -> Option<Identity> {
        keyring(self, key_id)
    }
}

impl Keyring for AsOf<'_> {
    fn identity(&self, key_id: &[u8; 32]) -> Option<Identity> {
        keyring(self, key_id)
    }
}

impl Keyring for Overlay<'_> {
    fn identity(&self, key_id: &[u8; 32]) -> Option<Identity> {
        keyring(self, key_id)
    }
}

fn keyring(rows: &dyn Rows, key_id: &[u8; 32]) -> Option<Identity> {
    let address = Address::parse(&rows.identity_owner(key_id)?.address).ok()?;
    // A key that a later enrolment has replaced signs nothing more.
    let row = rows.participant(&address).filter(|row| row.key_id == key_id[..])?;
    Some(Identity { public: PublicKey::read(row.alg(), &row.public)?, address })
}

/// Entries that will be appended together; each sees those before it. Dropping it leaves no trace.
#[derive(Debug)]
pub struct Batch<'a> {
    rows: Overlay<'a>,
    rules: &'a Rules,
    now: Timestamp,
    next: u64,
    effects: Vec<Effect>,
}

impl Batch<'_> {
    /// The rows as this batch leaves them.
    #[must_use]
    pub fn rows(&self) -> &dyn Rows {
        &self.rows
    }

    /// The batch's ledger time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Where the next entry will stand.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Whether the number of a reference was used, in the state or in this batch: only then can its message be known.
    #[must_use]
    pub fn is_used(&self, reference: &Reference) -> bool {
        let row = self.rows.series(&reference.sender, reference.year, reference.series);
        row.is_some_and(|row| series::contains(row, reference.number))
    }

    /// Judges a message.
    ///
    /// # Errors
    /// [`Refusal`] of the first rule that it breaks.
    pub fn admit(&self, found: Found<'_>, message: Verified) -> Result<Admission, Refusal> {
        admit::admit(&self.rows, self.rules, self.now, found, message)
    }

    /// Judges a statement that `peer` brought.
    ///
    /// # Errors
    /// [`Refusal`] of the first check that fails.
    pub fn admit_statement(
        &self,
        peer: Option<&Address>,
        signed: SignedStatement,
        verifier: &impl Verifier,
    ) -> Result<AdmittedStatement, Refusal> {
        statements::admit_statement(&self.rows, self.now, peer, signed, verifier)
    }

    /// Applies an entry at the next place, and gives that.
    ///
    /// # Errors
    /// [`ApplyError`] when the entry does not make sense there; drop the batch then.
    pub fn push(&mut self, entry: &Entry) -> Result<Position, ApplyError> {
        apply::apply(&mut self.rows, self.next, self.now, entry, &mut self.effects)?;
        self.next += 1;
        Ok(Position::at(self.next - 1))
    }

    /// The entries that say what is due about the message with this stub; none when this batch has made it needless.
    #[must_use]
    pub fn say(&self, due: Due, stub: &v1::Stub) -> Vec<Entry> {
        advices::say(&self.rows, due, stub)
    }

    /// The Head that is due: the directory has grown since the last one, or an hour has passed.
    #[must_use]
    pub fn head_due(&self) -> Option<Entry> {
        let row = self.rows.directory()?;
        let due = row.size != row.head_size || self.now.ms() >= row.head_ms + HEAD_INTERVAL_MS;
        due.then(|| Entry::Head(head_of(row)))
    }

    /// The digest of the state as this batch leaves it, as an entry.
    #[must_use]
    pub fn state_claim(&self) -> Entry {
        Entry::StateClaim(v1::StateClaim { state_sha256_sum: self.rows.digest().to_vec().into() })
    }

    /// What to fold in once the batch is durable, and what to tell others then.
    #[must_use]
    pub fn finish(self) -> (Changes, Vec<Effect>) {
        (self.rows.into_changes(), self.effects)
    }
}

/// The head of a directory's right edge.
#[must_use]
pub fn head_of(row: &v1::DirectoryRow) -> v1::Head {
    v1::Head { directory_size: row.size, directory_root: edge::root(row).as_bytes().to_vec().into() }
}

/// A Head is appended at least this often, so that a client can tell a fresh directory from a withheld one.
pub const HEAD_INTERVAL_MS: u64 = 3_600_000;
/// A StateClaim is appended, and a snapshot taken, every so many entries.
pub const STATE_CLAIM_INTERVAL: u64 = 4096;
