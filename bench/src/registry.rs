//! A network as rows of the state, and messages that its members could have sent: for what counts or times the rules without a
//! disk, a wire or random keys. Keys, contents and times are the same each time.
//!
//! Messages are sealed by nobody: wraps and content have the right sizes, and the header commits to them.

use bytes::Bytes;
use envelope::header::{HEADER_TYPE, wraps_root};
use envelope::identity::Link;
use envelope::key_id::encryption_key_id;
use envelope::keys::SigningKey;
use envelope::message::Peer;
use envelope::{Address, Network, Timestamp, dsse};
use exchange::state::{Key, Row};
use exchange::{Exchange, Rules, State};
use prost::Message as _;
use proto::v1::{self, KemId};

/// A network as rows: minting it would take random keys.
#[derive(Debug)]
pub struct Registry {
    /// Its name.
    pub network: Network,
    /// Its state, which judges.
    pub exchange: Exchange,
    /// Its members: 676 bureaus, then posts below one of them.
    pub addresses: Vec<Address>,
    keys: Vec<SigningKey>,
}

impl Registry {
    /// A network of so many members.
    ///
    /// # Errors
    /// When there is no address for one of them.
    pub fn new(members: usize) -> anyhow::Result<Self> {
        Self::with_grants(members, 0)
    }

    /// As [`Registry::new`]; each member has so many grants of its own, of which the last one covers its messages.
    ///
    /// # Errors
    /// As [`Registry::new`].
    pub fn with_grants(members: usize, grants: usize) -> anyhow::Result<Self> {
        let network = Network::parse("bench.test")?;
        let addresses = (0..members).map(address).collect::<Result<Vec<_>, _>>()?;
        let keys = (0..members).map(signing_key).collect::<Result<Vec<_>, _>>()?;
        let mut state = State::default();
        state.set(Key::Network, Row::Network(Box::new(network_row(&network))));
        state.set(Key::Clock, Row::Clock(v1::ClockRow { last_ms: NOW.ms() }));
        let directory = v1::DirectoryRow { size: 1, head_size: 1, head_ms: NOW.ms(), subtrees: vec![digest(b"directory", 0)] };
        state.set(Key::Directory, Row::Directory(Box::new(directory)));
        state.set(Key::Head(1), Row::Head(v1::HeadRow { root: digest(b"directory", 0), index: 1, at_ms: NOW.ms() }));
        for (at, (address, key)) in addresses.iter().zip(&keys).enumerate() {
            enrol(&mut state, at, address, key);
            if grants > 0 {
                let row = v1::GrantsRow { grants: (1..=grants).map(|number| grant(number == grants)).collect(), index: 1 };
                state.set(Key::Grants(address.clone()), Row::Grants(row));
            }
        }
        let [all, messages] = [state.digest(), state.messages_digest()].map(|sum| sum.to_vec().into());
        let sum = v1::SnapshotSum { size: SIZE, state_sha256_sum: all, messages_sha256_sum: messages }.encode_to_vec();
        let rows = state.rows().map(|(key, row)| (key.encode(), row.encode())).chain([(Vec::new(), sum)]);
        let rows: Vec<(Vec<u8>, Vec<u8>)> = rows.collect();
        let exchange = Exchange::from_snapshot(rows.iter().map(|(key, row)| (&key[..], &row[..])), None, Rules::default())?.0;
        Ok(Self { network, exchange, addresses, keys })
    }

    /// Who brings the messages of member `at`.
    #[must_use]
    pub fn peer(&self, at: usize) -> Peer {
        peer(at, &self.addresses[at])
    }

    /// A message of member `at` to the one after it.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn submission(&self, at: usize) -> anyhow::Result<v1::Submission> {
        self.submission_to(at, 1)
    }

    /// A message of member `at` to so many after it.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn submission_to(&self, at: usize, recipients: usize) -> anyhow::Result<v1::Submission> {
        let (sender, key) = (&self.addresses[at], &self.keys[at]);
        let recipients: Vec<usize> = (1..=recipients).map(|next| (at + next) % self.addresses.len()).collect();
        let wrap = |(index, recipient): (usize, &usize)| {
            let wrap = v1::Wrap {
                index: index as u32,
                key_id: encryption_key(*recipient).0.to_vec().into(),
                kem: KemId::XWing.into(),
                enc: filled(b"enc", at, 1120),
                ct: filled(b"ct", at, 48),
            };
            Bytes::from(wrap.encode_to_vec())
        };
        let wraps: Vec<Bytes> = recipients.iter().enumerate().map(wrap).collect();
        let content = filled(b"content", at, CONTENT_BYTES);
        let context = v1::Context {
            version: 1,
            network: self.network.to_string(),
            sender: sender.to_string(),
            year: NOW.year(),
            series: 1,
            number: 8,
            signers: vec![key.public().signer_ref()],
            recipients: recipients.iter().map(|recipient| self.addresses[*recipient].to_string()).collect(),
            kind: v1::Kind::Message.into(),
            priority: v1::Priority::Routine.into(),
            classification: v1::Classification::OfficialUseOnly.into(),
            handling: v1::Handling::H0.into(),
            created_ms: NOW.ms(),
            expires_ms: NOW.plus(30 * DAY_MS).ms(),
            clock: v1::ClockQuality::Ntp.into(),
            content_suite: v1::ContentSuite::Aes256Gcm.into(),
            directory_size: 1,
            directory_root: digest(b"directory", 0),
            deny_digest: digest(b"deny", at),
            ipsg_opt_out: v1::OptOut::None.into(),
            ..v1::Context::default()
        };
        let header = v1::Header {
            context: context.encode_to_vec().into(),
            key_commitment: digest(b"commitment", at),
            content_sha256: tlog::sha256(&content).to_vec().into(),
            content_size: content.len() as u64,
            wraps_root: wraps_root(&wraps).as_bytes().to_vec().into(),
            attachments: Vec::new(),
        };
        let header = Bytes::from(header.encode_to_vec());
        let signatures = dsse::sign(HEADER_TYPE, &header, &[key]);
        Ok(v1::Submission { signed: Some(v1::SignedHeader { header, signatures: signatures? }), wraps, content, tag: at as u64 })
    }
}

fn network_row(network: &Network) -> v1::NetworkRow {
    let grant = |class: v1::ParticipantClass| v1::ClassGrant {
        class: class.into(),
        kinds: vec![v1::Kind::Message.into(), v1::Kind::Alert.into()],
        priorities: vec![v1::Priority::Routine.into(), v1::Priority::Urgent.into()],
        classifications: vec![v1::Classification::OfficialUseOnly.into()],
    };
    let policy = v1::Policy {
        rules_version: 2,
        lifetime_max_ms: 60 * DAY_MS,
        lifetime_min_ms: DAY_MS,
        skew_max_ms: 300_000,
        stale_key_grace_ms: DAY_MS,
        kems: vec![KemId::XWing.into()],
        grants: vec![grant(v1::ParticipantClass::Ncb)],
        flash_per_day: 10,
        ..v1::Policy::default()
    };
    v1::NetworkRow { network: network.to_string(), policy: Some(policy), policy_position: 1, ..v1::NetworkRow::default() }
}

/// A grant of what the messages are, or of something else.
fn grant(of_messages: bool) -> v1::Grant {
    let kind = if of_messages { v1::Kind::Message } else { v1::Kind::Alert };
    v1::Grant {
        kinds: vec![kind.into()],
        priorities: vec![v1::Priority::Routine.into(), v1::Priority::Urgent.into()],
        classifications: vec![v1::Classification::OfficialUseOnly.into()],
        audience: v1::Audience::All.into(),
        expires_ms: 0,
    }
}

/// Everything that the state has of a participant that sends and receives.
fn enrol(state: &mut State, at: usize, address: &Address, key: &SigningKey) {
    let link = |link: &Link| v1::CertLink { issuer_key_sha256: link.issuer_key_sha256.to_vec().into(), serial: link.serial.clone().into() };
    let participant = v1::ParticipantRow {
        state: v1::ParticipantState::Active.into(),
        key_id: key.key_id().to_vec().into(),
        alg: v1::SigAlg::Ed25519.into(),
        public: key.public().as_bytes().to_vec().into(),
        not_before_ms: NOW.ms() - DAY_MS,
        not_after_ms: NOW.plus(300 * DAY_MS).ms(),
        links: peer(at, address).links.iter().map(link).collect(),
        chain_sha256: digest(b"chain", at),
        clearance: v1::Classification::Restricted.into(),
        open_to_foreign: false,
        oversight: v1::OversightMode::Copy.into(),
    };
    let (key_id, owner) = (encryption_key(at).0, address.to_string());
    let current = v1::KeyState::Current;
    let row = v1::KeyRow { key_id: key_id.to_vec().into(), kem: KemId::XWing.into(), state: current.into(), since_ms: NOW.ms() };
    let used = vec![v1::NumberRange { first: 1, last: 7 }];
    let year = NOW.year();
    for (key, row) in [
        (Key::Participant(address.clone()), Row::Participant(Box::new(participant))),
        (Key::Identity(key.key_id()), Row::Identity(v1::IdentityRow { address: owner.clone() })),
        (Key::Keys(address.clone()), Row::Keys(v1::KeysRow { keys: vec![row] })),
        (Key::KeyOwner(key_id), Row::KeyOwner(v1::KeyOwnerRow { address: owner, state: current.into() })),
        (Key::Sender(address.clone()), Row::Sender(v1::SenderRow { year, series: 1, first_year: year, first_series: 1 })),
        (Key::Series(address.clone(), year, 1), Row::Series(v1::SeriesRow { used })),
        (Key::Mailbox(address.clone()), Row::Mailbox(v1::MailboxRow { last_seq: 7, last_index: 7, last_advice: 0 })),
    ] {
        state.set(key, row);
    }
}

/// `aa`, `ab`, … and behind `zz` the posts `aa/cus/p0`, …
fn address(at: usize) -> Result<Address, envelope::address::AddressError> {
    let letter = |n: usize| char::from(b'a' + (n % 26) as u8);
    let bureau = format!("{}{}", letter(at / 26), letter(at));
    if at < 26 * 26 { Address::parse(&bureau) } else { Address::parse(&format!("{bureau}/cus/p{at}")) }
}

fn peer(at: usize, address: &Address) -> Peer {
    let link = |of: &[u8]| Link { issuer_key_sha256: tlog::sha256(of), serial: vec![1, (at >> 8) as u8, at as u8] };
    Peer {
        address: address.clone(),
        fingerprint: tlog::sha256(&at.to_be_bytes()),
        chain_sha256: tlog::sha256(&[7]),
        links: vec![link(b"country"), link(b"root")],
        not_after_ms: NOW.plus(100 * DAY_MS).ms(),
    }
}

/// RFC 8410: an Ed25519 key in PKCS#8 is this and its seed.
fn signing_key(at: usize) -> anyhow::Result<SigningKey> {
    const PREFIX: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    Ok(SigningKey::from_pkcs8(&[&PREFIX[..], &digest(b"identity", at)].concat())?)
}

/// Id and bytes of a public key that nobody has the other half of.
fn encryption_key(at: usize) -> ([u8; 32], Bytes) {
    let public = filled(b"key", at, 1216);
    (encryption_key_id(KemId::XWing, &public), public)
}

fn digest(what: &[u8], at: usize) -> Bytes {
    tlog::sha256_parts(&[what, &at.to_be_bytes()]).to_vec().into()
}

fn filled(what: &[u8], at: usize, bytes: usize) -> Bytes {
    digest(what, at).iter().copied().cycle().take(bytes).collect()
}

/// 2026-11-22T19:16:00Z.
pub const NOW: Timestamp = Timestamp(1_795_374_960_000);
const DAY_MS: u64 = 86_400_000;
/// A short report, padded.
const CONTENT_BYTES: usize = 1040;
/// Entries before the first batch.
pub const SIZE: u64 = 2;
