//! `ecowire-gateway doctor` over a minted network: each thing that can be wrong is made wrong, and is named with what to do.

#[path = "theatre/hands.rs"]
mod hands;
mod stage;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use certs_dev::forge::{Pair, Spec};
use envelope::Timestamp;
use envelope::keys::random;
use hands::Hands;
use stage::{Stage, at, soon};

const DAY_MS: u64 = 86_400_000;

/// An address that no other test uses, with a port that is free.
fn free() -> SocketAddr {
    let [a, b] = random::<2>().expect("random bytes");
    let listener = TcpListener::bind((Ipv4Addr::new(127, 78, a, b.clamp(1, 254)), 0)).expect("a free port");
    listener.local_addr().expect("its address")
}

/// A network whose gateway has ports of its own and was never started.
fn network() -> Stage {
    let stage = Stage::of(&["ke", "th"]);
    stage.configure(|config| (config.listen, config.telemetry.metrics) = (free(), Some(free())));
    stage
}

/// What the doctor says: its exit code, and verdict and text with advice of a check.
struct Said {
    exit: Option<i32>,
    report: serde_json::Value,
}

impl Said {
    fn of(stage: &Stage) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ecowire-all"));
        command.args(["ecowire-gateway", "doctor", "--json", "--config"]).arg(stage.beside("gateway.toml"));
        let output = command.output().expect("the doctor runs");
        let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        Self { exit: output.status.code(), report }
    }

    fn check(&self, name: &str) -> (&str, String) {
        let checks = self.report["checks"].as_array().expect("checks");
        let check = checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no {name} in {}", self.report));
        (check["verdict"].as_str().expect("a verdict"), format!("{} -> {}", check["text"], check["advice"]))
    }

    /// Names of the checks with a verdict.
    fn with(&self, verdict: &str) -> Vec<&str> {
        let checks = self.report["checks"].as_array().expect("checks").iter();
        checks.filter(|check| check["verdict"] == verdict).filter_map(|check| check["name"].as_str()).collect()
    }

    /// Only this check is bad, and says this.
    #[track_caller]
    fn is_bad(&self, name: &str, words: &[&str]) {
        assert_eq!((self.exit, self.with("bad")), (Some(1), vec![name]), "{:#}", self.report);
        let text = self.check(name).1;
        for word in words {
            assert!(text.contains(word), "{word}: {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_running_gateway_all_is_well_and_without_one_nobody_answers() {
    let stage = network();
    let stopped = Said::of(&stage);
    assert_eq!(
        (stopped.exit, stopped.with("unreachable"), stopped.with("bad")),
        (Some(4), vec!["store", "ready"], vec![]),
        "{:#}",
        stopped.report
    );
    assert!(stopped.check("store").1.contains("it is sound and holds 2 entries"), "{:#}", stopped.report);
    let gateway = stage.serve();
    let running = Said::of(&stage);
    assert_eq!((running.exit, running.with("ok").len()), (Some(0), 12), "{:#}", running.report);
    let store = running.check("store").1;
    assert!(store.contains("held by process ") && store.contains("its newest checkpoint has "), "{:#}", running.report);
    assert!(running.check("tcp").1.contains("this gateway answers"), "{:#}", running.report);
    // The gateway does not mind: it holds its store and serves.
    stage::ask(&stage.connect(&gateway.url, "ke").await).await.expect("served");
    gateway.kill().await;
    stage.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_in_a_file_is_named() {
    let stage = network();
    let (node, config) = (stage.config().node, stage.beside("gateway.toml"));
    let well = std::fs::read_to_string(&config).expect("the configuration");

    std::fs::write(&config, well.replace("handshakes =", "handshake =")).expect("written");
    Said::of(&stage).is_bad("config", &["limits.handshake is not a key; did you mean limits.handshakes?", "config --example"]);
    std::fs::write(&config, &well).expect("written");

    let key = node.join("log.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("changed");
    Said::of(&stage).is_bad("files", &["log.key (mode 644)", "chmod go="]);
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("changed");

    let log = std::fs::read(&key).expect("the key");
    std::fs::write(&key, std::fs::read(node.join("directory.key")).expect("the other key")).expect("written");
    let said = Said::of(&stage);
    assert!(said.check("keys").1.contains("log.key: it is not the key that the genesis names"), "{:#}", said.report);
    assert_eq!(said.exit, Some(1));
    std::fs::write(&key, log).expect("written");

    let genesis = stage.config().genesis;
    std::fs::rename(&genesis, stage.beside("elsewhere")).expect("moved");
    let said = Said::of(&stage);
    assert_eq!((said.exit, said.with("bad")), (Some(1), vec!["files", "genesis"]), "{:#}", said.report);
    std::fs::rename(stage.beside("elsewhere"), &genesis).expect("moved back");

    let list = stage.pki().join("crl").join("ke.crl");
    std::fs::rename(&list, stage.beside("ke.crl")).expect("moved");
    Said::of(&stage).is_bad("lists", &["DEV", "ke", "no sound list", "crls folder"]);
    std::fs::rename(stage.beside("ke.crl"), &list).expect("moved back");
    assert_eq!(Said::of(&stage).exit, Some(4), "all is well again, and nobody answers");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_failing_certificate_is_named_with_its_issuer_and_days() {
    let stage = network();
    let (node, ca) = (stage.config().node, stage.ca("node"));
    let write = |not_before: Timestamp, not_after: Timestamp| {
        let key = Pair::generate().expect("a key");
        let mut spec = Spec::node_tls(&stage.trust.network, &at("node/dev-1"), stage::now());
        (spec.not_before, spec.not_after) = (not_before, not_after);
        let leaf = ca.issue(&spec, &key).expect("a certificate");
        std::fs::write(node.join("tls.pem"), Stage::pem("CERTIFICATE", &[&leaf, &ca.der])).expect("written");
        std::fs::write(node.join("tls.key"), Stage::pem("PRIVATE KEY", &[key.pkcs8()])).expect("written");
    };
    let now = stage::now();
    write(now.minus(90 * DAY_MS), now.minus(3 * DAY_MS));
    Said::of(&stage)
        .is_bad("certificate", &["certificate 0 has expired", "node/dev-1, issued by DEV", "ended 3 days ago", "tls.pem, leaf first"]);
    write(now.minus(80 * DAY_MS), now.plus(10 * DAY_MS + 1_000_000));
    let said = Said::of(&stage);
    let (verdict, text) = said.check("certificate");
    assert!(verdict == "warn" && text.contains("10 days left"), "{:#}", said.report);
    assert_eq!(said.exit, Some(4), "a warning is for soon");
    let other = Pair::generate().expect("a key");
    std::fs::write(node.join("tls.key"), Stage::pem("PRIVATE KEY", &[other.pkcs8()])).expect("written");
    Said::of(&stage).is_bad("certificate", &["tls.key does not fit tls.pem"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_a_damaged_store_and_a_missing_one_are_named() {
    let stage = network();
    let taken = TcpListener::bind(free()).expect("a port");
    let listen = taken.local_addr().expect("its address");
    stage.configure(|config| config.listen = listen);
    // It takes connections and hangs up.
    std::thread::spawn(move || while taken.accept().is_ok() {});
    Said::of(&stage).is_bad("tcp", &[&format!("something else has {listen}"), "ss -ltnp"]);
    stage.configure(|config| config.listen = free());

    let udp = std::net::UdpSocket::bind(stage.config().listen).expect("the same over udp");
    Said::of(&stage).is_bad("udp", &["cannot be had", "ss -lunp"]);
    drop(udp);

    std::fs::rename(stage.data(), stage.beside("elsewhere")).expect("moved");
    let said = Said::of(&stage);
    assert!(said.check("store").1.contains("there is no store"), "{:#}", said.report);
    std::fs::rename(stage.beside("elsewhere"), stage.data()).expect("moved back");

    std::fs::remove_dir_all(stage.data().join("keys")).expect("removed");
    let said = Said::of(&stage);
    let (verdict, text) = said.check("store");
    assert!(verdict == "bad" && text.contains("it does not open") && text.contains("check"), "{:#}", said.report);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_halted_gateway_says_why_and_a_clock_behind_the_ledger_is_found_before_the_start() {
    let stage = network();
    let ahead = stage::now().plus(3_600_000);
    let hands = Hands::at(ahead);
    let config = stage.config();
    let started = gateway::start_with(&config, hands.clone(), exchange::Rules::default(), ledger::Engine::Redb);
    let running = started.await.expect("it starts with the clock that it is given");
    hands.set(ahead.plus(DAY_MS));
    soon("the halt", running.shared().halted().wait_for(Option::is_some)).await.expect("it lives");
    let said = tokio::task::block_in_place(|| Said::of(&stage));
    said.is_bad("ready", &["nothing is written for now: CLOCK_JUMP"]);
    running.stop().await;
    Said::of(&stage).is_bad("clock", &["CLOCK_BEHIND", "chronyd"]);
}
