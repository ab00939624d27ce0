//! What the rules cost beside the signature that they follow: admission in a network of 10,000 members with five grants each, to one
//! recipient and to 196.
//!
//! `cargo bench -p bench --bench rules`; a figure here is worth something only beside the others of the same run.

#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use bench::registry::{NOW, Registry, SIZE};
use criterion::{Criterion, criterion_group, criterion_main};
use envelope::keys::AwsLc;
use envelope::message::{Envelope, Verified};
use exchange::Found;

fn verified(registry: &Registry, recipients: usize) -> Verified {
    let envelope = Envelope::parse(registry.submission_to(0, recipients).unwrap(), &registry.network).unwrap();
    envelope.verify(&registry.peer(0), registry.exchange.state(), &AwsLc).unwrap()
}

fn rules(criterion: &mut Criterion) {
    let registry = Registry::with_grants(MEMBERS, GRANTS).unwrap();
    let mut group = criterion.benchmark_group("rules");
    for recipients in [1, 196] {
        let submission = registry.submission_to(0, recipients).unwrap();
        group.bench_function(format!("verify, {recipients} recipients"), |bencher| {
            bencher.iter(|| {
                let envelope = Envelope::parse(black_box(submission.clone()), &registry.network).unwrap();
                envelope.verify(&registry.peer(0), registry.exchange.state(), &AwsLc).unwrap()
            });
        });
        let message = verified(&registry, recipients);
        let batch = registry.exchange.batch(SIZE, NOW);
        group.bench_function(format!("admit, {recipients} recipients"), |bencher| {
            bencher.iter(|| batch.admit(Found::default(), black_box(message.clone())).unwrap());
        });
        group.bench_function(format!("a copy of it, {recipients} recipients"), |bencher| {
            bencher.iter(|| black_box(message.clone()));
        });
    }
    group.finish();
}

const MEMBERS: usize = 10_000;
/// Of each member: 50,000 in all.
const GRANTS: usize = 5;

criterion_group!(benches, rules);
criterion_main!(benches);
