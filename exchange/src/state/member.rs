//! The rows that the rules ask of every recipient, together under its address. It knows no rule.

use envelope::Address;
use proto::v1::{KeysRow, MailboxRow, ParticipantRow};

use super::{Key, Row};

/// Three rows of one address.
#[derive(Clone, Copy, Debug, Default)]
pub struct Member<'a> {
    /// Who it is.
    pub participant: Option<&'a ParticipantRow>,
    /// Its encryption keys.
    pub keys: Option<&'a KeysRow>,
    /// The end of its mailbox.
    pub mailbox: Option<&'a MailboxRow>,
}

/// The rows that [`Member`] shows: they stand together, so that a message to two hundred costs two hundred look-ups and not six.
#[derive(Clone, Debug, Default)]
pub(super) struct Together {
    pub(super) participant: Option<Row>,
    pub(super) keys: Option<Row>,
    pub(super) mailbox: Option<Row>,
}

impl Together {
    /// Whether a key is of one of these rows, and whose.
    pub(super) fn of(key: &Key) -> Option<&Address> {
        match key {
            Key::Participant(address) | Key::Keys(address) | Key::Mailbox(address) => Some(address),
            _ => None,
        }
    }

    pub(super) fn row(&self, key: &Key) -> Option<&Row> {
        match key {
            Key::Participant(_) => self.participant.as_ref(),
            Key::Keys(_) => self.keys.as_ref(),
            Key::Mailbox(_) => self.mailbox.as_ref(),
            _ => None,
        }
    }

    pub(super) fn set(&mut self, key: &Key, row: Row) -> Option<Row> {
        match key {
            Key::Participant(_) => self.participant.replace(row),
            Key::Keys(_) => self.keys.replace(row),
            Key::Mailbox(_) => self.mailbox.replace(row),
            _ => None,
        }
    }

    pub(super) fn rows(&self, address: &Address) -> impl Iterator<Item = (Key, &Row)> {
        let keys = [Key::Participant(address.clone()), Key::Keys(address.clone()), Key::Mailbox(address.clone())];
        keys.into_iter().filter_map(|key| self.row(&key).map(|row| (key.clone(), row)))
    }
}
