//! An identity key in a token: SoftHSM's, through PKCS#11, in a folder of its own. The commands run as processes, since the
//! module finds its tokens by an environment variable. Feature `softhsm`; `apt-get install softhsm2` brings what it needs.

mod theatre;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use client::ReceiveOptions;
use theatre::{CAST, Theatre, audit};

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const PIN: &str = "123456";

/// A token labelled `desk` in a folder of its own.
struct Token {
    folder: tempfile::TempDir,
}

impl Token {
    fn new() -> Self {
        assert!(Path::new(MODULE).exists(), "{MODULE} is not there: apt-get install softhsm2");
        let token = Self { folder: tempfile::tempdir().expect("a folder") };
        fs::create_dir(token.at("tokens")).expect("a folder");
        let text = format!("directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n", token.at("tokens").display());
        fs::write(token.at("softhsm2.conf"), text).expect("written");
        token.softhsm(&["--init-token", "--free", "--label", "desk", "--so-pin", "1234567", "--pin", PIN]);
        token.secret("pin", PIN, 0o600);
        token.secret("wrong", "654321", 0o600);
        token.secret("open", PIN, 0o644);
        token
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn secret(&self, name: &str, text: &str, mode: u32) {
        fs::write(self.at(name), text).expect("written");
        fs::set_permissions(self.at(name), fs::Permissions::from_mode(mode)).expect("rights");
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("SOFTHSM2_CONF", self.at("softhsm2.conf"));
        command
    }

    fn softhsm(&self, arguments: &[&str]) {
        let output = self.command("softhsm2-util").args(arguments).output().expect("softhsm2-util runs: apt-get install softhsm2");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Puts a private key into the token under this label.
    fn import(&self, key: &Path, label: &str, id: &str) {
        let key = key.display().to_string();
        self.softhsm(&["--import", &key, "--token", "desk", "--label", label, "--id", id, "--pin", PIN]);
    }

    fn uri(&self, object: &str, pin: &str) -> String {
        format!("pkcs11:token=desk;object={object}?module-path={MODULE}&pin-source=file:{}", self.at(pin).display())
    }

    fn ecowire(&self, arguments: &[&str]) -> Output {
        self.command(env!("CARGO_BIN_EXE_ecowire-all")).arg("ecowire").args(arguments).output().expect("it runs")
    }

    /// Runs a command that succeeds; its output.
    fn done(&self, arguments: &[&str]) -> String {
        let output = self.ecowire(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn refused(&self, arguments: &[&str], code: i32, name: &str) {
        let output = self.ecowire(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), said.starts_with(name)), (Some(code), true), "{arguments:?}: {said}");
    }
}

/// `init` of `member` with this URI.
fn init(theatre: &Theatre, member: &str, uri: &str) -> Vec<String> {
    let text = |path: PathBuf| path.display().to_string();
    let (profile, identity, trust) = (theatre.profile_dir(member), theatre.identity(member), theatre.pki().join("trust.toml"));
    let words = [
        "init",
        "--profile",
        &text(profile),
        "--gateway",
        &theatre.url(),
        "--trust",
        &text(trust),
        "--identity",
        &text(identity),
        "--signing",
        uri,
    ];
    words.map(str::to_owned).to_vec()
}

fn words(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_a_token_sends_delivers_and_acknowledges() {
    let (theatre, token) = (Theatre::with_p256(&CAST, &["ke"]), Token::new());
    let running = theatre.start().await;
    // P-256 of a bureau, Ed25519 of another; their files are gone before anything is signed.
    for (member, id) in [("ke", "01"), ("th", "02")] {
        let key = theatre.identity(member).join("identity.key");
        token.import(&key, member, id);
        fs::remove_file(&key).expect("removed");
        token.done(&words(&init(&theatre, member, &token.uri(member, "pin"))));
        assert!(!theatre.profile_dir(member).join("identity.key").exists());
    }
    let profile = |member: &str| theatre.profile_dir(member).display().to_string();
    let (kenya, thailand) = (profile("ke"), profile("th"));
    let file = token.at("letter.txt");
    fs::write(&file, "signed in a token").expect("written");
    let file = file.display().to_string();
    for (from, to, inbox) in [(&kenya, "th", &thailand), (&thailand, "ke", &kenya)] {
        // More than one, for half of all P-256 signatures of a token have a high s.
        for _ in 0..4 {
            let sent = token.done(&["send", "--profile", from, "--to", to, "--file", &file]);
            let reference = sent.split_whitespace().next().expect("a reference").to_owned();
            token.done(&["inbox", "--profile", inbox]);
            assert_eq!(token.done(&["open", "--profile", inbox, &reference]).trim_end(), "signed in a token");
            token.done(&["ack", "--profile", inbox, &reference]);
            assert!(token.done(&["status", "--profile", from, &reference]).contains("acknowledged"));
        }
    }
    let verdict = audit(&mut theatre.client("aud/network").await).await;
    assert_eq!((verdict.judged, verdict.withheld), (verdict.size, 0));
    drop(theatre.client("ipsg/ens").await.receive(ReceiveOptions::default()).await.expect("mail"));
    running.stop().await;
    theatre.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_token_is_told_by_name() {
    let (theatre, token) = (Theatre::with_p256(&CAST, &["ke", "ke/cus/kemba"]), Token::new());
    let running = theatre.start().await;
    let key = |member: &str| theatre.identity(member).join("identity.key");
    token.import(&key("ke"), "ke", "01");
    token.import(&key("ke/cus/kemba"), "kemba", "02");
    token.import(&key("th"), "th", "03");
    let refused = |uri: &str, code: i32, name: &str| {
        token.refused(&words(&init(&theatre, "ke", uri)), code, &format!("{name}: "));
        assert!(!theatre.profile_dir("ke").exists(), "{name}");
    };
    let good = token.uri("ke", "pin");
    refused(&good.replace("object=ke", "object=nobody"), 1, "TOKEN_KEY_ABSENT");
    refused(&good.replace("object=ke", "id=%09"), 1, "TOKEN_KEY_ABSENT");
    refused(&good.replace("object=ke", "object=kemba"), 1, "TOKEN_KEY_OTHER");
    refused(&good.replace("object=ke", "object=th"), 1, "TOKEN_KEY_OTHER");
    refused(&good.replace("object=ke", "object=ke;id=%02"), 1, "TOKEN_KEY_ABSENT");
    refused(&good.replace("token=desk", "token=drawer"), 1, "TOKEN_ABSENT");
    refused(&good.replace(MODULE, "/usr/lib/nowhere.so"), 1, "TOKEN_MODULE");
    refused(&good.replace(MODULE, "/bin/true"), 1, "TOKEN_MODULE");
    refused(&token.uri("ke", "wrong"), 6, "PIN_WRONG");
    refused(&token.uri("ke", "open"), 6, "PIN_SOURCE");
    refused(&good.replace("pkcs11:", "pkcs12:"), 1, "TOKEN_URI");
    let (without, _) = good.split_once("&pin-source").expect("a pin source");
    let output = token.command("setsid").arg(env!("CARGO_BIN_EXE_ecowire-all")).arg("ecowire").args(init(&theatre, "ke", without)).output();
    let output = output.expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), said.starts_with("PIN_NEEDED: the token desk")), (Some(6), true), "{said}");
    // By id alone, and by what is printed on it.
    token.done(&words(&init(&theatre, "ke", &good.replace("object=ke", "id=%01"))));
    // The token is gone: nothing is signed, and what was to be said is told.
    let inbox = ["inbox", "--profile", &theatre.profile_dir("ke").display().to_string()];
    fs::rename(token.at("tokens"), token.at("elsewhere")).expect("moved");
    fs::create_dir(token.at("tokens")).expect("a folder");
    token.refused(&inbox, 1, "TOKEN_ABSENT: ");
    running.stop().await;
}
