//! `ecowire doctor` over real sockets: one thing is broken at a time, and the doctor names that one.

mod stage;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use certs_dev::forge::Pair;
use stage::{Gateway, Stage, now, tls};
use tokio::net::TcpListener;

const ECOWIRE: &str = env!("CARGO_BIN_EXE_ecowire-all");

/// A gateway and a member's profile. Nothing of the member is open.
struct Practice {
    stage: Stage,
    gateway: Gateway,
    profile: PathBuf,
}

impl Practice {
    async fn open() -> Self {
        let stage = Stage::new();
        let gateway = stage.serve();
        drop(stage.member(&gateway.url, "ke").await);
        let profile = stage.beside("profile-ke");
        Self { stage, gateway, profile }
    }

    fn doctor(&self, more: &[&str]) -> Output {
        Command::new(ECOWIRE).args(["ecowire", "doctor", "--profile"]).arg(&self.profile).args(more).output().expect("it runs")
    }

    /// Asks the doctor: the exit code, and a line that begins with `start` and says each of `words`.
    #[track_caller]
    fn check(&self, code: i32, start: &str, words: &[&str]) {
        let output = self.doctor(&["--wait", "10"]);
        let said = String::from_utf8(output.stdout).expect("text");
        assert_eq!(output.status.code(), Some(code), "{said}");
        let line = said.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}: {said}"));
        let after = &said[said.find(line).expect("it is there")..];
        let two: String = after.lines().take(2).collect();
        for word in words {
            assert!(two.contains(word), "{word}: {said}");
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.profile.join(name)
    }

    /// Writes a file, tries, and puts the old one back.
    #[track_caller]
    fn with(&self, files: &[(&str, &[u8])], code: i32, start: &str, words: &[&str]) {
        let old: Vec<_> = files.iter().map(|(name, _)| fs::read(self.file(name)).expect("a file")).collect();
        files.iter().for_each(|(name, text)| fs::write(self.file(name), text).expect("written"));
        self.check(code, start, words);
        files.iter().zip(old).for_each(|((name, _), text)| fs::write(self.file(name), text).expect("written"));
    }

    fn profile_toml(&self, gateway: &str) -> String {
        fs::read_to_string(self.file("profile.toml")).expect("a file").replace(&self.gateway.url, gateway)
    }

    /// A TLS leaf of `address` under Kenya's CA, as files.
    fn tls(&self, address: &str, change: impl FnOnce(&mut certs_dev::forge::Spec)) -> (String, String) {
        let kenya = self.stage.ca("ke");
        let (leaf, key) = self.stage.leaf(&kenya, address, change);
        (Stage::pem("CERTIFICATE", &[&leaf, &kenya.der]), Stage::pem("PRIVATE KEY", &[key.pkcs8()]))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_is_well_and_nothing_is_changed_by_looking() {
    let practice = Practice::open().await;
    let output = practice.doctor(&[]);
    let said = String::from_utf8(output.stdout).expect("text");
    assert_eq!(output.status.code(), Some(0), "{said}");
    let names: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("ok    ")?.split(' ').next()).collect();
    let all = [
        "profile",
        "files",
        "trust",
        "tls",
        "identity",
        "disk",
        "evidence",
        "store",
        "gateway",
        "clock",
        "directory",
        "participant",
        "key",
        "outbox",
        "inbox",
    ];
    assert_eq!(names, all, "{said}");
    assert!(!said.contains('\u{1b}'), "colour is for terminals: {said}");
    let json = String::from_utf8(practice.doctor(&["--json"]).stdout).expect("text");
    let checks: Vec<serde_json::Value> = json.lines().map(|line| serde_json::from_str(line).expect("json")).collect();
    assert!(checks.iter().all(|check| check["verdict"] == "ok") && checks.len() == all.len(), "{json}");
    practice.gateway.kill().await;
    practice.stage.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_cannot_be_reached_is_4_and_another_server_is_1() {
    let practice = Practice::open().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let nobody = format!("https://{}", free.local_addr().expect("an address"));
    drop(free);
    let toml = practice.profile_toml(&nobody);
    practice.with(&[("profile.toml", toml.as_bytes())], 4, "DOWN  gateway", &["Connection refused", "firewalls"]);

    let deaf = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let toml = practice.profile_toml(&format!("https://{}", deaf.local_addr().expect("an address")));
    tokio::spawn(async move { while deaf.accept().await.is_ok() {} });
    practice.with(&[("profile.toml", toml.as_bytes())], 4, "DOWN  gateway", &["the port is open, but no gateway answers"]);

    let other = tls::silent_server(tls::read(&practice.stage.folder_of("th"), "tls")).await;
    let toml = practice.profile_toml(&other);
    practice.with(&[("profile.toml", toml.as_bytes())], 1, "BAD   gateway", &["certificate is not the node's", "do not go on"]);
}

/// A port that is open for TCP alone is no way for a profile of QUIC alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_profile_of_quic_alone_is_asked_over_quic() {
    let practice = Practice::open().await;
    let by_quic = |gateway: &str| format!("{}transport = \"quic\"\n", practice.profile_toml(gateway));
    practice.with(&[("profile.toml", by_quic(&practice.gateway.url).as_bytes())], 0, "ok    gateway", &["it takes this certificate"]);
    let tcp_alone = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let nobody = by_quic(&format!("https://{}", tcp_alone.local_addr().expect("an address")));
    practice.with(&[("profile.toml", nobody.as_bytes())], 4, "DOWN  gateway", &["UDP port", "firewalls"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_failing_certificate_is_named() {
    let practice = Practice::open().await;
    let day = 86_400_000;
    let (chain, key) = practice.tls("ke", |spec| (spec.not_before, spec.not_after) = (ago(10 * day), ago(3 * day)));
    let files = [("tls.pem", chain.as_bytes()), ("tls.key", key.as_bytes())];
    practice.with(&files, 1, "BAD   tls", &["tls.pem: ke (by DEV ke CA) ended 3 days ago", "ask DEV ke CA"]);
    practice.with(&files, 1, "BAD   gateway", &["refuses this certificate", "see tls"]);

    let (chain, key) = practice.tls("ke", |spec| spec.not_before = now().plus(2 * day));
    let files = [("tls.pem", chain.as_bytes()), ("tls.key", key.as_bytes())];
    practice.with(&files, 1, "BAD   tls", &["ke (by DEV ke CA) begins in 2 days", "clock"]);

    let (chain, key) = practice.tls("ke", |spec| spec.not_after = now().plus(5 * day));
    let files = [("tls.pem", chain.as_bytes()), ("tls.key", key.as_bytes())];
    practice.with(&files, 0, "warn  tls", &["ke's by DEV ke CA, 4 days left", "next one now"]);

    let stranger = Stage::of(&["ke"]);
    let [chain, key] = ["tls.pem", "tls.key"].map(|name| fs::read(stranger.folder_of("ke").join(name)).expect("a file"));
    practice.with(&[("tls.pem", &chain), ("tls.key", &key)], 1, "BAD   tls", &["ke (by DEV ke CA)", "must be a CA of this network"]);

    let key = Stage::pem("PRIVATE KEY", &[Pair::generate().expect("a key").pkcs8()]);
    practice.with(&[("tls.key", key.as_bytes())], 1, "BAD   tls", &["tls.key is not the key of tls.pem"]);

    // Enrolled by nobody, certified all the same.
    let (chain, key) = practice.tls("ke/cus/other", |_| {});
    let toml = fs::read_to_string(practice.file("profile.toml")).expect("a file").replace("\"ke\"", "\"ke/cus/other\"");
    let files = [("tls.pem", chain.as_bytes()), ("tls.key", key.as_bytes()), ("profile.toml", toml.as_bytes())];
    practice.with(&files, 1, "BAD   gateway", &["refuses this certificate", "unknown participant, suspended or revoked"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_the_folder_is_named() {
    let practice = Practice::open().await;
    let toml = format!("{}gatway = 1\n", fs::read_to_string(practice.file("profile.toml")).expect("a file"));
    practice.with(&[("profile.toml", toml.as_bytes())], 1, "BAD   profile", &["the key gatway does not exist; gateway does"]);
    practice.with(&[("trust.toml", b"junk")], 1, "BAD   trust", &["trust.toml"]);

    let rights = |name: &str, mode| fs::set_permissions(practice.file(name), fs::Permissions::from_mode(mode)).expect("changed");
    rights("identity.key", 0o640);
    practice.check(1, "BAD   files", &["others may open identity.key", "renewed"]);
    rights("identity.key", 0o600);

    let held = client::Profile::open(&practice.profile).expect("a profile");
    practice.check(0, "warn  store", &["another command has the profile open"]);
    drop(held);

    // A process that may write no byte into files meets what a full disk is to it.
    let script = format!("trap '' XFSZ; ulimit -f 0; exec {ECOWIRE} ecowire doctor --profile {}", practice.profile.display());
    let output = Command::new("bash").args(["-c", &script]).output().expect("bash runs");
    let said = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.code() == Some(1) && said.contains("BAD   disk         nothing can be written"), "{said}");

    let evidence = practice.file("evidence/7");
    fs::create_dir(&evidence).expect("made");
    practice.check(1, "BAD   evidence", &["1 proofs of a forked log"]);
    fs::remove_dir(&evidence).expect("gone");

    fs::remove_dir_all(practice.file("keys")).expect("gone");
    practice.check(1, "BAD   files", &["missing: keys"]);
    practice.check(1, "BAD   key", &["put the key file back"]);
    let nowhere = Command::new(ECOWIRE).args(["ecowire", "doctor", "--profile", "/nowhere"]).output().expect("it runs");
    assert_eq!((nowhere.status.code(), nowhere.stdout.starts_with(b"BAD   profile")), (Some(1), true));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_and_what_came_are_told() {
    let practice = Practice::open().await;
    drop(practice.stage.member(&practice.gateway.url, "th").await);
    let text = practice.stage.beside("text");
    fs::write(&text, b"x").expect("written");
    let send = |from: &Path, to: &str| {
        let arguments = ["--to", to, "--priority", "urgent", "--wait", "1", "--file"];
        Command::new(ECOWIRE).args(["ecowire", "send", "--profile"]).arg(from).args(arguments).arg(&text).output().expect("it runs")
    };
    let sent = send(&practice.stage.beside("profile-th"), "ke");
    assert!(sent.status.success(), "{sent:?}");
    let inbox = Command::new(ECOWIRE).args(["ecowire", "inbox", "--profile"]).arg(&practice.profile).output().expect("it runs");
    assert!(inbox.status.success(), "{inbox:?}");
    practice.check(0, "warn  inbox", &["1 delivered but not acknowledged, the oldest is TH/", "ecowire ack"]);

    let nobody = practice.profile_toml("https://127.0.0.1:1");
    fs::write(practice.file("profile.toml"), nobody).expect("written");
    let kept = send(&practice.profile, "th");
    assert_eq!(kept.status.code(), Some(4), "{kept:?}");
    practice.check(4, "warn  outbox", &["1 wait: KE/", "the gateway was not reached", "nothing is lost"]);
}

fn ago(ms: u64) -> envelope::Timestamp {
    envelope::Timestamp(now().ms() - ms)
}
