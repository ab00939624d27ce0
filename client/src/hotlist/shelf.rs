//! Where a profile keeps its hot lists: each in the message that brought it, sealed as it came. It is opened with the profile's keys for
//! every check and is never written in the open; the store has a row about it, and not the key of its content.
//!
//! **Invariants:** the newest version of a source's list is the one that is looked up; what has ended seven days ago, was replaced, or
//! was deleted by its source is erased before anything else is done with a profile. It does not know how a pack hashes.

use content::keys::Key;
use envelope::{Address, Reference, Timestamp};
use prost::Message as _;
use proto::v1::{self, Kind};
use serde::{Deserialize, Serialize};

use super::{HOTLIST_TYPE, Pack};
use crate::client::Client;
use crate::clock;
use crate::error::Error;
use crate::queries::CONFIRM;
use crate::store::{Table, Write};

/// A hot list that this profile has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its name.
    pub name: String,
    /// Who issued it.
    pub source: Address,
    /// Counts up.
    pub version: u64,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
    /// How many hashes it has.
    pub entries: usize,
    /// The message that holds it.
    pub reference: Reference,
    /// It has ended, and still answers.
    pub over: bool,
}

/// Something that a hot list has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HotHit {
    /// imo, name, ...
    pub kind: String,
    /// Whose record it is.
    pub owner: Address,
    /// How much it says that they agree.
    pub confidence: &'static str,
    /// The list.
    pub list: Kept,
}

/// What hot lists say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// The lists that were looked through.
    pub lists: Vec<Kept>,
    /// What they have.
    pub hits: Vec<HotHit>,
}

/// How the store keeps that there is one.
#[derive(Serialize, Deserialize)]
struct Row {
    name: String,
    source: String,
    version: u64,
    created_ms: u64,
    expires_ms: u64,
    entries: usize,
    reference: String,
    mailbox_seq: u64,
    message_id: [u8; 32],
}

impl Kept {
    /// What an officer reads before a list that has ended.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let Self { name, source, version, expires, .. } = self;
        self.over.then(|| format!("EXPIRED: {name} of {source}, version {version}, ended {expires}; what it says may no longer hold"))
    }
}

impl HotHit {
    /// What an officer reads.
    #[must_use]
    pub fn line(&self) -> String {
        let Self { kind, owner, confidence, list } = self;
        format!(
            "{CONFIRM}: {kind} agrees with a record of {owner}, {confidence}, in {} of {}, version {} of {}; ask as soon as there is a link",
            list.name, list.source, list.version, list.created
        )
    }
}

impl Client {
    /// Takes the hot list in a message of the inbox into use; one of an older version that was there is erased.
    ///
    /// # Errors
    /// [`Error::NotHere`]; [`Error::Argument`] when it is none, not its sender's, ended long ago, or not newer than the one that is here.
    pub fn take_hotlist(&self, reference: &Reference) -> Result<Kept, Error> {
        let wrong = |why: String| Error::Argument(format!("{reference}: {why}"));
        let facts = self.facts_of(reference)?;
        let pack = self.pack_in(reference)?;
        if pack.source != reference.sender {
            return Err(wrong(format!("it is {}'s list, and {} has sent it", pack.source, reference.sender)));
        }
        let now = clock::now();
        if pack.created > now.plus(AHEAD_MS) || pack.expires.plus(ERASED_AFTER_MS) <= now {
            return Err(wrong(format!("it was made at {} and ended at {}", pack.created, pack.expires)));
        }
        let mut writes = Vec::new();
        let key = format!("{}/{}", pack.source, pack.name);
        if let Some(row) = self.profile.store().get(Table::HotLists, key.as_bytes())? {
            let before = Row::read(&row)?;
            if before.mailbox_seq == facts.mailbox_seq {
                return before.kept(now);
            }
            if before.version >= pack.version {
                return Err(wrong(format!(
                    "version {} of {} is not newer than {}, which is here",
                    pack.version, pack.name, before.version
                )));
            }
            writes.extend(self.erasure(before.mailbox_seq)?);
        }
        let row = Row {
            entries: pack.entries(),
            name: pack.name,
            source: pack.source.to_string(),
            version: pack.version,
            created_ms: pack.created.ms(),
            expires_ms: pack.expires.ms(),
            reference: reference.to_string(),
            mailbox_seq: facts.mailbox_seq,
            message_id: facts.message_id,
        };
        writes.push(Write::text(Table::HotLists, &key, serde_json::to_vec(&row).map_err(|_| Error::Row("hot_lists"))?));
        self.profile.store().commit(&writes)?;
        row.kept(now)
    }

    /// The hot lists that are in use, in order of source and name.
    ///
    /// # Errors
    /// What is wrong with the store.
    pub fn hotlists(&self) -> Result<Vec<Kept>, Error> {
        let now = clock::now();
        self.profile.store().rows(Table::HotLists)?.iter().map(|(_, row)| Row::read(row)?.kept(now)).collect()
    }

    /// Looks keys up in every hot list; one Argon2id a key and list, no link.
    ///
    /// # Errors
    /// [`Error::Argument`] when there is none: nothing was looked up then, and nothing is not "no hit".
    pub fn check_hotlists(&self, keys: &[Key]) -> Result<Checked, Error> {
        let lists = self.hotlists()?;
        if lists.is_empty() {
            return Err(Error::Argument("this profile has no hot list: `ecowire hotlist take` takes one from a message".to_owned()));
        }
        if keys.is_empty() {
            return Err(Error::Argument("nothing is left of what was to be looked up".to_owned()));
        }
        let mut hits = Vec::new();
        for list in &lists {
            let pack = self.pack_in(&list.reference)?;
            for key in keys {
                let hit = |owner| HotHit { kind: key.kind().to_owned(), owner, confidence: key.confidence(), list: list.clone() };
                hits.extend(pack.owners(key).into_iter().map(hit));
            }
        }
        Ok(Checked { lists, hits })
    }

    /// Erases what is over by seven days, or was deleted by its source; gives the names.
    ///
    /// # Errors
    /// What is wrong with the store.
    pub fn sweep_hotlists(&self) -> Result<Vec<String>, Error> {
        self.sweep_hotlists_at(clock::now())
    }

    /// As [`Client::sweep_hotlists`], at another time.
    ///
    /// # Errors
    /// As [`Client::sweep_hotlists`].
    pub fn sweep_hotlists_at(&self, now: Timestamp) -> Result<Vec<String>, Error> {
        let rows = self.profile.store().rows(Table::HotLists)?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let inbox = self.inbox()?;
        let ended = |row: &Row| {
            let deleted = inbox.iter().any(|one| {
                one.kind == Kind::Deletion
                    && one.target == Some(row.message_id)
                    && one.finding.is_none()
                    && one.from().as_str() == row.source
            });
            deleted || row.expires_ms.saturating_add(ERASED_AFTER_MS) <= now.ms()
        };
        self.erase(&rows, ended)
    }

    /// Erases all of them: who may no longer connect may no longer look up either.
    pub(crate) fn erase_hotlists(&self) -> Result<Vec<String>, Error> {
        self.erase(&self.profile.store().rows(Table::HotLists)?, |_| true)
    }

    fn erase(&self, rows: &[crate::store::Row], which: impl Fn(&Row) -> bool) -> Result<Vec<String>, Error> {
        let (mut writes, mut erased) = (Vec::new(), Vec::new());
        for (key, row) in rows {
            let row = Row::read(row)?;
            if which(&row) {
                writes.extend(self.erasure(row.mailbox_seq)?);
                writes.push(Write::Delete(Table::HotLists, key.clone()));
                erased.push(row.name);
            }
        }
        self.profile.store().commit(&writes)?;
        Ok(erased)
    }

    /// Takes wrap and content from a message of the inbox: what proves that it came stays, and nobody opens it any more.
    fn erasure(&self, seq: u64) -> Result<Vec<Write>, Error> {
        let Some(row) = self.profile.store().get_number(Table::Inbox, seq)? else { return Ok(Vec::new()) };
        let delivery = v1::Delivery::decode(row.as_slice()).map_err(|_| Error::Row("inbox"))?;
        let emptied = v1::Delivery { wrap: Default::default(), wrap_path: Vec::new(), content: Default::default(), ..delivery };
        Ok(vec![Write::number(Table::Inbox, seq, emptied.encode_to_vec()), Write::gone(Table::ContentKeys, seq)])
    }

    fn pack_in(&self, reference: &Reference) -> Result<Pack, Error> {
        let wrong = |why: String| Error::Argument(format!("{reference}: {why}"));
        let opened = self.open(reference)?;
        if opened.media_type != HOTLIST_TYPE {
            return Err(wrong(format!("it is {:?}, a hot list is {HOTLIST_TYPE}", opened.media_type)));
        }
        Pack::parse(&opened.content).map_err(|error| wrong(error.to_string()))
    }
}

impl Row {
    fn read(row: &[u8]) -> Result<Self, Error> {
        serde_json::from_slice(row).map_err(|_| Error::Row("hot_lists"))
    }

    fn kept(&self, now: Timestamp) -> Result<Kept, Error> {
        Ok(Kept {
            name: self.name.clone(),
            source: Address::parse(&self.source).map_err(|_| Error::Row("hot_lists"))?,
            version: self.version,
            created: Timestamp(self.created_ms),
            expires: Timestamp(self.expires_ms),
            entries: self.entries,
            reference: self.reference.parse().map_err(|_| Error::Row("hot_lists"))?,
            over: self.expires_ms <= now.ms(),
        })
    }
}

/// A pack is kept for as long behind its end: a post without a link is better warned than blind.
const ERASED_AFTER_MS: u64 = 7 * super::DAY_MS;
/// A source's clock may be ahead by so much.
const AHEAD_MS: u64 = 5 * 60 * 1000;
