//! Two histories under one log key: whoever compares finds them, keeps both notes, and the gateway that was shown writes no more.

mod theatre;

use client::{Client, Error};
use gateway::StartError;
use gateway::store::StoreError;
use proto::v1;
use proto::v1::audit_client::AuditClient;
use theatre::{Theatre, audit, copy, note, until_halted};
use tlog::Checkpoint;

/// A network with some history, all members met, the gateway stopped, and a copy of its data made.
async fn stage() -> (Theatre, std::path::PathBuf) {
    let theatre = Theatre::new(&["ke", "th", "np", "aud/network"]);
    let running = theatre.start().await;
    for member in ["th", "np", "ke"] {
        drop(theatre.client(member).await);
    }
    let mut kenya = theatre.client("ke").await;
    kenya.send(note(&["th"], "before the copy")).await.expect("sent");
    drop(kenya);
    running.stop().await;
    let copied = theatre.folder.path().join("copied");
    copy(&theatre.config().data, &copied);
    (theatre, copied)
}

/// What a client that was shown another history must do: name it, and keep both notes.
fn forked(result: Result<Client, Error>, theatre: &Theatre) -> (Checkpoint, Checkpoint) {
    let error = result.expect_err("another history is refused");
    let Error::Forked { evidence, .. } = &error else { panic!("{error}") };
    assert_eq!(error.name(), Some("LOG_FORKED"));
    let log = theatre.trust().log_verifier().expect("the log's key");
    let [held, shown] = ["held.note", "shown.note"].map(|name| {
        let note = std::fs::read(evidence.join(name)).expect("the evidence is kept");
        Checkpoint::open(&note, &log).expect("both notes are signed by the log's key")
    });
    (held, shown)
}

/// The gateway stands still by name, answers Busy, signs nothing new, and keeps the note that it was shown.
async fn stands_still(theatre: &Theatre, running: gateway::Running, data: &std::path::Path) {
    let reason = until_halted(&running, |reason| reason.is_some_and(|reason| reason.starts_with("LOG_FORKED"))).await;
    assert!(reason.is_some());
    let (size, note_before) = running.shared().ledger().checkpoint().expect("a checkpoint");
    // Who has seen nothing else may still connect; a letter of his is not taken.
    let offline = Client::offline(&theatre.profile("np")).expect("a profile");
    let letter = theatre.letter(&offline, &["np"], 1, |_| ());
    drop(offline);
    let request = v1::SubmitRequest { submission: Some(letter) };
    let status = theatre.messages("np").await.submit(request).await.expect_err("not taken");
    assert_eq!(status.code(), tonic::Code::ResourceExhausted, "{status:?}");
    assert_eq!(running.shared().ledger().checkpoint().expect("a checkpoint"), (size, note_before));
    running.stop().await;
    let opener = gateway::gateway::opener(&theatre.config_of(data)).expect("a configuration").0;
    let ledger = opener.open_ledger().expect("the store opens");
    assert!(ledger.evidence().expect("evidence").iter().any(|(name, _)| name == "checkpoint-held-by-a-participant"));
    ledger.close();
    let checked = gateway::check(&theatre.config_of(data)).expect("the store opens");
    assert!(checked.damage.iter().any(|damage| damage.text.starts_with("evidence is kept")), "{:?}", checked.damage);
    assert_eq!(checked.size, size);
    theatre.check_data(data);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_histories_to_two_clients() {
    let (theatre, copied) = stage().await;
    let (first, second) = (theatre.config(), theatre.config_of(&copied));

    let running = gateway::start(&first).await.expect("the first history");
    let mut kenya = theatre.client("ke").await;
    let mine = kenya.send(note(&["th"], "in the first history")).await.expect("sent");
    kenya.refresh_checkpoint().await.expect("a checkpoint");
    let seen_by_kenya = kenya.checkpoint().cloned().expect("held");
    drop(kenya);
    running.stop().await;

    let running = gateway::start(&second).await.expect("the second history");
    let mut thailand = theatre.client("th").await;
    let other = thailand.send(note(&["ke"], "in the second history")).await.expect("sent");
    thailand.refresh_checkpoint().await.expect("a checkpoint");
    let seen_by_thailand = thailand.checkpoint().cloned().expect("held");
    drop(thailand);
    assert_eq!(mine.position, other.position, "two histories, one place");
    assert_eq!(seen_by_kenya.size, seen_by_thailand.size);
    assert_ne!(seen_by_kenya.root, seen_by_thailand.root, "two roots for one size: that convicts");

    // Kenya comes to the second history.
    let (held, shown) = forked(Client::connect(&theatre.profile("ke")).await, &theatre);
    assert_eq!((held.size, held.root), (seen_by_kenya.size, seen_by_kenya.root));
    assert_eq!((shown.size, shown.root), (seen_by_thailand.size, seen_by_thailand.root));
    stands_still(&theatre, running, &copied).await;

    // And Thailand to the first.
    let running = gateway::start(&first).await.expect("the first history again");
    let (held, shown) = forked(Client::connect(&theatre.profile("th")).await, &theatre);
    assert_eq!((held.size, held.root), (seen_by_thailand.size, seen_by_thailand.root));
    assert!(shown.size > held.size, "the start was one more entry");
    stands_still(&theatre, running, &first.data).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn yesterdays_store_restored_is_stopped_by_the_first_client_that_connects() {
    let (theatre, backup) = stage().await;
    let running = theatre.start().await;
    let mut kenya = theatre.client("ke").await;
    for number in 0..8 {
        kenya.send(note(&["th"], &format!("after the backup {number}"))).await.expect("sent");
    }
    drop(kenya);
    running.stop().await;

    let restored = theatre.config_of(&backup);
    let running = gateway::start(&restored).await.expect("yesterday's store is sound in itself");
    let (held, shown) = forked(Client::connect(&theatre.profile("ke")).await, &theatre);
    assert!(held.size > shown.size, "a log that is behind");
    stands_still(&theatre, running, &backup).await;

    // Nor does it go on after a restart, which alone would have been a new entry, and a new root.
    let size = theatre.check_data(&backup).size;
    let running = gateway::start(&restored).await.expect("it serves what it has");
    assert!(running.shared().halted().borrow().as_ref().is_some_and(|reason| reason.starts_with("LOG_FORKED")));
    assert_eq!(running.shared().ledger().size(), size);
    running.stop().await;
    assert_eq!(theatre.check_data(&backup).size, size);

    // The true store is none the worse.
    let running = theatre.start().await;
    let verdict = audit(&mut theatre.client("aud/network").await).await;
    assert_eq!(verdict.gaps, []);
    running.stop().await;
    theatre.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_gateway_on_the_same_folder_is_refused_naming_the_holder() {
    let theatre = Theatre::new(&["ke", "th", "aud/network"]);
    let running = theatre.start().await;
    let elsewhere = gateway::Config { listen: ([127, 0, 0, 1], 0).into(), ..theatre.config() };
    for _ in 0..2 {
        let Err(StartError::Store(StoreError::Open(error))) = gateway::start(&elsewhere).await else { panic!("it must not start") };
        let holder = format!("process {}", std::process::id());
        let ledger::OpenError::Locked { holder: named } = &error else { panic!("{error}") };
        assert!(named.starts_with("host ") && named.contains(" boot ") && named.ends_with(&holder), "{named}");
    }
    // The first goes on undisturbed.
    drop(theatre.client("th").await);
    theatre.client("ke").await.send(note(&["th"], "still here")).await.expect("sent");
    audit(&mut theatre.client("aud/network").await).await;
    running.stop().await;
    theatre.check();
}

/// Both serve at once, from two folders, with one key: the first who has seen more than the copy stops it.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_started_beside_the_first_is_stopped_by_whoever_saw_more() {
    let (theatre, copied) = stage().await;
    let running = theatre.start().await;
    let mut kenya = theatre.client("ke").await;
    kenya.send(note(&["th"], "to the first")).await.expect("sent");
    let seen = kenya.held_note_for_others();
    let beside = gateway::Config { listen: ([127, 0, 0, 1], 0).into(), ..theatre.config_of(&copied) };
    let Err(StartError::Node(error)) = gateway::start(&beside).await else { panic!("the log's key is in use") };
    assert!(error.to_string().contains("another gateway is running with"), "{error}");
    // Elsewhere, with a copy of the key, nothing tells it that it is a copy, until somebody who saw more connects.
    let node = copied.with_file_name("copied-node");
    std::fs::create_dir(&node).expect("a folder");
    for file in std::fs::read_dir(&beside.node).expect("the node's folder").flatten() {
        std::fs::copy(file.path(), node.join(file.file_name())).expect("copied");
    }
    let second = gateway::start(&gateway::Config { node, ..beside }).await.expect("it starts");
    let credentials = client::Credentials::read(&theatre.identity("np")).expect("credentials");
    let url = format!("https://{}", second.address);
    let link = client::Link::connect(&url, &theatre.trust(), credentials, client::CONNECT_TIMEOUT).await.expect("connected");
    let mut asked = AuditClient::with_origin(link.clone(), link.origin());
    asked.checkpoint(v1::CheckpointRequest { held: seen.into() }).await.expect("it shows its own");
    drop((asked, link));
    stands_still_elsewhere(&second).await;
    second.stop().await;
    kenya.send(note(&["th"], "the first goes on")).await.expect("sent");
    drop(kenya);
    audit(&mut theatre.client("aud/network").await).await;
    running.stop().await;
    theatre.check();
    theatre.check_data(&copied);
}

async fn stands_still_elsewhere(second: &gateway::Running) {
    until_halted(second, |reason| reason.is_some_and(|reason| reason.starts_with("LOG_FORKED"))).await;
}

/// The note of the largest checkpoint, as a client shows it.
trait Held {
    fn held_note_for_others(&self) -> Vec<u8>;
}

impl Held for Client {
    fn held_note_for_others(&self) -> Vec<u8> {
        self.profile().store().get(client::store::Table::Meta, b"checkpoint").expect("the store").expect("a checkpoint is held")
    }
}
