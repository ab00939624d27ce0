//! The demo's network: minted once, then used again; a gateway in this process, and one profile for each participant.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use certs_dev::MintOptions;
use client::{Client, Origin, Profile};
use envelope::{Address, Network};
use gateway::{Config, Init, Running};

use crate::letters::addresses;

/// Who is enrolled from the first day.
pub const MEMBERS: [&str; 15] = [
    "ke",
    "th",
    "np",
    "cn",
    "gb",
    "us",
    "ke/cus/kemba",
    "th/cus/thbkk",
    "np/bor/x-birgunj",
    "ipsg/ens",
    "ipsg/ccc",
    "ipsg/compliance",
    "svc/imaf",
    "org/latf",
    "aud/network",
];
/// A post that has certificates from the first day, and is enrolled in a story.
pub const AIRPORT: &str = "ke/air/kenbo";
const NODE: &str = "node/dev-1";
const PORT: u16 = 7247;

/// Who takes part in a network.
#[derive(Clone, Debug)]
pub struct Members {
    /// Enrolled from the first day.
    pub enrolled: Vec<Address>,
    /// With certificates from the first day, enrolled later by its bureau.
    pub certified: Vec<Address>,
}

impl Members {
    /// Those of the stories.
    ///
    /// # Errors
    /// None while the addresses above are addresses.
    pub fn of_stories() -> anyhow::Result<Self> {
        Ok(Self { enrolled: addresses(&MEMBERS)?, certified: addresses(&[AIRPORT])? })
    }
}

/// The folder with everything in it.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// The network of the stories in `path`; minted when there is none.
    ///
    /// # Errors
    /// Whatever minting or initialising says.
    pub fn open_or_mint(path: &Path) -> anyhow::Result<(Self, bool)> {
        Self::open_or_mint_with(path, &Members::of_stories()?)
    }

    /// The network of these members in `path`; minted when there is none.
    ///
    /// # Errors
    /// Whatever minting or initialising says.
    pub fn open_or_mint_with(path: &Path, members: &Members) -> anyhow::Result<(Self, bool)> {
        let folder = Self(path.to_owned());
        if path.exists() {
            let why = if !folder.config_path().exists() {
                "was left half made"
            } else if folder.rests_too_long()? {
                "has rested for a day"
            } else if !folder.has(members) {
                "is another network, with other members"
            } else {
                return Ok((folder, false));
            };
            folder.set_aside(why)?;
        }
        Ok((Self::mint(path, members, free_address()?)?, true))
    }

    /// A new network in `path`, whose gateway will listen on `listen`.
    ///
    /// # Errors
    /// Whatever minting or initialising says.
    pub fn mint(path: &Path, members: &Members, listen: SocketAddr) -> anyhow::Result<Self> {
        let folder = Self(path.to_owned());
        std::fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))?;
        let addresses = members.enrolled.iter().cloned().chain([Address::parse(NODE)?]).collect();
        certs_dev::mint(&MintOptions::new(folder.pki(), Network::parse("ecowire.test")?, addresses))?;
        for address in &members.certified {
            certs_dev::issue(&folder.pki(), address, None)?;
        }
        gateway::init(&Init {
            config: folder.config_path(),
            genesis: folder.pki().join("genesis.bin"),
            node: folder.pki().join(NODE.replace('/', "_")),
            data: folder.data(),
            listen,
            engine: gateway::config::EngineName::default(),
        })?;
        Ok(folder)
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The development PKI.
    #[must_use]
    pub fn pki(&self) -> PathBuf {
        self.0.join("pki")
    }

    /// The gateway's store.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    /// The gateway's configuration.
    #[must_use]
    pub fn config_path(&self) -> PathBuf {
        self.0.join("gateway.toml")
    }

    /// The gateway's log.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.0.join("gateway.log")
    }

    /// A participant's profile.
    #[must_use]
    pub fn profile_path(&self, member: &str) -> PathBuf {
        self.0.join("profiles").join(member.replace('/', "_"))
    }

    /// The gateway's configuration.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn config(&self) -> anyhow::Result<Config> {
        Ok(Config::read(&self.config_path())?)
    }

    /// Starts the gateway in this process.
    ///
    /// # Errors
    /// Whatever the gateway says.
    pub async fn start(&self) -> anyhow::Result<Running> {
        Ok(gateway::start(&self.config()?).await?)
    }

    /// Connects as `member`; the first time it makes the profile and publishes its encryption key.
    ///
    /// # Errors
    /// Whatever the client says.
    pub async fn client(&self, running: &Running, member: &str) -> anyhow::Result<Client> {
        let path = self.profile_path(member);
        if path.exists() {
            return Ok(Client::connect(&Profile::open(&path)?).await?);
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let origin = Origin {
            gateway: format!("https://{}", running.address),
            trust: self.pki().join("trust.toml"),
            identity: self.pki().join(member.replace('/', "_")),
        };
        Ok(Client::init(&path, &origin).await?)
    }

    /// A gateway stops by name when its clock lies more than a day after the last entry; the demo begins anew before that.
    fn rests_too_long(&self) -> anyhow::Result<bool> {
        let store = self.data().join("ledger.redb");
        let modified = std::fs::metadata(&store).with_context(|| format!("cannot read {}", store.display()))?.modified()?;
        Ok(SystemTime::now().duration_since(modified).unwrap_or_default() > Duration::from_secs(23 * 3600))
    }

    /// Whether all of them have certificates here.
    fn has(&self, members: &Members) -> bool {
        members.enrolled.iter().chain(&members.certified).all(|member| self.pki().join(member.file_name()).exists())
    }

    fn set_aside(&self, why: &str) -> anyhow::Result<()> {
        for number in 1..1000 {
            let aside = self.0.with_extension(format!("old-{number}"));
            if !aside.exists() {
                std::fs::rename(&self.0, &aside)?;
                println!("The network in {} {why}; it is now {}.", self.0.display(), aside.display());
                return Ok(());
            }
        }
        bail!("there are 1000 old networks beside {}; remove some", self.0.display())
    }
}

/// The usual port on loopback, or any free one.
fn free_address() -> anyhow::Result<SocketAddr> {
    let usual = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
    let listener = TcpListener::bind(usual).or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    Ok(listener.local_addr()?)
}
