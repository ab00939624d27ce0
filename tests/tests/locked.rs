//! A gateway whose keys lie under a passphrase.

mod theatre;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use envelope::locked::{Secret, lock, unlock};
use gateway::Config;
use gateway::config::Keys;
use theatre::{NODE, Theatre, note};

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned().into()).expect("a passphrase")
}

/// What the gateway says when it does not start with this file.
async fn refusal(config: &Config, passphrase_file: Option<&Path>) -> String {
    let keys = Keys { passphrase_file: passphrase_file.map(Path::to_owned) };
    match gateway::start(&Config { keys, ..config.clone() }).await {
        Err(error) => error.to_string(),
        Ok(_) => panic!("it must not start"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_with_locked_keys_serves_with_its_passphrase_and_not_without() {
    let theatre = Theatre::new(&["ke", "th"]);
    let node = theatre.identity(NODE);
    for name in ["tls.key", "log.key", "directory.key"] {
        let der = unlock(&fs::read(node.join(name)).expect("a key"), None).expect("in the clear");
        fs::write(node.join(name), lock(&der, &secret("of the node")).expect("locked")).expect("written");
    }
    let file = |name: &str, text: &str, mode: u32| {
        let path = theatre.folder.path().join(name);
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("rights");
        path
    };
    let (right, wrong, open) =
        (file("right", "of the node\n", 0o600), file("wrong", "another\n", 0o600), file("open", "of the node\n", 0o640));
    let config = theatre.config();
    for (passphrase, says) in [
        (None, "it is encrypted, and no passphrase was given; its passphrase stands in the file that keys.passphrase_file"),
        (Some(&wrong), "the passphrase does not open it"),
        (Some(&open), "others may read it; take their rights away (chmod 600)"),
    ] {
        let said = refusal(&config, passphrase.map(|path| path.as_path())).await;
        assert!(said.contains(says), "{said}");
    }
    let config = Config { keys: Keys { passphrase_file: Some(right.clone()) }, ..config };
    let running = gateway::start(&config).await.expect("it starts");
    drop(theatre.client("th").await);
    theatre.client("ke").await.send(note(&["th"], "under a passphrase")).await.expect("sent");
    running.stop().await;
    assert_eq!(gateway::check(&config).expect("the store opens").damage, []);

    // From the start: what init writes is what serve reads.
    let at = |name: &str| theatre.folder.path().join(name);
    let init = gateway::Init {
        config: at("second.toml"),
        genesis: theatre.pki().join("genesis.bin"),
        node,
        data: at("second"),
        listen: ([127, 0, 0, 1], 0).into(),
        engine: gateway::config::EngineName::default(),
    };
    assert!(gateway::gateway::init(&init).is_err());
    gateway::init_with(&init, &gateway::config::Telemetry::default(), Some(&right)).expect("initialised");
    let second = Config::read(&init.config).expect("the configuration");
    assert_eq!(second.keys.passphrase_file, Some(right));
    gateway::start(&second).await.expect("it starts").stop().await;
}
