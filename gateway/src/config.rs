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
    /// How the ledger is kept.
    #[serde(default)]
    pub store: Store,
    /// The second transport.
    #[serde(default)]
    pub quic: Quic,
    /// Bounds that an operator may lower or raise.
    #[serde(default)]
    pub limits: Limits,
}

/// How the ledger is kept.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Store {
    /// The engine; chosen when the store is made, and fixed from then on. Files from before there was a choice mean redb.
    pub engine: EngineName,
}

/// An engine that a configuration can name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum EngineName {
    /// `ledger.redb`.
    #[default]
    Redb,
    /// The folder `sled`.
    Sled,
}

impl EngineName {
    /// The engine itself.
    #[must_use]
    pub fn engine(self) -> ledger::Engine {
        match self {
            Self::Redb => ledger::Engine::Redb,
            Self::Sled => ledger::Engine::Sled,
        }
    }
}

/// The second transport, on the same port over UDP.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quic {
    /// Whether it is offered.
    pub enabled: bool,
}

impl Default for Quic {
    fn default() -> Self {
        Self { enabled: true }
    }
}

impl Quic {
    /// Its section, as `init` writes it.
    fn to_toml(&self) -> String {
        format!(
            "[quic]\n\
             # QUIC beside TCP, on the same port over UDP: faster on lossy links, and survives a change of the client's address.\n\
             # Clients try it first. false where UDP cannot be had; they then come over TCP.\n\
             enabled = {}\n",
            self.enabled
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
        for entry in [&mut config.data, &mut config.genesis, &mut config.node, &mut config.crls] {
            *entry = folder.join(&*entry);
        }
        Ok(config)
    }

    /// The commented text that `init` writes.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let quoted = |path: &Path| toml::Value::String(path.display().to_string()).to_string();
        let (data, genesis, node, crls) = (quoted(&self.data), quoted(&self.genesis), quoted(&self.node), quoted(&self.crls));
        let store = self.store.to_toml();
        let quic = self.quic.to_toml();
        let Limits { connections, connections_per_participant, handshakes } = &self.limits;
        format!(
            "# Configuration of an Ecowire gateway. Relative paths are relative to this file's folder.\n\
             \n\
             # Address and port to listen on (TLS 1.3 over TCP and QUIC).\n\
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
             {store}\
             \n\
             {quic}\
             \n\
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

impl Store {
    /// The commented section.
    fn to_toml(&self) -> String {
        format!(
            "[store]\n\
             # What keeps the ledger: \"redb\" or \"sled\". Chosen by init and fixed from then on; docs/operating/stores.md\n\
             # says what was measured for both.\n\
             engine = \"{}\"\n",
            self.engine.engine().name()
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
            store: Store { engine: EngineName::Sled },
            quic: Quic::default(),
            limits: Limits::default(),
        }
    }

    #[test]
    fn what_init_writes_is_what_serve_reads() {
        let read: Config = toml::from_str(&sample().to_toml()).unwrap();
        assert_eq!(format!("{read:?}"), format!("{:?}", sample()));
    }

    #[test]
    fn the_engine_is_written_and_read_and_redb_without_a_section() {
        let text = sample().to_toml();
        assert!(text.contains("\nengine = \"sled\"\n"), "{text}");
        let (before, after) = (text.find("[store]").unwrap(), text.find("[limits]").unwrap());
        let older = [&text[..before], &text[after..]].concat();
        assert_eq!(toml::from_str::<Config>(&older).unwrap().store.engine, EngineName::Redb);
        let error = toml::from_str::<Config>(&text.replace("\"sled\"", "\"sledge\"")).unwrap_err().to_string();
        assert!(error.contains("sledge") && error.contains("redb"), "{error}");
    }

    #[test]
    fn each_name_is_its_engine() {
        use clap::ValueEnum as _;
        let names =
            EngineName::value_variants().iter().map(|name| (name.to_possible_value().unwrap().get_name().to_owned(), name.engine()));
        for (name, engine) in names {
            assert_eq!(ledger::Engine::named(&name).unwrap().name(), engine.name());
        }
        assert_eq!(EngineName::value_variants().len(), ledger::Engine::ON_DISK.len());
    }

    #[test]
    fn unknown_keys_are_refused_by_name() {
        let text = sample().to_toml().replace("handshakes", "handshake");
        let error = toml::from_str::<Config>(&text).unwrap_err().to_string();
        assert!(error.contains("handshake"), "{error}");
    }
}
