//! What a part of an entry tells the clocks: a message by its header, and that it was released to the reader.
//!
//! It does not know what became of the message: statements of mailboxes are shown to an auditor of the whole network alone.

use envelope::Timestamp;
use envelope::entry::Entry;
use exchange::Clocks;
use exchange::clocks::Part;
use prost::Message as _;
use proto::v1::{self, EntryKind};

/// A part that has a clock.
pub(super) enum Partial {
    Message(Part),
    /// With the places that are shown.
    Release(Box<Entry>),
}

impl Partial {
    /// Reads the slots shown of an entry; `None` of one without a clock, or without the slots that matter.
    pub(super) fn read(kind: EntryKind, slots: &[v1::DisclosedSlot]) -> Option<Self> {
        let value = |tag: u32| slots.iter().find(|slot| slot.tag == tag).map(|slot| slot.value.clone());
        let shown = slots.iter().filter(|slot| slot.tag == PLACE_TAG);
        let places = shown.filter_map(|slot| v1::Place::decode(slot.value.as_ref()).ok()).collect();
        match kind {
            EntryKind::Message => {
                let stub = v1::Stub::decode(value(STUB_TAG)?).ok()?;
                Some(Self::Message(Part { header: value(FIRST_TAG)?, held: !stub.held_by.is_empty(), places }))
            }
            EntryKind::Release => {
                let signed = envelope::statement::decode_signed(&value(FIRST_TAG)?).ok()?;
                Some(Self::Release(Box::new(Entry::Release { signed, places })))
            }
            _ => None,
        }
    }

    pub(super) fn note(&self, index: u64, at: Timestamp, clocks: &mut Clocks) {
        match self {
            Self::Message(part) => clocks.note_part(index, at, part),
            Self::Release(entry) => clocks.note(index, at, entry),
        }
    }
}

/// A header, or a signed statement.
const FIRST_TAG: u32 = 1;
/// What stays of a message after a purge.
pub(super) const STUB_TAG: u32 = 6;
/// Slot 7.i holds recipient i's place.
const PLACE_TAG: u32 = 7;
