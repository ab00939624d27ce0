//! The configuration: one TOML file, every key shown by the file that `init` writes, unknown keys refused.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use crate::bounds::{LimitError, Limits};

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
    /// Bounds that an operator may lower or raise.
    #[serde(default)]
    pub limits: Limits,
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
    /// A limit that cannot be taken.
    #[error(transparent)]
    Limit(#[from] LimitError),
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
        config.limits.check()?;
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
        let limits = self.limits.to_toml();
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
             {limits}",
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
        Config { listen, data: at("data"), genesis: at("g"), node: at("n"), crls: at("c"), limits: Limits::default() }
    }

    #[test]
    fn what_init_writes_is_what_serve_reads() {
        let read: Config = toml::from_str(&sample().to_toml()).unwrap();
        assert_eq!(format!("{read:?}"), format!("{:?}", sample()));
    }

    #[test]
    fn unknown_keys_are_refused_by_name() {
        let text = sample().to_toml().replace("\nhandshakes =", "\nhandshake =");
        let error = toml::from_str::<Config>(&text).unwrap_err().to_string();
        assert!(error.contains("handshake"), "{error}");
    }
}
