//! Receipts from what the ledger holds: who is shown which slot of an entry (SPEC.md 7).

use bytes::Bytes;
use envelope::entry::Entry;
use envelope::slots::{Opening, SlotId};
use envelope::{Address, Receipt};
use ledger::{CommittedEntry, Ledger, Stored};
use proto::v1::{self, EntryKind};

use crate::problem::Problem;
use crate::writer::Answered;

/// What a sender or issuer is shown of its entry, or of an ADVICE who is told: of a MESSAGE, RELEASE or ADVICE slots 0 to 6 and 8, of
/// anything else all. Numbers in others' mailboxes are others' affair.
pub fn shown_to_author(kind: EntryKind) -> impl Fn(SlotId) -> bool {
    let has_places = matches!(kind, EntryKind::Message | EntryKind::Release | EntryKind::Advice);
    move |(tag, _)| !has_places || tag <= 6 || tag == 8
}

/// What a recipient is shown: as the sender, and its own place.
pub fn shown_to_recipient(own: u16) -> impl Fn(SlotId) -> bool {
    move |(tag, sub)| tag <= 6 || tag == 8 || (tag, sub) == (7, own)
}

/// The receipt of something durable, for its author.
///
/// # Errors
/// [`Problem`] when the ledger cannot be read.
pub fn for_author(ledger: &dyn Ledger, answered: &Answered) -> Result<Bytes, Problem> {
    match answered {
        Answered::New(entry, checkpoint) => Ok(of_committed(entry, checkpoint.clone())),
        Answered::Known(position) => {
            let stored = ledger.read(position.index)?;
            let kind = opened(&stored)?.kind();
            of_stored(ledger, &stored, shown_to_author(kind))
        }
    }
}

fn of_committed(entry: &CommittedEntry, checkpoint: Bytes) -> Bytes {
    let shown = shown_to_author(entry.opening.kind());
    Receipt::new(entry.index, &entry.leaf, &entry.opening, &entry.path, checkpoint, shown).encode().into()
}

/// The receipt of a stored entry under the newest checkpoint.
///
/// # Errors
/// [`Problem`] when the ledger cannot be read or the opening was purged.
pub fn of_stored(ledger: &dyn Ledger, stored: &Stored, shown: impl Fn(SlotId) -> bool) -> Result<Bytes, Problem> {
    let (size, checkpoint) = ledger.checkpoint()?;
    let path = ledger.inclusion(stored.index, size)?;
    Ok(Receipt::new(stored.index, &stored.leaf, opened(stored)?, &path, checkpoint, shown).encode().into())
}

/// The entry at `index` for whom it tells something.
///
/// # Errors
/// [`Problem`] when the ledger cannot be read.
pub fn advice(ledger: &dyn Ledger, index: u64) -> Result<Bytes, Problem> {
    of_stored(ledger, &ledger.read(index)?, shown_to_author(EntryKind::Advice))
}

/// The newest entry of a mailbox, of which only the place is shown.
///
/// # Errors
/// [`Problem`] when the ledger cannot be read.
pub fn mailbox_head(ledger: &dyn Ledger, mailbox: &v1::MailboxRow, recipient: &Address) -> Result<v1::MailboxHead, Problem> {
    let stored = ledger.read(mailbox.last_index)?;
    let broken = |what: &'static str| Problem::fault("a mailbox head could not be made", &what);
    let places = match Entry::read(opened(&stored)?) {
        Ok(Entry::Message(message)) => message.places,
        Ok(Entry::Release { places, .. }) => places,
        _ => return Err(broken("the entry puts nothing into a mailbox")),
    };
    let at = places.iter().position(|place| place.address == recipient.as_str()).ok_or_else(|| broken("not a recipient"))?;
    let own = (7, at as u16 + 1);
    let receipt = of_stored(ledger, &stored, |id| id == own)?;
    Ok(v1::MailboxHead { last_seq: mailbox.last_seq, receipt })
}

/// The opening of an entry that must have one.
///
/// # Errors
/// [`Problem`] when it is gone.
pub fn opened(stored: &Stored) -> Result<&Opening, Problem> {
    stored.opening.as_ref().ok_or_else(|| Problem::fault("an opening is gone", &stored.index))
}
