//! Makes a whole development PKI in a folder that did not exist before, or nothing.
//!
//! It does not know how certificates are encoded (`forge`) or what the genesis allows (`genesis`).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use envelope::address::{Address, Class, Network};
use envelope::identity::{Anchors, NothingRevoked, Role};
use envelope::keys::{KeyFileError, Ring, SigningKey, random};
use envelope::statement;
use envelope::time::Timestamp;
use envelope::trust::{Trust, directory_origin, log_origin};
use prost::Message as _;
use proto::v1::{Genesis, Kind};

use crate::forge::{Ca, Certifiable, DAY_MS, Pair, Spec, file_name, generate_ed25519};
use crate::genesis::{self, Parts};
use crate::{Error, files};

/// What to mint.
#[derive(Clone, Debug)]
pub struct MintOptions {
    /// The folder; it must not exist, or be empty.
    pub out: PathBuf,
    /// The network's name.
    pub network: Network,
    /// Who gets certificates; exactly one is a node.
    pub addresses: Vec<Address>,
    /// The time that certificates and statements are dated by.
    pub now: Timestamp,
    /// Whose identity keys are P-256; everybody else's are Ed25519.
    pub p256: Vec<Address>,
    /// Kinds that two officers' seats of the sender sign, at most 32.
    pub dual_control: Vec<Kind>,
    /// How many messages to more than 64 recipients each member sends a day; 0 for no bound.
    pub broadcasts_per_day: u32,
}

impl MintOptions {
    /// Options dated by this machine's clock, all identities Ed25519.
    #[must_use]
    pub fn new(out: impl Into<PathBuf>, network: Network, addresses: Vec<Address>) -> Self {
        Self { out: out.into(), network, addresses, now: now(), p256: Vec::new(), dual_control: Vec::new(), broadcasts_per_day: 0 }
    }
}

/// What was minted.
#[derive(Clone, Debug)]
pub struct Minted {
    /// As the file `trust.toml` says it.
    pub trust: Trust,
    /// The gateway node.
    pub node: MintedParticipant,
    /// Everybody else, in order of address.
    pub participants: Vec<MintedParticipant>,
    /// The CAs: `""` (the root), `ke`, `node`.
    pub cas: Vec<String>,
}

/// One who got certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MintedParticipant {
    /// Whose they are.
    pub address: Address,
    /// Where they lie, with their keys.
    pub folder: PathBuf,
}

/// Mints a PKI. The folder appears at the end, whole, by a rename; what was made is read and judged before.
///
/// # Errors
/// [`Error::Exists`] names the file that would have been overwritten; [`Error::is_usage`] tells wrong addresses.
pub fn mint(options: &MintOptions) -> Result<Minted, Error> {
    let node = check(&options.addresses)?;
    refuse_existing(&options.out)?;
    let suffix: String = random::<4>()?.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut name = options.out.file_name().ok_or_else(|| Error::Exists(options.out.clone()))?.to_owned();
    name.push(format!(".new-{suffix}"));
    let draft = options.out.with_file_name(name);
    files::make_folder(&draft, 0o755)?;
    let made = Draft::new(options, &draft).and_then(|draft| draft.finish(&node)).and_then(|minted| {
        let renamed = fs::rename(&draft, &options.out);
        // Somebody else was faster: a rename never replaces a folder with something in it.
        renamed.map_err(|cause| Error::File { what: "rename the new folder to", path: options.out.clone(), cause })?;
        Ok(minted)
    });
    if made.is_err() {
        // The keys of a half-made PKI are worth nothing; that they could not be removed is worth no second error.
        let _ = fs::remove_dir_all(&draft);
    }
    made
}

/// A PKI in the making, in its temporary folder.
struct Draft<'a> {
    options: &'a MintOptions,
    folder: &'a Path,
    root: Ca,
    /// By name: countries and `node`.
    cas: BTreeMap<String, Ca>,
    authority: SigningKey,
}

impl<'a> Draft<'a> {
    /// Makes the authority: root, CAs, the network authority's key, and an empty revocation list of each CA.
    fn new(options: &'a MintOptions, folder: &'a Path) -> Result<Self, Error> {
        let MintOptions { network, addresses, now, .. } = options;
        let secret = folder.join("authority");
        files::make_folder(&secret, 0o700)?;
        let root = Ca::root(&Spec::ca(network, "", None, *now))?;
        let mut cas = BTreeMap::new();
        for address in addresses {
            let name = ca_of(address);
            if name.is_empty() || cas.contains_key(name) {
                continue;
            }
            let sub_bureaus = addresses.iter().any(|other| other.class() == Class::SubBureau && ca_of(other) == name);
            let spec = Spec::ca(network, name, Some(u8::from(sub_bureaus)), *now);
            cas.insert(name.to_owned(), root.subordinate(&spec)?);
        }
        let (authority, pkcs8) = generate_ed25519()?;
        files::write_key(&secret.join("authority.key"), &pkcs8)?;
        let lists = folder.join("crl");
        files::make_folder(&lists, 0o755)?;
        for (name, ca) in cas.iter().map(|(name, ca)| (name.as_str(), ca)).chain([("", &root)]) {
            let file = file_name(name);
            files::write_chain(&secret.join(format!("{file}.pem")), &[&ca.der])?;
            files::write_key(&secret.join(format!("{file}.key")), ca.pair.pkcs8())?;
            files::write_public(&lists.join(format!("{file}.crl")), &ca.crl(1, &[], *now)?)?;
        }
        Ok(Self { options, folder, root, cas, authority })
    }

    /// Makes everything else and judges it.
    fn finish(self, node: &Address) -> Result<Minted, Error> {
        let MintOptions { network, addresses, now, .. } = self.options;
        let anchors = Anchors::new(network.clone(), &[&self.root.der]).map_err(Error::Ca)?;
        let (log_key, directory_key) = self.node(&anchors, node)?;
        let mut participants = Vec::new();
        for address in addresses.iter().filter(|address| *address != node) {
            participants.push((address.clone(), self.participant(&anchors, address)?));
        }
        let mut names: Vec<_> = participants.iter().map(|(address, _)| address.clone()).collect();
        names.sort();
        let signed = genesis::sign(Parts {
            network,
            root_der: &self.root.der,
            authority: &self.authority,
            log_key,
            directory_key,
            node,
            participants,
            p256: !self.options.p256.is_empty(),
            dual_control: &self.options.dual_control,
            broadcasts_per_day: self.options.broadcasts_per_day,
            now: *now,
        })?;
        let bytes = signed.encode_to_vec();
        let signers = [(self.authority.key_id(), self.authority.public())];
        statement::open::<Genesis>(&Ring, &statement::decode_signed(&bytes)?, &signers)?;
        files::write_public(&self.folder.join("genesis.bin"), &bytes)?;
        let genesis_sha256 = tlog::sha256(&bytes);
        let trust = Trust {
            network: network.clone(),
            seq: 1,
            prev_sha256: None,
            created: *now,
            expires: Timestamp(0),
            roots: vec![self.root.der.clone()],
            authority: vec![ed25519(&self.authority)?],
            authority_threshold: 1,
            nodes: vec![node.clone()],
            log_origin: log_origin(network, &genesis_sha256),
            log_key,
            directory_origin: directory_origin(network, &genesis_sha256),
            directory_key,
            genesis_sha256,
            witnesses: Vec::new(),
            witnesses_k: 0,
        };
        let text = trust.to_toml(&trust.sign(&[&self.authority])?);
        Trust::parse_toml(&text)?;
        files::write_public(&self.folder.join("trust.toml"), text.as_bytes())?;
        let placed = |address: Address| MintedParticipant { folder: self.options.out.join(address.file_name()), address };
        Ok(Minted {
            trust,
            node: placed(node.clone()),
            participants: names.into_iter().map(placed).collect(),
            cas: std::iter::once(String::new()).chain(self.cas.keys().cloned()).collect(),
        })
    }

    /// The node's folder; the public keys of log and directory come back.
    fn node(&self, anchors: &Anchors, address: &Address) -> Result<([u8; 32], [u8; 32]), Error> {
        let folder = self.folder.join(address.file_name());
        files::make_folder(&folder, 0o755)?;
        let spec = Spec::node_tls(&self.options.network, address, self.options.now);
        self.tls(anchors, address, Role::NodeTls, &spec, &folder)?;
        let (log, log_pkcs8) = generate_ed25519()?;
        let (directory, directory_pkcs8) = generate_ed25519()?;
        files::write_key(&folder.join("log.key"), &log_pkcs8)?;
        files::write_key(&folder.join("directory.key"), &directory_pkcs8)?;
        Ok((ed25519(&log)?, ed25519(&directory)?))
    }

    /// A participant's folder; its identity chain comes back.
    fn participant(&self, anchors: &Anchors, address: &Address) -> Result<Vec<Vec<u8>>, Error> {
        let folder = self.folder.join(address.file_name());
        self.issuer(anchors, address).participant(address, self.options.p256.contains(address), &folder)
    }

    fn tls(&self, anchors: &Anchors, address: &Address, role: Role, spec: &Spec, folder: &Path) -> Result<(), Error> {
        self.issuer(anchors, address).tls(address, role, spec, folder)
    }

    /// The CA that answers for the address.
    fn issuer<'b>(&'b self, anchors: &'b Anchors, address: &Address) -> Issuer<'b> {
        let own = self.cas.get(ca_of(address));
        Issuer { anchors, ca: own.unwrap_or(&self.root), is_root: own.is_none(), now: self.options.now, pki: self.folder, days: None }
    }
}

/// A CA that certifies somebody.
pub(crate) struct Issuer<'a> {
    pub(crate) anchors: &'a Anchors,
    pub(crate) ca: &'a Ca,
    /// Then it stands in no chain.
    pub(crate) is_root: bool,
    pub(crate) now: Timestamp,
    /// How long its certificates hold; as long as they may when left out.
    pub(crate) days: Option<u16>,
    /// The PKI's folder, which keeps a register of what was issued to whom.
    pub(crate) pki: &'a Path,
}

impl Issuer<'_> {
    /// Makes a folder with a participant's keys and certificates; its identity chain comes back.
    pub(crate) fn participant(&self, address: &Address, p256: bool, folder: &Path) -> Result<Vec<Vec<u8>>, Error> {
        let network = self.anchors.network();
        files::make_folder(folder, 0o755)?;
        self.tls(address, Role::Tls, &self.lasting(Spec::tls(network, address, self.now)), folder)?;
        let (identity, pkcs8) = if p256 { SigningKey::generate_p256()? } else { generate_ed25519()? };
        let spec = self.lasting(Spec::identity(network, address, self.now));
        let chain = self.chain(address, Role::Identity, &spec, &Certifiable(identity.public()))?;
        write_pair(folder, "identity", &chain, &pkcs8)?;
        Ok(chain)
    }

    fn lasting(&self, spec: Spec) -> Spec {
        let end = self.days.map(|days| self.now.plus(u64::from(days) * DAY_MS).min(spec.not_after));
        Spec { not_after: end.unwrap_or(spec.not_after), ..spec }
    }

    fn tls(&self, address: &Address, role: Role, spec: &Spec, folder: &Path) -> Result<(), Error> {
        let pair = Pair::generate()?;
        let chain = self.chain(address, role, spec, &pair)?;
        write_pair(folder, "tls", &chain, pair.pkcs8())
    }

    /// Issues a leaf, and judges the chain.
    fn chain(&self, address: &Address, role: Role, spec: &Spec, key: &impl rcgen::PublicKeyData) -> Result<Vec<Vec<u8>>, Error> {
        let above = if self.is_root { Vec::new() } else { vec![self.ca.der.clone()] };
        let chain = [vec![self.ca.issue(spec, key)?], above].concat();
        let judged = self.anchors.judge(role, &chain, self.now, &NothingRevoked);
        let judged = judged.map_err(|cause| Error::Chain { address: address.clone(), cause })?;
        // A certificate whose file is gone must still be taken back one day.
        if let Some(link) = judged.links.first() {
            files::register(self.pki, address, &link.serial)?;
        }
        Ok(chain)
    }
}

fn write_pair(folder: &Path, name: &str, chain: &[Vec<u8>], pkcs8: &[u8]) -> Result<(), Error> {
    let chain: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
    files::write_chain(&folder.join(format!("{name}.pem")), &chain)?;
    files::write_key(&folder.join(format!("{name}.key")), pkcs8)
}

fn ed25519(key: &SigningKey) -> Result<[u8; 32], Error> {
    key.public().ed25519().ok_or(Error::Key(KeyFileError::Unsound))
}

/// The CA that issues for an address: its country's, the operator's, or `""`, the root.
pub(crate) fn ca_of(address: &Address) -> &str {
    match address.class() {
        Class::Ncb | Class::SubBureau | Class::Endpoint | Class::Node => address.first_segment(),
        Class::Ipsg | Class::Service | Class::Organisation | Class::Auditor | Class::Group => "",
    }
}

/// This machine's clock; before 1970 it is 1970.
pub(crate) fn now() -> Timestamp {
    let ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    Timestamp(u64::try_from(ms).unwrap_or(u64::MAX))
}

/// The node, when the addresses can be minted.
fn check(addresses: &[Address]) -> Result<Address, Error> {
    for (at, address) in addresses.iter().enumerate() {
        if address.class() == Class::Group {
            return Err(Error::Group(address.clone()));
        }
        if addresses[..at].contains(address) {
            return Err(Error::Twice(address.clone()));
        }
    }
    let nodes: Vec<_> = addresses.iter().filter(|address| address.class() == Class::Node).collect();
    match nodes.as_slice() {
        [node] => Ok((*node).clone()),
        nodes => Err(Error::Nodes(nodes.len())),
    }
}

/// Refuses a place where anything is, and names what is there: the trust file if there is one.
fn refuse_existing(out: &Path) -> Result<(), Error> {
    let trust = out.join("trust.toml");
    if trust.exists() {
        return Err(Error::Exists(trust));
    }
    match fs::read_dir(out) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(entry) => Err(Error::Exists(entry.map_or_else(|_| out.into(), |entry| entry.path()))),
        },
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(_) => Err(Error::Exists(out.into())),
    }
}
