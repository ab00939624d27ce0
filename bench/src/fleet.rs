//! A network of bureaus minted for a run: each with its own certificate, one that receives.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use client::link::{Credentials, Link, Transport};
use envelope::entry::Entry;
use envelope::header::HEADER_TYPE;
use envelope::identity::chain_sha256;
use envelope::keys::{SigningKey, random};
use envelope::seal::DecryptionKey;
use envelope::trust::Trust;
use envelope::{Address, Network, Receipt, Reference, Timestamp, dsse, seal, statement};
use gateway::Init;
use gateway::clock::{SystemTimeSource, TimeSource as _};
use gateway::config::EngineName;
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
    /// Who receives; one at least.
    pub recipients: Vec<Recipient>,
}

/// Who receives, and with which encryption key.
#[derive(Clone, Debug)]
pub struct Recipient {
    /// Its address.
    pub address: Address,
    /// The key that it publishes.
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
    /// Mints `count` senders (two-letter bureaus), one recipient, and initialises a gateway in `folder`, on any free port.
    ///
    /// # Errors
    /// Whatever minting or initialising says.
    pub fn mint(folder: &Path, count: usize) -> anyhow::Result<Self> {
        Self::mint_with(folder, count, 1, EngineName::default())
    }

    /// As [`Fleet::mint`], with so many recipients, `zz`, `zy` and so on, and an engine. Senders and recipients together
    /// are at most 676.
    ///
    /// # Errors
    /// Whatever minting or initialising says.
    pub fn mint_with(folder: &Path, senders: usize, recipients: usize, engine: EngineName) -> anyhow::Result<Self> {
        let fleet = Self::mint_members(folder, senders, recipients)?;
        gateway::init(&Init {
            config: folder.join("gateway.toml"),
            genesis: fleet.genesis(),
            node: fleet.node(),
            data: folder.join("data"),
            listen: ([127, 0, 0, 1], 0).into(),
            engine,
        })?;
        Ok(fleet)
    }

    /// As [`Fleet::mint_with`], without a gateway.
    ///
    /// # Errors
    /// Whatever minting says.
    pub fn mint_members(folder: &Path, senders: usize, recipients: usize) -> anyhow::Result<Self> {
        anyhow::ensure!(recipients > 0 && senders + recipients <= BUREAUS_MAX, "1 recipient at least, {BUREAUS_MAX} bureaus at most");
        let letter = |n: usize| char::from(b'a' + u8::try_from(n % 26).unwrap_or(0));
        let bureau = |n: usize| Address::parse(&format!("{}{}", letter(n / 26), letter(n)));
        let senders: Vec<Address> = (0..senders).map(bureau).collect::<Result<_, _>>()?;
        let recipient = |n| anyhow::Ok(Recipient { address: bureau(BUREAUS_MAX - 1 - n)?, key: DecryptionKey::generate()? });
        let recipients: Vec<Recipient> = (0..recipients).map(recipient).collect::<Result<_, _>>()?;
        let mut addresses = senders.clone();
        addresses.extend(recipients.iter().map(|recipient| recipient.address.clone()));
        addresses.extend([Address::parse(AUDITOR)?, Address::parse("node/bench-1")?]);
        let pki = folder.join("pki");
        let minted = certs_dev::mint(&certs_dev::MintOptions::new(&pki, Network::parse("bench.test")?, addresses))?;
        Ok(Self { folder: folder.to_owned(), trust: minted.trust, senders, recipients })
    }

    /// The network's genesis.
    #[must_use]
    pub fn genesis(&self) -> PathBuf {
        self.folder.join("pki").join("genesis.bin")
    }

    /// The gateway's folder of keys.
    #[must_use]
    pub fn node(&self) -> PathBuf {
        self.folder.join("pki").join("node_bench-1")
    }

    /// The folder of a participant's certificates and keys.
    #[must_use]
    pub fn identity(&self, address: &Address) -> PathBuf {
        self.folder.join("pki").join(address.file_name())
    }

    /// Connects as `address`, over TCP: figures of the gateway's work are compared with earlier ones.
    ///
    /// # Errors
    /// Whatever the link says.
    pub async fn connect(&self, gateway: &str, address: &Address) -> anyhow::Result<Link> {
        let credentials = Credentials::read(&self.identity(address))?;
        Ok(Link::connect_by(&Transport::Tcp.into(), gateway, &self.trust, credentials, Duration::from_secs(10)).await?)
    }

    /// The identity key of `address`.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn signing_key(&self, address: &Address) -> anyhow::Result<SigningKey> {
        Ok(SigningKey::from_pem(&std::fs::read(self.identity(address).join("identity.key"))?)?)
    }

    /// The head of a participant's own statement: `seq` and the digest of the one before it.
    #[must_use]
    pub fn statement_head(&self, of: &Address, seq: u64, prev: Option<[u8; 32]>) -> v1::StatementHead {
        v1::StatementHead {
            version: 1,
            network: self.trust.network.to_string(),
            issuer: of.to_string(),
            subject: of.to_string(),
            seq,
            prev_sha256: prev.map(|digest| digest.to_vec()).unwrap_or_default().into(),
            created_ms: now().ms(),
            expires_ms: 0,
        }
    }

    /// Publishes every recipient's key, one after the other, and gives the directory's head that has them.
    ///
    /// # Errors
    /// Whatever the gateway says.
    pub async fn publish_key(&self, gateway: &str) -> anyhow::Result<Head> {
        for recipient in &self.recipients {
            let chain = certs_dev::read_chain(&self.identity(&recipient.address).join("identity.pem"))?;
            let statement = v1::KeyStatement {
                head: Some(self.statement_head(&recipient.address, 1, None)),
                keys: vec![v1::EncryptionKey {
                    kem: v1::KemId::XWing.into(),
                    public: recipient.key.public().clone(),
                    state: v1::KeyState::Current.into(),
                }],
                cert_chain_sha256: chain_sha256(&chain).to_vec().into(),
            };
            let signed = statement::sign(&statement, &[&self.signing_key(&recipient.address)?])?;
            let mut directory = self.directory(gateway, &recipient.address).await?;
            directory.publish_statement(v1::PublishStatementRequest { statement: Some(signed) }).await?;
        }
        let mut directory = self.directory(gateway, &self.recipients[0].address).await?;
        let snapshot = directory.snapshot(v1::SnapshotRequest { from_size: u64::MAX }).await?.into_inner();
        let proven = Receipt::decode(&snapshot.head)?.verify(&self.trust.log_verifier()?)?;
        let head = v1::Head::decode(proven.slot(1, 0).context("the head shows its slot")?.clone())?;
        let root = head.directory_root.as_ref().try_into().map_err(|_| anyhow!("the directory's root is not 32 bytes"))?;
        Ok(Head { size: head.directory_size, root })
    }

    async fn directory(&self, gateway: &str, address: &Address) -> anyhow::Result<DirectoryClient<Link>> {
        let link = self.connect(gateway, address).await?;
        Ok(DirectoryClient::with_origin(link.clone(), link.origin()).max_decoding_message_size(64 << 20))
    }

    /// Seals messages of `bytes` from `sender` to the first recipient under the given numbers; each has its number as tag.
    ///
    /// # Errors
    /// Whatever sealing says.
    pub fn seal(&self, head: &Head, sender: &Address, numbers: RangeInclusive<u64>, bytes: usize) -> anyhow::Result<Vec<v1::Submission>> {
        let key = self.signing_key(sender)?;
        numbers.map(|number| self.seal_one(head, sender, &key, &self.recipients[..1], number, bytes)).collect()
    }

    /// As [`Fleet::seal`], but seals once and puts many headers over that one content and its wraps: about 25 us a
    /// message, whatever the number of recipients, where sealing takes 200 us for each of them.
    ///
    /// Nobody can open any but the first, for the wraps are bound to its context. The gateway does exactly the same work
    /// for all of them, since it is blind: it parses the header, the wraps and the content, hashes both against the
    /// header's commitments, checks the signature, judges, and stores every byte under a key of its own; it looks for no
    /// content that it has seen before.
    ///
    /// # Errors
    /// Whatever sealing says.
    pub fn seal_many(
        &self,
        head: &Head,
        sender: &Address,
        to: &[Recipient],
        numbers: RangeInclusive<u64>,
        bytes: usize,
    ) -> anyhow::Result<Vec<v1::Submission>> {
        let key = self.signing_key(sender)?;
        let sealed = self.seal_one(head, sender, &key, to, *numbers.start(), bytes)?;
        let header = v1::Header::decode(sealed.signed.context("it was just signed")?.header)?;
        let one = |number| {
            let context = self.context(head, sender, &key, to, number)?.encode_to_vec().into();
            let header = Bytes::from(v1::Header { context, ..header.clone() }.encode_to_vec());
            let signatures = dsse::sign(HEADER_TYPE, &header, &[&key])?;
            let signed = Some(v1::SignedHeader { header, signatures });
            anyhow::Ok(v1::Submission { signed, wraps: sealed.wraps.clone(), content: sealed.content.clone(), tag: number })
        };
        numbers.map(one).collect()
    }

    fn seal_one(
        &self,
        head: &Head,
        sender: &Address,
        key: &SigningKey,
        to: &[Recipient],
        number: u64,
        bytes: usize,
    ) -> anyhow::Result<v1::Submission> {
        let context = self.context(head, sender, key, to, number)?;
        let body = v1::SealedBody { media_type: "application/octet-stream".to_owned(), content: Bytes::from(vec![7; bytes]) };
        let keys: Vec<Bytes> = to.iter().map(|recipient| recipient.key.public().clone()).collect();
        let submission = seal::seal(&context, &body, &keys, &[key])?;
        Ok(v1::Submission { tag: number, ..submission })
    }

    fn context(&self, head: &Head, sender: &Address, key: &SigningKey, to: &[Recipient], number: u64) -> anyhow::Result<v1::Context> {
        let created = now();
        Ok(v1::Context {
            version: 1,
            network: self.trust.network.to_string(),
            sender: sender.to_string(),
            year: created.year(),
            series: 1,
            number,
            signers: vec![key.public().signer_ref()],
            recipients: to.iter().map(|recipient| recipient.address.to_string()).collect(),
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
        })
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

pub(crate) fn now() -> Timestamp {
    SystemTimeSource::default().wall()
}

/// Names of two letters.
const BUREAUS_MAX: usize = 26 * 26;
/// Who sees every entry.
pub(crate) const AUDITOR: &str = "aud/network";
