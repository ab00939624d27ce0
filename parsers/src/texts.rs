//! Texts that people and files hand in: names, configuration, profile, keys, and what goes to a terminal.

use std::path::Path;

use client::words::{Escaped, EscapedLines};
use envelope::keys::{Signer as _, SigningKey};
use envelope::{Address, Network, Reference};

use crate::seeds::{cases, folder};

/// An address, a network, a reference.
pub(crate) fn names(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let address = Address::parse(text);
    if let Ok(address) = &address {
        assert_eq!(address.as_str(), text, "two spellings of one address");
        assert!(text.len() <= envelope::limits::ADDRESS_BYTES_MAX);
        let _: envelope::Class = address.class();
        let bureau = address.own_ncb();
        assert!(bureau.is_none_or(|bureau| bureau.own_ncb().is_none_or(|above| above == bureau)), "a bureau above a bureau");
        assert!(!address.file_name().contains(['/', '\0']) && Path::new(&address.file_name()).components().count() == 1);
    }
    let network = Network::parse(text);
    if let Ok(network) = &network {
        assert_eq!(network.as_str(), text, "two spellings of one network");
    }
    let reference = text.parse::<Reference>();
    if let Ok(reference) = &reference {
        assert!(reference.is_sound() && reference.to_string().eq_ignore_ascii_case(text), "two spellings of one reference");
        assert!(!reference.file_name().contains(['/', '\0']));
    }
    address.is_ok() || network.is_ok() || reference.is_ok()
}

pub(crate) fn names_seeds() -> Vec<Vec<u8>> {
    let texts = ["address", "network", "reference"].into_iter().flat_map(cases);
    texts.filter_map(|case| case["text"].as_str().map(|text| text.as_bytes().to_vec())).collect()
}

/// `gateway.toml`: what is read writes itself again to the same configuration.
pub(crate) fn config(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(config) = gateway::Config::parse(text, Path::new("gateway.toml")) else { return false };
    let written = gateway::Config::parse(&config.to_toml(), Path::new("gateway.toml")).expect("what init writes is what serve reads");
    assert_eq!(format!("{written:?}"), format!("{config:?}"), "a configuration that writes another");
    true
}

pub(crate) fn config_seeds() -> Vec<Vec<u8>> {
    let text = "listen = \"127.0.0.1:7247\"\ndata = \"data\"\ngenesis = \"pki/genesis.bin\"\nnode = \"pki/node_dev-1\"\ncrls = \"crl\"\n";
    let example = gateway::Config::example();
    vec![
        text.into(),
        example.to_toml().into(),
        format!("{text}\n[limits]\nconnections = 7\n").into(),
        format!("{text}nothing = 1\n").into(),
    ]
}

/// `profile.toml` of a client, and the URL in it.
pub(crate) fn profile(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    if let Some((host, port)) = client::doors::gateway_url(text) {
        assert!(!host.is_empty() && !host.contains(['@', '/', '?']), "{host}:{port}");
    }
    let Some((address, gateway)) = client::doors::profile(text) else { return false };
    let again =
        format!("version = 1\naddress = {}\ngateway = {}\n", toml::Value::from(address.clone()), toml::Value::from(gateway.clone()));
    assert_eq!(client::doors::profile(&again), Some((address, gateway)), "a profile that reads itself differently");
    true
}

pub(crate) fn profile_seeds() -> Vec<Vec<u8>> {
    let profile = |gateway: &str| format!("version = 1\naddress = \"ke/cus/kemba\"\ngateway = \"{gateway}\"\n").into_bytes();
    let urls = ["https://127.0.0.1:7247", "https://[::1]", "https://a@b/", "http://gateway.example:1/x?y"];
    urls.iter().map(|url| profile(url)).chain(urls.iter().map(|url| url.as_bytes().to_vec())).collect()
}

/// A private key in PEM: one that is read signs what its public key verifies.
pub(crate) fn signing_key(bytes: &[u8]) -> bool {
    let Ok(key) = SigningKey::from_pem(bytes) else { return false };
    let signature = key.sign(b"a text").expect("it is in memory");
    for verified in [
        key.public().verify(&envelope::keys::Ring, b"a text", &signature),
        key.public().verify(&envelope::keys::AwsLc, b"a text", &signature),
    ] {
        assert!(verified.is_ok(), "a key that does not verify its own signature");
    }
    assert_eq!(key.key_id(), key.public().key_id());
    true
}

pub(crate) fn signing_key_seeds() -> Vec<Vec<u8>> {
    // RFC 8410 10.3: the same key without and with its public half.
    let short =
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
    let names = ["ledger-v1/node/log.key", "ledger-v1/node/directory.key"];
    let files = names.iter().filter_map(|name| std::fs::read(folder().join(name)).ok());
    files.chain([short.into()]).collect()
}

/// Text from outside on its way to a terminal: nothing in it steers, and nothing is lost.
pub(crate) fn terminal(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let (line, lines) = (Escaped(text).to_string(), EscapedLines(text).to_string());
    assert!(!line.chars().any(char::is_control), "a control character reaches the terminal");
    assert!(!lines.chars().any(|one| one.is_control() && one != '\n' && one != '\t'), "a control character reaches the terminal");
    let hidden = |text: &str| text.contains(['\u{202e}', '\u{2066}', '\u{200b}', '\u{feff}', '\u{61c}']);
    assert!(!hidden(&line) && !hidden(&lines), "a hidden character reaches the terminal");
    assert_eq!(Escaped(&line).to_string(), line, "what is safe changes");
    true
}

pub(crate) fn terminal_seeds() -> Vec<Vec<u8>> {
    ["plain", "a\u{1b}[2J\u{202e}b", "two\nlines\tand\rmore", "\u{e0041}\u{2066}\u{200b}\u{85}"]
        .map(|text| text.as_bytes().to_vec())
        .to_vec()
}
