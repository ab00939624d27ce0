//! One operation of the hot path, many times, over inputs that are the same each time: what `bench/counts` runs under
//! callgrind to count its instructions. `counts OPERATION` prints how many operations the measured function did.
//!
//! **Only what happens inside a function named `measured_…` is counted**; everything else here makes its inputs. Keys,
//! contents and times are fixed; what the ledger draws at random has a fixed size.

#![allow(missing_docs)]

use std::hint::black_box;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use envelope::entry::Entry;
use envelope::header::{HEADER_TYPE, wraps_root};
use envelope::identity::Link;
use envelope::key_id::encryption_key_id;
use envelope::keys::{AwsLc, SigningKey};
use envelope::message::{Envelope, Peer, Verified};
use envelope::{Address, Draft, Network, Receipt, Timestamp, dsse};
use exchange::state::{Key, Row};
use exchange::{Admission, Exchange, Rules, State};
use ledger::{Committed, Engine, Ledger, Signers};
use prost::Message as _;
use proto::v1::{self, KemId};
use tlog::{Ed25519Signer, NoteSigner as _, VerifierKey};

fn main() -> anyhow::Result<()> {
    let operation = std::env::args().nth(1).context("an operation: verify, admit, append, receipt_make or receipt_verify")?;
    let stage = Stage::new()?;
    let done = match operation.as_str() {
        "verify" => {
            let submissions = stage.submissions()?;
            measured_verify(&stage, submissions)?.len()
        }
        "admit" => {
            let verified = measured_verify(&stage, stage.submissions()?)?;
            measured_admit(&stage.exchange, verified)?.len()
        }
        "append" => {
            let (store, batches) = (Log::new()?, stage.batches()?);
            measured_append(&*store.ledger, batches)?.iter().map(|batch| batch.entries.len()).sum()
        }
        "receipt_make" | "receipt_verify" => {
            let store = Log::new()?;
            let committed = measured_append(&*store.ledger, stage.batches()?)?;
            let receipts = measured_receipt_make(&committed);
            measured_receipt_verify(&receipts, &store.key)?
        }
        other => bail!("no operation is named {other}"),
    };
    println!("{done}");
    Ok(())
}

/// What the gateway does with the bytes of a submission before the writer sees it.
#[inline(never)]
fn measured_verify(stage: &Stage, submissions: Vec<(Peer, Bytes)>) -> anyhow::Result<Vec<Verified>> {
    let mut verified = Vec::with_capacity(submissions.len());
    for (peer, bytes) in submissions {
        let envelope = Envelope::parse(v1::Submission::decode(bytes)?, &stage.network)?;
        verified.push(black_box(envelope.verify(&peer, stage.exchange.state(), &AwsLc)?));
    }
    Ok(verified)
}

/// What the writer does with a batch of verified messages before it appends them.
#[inline(never)]
fn measured_admit(exchange: &Exchange, verified: Vec<Verified>) -> anyhow::Result<Vec<Draft>> {
    let mut drafts = Vec::with_capacity(verified.len());
    for messages in verified.chunks(BATCH) {
        let mut batch = exchange.batch(SIZE, NOW);
        for message in messages {
            let Admission::New(admitted) = batch.admit(exchange::Found::default(), message.clone())? else {
                bail!("a message of this run is known")
            };
            let (entry, sealed) = admitted.into_entry();
            batch.push(&entry)?;
            drafts.push(Draft { sealed: Some(sealed), ..entry.into_draft() });
        }
        black_box(batch.finish());
    }
    Ok(drafts)
}

/// What the ledger does with the drafts of each batch: rows, encryption, tree, note, transaction; the disk is not counted.
#[inline(never)]
fn measured_append(ledger: &dyn Ledger, batches: Vec<Vec<Draft>>) -> anyhow::Result<Vec<Committed>> {
    let mut committed = Vec::with_capacity(batches.len());
    for drafts in batches {
        committed.push(black_box(ledger.append(ledger.size(), NOW, drafts)?));
    }
    Ok(committed)
}

/// What the gateway answers with.
#[inline(never)]
fn measured_receipt_make(committed: &[Committed]) -> Vec<Vec<u8>> {
    let mut receipts = Vec::new();
    for batch in committed {
        for entry in &batch.entries {
            let shown = gateway::receipts::shown_to_author(entry.opening.kind());
            let receipt = Receipt::new(entry.index, &entry.leaf, &entry.opening, &entry.path, batch.checkpoint.clone(), shown);
            receipts.push(black_box(receipt.encode()));
        }
    }
    receipts
}

/// What the sender does with the answer.
#[inline(never)]
fn measured_receipt_verify(receipts: &[Vec<u8>], log: &VerifierKey) -> anyhow::Result<usize> {
    for receipt in receipts {
        black_box(Receipt::decode(receipt)?.verify(log)?);
    }
    Ok(receipts.len())
}

/// A network of [`PARTICIPANTS`], as rows: minting it would take random keys.
struct Stage {
    network: Network,
    exchange: Exchange,
    addresses: Vec<Address>,
    keys: Vec<SigningKey>,
}

impl Stage {
    fn new() -> anyhow::Result<Self> {
        let network = Network::parse("bench.test")?;
        let addresses = (0..PARTICIPANTS).map(address).collect::<Result<Vec<_>, _>>()?;
        let keys = (0..PARTICIPANTS).map(signing_key).collect::<Result<Vec<_>, _>>()?;
        let mut state = State::default();
        state.set(Key::Network, Row::Network(Box::new(network_row(&network))));
        state.set(Key::Clock, Row::Clock(v1::ClockRow { last_ms: NOW.ms() }));
        let directory = v1::DirectoryRow { size: 1, head_size: 1, head_ms: NOW.ms(), subtrees: vec![digest(b"directory", 0)] };
        state.set(Key::Directory, Row::Directory(Box::new(directory)));
        state.set(Key::Head(1), Row::Head(v1::HeadRow { root: digest(b"directory", 0), index: 1, at_ms: NOW.ms() }));
        for (at, (address, key)) in addresses.iter().zip(&keys).enumerate() {
            enrol(&mut state, at, address, key);
        }
        let [all, messages] = [state.digest(), state.messages_digest()].map(|sum| sum.to_vec().into());
        let sum = v1::SnapshotSum { size: SIZE, state_sha256_sum: all, messages_sha256_sum: messages }.encode_to_vec();
        let rows = state.rows().map(|(key, row)| (key.encode(), row.encode())).chain([(Vec::new(), sum)]);
        let rows: Vec<(Vec<u8>, Vec<u8>)> = rows.collect();
        let exchange = Exchange::from_snapshot(rows.iter().map(|(key, row)| (&key[..], &row[..])), None, Rules::default())?.0;
        Ok(Self { network, exchange, addresses, keys })
    }

    /// One message of each of the first [`MESSAGES`] participants, to the one after it, as bytes.
    fn submissions(&self) -> anyhow::Result<Vec<(Peer, Bytes)>> {
        (0..MESSAGES).map(|at| Ok((peer(at, &self.addresses[at]), self.submission(at)?.encode_to_vec().into()))).collect()
    }

    /// Drafts of all messages, cut into batches.
    fn batches(&self) -> anyhow::Result<Vec<Vec<Draft>>> {
        let drafts = measured_admit(&self.exchange, measured_verify(self, self.submissions()?)?)?;
        Ok(drafts.chunks(BATCH).map(<[Draft]>::to_vec).collect())
    }

    /// Sealed by nobody: wraps and content have the right sizes and the header commits to them.
    fn submission(&self, at: usize) -> anyhow::Result<v1::Submission> {
        let (sender, recipient, key) = (&self.addresses[at], (at + 1) % PARTICIPANTS, &self.keys[at]);
        let wrap = v1::Wrap {
            index: 0,
            key_id: encryption_key(recipient).0.to_vec().into(),
            kem: KemId::XWing.into(),
            enc: filled(b"enc", at, 1120),
            ct: filled(b"ct", at, 48),
        };
        let (wraps, content) = (vec![Bytes::from(wrap.encode_to_vec())], filled(b"content", at, CONTENT_BYTES));
        let context = v1::Context {
            version: 1,
            network: self.network.to_string(),
            sender: sender.to_string(),
            year: NOW.year(),
            series: 1,
            number: 8,
            signers: vec![key.public().signer_ref()],
            recipients: vec![self.addresses[recipient].to_string()],
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

/// A ledger of one entry on a disk of its own.
struct Log {
    ledger: Box<dyn Ledger>,
    key: VerifierKey,
    _folder: tempfile::TempDir,
}

impl Log {
    fn new() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let (origin, directory_origin) = ("bench.test/log/0/00000000".to_owned(), "bench.test/directory/00000000".to_owned());
        let log = Ed25519Signer::from_seed(&origin, &[1; 32])?;
        let directory = Ed25519Signer::from_seed(&directory_origin, &[2; 32])?;
        let key = log.key().clone();
        let config = ledger::Config { origin, directory_origin, genesis_sha256: [3; 32], created_by: "counts".to_owned() };
        let signers = Signers { log: Box::new(log), directory: Box::new(directory) };
        let ledger = ledger::create(Engine::Redb, folder.path(), &config, signers)?;
        let started = v1::Started { random: digest(b"start", 0), version: "counts".to_owned() };
        ledger.append(0, NOW, vec![Entry::Started(started).into_draft()])?;
        Ok(Self { ledger, key, _folder: folder })
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
        rules_version: 1,
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
        (Key::Mailbox(address.clone()), Row::Mailbox(v1::MailboxRow { last_seq: 7, last_index: 7 })),
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
const NOW: Timestamp = Timestamp(1_795_374_960_000);
const DAY_MS: u64 = 86_400_000;
/// Participants of the network.
const PARTICIPANTS: usize = 1000;
/// Messages of a run: enough that the signatures' own differences even out.
const MESSAGES: usize = 256;
/// Messages of a commit.
const BATCH: usize = 64;
/// A short report, padded.
const CONTENT_BYTES: usize = 1040;
/// Entries before the first batch.
const SIZE: u64 = 2;
