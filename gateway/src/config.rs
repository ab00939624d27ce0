//! The configuration: one TOML file, every key shown by the file that `init` writes, unknown keys refused.

mod keys;
mod telemetry;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use crate::bounds::{LimitError, Limits};

pub use keys::{Change, Changes, Pairs, diff};
pub use telemetry::{LogFormat, Telemetry, collector};

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
    /// How the ledger is kept.
    #[serde(default)]
    pub store: Store,
    /// The second transport.
    #[serde(default)]
    pub quic: Quic,
    /// Bounds that an operator may lower or raise.
    #[serde(default)]
    pub limits: Limits,
    /// Metrics, log and traces.
    #[serde(default)]
    pub telemetry: Telemetry,
}

/// What opens the node's keys.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keys {
    /// File with the passphrase of keys that are encrypted, for its owner's eyes only; `None` when none is.
    #[serde(deserialize_with = "path_or_nothing")]
    pub passphrase_file: Option<PathBuf>,
}

fn path_or_nothing<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<PathBuf>, D::Error> {
    let path = PathBuf::deserialize(from)?;
    Ok((!path.as_os_str().is_empty()).then_some(path))
}

impl Keys {
    /// Its section, as `init` writes it.
    fn to_toml(&self) -> String {
        let path = self.passphrase_file.as_deref().unwrap_or(Path::new("")).display().to_string();
        format!(
            "[keys]\n\
             # Where the passphrase of encrypted keys of the node (tls.key, log.key, directory.key) lies, mode 0600, such as\n\
             # /run/credentials/ecowire/passphrase; \"\" when they are not encrypted.\n\
             passphrase_file = {}\n",
            toml::Value::String(path)
        )
    }
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
    /// [`ConfigError`] names the file and every key that is wrong: of one that does not exist, the nearest that does.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    /// Reads a configuration from the text of the file at `path`.
    ///
    /// # Errors
    /// [`ConfigError::Parse`] as [`Config::read`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let wrong = |message: String| ConfigError::Parse { path: path.to_owned(), message };
        let mut config: Self = toml::from_str(text).map_err(|error| {
            // Keys that do not exist, all at once; else the place and what was wanted there.
            let unknown = keys::unknown(text, &Self::example().effective());
            wrong(if unknown.is_empty() { error.to_string() } else { unknown.join("; ") })
        })?;
        let problems = config.problems();
        if !problems.is_empty() {
            return Err(wrong(problems.join("; ")));
        }
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        let passphrase = config.keys.passphrase_file.as_mut();
        for entry in [&mut config.data, &mut config.genesis, &mut config.node, &mut config.crls].into_iter().chain(passphrase) {
            *entry = folder.join(&*entry);
        }
        Ok(config)
    }

    /// A configuration that shows every key, as `config --example` prints it.
    #[must_use]
    pub fn example() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7247)),
            data: "data".into(),
            genesis: "pki/genesis.bin".into(),
            node: "pki/node_dev-1".into(),
            crls: "pki/crl".into(),
            keys: Keys::default(),
            store: Store::default(),
            quic: Quic::default(),
            limits: Limits::default(),
            telemetry: Telemetry { metrics: Some(METRICS_DEFAULT), ..Telemetry::default() },
        }
    }

    /// Every key with the value that holds. There are no secrets among them: keys lie in files of their own.
    #[must_use]
    pub fn effective(&self) -> Pairs {
        keys::keys_of(&self.to_toml()).expect("what is written here is read by the tests below")
    }

    /// Values out of their range, each with its key.
    fn problems(&self) -> Vec<String> {
        let mut problems: Vec<String> = self.limits.check().err().map(|error| error.to_string()).into_iter().collect();
        problems.extend(self.telemetry.problems());
        problems
    }

    /// The commented text that `init` writes.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let quoted = |path: &Path| toml::Value::String(path.display().to_string()).to_string();
        let (data, genesis, node, crls) = (quoted(&self.data), quoted(&self.genesis), quoted(&self.node), quoted(&self.crls));
        let keys = self.keys.to_toml();
        let store = self.store.to_toml();
        let quic = self.quic.to_toml();
        let limits = self.limits.to_toml();
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
             {keys}\
             \n\
             {store}\
             \n\
             {quic}\
             \n\
             {limits}\
             {}",
            self.listen,
            self.telemetry.to_toml()
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
/// Where `init` puts metrics and probes.
pub const METRICS_DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9247);

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
            ..Config::example()
        }
    }

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("/etc/ecowire/gateway.toml")).map_err(|error| error.to_string())
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
    fn the_example_is_a_configuration_and_says_the_defaults() {
        let example = Config::example();
        let read = parse(&example.to_toml()).unwrap();
        assert_eq!(read.data, Path::new("/etc/ecowire/data"));
        assert_eq!(Config { data: "data".into(), ..example.clone() }.effective(), example.effective());
        assert_eq!(example.effective()["limits.handshakes"], "1024");
        assert_eq!(example.effective()["telemetry.metrics"], "\"127.0.0.1:9247\"");
        // What the sections hold when the file does not name them.
        let short = "listen = \"127.0.0.1:1\"\ndata = \"d\"\ngenesis = \"g\"\nnode = \"n\"\ncrls = \"c\"\n";
        let (short, metrics) = (parse(short).unwrap(), example.telemetry.metrics);
        assert_eq!(short.telemetry, Telemetry { metrics: None, ..example.telemetry });
        assert!(metrics.is_some());
    }

    #[test]
    fn a_key_that_does_not_exist_is_refused_with_the_nearest_that_does() {
        for (from, to, wanted) in [
            ("handshakes =", "handshake =", "limits.handshake is not a key; did you mean limits.handshakes?"),
            ("[limits]", "[limit]", "limit.handshakes is not a key; did you mean limits.handshakes?"),
            ("listen =", "lisetn =", "lisetn is not a key; did you mean listen?"),
            ("crls =", "handshakes = 3\ncrls =", "handshakes is not a key; did you mean limits.handshakes?"),
            ("otlp =", "metrics_pbulic = true\notlp =", "telemetry.metrics_pbulic is not a key; did you mean telemetry.metrics_public?"),
            (
                "[limits]",
                "[limits]\nzebra = 1",
                "limits.zebra is not a key; the keys there are limits.answers_per_participant, limits.connection_age_s, ",
            ),
            ("[limits]", "[zoo]\nzebra = 1\n[limits]", "zoo.zebra is not a key; the sections are keys, limits, "),
        ] {
            let error = parse(&sample().to_toml().replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(wanted), "{error}");
        }
        let twice = sample().to_toml().replace("handshakes =", "handshake =").replace("log =", "logs =");
        let error = parse(&twice).unwrap_err();
        assert!(error.contains("limits.handshakes?") && error.contains("telemetry.log?"), "all at once: {error}");
    }

    #[test]
    fn a_value_of_another_kind_or_out_of_range_is_named() {
        for (from, to, wanted) in [
            ("handshakes = 1024", "handshakes = 0", "limits.handshakes is 0; 8 to 65536 are allowed"),
            ("handshakes = 1024", "handshakes = -1", "handshakes = -1"),
            ("connections = 12288", "connections = 1000001", "limits.connections is 1000001; 8 to 1000000 are allowed"),
            ("metrics = \"127.0.0.1:9247\"", "metrics = \"9247\"", "is no address and port"),
            ("log_format = \"text\"", "log_format = \"xml\"", "log_format"),
            ("metrics_public = false", "metrics_public = 1", "metrics_public"),
        ] {
            let error = parse(&sample().to_toml().replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn a_reload_takes_what_is_safe_and_says_why_not_the_rest() {
        let running = sample();
        let with = |change: fn(&mut Config)| {
            let mut wanted = running.clone();
            change(&mut wanted);
            let changes = diff(&running, &wanted);
            let taken = changes.taken.iter().map(|change| format!("{}: {} -> {}", change.key, change.from, change.to));
            let refused = changes.refused.iter().map(|(change, reason)| format!("not {}: {reason}", change.key));
            taken.chain(refused).collect::<Vec<_>>().join("; ")
        };
        for (change, wanted) in [
            ((|_| ()) as fn(&mut Config), ""),
            (|config| config.telemetry.log = "warn".to_owned(), "telemetry.log: \"info\" -> \"warn\""),
            (|config| config.limits.connections_per_participant = 3, "limits.connections_per_participant: 64 -> 3"),
            (
                |config| (config.limits.connections, config.limits.connections_per_participant) = (100_000, 4096),
                "not limits.connections: room is given out when the gateway starts; not limits.connections_per_participant: it is more than an eighth",
            ),
            (|config| config.limits.handshakes = 3, "not limits.handshakes: room is given out when the gateway starts"),
            (|config| config.listen = ([127, 0, 0, 1], 1).into(), "not listen: its port is bound when the gateway starts"),
            (|config| config.data = "x".into(), "not data: the store is opened when the gateway starts"),
            (|config| config.genesis = "x".into(), "not genesis: the genesis is entry 0 of the log, and holds for the log's life"),
            (|config| config.telemetry.metrics = None, "not telemetry.metrics: ports, the log's form"),
        ] {
            assert!(with(change).starts_with(wanted) && (with(change).is_empty() == wanted.is_empty()), "{}", with(change));
        }
        let both = with(|config| (config.telemetry.log, config.crls) = ("debug".to_owned(), "x".into()));
        assert!(both.starts_with("telemetry.log: ") && both.contains("; not crls: "), "{both}");
    }
}
