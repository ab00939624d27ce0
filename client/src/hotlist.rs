//! Hot lists: what a post looks up without a link. A pack holds a hash of each identifier, its kind and its owner, and nothing else; it
//! is sealed and signed as a message to each post, has a version, and ends after days.
//!
//! **The construction.** The hash of an entry is Argon2id of its kind and its one spelling (`content::keys`), salted with 32 random bytes
//! that the whole pack shares: so a check at a post costs one Argon2id, whatever the number of entries, and building a pack costs one an
//! entry, on all cores. Whoever has the opened pack can still go through all numbers that there are: each guess costs one Argon2id and
//! is compared with every entry. That is minutes for the plates of a village, hours to weeks for the numbers of all ships. A key in the
//! pack would not change that, and a cheaper way to build would be a cheaper way to guess: `docs/decisions/0022-hot-lists.md`.
//!
//! It does not know where a pack lies; `hotlist::shelf` does.

mod shelf;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use content::keys::Key;
use envelope::keys::random;
use envelope::{Address, Class, Timestamp};
use serde::{Deserialize, Serialize};

use crate::respond::List;

pub use shelf::{Checked, HotHit, Kept};

/// A hot list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pack {
    name: String,
    version: u64,
    source: Address,
    created: Timestamp,
    expires: Timestamp,
    salt: [u8; 32],
    cost: Cost,
    /// By kind and owner, the hashes in order.
    groups: BTreeMap<(String, Address), Vec<Tag>>,
}

/// What a hash costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// KiB of memory.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

/// Beginning of a hash: 96 bits, so that no pack has two entries with one by chance.
type Tag = [u8; TAG_BYTES];

/// Why something is no pack.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    /// Not the JSON of a pack.
    #[error("it is no hot list: {0}")]
    Json(String),
    /// Something that no pack has.
    #[error("it is no hot list that is taken: {0}")]
    Wrong(&'static str),
    /// More than is taken.
    #[error("it has {0} entries, at most {ENTRIES_MAX} are taken")]
    Entries(usize),
    /// More than a message carries.
    #[error("with {entries} entries it has {bytes} bytes, and a message carries {BYTES_MAX}: make several lists of it")]
    Bytes {
        /// How many entries.
        entries: usize,
        /// How many bytes.
        bytes: usize,
    },
    /// A cost under which guessing is cheap, or over which a post stands still.
    #[error("its hash takes {} KiB and {} passes, taken are {MEMORY_KIB_MIN} to {MEMORY_KIB_MAX} KiB and {PASSES_MIN} to {PASSES_MAX} passes", .0.memory_kib, .0.passes)]
    Cost(Cost),
    /// No random bytes.
    #[error("no random bytes")]
    Random,
}

/// As it travels.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct File {
    name: String,
    version: u64,
    source: String,
    created: String,
    expires: String,
    salt: String,
    memory_kib: u32,
    passes: u32,
    groups: Vec<Group>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    kind: String,
    owner: String,
    /// All of them, one behind the other.
    hashes: String,
}

/// What a pack is to be.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its name; a newer version takes the place of an older one of the same name and source.
    pub name: String,
    /// Counts up.
    pub version: u64,
    /// Who issues it.
    pub source: Address,
    /// When it is made.
    pub created: Timestamp,
    /// Days of life, 1 to [`DAYS_MAX`].
    pub days: u32,
    /// What a hash costs.
    pub cost: Cost,
}

impl Pack {
    /// Hashes every identifier of a list, on all cores; `tick` hears of each.
    ///
    /// # Errors
    /// [`PackError`] when it would not be taken, before anything is hashed.
    pub fn build(plan: &Plan, list: &List, tick: &(dyn Fn() + Sync)) -> Result<Self, PackError> {
        let entries = entries(list);
        if entries.len() > ENTRIES_MAX {
            return Err(PackError::Entries(entries.len()));
        }
        let mut pack = Self {
            name: plan.name.clone(),
            version: plan.version,
            source: plan.source.clone(),
            created: plan.created,
            expires: plan.created.plus(u64::from(plan.days) * DAY_MS),
            salt: random().map_err(|_| PackError::Random)?,
            cost: plan.cost,
            groups: BTreeMap::new(),
        };
        // What it will weigh is known before the work.
        for (key, owner) in &entries {
            pack.groups.entry((key.kind().to_owned(), Address::clone(owner))).or_default().push([0; TAG_BYTES]);
        }
        Self::parse(&pack.to_json()?)?;
        let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(entries.len())));
        std::thread::scope(|scope| {
            let cores = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
            for _ in 0..cores.min(entries.len()) {
                scope.spawn(|| {
                    let mut hasher = Hasher::new(&pack);
                    while let Some((key, owner)) = entries.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let row = ((key.kind().to_owned(), Address::clone(owner)), hasher.tag(key));
                        done.lock().unwrap_or_else(PoisonError::into_inner).push(row);
                        tick();
                    }
                });
            }
        });
        let mut groups: BTreeMap<(String, Address), Vec<Tag>> = BTreeMap::new();
        for (group, tag) in done.into_inner().unwrap_or_else(PoisonError::into_inner) {
            groups.entry(group).or_default().push(tag);
        }
        groups.values_mut().for_each(|tags| tags.sort_unstable());
        Ok(Self { groups, ..pack })
    }

    /// As it is sealed.
    ///
    /// # Errors
    /// [`PackError::Bytes`] when no message carries it.
    pub fn to_json(&self) -> Result<Vec<u8>, PackError> {
        let group = |((kind, owner), tags): (&(String, Address), &Vec<Tag>)| Group {
            kind: kind.clone(),
            owner: owner.to_string(),
            hashes: BASE64.encode(tags.concat()),
        };
        let file = File {
            name: self.name.clone(),
            version: self.version,
            source: self.source.to_string(),
            created: self.created.to_string(),
            expires: self.expires.to_string(),
            salt: BASE64.encode(self.salt),
            memory_kib: self.cost.memory_kib,
            passes: self.cost.passes,
            groups: self.groups.iter().map(group).collect(),
        };
        let bytes = serde_json::to_vec(&file).map_err(|error| PackError::Json(error.to_string()))?;
        let (entries, size) = (self.entries(), bytes.len());
        if size <= BYTES_MAX { Ok(bytes) } else { Err(PackError::Bytes { entries, bytes: size }) }
    }

    /// Reads what was sealed. Its cost is looked at before it is paid.
    ///
    /// # Errors
    /// [`PackError`] says what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, PackError> {
        if bytes.len() > BYTES_MAX {
            return Err(PackError::Bytes { entries: 0, bytes: bytes.len() });
        }
        let file: File = serde_json::from_slice(bytes).map_err(|error| PackError::Json(error.to_string()))?;
        let named = (1..=NAME_BYTES_MAX).contains(&file.name.len())
            && file.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte));
        if !named {
            return Err(PackError::Wrong("its name is not 1 to 32 of a to z, 0 to 9, - and _"));
        }
        let wrong = PackError::Wrong;
        let source = Address::parse(&file.source).map_err(|_| wrong("its source is no address"))?;
        if !matches!(source.class(), Class::Ncb | Class::Ipsg | Class::Service) {
            return Err(wrong("its source is no bureau, desk or service"));
        }
        let time = |text: &str| content::instant_ms(text).map(Timestamp).ok_or(wrong("its times are none"));
        let (created, expires) = (time(&file.created)?, time(&file.expires)?);
        if expires <= created || expires > created.plus(u64::from(DAYS_MAX) * DAY_MS) {
            return Err(wrong("it does not end within 14 days"));
        }
        let cost = Cost { memory_kib: file.memory_kib, passes: file.passes };
        if !(MEMORY_KIB_MIN..=MEMORY_KIB_MAX).contains(&cost.memory_kib) || !(PASSES_MIN..=PASSES_MAX).contains(&cost.passes) {
            return Err(PackError::Cost(cost));
        }
        let salt = BASE64.decode(&file.salt).ok().and_then(|salt| salt.try_into().ok()).ok_or(wrong("its salt has not 32 bytes"))?;
        let mut groups = BTreeMap::new();
        for group in &file.groups {
            let owner = Address::parse(&group.owner).map_err(|_| wrong("an owner is no address"))?;
            let hashes = BASE64.decode(&group.hashes).map_err(|_| wrong("its hashes are no base64"))?;
            let (tags, rest) = hashes.as_chunks::<TAG_BYTES>();
            if !rest.is_empty() || !tags.is_sorted() || groups.insert((group.kind.clone(), owner), tags.to_vec()).is_some() {
                return Err(wrong("its hashes are cut, out of order, or twice of one owner"));
            }
        }
        let pack = Self { name: file.name, version: file.version, source, created, expires, salt, cost, groups };
        match pack.entries() {
            entries if entries > ENTRIES_MAX => Err(PackError::Entries(entries)),
            _ => Ok(pack),
        }
    }

    /// Whose record has this key; costs one Argon2id.
    #[must_use]
    pub fn owners(&self, key: &Key) -> Vec<Address> {
        let tag = Hasher::new(self).tag(key);
        let has = |((kind, _), tags): &(&(String, Address), &Vec<Tag>)| kind == key.kind() && tags.binary_search(&tag).is_ok();
        self.groups.iter().filter(has).map(|((_, owner), _)| owner.clone()).collect()
    }

    /// How many hashes it has.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.groups.values().map(Vec::len).sum()
    }

    /// When it ends; it still answers until it is erased.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        self.expires
    }
}

/// What hashes for one pack; its memory is used again and again.
struct Hasher<'a> {
    argon: Argon2<'static>,
    salt: &'a [u8; 32],
    memory: Vec<Block>,
}

impl<'a> Hasher<'a> {
    fn new(pack: &'a Pack) -> Self {
        let params = Params::new(pack.cost.memory_kib, pack.cost.passes, 1, Some(TAG_BYTES)).expect("the cost was looked at");
        let memory = vec![Block::default(); params.block_count()];
        Self { argon: Argon2::new(Algorithm::Argon2id, Version::V0x13, params), salt: &pack.salt, memory }
    }

    fn tag(&mut self, key: &Key) -> Tag {
        let mut tag = [0; TAG_BYTES];
        let said = [DOMAIN, key.kind().as_bytes(), b"\0", key.text().as_bytes()].concat();
        self.argon.hash_password_into_with_memory(&said, self.salt, &mut tag, &mut self.memory).expect("lengths are within Argon2's");
        tag
    }
}

/// How many hashes a list makes.
#[must_use]
pub fn count(list: &List) -> usize {
    entries(list).len()
}

/// Each identifier of each owner, once.
fn entries(list: &List) -> Vec<(&Key, &Address)> {
    let mut all: Vec<(&Key, &Address)> = list.entries().iter().flat_map(|one| one.keys.iter().map(|key| (key, &one.owner))).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The media type of a pack.
pub const HOTLIST_TYPE: &str = "application/vnd.ecowire.hotlist.v1+json";
/// What a pack of ours costs: as RFC 9106 recommends where memory is scarce, in one lane. 120 ms of a core of 2026.
pub const COST: Cost = Cost { memory_kib: 64 * 1024, passes: 3 };
/// Days that a pack lives at most.
pub const DAYS_MAX: u32 = 14;
/// Entries of a pack, whatever its size.
const ENTRIES_MAX: usize = 100_000;
/// Bytes of a pack: it is the content of a message.
const BYTES_MAX: usize = envelope::limits::CONTENT_BYTES_MAX;
const NAME_BYTES_MAX: usize = 32;
const TAG_BYTES: usize = 12;
/// Below this a guess is cheap.
const MEMORY_KIB_MIN: u32 = 64 * 1024;
/// Above this the machine of a post has to swap.
const MEMORY_KIB_MAX: u32 = 256 * 1024;
/// Below this too.
const PASSES_MIN: u32 = 2;
/// Above this an officer waits for seconds.
const PASSES_MAX: u32 = 8;
/// Threads that hash, each with memory of its own.
const THREADS_MAX: usize = 16;
const DOMAIN: &[u8] = b"ecowire-hotlist-1\0";
const DAY_MS: u64 = 86_400_000;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const LIST: &str = "owner,imo,name\nth,9074729,Océan Star\nke,,Ocean star\nth,9074729,\n";

    fn plan() -> Plan {
        let (name, source) = ("ships".to_owned(), "svc/vessels".parse().unwrap());
        Plan { name, version: 3, source, created: Timestamp(1_800_000_000_000), days: 7, cost: COST }
    }

    fn pack() -> Pack {
        Pack::build(&plan(), &List::parse(LIST.as_bytes()).unwrap(), &|| ()).unwrap()
    }

    #[test]
    fn what_was_listed_is_found_with_its_owners_and_nothing_else() {
        let ticks = AtomicUsize::new(0);
        let tick = || {
            ticks.fetch_add(1, Ordering::Relaxed);
        };
        let built = Pack::build(&plan(), &List::parse(LIST.as_bytes()).unwrap(), &tick).unwrap();
        let json = built.to_json().unwrap();
        let pack = Pack::parse(&json).unwrap();
        assert_eq!((&pack, pack.entries(), ticks.into_inner()), (&built, 3, 3));
        let text = String::from_utf8(json).unwrap();
        assert!(!text.contains("9074729") && !text.to_lowercase().contains("star"), "{text}");
        for (kind, raw, owners) in
            [("imo", "IMO 907-4729", &["th"][..]), ("name", "OCEAN STAR", &["ke", "th"]), ("imo", "9321483", &[]), ("mmsi", "9074729", &[])]
        {
            let found = pack.owners(&Key::new(kind, raw).unwrap());
            assert_eq!(found.iter().map(Address::as_str).collect::<Vec<_>>(), owners, "{kind} {raw}");
        }
        let other = self::pack();
        assert!(other.salt != pack.salt && other.groups != pack.groups, "each pack has a salt of its own");
    }

    #[test]
    fn a_guess_costs_time_and_memory() {
        let (pack, key) = (pack(), Key::new("imo", "9321483").unwrap());
        let began = std::time::Instant::now();
        for _ in 0..5 {
            assert_eq!(pack.owners(&key), []);
        }
        let each = began.elapsed() / 5;
        assert!(each >= std::time::Duration::from_millis(50), "a check takes {each:?}");
        println!("a check takes {each:?}");
    }

    #[track_caller]
    fn check(field: &str, value: serde_json::Value, why: &str) {
        let mut json: serde_json::Value = serde_json::from_slice(EMPTY.get_or_init(|| {
            let list = List::parse(b"owner,imo\n").unwrap();
            Pack::build(&plan(), &list, &|| ()).unwrap().to_json().unwrap()
        }))
        .unwrap();
        json[field] = value;
        let error = Pack::parse(json.to_string().as_bytes()).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(why), "{field}: {error}");
    }

    static EMPTY: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();

    #[test]
    fn what_is_no_pack_is_refused_before_it_costs_anything() {
        let group = |hashes: &str| serde_json::json!([{"kind": "imo", "owner": "th", "hashes": hashes}]);
        for (field, value, why) in [
            ("name", "../x".into(), "its name"),
            ("name", "".into(), "its name"),
            ("source", "ke/cus/kemba".into(), "no bureau, desk or service"),
            ("source", "Kenya".into(), "no address"),
            ("expires", "2027-02-30T00:00:00Z".into(), "times"),
            ("expires", "2027-03-01T00:00:00Z".into(), "within 14 days"),
            ("expires", "2020-01-01T00:00:00Z".into(), "within 14 days"),
            ("memoryKib", 8.into(), "its hash takes 8 KiB"),
            ("memoryKib", 4_000_000.into(), "its hash takes 4000000 KiB"),
            ("passes", 1.into(), "1 passes"),
            ("passes", 100.into(), "100 passes"),
            ("salt", "AAAA".into(), "salt"),
            ("groups", group("AAAA"), "cut"),
            ("groups", group("*"), "no base64"),
            ("groups", group("BBBBBBBBBBBBBBBBAAAAAAAAAAAAAAAA"), "out of order"),
            ("more", 1.into(), "unknown field `more`"),
        ] {
            check(field, value, why);
        }
        let large = vec![b' '; BYTES_MAX + 1];
        assert!(matches!(Pack::parse(&large), Err(PackError::Bytes { .. })));
        let many: String = (0..30_000).map(|at| format!("ke,{at}\n")).collect();
        let list = List::parse(format!("owner,plate\n{many}").as_bytes()).unwrap();
        assert!(matches!(Pack::build(&plan(), &list, &|| ()), Err(PackError::Bytes { entries: 30_000, .. })));
        assert!(matches!(Pack::build(&Plan { days: 15, ..plan() }, &List::default(), &|| ()), Err(PackError::Wrong(_))));
    }

    #[test]
    fn ten_thousand_entries_are_carried_by_one_message() {
        let many: String = (0..10_000).map(|at| format!("ke,{at}\n")).collect();
        let list = List::parse(format!("owner,plate\n{many}").as_bytes()).unwrap();
        let mut pack = pack();
        pack.groups = BTreeMap::from([(("plate".to_owned(), "ke".parse().unwrap()), vec![[7; TAG_BYTES]; count(&list)])]);
        assert_eq!(Pack::parse(&pack.to_json().unwrap()).unwrap().entries(), 10_000);
    }
}
