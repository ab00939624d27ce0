//! Participants as they were: what was admitted then is judged by the directory of then (SPEC.md 9).
//!
//! Kept by those who hold the directory and not the log, and are handed old messages: clients. It knows no rule.

use std::collections::BTreeMap;

use envelope::Address;
use envelope::identity::Anchors;
use proto::v1::ParticipantRow;

use crate::state::{Key, Row, Rows, State};

/// Rows that a later statement of the directory has replaced.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// By key: up to which size of the directory which row was there, `None` for none; ascending.
    past: BTreeMap<Key, Vec<(u64, Option<Row>)>>,
}

impl History {
    /// Notes the row under `key` in a state of the directory of `size` statements, before the next one replaces it.
    pub fn keep(&mut self, state: &State, size: u64, key: Key) {
        let row = state.row(&key).cloned();
        self.past.entry(key).or_default().push((size, row));
    }

    /// The row of somebody, now or before, in which it has this identity key; `now` is its row of now.
    pub(crate) fn with_key<'a>(&'a self, address: &Address, now: &'a ParticipantRow, key_id: &[u8]) -> Option<&'a ParticipantRow> {
        let before = self.past.get(&Key::Participant(address.clone())).into_iter().flatten();
        let before = before.filter_map(|(_, row)| match row {
            Some(Row::Participant(row)) => Some(&**row),
            _ => None,
        });
        std::iter::once(now).chain(before).find(|row| row.key_id == *key_id)
    }

    /// The rows as a directory of `size` statements had them; `state` has the newest.
    #[must_use]
    pub fn as_of<'a>(&'a self, state: &'a State, size: u64) -> AsOf<'a> {
        AsOf { history: self, state, size }
    }
}

/// Rows as of a size of the directory.
#[derive(Clone, Copy, Debug)]
pub struct AsOf<'a> {
    history: &'a History,
    state: &'a State,
    size: u64,
}

impl Rows for AsOf<'_> {
    fn row(&self, key: &Key) -> Option<&Row> {
        // Of now, and nobody's but the reader's own: a message of then is not judged by them.
        if matches!(key, Key::Grants(_) | Key::Group(_)) {
            return None;
        }
        let replaced = self.history.past.get(key).and_then(|past| past.iter().find(|(until, _)| self.size <= *until));
        match replaced {
            Some((_, row)) => row.as_ref(),
            None => self.state.row(key),
        }
    }

    fn anchors(&self) -> Option<&Anchors> {
        self.state.anchors()
    }
}
