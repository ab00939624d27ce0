//! The configuration: one TOML file, every key shown by the file that `init` writes, unknown keys refused.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::limits;

/// The gateway's configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// Folder of the ledger; keys of entries included, signing keys not.
    pub data: PathBuf,
    /// The network's genesis.
    pub genesis: PathBuf,
    /// Folder with tls.pem, tls.key, log.key and directory.key.
    pub node: PathBuf,
    /// Folder with the revocation lists of the issuing CAs.
    pub crls: PathBuf,
    /// What opens the node's keys.
    #[serde(default)]
    pub keys: Keys,
    /// Bounds that an operator may lower or raise.
    #[serde(default)]
    pub limits: Limits,
}

/// What opens the node's keys.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keys {
    /// File with the passphrase of keys that are encrypted, for its owner's eyes only.
    pub passphrase_file: Option<PathBuf>,
}

impl Keys {
    fn to_toml(&self) -> String {
        let value = self.passphrase_file.as_ref().map(|path| toml::Value::String(path.display().to_string()).to_string());
        let line = value
            .map_or("# passphrase_file = \"/run/credentials/ecowire/passphrase\"".to_owned(), |path| format!("passphrase_file = {path}"));
        format!(
            "[keys]\n\
             # Where the passphrase of encrypted keys of the node (tls.key, log.key, directory.key) lies, mode 0600.\n\
             {line}\n"
        )
    }
}

/// Bounds of connections.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections of all participants.
    pub connections: usize,
    /// Connections of one participant.
    pub connections_per_participant: usize,
    /// TLS handshakes under way.
    pub handshakes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: limits::CONNECTIONS_MAX,
            connections_per_participant: limits::CONNECTIONS_PER_PARTICIPANT_MAX,
            handshakes: limits::HANDSHAKES_MAX,
        }
    }
}

/// Why a configuration is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not what it should be.
    #[error("{path}: {message}")]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Line, key and what is wrong with it.
        message: String,
    },
}

impl Config {
    /// Reads a configuration file. Relative paths are relative to the file's folder.
    ///
    /// # Errors
    /// [`ConfigError`] names the file, and the key that is wrong.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let mut config: Self =
            toml::from_str(&text).map_err(|error| ConfigError::Parse { path: path.to_owned(), message: error.to_string() })?;
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        let passphrase = config.keys.passphrase_file.as_mut();
        for entry in [&mut config.data, &mut config.genesis, &mut config.node, &mut config.crls].into_iter().chain(passphrase) {
            *entry = folder.join(&*entry);
        }
        Ok(config)
    }

    /// The commented text that `init` writes.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let quoted = |path: &Path| toml::Value::String(path.display().to_string()).to_string();
        let (data, genesis, node, crls) = (quoted(&self.data), quoted(&self.genesis), quoted(&self.node), quoted(&self.crls));
        let keys = self.keys.to_toml();
        let Limits { connections, connections_per_participant, handshakes } = &self.limits;
        format!(
            "# Configuration of an Ecowire gateway. Relative paths are relative to this file's folder.\n\
             \n\
             # Address and port to listen on (TCP, TLS 1.3).\n\
             listen = \"{}\"\n\
             \n\
             # The ledger and the keys of its entries. Back it up without the node folder's keys.\n\
             data = {data}\n\
             \n\
             # The network's genesis, signed by the network authority; it is entry 0 and cannot change.\n\
             genesis = {genesis}\n\
             \n\
             # This gateway's own keys: tls.pem, tls.key, log.key, directory.key. Not below `data`.\n\
             node = {node}\n\
             \n\
             # Revocation lists of the issuing CAs, one .crl file each; read again when they change.\n\
             crls = {crls}\n\
             \n\
             {keys}\n\
             [limits]\n\
             # Connections of all participants, and of one.\n\
             connections = {connections}\n\
             connections_per_participant = {connections_per_participant}\n\
             # TLS handshakes under way; each ends after 10 s.\n\
             handshakes = {handshakes}\n",
            self.listen
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn sample() -> Config {
        let at = |name: &str| PathBuf::from(format!("/x/{name} \"q\""));
        let listen = "127.0.0.1:7247".parse().unwrap();
        Config {
            listen,
            data: at("data"),
            genesis: at("g"),
            node: at("n"),
            crls: at("c"),
            keys: Keys::default(),
            limits: Limits::default(),
        }
    }

    #[test]
    fn what_init_writes_is_what_serve_reads() {
        let read: Config = toml::from_str(&sample().to_toml()).unwrap();
        assert_eq!(format!("{read:?}"), format!("{:?}", sample()));
        let locked = Config { keys: Keys { passphrase_file: Some("/run/\"q\"".into()) }, ..sample() };
        let read: Config = toml::from_str(&locked.to_toml()).unwrap();
        assert_eq!(read.keys.passphrase_file, locked.keys.passphrase_file);
    }

    #[test]
    fn unknown_keys_are_refused_by_name() {
        let text = sample().to_toml().replace("handshakes", "handshake");
        let error = toml::from_str::<Config>(&text).unwrap_err().to_string();
        assert!(error.contains("handshake"), "{error}");
    }
}
