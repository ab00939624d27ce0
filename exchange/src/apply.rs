//! `Entry -> rows`: changes, decides nothing. What it reads is in the entry or in the rows; there is no clock.
//!
//! Of a MESSAGE only the stub, the places and the leaf's time are read, so that the state is the same after a purge.

use envelope::entry::{Entry, MessageEntry};
use envelope::genesis::{Genesis, GenesisError};
use envelope::identity::{Certified, NothingRevoked, Role};
use envelope::key_id::encryption_key_id;
use envelope::keys::AwsLc;
use envelope::statement::{self, Acknowledged, Delivered, StatementError};
use envelope::{Address, Timestamp};
use proto::v1::{self, Escalation, KeyState, ParticipantState, RecipientState, SignedStatement, StatementKind};
use tlog::{leaf_hash, sha256};

use crate::admit::cert_link;
use crate::edge;
use crate::rules::is_broadcast;
use crate::series;
use crate::state::{Key, Overlay, Row, Rows};

/// What others should hear of once the entry is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A message waits in a mailbox.
    Available {
        /// Whose mailbox.
        recipient: Address,
        /// Its number there.
        mailbox_seq: u64,
    },
    /// Somebody is told of a message.
    Advised {
        /// Who.
        told: Address,
    },
    /// The directory has grown.
    DirectoryGrew,
    /// A participant's state has changed: whether it may still be connected is to be looked at.
    StandingChanged,
    /// Certificates were revoked.
    Revoked,
}

/// An entry that does not make sense where it stands. The writer never makes one; a reader of a ledger may meet one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// Entry 0 is not a genesis, or another entry is.
    #[error("genesis is entry 0 and no other")]
    Genesis,
    /// A genesis that does not hold.
    #[error(transparent)]
    BadGenesis(#[from] GenesisError),
    /// A statement that cannot be read.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// A field that cannot be what it is.
    #[error("field {0} of the entry is out of bounds")]
    Field(&'static str),
}

/// Writes the rows that `entry` at `index` leads to.
///
/// # Errors
/// [`ApplyError`] when the entry does not make sense there; nothing of it should be kept then.
pub fn apply(rows: &mut Overlay<'_>, index: u64, at: Timestamp, entry: &Entry, effects: &mut Vec<Effect>) -> Result<(), ApplyError> {
    if (index == 0) != matches!(entry, Entry::Genesis(_)) {
        return Err(ApplyError::Genesis);
    }
    rows.set(Key::Clock, Row::Clock(v1::ClockRow { last_ms: at.ms() }));
    match entry {
        Entry::Genesis(signed) => genesis(rows, at, signed),
        Entry::Message(message) => self::message(rows, index, at, message, effects),
        Entry::Directory { signed, .. } => directory(rows, at, signed, effects),
        Entry::Grants(signed) => grants(rows, index, signed),
        Entry::Group(signed) => group(rows, index, signed),
        Entry::Release { signed, places } => release(rows, index, at, signed, places, effects),
        Entry::Permission(signed) => permission(rows, index, signed),
        Entry::Mailbox { signed, .. } => mailbox(rows, at, signed),
        Entry::Access(signed) => access(rows, index, signed),
        Entry::ClockStep(signed) => clock_step(rows, signed),
        Entry::Head(head) => self::head(rows, index, at, head),
        Entry::RevocationsSeen { seen, .. } => revocations(rows, index, seen, effects),
        Entry::Expired(expired) => self::expired(rows, at, expired),
        Entry::Advice { advice, places } => self::advice(rows, index, advice, places, effects),
        Entry::Started(_) | Entry::Refused(_) | Entry::RefusalsCounted(_) | Entry::StateClaim(_) | Entry::Later(_) => Ok(()),
    }
}

fn genesis(rows: &mut Overlay<'_>, at: Timestamp, signed: &SignedStatement) -> Result<(), ApplyError> {
    let leaf = envelope::entry::directory_leaf(signed);
    let genesis = Genesis::from_signed(signed.clone(), sha256(&leaf), &AwsLc)?;
    let statement = &genesis.statement;
    rows.set(
        Key::Network,
        Row::Network(Box::new(v1::NetworkRow {
            network: genesis.network.to_string(),
            genesis_sha256: genesis.sha256.to_vec().into(),
            policy: statement.policy.clone(),
            policy_position: 1,
            authority: statement.authority.clone(),
            authority_threshold: statement.authority_threshold,
            node: statement.node.clone(),
        })),
    );
    rows.set_anchors(genesis.anchors()?);
    for (participant, certified) in &genesis.participants {
        enrol(rows, participant, certified, participant.state());
    }
    let sha256 = statement::digest_of(signed).to_vec().into();
    rows.set(Key::Chain(None, StatementKind::Genesis, None), Row::Chain(v1::ChainRow { seq: 1, sha256 }));
    append_to_directory(rows, at, &leaf);
    Ok(())
}

/// Writes who somebody is.
fn enrol(rows: &mut Overlay<'_>, participant: &v1::Participant, certified: &Certified, state: ParticipantState) {
    let row = v1::ParticipantRow {
        state: state.into(),
        key_id: certified.key_id.to_vec().into(),
        alg: certified.public.alg().into(),
        public: certified.public.as_bytes().to_vec().into(),
        not_before_ms: certified.not_before.ms(),
        not_after_ms: certified.not_after.ms(),
        links: certified.links.iter().map(cert_link).collect(),
        chain_sha256: certified.chain_sha256.to_vec().into(),
        clearance: participant.clearance,
        open_to_foreign: participant.open_to_foreign,
        oversight: participant.oversight,
    };
    rows.set(Key::Participant(certified.address.clone()), Row::Participant(Box::new(row)));
    rows.set(Key::Identity(certified.key_id), Row::Identity(v1::IdentityRow { address: participant.address.clone() }));
}

fn message(rows: &mut Overlay<'_>, index: u64, at: Timestamp, message: &MessageEntry, effects: &mut Vec<Effect>) -> Result<(), ApplyError> {
    let reference = message.reference().map_err(|_| ApplyError::Field("stub"))?;
    let (stub, sender) = (&message.stub, &reference.sender);
    let mut used = rows.series(sender, reference.year, reference.series).cloned().unwrap_or_default();
    series::insert(&mut used, reference.number);
    rows.set(Key::Series(sender.clone(), reference.year, reference.series), Row::Series(used));
    let own = (reference.year, reference.series);
    let before = rows.sender(sender).copied();
    let (year, series) = before.map_or(own, |row| (row.year, row.series)).max(own);
    let (first_year, first_series) = before.map_or(own, |row| (row.first_year, row.first_series));
    rows.set(Key::Sender(sender.clone()), Row::Sender(v1::SenderRow { year, series, first_year, first_series }));
    let (flash, broadcast) = (stub.priority() == v1::Priority::Flash, is_broadcast(message.places.len()));
    if flash || broadcast {
        let today = rows.quota(sender).filter(|row| row.day == at.day()).copied().unwrap_or_default();
        let row =
            v1::QuotaRow { day: at.day(), flash: today.flash + u32::from(flash), broadcasts: today.broadcasts + u32::from(broadcast) };
        rows.set(Key::Quota(sender.clone()), Row::Quota(row));
    }
    let row = v1::PlaceRow {
        index,
        message_id: stub.message_id.clone(),
        priority: stub.priority,
        state: RecipientState::Available.into(),
        at_ms: at.ms(),
        expires_ms: stub.expires_ms,
        release_index: 0,
        escalation: stub.escalation,
        available_ms: available_ms(stub.escalation(), at),
        told: 0,
    };
    let (available, held): (Vec<_>, Vec<_>) = message.places.iter().partition(|place| place.mailbox_seq > 0);
    available.into_iter().try_for_each(|place| arrive(rows, index, place, row.clone(), effects))?;
    if !stub.held_by.is_empty() {
        let row = v1::HeldRow {
            sender: stub.sender.clone(),
            message_id: stub.message_id.clone(),
            held_by: stub.held_by.clone(),
            recipients: held.into_iter().map(|place| place.address.clone()).collect(),
            priority: stub.priority,
            expires_ms: stub.expires_ms,
            state: RecipientState::Held.into(),
            at_ms: at.ms(),
            places: Vec::new(),
            release_index: 0,
            escalation: stub.escalation,
        };
        rows.set(Key::Held(index), Row::Held(Box::new(row)));
    }
    let row = v1::MessageRow { stub: Some(stub.clone()), at_ms: at.ms(), places: message.places.clone() };
    rows.set(Key::Message(index), Row::Message(Box::new(row)));
    Ok(())
}

/// Puts a message into a mailbox, by the entry at `index`.
fn arrive(rows: &mut Overlay<'_>, index: u64, place: &v1::Place, row: v1::PlaceRow, effects: &mut Vec<Effect>) -> Result<(), ApplyError> {
    let address = Address::parse(&place.address).map_err(|_| ApplyError::Field("place.address"))?;
    let last_advice = rows.mailbox(&address).map_or(0, |row| row.last_advice);
    let mailbox = v1::MailboxRow { last_seq: place.mailbox_seq, last_index: index, last_advice };
    rows.set(Key::Mailbox(address.clone()), Row::Mailbox(mailbox));
    rows.set(Key::Place(address.clone(), place.mailbox_seq), Row::Place(row));
    effects.push(Effect::Available { recipient: address, mailbox_seq: place.mailbox_seq });
    Ok(())
}

/// Kept only of what somebody is told about when it is not acknowledged.
fn available_ms(escalation: Escalation, at: Timestamp) -> u64 {
    if escalation == Escalation::Unspecified { 0 } else { at.ms() }
}

/// The message waits for its recipients from now on, or never will.
fn release(
    rows: &mut Overlay<'_>,
    index: u64,
    at: Timestamp,
    signed: &SignedStatement,
    places: &[v1::Place],
    effects: &mut Vec<Effect>,
) -> Result<(), ApplyError> {
    let statement: v1::Release = statement::read(signed)?;
    note_chain(rows, signed, statement.head.as_ref())?;
    let held = rows.held(statement.entry_index).cloned().ok_or(ApplyError::Field("entry_index"))?;
    let row = v1::PlaceRow {
        index: statement.entry_index,
        message_id: held.message_id.clone(),
        priority: held.priority,
        state: RecipientState::Available.into(),
        at_ms: at.ms(),
        expires_ms: held.expires_ms,
        release_index: index,
        escalation: held.escalation,
        available_ms: available_ms(held.escalation(), at),
        told: 0,
    };
    places.iter().try_for_each(|place| arrive(rows, index, place, row.clone(), effects))?;
    let released = statement.verdict() == v1::ReleaseVerdict::Released;
    let state = if released { RecipientState::Available } else { RecipientState::Refused };
    let held = v1::HeldRow { state: state.into(), at_ms: at.ms(), places: places.to_vec(), release_index: index, ..*held };
    rows.set(Key::Held(statement.entry_index), Row::Held(Box::new(held)));
    Ok(())
}

fn permission(rows: &mut Overlay<'_>, index: u64, signed: &SignedStatement) -> Result<(), ApplyError> {
    let statement: v1::Permission = statement::read(signed)?;
    note_chain(rows, signed, statement.head.as_ref())?;
    let row = permission_row(&statement, index);
    rows.set(Key::Permission(statement::digest_of(signed)), Row::Permission(Box::new(row)));
    Ok(())
}

/// The row of a permission.
#[must_use]
pub fn permission_row(statement: &v1::Permission, index: u64) -> v1::PermissionRow {
    let head = statement.head.clone().unwrap_or_default();
    let (message_id, recipients) = (statement.message_id.clone(), statement.recipients.clone());
    v1::PermissionRow {
        issuer: head.issuer,
        subject: head.subject,
        kind: statement.kind,
        message_id,
        recipients,
        expires_ms: head.expires_ms,
        index,
    }
}

fn directory(rows: &mut Overlay<'_>, at: Timestamp, signed: &SignedStatement, effects: &mut Vec<Effect>) -> Result<(), ApplyError> {
    match signed.kind() {
        StatementKind::Enrolment => enrolment(rows, at, signed)?,
        StatementKind::Standing => standing(rows, signed, effects)?,
        _ => keys(rows, at, signed)?,
    }
    append_to_directory(rows, at, &envelope::entry::directory_leaf(signed));
    effects.push(Effect::DirectoryGrew);
    Ok(())
}

fn enrolment(rows: &mut Overlay<'_>, at: Timestamp, signed: &SignedStatement) -> Result<(), ApplyError> {
    let statement: v1::Enrolment = statement::read(signed)?;
    note_chain(rows, signed, statement.head.as_ref())?;
    let participant = statement.participant.as_ref().ok_or(ApplyError::Field("participant"))?;
    let created = Timestamp(statement.head.as_ref().map_or(0, |head| head.created_ms));
    let anchors = rows.anchors().ok_or(ApplyError::Genesis)?;
    // By the statement's own time, which is the same whoever reads it: the log, a client's directory, an auditor.
    let judged = anchors.judge(Role::Identity, &participant.identity_chain, created, &NothingRevoked);
    let certified = judged.map_err(|_| ApplyError::Field("participant.identity_chain"))?;
    let replaced = rows.participant(&certified.address).is_some_and(|row| row.key_id != certified.key_id[..]);
    if replaced {
        revoke_keys(rows, at, &certified.address)?;
    }
    let before = rows.participant(&certified.address).map(|row| row.state());
    let state = before.filter(|state| *state != ParticipantState::Withdrawn).unwrap_or(ParticipantState::Active);
    enrol(rows, participant, &certified, state);
    Ok(())
}

/// Who gets another identity key may have lost the device: its encryption keys end with the old one, until it publishes others.
fn revoke_keys(rows: &mut Overlay<'_>, at: Timestamp, address: &Address) -> Result<(), ApplyError> {
    let mut row = rows.keys(address).cloned().unwrap_or_default();
    for key in row.keys.iter_mut().filter(|key| key.state() != KeyState::Revoked) {
        (key.state, key.since_ms) = (KeyState::Revoked.into(), at.ms());
        let key_id = key.key_id.as_ref().try_into().map_err(|_| ApplyError::Field("key_id"))?;
        let owner = v1::KeyOwnerRow { address: address.to_string(), state: KeyState::Revoked.into() };
        rows.set(Key::KeyOwner(key_id), Row::KeyOwner(owner));
    }
    rows.set(Key::Keys(address.clone()), Row::Keys(row));
    Ok(())
}

fn standing(rows: &mut Overlay<'_>, signed: &SignedStatement, effects: &mut Vec<Effect>) -> Result<(), ApplyError> {
    let statement: v1::Standing = statement::read(signed)?;
    note_chain(rows, signed, statement.head.as_ref())?;
    let subject = subject_of(statement.head.as_ref())?;
    let mut row = rows.participant(&subject).cloned().ok_or(ApplyError::Field("head.subject"))?;
    row.state = statement.state;
    rows.set(Key::Participant(subject), Row::Participant(row));
    effects.push(Effect::StandingChanged);
    Ok(())
}

fn grants(rows: &mut Overlay<'_>, index: u64, signed: &SignedStatement) -> Result<(), ApplyError> {
    let statement: v1::GrantStatement = statement::read(signed)?;
    note_chain(rows, signed, statement.head.as_ref())?;
    let subject = subject_of(statement.head.as_ref())?;
    rows.set(Key::Grants(subject), Row::Grants(v1::GrantsRow { grants: statement.grants, index }));
    Ok(())
}

fn group(rows: &mut Overlay<'_>, index: u64, signed: &SignedStatement) -> Result<(), ApplyError> {
    let statement: v1::Group = statement::read(signed)?;
    note_chain(rows, signed, statement.head.as_ref())?;
    let subject = subject_of(statement.head.as_ref())?;
    rows.set(Key::Group(subject), Row::Group(Box::new(group_row(&statement, index))));
    Ok(())
}

/// The row of a group that this statement describes.
#[must_use]
pub fn group_row(statement: &v1::Group, index: u64) -> v1::GroupRow {
    let (owner, version) = statement.head.as_ref().map_or((String::new(), 0), |head| (head.issuer.clone(), head.seq));
    let (members, senders, ends_ms) = (statement.members.clone(), statement.senders, statement.ends_ms);
    v1::GroupRow { owner, members, senders, ends_ms, index, version }
}

fn subject_of(head: Option<&v1::StatementHead>) -> Result<Address, ApplyError> {
    let head = statement::read_head(head).map_err(StatementError::Encoding)?;
    head.subject.ok_or(ApplyError::Field("head.subject"))
}

fn keys(rows: &mut Overlay<'_>, at: Timestamp, signed: &SignedStatement) -> Result<(), ApplyError> {
    let statement: v1::KeyStatement = statement::read(signed)?;
    let issuer = note_chain(rows, signed, statement.head.as_ref())?.ok_or(ApplyError::Field("head.issuer"))?;
    let before = rows.keys(&issuer).cloned().unwrap_or_default();
    let row_of = |key: &v1::EncryptionKey| {
        let key_id = encryption_key_id(key.kem(), &key.public);
        let old = before.keys.iter().find(|old| old.key_id == key_id[..] && old.state == key.state);
        v1::KeyRow { key_id: key_id.to_vec().into(), kem: key.kem, state: key.state, since_ms: old.map_or(at.ms(), |old| old.since_ms) }
    };
    let keys: Vec<v1::KeyRow> = statement.keys.iter().map(row_of).collect();
    let left_out = before.keys.iter().filter(|old| keys.iter().all(|key| key.key_id != old.key_id));
    let owned = keys.iter().map(|key| (key, key.state())).chain(left_out.map(|key| (key, KeyState::Revoked)));
    for (key, state) in owned {
        let key_id = key.key_id.as_ref().try_into().map_err(|_| ApplyError::Field("key_id"))?;
        let owner = v1::KeyOwnerRow { address: issuer.to_string(), state: state.into() };
        rows.set(Key::KeyOwner(key_id), Row::KeyOwner(owner));
    }
    rows.set(Key::Keys(issuer), Row::Keys(v1::KeysRow { keys }));
    Ok(())
}

fn mailbox(rows: &mut Overlay<'_>, at: Timestamp, signed: &SignedStatement) -> Result<(), ApplyError> {
    let (statement, state) = if signed.kind() == StatementKind::Acknowledged {
        (statement::read::<Acknowledged>(signed)?.0, RecipientState::Acknowledged)
    } else {
        (statement::read::<Delivered>(signed)?.0, RecipientState::Delivered)
    };
    let mailbox = note_chain(rows, signed, statement.head.as_ref())?.ok_or(ApplyError::Field("head.issuer"))?;
    for item in &statement.items {
        let Some(place) = rows.place(&mailbox, item.mailbox_seq).cloned() else { continue };
        // Forward only: a late DELIVERED does not take back an ACKNOWLEDGED, and both outlive an expiry.
        let forward = place.state() == RecipientState::Expired || place.state() < state;
        if forward {
            let moved = v1::PlaceRow { state: state.into(), at_ms: at.ms(), ..place };
            rows.set(Key::Place(mailbox.clone(), item.mailbox_seq), Row::Place(moved));
        }
    }
    Ok(())
}

fn access(rows: &mut Overlay<'_>, index: u64, signed: &SignedStatement) -> Result<(), ApplyError> {
    let statement: v1::AccessStatement = statement::read(signed)?;
    let auditor = note_chain(rows, signed, statement.head.as_ref())?.ok_or(ApplyError::Field("head.issuer"))?;
    let expires_ms = statement.head.map_or(0, |head| head.expires_ms);
    let row = v1::AccessRow { index, from_index: statement.from_index, to_index: statement.to_index, expires_ms };
    rows.set(Key::Access(auditor), Row::Access(row));
    Ok(())
}

fn clock_step(rows: &mut Overlay<'_>, signed: &SignedStatement) -> Result<(), ApplyError> {
    let statement: v1::ClockStep = statement::read(signed)?;
    note_chain(rows, signed, statement.head.as_ref())?;
    Ok(())
}

fn head(rows: &mut Overlay<'_>, index: u64, at: Timestamp, head: &v1::Head) -> Result<(), ApplyError> {
    let row = v1::HeadRow { root: head.directory_root.clone(), index, at_ms: at.ms() };
    rows.set(Key::Head(head.directory_size), Row::Head(row));
    let mut directory = rows.directory().cloned().unwrap_or_default();
    (directory.head_size, directory.head_ms) = (head.directory_size, at.ms());
    rows.set(Key::Directory, Row::Directory(directory));
    Ok(())
}

fn revocations(rows: &mut Overlay<'_>, index: u64, seen: &v1::RevocationsSeen, effects: &mut Vec<Effect>) -> Result<(), ApplyError> {
    let issuer: [u8; 32] = seen.issuer_key_sha256.as_ref().try_into().map_err(|_| ApplyError::Field("issuer_key_sha256"))?;
    let row = v1::CrlRow { number: seen.crl_number.clone(), sha256: seen.crl_sha256.clone() };
    rows.set(Key::Crl(issuer), Row::Crl(row));
    for revoked in &seen.added {
        if revoked.serial.len() > SERIAL_BYTES_MAX {
            return Err(ApplyError::Field("added.serial"));
        }
        rows.set(Key::Revoked(issuer, revoked.serial.to_vec()), Row::Revoked(v1::RevokedRow { index }));
    }
    effects.push(Effect::Revoked);
    Ok(())
}

fn expired(rows: &mut Overlay<'_>, at: Timestamp, expired: &v1::Expired) -> Result<(), ApplyError> {
    for place in &expired.places {
        let address = Address::parse(&place.address).map_err(|_| ApplyError::Field("places.address"))?;
        // Of a held message: nobody has given his word in time.
        if place.mailbox_seq == 0 {
            let Some(row) = rows.held(expired.index).cloned() else { continue };
            let row = v1::HeldRow { state: RecipientState::Expired.into(), at_ms: at.ms(), ..*row };
            rows.set(Key::Held(expired.index), Row::Held(Box::new(row)));
            continue;
        }
        let Some(row) = rows.place(&address, place.mailbox_seq).cloned() else { continue };
        let row = v1::PlaceRow { state: RecipientState::Expired.into(), at_ms: at.ms(), ..row };
        rows.set(Key::Place(address, place.mailbox_seq), Row::Place(row));
    }
    Ok(())
}

/// Somebody has one advice more, and of the places one more is told.
fn advice(
    rows: &mut Overlay<'_>,
    index: u64,
    advice: &v1::Advice,
    places: &[v1::Place],
    effects: &mut Vec<Effect>,
) -> Result<(), ApplyError> {
    let told = Address::parse(&advice.told).map_err(|_| ApplyError::Field("advice.told"))?;
    let mailbox = rows.mailbox(&told).copied().unwrap_or_default();
    rows.set(Key::Mailbox(told.clone()), Row::Mailbox(v1::MailboxRow { last_advice: advice.seq, ..mailbox }));
    rows.set(Key::Advice(told.clone(), advice.seq), Row::Advice(v1::AdviceRow { index }));
    for place in places {
        let address = Address::parse(&place.address).map_err(|_| ApplyError::Field("places.address"))?;
        let Some(row) = rows.place(&address, place.mailbox_seq).cloned() else { continue };
        let row = v1::PlaceRow { told: row.told + 1, ..row };
        rows.set(Key::Place(address, place.mailbox_seq), Row::Place(row));
    }
    effects.push(Effect::Advised { told });
    Ok(())
}

/// Moves the chain of statements on; gives the issuer, `None` for the network authority.
fn note_chain(rows: &mut Overlay<'_>, signed: &SignedStatement, head: Option<&v1::StatementHead>) -> Result<Option<Address>, ApplyError> {
    let head = statement::read_head(head).map_err(StatementError::Encoding)?;
    let row = v1::ChainRow { seq: head.seq, sha256: statement::digest_of(signed).to_vec().into() };
    rows.set(Key::Chain(head.issuer.clone(), signed.kind(), head.subject), Row::Chain(row));
    Ok(head.issuer)
}

fn append_to_directory(rows: &mut Overlay<'_>, at: Timestamp, leaf: &[u8]) {
    let mut directory = rows.directory().cloned().unwrap_or_default();
    edge::append(&mut directory, leaf_hash(leaf));
    if directory.size == 1 {
        directory.head_ms = at.ms();
    }
    rows.set(Key::Directory, Row::Directory(directory));
}

/// RFC 5280 4.1.2.2: a serial has at most 20 octets.
const SERIAL_BYTES_MAX: usize = 20;
