//! What one message costs: signatures, sealing and opening, the gateway's check, leaf, slots and receipt.

#[path = "../tests/stage/mod.rs"]
mod stage;

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use envelope::keys::{AwsLc, Ring, Signer as _, SigningKey};
use envelope::message::{Envelope, Peer};
use envelope::slots::{Opening, SlotId, Slots};
use envelope::{Receipt, Timestamp, seal};
use prost::Message as _;
use proto::v1::{self, EntryKind};
use stage::{Enrolled, Post, body, context, delivery, message, network, parsed, read, sealed, signed};
use tlog::{Checkpoint, Ed25519Signer, Hash, NoteSigner as _, leaf_hash, small};

const RECIPIENTS: [usize; 3] = [1, 10, 195];

fn posts(count: usize) -> Vec<Post> {
    (0..count).map(|at| Post::new(&format!("ke/x{at}"))).collect()
}

/// One Ed25519 signature over 300 bytes, by the rule.
fn verify(c: &mut Criterion) {
    let (key, _) = SigningKey::generate().expect("random bytes");
    let bytes = [7; 300];
    let (public, signature) = (key.public(), key.sign(&bytes).expect("signed"));
    let mut group = c.benchmark_group("verify");
    group.bench_function("ring", |b| b.iter(|| black_box(&public).verify(&Ring, black_box(&bytes), &signature)));
    group.bench_function("aws-lc-rs", |b| b.iter(|| black_box(&public).verify(&AwsLc, black_box(&bytes), &signature)));
    group.finish();
}

/// 1 KiB to 1, 10 and 195 recipients.
fn seals(c: &mut Criterion) {
    let mut group = c.benchmark_group("seal");
    group.sample_size(20);
    for count in RECIPIENTS {
        let (sender, recipients) = (Post::new("ke"), posts(count));
        let context = context(&[&sender], &recipients.iter().collect::<Vec<_>>());
        let keys: Vec<Bytes> = recipients.iter().map(|post| post.key.public().clone()).collect();
        let body = body(1024);
        group.bench_function(BenchmarkId::from_parameter(count), |b| {
            b.iter(|| seal::seal(black_box(&context), &body, &keys, &[&sender.identity]))
        });
    }
    group.finish();
}

/// The gateway: form, commitments, signature.
fn admits(c: &mut Criterion) {
    let mut group = c.benchmark_group("admit");
    for count in RECIPIENTS {
        let (sender, recipients) = (Post::new("ke"), posts(count));
        let list: Vec<&Post> = recipients.iter().collect();
        let submission = sealed(&context(&[&sender], &list), &body(1024), &list, &[&sender]);
        let enrolled = Enrolled(vec![&sender]);
        let peer = Peer {
            address: sender.address.clone(),
            fingerprint: [1; 32],
            chain_sha256: [2; 32],
            links: Vec::new(),
            not_after_ms: u64::MAX,
        };
        let network = network();
        let admit = |submission: v1::Submission| {
            Envelope::parse(submission, &network).and_then(|envelope| envelope.verify(&peer, &enrolled, &AwsLc))
        };
        assert!(admit(submission.clone()).is_ok());
        group.bench_function(BenchmarkId::from_parameter(count), |b| b.iter_batched(|| submission.clone(), admit, BatchSize::SmallInput));
    }
    group.finish();
}

/// The recipient: form, signature, wrap, content of 1 KiB.
fn opens(c: &mut Criterion) {
    let posts = Post::many(&["ke", "th"]);
    let enrolled = Enrolled(vec![&posts[0]]);
    let submission = sealed(&context(&[&posts[0]], &[&posts[1]]), &body(1024), &[&posts[1]], &[&posts[0]]);
    let delivery = delivery(&submission, 0);
    assert!(read(&posts[1], &enrolled, &delivery).is_ok());
    c.bench_function("open", |b| b.iter(|| read(&posts[1], &enrolled, black_box(&delivery))));
}

/// The slots of a message as the exchange fills them, but for what it knows alone.
fn slots(submission: &v1::Submission) -> Slots {
    let header = parsed(submission);
    let place = |(at, address): (usize, &envelope::Address)| v1::Place { address: address.to_string(), mailbox_seq: at as u64 + 1 };
    let stub = v1::Stub {
        sender: "ke".to_owned(),
        year: 2026,
        series: 1,
        number: 417,
        message_id: header.message_id.to_vec().into(),
        ..v1::Stub::default()
    };
    Slots::new(EntryKind::Message)
        .with(1, signed(submission).header.clone())
        .with(2, vec![2; 32])
        .with(3, vec![3; 200])
        .with(4, vec![4; 32])
        .with(5, vec![5; 8])
        .with(6, stub.encode_to_vec())
        .with_each(7, header.context.recipients.iter().enumerate().map(|at| place(at).encode_to_vec().into()))
        .with(8, vec![8; 32])
        .with(9, vec![9; 34 * header.context.recipients.len()])
}

fn for_recipient((tag, sub): SlotId) -> bool {
    tag != 7 || sub == 1
}

/// The leaf of a message, and its receipt in a log of 1,024 entries: made, and verified offline.
fn receipts(c: &mut Criterion) {
    let signer = Ed25519Signer::from_seed("ecowire.test/log/0/00112233", &[7; 32]).expect("a sound name");
    for count in RECIPIENTS {
        let (sender, recipients) = (Post::new("ke"), posts(count));
        let slots = slots(&message(&sender, &recipients.iter().collect::<Vec<_>>()));
        let opening = Opening::new(EntryKind::Message, [7; 32], slots.clone()).expect("slots of a message");
        let leaf = opening.leaf(Timestamp(stage::CREATED_MS));
        let mut leaves: Vec<Hash> = (0..1024u64).map(|at| leaf_hash(&at.to_be_bytes())).collect();
        leaves[700] = leaf.hash();
        let checkpoint = Checkpoint { origin: "ecowire.test/log/0/00112233".to_owned(), size: 1024, root: small::root(&leaves) };
        let note = Bytes::from(checkpoint.sign(&signer).expect("a sound checkpoint"));
        let path = small::path(&leaves, 700).expect("the index is in the tree");
        let receipt = || Receipt::new(700, &leaf, &opening, &path, note.clone(), for_recipient);
        let bytes = receipt().encode();
        assert!(Receipt::decode(&bytes).and_then(|receipt| receipt.verify(signer.key())).is_ok());
        let made = |slots: Slots| {
            Opening::new(EntryKind::Message, [7; 32], slots).map(|opening| opening.leaf(Timestamp(stage::CREATED_MS)).hash())
        };
        c.bench_function(&format!("leaf/{count}"), |b| b.iter_batched(|| slots.clone(), made, BatchSize::SmallInput));
        c.bench_function(&format!("receipt-make/{count}"), |b| b.iter(|| receipt().encode()));
        c.bench_function(&format!("receipt-verify/{count}"), |b| {
            b.iter(|| Receipt::decode(black_box(&bytes)).and_then(|receipt| receipt.verify(signer.key())))
        });
    }
}

criterion_group!(benches, verify, seals, admits, opens, receipts);
criterion_main!(benches);
