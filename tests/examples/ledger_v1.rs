//! Made `tests/vectors/ledger-v1` once: a small store with an entry of every kind of format version 1, its DEV keys, and what a
//! replay of it leads to. `cargo run -p tests --example ledger_v1 -- FOLDER`; a folder with something in it is left alone.

#[path = "../tests/theatre/mod.rs"]
mod theatre;

use std::path::{Path, PathBuf};

use bench::load::drive;
use client::{Compose, ReceiveOptions};
use envelope::Timestamp;
use exchange::Rows as _;
use gateway::clock::TimeSource as _;
use ledger::Engine;
use proto::v1::{self, Kind, Priority};
use theatre::hands::Hands;
use theatre::{DAY_MS, NODE, Theatre, address, audit, copy, note, now, until_halted};

const MEMBERS: [&str; 5] = ["ke", "th", "np", "ke/cus/kemba", "aud/network"];
/// One more than a sender's minute may have in entries of their own.
const REFUSALS: u64 = 61;

#[tokio::main]
async fn main() {
    let out = PathBuf::from(std::env::args_os().nth(1).expect("the folder to make"));
    let data = out.join("data");
    assert!(!data.exists(), "{} exists; a golden store is made once", data.display());
    let theatre = Theatre::new(&MEMBERS);
    play(&theatre).await;
    claim(&theatre);
    let checked = theatre.check();
    copy(&theatre.config().data, &data);
    std::fs::remove_file(data.join("lock")).expect("the lock names this machine");
    let node = theatre.pki().join(address(NODE).file_name());
    std::fs::create_dir_all(out.join("node")).expect("a folder");
    for (from, to) in [(node.join("log.key"), "node/log.key"), (node.join("directory.key"), "node/directory.key")] {
        std::fs::copy(from, out.join(to)).expect("copied");
    }
    for name in ["genesis.bin", "trust.toml"] {
        std::fs::copy(theatre.pki().join(name), out.join(name)).expect("copied");
    }
    expect(&theatre, &checked, &out);
}

/// Everything that makes a gateway write an entry.
async fn play(theatre: &Theatre) {
    let hands = Hands::at(now());
    let running = theatre.start_with(hands.clone(), Engine::Redb).await;
    for member in ["th", "np", "ke/cus/kemba"] {
        drop(theatre.client(member).await);
    }
    let mut kenya = theatre.client("ke").await;
    let mut post = theatre.client("ke/cus/kemba").await;
    let opted_out = Compose { kind: Kind::Ecomessage, opt_out: v1::OptOut::NationalLaw, ..note(&["th"], "a container of ivory") };
    let report = post.send(opted_out).await.expect("sent");
    kenya.receive(ReceiveOptions::default()).await.expect("mail");
    kenya.acknowledge(&report.reference).await.expect("acknowledged");
    let flash = Compose { priority: Priority::Flash, ..note(&["th", "np"], "nobody reads it in Bangkok") };
    kenya.send(flash).await.expect("sent");
    theatre.client("np").await.receive(ReceiveOptions::default()).await.expect("mail");
    audit(&mut theatre.client("aud/network").await).await;

    let refused = |number| v1::Submission { tag: number, ..theatre.letter(&kenya, &["th"], 1, |_| ()) };
    drive(theatre.link("ke").await, (0..REFUSALS).map(refused).collect(), 8).await;
    hands.pass(61_000);
    drive(theatre.link("ke").await, vec![refused(REFUSALS)], 1).await;

    hands.set(hands.wall().plus(3_600_000));
    until_halted(&running, |reason| reason.is_some()).await;
    let step = theatre.clock_step(&theatre.authority(), 1, &[], hands.wall());
    theatre.publish("ke", &step).await.expect("taken");

    let mut revoked = running.shared().revocations();
    certs_dev::revoke(&theatre.pki(), &address("np")).expect("revoked");
    revoked.changed().await.expect("the list is taken");
    hands.pass(3 * DAY_MS);
    kenya.send(note(&["th"], "after the end of the other")).await.expect("sent");
    drop((kenya, post));
    running.stop().await;
}

/// A StateClaim comes every 4,096 entries, and a snapshot with it; so small a store is given both by hand.
fn claim(theatre: &Theatre) {
    let (ledger, mut exchange) = gateway::gateway::opener(&theatre.config()).expect("a configuration").0.open().expect("the store opens");
    let at = Timestamp(exchange.state().clock().expect("a clock").last_ms);
    let mut batch = exchange.batch(ledger.size(), at);
    let claim = batch.state_claim();
    batch.push(&claim).expect("it applies");
    let (changes, _) = batch.finish();
    exchange.fold(changes);
    ledger.append(ledger.size(), at, vec![claim.into_draft()]).expect("appended");
    let part = exchange.take_snapshot(ledger.size());
    ledger.save_snapshot(part.from, part.to, &part.rows).expect("a snapshot");
    ledger.close();
}

/// Writes what every later version must find.
fn expect(theatre: &Theatre, checked: &gateway::gateway::Checked, out: &Path) {
    let (ledger, exchange) = gateway::gateway::opener(&theatre.config()).expect("a configuration").0.open().expect("the store opens");
    let mut kinds = std::collections::BTreeMap::<&str, u64>::new();
    for (_, entry) in entries(&*ledger) {
        *kinds.entry(entry.kind().as_str_name()).or_default() += 1;
    }
    let expected = serde_json::json!({
        "size": checked.size,
        "root": checked.root,
        "directory_size": ledger.directory().expect("a directory").size,
        "directory_root": ledger.directory().expect("a directory").root.to_string(),
        "state_sha256_sum": envelope::genesis::hex(&exchange.state().digest()),
        "kinds": kinds,
    });
    std::fs::write(out.join("expected.json"), serde_json::to_string_pretty(&expected).expect("json") + "\n").expect("written");
    ledger.close();
}

fn entries(ledger: &dyn ledger::Ledger) -> Vec<(u64, envelope::entry::Entry)> {
    let read = |index| {
        let opening = ledger.read(index).expect("an entry").opening.expect("an opening");
        (index, envelope::entry::Entry::read(&opening).expect("a sound entry"))
    };
    (0..ledger.size()).map(read).collect()
}
