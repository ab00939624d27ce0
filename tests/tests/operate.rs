//! A gateway in an operator's hands: what its own port says, what it never says, and what a reload takes.

#[path = "theatre/hands.rs"]
mod hands;
mod stage;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

use client::{Compose, ReceiveOptions};
use gateway::config::LogFormat;
use hands::Hands;
use proto::v1;
use proto::v1::messages_client::MessagesClient;
use stage::{Stage, ask, at, soon};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

const ANY_PORT: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

/// Status and body of a page.
async fn get(from: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = soon("a connection", TcpStream::connect(from)).await.expect("the port is open");
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("asked");
    let mut answer = String::new();
    soon("a page", stream.read_to_string(&mut answer)).await.expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, body.to_owned())
}

/// The value of a sample, by its name with labels.
fn sample(page: &str, name: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not on the page:\n{page}")).parse().expect("a number")
}

/// Every value of every label.
fn label_values(page: &str) -> BTreeSet<&str> {
    let samples = page.lines().filter(|line| !line.starts_with('#'));
    samples.flat_map(|line| line.split('"').skip(1).step_by(2)).collect()
}

/// The metrics of a page as rows of a table.
fn rows(page: &str) -> Vec<String> {
    let mut rows = Vec::new();
    for line in page.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').expect("a name and a type");
        let help = page.lines().find_map(|line| line.strip_prefix("# HELP ")?.strip_prefix(name)?.strip_prefix(' '));
        let suffix = if kind == "counter" { "_total" } else { "" };
        rows.push(format!("| `{name}{suffix}` | {kind} | {} |", help.expect("a help text").trim_end_matches('.')));
    }
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_counts_what_happened_and_names_nobody() {
    const POST: &str = "ke/cus/canary-7f3a";
    let stage = Stage::of(&["ke", POST, "th", "ipsg/ens", "aud/network"]);
    stage.configure(|config| config.telemetry.metrics = Some(ANY_PORT.into()));
    let running = stage.run().await;
    let (url, metrics) = (format!("https://{}", running.address), running.metrics.expect("a port"));
    let mut thailand = stage.member(&url, "th").await;
    drop((stage.member(&url, "ke").await, stage.member(&url, "ipsg/ens").await));
    let mut post = stage.member(&url, POST).await;
    let message = Compose::new(vec![at("th")], b"canary-content-91".to_vec());
    let sent = post.send(message).await.expect("sent");
    let waiting = get(metrics, "/metrics").await.1;
    let mail = thailand.receive(ReceiveOptions { follow: false }).await.expect("received");
    assert_eq!(mail.received.len(), 1);
    let forged = stage.seal(thailand.directory(), "ke", 1, |_| {});
    assert_eq!(post.submit_raw(forged).await.expect_err("another's header").name(), Some("NOT_SENDER"));
    let (leaf, key) = stage.leaf(&stage.ca("th"), POST, |_| {});
    let stranger = stage.knock(&url, stage::credentials(&[leaf, stage.ca("th").der], &key)).await;
    if let Ok(link) = stranger {
        ask(&link).await.expect_err("th issues nothing below ke");
    }
    // The alert is on its way before the failure is counted.
    let refused = "ecowire_handshakes_failed_total{reason=\"certificate\"}";
    soon("the count", async { while sample(&get(metrics, "/metrics").await.1, refused) == 0.0 {} }).await;

    let (status, page) = get(metrics, "/metrics").await;
    assert_eq!(status, 200);
    for (name, value) in [
        ("ecowire_admitted_total{kind=\"message\"}", 1.0),
        ("ecowire_refused_total{name=\"NOT_SENDER\"}", 1.0),
        ("ecowire_deliveries_total", 1.0),
        ("ecowire_busy_total{bound=\"queue\"}", 0.0),
        ("ecowire_queue_messages", 0.0),
        ("ecowire_clock_believed", 1.0),
        ("ecowire_writer_halted", 0.0),
        ("ecowire_writer_stopped", 0.0),
        ("ecowire_ready", 1.0),
        ("ecowire_checkpoint_entries", running.shared().ledger().size() as f64),
        ("ecowire_traces_lost_total", 0.0),
        ("ecowire_revocation_lists{state=\"missing\"}", 0.0),
    ] {
        assert_eq!(sample(&page, name), value, "{name}");
    }
    // A copy goes to the bureau and to the desk, which take no mail here.
    assert_eq!(sample(&waiting, "ecowire_mailbox_messages") - sample(&page, "ecowire_mailbox_messages"), 1.0);
    assert_eq!(sample(&waiting, "ecowire_mailbox_depth_max"), 1.0);
    for name in [
        "ecowire_disk_free_bytes",
        "ecowire_memory_bytes",
        "ecowire_open_files",
        "ecowire_batch_entries_count",
        "ecowire_commit_seconds_sum",
        "ecowire_sync_seconds_sum",
        "ecowire_certificate_days",
        "ecowire_revocation_list_days",
    ] {
        assert!(sample(&page, name) > 0.0, "{name}");
    }
    let over = |transport: &str| sample(&page, &format!("ecowire_connections{{transport=\"{transport}\"}}"));
    assert!(over("tcp") + over("quic") >= 2.0);
    assert!(sample(&page, "ecowire_sync_seconds_sum") < sample(&page, "ecowire_commit_seconds_sum"));
    let reference = sent.reference.to_string();
    for canary in ["canary", "7f3a", &reference, "KE.CUS", "127.0.0.1"] {
        assert!(!page.contains(canary), "{canary} is on the page:\n{page}");
    }
    for member in ["ke", "th", "cus", "ipsg", "ens", "aud", "network", "node"] {
        assert!(!label_values(&page).contains(member), "{member} is in a label:\n{page}");
    }
    drop((thailand, post));
    running.stop().await;
    stage.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_beyond_ones_share_is_counted_as_its_participants() {
    let stage = Stage::new();
    stage.configure(|config| (config.telemetry.metrics, config.limits.mailboxes_per_participant) = (Some(ANY_PORT.into()), 1));
    let running = stage.run().await;
    let (url, metrics) = (format!("https://{}", running.address), running.metrics.expect("a port"));
    let link = stage.connect(&url, "ke").await;
    let mut client = MessagesClient::with_origin(link.clone(), link.origin());
    let open = soon("a stream", client.receive(tokio_stream::pending())).await.expect("the first is open");
    let status = soon("an answer", client.receive(tokio_stream::pending())).await.expect_err("one is allowed");
    assert!(status.message().contains("calls of Receive"), "{status}");
    let (_, page) = get(metrics, "/metrics").await;
    for (bound, value) in [("participant", 1.0), ("writer", 0.0)] {
        assert_eq!(sample(&page, &format!("ecowire_busy_total{{bound=\"{bound}\"}}")), value, "{bound}");
    }
    drop((open, link, client));
    running.stop().await;
}

/// `UPDATE_METRICS=1 cargo test -p tests --test operate` writes the table anew.
#[tokio::test(flavor = "multi_thread")]
async fn the_operators_table_of_metrics_is_what_the_page_has() {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operating/metrics.md"));
    let document = std::fs::read_to_string(path).expect("the operator's page");
    let stage = Stage::new();
    stage.configure(|config| config.telemetry.metrics = Some(ANY_PORT.into()));
    let running = stage.run().await;
    let (_, page) = get(running.metrics.expect("a port"), "/metrics").await;
    running.stop().await;
    let is_row = |line: &&str| line.starts_with("| `ecowire_");
    if std::env::var_os("UPDATE_METRICS").is_some() {
        let before = document.lines().take_while(|line| !is_row(line));
        let after = document.lines().skip_while(|line| !is_row(line)).skip_while(is_row);
        let rows = rows(&page);
        let text: Vec<&str> = before.chain(rows.iter().map(String::as_str)).chain(after).collect();
        std::fs::write(path, text.join("\n") + "\n").expect("written");
        return;
    }
    let documented: Vec<&str> = document.lines().filter(is_row).collect();
    assert_eq!(documented, rows(&page), "the page and {} say the same words", path.display());
    use gateway::metrics::HandshakeFailure;
    use gateway::problem::Bound;
    let words = Bound::ALL.map(Bound::word).into_iter().chain(HandshakeFailure::ALL.map(HandshakeFailure::word));
    for word in words {
        assert!(document.contains(&format!("`{word}`")), "{word} is not explained");
    }
}

/// Runs the gateway's command: exit code, standard output and error.
fn command(args: &[&str], env: &[(&str, &Path)]) -> (Option<i32>, String, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ecowire-all"));
    let output = command.arg("ecowire-gateway").args(args).envs(env.iter().copied()).output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_example_is_accepted_and_a_key_that_does_not_exist_is_refused_by_every_command() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("gateway.toml");
    let file = path.to_str().expect("a name");
    let (code, example, _) = command(&["config", "--example"], &[]);
    assert_eq!(code, Some(0));
    std::fs::write(&path, &example).expect("written");
    let (code, holds, _) = command(&["config", "--check", file], &[]);
    assert_eq!(code, Some(0));
    assert!(holds.contains("limits.handshakes = 1024\n") && holds.contains("telemetry.metrics = \"127.0.0.1:9247\"\n"), "{holds}");
    // Every key is explained: a comment stands before it, or before the key beside it.
    let mut explained = false;
    for line in example.lines() {
        explained = match line {
            "" => false,
            _ if line.starts_with('#') => true,
            _ if line.starts_with('[') => false,
            _ => explained,
        };
        assert!(explained || !line.contains(" = "), "{line} is not explained");
    }
    std::fs::write(&path, example.replace("handshakes =", "handshake =")).expect("written");
    let wanted = "limits.handshake is not a key; did you mean limits.handshakes?";
    for args in [&["config", "--check", file][..], &["serve"], &["check"]] {
        let (code, _, error) = command(args, &[("ECOWIRE_CONFIG", &path)]);
        assert!(code == Some(1) && error.contains(wanted), "{args:?}: {code:?} {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_whose_clock_jumps_lives_but_is_not_ready_and_says_why() {
    let stage = Stage::new();
    stage.configure(|config| config.telemetry.metrics = Some(ANY_PORT.into()));
    let started = stage::now();
    let hands = Hands::at(started);
    let running =
        gateway::start_with(&stage.config(), hands.clone(), exchange::Rules::default(), ledger::Engine::Redb).await.expect("starts");
    let metrics = running.metrics.expect("a port");
    assert_eq!(get(metrics, "/readyz").await, (200, "ready\n".to_owned()));
    assert_eq!(get(metrics, "/livez").await, (200, "alive\n".to_owned()));
    assert_eq!(get(metrics, "/").await.0, 404);
    let url = format!("https://{}", running.address);
    let thailand = stage.member(&url, "th").await;
    let link = stage.connect(&url, "ke").await;
    let mut health = HealthClient::with_origin(link.clone(), link.origin());
    let mut changes = soon("a watch", health.watch(HealthCheckRequest::default())).await.expect("watched").into_inner();
    let mut status = async || soon("a status", changes.message()).await.expect("an answer").expect("more").status();
    assert_eq!(status().await, ServingStatus::Serving);

    hands.set(started.plus(3_600_000));
    soon("the halt", running.shared().halted().wait_for(Option::is_some)).await.expect("it lives");
    let (code, text) = get(metrics, "/readyz").await;
    assert!(code == 503 && text.starts_with("not ready: nothing is written for now: CLOCK_JUMP"), "{code} {text}");
    assert_eq!(get(metrics, "/livez").await.0, 200, "a stopped clock is not mended by a restart");
    let letter = v1::SubmitRequest { submission: Some(stage.seal(thailand.directory(), "ke", 1, |_| {})) };
    let busy = MessagesClient::with_origin(link.clone(), link.origin()).submit(letter).await.expect_err("nothing is written");
    assert_eq!(busy.code(), tonic::Code::ResourceExhausted, "{busy:?}");
    let page = get(metrics, "/metrics").await.1;
    for (name, value) in [
        ("ecowire_busy_total{bound=\"writer\"}", 1.0),
        ("ecowire_admitted_total{kind=\"message\"}", 0.0),
        ("ecowire_clock_believed", 0.0),
        ("ecowire_writer_halted", 1.0),
        ("ecowire_ready", 0.0),
        ("ecowire_writer_stopped", 0.0),
    ] {
        assert_eq!(sample(&page, name), value, "{name}");
    }
    assert_eq!(status().await, ServingStatus::NotServing);
    drop((health, link, changes, thailand));
    soon("the stop", running.stop()).await;
    assert!(TcpStream::connect(metrics).await.is_err(), "the port ends with the gateway");
    stage.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_takes_what_is_safe_and_a_broken_file_changes_nothing() {
    let stage = Stage::new();
    let gateway = stage.serve_as_configured();
    gateway.logs(0, "the configuration").await;
    let started = gateway.logs(0, "serving").await;
    assert!(started.contains("INFO"), "{started}");
    stage.configure(|config| {
        config.limits.connections_per_participant = 1;
        config.limits.handshakes = 2048;
        config.telemetry.log = "info,gateway=debug".to_owned();
    });
    let mark = gateway.mark();
    gateway.signal("HUP");
    let taken = gateway.logs(mark, "connections_per_participant").await;
    assert!(taken.contains("WARN") && taken.contains("was taken"), "{taken}");
    let refused = gateway.logs(mark, "limits.handshakes").await;
    assert!(refused.contains("ERROR") && refused.contains("room is given out when the gateway starts"), "{refused}");
    gateway.logs(mark, "the configuration was read again").await;
    let first = stage.connect(&gateway.url, "ke").await;
    ask(&first).await.expect("the first connection serves");
    gateway.logs(mark, "DEBUG gateway::connection: connected").await;
    let credentials = client::link::Credentials::read(&stage.folder_of("ke")).expect("credentials");
    if let Ok(second) = stage.knock(&gateway.url, credentials).await {
        ask(&second).await.expect_err("the second is refused now");
    }
    gateway.logs(mark, "too many connections of one participant").await;

    std::fs::write(stage.beside("gateway.toml"), "listen = ").expect("written");
    let mark = gateway.mark();
    gateway.signal("HUP");
    let broken = gateway.logs(mark, "was not read again").await;
    assert!(broken.contains("what held holds"), "{broken}");
    ask(&first).await.expect("the first is still served");
    gateway.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_has_the_form_and_the_levels_that_the_configuration_says() {
    let stage = Stage::new();
    stage.configure(|config| (config.telemetry.log_format, config.telemetry.log) = (LogFormat::Json, "warn,gateway=info".to_owned()));
    let gateway = stage.serve_as_configured();
    let line = gateway.logs(0, "\"serving\"").await;
    let line: serde_json::Value = serde_json::from_str(&line).expect("one object a line");
    assert_eq!((&line["level"], &line["target"]), (&"INFO".into(), &"gateway::gateway".into()));
    let log = gateway.kill().await;
    assert!(!log.contains("DEBUG") && log.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{log}");
}
