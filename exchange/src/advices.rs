//! What the gateway says by itself about messages: that one has ended, and to whom one is told that nobody took or has seen in time.
//!
//! Anybody can recompute it from the entries before. It does not know whether those who are told have read it.

use std::collections::BTreeMap;

use envelope::entry::Entry;
use envelope::{Address, Timestamp};
use proto::v1::{self, AdviceKind, RecipientState};

use crate::clocks::Step;
use crate::rules;
use crate::state::{Rows, State, tells_at};

/// Something that the gateway is to say about one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// It has ended in these places; with number 0: it is held, and nobody has given his word.
    Ended {
        /// Entry of the message.
        index: u64,
        /// Where nobody took it.
        places: Vec<v1::Place>,
    },
    /// Somebody is to be told that it is not acknowledged.
    NotAcknowledged {
        /// Entry of the message.
        index: u64,
        /// Who.
        told: Address,
        /// Which step that is.
        step: Step,
        /// Where it is not acknowledged.
        places: Vec<v1::Place>,
    },
}

impl Due {
    /// How many places it is about.
    #[must_use]
    pub fn places(&self) -> usize {
        match self {
            Self::Ended { places, .. } | Self::NotAcknowledged { places, .. } => places.len(),
        }
    }

    /// Entry of the message.
    #[must_use]
    pub fn index(&self) -> u64 {
        match self {
            Self::Ended { index, .. } | Self::NotAcknowledged { index, .. } => *index,
        }
    }
}

pub(crate) fn due(state: &State, now: Timestamp, max: usize) -> Vec<Due> {
    let mut silent: BTreeMap<(u64, Step, Address), Vec<v1::Place>> = BTreeMap::new();
    let mut taken = 0;
    for (index, address, mailbox_seq) in state.escalating(now).take(max) {
        taken += 1;
        let Some(row) = state.place(&address, mailbox_seq) else { continue };
        // After a pause more than one of them may be due; the steps come in their order.
        let steps = (row.told..).map_while(|told| tells_at(row, told)).take_while(|(when, _)| *when <= now.ms());
        for (step, told) in steps.filter_map(|(_, step)| Some((step, step.told(&address)?))) {
            silent.entry((index, step, told)).or_default().push(v1::Place { address: address.to_string(), mailbox_seq });
        }
    }
    let mut ended: Vec<(u64, Vec<v1::Place>)> = Vec::new();
    for (index, address, mailbox_seq) in state.expiring(now).take(max - taken) {
        let place = v1::Place { address: address.to_string(), mailbox_seq };
        match ended.last_mut().filter(|(last, _)| *last == index) {
            Some((_, places)) => places.push(place),
            None => ended.push((index, vec![place])),
        }
    }
    let silent = silent.into_iter().map(|((index, step, told), places)| Due::NotAcknowledged { index, told, step, places });
    silent.chain(ended.into_iter().map(|(index, places)| Due::Ended { index, places })).collect()
}

/// The entries for it. What was taken, acknowledged or said in the meantime is left out.
pub(crate) fn say(rows: &dyn Rows, due: Due, stub: &v1::Stub) -> Vec<Entry> {
    match due {
        Due::Ended { index, mut places } => {
            places.retain(|place| still_waits(rows, index, place));
            if places.is_empty() {
                return Vec::new();
            }
            let expired = v1::Expired { index, places };
            let advice = not_delivered(rows, &expired, stub);
            [Entry::Expired(expired)].into_iter().chain(advice).collect()
        }
        Due::NotAcknowledged { index, told, step, mut places } => {
            places.retain(|place| tells(rows, index, place).is_some_and(|(_, next)| next == step));
            not_acknowledged(rows, index, told, places, stub).into_iter().collect()
        }
    }
}

/// What the sender is told when places of its message have ended; nothing where the rules are older than advices.
pub(crate) fn not_delivered(rows: &dyn Rows, expired: &v1::Expired, stub: &v1::Stub) -> Option<Entry> {
    let told = Address::parse(&stub.sender).ok().filter(|_| rules::tells(rows))?;
    // Number 0 stands for everybody from whom it was held.
    let kept_from = |place: &v1::Place| match rows.held(expired.index).filter(|_| place.mailbox_seq == 0) {
        Some(row) => row.recipients.clone(),
        None => vec![place.address.clone()],
    };
    let recipients = expired.places.iter().flat_map(kept_from).collect();
    let advice = advice(rows, AdviceKind::NotDelivered, told, expired.index, stub);
    let advice = v1::Advice { recipients, since_ms: stub.expires_ms, ..advice };
    Some(Entry::Advice { advice, places: Vec::new() })
}

/// What `told` is told about those who have not acknowledged a message.
pub(crate) fn not_acknowledged(rows: &dyn Rows, index: u64, told: Address, places: Vec<v1::Place>, stub: &v1::Stub) -> Option<Entry> {
    let since = places.iter().filter_map(|place| Some(row_of(rows, place)?.available_ms)).min()?;
    let recipients = places.iter().map(|place| place.address.clone()).collect();
    let advice = advice(rows, AdviceKind::NotAcknowledged, told, index, stub);
    let advice = v1::Advice { recipients, since_ms: since, ..advice };
    Some(Entry::Advice { advice, places })
}

fn advice(rows: &dyn Rows, kind: AdviceKind, told: Address, index: u64, stub: &v1::Stub) -> v1::Advice {
    v1::Advice {
        kind: kind.into(),
        seq: rows.mailbox(&told).map_or(0, |row| row.last_advice) + 1,
        told: told.to_string(),
        index,
        message_id: stub.message_id.clone(),
        sender: stub.sender.clone(),
        year: stub.year,
        series: stub.series,
        number: stub.number,
        priority: stub.priority,
        recipients: Vec::new(),
        since_ms: 0,
    }
}

/// A recipient, or somebody for whom it is held, may have taken care of it in this very batch.
fn still_waits(rows: &dyn Rows, index: u64, place: &v1::Place) -> bool {
    match place.mailbox_seq {
        0 => rows.held(index).is_some_and(|row| row.state() == RecipientState::Held),
        _ => row_of(rows, place).is_some_and(|row| row.state() == RecipientState::Available),
    }
}

/// By when who is to be told next that the message at `index` is not acknowledged in this place; `None` when nobody is.
pub(crate) fn tells(rows: &dyn Rows, index: u64, place: &v1::Place) -> Option<(u64, Step)> {
    let row = row_of(rows, place).filter(|row| row.index == index)?;
    let open = matches!(row.state(), RecipientState::Available | RecipientState::Delivered);
    tells_at(row, row.told).filter(|_| open)
}

fn row_of<'a>(rows: &'a dyn Rows, place: &v1::Place) -> Option<&'a v1::PlaceRow> {
    rows.place(&Address::parse(&place.address).ok()?, place.mailbox_seq)
}
