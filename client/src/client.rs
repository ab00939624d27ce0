//! A member at work: its profile, and a connection when there is one.
//!
//! Every connection begins with the checkpoints: what the gateway shows must extend what was seen before. Then the
//! directory is brought up to date. **Invariant:** nothing is believed because the gateway says so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use envelope::receipt::Proven;
use envelope::{Address, Receipt};
use proto::v1::audit_client::AuditClient;
use proto::v1::directory_client::DirectoryClient;
use proto::v1::messages_client::MessagesClient;
use proto::v1::{self, StatementKind};
use tlog::{Checkpoint, Hash, verify_consistency};
use tonic::Status;

use crate::clock;
use crate::custody::Custody;
use crate::directory::Directory;
use crate::error::Error;
use crate::files;
use crate::link::{Link, Transport};
use crate::outbox::{Number, Numbering, Outbox};
use crate::profile::{Draft, Origin, Profile};
use crate::send::Sent;
use crate::store::{Table, Write};
use crate::trouble::{Trouble, error_of};

/// A member of the network, online or not.
///
/// ```no_run
/// # async fn example() -> Result<(), client::Error> {
/// use client::{Client, Compose, Profile};
///
/// let profile = Profile::open("profiles/ke_cus_kemba".as_ref())?;
/// let mut client = Client::connect(&profile).await?;
/// let to = vec!["ke".parse().expect("an address")];
/// let sent = client.send(Compose::new(to, b"hello".to_vec())).await?;
/// println!("{} stands at {}", sent.reference, sent.position.index);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Client {
    pub(crate) profile: Profile,
    pub(crate) link: Option<Link>,
    pub(crate) directory: Directory,
    pub(crate) outbox: Outbox,
    /// Largest checkpoint that was verified.
    held: Option<Checkpoint>,
    /// Checkpoints that were found to lie on the way to it.
    consistent: BTreeMap<u64, Hash>,
    /// What went out beside the message that was sent last.
    pub(crate) sent_beside: Vec<Sent>,
    replaces_key: bool,
    /// Officers' seats that sign beside the sender.
    pub(crate) seats: Vec<Profile>,
}

impl Client {
    /// A member without a connection: it can queue and open, and connects when it must.
    ///
    /// # Errors
    /// What is wrong with the profile's store.
    pub fn offline(profile: &Profile) -> Result<Self, Error> {
        let store = profile.store();
        let held = match store.get(Table::Meta, CHECKPOINT_KEY.as_bytes())? {
            Some(note) => Some(Checkpoint::open(&note, profile.log()).map_err(|_| Error::Row("meta"))?),
            None => None,
        };
        let numbering = match store.get(Table::Meta, NUMBERING_KEY.as_bytes())? {
            Some(row) => serde_json::from_slice(&row).map_err(|_| Error::Row("meta"))?,
            None => Numbering::unknown(),
        };
        let item = |(_, row): (u64, Vec<u8>)| serde_json::from_slice(&row).map_err(|_| Error::Row("outbox"));
        let items = store.numbered(Table::Outbox)?.into_iter().map(item).collect::<Result<_, _>>()?;
        let client = Self {
            directory: Directory::load(profile)?,
            outbox: Outbox::load(numbering, items),
            profile: profile.clone(),
            link: None,
            held,
            consistent: BTreeMap::new(),
            sent_beside: Vec::new(),
            replaces_key: false,
            seats: Vec::new(),
        };
        // Whatever is wanted of the profile, first it forgets what it may no longer know.
        client.sweep_hotlists()?;
        Ok(client)
    }

    /// Connects, verifies the gateway's checkpoint against the one held, and brings the directory up to date.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::CertificateRefused`], [`Error::Server`], [`Error::Forked`] or what is unsound.
    pub async fn connect(profile: &Profile) -> Result<Self, Error> {
        let mut client = Self::offline(profile)?;
        client.reconnect(CONNECT_TIMEOUT).await?;
        Ok(client)
    }

    /// Makes a profile at `dir` and publishes its encryption key. The profile is there when the key is published.
    ///
    /// # Errors
    /// [`Error::Exists`], and what [`Client::connect`] and [`Client::publish_keys`] say.
    pub async fn init(dir: &Path, origin: &Origin) -> Result<Self, Error> {
        Self::init_kept(dir, origin, Transport::Auto, &Custody::default()).await
    }

    /// As [`Client::init`], with a transport that the profile keeps, and keys that are kept as `custody` says.
    ///
    /// # Errors
    /// As [`Client::init`], and what [`Profile::create_kept`] says.
    pub async fn init_kept(dir: &Path, origin: &Origin, transport: Transport, custody: &Custody) -> Result<Self, Error> {
        let draft = Draft::new(dir, origin, transport, custody)?;
        let mut client = Self::connect(&draft.profile()?).await.map_err(|error| draft.rename(error))?;
        let replaces_key = client.directory.current_key(client.address()).is_some();
        client.publish_keys().await.map_err(|error| draft.rename(error))?;
        let link = client.link.take();
        drop(client);
        let mut client = Self::offline(&draft.finish()?)?;
        (client.link, client.replaces_key) = (link, replaces_key);
        Ok(client)
    }

    /// Whether [`Client::init`] has published its key in the place of one that another profile of this member holds.
    #[must_use]
    pub fn replaces_key(&self) -> bool {
        self.replaces_key
    }

    /// Lets officers' seats sign what is sent from now on, in this order; each is a profile of its own.
    pub fn sign_with(&mut self, seats: Vec<Profile>) {
        self.seats = seats;
    }

    /// Whose client it is.
    #[must_use]
    pub fn address(&self) -> &Address {
        self.profile.address()
    }

    /// The profile.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The verified directory.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The largest checkpoint that was verified.
    #[must_use]
    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        self.held.as_ref()
    }

    /// The outbox.
    #[must_use]
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// The connection, when there is one.
    #[must_use]
    pub fn link(&self) -> Option<&Link> {
        self.link.as_ref().filter(|link| !link.is_closed())
    }

    /// Drops the connection, if there is one, and makes a new one.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub async fn reconnect(&mut self, timeout: Duration) -> Result<(), Error> {
        self.link = None;
        let credentials = self.profile.credentials()?;
        let profile = &self.profile;
        let link = match Link::connect_by(profile.route(), profile.gateway(), profile.trust(), credentials, timeout).await {
            Ok(link) => link,
            Err(error) => return Err(self.shut_out(error)),
        };
        let met = self.greet(link, timeout).await;
        met.map_err(|error| self.shut_out(error))
    }

    /// Goes on over a link of this member that is there already.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub async fn take_link(&mut self, link: Link) -> Result<(), Error> {
        self.greet(link, CONNECT_TIMEOUT).await
    }

    /// Who was suspended, withdrawn or revoked keeps no hot list.
    fn shut_out(&self, error: Error) -> Error {
        if matches!(error, Error::CertificateRefused { .. })
            && let Err(fault) = self.erase_hotlists()
        {
            return fault;
        }
        error
    }

    async fn greet(&mut self, link: Link, timeout: Duration) -> Result<(), Error> {
        self.link = Some(link);
        let met = tokio::time::timeout(timeout.max(CONNECT_TIMEOUT), self.meet()).await;
        let met = met.unwrap_or_else(|_| Err(self.unreachable("the gateway does not answer")));
        if met.is_err() {
            self.link = None;
        }
        met?;
        self.outbox.resume();
        Ok(())
    }

    async fn meet(&mut self) -> Result<(), Error> {
        self.refresh_checkpoint().await?;
        self.refresh_directory().await
    }

    /// Shows the gateway the checkpoint held, and takes its newer one if that extends it.
    ///
    /// # Errors
    /// [`Error::Forked`] when it does not; both notes are kept as evidence.
    pub async fn refresh_checkpoint(&mut self) -> Result<Checkpoint, Error> {
        let held = self.held_note()?;
        let request = v1::CheckpointRequest { held: held.clone().into() };
        let answer = match self.audit()?.checkpoint(request).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => {
                let error = self.failed(&status).await;
                return Err(self.behind(error, &held).await?);
            }
        };
        let checkpoint = Checkpoint::open(&answer.checkpoint, self.profile.log()).map_err(Error::unsound)?;
        if let Some(held_checkpoint) = &self.held {
            let path = hashes(&answer.consistency)?;
            let old = held_checkpoint;
            if let Err(error) = verify_consistency(old.size, &old.root, checkpoint.size, &checkpoint.root, &path) {
                return Err(self.forked(&error.to_string(), &held, &answer.checkpoint)?);
            }
        }
        self.hold(&checkpoint, &answer.checkpoint)?;
        Ok(checkpoint)
    }

    /// Why the gateway does not extend the checkpoint that it was shown: when its own is a smaller one or of another
    /// tree, both are evidence.
    async fn behind(&self, error: Error, held_note: &[u8]) -> Result<Error, Error> {
        let (Some(held), Error::Unreachable { .. } | Error::Refused { .. }) = (&self.held, &error) else { return Ok(error) };
        let Ok(answer) = self.audit()?.checkpoint(v1::CheckpointRequest::default()).await else { return Ok(error) };
        let note = answer.into_inner().checkpoint;
        let Ok(shown) = Checkpoint::open(&note, self.profile.log()) else { return Ok(error) };
        if shown.size < held.size {
            let text = format!("the gateway has {} entries, {} were seen before", shown.size, held.size);
            return self.forked(&text, held_note, &note);
        }
        let request = v1::ConsistencyRequest { from_size: held.size, to_size: shown.size };
        let Ok(proof) = self.audit()?.consistency(request).await else { return Ok(error) };
        let path = hashes(&proof.into_inner().path)?;
        match verify_consistency(held.size, &held.root, shown.size, &shown.root, &path) {
            Ok(()) => Ok(error),
            Err(why) => self.forked(&why.to_string(), held_note, &note),
        }
    }

    /// Brings the directory up to date.
    ///
    /// # Errors
    /// [`Error::Unsound`] when what the gateway sends does not hold; the old directory stays.
    pub async fn refresh_directory(&mut self) -> Result<(), Error> {
        let mut next = self.directory.clone();
        let mut writes = Vec::new();
        loop {
            let page = self.page(next.size()).await?;
            writes.extend(next.extend(&page, &self.profile)?);
            if next.size() == page.size {
                self.witness_receipt(&page.head).await?;
                break;
            }
            if page.statements.is_empty() {
                return Err(Error::unsound("the gateway withholds a part of the directory"));
            }
        }
        let receipt = self.grants_receipt(self.profile.address()).await?;
        writes.extend(next.learn_grants(&receipt, &self.profile)?);
        let (mut after, mut shown) = (String::new(), BTreeSet::new());
        loop {
            let page = self.groups_page(&after).await?;
            for receipt in &page.receipts {
                let (group, write) = next.learn_group(receipt, &self.profile)?;
                writes.extend(write);
                if group.as_str() <= after.as_str() {
                    return Err(Error::unsound("the gateway gives groups out of their order"));
                }
                after = group.to_string();
                shown.insert(group);
            }
            if !page.more || page.receipts.is_empty() {
                break;
            }
        }
        writes.extend(next.forget_groups(&shown));
        loop {
            let page = self.permissions_page(next.permissions_from()).await?;
            for receipt in &page.receipts {
                writes.extend(next.learn_permission(receipt, &self.profile)?);
            }
            if !page.more || page.receipts.is_empty() {
                break;
            }
        }
        self.profile.store().commit(&writes)?;
        self.directory = next;
        Ok(())
    }

    async fn permissions_page(&self, from_index: u64) -> Result<v1::PermissionsResponse, Error> {
        match self.directory_service()?.permissions(v1::PermissionsRequest { from_index }).await {
            Ok(answer) => Ok(answer.into_inner()),
            Err(status) => Err(self.failed(&status).await),
        }
    }

    async fn groups_page(&self, after: &str) -> Result<v1::GroupsResponse, Error> {
        match self.directory_service()?.groups(v1::GroupsRequest { after: after.to_owned() }).await {
            Ok(answer) => Ok(answer.into_inner()),
            Err(status) => Err(self.failed(&status).await),
        }
    }

    /// The receipt of the grants of `subject`, oneself or somebody below oneself; empty when there are none.
    pub(crate) async fn grants_receipt(&self, subject: &Address) -> Result<Bytes, Error> {
        match self.directory_service()?.grants(v1::GrantsRequest { subject: subject.to_string() }).await {
            Ok(answer) => Ok(answer.into_inner().receipt),
            Err(status) => Err(self.failed(&status).await),
        }
    }

    /// A page of the directory; while its head is being written the gateway is asked again.
    async fn page(&self, from_size: u64) -> Result<v1::SnapshotResponse, Error> {
        let mut tries = 0;
        loop {
            let status = match self.directory_service()?.snapshot(v1::SnapshotRequest { from_size }).await {
                Ok(page) => return Ok(page.into_inner()),
                Err(status) => status,
            };
            tries += 1;
            if tries == PAGE_TRIES_MAX || !matches!(Trouble::of_status(&status), Trouble::Busy { .. }) {
                return Err(self.failed(&status).await);
            }
            tokio::time::sleep(PAGE_PAUSE).await;
        }
    }

    /// Demands that a checkpoint of the log, whose signature was verified, lies on one way with the one held.
    ///
    /// # Errors
    /// [`Error::Forked`] when it does not.
    pub(crate) async fn witness(&mut self, checkpoint: &Checkpoint, note: &[u8]) -> Result<(), Error> {
        let Some(held) = self.held.clone() else { return self.hold(checkpoint, note) };
        let known = if checkpoint.size == held.size { Some(&held.root) } else { self.consistent.get(&checkpoint.size) };
        match known {
            Some(root) if *root == checkpoint.root => return Ok(()),
            Some(_) => {
                let held_note = self.held_note()?;
                return Err(self.forked("two roots for one size", &held_note, note)?);
            }
            None => {}
        }
        let (old, new) = if checkpoint.size < held.size { (checkpoint, &held) } else { (&held, checkpoint) };
        let request = v1::ConsistencyRequest { from_size: old.size, to_size: new.size };
        let path = match self.audit()?.consistency(request).await {
            Ok(answer) => hashes(&answer.into_inner().path)?,
            Err(status) => return Err(self.failed(&status).await),
        };
        if let Err(error) = verify_consistency(old.size, &old.root, new.size, &new.root, &path) {
            let held_note = self.held_note()?;
            return Err(self.forked(&error.to_string(), &held_note, note)?);
        }
        if checkpoint.size > held.size { self.hold(checkpoint, note) } else { self.remember(checkpoint) }
    }

    /// Verifies a receipt of this log, and its checkpoint as [`Client::witness`] does.
    pub(crate) async fn witness_receipt(&mut self, bytes: &[u8]) -> Result<Proven, Error> {
        let receipt = Receipt::decode(bytes)?;
        let proven = receipt.verify(self.profile.log())?;
        self.witness(&proven.checkpoint, &receipt.fields().checkpoint).await?;
        Ok(proven)
    }

    /// Stores a checkpoint that is known to extend the one held.
    pub(crate) fn hold(&mut self, checkpoint: &Checkpoint, note: &[u8]) -> Result<(), Error> {
        if self.held.as_ref() != Some(checkpoint) {
            self.profile.store().commit(&[Write::text(Table::Meta, CHECKPOINT_KEY, note)])?;
            self.held = Some(checkpoint.clone());
        }
        self.remember(checkpoint)
    }

    fn remember(&mut self, checkpoint: &Checkpoint) -> Result<(), Error> {
        while self.consistent.len() >= CONSISTENT_MAX {
            self.consistent.pop_first();
        }
        self.consistent.insert(checkpoint.size, checkpoint.root);
        Ok(())
    }

    /// Keeps both notes, synced, and gives the error that names the place.
    pub(crate) fn forked(&self, text: &str, held: &[u8], shown: &[u8]) -> Result<Error, Error> {
        let evidence = self.profile.evidence_dir().join(clock::now().ms().to_string());
        match files::make_folder(&evidence) {
            Ok(()) | Err(Error::Exists(_)) => {}
            Err(error) => return Err(error),
        }
        files::replace(&evidence.join("held.note"), held)?;
        files::replace(&evidence.join("shown.note"), shown)?;
        files::sync_folder(&self.profile.evidence_dir())?;
        Ok(Error::Forked { text: text.to_owned(), evidence })
    }

    /// Publishes the profile's encryption keys as this member's complete set, the newest CURRENT, others DECRYPT_ONLY.
    /// Its place in the chain also tells whether the sender is new to the network, and so where its numbers begin.
    ///
    /// # Errors
    /// What the gateway refuses, or [`Error::Unreachable`].
    pub async fn publish_keys(&mut self) -> Result<(), Error> {
        let keys = self.profile.decryption_keys()?;
        let key = |(at, key): (usize, &envelope::seal::DecryptionKey)| v1::EncryptionKey {
            kem: v1::KemId::XWing.into(),
            public: key.public().clone(),
            state: if at == 0 { v1::KeyState::Current } else { v1::KeyState::DecryptOnly }.into(),
        };
        let body = v1::KeyStatement {
            head: None,
            keys: keys.iter().enumerate().map(key).collect(),
            cert_chain_sha256: self.profile.identity_chain_sha256().to_vec().into(),
        };
        let seq = self.publish(StatementKind::Keys, |head| v1::KeyStatement { head: Some(head), ..body.clone() }, 0).await?;
        let fresh = self.profile.store().get(Table::Meta, NUMBERING_KEY.as_bytes())?.is_none();
        if fresh {
            // Who publishes for the first time has never had an outbox; anybody else is asked about his last number.
            let numbering = if seq == 1 { Numbering::brand_new() } else { self.ask_last_number().await? };
            self.save_numbering(&numbering)?;
            self.outbox = Outbox::load(numbering, Vec::new());
        }
        self.refresh_directory().await
    }

    async fn ask_last_number(&mut self) -> Result<Numbering, Error> {
        let last: Option<Number> = self.probe().await.map_err(|trouble| trouble.into_error(self.profile.gateway()))?;
        let mut outbox = Outbox::load(Numbering::unknown(), Vec::new());
        let actions = outbox.handle(clock::now(), crate::outbox::Event::Last(last));
        let saved = actions.into_iter().find_map(|action| match action {
            crate::outbox::Action::Save(changes) => changes.numbering,
            _ => None,
        });
        Ok(saved.unwrap_or_else(Numbering::unknown))
    }

    fn save_numbering(&self, numbering: &Numbering) -> Result<(), Error> {
        let row = serde_json::to_vec(numbering).map_err(|_| Error::Row("meta"))?;
        self.profile.store().commit(&[Write::text(Table::Meta, NUMBERING_KEY, row)])
    }

    /// Sends a submission as it is, without outbox, and gives the receipt unverified: for tests of the gateway.
    ///
    /// # Errors
    /// What the gateway refuses, or [`Error::Unreachable`].
    pub async fn submit_raw(&mut self, submission: v1::Submission) -> Result<v1::SubmitResponse, Error> {
        let request = v1::SubmitRequest { submission: Some(submission) };
        match self.messages()?.submit(request).await {
            Ok(answer) => Ok(answer.into_inner()),
            Err(status) => Err(self.failed(&status).await),
        }
    }

    pub(crate) fn messages(&self) -> Result<MessagesClient<Link>, Error> {
        let link = self.live()?;
        Ok(MessagesClient::with_origin(link.clone(), link.origin()))
    }

    /// For messages that are large.
    pub(crate) fn messages_in_bulk(&self) -> Result<MessagesClient<Link>, Error> {
        let link = self.live()?.bulk();
        Ok(MessagesClient::with_origin(link.clone(), link.origin()))
    }

    pub(crate) fn directory_service(&self) -> Result<DirectoryClient<Link>, Error> {
        let link = self.live()?;
        Ok(DirectoryClient::with_origin(link.clone(), link.origin()).max_decoding_message_size(LARGE_BYTES_MAX))
    }

    pub(crate) fn audit(&self) -> Result<AuditClient<Link>, Error> {
        let link = self.live()?;
        Ok(AuditClient::with_origin(link.clone(), link.origin()).max_decoding_message_size(LARGE_BYTES_MAX))
    }

    /// For replays.
    pub(crate) fn audit_in_bulk(&self) -> Result<AuditClient<Link>, Error> {
        let link = self.live()?.bulk();
        Ok(AuditClient::with_origin(link.clone(), link.origin()).max_decoding_message_size(LARGE_BYTES_MAX))
    }

    fn live(&self) -> Result<&Link, Error> {
        self.link.as_ref().ok_or_else(|| self.unreachable("there is no connection"))
    }

    pub(crate) fn unreachable(&self, cause: &str) -> Error {
        Error::Unreachable { gateway: self.profile.gateway().to_owned(), cause: cause.to_owned(), reference: None }
    }

    /// The error that a failed call stands for.
    pub(crate) async fn failed(&self, status: &Status) -> Error {
        match &self.link {
            Some(link) => error_of(status, link, self.profile.gateway()).await,
            None => Trouble::of_status(status).into_error(self.profile.gateway()),
        }
    }

    /// The note of the largest checkpoint that was verified.
    pub(crate) fn held_note(&self) -> Result<Vec<u8>, Error> {
        Ok(self.profile.store().get(Table::Meta, CHECKPOINT_KEY.as_bytes())?.unwrap_or_default())
    }
}

pub(crate) fn hashes(bytes: &[bytes::Bytes]) -> Result<Vec<Hash>, Error> {
    let hash = |bytes: &bytes::Bytes| Hash::try_from(bytes.as_ref()).map_err(Error::unsound);
    bytes.iter().map(hash).collect()
}

/// How long a connection may take, TLS and the client's certificate included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Rows of the table `meta`.
pub(crate) const CHECKPOINT_KEY: &str = "checkpoint";
pub(crate) const NUMBERING_KEY: &str = "numbering";
/// Checkpoints remembered as consistent; each costs 40 bytes, forgetting one costs a question.
const CONSISTENT_MAX: usize = 4096;
/// A directory's page holds 4 MiB, but a genesis alone may have 32.
const LARGE_BYTES_MAX: usize = 40 * 1024 * 1024;
const PAGE_TRIES_MAX: u32 = 20;
const PAGE_PAUSE: Duration = Duration::from_millis(50);
