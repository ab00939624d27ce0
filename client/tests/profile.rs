//! Profiles and their store without a gateway: made whole or not at all, never overwritten, one process at a time.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use client::store::{Store, Table, Write};
use client::{Client, Compose, Error, Origin, Profile};
use envelope::{Network, Timestamp};

fn now() -> Timestamp {
    Timestamp(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64)
}

/// A PKI, and the origin of kemba's profile. Nobody listens on the gateway's port.
fn origin(folder: &Path) -> Origin {
    let out = folder.join("pki");
    let addresses = ["ke", "ke/cus/kemba", "node/dev-1"].map(|text| text.parse().unwrap()).to_vec();
    let options = certs_dev::MintOptions {
        now: now(),
        ..certs_dev::MintOptions::new(out.clone(), Network::parse("ecowire.test").unwrap(), addresses)
    };
    certs_dev::mint(&options).unwrap();
    Origin { gateway: "https://127.0.0.1:1".to_owned(), trust: out.join("trust.toml"), identity: out.join("ke_cus_kemba") }
}

fn names(folder: &Path) -> Vec<PathBuf> {
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    names
}

#[test]
fn a_profile_is_made_whole_and_for_its_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let origin = origin(folder.path());
    let dir = folder.path().join("kemba");
    let profile = Profile::create(&dir, &origin).unwrap();
    assert_eq!(profile.address().as_str(), "ke/cus/kemba");
    assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
    let keys: Vec<_> = names(&dir.join("keys")).into_iter().chain([dir.join("tls.key"), dir.join("identity.key")]).collect();
    assert_eq!(keys.len(), 3);
    for key in keys {
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600, "{}", key.display());
    }
    let first = profile.decryption_keys().unwrap()[0].key_id();
    drop(profile);
    let store = dir.join("store.redb");
    assert_eq!(fs::metadata(&store).unwrap().permissions().mode() & 0o777, 0o600);
    // One that an earlier version made is mended.
    fs::set_permissions(&store, fs::Permissions::from_mode(0o644)).unwrap();
    drop(Profile::open(&dir).unwrap());
    assert_eq!(fs::metadata(&store).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(Profile::open(&dir).unwrap().decryption_keys().unwrap()[0].key_id(), first);
}

#[test]
fn nothing_is_overwritten_and_nothing_half_made_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let origin = origin(folder.path());
    let dir = folder.path().join("kemba");
    fs::write(&dir, b"somebody's file").unwrap();
    assert!(matches!(Profile::create(&dir, &origin), Err(Error::Exists(_))));
    assert_eq!(fs::read(&dir).unwrap(), b"somebody's file");
    fs::remove_file(&dir).unwrap();
    drop(Profile::create(&dir, &origin).unwrap());
    let before = fs::read(dir.join("identity.key")).unwrap();
    assert!(matches!(Profile::create(&dir, &origin), Err(Error::Exists(_))));
    assert_eq!(fs::read(dir.join("identity.key")).unwrap(), before);

    let before = names(folder.path());
    let wrong = [
        Origin { identity: folder.path().join("nowhere"), ..origin.clone() },
        Origin { trust: origin.identity.join("tls.pem"), ..origin.clone() },
        Origin { gateway: "http://127.0.0.1:1".to_owned(), ..origin.clone() },
        Origin { identity: origin.trust.with_file_name("node_dev-1"), ..origin.clone() },
    ];
    for origin in wrong {
        assert!(Profile::create(&folder.path().join("other"), &origin).is_err(), "{origin:?}");
        assert_eq!(names(folder.path()), before, "{origin:?}");
    }
}

#[tokio::test]
async fn an_unreachable_gateway_leaves_no_profile() {
    let folder = tempfile::tempdir().unwrap();
    let origin = origin(folder.path());
    let before = names(folder.path());
    let error = Client::init(&folder.path().join("kemba"), &origin).await.unwrap_err();
    assert_eq!(error.exit_code(), 4, "{error}");
    assert_eq!(names(folder.path()), before);
}

#[tokio::test]
async fn without_a_directory_nothing_is_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let profile = Profile::create(&folder.path().join("kemba"), &origin(folder.path())).unwrap();
    let mut client = Client::offline(&profile).unwrap();
    let message = Compose { wait: Duration::from_millis(10), ..Compose::new(vec!["ke".parse().unwrap()], b"x".to_vec()) };
    let error = client.send(message).await.unwrap_err();
    assert_eq!((error.name(), error.exit_code()), (Some("STALE_DIRECTORY"), 3));
    assert!(client.outbox().is_empty(), "no number was taken");
}

#[test]
fn one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("kemba");
    let profile = Profile::create(&dir, &origin(folder.path())).unwrap();
    assert!(matches!(Profile::open(&dir), Err(Error::InUse(_))));
    let shared = profile.clone();
    drop(profile);
    assert!(matches!(Profile::open(&dir), Err(Error::InUse(_))));
    drop(shared);
    assert!(Profile::open(&dir).is_ok());
}

#[test]
fn a_commit_is_there_whole_after_a_copy_at_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    for round in 0..20u64 {
        let writes = [Write::number(Table::Outbox, round, round.to_string()), Write::number(Table::Signed, round, vec![7; 3000])];
        store.commit(&writes).unwrap();
        // What a killed process leaves behind: the file as it is.
        let copy = tempfile::tempdir().unwrap();
        fs::copy(folder.path().join("store.redb"), copy.path().join("store.redb")).unwrap();
        let copied = Store::open(copy.path()).unwrap();
        assert_eq!(copied.numbered(Table::Outbox).unwrap().len() as u64, round + 1);
        assert_eq!(copied.numbered(Table::Signed).unwrap().len() as u64, round + 1);
        assert_eq!(copied.get_number(Table::Outbox, round).unwrap(), Some(round.to_string().into_bytes()));
    }
    store.commit(&[Write::gone(Table::Outbox, 3)]).unwrap();
    assert_eq!(store.get_number(Table::Outbox, 3).unwrap(), None);
    drop(store);
    assert_eq!(Store::open(folder.path()).unwrap().numbered(Table::Outbox).unwrap().len(), 19);
}
