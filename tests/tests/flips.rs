//! A thousand single bits fall over on the disk of a stopped gateway, each on a copy of its own: it is found, or nothing that
//! is served differs by a byte. No checkpoint is ever signed over damage.

mod theatre;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bench::load::drive;
use bytes::Bytes;
use envelope::Timestamp;
use envelope::entry::{Entry, message_key};
use ledger::Ledger;
use proto::v1;
use theatre::{Theatre, audit, note};
use tlog::{Hash, TileId};

/// A stopped store of some sixty entries, and all that it serves.
struct Stage {
    theatre: Theatre,
    files: BTreeMap<PathBuf, Vec<u8>>,
    served: Served,
    digest: [u8; 32],
}

/// Everything that a ledger serves, under a name each.
type Served = BTreeMap<String, Result<Bytes, String>>;

impl Stage {
    async fn new() -> Self {
        let theatre = Theatre::new(&["ke", "th", "aud/network"]);
        let running = theatre.start().await;
        let mut thailand = theatre.client("th").await;
        let mut kenya = theatre.client("ke").await;
        let letters = (1..=36).map(|number| v1::Submission { tag: number, ..theatre.letter(&kenya, &["th", "ke"], number, |_| ()) });
        let answers = drive(theatre.link("ke").await, letters.collect(), 4).await;
        assert!(answers.len() == 36 && answers.iter().all(|answer| answer.problem.is_none()));
        thailand.send(note(&["ke"], "the last one")).await.expect("sent");
        thailand.receive(client::ReceiveOptions::default()).await.expect("mail");
        kenya.receive(client::ReceiveOptions::default()).await.expect("mail");
        drop((thailand, kenya));
        audit(&mut theatre.client("aud/network").await).await;
        running.shared().ledger().keep_evidence("a-note", b"kept as evidence").expect("evidence");
        running.stop().await;
        assert!(theatre.check().size >= 50);
        let (ledger, mut exchange) = opener(&theatre, &theatre.config().data).open().expect("the store opens");
        let part = exchange.take_snapshot(ledger.size());
        ledger.save_snapshot(part.from, part.to, &part.rows).expect("a snapshot");
        let served = serve(&*ledger);
        assert!(served.values().all(Result::is_ok));
        ledger.close();
        let data = theatre.config().data;
        let snapshot = std::fs::read_dir(data.join("snapshots")).expect("a folder").next().expect("a snapshot").expect("a file").path();
        let names = ["ledger.redb", "keys/00000000.keys", "payloads/00000000.payloads", "lock"].map(|name| data.join(name));
        let names = names.into_iter().chain([snapshot]);
        let files = names.map(|path| (path.strip_prefix(&data).expect("below").to_owned(), std::fs::read(&path).expect("a file")));
        Self { files: files.collect(), served, digest: exchange.state().digest(), theatre }
    }

    /// Flips one bit on a copy in `folder`, and says whether that was found; a wrong value is a panic.
    fn flip(&self, folder: &Path, file: &Path, at: usize, bit: u8) -> bool {
        for (name, content) in &self.files {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            let mut content = content.clone();
            if name == file {
                content[at] ^= 1 << bit;
            }
            std::fs::write(path, content).expect("written");
        }
        let place = format!("bit {bit} of byte {at} of {}", file.display());
        let found = self.theatre_check(folder);
        if let Ok(ledger) = opener(&self.theatre, folder).open_ledger() {
            self.compare(&*ledger, found, &place);
            ledger.close();
        }
        self.go_on(folder, &place);
        found
    }

    fn theatre_check(&self, folder: &Path) -> bool {
        gateway::check(&self.theatre.config_of(folder)).map_or(true, |checked| !checked.damage.is_empty())
    }

    /// What is served is what was written. What damage has hidden may be missing, if the check has found it.
    fn compare(&self, ledger: &dyn Ledger, found: bool, place: &str) {
        let now = serve(ledger);
        for (name, wanted) in &self.served {
            match now.get(name) {
                Some(Ok(value)) => assert_eq!(Ok(value), wanted.as_ref(), "{place}: {name} is a wrong value"),
                Some(Err(_)) | None => assert!(found, "{place}: {name} is not served, and the check has found nothing"),
            }
        }
        let invented: Vec<&String> = now.keys().filter(|name| !self.served.contains_key(*name)).collect();
        assert!(invented.is_empty(), "{place}: {invented:?} were never written");
    }

    /// A gateway that starts on the copy has the same state, and what it signs next extends the true log.
    fn go_on(&self, folder: &Path, place: &str) {
        let Ok((ledger, exchange)) = opener(&self.theatre, folder).open() else { return };
        assert_eq!(exchange.state().digest(), self.digest, "{place}: another state");
        let started = Entry::Started(v1::Started { random: vec![7; 32].into(), version: "flipped".to_owned() });
        let size = ledger.size();
        let later = Timestamp(exchange::Rows::clock(exchange.state()).expect("a clock").last_ms + 1);
        if let Ok(committed) = ledger.append(size, later, vec![started.into_draft()]) {
            let log = self.theatre.trust().log_verifier().expect("the log's key");
            let checkpoint = |note: &[u8]| tlog::Checkpoint::open(note, &log).expect("a signed note");
            let old = checkpoint(self.served["checkpoint"].as_ref().expect("served"));
            let new = checkpoint(&committed.checkpoint);
            // The proof comes from the damaged store; that it leads from the true root to the new one is recomputed here.
            if let Ok(path) = ledger.consistency(old.size, new.size) {
                tlog::verify_consistency(old.size, &old.root, new.size, &new.root, &path)
                    .unwrap_or_else(|_| panic!("{place}: signed over damage"));
            }
            let leaves: Option<Vec<Hash>> = (0..new.size).map(|index| ledger.leaf_hash(index).ok()).collect();
            if let Some(leaves) = leaves {
                assert_eq!(tlog::small::root(&leaves), new.root, "{place}: signed over damage");
            }
        }
        ledger.close();
    }
}

fn opener(theatre: &Theatre, data: &Path) -> gateway::store::Opener {
    gateway::gateway::opener(&theatre.config_of(data)).expect("a configuration").0
}

fn serve(ledger: &dyn Ledger) -> Served {
    let mut served = Served::new();
    let text = |error: ledger::ReadError| error.to_string();
    served.insert("checkpoint".to_owned(), ledger.checkpoint().map(|(_, note)| note).map_err(text));
    served.insert("directory".to_owned(), ledger.directory().map(|head| head.checkpoint).map_err(text));
    for index in 0..ledger.size() {
        let stored = ledger.read(index);
        if let Ok(stored) = &stored
            && let Some(Ok(Entry::Message(message))) = stored.opening.as_ref().map(Entry::read)
            && let Ok(Some(found)) = ledger.find(&message_key(&message.stub.message_id))
        {
            served.insert(format!("message of entry {index}"), Ok(found.to_be_bytes().to_vec().into()));
        }
        let bytes = |stored: ledger::Stored| {
            let opening = stored.opening.map(|opening| opening.encode()).unwrap_or_default();
            [&stored.leaf.encode()[..], &opening, &stored.sealed.unwrap_or_default()].concat().into()
        };
        served.insert(format!("entry {index}"), stored.map(bytes).map_err(text));
        let path = |path: Vec<Hash>| path.iter().flat_map(|hash| hash.as_bytes().to_vec()).collect::<Vec<u8>>().into();
        served.insert(format!("inclusion of {index}"), ledger.inclusion(index, ledger.size()).map(path).map_err(text));
        served.insert(format!("consistency of {index}"), ledger.consistency(index, ledger.size()).map(path).map_err(text));
    }
    let width = u16::try_from(ledger.size()).expect("one tile");
    served.insert("tile".to_owned(), ledger.tile(TileId { level: 0, index: 0 }, width).map(Bytes::from).map_err(text));
    for index in 0..ledger.directory().map_or(0, |head| head.size) {
        let leaf = ledger.directory_leaves(index, 1).map(|leaves| leaves.into_iter().next().unwrap_or_default());
        served.insert(format!("directory leaf {index}"), leaf.map_err(text));
    }
    if let Ok(Some(snapshot)) = ledger.snapshot() {
        for (key, row) in snapshot.rows() {
            served.insert(format!("snapshot {} row {key:02x?}", snapshot.size()), Ok(Bytes::copy_from_slice(row)));
        }
    }
    for (name, bytes) in ledger.evidence().unwrap_or_default() {
        served.insert(format!("evidence {name}"), Ok(bytes));
    }
    served
}

/// The engine panics on some damage; the ledger turns that into an error, and a thousand backtraces would hide a real one.
fn quiet_about_the_engine() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.location().is_some_and(|place| place.file().contains("/redb-")) {
            usual(panic);
        }
    }));
}

/// A sequence that is the same on every machine (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_thousand_flipped_bits_none_is_ever_served() {
    let stage = Stage::new().await;
    quiet_about_the_engine();
    let written: BTreeMap<&PathBuf, Vec<usize>> =
        stage.files.iter().map(|(name, content)| (name, (0..content.len()).filter(|at| content[*at] != 0).collect())).collect();
    let found: usize = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let (stage, written) = (&stage, &written);
                scope.spawn(move || {
                    let folder = stage.theatre.folder.path().join(format!("flipped-{worker}"));
                    let mut dice = Dice(0x5eed + worker as u64);
                    (0..FLIPS / WORKERS)
                        .filter(|turn| {
                            // A quarter in keys and payloads, half in what was written to the database, the rest anywhere.
                            let any = stage.files.keys().nth(dice.below(stage.files.len())).expect("a file");
                            let name = match turn % 8 {
                                0 => Path::new("keys/00000000.keys"),
                                4 => Path::new("payloads/00000000.payloads"),
                                1 | 2 | 5 | 6 => Path::new("ledger.redb"),
                                _ => any.as_path(),
                            };
                            let (file, content) = stage.files.get_key_value(name).expect("a file");
                            let at = if turn % 4 == 3 { dice.below(content.len()) } else { written[file][dice.below(written[file].len())] };
                            let bit = dice.below(8) as u8;
                            stage.flip(&folder, file, at, bit)
                        })
                        .count()
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("no wrong value")).sum()
    });
    println!("{FLIPS} flips: {found} found, {} harmless", FLIPS - found);
    assert!(found > FLIPS / 4, "every flip in keys and payloads alone must be found");
}

const FLIPS: usize = 1000;
const WORKERS: usize = 2;
