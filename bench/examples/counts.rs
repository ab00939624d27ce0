//! One operation of the hot path, many times, over inputs that are the same each time: what `bench/counts` runs under
//! callgrind to count its instructions. `counts OPERATION` prints how many operations the measured function did.
//!
//! **Only what happens inside a function named `measured_…` is counted**; everything else here makes its inputs. Keys,
//! contents and times are fixed; what the ledger draws at random has a fixed size.

#![allow(missing_docs)]

use std::hint::black_box;

use anyhow::{Context as _, bail};
use bench::registry::{NOW, Registry, SIZE};
use bytes::Bytes;
use envelope::entry::Entry;
use envelope::keys::AwsLc;
use envelope::message::{Envelope, Peer, Verified};
use envelope::{Draft, Receipt};
use exchange::{Admission, Exchange};
use ledger::{Committed, Engine, Ledger, Signers};
use prost::Message as _;
use proto::v1;
use tlog::{Ed25519Signer, NoteSigner as _, VerifierKey};

fn main() -> anyhow::Result<()> {
    let operation = std::env::args().nth(1).context("an operation: verify, admit, append, receipt_make or receipt_verify")?;
    let stage = Registry::new(PARTICIPANTS)?;
    let done = match operation.as_str() {
        "verify" => {
            let submissions = submissions(&stage)?;
            measured_verify(&stage, submissions)?.len()
        }
        "admit" => {
            let verified = measured_verify(&stage, submissions(&stage)?)?;
            measured_admit(&stage.exchange, verified)?.len()
        }
        "append" => {
            let (store, batches) = (Log::new()?, batches(&stage)?);
            measured_append(&*store.ledger, batches)?.iter().map(|batch| batch.entries.len()).sum()
        }
        "receipt_make" | "receipt_verify" => {
            let store = Log::new()?;
            let committed = measured_append(&*store.ledger, batches(&stage)?)?;
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
fn measured_verify(stage: &Registry, submissions: Vec<(Peer, Bytes)>) -> anyhow::Result<Vec<Verified>> {
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

/// One message of each of the first [`MESSAGES`] participants, to the one after it, as bytes.
fn submissions(stage: &Registry) -> anyhow::Result<Vec<(Peer, Bytes)>> {
    (0..MESSAGES).map(|at| Ok((stage.peer(at), stage.submission(at)?.encode_to_vec().into()))).collect()
}

/// Drafts of all messages, cut into batches.
fn batches(stage: &Registry) -> anyhow::Result<Vec<Vec<Draft>>> {
    let drafts = measured_admit(&stage.exchange, measured_verify(stage, submissions(stage)?)?)?;
    Ok(drafts.chunks(BATCH).map(<[Draft]>::to_vec).collect())
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
        let started = v1::Started { random: tlog::sha256(b"start").to_vec().into(), version: "counts".to_owned() };
        ledger.append(0, NOW, vec![Entry::Started(started).into_draft()])?;
        Ok(Self { ledger, key, _folder: folder })
    }
}

/// Participants of the network.
const PARTICIPANTS: usize = 1000;
/// Messages of a run: enough that the signatures' own differences even out.
const MESSAGES: usize = 256;
/// Messages of a commit.
const BATCH: usize = 64;
