//! Certificates taken back and renewed, live: who is cut, who is not, and what the ledger holds by then.

mod stage;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bench::load::drive;
use certs_dev::forge::{Ca, Pair, Spec};
use client::directory::Directory;
use client::link::{Credentials, Link, Transport};
use client::{Client, Error};
use envelope::entry::Entry;
use envelope::identity::{NothingRevoked, Role};
use proto::v1;
use proto::v1::messages_client::MessagesClient;
use rustls_pki_types::CertificateDer;
use stage::{Gateway, Stage, ask, at, now, soon, tls};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

const POST: &str = "ke/cus/kemba";

/// The stagehand: a gateway, th with its key, and what everybody may know.
struct Play {
    stage: Stage,
    gateway: Gateway,
    thailand: Client,
}

/// A member's open call of Receive, head and catching up behind it.
struct Mailbox {
    requests: mpsc::Sender<v1::ReceiveRequest>,
    answers: Streaming<v1::ReceiveResponse>,
}

impl Mailbox {
    async fn open(link: &Link) -> Self {
        let (requests, queue) = mpsc::channel(4);
        let start = v1::ReceiveRequest { start: Some(v1::ReceiveStart::default()), credit: 8, statement: None };
        requests.send(start).await.expect("room");
        let mut client = MessagesClient::with_origin(link.clone(), link.origin());
        let mut answers = client.receive(ReceiverStream::new(queue)).await.expect("a stream").into_inner();
        while !soon("the mailbox", answers.message()).await.expect("an answer").expect("more").caught_up {}
        Self { requests, answers }
    }

    /// Waits until the gateway ends it.
    async fn end(&mut self) {
        while let Ok(Some(_)) = soon("the end of a stream", self.answers.message()).await {}
    }

    /// The next delivery.
    async fn next(&mut self) -> v1::Delivery {
        loop {
            let answer = soon("a delivery", self.answers.message()).await.expect("an answer").expect("more");
            if let Some(delivery) = answer.delivery {
                return delivery;
            }
        }
    }
}

impl Play {
    async fn open() -> Self {
        let stage = Stage::new();
        let gateway = stage.serve();
        let thailand = stage.member(&gateway.url, "th").await;
        Self { stage, gateway, thailand }
    }

    async fn connect(&self, address: &str) -> Link {
        self.stage.connect(&self.gateway.url, address).await
    }

    fn directory(&self) -> &Directory {
        self.thailand.directory()
    }

    fn serial(&self, address: &str, file: &str, role: Role, at: usize) -> Vec<u8> {
        serial(&self.stage, address, file, role, at)
    }

    /// Puts a list into the folder that the gateway reads, in one step.
    fn put_list(&self, name: &str, bytes: &[u8]) {
        let (new, path) = (self.stage.beside("new.crl"), self.stage.pki().join("crl").join(name));
        if path.is_dir() {
            std::fs::remove_dir(&path).expect("removed");
        }
        std::fs::write(&new, bytes).and_then(|()| std::fs::rename(&new, &path)).expect("written");
    }

    /// Puts the next list of a CA there, and waits until it is taken.
    async fn revoke_by(&self, ca: &str, number: u64, serials: &[Vec<u8>]) {
        let mark = self.gateway.mark();
        let entries: Vec<_> = serials.iter().map(|serial| (serial.clone(), now())).collect();
        let file = format!("{}.crl", if ca.is_empty() { "root" } else { ca });
        self.put_list(&file, &self.stage.ca(ca).crl(number, &entries, now()).expect("a list"));
        self.gateway.logs(mark, &format!("a revocation list was taken list=\"{file}\"")).await;
    }

    /// A member's certificate is refused at the door.
    async fn is_refused(&self, address: &str, reason: &str) {
        let mark = self.gateway.mark();
        let credentials = Credentials::read(&self.stage.folder_of(address)).expect("credentials");
        let refused = self.stage.knock(&self.gateway.url, credentials).await.expect_err("a revoked certificate");
        assert!(matches!(refused, Error::CertificateRefused { .. }), "{refused}");
        self.gateway.logs(mark, reason).await;
    }

    /// Kills the gateway and audits: entries, and the place of the first revocation.
    async fn close(self) -> (Vec<(u64, Entry)>, u64) {
        let Self { stage, gateway, thailand } = self;
        drop(thailand);
        gateway.kill().await;
        let entries = stage.audit();
        let revoked = entries.iter().find(|(_, entry)| matches!(entry, Entry::RevocationsSeen { seen, .. } if !seen.added.is_empty()));
        let index = revoked.map(|(index, _)| *index).expect("a revocation in the log");
        (entries, index)
    }
}

/// The number of certificate `at` in a member's chain.
fn serial(stage: &Stage, address: &str, file: &str, role: Role, at: usize) -> Vec<u8> {
    let chain = stage.chain_of(address, file);
    let certified = stage.trust.anchors().expect("roots").judge(role, &chain, now(), &NothingRevoked).expect("sound");
    certified.links[at].serial.clone()
}

/// Whether an entry says something in the name of `address`: a message or a statement.
fn speaks(entry: &Entry, address: &str) -> bool {
    match entry {
        Entry::Message(message) => message.reference().expect("a reference").sender.as_str() == address,
        Entry::Directory { signed, .. } => {
            let head = envelope::statement::read::<v1::KeyStatement>(signed).expect("keys").head;
            head.is_some_and(|head| head.issuer == address)
        }
        _ => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_member_is_cut_in_mid_stream_and_nobody_else() {
    let play = Play::open().await;
    let [ke, post, th] = [play.connect("ke").await, play.connect(POST).await, play.connect("th").await];
    let mut mailboxes = [Mailbox::open(&ke).await, Mailbox::open(&post).await, Mailbox::open(&th).await];
    let (submissions, queue) = mpsc::channel(4);
    let mut stream = MessagesClient::with_origin(ke.clone(), ke.origin());
    let mut answers = stream.submit_stream(ReceiverStream::new(queue)).await.expect("a stream").into_inner();
    let message = |number| v1::SubmitStreamRequest { submission: Some(play.stage.seal(play.directory(), "ke", number, |_| {})) };
    submissions.send(message(1)).await.expect("sent");
    let answer = soon("an answer", answers.message()).await.expect("an answer").expect("one");
    assert_eq!(answer.problem, None);

    certs_dev::revoke(&play.stage.pki(), &at("ke")).expect("revoked");
    mailboxes[0].end().await;
    assert!(!matches!(soon("the end of the other stream", answers.message()).await, Ok(Some(_))));
    play.is_refused("ke", "certificate 0 is revoked").await;

    // The post has its certificate from the same CA; th hears of it by a message on the stream that was open before.
    mailboxes[2].next().await;
    ask(&post).await.expect("the post is served");
    let mut post_client = MessagesClient::with_origin(post.clone(), post.origin());
    let reply = play.stage.seal(play.directory(), POST, 1, |context| context.recipients = vec!["ke".to_owned()]);
    // ke has no key: the refusal is the rules', the connection is the old one.
    let refused = post_client.submit(v1::SubmitRequest { submission: Some(reply) }).await.expect_err("ke has no key");
    assert!(!refused.message().is_empty() && !post.is_closed() && !th.is_closed());
    drop(mailboxes);
    play.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_revocation_is_durable_before_the_cut() {
    let play = Play::open().await;
    let ke = play.connect("ke").await;
    let mut mailbox = Mailbox::open(&ke).await;
    let revoked = certs_dev::revoke(&play.stage.pki(), &at("ke")).expect("revoked");
    mailbox.end().await;
    // In the moment of the cut the gateway is killed; what it had in memory only is gone.
    let (entries, index) = play.close().await;
    let Entry::RevocationsSeen { seen, .. } = &entries[usize::try_from(index).expect("small")].1 else { unreachable!("found as one") };
    let mut added: Vec<_> = seen.added.iter().map(|revoked| revoked.serial.to_vec()).collect();
    let mut serials = revoked.serials;
    added.sort();
    serials.sort();
    assert_eq!(added, serials);
}

/// One of a sender's connections.
#[derive(Clone)]
struct Racer {
    stage: Arc<Stage>,
    directory: Directory,
    sender: &'static str,
    next: Arc<AtomicU64>,
    taken: Arc<watch::Sender<usize>>,
}

impl Racer {
    /// Submits until the connection ends; gives how many were refused by then.
    async fn run(self, link: Link) -> usize {
        let mut refused = 0;
        loop {
            let numbers: Vec<u64> = (0..8).map(|_| self.next.fetch_add(1, Ordering::Relaxed)).collect();
            assert!(numbers[0] < 100_000, "nobody was cut");
            let submissions: Vec<_> = numbers.iter().map(|number| self.stage.seal(&self.directory, self.sender, *number, |_| {})).collect();
            let answers = soon("answers or the end", drive(link.clone(), submissions, 8)).await;
            let cut = answers.len() < numbers.len();
            for problem in answers.iter().filter_map(|answer| answer.problem.as_ref()) {
                assert_eq!(problem.name, "REVOKED", "{}", problem.text);
                refused += 1;
            }
            self.taken.send_modify(|taken| *taken += answers.iter().filter(|answer| answer.problem.is_none()).count());
            if cut {
                return refused;
            }
        }
    }
}

/// One sender's race on three connections, over both transports: how many receipts it got, and how many refusals.
async fn race(stage: &Arc<Stage>, gateway: &Gateway, directory: &Directory, sender: &'static str) -> (usize, usize) {
    let taken = Arc::new(watch::Sender::new(0));
    let racer =
        Racer { stage: stage.clone(), directory: directory.clone(), sender, next: Arc::new(AtomicU64::new(1)), taken: taken.clone() };
    let mut running = Vec::new();
    for transport in [Transport::Tcp, Transport::Quic, Transport::Quic] {
        let credentials = Credentials::read(&stage.folder_of(sender)).expect("credentials");
        let link = stage.knock_over(transport, &gateway.url, credentials).await.expect("connected");
        running.push(tokio::spawn(racer.clone().run(link)));
    }
    // The list is written while messages flow on all three connections.
    soon("receipts", taken.subscribe().wait_for(|taken| *taken >= 24)).await.expect("racers run");
    certs_dev::revoke(&stage.pki(), &at(sender)).expect("revoked");
    let mut refused = 0;
    for running in running {
        refused += running.await.expect("ended");
    }
    (*taken.borrow(), refused)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_message_stands_behind_the_revocation_of_its_sender() {
    const SENDERS: [&str; 4] = ["ke", "ug", "np", "za"];
    let stage = Arc::new(Stage::of(&["ke", "ug", "np", "za", "th"]));
    let gateway = stage.serve();
    let thailand = stage.member(&gateway.url, "th").await;
    let mut told = Vec::new();
    for sender in SENDERS {
        told.push(race(&stage, &gateway, thailand.directory(), sender).await);
    }
    drop(thailand);
    gateway.kill().await;
    let entries = stage.audit();
    for (sender, (taken, refused)) in SENDERS.into_iter().zip(told) {
        let own = serial(&stage, sender, "tls.pem", Role::Tls, 0);
        let takes_back =
            |entry: &Entry| matches!(entry, Entry::RevocationsSeen { seen, .. } if seen.added.iter().any(|one| one.serial == own));
        let revoked = entries.iter().find(|(_, entry)| takes_back(entry)).expect("the revocation is in the log").0;
        let messages: Vec<_> = entries.iter().filter(|(_, entry)| speaks(entry, sender)).map(|(index, _)| *index).collect();
        assert!(messages.iter().all(|index| *index < revoked), "{messages:?} and the revocation at {revoked}");
        assert!(taken >= 8 && messages.len() >= taken, "{taken} receipts, {} messages", messages.len());
        println!("{sender}: {} messages, {taken} receipts, {refused} refusals, revoked at {revoked}", messages.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_identity_moves_nothing_on_a_connection_that_is_still_sound() {
    let play = Play::open().await;
    let mut kenya = play.stage.member(&play.gateway.url, "ke").await;
    let mut post = play.stage.member(&play.gateway.url, POST).await;
    kenya.submit_raw(play.stage.seal(play.directory(), "ke", 1, |_| {})).await.expect("taken");
    let identity = play.serial("ke", "identity.pem", Role::Identity, 0);
    play.revoke_by("ke", 2, &[identity]).await;
    for number in 2..20 {
        let refused = kenya.submit_raw(play.stage.seal(play.directory(), "ke", number, |_| {})).await.expect_err("revoked");
        let Error::Refused { name, metadata, .. } = &refused else { panic!("{refused}") };
        assert_eq!((name.as_str(), metadata["what"].as_str(), metadata["address"].as_str()), ("REVOKED", "identity certificate", "ke"));
    }
    let refused = kenya.publish_keys().await.expect_err("a statement of a revoked identity");
    assert_eq!(refused.name(), Some("REVOKED"), "{refused}");
    assert!(kenya.link().is_some(), "the tls certificate is sound, and so is the connection");
    post.publish_keys().await.expect("the post's identity is sound");
    drop((kenya, post));
    let (entries, revoked) = play.close().await;
    let last = entries.iter().rfind(|(_, entry)| speaks(entry, "ke")).expect("ke has spoken before");
    assert!(last.0 < revoked);
    assert!(entries.iter().any(|(index, entry)| *index > revoked && speaks(entry, POST)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_takes_back_only_what_it_has_issued() {
    let play = Play::open().await;
    let mut kenya = play.stage.member(&play.gateway.url, "ke").await;
    let serials = [
        play.serial("ke", "tls.pem", Role::Tls, 0),
        play.serial("ke", "identity.pem", Role::Identity, 0),
        play.serial("ke", "tls.pem", Role::Tls, 1),
        play.serial(POST, "tls.pem", Role::Tls, 0),
    ];
    play.revoke_by("th", 2, &serials).await;
    kenya.submit_raw(play.stage.seal(play.directory(), "ke", 1, |_| {})).await.expect("ke speaks on");
    assert!(kenya.link().is_some());
    ask(&play.connect(POST).await).await.expect("the post gets in");
    ask(&play.connect("ke").await).await.expect("ke gets in");
    drop(kenya);
    let (entries, revoked) = play.close().await;
    assert!(entries.iter().any(|(index, entry)| *index > revoked && speaks(entry, "ke")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_list_leaves_the_last_good_one_in_force_and_the_others_alone() {
    let play = Play::open().await;
    let kenya = play.stage.ca("ke");
    let network = &play.stage.trust.network;
    let spec = |name: &str| Spec::ca(network, name, Some(0), now());
    let own_root = Ca::root(&Spec::ca(network, "", None, now())).expect("a root");
    let (posts, bureau) = (play.serial(POST, "tls.pem", Role::Tls, 0), play.serial("ke", "tls.pem", Role::Tls, 0));
    play.revoke_by("ke", 5, std::slice::from_ref(&posts)).await;
    let ke = play.connect("ke").await;

    // Each of them would revoke ke, too, or let the post in again.
    let both = [(posts.clone(), now()), (bureau.clone(), now())];
    let good = kenya.crl(6, &both, now()).expect("a list");
    let mut flipped = good.clone();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    let oversized = [good.clone(), vec![0; envelope::limits::CRL_BYTES_MAX]].concat();
    let by = |ca: &Ca| ca.crl(7, &both, now()).expect("a list");
    let of_stranger = by(&own_root.subordinate(&spec("ke")).expect("a ca"));
    let of_unknown = by(&play.stage.ca("").subordinate(&spec("ug")).expect("a ca"));
    let future = kenya.crl(6, &both, now().plus(3_600_000)).expect("a list");
    let bad: [(&str, Option<Vec<u8>>, &str); 8] = [
        ("unreadable", None, "a revocation list was not taken"),
        ("junk", Some(b"junk".to_vec()), "is not well-formed"),
        ("flipped", Some(flipped), "not by its issuer's key"),
        ("oversized", Some(oversized), "bytes, at most"),
        ("older", Some(kenya.crl(4, &both, now()).expect("a list")), "a lower number than the one in force"),
        ("by the same name under another root", Some(of_stranger), "not by its issuer's key"),
        ("by a ca that nobody here has a certificate of", Some(of_unknown), "it is by no CA of this network"),
        ("of the future", Some(future), "is of the future"),
    ];
    for (number, (what, bytes, reason)) in (2..).zip(bad) {
        let mark = play.gateway.mark();
        match bytes {
            Some(bytes) => play.put_list("ke.crl", &bytes),
            None => {
                let path = play.stage.pki().join("crl/ke.crl");
                std::fs::remove_file(&path).and_then(|()| std::fs::create_dir(&path)).expect("a folder in its place");
            }
        }
        let line = play.gateway.logs(mark, reason).await;
        assert!(line.contains("list=\"ke.crl\"") && line.contains("ERROR"), "{what}: {line}");
        play.revoke_by("th", number, &[]).await;
        play.revoke_by("cn", number, &[]).await;
        ask(&ke).await.unwrap_or_else(|error| panic!("{what}: ke is not revoked: {error}"));
        play.is_refused(POST, "certificate 0 is revoked").await;
    }
    let mut mailbox = Mailbox::open(&ke).await;
    play.put_list("ke.crl", &good);
    mailbox.end().await;
    let (entries, _) = play.close().await;
    let lists = entries.iter().filter(|(_, entry)| matches!(entry, Entry::RevocationsSeen { seen, .. } if !seen.added.is_empty())).count();
    assert_eq!(lists, 2, "ke's list 5 and ke's list 6 have added something");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_ca_takes_its_whole_subtree_with_it() {
    let play = Play::open().await;
    let [ke, post, th, secretariat] = ["ke", POST, "th", "ipsg/ens"].map(|address| play.connect(address));
    let (ke, post, th, secretariat) = tokio::join!(ke, post, th, secretariat);
    let mut cut = [Mailbox::open(&ke).await, Mailbox::open(&post).await];
    let mut others = [Mailbox::open(&th).await, Mailbox::open(&secretariat).await];
    let mut sender = play.stage.member(&play.gateway.url, "cn/hk").await;
    play.revoke_by("", 2, &[play.serial("ke", "tls.pem", Role::Tls, 1)]).await;
    for mailbox in &mut cut {
        mailbox.end().await;
    }
    for address in ["ke", POST] {
        play.is_refused(address, "certificate 1 is revoked").await;
    }
    // A new leaf by the revoked CA helps nobody.
    let kenya = play.stage.ca("ke");
    let (leaf, key) = play.stage.leaf(&kenya, POST, |_| {});
    let refused = play.stage.knock(&play.gateway.url, stage::credentials(&[leaf, kenya.der.clone()], &key)).await.expect_err("revoked");
    assert!(matches!(refused, Error::CertificateRefused { .. }), "{refused}");
    let message = play.stage.seal(play.directory(), "cn/hk", 1, |context| context.recipients = vec!["th".to_owned()]);
    // cn/hk writes abroad without naming cn, which nobody enrolled: refused by the rules, on a connection that is sound.
    drop(sender.submit_raw(message).await);
    assert!(sender.link().is_some() && !th.is_closed() && !secretariat.is_closed());
    let still = v1::ReceiveRequest { credit: 1, ..v1::ReceiveRequest::default() };
    for mailbox in &mut others {
        mailbox.requests.send(still.clone()).await.expect("the stream is open");
    }
    ask(&th).await.expect("th is served");
    ask(&secretariat).await.expect("the secretariat is served");
    drop(sender);
    play.close().await;
}

/// The leaf that the gateway shows to the next connection, over either transport.
async fn shown_leaf(play: &Play) -> Vec<u8> {
    let config = Arc::new(tls::client(Some(tls::read(&play.stage.folder_of(POST), "tls")), &["h2"]));
    let stream = tls::knock(play.gateway.address(), &config).await.expect("in");
    let over_tcp = stream.get_ref().1.peer_certificates().expect("a chain")[0].to_vec();
    let (endpoint, config) = tls::quic(Some(tls::read(&play.stage.folder_of(POST), "tls")), &["ecowire-q/1"]);
    let connecting = endpoint.connect_with(config, play.gateway.address(), "localhost").expect("an address");
    let connection = soon("a handshake", connecting).await.expect("in");
    let chain = connection.peer_identity().expect("a chain").downcast::<Vec<CertificateDer<'static>>>().expect("certificates");
    assert_eq!(chain[0].as_ref(), over_tcp);
    over_tcp
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nodes_certificate_is_renewed_without_a_restart() {
    let play = Play::open().await;
    let (folder, operator) = (play.stage.folder_of("node/dev-1"), play.stage.ca("node"));
    let made = |address: &str| {
        let key = Pair::generate().expect("a key");
        let leaf = operator.issue(&Spec::node_tls(&play.stage.trust.network, &at(address), now()), &key).expect("a certificate");
        (Stage::pem("CERTIFICATE", &[&leaf, &operator.der]), Stage::pem("PRIVATE KEY", &[key.pkcs8()]), leaf)
    };
    let (pem_path, key_path) = (folder.join("tls.pem"), folder.join("tls.key"));
    let first = shown_leaf(&play).await;
    assert_eq!(first, play.stage.chain_of("node/dev-1", "tls.pem")[0]);

    // Certificate first, then its key: in between they do not fit, and the old pair stays.
    let (pem, key, renewed) = made("node/dev-1");
    let mark = play.gateway.mark();
    std::fs::write(&pem_path, pem).expect("written");
    play.gateway.logs(mark, "the node's new certificate was not taken; the old one stays").await;
    assert_eq!(shown_leaf(&play).await, first);
    std::fs::write(&key_path, key).expect("written");
    play.gateway.logs(mark, "the node's certificate was read again").await;
    assert_eq!(shown_leaf(&play).await, renewed);
    play.connect(POST).await;

    let (other, other_key, _) = made("node/other");
    for (what, pem, key) in [("junk", "junk".to_owned(), None), ("another node's", other, Some(other_key))] {
        let mark = play.gateway.mark();
        key.into_iter().for_each(|key| std::fs::write(&key_path, key).expect("written"));
        std::fs::write(&pem_path, pem).expect("written");
        let line = play.gateway.logs(mark, "was not taken; the old one stays").await;
        assert!(line.contains("ERROR"), "{what}: {line}");
        assert_eq!(shown_leaf(&play).await, renewed, "{what}");
    }
    assert!(play.thailand.link().is_some(), "who was connected before is not disturbed");
    let Play { stage, gateway, thailand } = play;
    drop(thailand);
    gateway.kill().await;
    stage.audit();
}
