//! Profiles with keys under a passphrase: made, opened, changed, and the command's words and exit codes.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use client::custody::{change_passphrase, first_locked};
use client::{Custody, Error, Origin, Profile, Transport, Unlock};
use envelope::Network;
use envelope::locked::{Secret, is_locked, lock, unlock};
use envelope::seal::DecryptionKey;
use zeroize::Zeroizing;

fn secret(text: &str) -> Secret {
    Secret::new(Zeroizing::new(text.to_owned())).unwrap()
}

fn by(text: &str) -> Unlock {
    Unlock { passphrase: Some(secret(text)), pin: None }
}

fn origin(folder: &Path) -> Origin {
    let out = folder.join("pki");
    let addresses = ["ke", "node/dev-1"].map(|text| text.parse().unwrap()).to_vec();
    certs_dev::mint(&certs_dev::MintOptions::new(&out, Network::parse("ecowire.test").unwrap(), addresses)).unwrap();
    Origin { gateway: "https://127.0.0.1:1".to_owned(), trust: out.join("trust.toml"), identity: out.join("ke") }
}

fn locked_profile(folder: &Path) -> PathBuf {
    let dir = folder.join("ke");
    let custody = Custody { unlock: by("first"), signing: None };
    drop(Profile::create_kept(&dir, &origin(folder), Transport::Auto, &custody).unwrap());
    dir
}

fn keys(dir: &Path) -> Vec<PathBuf> {
    let seeds = fs::read_dir(dir.join("keys")).unwrap().map(|entry| entry.unwrap().path());
    seeds.chain(["tls.key", "identity.key"].map(|name| dir.join(name))).collect()
}

#[test]
fn every_key_of_a_profile_lies_under_its_passphrase() {
    let folder = tempfile::tempdir().unwrap();
    let dir = locked_profile(folder.path());
    for path in keys(&dir) {
        assert!(is_locked(&fs::read(&path).unwrap()), "{}", path.display());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert!(matches!(Profile::open(&dir), Err(Error::Locked(path)) if path == dir.join("identity.key")));
    assert!(matches!(Profile::open_unlocked(&dir, &by("second")), Err(Error::Passphrase(_))));
    let profile = Profile::open_unlocked(&dir, &by("first")).unwrap();
    assert_eq!(profile.decryption_keys().unwrap().len(), 1);
    profile.credentials().unwrap();
    profile.identity().sign(b"it signs").unwrap();
    let text = fs::read(dir.join("identity.key")).unwrap();
    let source = fs::read(folder.path().join("pki/ke/identity.key")).unwrap();
    assert_eq!(unlock(&text, Some(&secret("first"))).unwrap(), unlock(&source, None).unwrap(), "the key that was certified");
}

#[test]
fn a_key_that_comes_locked_stays_locked() {
    let folder = tempfile::tempdir().unwrap();
    let origin = origin(folder.path());
    let path = origin.identity.join("identity.key");
    let der = unlock(&fs::read(&path).unwrap(), None).unwrap();
    fs::write(&path, lock(&der, &secret("of the pki")).unwrap()).unwrap();
    let dir = folder.path().join("ke");
    let named = |error: Error| error.name().map(str::to_owned);
    assert_eq!(Profile::create(&dir, &origin).map_err(named).err().flatten().as_deref(), Some("KEY_LOCKED"));
    let with = |unlock: Unlock| Profile::create_kept(&dir, &origin, Transport::Auto, &Custody { unlock, signing: None });
    assert_eq!(with(by("another")).map_err(named).err().flatten().as_deref(), Some("WRONG_PASSPHRASE"));
    assert!(!dir.exists());
    drop(with(by("of the pki")).unwrap());
    assert!(keys(&dir).iter().all(|path| is_locked(&fs::read(path).unwrap())));
}

#[test]
fn a_passphrase_is_changed_removed_and_its_change_finished_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let dir = locked_profile(folder.path());
    // An older encryption key: the newest is the current one, and stays so.
    let old = DecryptionKey::generate().unwrap();
    let path = dir.join("keys/0000000000000000.key");
    fs::write(&path, lock(&old.to_pkcs8(), &secret("first")).unwrap()).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
    let ids = |unlock: &Unlock| -> Vec<[u8; 32]> {
        let profile = Profile::open_unlocked(&dir, unlock).unwrap();
        profile.decryption_keys().unwrap().iter().map(DecryptionKey::key_id).collect()
    };
    let before = ids(&by("first"));
    assert_eq!((before.len(), before[1]), (2, old.key_id()));

    assert!(matches!(change_passphrase(&dir, None, Some(&secret("second"))), Err(Error::Locked(_))));
    assert!(matches!(change_passphrase(&dir, Some(&secret("wrong")), Some(&secret("second"))), Err(Error::Passphrase(_))));
    assert_eq!(ids(&by("first")), before, "nothing was changed");
    let untouched = fs::read(dir.join("tls.key")).unwrap();
    assert_eq!(change_passphrase(&dir, Some(&secret("first")), Some(&secret("second"))).unwrap().len(), 4);
    assert!(matches!(Profile::open_unlocked(&dir, &by("first")), Err(Error::Passphrase(_))));
    assert_eq!(ids(&by("second")), before);
    // A crash before the last file: it is still under the old one.
    fs::write(dir.join("tls.key"), &untouched).unwrap();
    change_passphrase(&dir, Some(&secret("first")), Some(&secret("second"))).unwrap();
    assert_eq!(ids(&by("second")), before);
    Profile::open_unlocked(&dir, &by("second")).unwrap().credentials().unwrap();

    let held = Profile::open_unlocked(&dir, &by("second")).unwrap();
    assert!(matches!(change_passphrase(&dir, Some(&secret("second")), None), Err(Error::InUse(_))));
    drop(held);
    change_passphrase(&dir, Some(&secret("second")), None).unwrap();
    assert_eq!(ids(&Unlock::default()), before);
    assert_eq!(first_locked(&dir).unwrap(), None);
    assert_eq!(fs::read(dir.join("keys/0000000000000000.key")).unwrap(), old.seed(), "as a profile without one keeps it");
    change_passphrase(&dir, None, Some(&secret("third"))).unwrap();
    assert_eq!(ids(&by("third")), before);
    let nowhere = folder.path().join("nowhere");
    assert!(change_passphrase(&nowhere, None, None).is_err() && !nowhere.exists());
}

fn ecowire(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ecowire")).args(arguments).output().unwrap()
}

fn check(arguments: &[&str], code: i32, says: &str) {
    let output = ecowire(arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), said.contains(says)), (Some(code), true), "{arguments:?}: {said}");
}

#[test]
fn the_command_opens_changes_and_names_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let dir = locked_profile(folder.path()).display().to_string();
    let file = |name: &str, text: &str, mode: u32| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.display().to_string()
    };
    let (first, second) = (file("first", "first\n", 0o600), file("second", "second\n", 0o400));
    let (open, wrong, empty) = (file("open", "first\n", 0o644), file("wrong", "wrong\n", 0o600), file("empty", "", 0o600));
    let inbox = ["inbox", "--profile", &dir];
    // Nobody is there to type: `setsid` leaves the terminal behind.
    let output = Command::new("setsid").arg(env!("CARGO_BIN_EXE_ecowire")).args(inbox).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(6), "{said}");
    assert!(said.starts_with("KEY_LOCKED: ") && said.contains("identity.key is encrypted: a passphrase is needed"), "{said}");
    let given = |file: &str, code: i32, says: &str| check(&[&inbox[..], &["--passphrase-file", file]].concat(), code, says);
    // What opens goes on to a gateway that is not there.
    given(&first, 4, "127.0.0.1:1 is not reachable");
    given(&wrong, 6, "WRONG_PASSPHRASE: the passphrase does not open ");
    given(&open, 1, "chmod 600");
    given(&empty, 1, "one line of 1 to 1024 bytes");
    given("/nowhere/at/all", 1, "cannot read");
    let change = ["key", "passphrase", "--profile", &dir, "--passphrase-file", &first];
    check(&[&change[..], &["--new-passphrase-file", &open]].concat(), 1, "chmod 600");
    check(&[&change[..], &["--new-passphrase-file", &second, "--remove"]].concat(), 2, "cannot be used with");
    check(&[&change[..], &["--new-passphrase-file", &second]].concat(), 0, "3 keys");
    given(&first, 6, "WRONG_PASSPHRASE");
    given(&second, 4, "not reachable");
    check(&["key", "passphrase", "--profile", &dir, "--passphrase-file", &second, "--remove"], 0, "without a passphrase");
    check(&inbox, 4, "not reachable");
    let environment = Command::new(env!("CARGO_BIN_EXE_ecowire")).args(inbox).env("ECOWIRE_PASSPHRASE_FILE", &empty).output().unwrap();
    assert_eq!(environment.status.code(), Some(4), "a key in the clear needs none");
}
