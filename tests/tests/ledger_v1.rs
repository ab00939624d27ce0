//! The golden store of format version 1, with an entry of every kind: today's code opens a copy of it, replays it by the normal
//! path and from entry 0, and comes to the recorded roots and the recorded state.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use envelope::entry::Entry;
use envelope::genesis::hex;
use exchange::{Exchange, Rules};
use gateway::Config;
use proto::v1::EntryKind;

struct Golden {
    expected: serde_json::Value,
    config: Config,
    _folder: tempfile::TempDir,
}

impl Golden {
    /// A copy, for an open store is written to.
    fn new() -> Self {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join("ledger-v1");
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        for name in ["ledger.redb", "keys/00000000.keys"] {
            let to = data.join(name);
            std::fs::create_dir_all(to.parent().expect("a parent")).expect("a folder");
            std::fs::copy(golden.join("data").join(name), to).expect("copied");
        }
        let expected = serde_json::from_slice(&std::fs::read(golden.join("expected.json")).expect("a file")).expect("json");
        let listen = ([127, 0, 0, 1], 0).into();
        let (genesis, node) = (golden.join("genesis.bin"), golden.join("node"));
        let config = Config { listen, data, genesis, node, crls: PathBuf::new(), ..Config::example() };
        Self { expected, config, _folder: folder }
    }

    fn text(&self, name: &str) -> &str {
        self.expected[name].as_str().expect("a text")
    }

    fn number(&self, name: &str) -> u64 {
        self.expected[name].as_u64().expect("a number")
    }
}

#[test]
fn todays_code_replays_the_golden_store_to_the_recorded_roots_and_state() {
    let golden = Golden::new();
    let checked = gateway::check(&golden.config).expect("the store opens");
    assert_eq!(checked.damage, []);
    assert_eq!((checked.size, checked.root.as_str()), (golden.number("size"), golden.text("root")));

    let opener = gateway::gateway::opener(&golden.config).expect("a configuration").0;
    let (ledger, from_snapshot) = opener.open().expect("the store opens by the normal path");
    let directory = ledger.directory().expect("a directory");
    assert_eq!((directory.size, directory.root.to_string().as_str()), (golden.number("directory_size"), golden.text("directory_root")));
    let mut from_entry_0 = Exchange::new(Rules::default());
    let mut kinds = BTreeMap::<&str, u64>::new();
    for index in 0..ledger.size() {
        let stored = ledger.read(index).expect("an entry");
        let entry = Entry::read(&stored.opening.expect("an opening")).expect("a sound entry");
        *kinds.entry(entry.kind().as_str_name()).or_default() += 1;
        from_entry_0.replay(index, stored.leaf.at, &entry).expect("it applies");
    }
    assert_eq!(serde_json::json!(kinds), golden.expected["kinds"]);
    for (how, exchange) in [("the snapshot", from_snapshot), ("entry 0", from_entry_0)] {
        assert_eq!(hex(&exchange.state().digest()), golden.text("state_sha256_sum"), "from {how}");
    }
    ledger.close();
}

/// What was added since lies in no golden store yet.
const ADDED_SINCE: [EntryKind; 5] = [EntryKind::Grants, EntryKind::Group, EntryKind::Release, EntryKind::Permission, EntryKind::Advice];

/// Version 1 has these kinds; a later version makes a golden store of its own for what it adds.
#[test]
fn the_golden_store_has_an_entry_of_every_kind() {
    let golden = Golden::new();
    let named = (1..=u16::MAX.into()).filter_map(|number| EntryKind::try_from(number).ok());
    let all: BTreeSet<&str> = named.filter(|kind| !ADDED_SINCE.contains(kind)).map(|kind| kind.as_str_name()).collect();
    let kinds = golden.expected["kinds"].as_object().expect("an object");
    assert_eq!(kinds.keys().map(String::as_str).collect::<BTreeSet<_>>(), all);
}
