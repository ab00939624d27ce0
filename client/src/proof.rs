//! What a delivery must prove before it is stored: header, place, receipt, release, permissions, signatures, directory, wrap and content;
//! and what the rules say of it.
//!
//! It stores nothing, and does not know what the content is.

use std::collections::BTreeMap;

use envelope::header::{Context, Header, Wrap};
use envelope::keys::AwsLc;
use envelope::message::{Keyring as _, signatures_sha256};
use envelope::receipt::Proven;
use envelope::{Receipt, Timestamp, dsse};
use exchange::history::AsOf;
use exchange::rules::{Sight, foresee, held_for};
use exchange::state::{Key, Row};
use prost::Message as _;
use proto::v1::{self, EntryKind, RecipientState};
use tlog::{Checkpoint, sha256, verify_inclusion};

use crate::client::{Client, hashes};
use crate::directory::signed_in;
use crate::inbox::Facts;
use crate::kept::STUB_TAG;

/// Why a delivery was not taken.
pub(crate) enum Fault {
    /// It does not prove itself.
    Unsound(String),
    /// A signer or directory that this member does not know yet.
    Directory(String),
}

impl Client {
    /// Checks everything that a delivery must prove: header, own place, receipt, signatures, wrap, content, rules.
    pub(crate) fn judge(&self, delivery: &v1::Delivery) -> Result<(Facts, Vec<Checkpoint>), Fault> {
        let unsound = |text: &dyn std::fmt::Display| Fault::Unsound(text.to_string());
        let me = self.profile.address();
        let signed = delivery.signed.as_ref().ok_or_else(|| unsound(&"it has no header"))?;
        let header = Header::parse(&signed.header, self.profile.network()).map_err(|error| unsound(&error))?;
        let index = header.recipient_index(me).ok_or_else(|| unsound(&"it is not addressed to this mailbox"))?;
        let receipt = Receipt::decode(&delivery.receipt).map_err(|error| unsound(&error))?;
        let proven = receipt.verify(self.profile.log()).map_err(|error| unsound(&error))?;
        proven.is_of_message(&signed.header, &signatures_sha256(&signed.signatures)).map_err(|error| unsound(&error))?;
        let stub = proven.slot(STUB_TAG, 0).and_then(|bytes| v1::Stub::decode(bytes.as_ref()).ok());
        let held_by = stub.ok_or_else(|| unsound(&"its receipt does not show the stub"))?.held_by;
        let is_held = !held_by.is_empty() && held_by != me.as_str();
        let sub = u32::try_from(index + 1).unwrap_or(u32::MAX);
        // Of a held message the entry shows no number: the release does.
        let own = v1::Place { address: me.to_string(), mailbox_seq: if is_held { 0 } else { delivery.mailbox_seq } };
        if !places(&proven).any(|(at, place)| at == sub && place == own) || is_held == delivery.release.is_empty() {
            return Err(unsound(&"its receipt does not show this place of the mailbox"));
        }
        let mut checkpoints = vec![proven.checkpoint.clone()];
        if is_held {
            checkpoints.push(self.check_release(
                delivery,
                &held_by,
                (proven.position.index, &header.message_id, header.context.expires_ms),
            )?);
        }
        let position = delivery.position.map(|position| (position.log, position.index));
        if position != Some((proven.position.log, proven.position.index)) || delivery.mailbox_seq == 0 {
            return Err(unsound(&"it names another position than its receipt"));
        }
        self.check_directory(&header)?;
        check_sealed(&header, index, delivery)?;
        let reference = header.context.reference.clone();
        let (size, sight) = decided_by(&proven).map_err(|why| unsound(&why))?;
        if size > self.directory.size() {
            return Err(Fault::Directory(format!(
                "it was judged by a directory of {size} statements, {} are known",
                self.directory.size()
            )));
        }
        // Neither what its sender saw nor what a Head had bound by then can be undone by naming an older directory.
        let least = header.context.directory_size.max(self.directory.least_size_at(proven.position.index));
        if size < least {
            return Err(unsound(&format!("it was judged by a directory of {size} statements, when there were {least}")));
        }
        let permissions = self.permissions_of(&header, delivery)?;
        let then = self.directory.as_of(size).with(&permissions);
        self.check_signatures(&header, signed, &then)?;
        let finding = self.finding(&then, proven.leaf.at, &header.context, (&held_by, sight));
        let facts = Facts {
            reference: reference.to_string(),
            index: proven.position.index,
            mailbox_seq: delivery.mailbox_seq,
            message_id: header.message_id,
            kind: header.context.kind.into(),
            priority: header.context.priority.into(),
            at_ms: proven.leaf.at.ms(),
            expires_ms: header.context.expires_ms,
            state: RecipientState::Available.into(),
            finding,
            held_here: held_by == me.as_str(),
            target: header.context.target,
            in_reply_to: header.context.in_reply_to,
        };
        Ok((facts, checkpoints))
    }

    /// What an honest gateway would not have done: admit it, or hold it for another, or not at all.
    fn finding(&self, then: &AsOf<'_>, at: Timestamp, context: &Context, (held_by, sight): (&str, Sight)) -> Option<String> {
        // What is no longer here is not judged by.
        let earlier = self.earlier_of(context).ok().flatten();
        if let Err(refusal) = foresee(then, at, context, earlier.as_ref(), sight) {
            return Some(format!("{}: {refusal}", refusal.name()));
        }
        // What it changes, and so whether it publishes, is not known to everybody.
        let known = earlier.is_some() || context.target.is_none();
        let should = held_for(then, at, context, earlier.as_ref()).map_or_else(String::new, |desk| desk.to_string());
        (known && should != held_by).then(|| format!("HOLD: it was held for {held_by:?}, and by the rules for {should:?}"))
    }

    /// Whom a message was held for has let it go, to this number of this mailbox.
    fn check_release(&self, delivery: &v1::Delivery, held_by: &str, of: (u64, &[u8; 32], u64)) -> Result<Checkpoint, Fault> {
        let unsound = |text: &dyn std::fmt::Display| Fault::Unsound(text.to_string());
        let receipt = Receipt::decode(&delivery.release).map_err(|error| unsound(&error))?;
        let proven = receipt.verify(self.profile.log()).map_err(|error| unsound(&error))?;
        let signed = signed_in(&proven, EntryKind::Release).map_err(|error| unsound(&error))?;
        // Its signer may be enrolled since this directory was fetched.
        let opened = self.directory.open_release(&signed, proven.position.index);
        let (issuer, release) = opened.map_err(|error| Fault::Directory(error.to_string()))?;
        if proven.leaf.at.ms() >= of.2 {
            return Err(unsound(&"it was released after its end"));
        }
        let own = v1::Place { address: self.address().to_string(), mailbox_seq: delivery.mailbox_seq };
        let of_this = (release.entry_index, release.message_id.as_ref()) == (of.0, &of.1[..]);
        let let_go = release.verdict() == v1::ReleaseVerdict::Released && issuer.as_str() == held_by;
        if of_this && let_go && places(&proven).any(|(_, place)| place == own) {
            return Ok(proven.checkpoint);
        }
        Err(unsound(&"it was held, and what came with it does not release it to this mailbox"))
    }

    /// The permissions that a message names, each as whoever gave it has signed it.
    fn permissions_of(&self, header: &Header, delivery: &v1::Delivery) -> Result<BTreeMap<Key, Row>, Fault> {
        let mut rows = BTreeMap::new();
        for (at, (_, named)) in header.context.authorities.iter().enumerate() {
            let missing = || Fault::Unsound("it names a permission that does not come with it".to_owned());
            let bytes = delivery.authorities.get(at).ok_or_else(missing)?;
            let signed = envelope::statement::decode_signed(bytes).map_err(|error| Fault::Unsound(error.to_string()))?;
            // When it was given is not known here: any key counts that its giver has had.
            let opened = self.directory.open_permission(&signed, 0);
            let (digest, row) = opened.map_err(|error| Fault::Directory(error.to_string()))?;
            if digest != *named {
                return Err(missing());
            }
            rows.insert(Key::Permission(digest), Row::Permission(Box::new(row)));
        }
        Ok(rows)
    }

    /// The signers are enrolled, the first is the sender, and each of them signed.
    fn check_signatures(&self, header: &Header, signed: &v1::SignedHeader, directory: &AsOf<'_>) -> Result<(), Fault> {
        let mut signers = Vec::new();
        for (at, signer) in header.context.signers.iter().enumerate() {
            let identity =
                directory.identity(&signer.key_id).ok_or_else(|| Fault::Directory("a signing key is not enrolled".to_owned()))?;
            if at == 0 && identity.address != header.context.reference.sender {
                return Err(Fault::Unsound(format!("the first signing key is {}'s", identity.address)));
            }
            if identity.public.alg() != signer.alg {
                return Err(Fault::Unsound("the header names another algorithm than the certified key has".to_owned()));
            }
            signers.push((signer.key_id, identity.public));
        }
        dsse::verify(&AwsLc, envelope::header::HEADER_TYPE, &signed.header, &signers, &signed.signatures)
            .map_err(|fault| Fault::Unsound(fault.to_string()))
    }

    /// The sender took keys from a directory that is a beginning of ours.
    fn check_directory(&self, header: &Header) -> Result<(), Fault> {
        let (size, root) = (header.context.directory_size, header.context.directory_root);
        match self.directory.root_at(size) {
            Some(own) if own.as_bytes() == &root => Ok(()),
            Some(_) => Err(Fault::Unsound(format!("its sender saw another directory of {size} statements"))),
            None => Err(Fault::Directory(format!("its sender saw a directory of {size} statements, {} are known", self.directory.size()))),
        }
    }
}

/// The directory that a message was judged by, and whether its class's grants let it in.
fn decided_by(proven: &Proven) -> Result<(u64, Sight), &'static str> {
    let slot = |tag| proven.slot(tag, 0).ok_or("its receipt does not show the decision");
    let judged = v1::Judged::decode(slot(3)?.as_ref()).map_err(|_| "slot 3 of its receipt is malformed")?;
    let decision = v1::Decision::decode(slot(5)?.as_ref()).map_err(|_| "slot 5 of its receipt is malformed")?;
    // Before anybody had grants of their own, there was no such field.
    let sight = if decision.grants_position == 0 { Sight::ClassGrants } else { Sight::Directory };
    Ok((judged.directory_size, sight))
}

/// The places that a receipt discloses, with their index from 1.
pub(crate) fn places(proven: &Proven) -> impl Iterator<Item = (u32, v1::Place)> + '_ {
    let shown = proven.slots().iter().filter(|slot| slot.tag == PLACE_TAG && slot.sub >= 1);
    shown.filter_map(|slot| Some((slot.sub, v1::Place::decode(slot.value.as_ref()).ok()?)))
}

/// Wrap and content are those that the header commits to.
fn check_sealed(header: &Header, index: usize, delivery: &v1::Delivery) -> Result<(), Fault> {
    let unsound = |text: &str| Fault::Unsound(text.to_owned());
    let wrap = Wrap::parse(&delivery.wrap).map_err(|error| Fault::Unsound(error.to_string()))?;
    let path = hashes(&delivery.wrap_path).map_err(|error| Fault::Unsound(error.to_string()))?;
    let recipients = header.context.recipients.len() as u64;
    let included = verify_inclusion(&wrap.leaf(), index as u64, recipients, &path, &header.wraps_root).is_ok();
    if !included || wrap.index as usize != index {
        return Err(unsound("its wrap is not the signed one of this recipient"));
    }
    if delivery.content.len() as u64 != header.content_size || sha256(&delivery.content) != header.content_sha256 {
        return Err(unsound("its content is not the signed one"));
    }
    Ok(())
}

/// Slot 7.i of a MESSAGE holds recipient i's place.
const PLACE_TAG: u32 = 7;
