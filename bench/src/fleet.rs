//! A network of bureaus minted for a run: each with its own certificate, one that receives.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use client::link::{Credentials, Link};
use envelope::entry::Entry;
use envelope::identity::chain_sha256;
use envelope::keys::{SigningKey, random};
use envelope::seal::DecryptionKey;
use envelope::trust::Trust;
use envelope::{Address, Network, Receipt, Reference, Timestamp, seal, statement};
use gateway::Init;
use gateway::clock::{SystemTimeSource, TimeSource as _};
use prost::Message as _;
use proto::v1;
use proto::v1::directory_client::DirectoryClient;

/// A minted network with an initialised gateway.
#[derive(Debug)]
pub struct Fleet {
    /// The folder with `pki`, `gateway.toml` and `data`.
    pub folder: PathBuf,
    /// What its members trust.
    pub trust: Trust,
    /// Who sends.
    pub senders: Vec<Address>,
    /// Who receives.
    pub recipient: Address,
    /// The recipient's encryption key.
    pub key: DecryptionKey,
}

/// Where and when a message is sealed: the directory's head, and the recipient's key in it.
#[derive(Clone, Debug)]
pub struct Head {
    /// Statements.
    pub size: u64,
    /// Root over them.
    pub root: [u8; 32],
}

impl Fleet {
    /// Mints `count` senders (two-letter bureaus) and initialises a gateway in `folder`, on any free port.
    ///
    /// # Errors
    /// Whatever minting or initialising says.
    pub fn mint(folder: &Path, count: usize) -> anyhow::Result<Self> {
        let letter = |n: usize| char::from(b'a' + u8::try_from(n % 26).unwrap_or(0));
        let bureau = |n: usize| Address::parse(&format!("{}{}", letter(n / 26), letter(n)));
        let senders: Vec<Address> = (0..count).map(bureau).collect::<Result<_, _>>()?;
        let recipient = Address::parse("zz")?;
        let mut addresses = senders.clone();
        addresses.extend([recipient.clone(), Address::parse("aud/network")?, Address::parse("node/bench-1")?]);
        let pki = folder.join("pki");
        let minted = certs_dev::mint(&certs_dev::MintOptions::new(&pki, Network::parse("bench.test")?, addresses))?;
        gateway::init(&Init {
            config: folder.join("gateway.toml"),
            genesis: pki.join("genesis.bin"),
            node: pki.join("node_bench-1"),
            data: folder.join("data"),
            listen: ([127, 0, 0, 1], 0).into(),
        })?;
        Ok(Self { folder: folder.to_owned(), trust: minted.trust, senders, recipient, key: DecryptionKey::generate()? })
    }

    /// The folder of a participant's certificates and keys.
    #[must_use]
    pub fn identity(&self, address: &Address) -> PathBuf {
        self.folder.join("pki").join(address.file_name())
    }

    /// Connects as `address`.
    ///
    /// # Errors
    /// Whatever the link says.
    pub async fn connect(&self, gateway: &str, address: &Address) -> anyhow::Result<Link> {
        let credentials = Credentials::read(&self.identity(address))?;
        Ok(Link::connect(gateway, &self.trust, credentials, Duration::from_secs(10)).await?)
    }

    /// The identity key of `address`.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn signing_key(&self, address: &Address) -> anyhow::Result<SigningKey> {
        Ok(SigningKey::from_pem(&std::fs::read(self.identity(address).join("identity.key"))?)?)
    }

    /// Publishes the recipient's key and gives the directory's head that has it.
    ///
    /// # Errors
    /// Whatever the gateway says.
    pub async fn publish_key(&self, gateway: &str) -> anyhow::Result<Head> {
        let link = self.connect(gateway, &self.recipient).await?;
        let mut directory = DirectoryClient::with_origin(link.clone(), link.origin()).max_decoding_message_size(64 << 20);
        let chain = certs_dev::read_chain(&self.identity(&self.recipient).join("identity.pem"))?;
        let address = self.recipient.to_string();
        let statement = v1::KeyStatement {
            head: Some(v1::StatementHead {
                version: 1,
                network: self.trust.network.to_string(),
                issuer: address.clone(),
                subject: address,
                seq: 1,
                created_ms: now().ms(),
                ..v1::StatementHead::default()
            }),
            keys: vec![v1::EncryptionKey {
                kem: v1::KemId::XWing.into(),
                public: self.key.public().clone(),
                state: v1::KeyState::Current.into(),
            }],
            cert_chain_sha256: chain_sha256(&chain).to_vec().into(),
        };
        let signed = statement::sign(&statement, &[&self.signing_key(&self.recipient)?])?;
        directory.publish_statement(v1::PublishStatementRequest { statement: Some(signed) }).await?;
        let snapshot = directory.snapshot(v1::SnapshotRequest { from_size: u64::MAX }).await?.into_inner();
        let proven = Receipt::decode(&snapshot.head)?.verify(&self.trust.log_verifier()?)?;
        let head = v1::Head::decode(proven.slot(1, 0).context("the head shows its slot")?.clone())?;
        let root = head.directory_root.as_ref().try_into().map_err(|_| anyhow!("the directory's root is not 32 bytes"))?;
        Ok(Head { size: head.directory_size, root })
    }

    /// Seals messages of `bytes` from `sender` under the given numbers; each has its number as tag.
    ///
    /// # Errors
    /// Whatever sealing says.
    pub fn seal(
        &self,
        head: &Head,
        sender: &Address,
        numbers: std::ops::RangeInclusive<u64>,
        bytes: usize,
    ) -> anyhow::Result<Vec<v1::Submission>> {
        let key = self.signing_key(sender)?;
        numbers.map(|number| self.seal_one(head, sender, &key, number, bytes)).collect()
    }

    fn seal_one(&self, head: &Head, sender: &Address, key: &SigningKey, number: u64, bytes: usize) -> anyhow::Result<v1::Submission> {
        let created = now();
        let context = v1::Context {
            version: 1,
            network: self.trust.network.to_string(),
            sender: sender.to_string(),
            year: created.year(),
            series: 1,
            number,
            signers: vec![key.public().signer_ref()],
            recipients: vec![self.recipient.to_string()],
            kind: v1::Kind::Message.into(),
            priority: v1::Priority::Routine.into(),
            classification: v1::Classification::OfficialUseOnly.into(),
            handling: v1::Handling::H0.into(),
            created_ms: created.ms(),
            expires_ms: created.plus(30 * 86_400_000).ms(),
            clock: v1::ClockQuality::Ntp.into(),
            content_suite: v1::ContentSuite::Aes256Gcm.into(),
            directory_size: head.size,
            directory_root: head.root.to_vec().into(),
            deny_digest: random::<32>()?.to_vec().into(),
            ipsg_opt_out: v1::OptOut::None.into(),
            ..v1::Context::default()
        };
        let body = v1::SealedBody { media_type: "application/octet-stream".to_owned(), content: Bytes::from(vec![7; bytes]) };
        let submission = seal::seal(&context, &body, &[self.key.public().clone()], &[key])?;
        Ok(v1::Submission { tag: number, ..submission })
    }

    /// The reference of a sender's message.
    #[must_use]
    pub fn reference(&self, sender: &Address, number: u64) -> Reference {
        Reference { sender: sender.clone(), year: now().year(), series: 1, number }
    }
}

/// Reads every entry of a stopped gateway's ledger.
///
/// # Errors
/// Whatever configuration or ledger says.
pub fn entries(folder: &Path) -> anyhow::Result<Vec<(u64, Entry)>> {
    let config = gateway::Config::read(&folder.join("gateway.toml"))?;
    let opener = gateway::gateway::opener(&config)?.0;
    let ledger = opener.open_ledger()?;
    let read = |index| {
        let opening = ledger.read(index)?.opening.with_context(|| format!("entry {index} has no opening"))?;
        Ok((index, Entry::read(&opening)?))
    };
    let entries = (0..ledger.size()).map(read).collect();
    ledger.close();
    entries
}

fn now() -> Timestamp {
    SystemTimeSource::default().wall()
}
