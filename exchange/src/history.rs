//! Participants as they were: what was admitted then is judged by the directory of then (SPEC.md 9).
//!
//! Kept by those who hold the directory and not the log, and are handed old messages: clients. It knows no rule.

use std::collections::BTreeMap;

use envelope::Address;
use envelope::identity::Anchors;
use proto::v1::{ParticipantRow, ParticipantState};

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

    /// The row of somebody, now or at a size of the directory of `least` or more, in which it is active with this identity key;
    /// `now` is its row of now.
    pub(crate) fn with_key<'a>(
        &'a self,
        address: &Address,
        now: &'a ParticipantRow,
        key_id: &[u8],
        least: u64,
    ) -> Option<&'a ParticipantRow> {
        let before = self.past.get(&Key::Participant(address.clone())).into_iter().flatten();
        let before = before.filter(|(until, _)| *until >= least).filter_map(|(_, row)| match row {
            Some(Row::Participant(row)) => Some(&**row),
            _ => None,
        });
        let active = |row: &&ParticipantRow| matches!(row.state(), ParticipantState::Active | ParticipantState::Supervised);
        std::iter::once(now).chain(before).filter(active).find(|row| row.key_id == *key_id)
    }

    /// The rows as a directory of `size` statements had them; `state` has the newest.
    #[must_use]
    pub fn as_of<'a>(&'a self, state: &'a State, size: u64) -> AsOf<'a> {
        AsOf { history: self, state, size, permissions: None }
    }
}

/// Rows as of a size of the directory.
#[derive(Clone, Copy, Debug)]
pub struct AsOf<'a> {
    history: &'a History,
    state: &'a State,
    size: u64,
    permissions: Option<&'a BTreeMap<Key, Row>>,
}

impl<'a> AsOf<'a> {
    /// With the permissions that came along with a message.
    #[must_use]
    pub fn with(self, permissions: &'a BTreeMap<Key, Row>) -> Self {
        Self { permissions: Some(permissions), ..self }
    }
}

impl Rows for AsOf<'_> {
    fn row(&self, key: &Key) -> Option<&Row> {
        // Of now, and nobody's but the reader's own: a message of then is not judged by them.
        if matches!(key, Key::Grants(_) | Key::Group(_) | Key::Permission(_)) {
            return self.permissions.and_then(|rows| rows.get(key));
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn row(key: u8, state: ParticipantState) -> Row {
        Row::Participant(Box::new(ParticipantRow { key_id: vec![key; 32].into(), state: state.into(), ..ParticipantRow::default() }))
    }

    #[test]
    fn what_was_is_found_by_size_and_a_key_only_as_long_as_it_held() {
        let ke: Address = "ke".parse().unwrap();
        let (mut state, mut history) = (State::default(), History::default());
        for (size, key, standing) in
            [(2, 1, ParticipantState::Active), (5, 2, ParticipantState::Active), (9, 2, ParticipantState::Suspended)]
        {
            // Before the statement that makes it so is applied, the directory has `size` statements.
            history.keep(&state, size, Key::Participant(ke.clone()));
            state.set(Key::Participant(ke.clone()), row(key, standing));
        }
        let of = |size| history.as_of(&state, size).participant(&ke).map(|row| (row.key_id[0], row.state()));
        assert_eq!(of(2), None);
        assert_eq!([3, 5].map(of), [Some((1, ParticipantState::Active)); 2]);
        assert_eq!([6, 9].map(of), [Some((2, ParticipantState::Active)); 2]);
        assert_eq!(of(10), Some((2, ParticipantState::Suspended)));
        let now = state.participant(&ke).unwrap();
        let found = |key: u8, least| history.with_key(&ke, now, &[key; 32], least).is_some();
        assert_eq!([(1, 0), (1, 5), (1, 6)].map(|(key, least)| found(key, least)), [true, true, false]);
        assert_eq!([(2, 6), (2, 9), (2, 10), (3, 0)].map(|(key, least)| found(key, least)), [true, true, false, false]);
    }
}
