//! A replay leads to the same verdict whatever the size of its chunks, and to the same finding when something was changed.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use bench::fleet::Fleet;
use bench::load::drive;
use bench::process::Process;
use bench::replay::Auditor;
use client::audit::{Depth, Replay, Verdict};
use prost::Message as _;
use proto::v1;
use tlog::Checkpoint;

const MESSAGES: u64 = 40;

fn judge(fleet: &Fleet, entries: &[v1::ReplayResponse], checkpoint: &Checkpoint, chunk: usize) -> (Verdict, Vec<u64>) {
    let (mut replay, mut heard) = (Replay::new(fleet.trust.genesis_sha256, Depth::Rules, checkpoint.clone()), Vec::new());
    for some in entries.chunks(chunk) {
        replay.push(some.to_vec(), &mut |line| heard.push(line.index)).unwrap();
    }
    replay.settle(&mut |line| heard.push(line.index)).unwrap();
    assert_eq!(replay.contradiction(checkpoint), None);
    (replay.verdict(checkpoint.clone()), heard)
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_of_any_size_lead_to_the_same_verdict() {
    let scratch = tempfile::tempdir().unwrap();
    let fleet = Fleet::mint(scratch.path(), 1).unwrap();
    let config = scratch.path().join("gateway.toml").display().to_string();
    let program = Path::new(env!("CARGO_BIN_EXE_ecowire-bench"));
    let process = Process::start(program, &["gateway", "--config", &config], &scratch.path().join("log")).unwrap();
    let head = fleet.publish_key(&process.url).await.unwrap();
    let sender = &fleet.senders[0];
    let load = fleet.seal_many(&head, sender, &fleet.recipients, 1..=MESSAGES, 64).unwrap();
    let answers = drive(fleet.connect(&process.url, sender).await.unwrap(), load, 8).await;
    assert!(answers.len() as u64 == MESSAGES && answers.iter().all(|answer| answer.problem.is_none()));
    let auditor = Auditor::connect(&fleet, &process.url).await.unwrap();
    let (mut stream, mut entries, mut note) = (auditor.replay().await.unwrap(), Vec::new(), Vec::new());
    while let Some(entry) = stream.message().await.unwrap() {
        if entry.checkpoint.is_empty() { entries.push(entry) } else { note = entry.checkpoint.to_vec() }
    }
    let checkpoint = Checkpoint::open(&note, &fleet.trust.log_verifier().unwrap()).unwrap();
    let in_order: Vec<u64> = (0..checkpoint.size).collect();
    let (whole, heard) = judge(&fleet, &entries, &checkpoint, usize::MAX);
    assert_eq!((whole.findings.len(), whole.judged, heard), (0, checkpoint.size, in_order.clone()));
    for chunk in [1, 7, 17] {
        let (verdict, heard) = judge(&fleet, &entries, &checkpoint, chunk);
        assert_eq!((verdict.state_digest, verdict.root, heard), (whole.state_digest, whole.root, in_order.clone()), "{chunk}");
        assert_eq!((verdict.findings.len(), &verdict.counts), (0, &whole.counts));
    }

    // A signature of the last message is changed: the same finding, prepared ahead or not.
    let last = entries.iter().rposition(|entry| !entry.signatures.is_empty()).unwrap();
    let mut payload = v1::SealedPayload::decode(entries[last].signatures.clone()).unwrap();
    let mut signature = payload.signatures[0].signature.to_vec();
    signature[10] ^= 1;
    payload.signatures[0].signature = signature.into();
    entries[last].signatures = payload.encode_to_vec().into();
    for chunk in [1, 7, usize::MAX] {
        let (verdict, _) = judge(&fleet, &entries, &checkpoint, chunk);
        let found: Vec<_> = verdict.findings.iter().map(|finding| (finding.index, finding.rule)).collect();
        assert_eq!(found, [(last as u64, "BAD_SIGNATURE")], "{chunk}");
    }
    process.kill().unwrap();
}
