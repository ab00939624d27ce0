//! What is overdue of what this member sent, received or answers for, by as much of the log as the member is shown.
//!
//! The replay is the audit's and is verified as there. Statements of mailboxes are shown to the network's auditor alone; everybody
//! else learns what became of messages from the gateway's word to the sender, and from the own inbox. It does not know how a line of
//! it looks to a person.

use envelope::{Address, Class, Reference, Timestamp};
use exchange::Clocks;
use exchange::clocks::{Due, Overdue, Shown};
use exchange::state::Rows as _;
use proto::v1::RecipientState;

use crate::audit::{self, Options, Verdict};
use crate::client::Client;
use crate::error::Error;
use crate::send::SentRow;
use crate::store::{Table, Write};

/// The clocks as far as a member is shown them.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Of messages that concern the member.
    pub clocks: Clocks,
    /// The later of the time that was passed in and the newest ledger time that was shown.
    pub now: Timestamp,
    /// What the replay found.
    pub verdict: Verdict,
}

impl Reading {
    /// What is overdue, oldest first.
    #[must_use]
    pub fn overdue(&self) -> Vec<Overdue> {
        self.clocks.overdue(self.now)
    }
}

/// Replays what `client` may see, and asks what became of its messages. Nothing is fetched from its mailbox, nothing is stated.
///
/// # Errors
/// As [`audit::verify`]; what the gateway says of a message that it does not prove.
pub async fn read(client: &mut Client, purpose: &str, now: Timestamp) -> Result<Reading, Error> {
    let options = Options { purpose: purpose.to_owned(), ..Options::default() };
    let (mut clocks, mut now) = (Clocks::default(), now);
    let hear = |line: &audit::Line<'_>, _| {
        now = now.max(line.leaf.map_or(now, |leaf| leaf.at));
        line.note(&mut clocks);
    };
    let verdict = audit::verify(client, &options, hear).await?;
    let viewer = client.address();
    let is_open = client.directory().state().participant(viewer).is_some_and(|row| row.open_to_foreign);
    clocks.narrow(|sender, recipient| shown(viewer, is_open, sender, recipient));
    if viewer.class() != Class::Auditor {
        client.tell_received(&mut clocks, now)?;
        client.tell_sent(&mut clocks).await?;
    }
    Ok(Reading { clocks, now, verdict })
}

/// What `viewer` is shown of what becomes of messages between these two; a post that is open gets mail from abroad itself.
fn shown(viewer: &Address, is_open: bool, sender: &Address, recipient: &Address) -> Shown {
    let ends = [sender, recipient];
    let abroad = sender.first_segment() != recipient.first_segment();
    let answers = match viewer.as_str().strip_prefix("aud/").filter(|_| viewer.class() == Class::Auditor) {
        Some("network") => true,
        Some(country) => ends.into_iter().any(|one| one.as_str() == country || one.is_below(country)),
        // Who answers a closed post from abroad writes to its bureau.
        None if sender == viewer && viewer.own_ncb().is_some() && abroad && !is_open => return Shown::Arrival,
        None if ends.contains(&viewer) => true,
        // A bureau has its copy of what crosses the border, both ways; what is written at home does not pass it.
        None => abroad && ends.into_iter().any(|one| one.is_below(viewer.as_str())),
    };
    if answers { Shown::Answers } else { Shown::Nothing }
}

impl Client {
    /// Leaves out messages that were not delivered of which this profile has been told before.
    ///
    /// # Errors
    /// [`Error::Store`] or [`Error::Row`].
    pub fn not_yet_told(&self, overdue: Vec<Overdue>) -> Result<Vec<Overdue>, Error> {
        let mut left = Vec::new();
        for one in overdue {
            let key = undelivered_key(&one.reference);
            // Who did not get it may be known bit by bit.
            let told = one.due == Due::Undelivered && self.profile.store().get(Table::Meta, key.as_bytes())? == Some(count(&one));
            if !told {
                left.push(one);
            }
        }
        Ok(left)
    }

    /// Of these messages this profile has been told: what was not delivered is said once.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn told_overdue(&self, overdue: &[Overdue]) -> Result<(), Error> {
        let undelivered = overdue.iter().filter(|one| one.due == Due::Undelivered);
        let writes: Vec<Write> = undelivered.map(|one| Write::text(Table::Meta, &undelivered_key(&one.reference), count(one))).collect();
        if writes.is_empty() { Ok(()) } else { self.profile.store().commit(&writes) }
    }

    /// What the inbox knows. It keeps no time of an acknowledgement: whether there is one is all that is asked here.
    fn tell_received(&self, clocks: &mut Clocks, now: Timestamp) -> Result<(), Error> {
        let own = self.address();
        for message in self.inbox()? {
            clocks.tell(&message.message_id, own, message.state, message.at);
        }
        // The rest is in the mailbox, or was there to its end.
        for (id, expires) in clocks.untold_to(own) {
            let ended = expires <= now;
            let (state, at) = if ended { (RecipientState::Expired, expires) } else { (RecipientState::Available, now) };
            clocks.tell(&id, own, state, at);
        }
        Ok(())
    }

    /// What the gateway says of messages sent: one question for each of which more may become at some recipient.
    async fn tell_sent(&mut self, clocks: &mut Clocks) -> Result<(), Error> {
        let own = self.address().clone();
        for (id, reference) in clocks.untold(&own) {
            let row = self.sent_row(&reference)?;
            if row.as_ref().is_some_and(|row| row.settled) {
                continue;
            }
            let recipients = self.status(&reference).await?;
            for one in &recipients {
                let Ok(recipient) = Address::parse(&one.recipient) else { continue };
                clocks.tell(&id, &recipient, one.state(), Timestamp(one.at_ms));
            }
            let is_last = |state| matches!(state, RecipientState::Acknowledged | RecipientState::Refused);
            let settled = !recipients.is_empty() && recipients.iter().all(|one| is_last(one.state()));
            if let (true, Some(row)) = (settled, row) {
                let row = serde_json::to_vec(&SentRow { settled, ..row }).map_err(|_| Error::Row("sent"))?;
                self.profile.store().commit(&[Write::text(Table::Sent, &reference.to_string(), row)])?;
            }
        }
        Ok(())
    }

    fn sent_row(&self, reference: &Reference) -> Result<Option<SentRow>, Error> {
        let row = self.profile.store().get(Table::Sent, reference.to_string().as_bytes())?;
        row.map(|row| serde_json::from_slice(&row).map_err(|_| Error::Row("sent"))).transpose()
    }
}

fn undelivered_key(reference: &Reference) -> String {
    format!("undelivered/{reference}")
}

fn count(one: &Overdue) -> Vec<u8> {
    (one.recipients.len() as u64).to_be_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn check(viewer: &str, is_open: bool, between: [&str; 2], wanted: Shown) {
        let [viewer, sender, recipient] = [viewer, between[0], between[1]].map(|text| Address::parse(text).unwrap());
        assert_eq!(shown(&viewer, is_open, &sender, &recipient), wanted, "{viewer}, open {is_open}: {sender} to {recipient}");
    }

    #[test]
    fn nothing_is_called_missing_that_is_not_shown() {
        for (viewer, between, wanted) in [
            ("ke", ["ke", "th"], Shown::Answers),
            ("ke", ["th", "ke"], Shown::Answers),
            ("ke", ["th", "np"], Shown::Nothing),
            ("ke", ["ke/cus/kemba", "th"], Shown::Answers),
            ("ke", ["th", "ke/cus/kemba"], Shown::Answers),
            ("ke", ["ke/cus/kemba", "ke/air/kenbo"], Shown::Nothing),
            ("ke/cus/kemba", ["ke/cus/kemba", "ke/air/kenbo"], Shown::Answers),
            ("ke/cus/kemba", ["th", "ke/cus/kemba"], Shown::Answers),
            ("ke/cus/kemba", ["ke", "th"], Shown::Nothing),
            ("ipsg/ens", ["ke", "th"], Shown::Nothing),
            ("aud/ke", ["ke/cus/kemba", "ke/air/kenbo"], Shown::Answers),
            ("aud/ke", ["th", "ke"], Shown::Answers),
            ("aud/ke", ["th", "np"], Shown::Nothing),
            ("aud/network", ["th", "np"], Shown::Answers),
        ] {
            [false, true].into_iter().for_each(|is_open| check(viewer, is_open, between, wanted));
        }
        check("ke/cus/kemba", false, ["ke/cus/kemba", "th"], Shown::Arrival);
        check("ke/cus/kemba", true, ["ke/cus/kemba", "th"], Shown::Answers);
    }
}
