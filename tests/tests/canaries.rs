//! What a message says stays between sender and recipients: canaries in every field of every kind's form are nowhere in what a
//! gateway keeps or prints; and who is denied something finds no trace of it.

mod stage;

use std::net::SocketAddr;
use std::path::Path;

use client::{Client, Compose, ReceiveOptions, audit};
use content::{Form, filled};
use proto::v1::{Classification, GroupSenders, Kind};
use stage::{Stage, at};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const CANARY: &str = "SerinusCanaria1758";
const CAST: [&str; 7] = ["ke", "th", "ke/cus/kemba", "ipsg/ens", "ipsg/ccc", "svc/imaf", "aud/network"];

/// Whether bytes hold the canary, as it is or as base64 or hex of it might stand there.
fn sings(bytes: &[u8]) -> bool {
    let text = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    let hex: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    text(CANARY.as_bytes()) || text(CANARY.to_lowercase().as_bytes()) || text(hex.as_bytes()) || text(&CANARY.as_bytes()[4..])
}

fn files_below(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files_below(&path, found);
        } else {
            found.push((path.display().to_string(), std::fs::read(&path).expect("a file")));
        }
    }
}

async fn page(port: SocketAddr) -> Vec<u8> {
    let mut stream = tokio::net::TcpStream::connect(port).await.expect("the metrics' port");
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.expect("asked");
    let mut page = Vec::new();
    stream.read_to_end(&mut page).await.expect("answered");
    page
}

/// A message of each kind with canaries wherever its form takes a text.
struct Letter {
    from: &'static str,
    to: &'static [&'static str],
    form: Form,
}

const OPERATION: &str = "grp/op/4f2a";

/// Who sends each form to whom, so that the rules let it in.
fn letter(form: Form) -> Letter {
    let (from, to): (&str, &[&str]) = match form {
        Form::Ecomessage | Form::Diffusion => ("ke", &["th", "ipsg/ens"]),
        Form::Alert => ("ke/cus/kemba", &["ke"]),
        Form::Warning | Form::Feedback | Form::Seizure => ("ke", &[OPERATION]),
        Form::Query => ("ke", &["svc/imaf"]),
        Form::QueryResult | Form::Hit => ("svc/imaf", &["ke"]),
        Form::NoticeRequest => ("ke", &["ipsg/ens"]),
        Form::Notice | Form::NoticeUpdate | Form::NoticeCancel => ("ipsg/ens", &["ke", "th"]),
        Form::DeletionAttestation => ("th", &["ke"]),
        _ => ("ke", &["th"]),
    };
    Letter { from, to, form }
}

/// The message that a form needs to name, made just before it.
fn before(form: Form) -> Option<Form> {
    match form {
        Form::NoticeUpdate | Form::NoticeCancel => Some(Form::Notice),
        Form::DiffusionCancel | Form::Correction | Form::Deletion => Some(Form::Message),
        Form::DeletionAttestation => Some(Form::Deletion),
        Form::QueryResult => Some(Form::Query),
        Form::HitConfirmation => Some(Form::Request),
        _ => None,
    }
}

fn kind_of(form: Form) -> Kind {
    Kind::from_str_name(&format!("KIND_{}", form.name().replace('-', "_").to_uppercase())).expect("every form has its kind")
}

struct Cast(Vec<Client>);

impl Cast {
    fn of(&mut self, who: &str) -> &mut Client {
        self.0.iter_mut().find(|client| client.address().as_str() == who).expect("one of the cast")
    }

    async fn send(&mut self, form: Form) -> envelope::Reference {
        let Letter { from, to, form } = letter(form);
        let named = match before(form) {
            Some(first) => Some(Box::pin(self.send(first)).await),
            None => None,
        };
        if named.as_ref().is_some_and(|named| named.sender != *self.of(from).address()) {
            self.of(from).receive(ReceiveOptions::default()).await.expect("mail");
        }
        let answers = matches!(form, Form::QueryResult | Form::HitConfirmation);
        // The answer goes to who asked: here the request that its own sender answers stands for it.
        let message = Compose {
            kind: kind_of(form),
            classification: if form == Form::ControlledDelivery { Classification::Confidential } else { Classification::Restricted },
            in_reply_to: named.clone().filter(|_| answers),
            target: named.filter(|_| !answers),
            media_type: form.media_type().to_owned(),
            ..Compose::new(to.iter().map(|text| at(text)).collect(), filled(form, CANARY).encode())
        };
        self.of(from).send(message).await.unwrap_or_else(|error| panic!("{form:?}: {error}")).reference
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_what_a_message_says_is_kept_or_printed_by_a_gateway() {
    let stage = Stage::of(&CAST);
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let metrics = free.expect("a free port");
    stage.configure(|config| config.telemetry.metrics = Some(metrics));
    let gateway = stage.serve_logging("trace");
    let mut cast = Cast(Vec::new());
    for member in CAST.iter().filter(|member| **member != "aud/network") {
        cast.0.push(stage.member(&gateway.url, member).await);
    }
    for client in &mut cast.0 {
        client.refresh_directory().await.expect("the directory");
    }
    let members = ["ke", "th"].map(at).to_vec();
    cast.of("ke").set_group(&at(OPERATION), members, GroupSenders::Members, None).await.expect("a group");
    for form in Form::ALL {
        let reference = cast.send(*form).await;
        let reader = if letter(*form).from == "ke" { "th" } else { "ke" };
        let there = letter(*form).to.iter().any(|to| *to == reader || *to == OPERATION);
        if there {
            cast.of(reader).receive(ReceiveOptions::default()).await.expect("mail");
            let opened = cast.of(reader).open(&reference).expect("it opens");
            assert!(sings(&opened.content), "{form:?} carries the canary to its reader");
        }
    }
    drop(cast);
    let page = page(metrics).await;
    assert!(page.len() > 1000 && !sings(&page), "the metrics");
    let log = gateway.kill().await;
    assert!(log.len() > 1000 && !sings(log.as_bytes()), "the log");
    let mut files = Vec::new();
    files_below(&stage.data(), &mut files);
    assert!(files.len() > 2);
    for (name, bytes) in &files {
        assert!(!sings(bytes), "{name}");
    }
    let entries = stage.audit();
    assert!(entries.len() > Form::ALL.len());
}

/// What a participant's own eyes can see of a gateway: its mail, its mailbox, its entries and how many there are in all.
async fn view(client: &mut Client) -> (usize, Vec<u64>, u64, Vec<(u64, usize)>) {
    let mail = client.receive(ReceiveOptions::default()).await.expect("mail");
    assert_eq!(mail.unsound, Vec::<String>::new());
    let mut lines = Vec::new();
    let options = audit::Options { purpose: "look".to_owned(), ..audit::Options::default() };
    let seen = audit::verify(client, &options, |line, _| lines.push((line.index, line.summary().len()))).await.expect("a replay");
    (mail.received.len(), mail.missing, seen.size, lines)
}

/// Two worlds: in one Thailand is denied a broadcast, in the other something else of the same size was sent elsewhere instead.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_denied_and_who_was_never_meant_see_the_same() {
    let mut worlds = Vec::new();
    for denied in [true, false] {
        let stage = Stage::of(&["ke", "th", "np", "ipsg/ens"]);
        let gateway = stage.serve();
        let mut desk = stage.member(&gateway.url, "ipsg/ens").await;
        let mut thailand = stage.member(&gateway.url, "th").await;
        for member in ["ke", "np"] {
            drop(stage.member(&gateway.url, member).await);
        }
        for client in [&mut desk, &mut thailand] {
            client.refresh_directory().await.expect("the directory");
        }
        let (to, except) = if denied { (vec![at("all/ncb")], vec![at("th")]) } else { (vec![at("ke"), at("np")], Vec::new()) };
        let notice = Compose {
            kind: Kind::Notice,
            except,
            media_type: Form::Notice.media_type().to_owned(),
            ..Compose::new(to, filled(Form::Notice, "a quiet word").encode())
        };
        let sent = desk.send(notice).await.expect("sent");
        assert_eq!(desk.header_of(&sent.reference).expect("its header").context.via_group, None, "nothing names a group");
        worlds.push((view(&mut thailand).await, sent.bytes.len()));
        drop((desk, thailand));
        gateway.kill().await;
        stage.audit();
    }
    assert_eq!(worlds[0], worlds[1]);
    assert_eq!(worlds[0].0.0, 0);
}
