//! What rows stand under, and the bytes of it that the digest takes (SPEC.md 9). It knows no row.

use envelope::Address;
use proto::v1;

/// What a row stands under. The order of the variants is the order of their encoding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// Network, policy, authority: [`v1::NetworkRow`].
    Network,
    /// The ledger's time: [`v1::ClockRow`].
    Clock,
    /// A participant: [`v1::ParticipantRow`].
    Participant(Address),
    /// Owner of an identity key: [`v1::IdentityRow`].
    Identity([u8; 32]),
    /// A participant's encryption keys: [`v1::KeysRow`].
    Keys(Address),
    /// Owner of an encryption key: [`v1::KeyOwnerRow`].
    KeyOwner([u8; 32]),
    /// Head of a chain of statements; `None` is the network authority: [`v1::ChainRow`].
    Chain(Option<Address>, v1::StatementKind, Option<Address>),
    /// A sender's latest series: [`v1::SenderRow`].
    Sender(Address),
    /// Numbers that a series has used: [`v1::SeriesRow`].
    Series(Address, u32, u32),
    /// A mailbox's end: [`v1::MailboxRow`].
    Mailbox(Address),
    /// A message in a mailbox: [`v1::PlaceRow`].
    Place(Address, u64),
    /// A message by the index of its entry: [`v1::MessageRow`].
    Message(u64),
    /// The newest revocation list of an issuer: [`v1::CrlRow`].
    Crl([u8; 32]),
    /// A revoked certificate by issuer key and serial: [`v1::RevokedRow`].
    Revoked([u8; 32], Vec<u8>),
    /// The directory's right edge: [`v1::DirectoryRow`].
    Directory,
    /// A directory head by size: [`v1::HeadRow`].
    Head(u64),
    /// A sender's use of a day: [`v1::QuotaRow`].
    Quota(Address),
    /// An auditor's access: [`v1::AccessRow`].
    Access(Address),
    /// What a participant may send: [`v1::GrantsRow`].
    Grants(Address),
    /// A group: [`v1::GroupRow`].
    Group(Address),
    /// A message that is or was held, by the index of its entry: [`v1::HeldRow`].
    Held(u64),
    /// A permission by the digest of its statement: [`v1::PermissionRow`].
    Permission([u8; 32]),
    /// What the gateway told somebody, by its number: [`v1::AdviceRow`].
    Advice(Address, u64),
}

impl Key {
    /// The bytes that the digest takes: one byte for the variant, then its fields; texts and serials with a length byte.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![self.tag()];
        match self {
            Self::Network | Self::Clock | Self::Directory => {}
            Self::Participant(a)
            | Self::Keys(a)
            | Self::Sender(a)
            | Self::Mailbox(a)
            | Self::Quota(a)
            | Self::Access(a)
            | Self::Grants(a)
            | Self::Group(a) => push_text(&mut bytes, a.as_str()),
            Self::Identity(id) | Self::KeyOwner(id) | Self::Crl(id) | Self::Permission(id) => bytes.extend_from_slice(id),
            Self::Chain(issuer, kind, subject) => {
                push_text(&mut bytes, issuer.as_ref().map_or("", Address::as_str));
                bytes.push(*kind as u8);
                push_text(&mut bytes, subject.as_ref().map_or("", Address::as_str));
            }
            Self::Series(sender, year, series) => {
                push_text(&mut bytes, sender.as_str());
                bytes.extend_from_slice(&year.to_be_bytes());
                bytes.extend_from_slice(&series.to_be_bytes());
            }
            Self::Place(address, seq) | Self::Advice(address, seq) => {
                push_text(&mut bytes, address.as_str());
                bytes.extend_from_slice(&seq.to_be_bytes());
            }
            Self::Message(number) | Self::Head(number) | Self::Held(number) => bytes.extend_from_slice(&number.to_be_bytes()),
            Self::Revoked(issuer, serial) => {
                bytes.extend_from_slice(issuer);
                bytes.push(serial.len() as u8);
                bytes.extend_from_slice(serial);
            }
        }
        bytes
    }

    /// Reads what [`Key::encode`] wrote; `None` for anything else.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut input = Input(bytes);
        let key = match input.byte()? {
            1 => Self::Network,
            2 => Self::Clock,
            3 => Self::Participant(input.address()?),
            4 => Self::Identity(input.array()?),
            5 => Self::Keys(input.address()?),
            6 => Self::KeyOwner(input.array()?),
            7 => {
                let (issuer, kind) = (input.party()?, v1::StatementKind::try_from(i32::from(input.byte()?)).ok()?);
                Self::Chain(issuer, kind, input.party()?)
            }
            8 => Self::Sender(input.address()?),
            9 => Self::Series(input.address()?, u32::from_be_bytes(input.array()?), u32::from_be_bytes(input.array()?)),
            10 => Self::Mailbox(input.address()?),
            11 => Self::Place(input.address()?, u64::from_be_bytes(input.array()?)),
            12 => Self::Message(u64::from_be_bytes(input.array()?)),
            13 => Self::Crl(input.array()?),
            14 => Self::Revoked(input.array()?, input.short()?.to_vec()),
            15 => Self::Directory,
            16 => Self::Head(u64::from_be_bytes(input.array()?)),
            17 => Self::Quota(input.address()?),
            18 => Self::Access(input.address()?),
            19 => Self::Grants(input.address()?),
            20 => Self::Group(input.address()?),
            21 => Self::Held(u64::from_be_bytes(input.array()?)),
            22 => Self::Permission(input.array()?),
            23 => Self::Advice(input.address()?, u64::from_be_bytes(input.array()?)),
            _ => return None,
        };
        input.0.is_empty().then_some(key)
    }

    fn tag(&self) -> u8 {
        match self {
            Self::Network => 1,
            Self::Clock => 2,
            Self::Participant(_) => 3,
            Self::Identity(_) => 4,
            Self::Keys(_) => 5,
            Self::KeyOwner(_) => 6,
            Self::Chain(..) => 7,
            Self::Sender(_) => 8,
            Self::Series(..) => 9,
            Self::Mailbox(_) => 10,
            Self::Place(..) => 11,
            Self::Message(_) => 12,
            Self::Crl(_) => 13,
            Self::Revoked(..) => 14,
            Self::Directory => 15,
            Self::Head(_) => 16,
            Self::Quota(_) => 17,
            Self::Access(_) => 18,
            Self::Grants(_) => 19,
            Self::Group(_) => 20,
            Self::Held(_) => 21,
            Self::Permission(_) => 22,
            Self::Advice(..) => 23,
        }
    }
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }
    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }
    fn short(&mut self) -> Option<&'a [u8]> {
        let length = self.byte()?;
        self.take(length.into())
    }
    fn address(&mut self) -> Option<Address> {
        Address::parse(std::str::from_utf8(self.short()?).ok()?).ok()
    }
    fn party(&mut self) -> Option<Option<Address>> {
        let text = std::str::from_utf8(self.short()?).ok()?;
        if text.is_empty() { Some(None) } else { Address::parse(text).ok().map(Some) }
    }
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.push(text.len() as u8);
    bytes.extend_from_slice(text.as_bytes());
}
