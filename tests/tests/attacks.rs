//! Attacks below gRPC by somebody with a sound certificate, or with none: each ends or is bounded, a witness's messages go
//! through meanwhile, and the gateway's memory stays where it is.
//!
//! A gateway in a process of its own, whose memory is its own; floods are written by hand ([`stage::frames`]).

mod stage;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use bench::load::drive;
use bench::memory::Memory;
use bytes::Bytes;
use client::link::{Credentials, Link};
use proto::v1;
use proto::v1::directory_client::DirectoryClient;
use proto::v1::messages_client::MessagesClient;
use stage::frames::{self, Raw, frame};
use stage::{Gateway, Stage, ask, connect_from, soon, tls};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const SUBMIT: &str = "/ecowire.v1.Messages/Submit";
const SUBMIT_STREAM: &str = "/ecowire.v1.Messages/SubmitStream";
const RECEIVE: &str = "/ecowire.v1.Messages/Receive";
const REPLAY: &str = "/ecowire.v1.Audit/Replay";
/// What an attack may cost the gateway.
const MEMORY_MAX: u64 = 16 << 20;
/// Of HTTP/2 for a connection before it says anything, and of our gateway for a call.
const CONNECTION_WINDOW: usize = 65_535;
const STREAM_WINDOW: usize = (256 << 10) - 16;
/// Messages of the witness during each attack.
const WITNESSED: usize = 8;

/// The stagehand: a gateway under attack by the post, and a bureau that works meanwhile.
struct Siege {
    stage: Stage,
    gateway: Gateway,
    witness: Link,
    sealed: std::vec::IntoIter<v1::Submission>,
    memory: Memory,
    sent: usize,
}

/// How an attack went.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// The gateway ended the connection.
    Ended,
    /// The attacker got no further, or got an answer, and the connection lives.
    Bounded,
}

impl Siege {
    async fn begin(stage: Stage) -> Self {
        let gateway = stage.serve();
        let thailand = stage.member(&gateway.url, "th").await;
        let witness = stage.connect(&gateway.url, "ke").await;
        let sealed: Vec<_> = (1..=400).map(|number| stage.seal(thailand.directory(), "ke", number, |_| {})).collect();
        let memory = Memory::of(gateway.pid());
        let mut siege = Self { stage, gateway, witness, sealed: sealed.into_iter(), memory, sent: 0 };
        // Arenas and caches are there before anything is measured.
        for _ in 0..4 {
            siege.witness().await;
        }
        siege
    }

    fn attacker(&self) -> (SocketAddr, PathBuf) {
        (self.gateway.address(), self.stage.folder_of("ke/cus/kemba"))
    }

    /// Another participant's messages go through.
    async fn witness(&mut self) {
        let some: Vec<_> = self.sealed.by_ref().take(WITNESSED).collect();
        let answers = soon("the witness's answers", drive(self.witness.clone(), some, 2)).await;
        assert!(answers.len() == WITNESSED && answers.iter().all(|answer| answer.problem.is_none()), "{answers:?}");
        self.sent += WITNESSED;
    }

    /// Runs an attack while the witness works, and demands its outcome and that the memory has not grown. An attack that
    /// gets no further is given up when the witness has been served twice.
    async fn check(&mut self, what: &str, attack: impl Future<Output = Outcome> + Send + 'static, expected: Outcome) {
        let before = self.memory.reset().expect("its memory");
        let attack = tokio::spawn(attack);
        self.witness().await;
        self.witness().await;
        let outcome = match expected {
            Outcome::Ended => soon(what, attack).await.expect("no panic"),
            Outcome::Bounded if attack.is_finished() => attack.await.expect("no panic"),
            Outcome::Bounded => {
                attack.abort();
                Outcome::Bounded
            }
        };
        assert_eq!(outcome, expected, "{what}");
        let grown = self.memory.peak().expect("its memory").saturating_sub(before);
        println!("{what}: {outcome:?}, {} KiB", grown >> 10);
        assert!(grown <= MEMORY_MAX, "{what}: the gateway has grown by {} KiB", grown >> 10);
        self.witness().await;
    }

    /// The witness has had one and the same connection, and every message of its stands in the ledger once.
    async fn end(self) {
        ask(&self.witness).await.expect("the witness is served");
        self.gateway.kill().await;
        let messages = self.stage.audit().iter().filter(|(_, entry)| matches!(entry, envelope::entry::Entry::Message(_))).count();
        assert_eq!(messages, self.sent);
    }
}

/// Floods until the gateway ends the connection.
async fn until_cut((to, member): (SocketAddr, PathBuf), first: Vec<u8>, frames: impl FnMut(u32) -> Vec<u8>) -> Outcome {
    let mut raw = Raw::open(to, &member, &[]).await;
    raw.say(&first).await.expect("written");
    raw.flood(frames).await;
    Outcome::Ended
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_frames_end_or_are_bounded_and_cost_nobody_else() {
    let mut siege = Siege::begin(Stage::new()).await;
    let attacker = siege.attacker();
    let rapid = |turn| {
        let stream = frames::stream(turn);
        [frames::open(stream, SUBMIT), frame(frames::RST_STREAM, 0, stream, &8u32.to_be_bytes())].concat()
    };
    siege.check("rapid reset", until_cut(attacker.clone(), Vec::new(), rapid), Outcome::Ended).await;

    let first = frame(frames::HEADERS, 0, 1, &frames::call(SUBMIT));
    let more = |_| frame(frames::CONTINUATION, 0, 1, &frames::header("x-more", 16_000));
    siege.check("CONTINUATION without end", until_cut(attacker.clone(), first.clone(), more), Outcome::Ended).await;
    let empty = |_| frame(frames::CONTINUATION, 0, 1, &[]).repeat(64);
    siege.check("empty CONTINUATION without end", until_cut(attacker.clone(), first, empty), Outcome::Ended).await;

    let open = frames::open(1, SUBMIT_STREAM);
    let empty = |_| frame(frames::DATA, 0, 1, &[]).repeat(1024);
    siege.check("empty DATA", until_cut(attacker.clone(), open, empty), Outcome::Ended).await;

    // Each asks for an acknowledgement that nobody reads: the gateway stops listening when it cannot speak.
    for (what, one) in [("SETTINGS", frame(frames::SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 9])), ("PING", frame(frames::PING, 0, 0, &[7; 8]))] {
        siege.check(what, until_cut(attacker.clone(), Vec::new(), move |_| one.repeat(1024)), Outcome::Bounded).await;
    }
    // Streams that do not exist yet or any more: the gateway resets for the peer's errors so often, then ends it.
    let stray = |turn: u32| frame(frames::DATA, frames::END_STREAM, frames::stream(turn + 1), b"stray");
    siege.check("DATA for streams that never were", until_cut(attacker.clone(), Vec::new(), stray), Outcome::Ended).await;
    siege.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn giants_are_refused_before_they_are_there() {
    let mut siege = Siege::begin(Stage::new()).await;
    let (to, member) = siege.attacker();
    // 1 MiB of headers in frames that are well-formed and end: answered without being kept.
    let headers = async |(to, member): (SocketAddr, PathBuf)| {
        let mut raw = Raw::open(to, &member, &[]).await;
        let mut flood = frame(frames::HEADERS, frames::END_STREAM, 1, &frames::call(SUBMIT));
        (0..64).for_each(|_| flood.extend(frame(frames::CONTINUATION, 0, 1, &frames::header("x-large", 16_000))));
        flood.extend(frame(frames::CONTINUATION, frames::END_HEADERS, 1, &[]));
        // Either the call is answered, or the connection ends.
        drop(raw.say(&flood).await);
        while let Some(frame) = raw.next().await {
            if frame.kind == frames::GOAWAY {
                return Outcome::Ended;
            }
            if frame.stream == 1 {
                return Outcome::Bounded;
            }
        }
        Outcome::Ended
    };
    siege.check("1 MiB of headers", headers((to, member.clone())), Outcome::Ended).await;

    // The length is refused when it is read, not when it is there.
    let declared = async |(to, member): (SocketAddr, PathBuf), length: u32| {
        let mut raw = Raw::open(to, &member, &[]).await;
        let head = [&[0], &length.to_be_bytes()[..], &[7; 1024]].concat();
        raw.say(&[frames::open(1, SUBMIT), frame(frames::DATA, 0, 1, &head)].concat()).await.expect("written");
        let mut answered = false;
        while let Some(frame) = soon("the answer to a giant", raw.next()).await {
            answered |= frame.stream == 1 && frame.kind == frames::HEADERS;
            if frame.stream == 1 && (frame.kind == frames::RST_STREAM || frame.flags & frames::END_STREAM != 0) {
                assert!(answered, "{frame:?}");
                return Outcome::Bounded;
            }
        }
        Outcome::Ended
    };
    for length in [u32::MAX, 1 << 30, (2 << 20) + 1] {
        let what = format!("a message of {length} bytes");
        siege.check(&what, declared((to, member.clone()), length), Outcome::Bounded).await;
    }
    siege.end().await;
}

/// Two bytes on the wire for every field, 32 to 72 in memory: it is counted before it is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_million_empty_fields_are_refused_before_they_are_there() {
    const FIELDS: usize = 1_000_000;
    let mut siege = Siege::begin(Stage::new()).await;
    let post = siege.stage.connect(&siege.gateway.url, "ke/cus/kemba").await;
    let signed = v1::SignedHeader { signatures: vec![v1::Signature::default(); FIELDS], ..v1::SignedHeader::default() };
    let empty = [
        ("wraps", v1::Submission { wraps: vec![Bytes::new(); FIELDS], ..v1::Submission::default() }),
        ("signatures", v1::Submission { signed: Some(signed), ..v1::Submission::default() }),
    ];
    for (what, submission) in empty {
        let post = post.clone();
        let attack = async move {
            for _ in 0..4 {
                let mut client = MessagesClient::with_origin(post.clone(), post.origin());
                let refused = client.submit(v1::SubmitRequest { submission: Some(submission.clone()) }).await;
                let status = refused.expect_err("it is refused");
                assert_eq!(status.code(), tonic::Code::OutOfRange, "{status}");
                assert!(status.message().ends_with("has more than 63524 fields"), "{status}");
            }
            Outcome::Ended
        };
        siege.check(&format!("{FIELDS} empty {what}"), attack, Outcome::Ended).await;
    }
    siege.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_never_end_are_bounded_for_each_participant() {
    let mut siege = Siege::begin(Stage::new()).await;
    let (to, member) = siege.attacker();
    // On 100 calls, all but the last byte of 1 MiB: eight of them fit what one participant may have unfinished.
    let unfinished = async move {
        let mut raw = Raw::open(to, &member, &[]).await;
        let (mut refused, mut whole) = (BTreeSet::new(), CONNECTION_WINDOW);
        for n in 0..100 {
            let stream = frames::stream(n);
            let head = [&[0], &(1u32 << 20).to_be_bytes()[..]].concat();
            raw.say(&[frames::open(stream, SUBMIT), frame(frames::DATA, 0, stream, &head)].concat()).await.expect("written");
            whole -= head.len();
            let (mut left, mut window) = ((1 << 20) - 1, STREAM_WINDOW);
            while left > 0 && !refused.contains(&stream) {
                let some = left.min(16 << 10).min(window).min(whole);
                if some == 0 {
                    let back = soon("a window or an answer", raw.next()).await.expect("the connection lives");
                    match back.window() {
                        Some((0, bytes)) => whole += bytes,
                        Some((given, bytes)) if given == stream => window += bytes,
                        _ if [frames::HEADERS, frames::RST_STREAM].contains(&back.kind) => drop(refused.insert(back.stream)),
                        _ => {}
                    }
                    continue;
                }
                raw.say(&frame(frames::DATA, 0, stream, &vec![7; some])).await.expect("written");
                (left, window, whole) = (left - some, window - some, whole - some);
            }
        }
        assert_eq!(refused.len(), 92, "eight fit");
        Outcome::Bounded
    };
    // Waits for its end: what is counted is the whole attack.
    let before = siege.memory.reset().expect("its memory");
    let attack = tokio::spawn(unfinished);
    siege.witness().await;
    assert_eq!(soon("the attack's end", attack).await.expect("no panic"), Outcome::Bounded);
    let grown = siege.memory.peak().expect("its memory").saturating_sub(before);
    println!("unfinished requests: {} KiB", grown >> 10);
    assert!(grown <= MEMORY_MAX, "the gateway has grown by {} KiB", grown >> 10);
    siege.witness().await;
    siege.end().await;
}

/// gRPC's frame around a message.
fn framed(message: &impl prost::Message) -> Vec<u8> {
    let bytes = message.encode_to_vec();
    [&[0], &u32::try_from(bytes.len()).expect("small").to_be_bytes()[..], &bytes].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_never_reads_its_mailbox_costs_no_more_than_its_share() {
    const CALLS: u32 = 64;
    let stage = Stage::new();
    let gateway = stage.serve();
    let thailand = stage.member(&gateway.url, "th").await;
    let [ke, post] = [stage.connect(&gateway.url, "ke").await, stage.connect(&gateway.url, "cn/hk").await];
    let content = Bytes::from(vec![7; 200 << 10]);
    let sealed: Vec<_> = (1..=24).map(|number| stage.seal_content(thailand.directory(), "ke", number, content.clone())).collect();
    let answers = soon("answers", drive(ke.clone(), sealed, 4)).await;
    assert!(answers.iter().all(|answer| answer.problem.is_none()), "{answers:?}");
    let memory = Memory::of(gateway.pid());
    let before = memory.reset().expect("its memory");
    // A window of nothing for every call: what is said can only wait.
    let mut raw = Raw::open(gateway.address(), &stage.folder_of("th"), &[(frames::INITIAL_WINDOW_SIZE, 0)]).await;
    let start = framed(&v1::ReceiveRequest { start: Some(v1::ReceiveStart::default()), credit: 1024, statement: None });
    let (open, busy) = open_many(&mut raw, 0..CALLS, RECEIVE, &start).await;
    assert_eq!((open.len(), busy.len()), (8, 56), "eight may wait, the others are told that it is busy");
    for number in 1..=8 {
        let message = stage.seal(thailand.directory(), "ke", 24 + number, |_| {});
        MessagesClient::with_origin(ke.clone(), ke.origin()).submit(v1::SubmitRequest { submission: Some(message) }).await.expect("taken");
        ask(&post).await.expect("others are served");
    }
    let grown = memory.peak().expect("its memory").saturating_sub(before);
    println!("mailboxes that nobody reads: {} KiB", grown >> 10);
    assert!(grown <= MEMORY_MAX, "the gateway has grown by {} KiB", grown >> 10);
    // With the connection go its places.
    let mark = gateway.mark();
    drop(raw);
    gateway.logs(mark, "disconnected peer=th").await;
    let mut again = Raw::open(gateway.address(), &stage.folder_of("th"), &[]).await;
    again.say(&[frames::open(1, RECEIVE), frame(frames::DATA, 0, 1, &start)].concat()).await.expect("written");
    while soon("mail", again.next()).await.expect("the connection lives").kind != frames::DATA {}
    gateway.kill().await;
    stage.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_not_read_hold_up_their_own_participant_only() {
    let stage = Stage::new();
    stage.limit(|limits| limits.answers_per_participant = 16);
    let gateway = stage.serve();
    let [own, other] = [stage.connect(&gateway.url, "ke/cus/kemba").await, stage.connect(&gateway.url, "ke").await];
    let mut raw = Raw::open(gateway.address(), &stage.folder_of("ke/cus/kemba"), &[(frames::INITIAL_WINDOW_SIZE, 0)]).await;
    let nothing = frame(frames::DATA, 0, 1, &framed(&v1::SubmitStreamRequest::default()).repeat(64));
    raw.say(&[frames::open(1, SUBMIT_STREAM), nothing].concat()).await.expect("written");
    while soon("the head of an answer", raw.next()).await.expect("the connection lives").kind != frames::HEADERS {}
    let garbage = || vec![v1::Submission { tag: 7, ..v1::Submission::default() }];
    // Asked until the 16 answers are there: each of these is answered, or waits behind them.
    let mut waiting = tokio::spawn(drive(own.clone(), garbage(), 1));
    while waiting.is_finished() {
        assert_eq!(waiting.await.expect("no panic").len(), 1);
        waiting = tokio::spawn(drive(own.clone(), garbage(), 1));
        tokio::task::yield_now().await;
    }
    for _ in 0..4 {
        let answers = soon("another participant's answer", drive(other.clone(), garbage(), 1)).await;
        assert_eq!(answers.len(), 1);
    }
    drop(raw);
    assert_eq!(soon("the own answer", waiting).await.expect("no panic").len(), 1);
    gateway.kill().await;
    stage.audit();
}

/// Opens many calls with this request, and nothing read; how many are open, and how many were told that it is busy.
async fn open_many(raw: &mut Raw, calls: std::ops::Range<u32>, path: &str, request: &[u8]) -> (BTreeSet<u32>, BTreeSet<u32>) {
    let (mut open, mut busy) = (BTreeSet::new(), BTreeSet::new());
    for n in calls {
        let stream = frames::stream(n);
        raw.say(&[frames::open(stream, path), frame(frames::DATA, 0, stream, request)].concat()).await.expect("written");
        if path != RECEIVE {
            raw.say(&frame(frames::DATA, frames::END_STREAM, stream, &[])).await.expect("written");
        }
        while !open.contains(&stream) && !busy.contains(&stream) {
            let back = soon("an answer", raw.next()).await.expect("the connection lives");
            if back.kind == frames::HEADERS {
                // A refusal has no body: its head is its end.
                let ended = back.flags & frames::END_STREAM != 0;
                if ended {
                    busy.insert(back.stream)
                } else {
                    open.insert(back.stream)
                };
            }
        }
    }
    (open, busy)
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_replays_that_nobody_reads_are_bounded_and_given_back() {
    let stage = Stage::new();
    let gateway = stage.serve();
    let thailand = stage.member(&gateway.url, "th").await;
    let ke = stage.connect(&gateway.url, "ke").await;
    // More entries than wait for a reader.
    let sealed: Vec<_> = (1..=40).map(|number| stage.seal(thailand.directory(), "ke", number, |_| {})).collect();
    assert_eq!(soon("answers", drive(ke.clone(), sealed, 8)).await.len(), 40);
    for (path, most) in [(REPLAY, 4), ("/ecowire.v1.Directory/Snapshot", 4)] {
        for _ in 0..2 {
            let mark = gateway.mark();
            let mut raw = Raw::open(gateway.address(), &stage.folder_of("th"), &[(frames::INITIAL_WINDOW_SIZE, 0)]).await;
            let (open, busy) = open_many(&mut raw, 0..20, path, &framed(&v1::ReplayRequest::default())).await;
            assert_eq!((open.len(), busy.len()), (most, 20 - most), "{path}");
            ask(&ke).await.expect("others are served");
            drop(raw);
            gateway.logs(mark, "disconnected peer=th").await;
        }
    }
    gateway.kill().await;
    stage.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn replays_of_all_together_are_bounded_too() {
    // A participant may have an eighth of them, so that the ninth comes too late.
    const NINE: [&str; 9] = ["ke", "th", "cn/hk", "br", "fr", "id", "za", "ug", "tz"];
    let stage = Stage::of(&NINE);
    stage.limit(|limits| (limits.replays_per_participant, limits.replays) = (1, 8));
    let gateway = stage.serve();
    let thailand = stage.member(&gateway.url, "th").await;
    let ke = stage.connect(&gateway.url, "ke").await;
    // More entries than lie ready for a reader, also where each is no more than its leaf.
    let sealed: Vec<_> = (1..=240).map(|number| stage.seal(thailand.directory(), "ke", number, |_| {})).collect();
    assert_eq!(soon("answers", drive(ke.clone(), sealed, 8)).await.len(), 240);
    let replay = async |who: &str| {
        let mut raw = Raw::open(gateway.address(), &stage.folder_of(who), &[(frames::INITIAL_WINDOW_SIZE, 0)]).await;
        let (taken, busy) = open_many(&mut raw, 0..2, REPLAY, &framed(&v1::ReplayRequest::default())).await;
        (raw, taken.len(), busy.len())
    };
    let mut open = Vec::new();
    for who in &NINE[..8] {
        let (raw, taken, busy) = replay(who).await;
        assert_eq!((taken, busy), (1, 1), "{who}");
        open.push(raw);
    }
    let (_, taken, busy) = replay("tz").await;
    assert_eq!((taken, busy), (0, 2), "all places are taken");
    ask(&ke).await.expect("others are served");
    // With a connection goes its place.
    let mark = gateway.mark();
    drop(open.remove(1));
    gateway.logs(mark, "disconnected peer=th").await;
    let (_, taken, busy) = replay("tz").await;
    assert_eq!((taken, busy), (1, 1));
    gateway.kill().await;
    stage.audit();
}

/// What a client of ours says first.
fn client_hello(stage: &Stage) -> Vec<u8> {
    let config = tls::client(Some(tls::read(&stage.folder_of("ke"), "tls")), &["h2"]);
    let name = rustls_pki_types::ServerName::try_from("localhost").expect("a name");
    let mut client = rustls::ClientConnection::new(config.into(), name).expect("a connection");
    let mut hello = Vec::new();
    client.write_tls(&mut hello).expect("written");
    hello
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_half_open_connections_cost_little_and_are_gone_when_their_time_is_over() {
    const HALF_OPEN: usize = 1000;
    let stage = Stage::new();
    stage.limit(|limits| (limits.handshakes, limits.handshakes_per_source, limits.handshake_timeout_s) = (8192, 1024, 5));
    let gateway = stage.serve();
    let witness = stage.connect(&gateway.url, "th").await;
    ask(&witness).await.expect("served");
    let (memory, hello) = (Memory::of(gateway.pid()), client_hello(&stage));
    let (before, files) = (memory.reset().expect("its memory"), memory.files().expect("its files"));
    let mut half = Vec::new();
    for n in 0..HALF_OPEN {
        let mut stream = TcpStream::connect(gateway.address()).await.expect("connected");
        // Nothing at all; or a sound hello, after whose answer nothing comes; or half of one.
        let said = [&[][..], &hello, &hello[..hello.len() / 2]][n % 3];
        stream.write_all(said).await.expect("written");
        half.push(stream);
    }
    // All are held at once, and who comes now gets in.
    while memory.files().expect("its files") < files + HALF_OPEN {
        ask(&witness).await.expect("the witness is served");
    }
    ask(&stage.connect(&gateway.url, "ke").await).await.expect("there is room");
    let grown = memory.peak().expect("its memory").saturating_sub(before);
    println!("half-open connections: {} bytes each", grown / HALF_OPEN as u64);
    assert!(grown <= (64 << 10) * HALF_OPEN as u64, "{} bytes each", grown / HALF_OPEN as u64);
    // One byte at a time gains nothing: the time is the handshake's, not the last byte's.
    let slow = async {
        let mut stream = TcpStream::connect(gateway.address()).await.expect("connected");
        let mut pace = tokio::time::interval(std::time::Duration::from_millis(20));
        let mut bytes = hello.iter().cycle();
        while stream.write_all(&[*bytes.next().expect("endless")]).await.is_ok() {
            pace.tick().await;
        }
    };
    soon("the end of a slow handshake", slow).await;
    for mut stream in half {
        let ended = soon("the end of a half-open connection", stream.read_to_end(&mut Vec::new())).await;
        drop(ended);
    }
    while memory.files().expect("its files") > files + 1 {
        ask(&witness).await.expect("the witness is served");
    }
    gateway.logs(0, "reason=\"HANDSHAKE_TIMEOUT\"").await;
    gateway.kill().await;
    stage.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_never_take_the_files_that_the_ledger_needs() {
    let stage = Stage::new();
    let gateway = stage.serve_with_files(128);
    gateway.logs(0, "the system allows fewer files than the configuration has connections files=128").await;
    let thailand = stage.member(&gateway.url, "th").await;
    let ke = stage.connect(&gateway.url, "ke").await;
    let mut messages = MessagesClient::with_origin(ke.clone(), ke.origin());
    let mut number = 0;
    for round in 0..2 {
        let mark = gateway.mark();
        let mut many = Vec::new();
        for n in 0..200 {
            many.push(connect_from(2 + n % 4, gateway.address()).await);
        }
        // So often a minute is enough.
        if round == 0 {
            gateway.logs(mark, "no room for another connection").await;
        }
        // Full, and what is written needs files, too.
        for _ in 0..4 {
            number += 1;
            let message = stage.seal(thailand.directory(), "ke", number, |_| {});
            messages.submit(v1::SubmitRequest { submission: Some(message) }).await.expect("taken while it is full");
        }
        let credentials = Credentials::read(&stage.folder_of("cn/hk")).expect("credentials");
        stage.knock(&gateway.url, credentials).await.expect_err("there is no room");
        drop(many);
        let mut directory = DirectoryClient::with_origin(ke.clone(), ke.origin());
        let in_again = async {
            loop {
                directory.snapshot(v1::SnapshotRequest { from_size: u64::MAX }).await.expect("the witness is served");
                if let Ok(link) = stage.knock(&gateway.url, Credentials::read(&stage.folder_of("cn/hk")).expect("credentials")).await {
                    return link;
                }
            }
        };
        ask(&soon("room again", in_again).await).await.expect("served");
    }
    gateway.kill().await;
    stage.audit();
}
