//! Pairs of the configuration as texts: which exist, which is nearest to one that does not, and what a reload may change.
//!
//! It keeps no list of keys: the documented text that `init` writes has every one, and is the list.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::Config;

/// Pairs with their sections (`limits.handshakes`) and values as TOML.
pub type Pairs = BTreeMap<String, String>;

/// What a reload changes, and what it cannot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Pairs that are taken while the gateway runs.
    pub taken: Vec<Change>,
    /// Pairs that are not, with the reason.
    pub refused: Vec<(Change, &'static str)>,
}

/// A key whose value is another now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub key: String,
    /// Its value until now, as TOML.
    pub from: String,
    /// The new one.
    pub to: String,
}

/// What the file asks for, against what runs.
#[must_use]
pub fn diff(running: &Config, wanted: &Config) -> Changes {
    // One's part of the connections that run, not of those that the file asks for: their number waits for the next start.
    let per = wanted.limits.connections_per_participant;
    let share = super::Limits { connections_per_participant: per, ..running.limits.clone() }.check();
    let (running, wanted) = (running.effective(), wanted.effective());
    let mut changes = Changes::default();
    for (key, to) in wanted {
        let from = running.get(&key).cloned().unwrap_or_default();
        if from == to {
            continue;
        }
        let too_much = (key == LIVE_LIMIT && share.is_err()).then_some("it is more than an eighth of the connections that run");
        let reason = refusal(&key).or(too_much);
        let change = Change { key, from, to };
        match reason {
            None => changes.taken.push(change),
            Some(reason) => changes.refused.push((change, reason)),
        }
    }
    changes
}

/// Why a key waits for the next start; `None` when it is taken at once.
fn refusal(key: &str) -> Option<&'static str> {
    let reason = match key.split('.').next().unwrap_or_default() {
        "listen" | "quic" => "its port is bound when the gateway starts",
        "data" | "store" => "the store is opened when the gateway starts",
        "genesis" => "the genesis is entry 0 of the log, and holds for the log's life",
        "node" => "the log's key is held from start to stop; a renewed certificate in the same folder is read by itself",
        "keys" => "the node's keys are opened when the gateway starts",
        "crls" => "the folder is chosen at the start; new lists in the same folder are read by themselves",
        "limits" if key == LIVE_LIMIT => return None,
        "limits" => "room is given out when the gateway starts",
        "telemetry" if key == "telemetry.log" => return None,
        "telemetry" => "ports, the log's form and the way to the collector are set up when the gateway starts",
        _ => "it is read when the gateway starts",
    };
    Some(reason)
}

/// The keys of a text and their values; `None` when it is no TOML.
pub(super) fn keys_of(text: &str) -> Option<Pairs> {
    let mut keys = Pairs::new();
    flatten("", &text.parse::<Table>().ok()?, &mut keys);
    Some(keys)
}

fn flatten(prefix: &str, table: &Table, keys: &mut Pairs) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Value::Table(table) => flatten(&key, table, keys),
            value => drop(keys.insert(key, value.to_string())),
        }
    }
}

/// A sentence for each key of `text` that does not exist, with the nearest that does.
pub(super) fn unknown(text: &str, known: &Pairs) -> Vec<String> {
    let keys = keys_of(text).unwrap_or_default();
    let unknown = keys.keys().filter(|key| !known.contains_key(*key));
    unknown.map(|key| sentence(key, known)).collect()
}

fn sentence(key: &str, known: &Pairs) -> String {
    if let Some(nearest) = nearest(key, known) {
        return format!("{key} is not a key; did you mean {nearest}?");
    }
    let section = key.rsplit_once('.').map_or(String::new(), |(section, _)| format!("{section}."));
    let beside: Vec<&str> = known
        .keys()
        .filter(|known| known.rsplit_once('.').map_or("", |(section, _)| section) == section.trim_end_matches('.'))
        .map(String::as_str)
        .collect();
    if beside.is_empty() {
        let sections: std::collections::BTreeSet<&str> =
            known.keys().filter_map(|known| known.split_once('.')).map(|(section, _)| section).collect();
        return format!("{key} is not a key; the sections are {}", sections.into_iter().collect::<Vec<_>>().join(", "));
    }
    format!("{key} is not a key; the keys there are {}", beside.join(", "))
}

/// The known key that takes the fewest changes of letters: as a whole, or by its last part when it stands in another section.
fn nearest<'a>(key: &str, known: &'a Pairs) -> Option<&'a str> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let distance = |other: &str| {
        let whole = strsim::damerau_levenshtein(key, other);
        let moved = strsim::damerau_levenshtein(&last(key), &last(other)) + 1;
        whole.min(moved)
    };
    let best = known.keys().map(|other| (distance(other), other)).min()?;
    // More than a third of the letters: it is another word.
    (best.0 * 3 <= last(best.1).len() + 2).then_some(best.1)
}

/// The one limit that a reload takes.
const LIVE_LIMIT: &str = "limits.connections_per_participant";
