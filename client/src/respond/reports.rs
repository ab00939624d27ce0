//! The reports of the inbox as records that are looked up: what an analysis file has, which gets sealed copies and answers for them.
//!
//! Each case is one record, as it stands now, corrections included, until its sender cancels or deletes it. Its owner is the bureau of whoever sent it. It
//! does not know who asks.

use std::collections::{BTreeMap, BTreeSet};

use content::fold::{Sent, fold};
use content::keys;
use envelope::Address;
use proto::v1::Kind;

use super::Entry;
use crate::board::cases;
use crate::client::Client;
use crate::error::Error;
use crate::inbox::Received;

/// Reports by who sent them.
#[derive(Clone, Debug, Default)]
pub struct Reports {
    /// Numbers of the mailbox that were looked at.
    seen: BTreeSet<u64>,
    sent: BTreeMap<Address, BTreeMap<String, Sent>>,
    /// Whose report has which id, and under which reference.
    ids: BTreeMap<[u8; 32], (Address, String)>,
}

impl Reports {
    /// Looks at what is new in the inbox; whether a record has changed.
    ///
    /// # Errors
    /// What is wrong with the store. A report that does not open, or is none, is no record.
    pub fn learn(&mut self, client: &Client) -> Result<bool, Error> {
        let mut changed = false;
        for message in client.inbox()? {
            if self.seen.insert(message.mailbox_seq) && message.finding.is_none() {
                changed |= self.note(client, &message)?;
            }
        }
        Ok(changed)
    }

    fn note(&mut self, client: &Client, message: &Received) -> Result<bool, Error> {
        match (message.kind, message.target) {
            (Kind::Ecomessage, _) => {
                let report = match client.report_in(&message.reference) {
                    Err(Error::Open(_)) => None,
                    other => other?,
                };
                // What is said in a drill is no record.
                let drill = client.header_of(&message.reference)?.context.exercise;
                let Some(report) = report.filter(|_| !drill) else { return Ok(false) };
                let (sender, reference) = (message.from().clone(), message.reference.to_string());
                self.ids.insert(message.message_id, (sender.clone(), reference.clone()));
                self.sent.entry(sender).or_default().insert(reference.clone(), Sent { reference, report });
                Ok(true)
            }
            (Kind::Correction, Some(target)) => {
                let corrected = self.ids.get(&target).filter(|(sender, _)| sender == message.from());
                let Some((sender, reference)) = corrected else { return Ok(false) };
                let Some(sent) = self.sent.get_mut(sender).and_then(|reports| reports.get_mut(reference)) else { return Ok(false) };
                Ok(client.correct(&mut sent.report, message)?.is_some())
            }
            // The rules let nobody delete what is another's; here, too, nobody does.
            (Kind::Deletion, Some(target)) => {
                let deleted = self.ids.get(&target).filter(|(sender, _)| sender == message.from());
                let Some((sender, reference)) = deleted else { return Ok(false) };
                Ok(self.sent.get_mut(sender).is_some_and(|reports| reports.remove(reference).is_some()))
            }
            _ => Ok(false),
        }
    }

    /// The records: each case that can be looked up by something and is not cancelled, under the reference of its first report.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (sender, reports) in &self.sent {
            let owner = sender.own_ncb().unwrap_or_else(|| sender.clone());
            for (first, case) in cases(reports) {
                let Ok(folded) = fold(&case) else { continue };
                let keys = keys::of_report(&folded.report);
                if folded.cancelled_by.is_none() && !keys.is_empty() {
                    let (record, source) = (first.to_owned(), "case".to_owned());
                    entries.push(Entry { owner: owner.clone(), record, keys, kind: String::new(), source, note: String::new() });
                }
            }
        }
        entries
    }
}
