//! The directory as this member has verified it: every statement in order, and the Head that binds it into the log.
//!
//! Participants, policy and keys are read from the rules' own state, replayed here; the log is not needed for it. It
//! does not know how the statements arrived. **Invariant:** leaf 0 is the genesis that the trust file names, the root is
//! signed by the directory's key and stands in a Head entry of the log.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use envelope::entry::Entry;
use envelope::key_id::encryption_key_id;
use envelope::keys::AwsLc;
use envelope::receipt::Proven;
use envelope::{Address, Receipt, Timestamp};
use exchange::apply::{group_row, permission_row};
use exchange::history::{AsOf, History};
use exchange::state::{Key, Row, Rows as _, State};
use exchange::{Exchange, edge, statements};
use prost::Message as _;
use proto::v1::{self, EntryKind, KemId, KeyState};
use tlog::{Checkpoint, Hash};

use crate::error::Error;
use crate::holds::Permission;
use crate::profile::Profile;
use crate::store::{Table, Write};

/// The verified directory. A clone costs as much as its participants.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    exchange: Exchange,
    /// Root of the first n + 1 leaves.
    roots: Vec<Hash>,
    keys: BTreeMap<Address, v1::KeyStatement>,
    head: Option<Head>,
    /// Participants as they were: a message is judged by the directory of its time.
    history: History,
    /// Number of the statement of this member's own grants that is held; 0 for none.
    grants_seq: u64,
    /// The entry behind the last permission that is held.
    permissions_from: u64,
    /// Heads that were seen: the entry's index in the log, and the size that it binds; ascending.
    heads: Vec<(u64, u64)>,
}

/// A Head entry of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Statements that it covers.
    pub size: u64,
    /// Their root.
    pub root: Hash,
    /// Ledger time.
    pub at: Timestamp,
}

impl Directory {
    /// What the profile's store holds; empty before the first contact.
    ///
    /// # Errors
    /// [`Error::Unsound`] when the store was tampered with.
    pub fn load(profile: &Profile) -> Result<Self, Error> {
        let mut directory = Self::default();
        let leaves = profile.store().numbered(Table::Directory)?;
        for (at, (index, leaf)) in leaves.iter().enumerate() {
            if *index != at as u64 {
                return Err(Error::Row("directory"));
            }
            directory.append(leaf, profile)?;
        }
        if directory.size() > 0 {
            let heads = profile.store().get(Table::Meta, HEADS_KEY.as_bytes())?.unwrap_or_default();
            let number = |bytes: &[u8]| bytes.try_into().map(u64::from_be_bytes).unwrap_or_default();
            directory.heads = heads.chunks_exact(16).map(|pair| (number(&pair[..8]), number(&pair[8..]))).collect();
            let row = |key: &str| Ok::<_, Error>(profile.store().get(Table::Meta, key.as_bytes())?.unwrap_or_default());
            directory.bind(&row(NOTE_KEY)?, &row(HEAD_KEY)?, profile)?;
            directory.learn_grants(&row(GRANTS_KEY)?, profile)?;
            for (key, receipt) in profile.store().rows(Table::Meta)? {
                if key.starts_with(GROUP_KEY.as_bytes()) {
                    directory.learn_group(&receipt, profile)?;
                }
                // In the order of their entries: the key has as many digits as there can be.
                if key.starts_with(PERMISSION_KEY.as_bytes()) {
                    directory.learn_permission(&receipt, profile)?;
                }
            }
        }
        Ok(directory)
    }

    /// Number of statements.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.roots.len() as u64
    }

    /// Root of the first `size` statements.
    #[must_use]
    pub fn root_at(&self, size: u64) -> Option<Hash> {
        let at = usize::try_from(size.checked_sub(1)?).ok()?;
        self.roots.get(at).copied()
    }

    /// The Head that covers all of it.
    #[must_use]
    pub fn head(&self) -> Option<Head> {
        self.head
    }

    /// Participants, identities, policy.
    #[must_use]
    pub fn state(&self) -> &State {
        self.exchange.state()
    }

    /// The rows as a directory of `size` statements had them.
    #[must_use]
    pub fn as_of(&self, size: u64) -> AsOf<'_> {
        self.history.as_of(self.state(), size)
    }

    /// The least size of the directory by which the entry at `index` of the log can have been judged: a Head before it binds that.
    #[must_use]
    pub fn least_size_at(&self, index: u64) -> u64 {
        self.heads.iter().rev().find(|(head, _)| *head < index).map_or(0, |(_, size)| *size)
    }

    /// Takes the receipt of the entry with this member's own grants, if it is newer than the one held; gives what to store.
    ///
    /// # Errors
    /// [`Error::Unsound`] when it does not hold.
    pub(crate) fn learn_grants(&mut self, receipt: &[u8], profile: &Profile) -> Result<Option<Write>, Error> {
        if receipt.is_empty() {
            return Ok(None);
        }
        let (seq, statement) = self.open_grants(receipt, profile.address(), profile)?;
        if seq <= self.grants_seq {
            return Ok(None);
        }
        self.exchange.learn_grants(profile.address(), statement.grants);
        self.grants_seq = seq;
        Ok(Some(Write::text(Table::Meta, GRANTS_KEY, receipt.to_vec())))
    }

    /// Takes the receipt of a group's entry, if it is newer than the one held; gives the group, and what to store.
    ///
    /// # Errors
    /// [`Error::Unsound`] when it does not hold.
    pub(crate) fn learn_group(&mut self, receipt: &[u8], profile: &Profile) -> Result<(Address, Option<Write>), Error> {
        let proven = Receipt::decode(receipt)?.verify(profile.log())?;
        let signed = signed_in(&proven, EntryKind::Group)?;
        let least = self.least_size_at(proven.position.index);
        let (group, statement) = statements::group_again(self.state(), &signed, (&self.history, least), &AwsLc).map_err(Error::unsound)?;
        let row = group_row(&statement, proven.position.index);
        if self.state().group(&group).is_some_and(|held| held.version >= row.version) {
            return Ok((group, None));
        }
        self.exchange.learn_group(&group, row);
        let write = Write::text(Table::Meta, &format!("{GROUP_KEY}{group}"), receipt.to_vec());
        Ok((group, Some(write)))
    }

    /// Groups that the gateway shows no more have ended for this member, or it belongs to them no longer; gives what to strike out.
    pub(crate) fn forget_groups(&mut self, shown: &BTreeSet<Address>) -> Vec<Write> {
        let gone = self.state().groups().map(|(group, _)| group).filter(|group| !shown.contains(*group));
        let gone: Vec<Address> = gone.cloned().collect();
        for group in &gone {
            let row = self.state().group(group).map(|row| (**row).clone()).unwrap_or_default();
            // Should it be shown again, it is learned again.
            self.exchange.learn_group(group, v1::GroupRow { members: Vec::new(), version: 0, ..row });
        }
        gone.iter().map(|group| Write::Delete(Table::Meta, format!("{GROUP_KEY}{group}").into_bytes())).collect()
    }

    /// The permissions that this member gave or was given.
    pub fn permissions(&self) -> impl Iterator<Item = Permission> + '_ {
        let permission = |(key, row): (Key, &Row)| match (key, row) {
            (Key::Permission(digest), Row::Permission(row)) => Some(Permission { digest, row: (**row).clone() }),
            _ => None,
        };
        self.state().rows().filter_map(permission)
    }

    /// The entry behind those of the permissions that are held.
    pub(crate) fn permissions_from(&self) -> u64 {
        self.permissions_from
    }

    /// Takes the receipt of a permission that this member gave or was given; gives what to store.
    ///
    /// # Errors
    /// [`Error::Unsound`] when it does not hold, or comes out of its order.
    pub(crate) fn learn_permission(&mut self, receipt: &[u8], profile: &Profile) -> Result<Option<Write>, Error> {
        let proven = Receipt::decode(receipt)?.verify(profile.log())?;
        let (index, signed) = (proven.position.index, signed_in(&proven, EntryKind::Permission)?);
        let (digest, row) = self.open_permission(&signed, index)?;
        if index < self.permissions_from {
            return Err(Error::unsound("the gateway gives permissions out of their order"));
        }
        self.permissions_from = index + 1;
        self.exchange.learn_permission(digest, row);
        Ok(Some(Write::text(Table::Meta, &format!("{PERMISSION_KEY}{index:020}"), receipt.to_vec())))
    }

    /// A permission as its statement says it, signed by whoever gave it; `index` is its entry.
    ///
    /// # Errors
    /// [`Error::Unsound`] when it does not hold.
    pub(crate) fn open_permission(&self, signed: &v1::SignedStatement, index: u64) -> Result<([u8; 32], v1::PermissionRow), Error> {
        let least = self.least_size_at(index);
        let statement = statements::permission_again(self.state(), signed, (&self.history, least), &AwsLc).map_err(Error::unsound)?;
        Ok((envelope::statement::digest_of(signed), permission_row(&statement, index)))
    }

    /// Who let a held message go by the entry at `index`, and what was said.
    ///
    /// # Errors
    /// [`Error::Unsound`] when it does not hold.
    pub(crate) fn open_release(&self, signed: &v1::SignedStatement, index: u64) -> Result<(Address, v1::Release), Error> {
        let least = self.least_size_at(index);
        statements::release_again(self.state(), signed, (&self.history, least), &AwsLc).map_err(Error::unsound)
    }

    /// Number and content of the grants of `subject` in a receipt of their entry.
    ///
    /// # Errors
    /// [`Error::Unsound`] when it does not hold.
    pub(crate) fn open_grants(&self, receipt: &[u8], subject: &Address, profile: &Profile) -> Result<(u64, v1::GrantStatement), Error> {
        let proven = Receipt::decode(receipt)?.verify(profile.log())?;
        let signed = signed_in(&proven, EntryKind::Grants)?;
        let least = self.least_size_at(proven.position.index);
        let (named, statement) = statements::grants_again(self.state(), &signed, (&self.history, least), &AwsLc).map_err(Error::unsound)?;
        if named != *subject {
            return Err(Error::unsound(format!("the grants are those of {named}, not of {subject}")));
        }
        Ok((statement.head.as_ref().map_or(0, |head| head.seq), statement))
    }

    /// The network's policy.
    #[must_use]
    pub fn policy(&self) -> v1::Policy {
        self.state().network().and_then(|row| row.policy.clone()).unwrap_or_default()
    }

    /// The public X-Wing key that messages to `address` are sealed for; `None` when it has published none.
    #[must_use]
    pub fn current_key(&self, address: &Address) -> Option<Bytes> {
        // As the rules' own state has it: another identity key has ended those before it.
        let row = self.state().keys(address)?;
        let holds = |key: &v1::EncryptionKey| {
            let key_id = encryption_key_id(key.kem(), &key.public);
            row.keys.iter().any(|row| row.key_id == key_id[..] && row.state() == KeyState::Current)
        };
        let current = |key: &&v1::EncryptionKey| key.state() == KeyState::Current && key.kem() == KemId::XWing && holds(key);
        self.keys.get(address)?.keys.iter().find(current).map(|key| key.public.clone())
    }

    /// The last set of keys that `address` has published.
    #[must_use]
    pub fn key_statement(&self, address: &Address) -> Option<&v1::KeyStatement> {
        self.keys.get(address)
    }

    /// Adds the leaves of a page, and on the last page checks note and Head; gives what to store.
    ///
    /// # Errors
    /// [`Error::Unsound`] names what does not hold; drop the directory then.
    pub fn extend(&mut self, page: &v1::SnapshotResponse, profile: &Profile) -> Result<Vec<Write>, Error> {
        let mut writes = Vec::new();
        for leaf in &page.statements {
            writes.push(Write::number(Table::Directory, self.size(), leaf.to_vec()));
            self.append(leaf, profile)?;
        }
        if self.size() > page.size {
            return Err(Error::unsound(format!("the gateway shows a directory of {} statements, {} are known", page.size, self.size())));
        }
        if self.size() == page.size {
            self.bind(&page.checkpoint, &page.head, profile)?;
            writes.push(Write::text(Table::Meta, NOTE_KEY, page.checkpoint.to_vec()));
            writes.push(Write::text(Table::Meta, HEAD_KEY, page.head.to_vec()));
            let heads = self.heads.iter().flat_map(|(index, size)| [index.to_be_bytes(), size.to_be_bytes()].concat()).collect::<Vec<u8>>();
            writes.push(Write::text(Table::Meta, HEADS_KEY, heads));
        }
        Ok(writes)
    }

    /// Verifies one statement and applies it.
    fn append(&mut self, leaf: &[u8], profile: &Profile) -> Result<(), Error> {
        let index = self.size();
        let fault = |why: String| Error::Unsound(format!("statement {index} of the directory: {why}"));
        let signed = envelope::statement::decode_signed(leaf).map_err(|error| fault(error.to_string()))?;
        if index == 0 && tlog::sha256(leaf) != profile.trust().genesis_sha256 {
            return Err(fault("it is not the genesis that the trust file names".to_owned()));
        }
        let (at, entry) = if index == 0 { (Timestamp(0), Entry::Genesis(signed)) } else { self.judge(signed, index).map_err(fault)? };
        self.exchange.replay(index, at, &entry).map_err(|error| fault(error.to_string()))?;
        let row = self.state().directory().ok_or_else(|| fault("it leads to no directory".to_owned()))?;
        self.roots.push(edge::root(row));
        Ok(())
    }

    /// A statement is judged by the state before it; its times were the gateway's to look at, when it took it.
    fn judge(&mut self, signed: v1::SignedStatement, index: u64) -> Result<(Timestamp, Entry), String> {
        let head = envelope::statement::head_of(&signed);
        let head = envelope::statement::read_head(head.as_ref()).map_err(|error| error.to_string())?;
        let at = Timestamp(head.created_ms);
        let keys = envelope::statement::read::<v1::KeyStatement>(&signed).ok();
        let admitted = statements::admit_again(self.state(), signed, &AwsLc).map_err(|refusal| refusal.to_string())?;
        let entry = admitted.into_entry();
        match &entry {
            Entry::Directory { directory_index, .. } if *directory_index == index => {}
            _ => return Err("it does not belong into the directory".to_owned()),
        }
        match (keys, head.issuer, head.subject) {
            (Some(keys), Some(issuer), _) => drop(self.keys.insert(issuer, keys)),
            (None, _, Some(subject)) => self.history.keep(self.exchange.state(), index, Key::Participant(subject)),
            _ => {}
        }
        Ok((at, entry))
    }

    /// Checks the signed note and the Head entry against the leaves.
    fn bind(&mut self, note: &[u8], head: &[u8], profile: &Profile) -> Result<(), Error> {
        let (size, root) = (self.size(), self.root_at(self.size()).unwrap_or_else(tlog::empty_root));
        let checkpoint = Checkpoint::open(note, profile.directory()).map_err(Error::unsound)?;
        if (checkpoint.size, checkpoint.root) != (size, root) {
            return Err(Error::unsound("the directory's statements do not lead to its checkpoint"));
        }
        let proven = Receipt::decode(head)?.verify(profile.log())?;
        let value = proven.slot(1, 0).filter(|_| proven.kind == EntryKind::Head);
        let named = value.and_then(|bytes| v1::Head::decode(bytes.as_ref()).ok());
        let fits = named.is_some_and(|named| named.directory_size == size && named.directory_root == root.as_bytes()[..]);
        if !fits {
            return Err(Error::unsound("the Head entry of the log names another directory"));
        }
        self.head = Some(Head { size, root, at: proven.leaf.at });
        let seen = (proven.position.index, size);
        if self.heads.last().is_none_or(|last| last.1 < size && last.0 < seen.0) {
            self.heads.push(seen);
            let old = self.heads.len().saturating_sub(HEADS_MAX);
            self.heads.drain(..old);
        }
        Ok(())
    }

    /// The Head to seal under: not older than a day, offline two weeks and then only to the own NCB.
    ///
    /// # Errors
    /// `STALE_DIRECTORY`.
    pub(crate) fn fresh_head(&self, now: Timestamp, own_ncb_only: bool) -> Result<Head, Error> {
        let head = self.head.ok_or_else(|| Error::refused("STALE_DIRECTORY", "the directory was never fetched"))?;
        let age_max_ms = if own_ncb_only { HEAD_AGE_OWN_NCB_MAX_MS } else { HEAD_AGE_MAX_MS };
        if now.ms().saturating_sub(head.at.ms()) > age_max_ms {
            let text = format!("the directory's newest head is of {}; keys may have been revoked since", head.at);
            return Err(Error::refused("STALE_DIRECTORY", text));
        }
        Ok(head)
    }
}

/// The statement in the receipt of an entry of this kind.
pub(crate) fn signed_in(proven: &Proven, kind: EntryKind) -> Result<v1::SignedStatement, Error> {
    let slot = proven.slot(1, 0).filter(|_| proven.kind == kind);
    let bytes = slot.ok_or_else(|| Error::unsound("the receipt is of another entry than was asked for"))?;
    envelope::statement::decode_signed(bytes).map_err(Error::unsound)
}

const NOTE_KEY: &str = "directory_note";
const HEAD_KEY: &str = "directory_head";
const HEADS_KEY: &str = "directory_heads";
const GRANTS_KEY: &str = "grants";
/// Before the index of a permission's entry.
const PERMISSION_KEY: &str = "permission/";
/// Before a group's address.
const GROUP_KEY: &str = "group/";
/// Heads that are remembered: one for each growth that was seen.
const HEADS_MAX: usize = 1024;
/// A withheld REVOKED key is noticed after a day.
pub(crate) const HEAD_AGE_MAX_MS: u64 = 24 * 3_600_000;
/// An offline post may still report to its own NCB.
pub(crate) const HEAD_AGE_OWN_NCB_MAX_MS: u64 = 14 * 24 * 3_600_000;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const HOUR_MS: u64 = 3_600_000;

    /// Whether a Head of this age may be sealed under.
    fn check(age_ms: u64, own_ncb_only: bool) -> Option<String> {
        let at = Timestamp(1_795_000_000_000);
        let head = Some(Head { size: 1, root: Hash([7; 32]), at });
        let directory = Directory { head, ..Directory::default() };
        directory.fresh_head(at.plus(age_ms), own_ncb_only).err().and_then(|error| error.name().map(str::to_owned))
    }

    #[test]
    fn an_old_head_seals_nothing_more_and_for_the_own_ncb_after_two_weeks() {
        let stale = Some("STALE_DIRECTORY".to_owned());
        assert_eq!(check(24 * HOUR_MS, false), None);
        assert_eq!(check(24 * HOUR_MS + 1, false), stale);
        assert_eq!(check(14 * 24 * HOUR_MS, true), None);
        assert_eq!(check(14 * 24 * HOUR_MS + 1, true), stale);
    }
}
