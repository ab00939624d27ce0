//! What an entry says: the values in its slots as types, and back into a draft (SPEC.md 7 has the tables).
//!
//! It does not know whether an entry should have been written; the exchange judges that, before and again.

use bytes::Bytes;
use prost::Message as _;
use proto::v1::{self, EntryKind, KemId, SignedStatement};
use tlog::sha256_parts;

use crate::canonical::EncodingError;
use crate::draft::Draft;
use crate::message::Peer;
use crate::slots::{Opening, Slots};
use crate::statement;
use crate::{Address, Reference};

/// An entry that was read from its opening.
#[derive(Clone, Debug)]
pub enum Entry {
    /// Entry 0.
    Genesis(SignedStatement),
    /// A message.
    Message(Box<MessageEntry>),
    /// A statement that is also a leaf of the directory.
    Directory {
        /// The statement.
        signed: SignedStatement,
        /// Its index in the directory.
        directory_index: u64,
    },
    /// DELIVERED or ACKNOWLEDGED, and the digest of the chain that was judged.
    Mailbox {
        /// The statement.
        signed: SignedStatement,
        /// SHA-256 over the identity chain.
        chain_sha256: [u8; 32],
    },
    /// An auditor's access.
    Access(SignedStatement),
    /// An authority set the ledger's time.
    ClockStep(SignedStatement),
    /// What a participant may send.
    Grants(SignedStatement),
    /// A group's members.
    Group(SignedStatement),
    /// A held message was released, to these places, or refused.
    Release {
        /// The statement.
        signed: SignedStatement,
        /// Slots 7.1 to 7.n: where it went; none when it was refused.
        places: Vec<v1::Place>,
    },
    /// A permission.
    Permission(SignedStatement),
    /// The gateway started.
    Started(v1::Started),
    /// The directory's head.
    Head(v1::Head),
    /// A newer revocation list.
    RevocationsSeen {
        /// What it adds.
        seen: v1::RevocationsSeen,
        /// The list in DER.
        list: Bytes,
    },
    /// A correctly signed header was refused.
    Refused(v1::Refused),
    /// Refusals that were only counted.
    RefusalsCounted(v1::RefusalsCounted),
    /// Digest of the state.
    StateClaim(v1::StateClaim),
    /// Messages that nobody took in time.
    Expired(v1::Expired),
    /// Somebody is told of a message that nobody took, or has seen, in time.
    Advice {
        /// Who is told what.
        advice: v1::Advice,
        /// Slots 7.1 to 7.n: where a message waits that is not acknowledged; none of one that has ended.
        places: Vec<v1::Place>,
    },
    /// A kind that a later version has added and that may be skipped.
    Later(u16),
}

/// A message as the ledger records it.
#[derive(Clone, Debug, PartialEq)]
pub struct MessageEntry {
    /// Slot 1: the signed bytes.
    pub header: Bytes,
    /// Slot 2.
    pub signatures_sha256: [u8; 32],
    /// Slot 3.
    pub judged: v1::Judged,
    /// Slot 4.
    pub tls_fingerprint: [u8; 32],
    /// Slot 5.
    pub decision: v1::Decision,
    /// Slot 6: what the state keeps.
    pub stub: v1::Stub,
    /// Slots 7.1 to 7.n.
    pub places: Vec<v1::Place>,
    /// Slot 8.
    pub sealed_sha256: [u8; 32],
    /// Slot 9.
    pub wrap_keys: Vec<([u8; 32], KemId)>,
}

/// Why an opening is no entry that we can read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("slot {slot} of the entry: {why}")]
pub struct EntryError {
    slot: u16,
    why: String,
}

impl Entry {
    /// Reads an opening's slots.
    ///
    /// # Errors
    /// [`EntryError`] names the slot that cannot be read.
    pub fn read(opening: &Opening) -> Result<Self, EntryError> {
        let slots = opening.slots();
        let signed = || statement::decode_signed(slots.value(1, 0)).map_err(|error| bad(1, error.to_string()));
        Ok(match opening.kind() {
            EntryKind::Unspecified => Self::Later(opening.number()),
            EntryKind::Genesis => Self::Genesis(signed()?),
            EntryKind::Message => Self::Message(Box::new(MessageEntry::read(slots)?)),
            EntryKind::Directory => {
                let index = slots.value(2, 0).try_into().map_err(|_| bad(2, "is not 8 bytes".to_owned()))?;
                Self::Directory { signed: signed()?, directory_index: u64::from_be_bytes(index) }
            }
            EntryKind::Mailbox => Self::Mailbox { signed: signed()?, chain_sha256: digest(slots, 2)? },
            EntryKind::Access => Self::Access(signed()?),
            EntryKind::ClockStep => Self::ClockStep(signed()?),
            EntryKind::Grants => Self::Grants(signed()?),
            EntryKind::Group => Self::Group(signed()?),
            EntryKind::Release => Self::Release { signed: signed()?, places: places(slots)? },
            EntryKind::Permission => Self::Permission(signed()?),
            EntryKind::Started => Self::Started(proto_slot(slots, 1)?),
            EntryKind::Head => Self::Head(proto_slot(slots, 1)?),
            EntryKind::RevocationsSeen => Self::RevocationsSeen { seen: proto_slot(slots, 1)?, list: slots.bytes(2, 0) },
            EntryKind::Refused => Self::Refused(proto_slot(slots, 1)?),
            EntryKind::RefusalsCounted => Self::RefusalsCounted(proto_slot(slots, 1)?),
            EntryKind::StateClaim => Self::StateClaim(proto_slot(slots, 1)?),
            EntryKind::Expired => Self::Expired(proto_slot(slots, 1)?),
            EntryKind::Advice => Self::Advice { advice: proto_slot(slots, 1)?, places: places(slots)? },
        })
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> EntryKind {
        match self {
            Self::Genesis(_) => EntryKind::Genesis,
            Self::Message(_) => EntryKind::Message,
            Self::Directory { .. } => EntryKind::Directory,
            Self::Mailbox { .. } => EntryKind::Mailbox,
            Self::Access(_) => EntryKind::Access,
            Self::ClockStep(_) => EntryKind::ClockStep,
            Self::Grants(_) => EntryKind::Grants,
            Self::Group(_) => EntryKind::Group,
            Self::Release { .. } => EntryKind::Release,
            Self::Permission(_) => EntryKind::Permission,
            Self::Started(_) => EntryKind::Started,
            Self::Head(_) => EntryKind::Head,
            Self::RevocationsSeen { .. } => EntryKind::RevocationsSeen,
            Self::Refused(_) => EntryKind::Refused,
            Self::RefusalsCounted(_) => EntryKind::RefusalsCounted,
            Self::StateClaim(_) => EntryKind::StateClaim,
            Self::Expired(_) => EntryKind::Expired,
            Self::Advice { .. } => EntryKind::Advice,
            Self::Later(_) => EntryKind::Unspecified,
        }
    }

    /// The draft that writes this entry.
    #[must_use]
    pub fn into_draft(self) -> Draft {
        let kind = self.kind();
        let slots = Slots::new(kind);
        match self {
            Self::Message(message) => message.into_draft(),
            Self::Genesis(signed) => of_directory(kind, slots, &signed),
            Self::Directory { signed, directory_index } => {
                of_directory(kind, slots.with(2, directory_index.to_be_bytes().to_vec()), &signed)
            }
            Self::Mailbox { signed, chain_sha256 } => of_statement(kind, slots.with(2, chain_sha256.to_vec()), &signed),
            Self::Access(signed) | Self::ClockStep(signed) | Self::Grants(signed) | Self::Group(signed) | Self::Permission(signed) => {
                of_statement(kind, slots, &signed)
            }
            Self::Release { signed, places } => of_statement(kind, with_places(slots, &places), &signed),
            Self::Started(value) => Draft::new(kind, slots.with(1, value.encode_to_vec())),
            Self::Head(value) => Draft::new(kind, slots.with(1, value.encode_to_vec())),
            Self::RevocationsSeen { seen, list } => Draft::new(kind, slots.with(1, seen.encode_to_vec()).with(2, list)),
            Self::Refused(value) => Draft::new(kind, slots.with(1, value.encode_to_vec())),
            Self::RefusalsCounted(value) => Draft::new(kind, slots.with(1, value.encode_to_vec())),
            Self::StateClaim(value) => Draft::new(kind, slots.with(1, value.encode_to_vec())),
            Self::Expired(value) => Draft::new(kind, slots.with(1, value.encode_to_vec())),
            Self::Advice { advice, places } => Draft::new(kind, with_places(slots, &places).with(1, advice.encode_to_vec())),
            // Nobody here writes one; the ledger refuses a draft without a kind.
            Self::Later(_) => Draft::new(kind, slots),
        }
    }
}

impl MessageEntry {
    fn read(slots: &Slots) -> Result<Self, EntryError> {
        let wrap_key = |bytes: &[u8]| {
            let kem = KemId::try_from(i32::from(u16::from_be_bytes([bytes[0], bytes[1]]))).ok()?;
            Some((bytes[2..].try_into().ok()?, kem))
        };
        let keys = slots.value(9, 0);
        let wrap_keys: Option<Vec<_>> = keys.chunks_exact(WRAP_KEY_BYTES).map(wrap_key).collect();
        Ok(Self {
            header: slots.bytes(1, 0),
            signatures_sha256: digest(slots, 2)?,
            judged: proto_slot(slots, 3)?,
            tls_fingerprint: digest(slots, 4)?,
            decision: proto_slot(slots, 5)?,
            stub: proto_slot(slots, 6)?,
            places: places(slots)?,
            sealed_sha256: digest(slots, 8)?,
            wrap_keys: wrap_keys.filter(|_| keys.len().is_multiple_of(WRAP_KEY_BYTES)).ok_or_else(|| bad(9, "is malformed".to_owned()))?,
        })
    }

    /// The sender's reference.
    ///
    /// # Errors
    /// [`EncodingError`] when the stub holds no sound reference.
    pub fn reference(&self) -> Result<Reference, EncodingError> {
        reference_of(&self.stub)
    }

    /// The TLS peer as recorded.
    ///
    /// # Errors
    /// [`EntryError`] when slot 3 holds digests of another length.
    pub fn peer(&self, address: Address) -> Result<Peer, EntryError> {
        let digest = |bytes: &[u8]| bytes.try_into().map_err(|_| bad(3, "holds a digest that is not 32 bytes".to_owned()));
        let link = |link: &v1::CertLink| {
            Ok(crate::identity::Link { issuer_key_sha256: digest(&link.issuer_key_sha256)?, serial: link.serial.to_vec() })
        };
        Ok(Peer {
            address,
            fingerprint: self.tls_fingerprint,
            chain_sha256: digest(&self.judged.tls_chain_sha256)?,
            links: self.judged.tls_links.iter().map(link).collect::<Result<_, EntryError>>()?,
            not_after_ms: self.judged.tls_not_after_ms,
        })
    }

    fn into_draft(self) -> Draft {
        let mut keys = Vec::with_capacity(self.wrap_keys.len() * WRAP_KEY_BYTES);
        for (key_id, kem) in &self.wrap_keys {
            keys.extend_from_slice(&(*kem as u16).to_be_bytes());
            keys.extend_from_slice(key_id);
        }
        let reference = self.reference().ok();
        let message_id = self.stub.message_id.clone();
        let slots = with_places(Slots::new(EntryKind::Message), &self.places)
            .with(1, self.header)
            .with(2, self.signatures_sha256.to_vec())
            .with(3, self.judged.encode_to_vec())
            .with(4, self.tls_fingerprint.to_vec())
            .with(5, self.decision.encode_to_vec())
            .with(6, self.stub.encode_to_vec())
            .with(8, self.sealed_sha256.to_vec())
            .with(9, keys);
        let mut draft = Draft::new(EntryKind::Message, slots);
        draft.lookup_keys = vec![message_key(&message_id)];
        draft.lookup_keys.extend(reference.as_ref().map(reference_key));
        draft
    }
}

/// The reference in a stub.
///
/// # Errors
/// [`EncodingError`] when it holds none.
pub fn reference_of(stub: &v1::Stub) -> Result<Reference, EncodingError> {
    let sender = crate::canonical::address(&stub.sender, "stub.sender")?;
    Ok(Reference { sender, year: stub.year, series: stub.series, number: stub.number })
}

/// Lookup key of a message id.
#[must_use]
pub fn message_key(message_id: &[u8]) -> [u8; 32] {
    sha256_parts(&[b"ecowire/1 lookup message\0", message_id])
}

/// Lookup key of a reference: the sender's digest, cut to 16 bytes, year, series and number. A sender's keys lie side by
/// side, so that a batch touches few pages of the store.
#[must_use]
pub fn reference_key(reference: &Reference) -> [u8; 32] {
    let sender = sha256_parts(&[b"ecowire/1 lookup sender\0", reference.sender.as_str().as_bytes()]);
    let mut key = [0; 32];
    key[..16].copy_from_slice(&sender[..16]);
    key[16..20].copy_from_slice(&reference.year.to_be_bytes());
    key[20..24].copy_from_slice(&reference.series.to_be_bytes());
    key[24..].copy_from_slice(&reference.number.to_be_bytes());
    key
}

/// Lookup key of a reference in entries of stores of format 1.
#[must_use]
pub fn reference_key_v1(reference: &Reference) -> [u8; 32] {
    sha256_parts(&[b"ecowire/1 lookup reference\0", reference.to_string().as_bytes()])
}

/// Lookup key of a statement by its bytes' digest.
#[must_use]
pub fn statement_key(statement_sha256: &[u8; 32]) -> [u8; 32] {
    sha256_parts(&[b"ecowire/1 lookup statement\0", statement_sha256])
}

/// The bytes of a directory leaf: the signed statement in its one encoding.
#[must_use]
pub fn directory_leaf(signed: &SignedStatement) -> Bytes {
    signed.encode_to_vec().into()
}

fn of_directory(kind: EntryKind, slots: Slots, signed: &SignedStatement) -> Draft {
    let mut draft = of_statement(kind, slots, signed);
    draft.directory_leaf = Some(directory_leaf(signed));
    draft
}

fn of_statement(kind: EntryKind, slots: Slots, signed: &SignedStatement) -> Draft {
    let mut draft = Draft::new(kind, slots.with(1, signed.encode_to_vec()));
    draft.lookup_keys = vec![statement_key(&statement::digest_of(signed))];
    draft
}

fn places(slots: &Slots) -> Result<Vec<v1::Place>, EntryError> {
    (1..=slots.count(7)).map(|sub| proto_value(slots.value(7, sub), 7)).collect()
}

fn with_places(slots: Slots, places: &[v1::Place]) -> Slots {
    slots.with_each(7, places.iter().map(|place| place.encode_to_vec().into()))
}

fn proto_slot<M: prost::Message + Default>(slots: &Slots, tag: u16) -> Result<M, EntryError> {
    proto_value(slots.value(tag, 0), tag)
}

fn proto_value<M: prost::Message + Default>(bytes: &[u8], tag: u16) -> Result<M, EntryError> {
    M::decode(bytes).ok().filter(|value| value.encode_to_vec() == bytes).ok_or_else(|| bad(tag, "is malformed".to_owned()))
}

fn digest(slots: &Slots, tag: u16) -> Result<[u8; 32], EntryError> {
    slots.value(tag, 0).try_into().map_err(|_| bad(tag, "is not 32 bytes".to_owned()))
}

fn bad(slot: u16, why: String) -> EntryError {
    EntryError { slot, why }
}

/// u16be KEM id and the key id.
const WRAP_KEY_BYTES: usize = 34;
