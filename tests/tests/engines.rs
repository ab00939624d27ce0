//! An engine is chosen when a store is made, and stays: the commands say so.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bench::fleet::Fleet;
use bench::load::drive;
use bench::process::Process;
use gateway::config::EngineName;

const PROGRAM: &str = env!("CARGO_BIN_EXE_ecowire-all");

/// The stagehand: a network, and its gateway's configuration.
struct Stage {
    folder: tempfile::TempDir,
    fleet: Fleet,
}

impl Stage {
    fn new(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let fleet = Fleet::mint_members(folder.path(), 1, 1).expect("members");
        let stage = Self { folder, fleet };
        let made = stage.gateway("init", &stage.init_options(options));
        assert!(made.status.success(), "{made:?}");
        stage
    }

    fn init_options(&self, options: &[&str]) -> Vec<String> {
        let [genesis, node, data] = [self.fleet.genesis(), self.fleet.node(), self.path("data")].map(|path| path.display().to_string());
        let own = ["--genesis", &genesis, "--node", &node, "--data", &data, "--listen", "127.0.0.1:0", "--metrics", ""];
        own.iter().chain(options).map(ToString::to_string).collect()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn gateway(&self, command: &str, options: &[String]) -> Output {
        let mut process = Command::new(PROGRAM);
        process.args(["ecowire-gateway", command, "--config"]).arg(self.path("gateway.toml")).args(options);
        process.output().expect("the command runs")
    }

    /// Changes the configuration.
    fn configure(&self, change: impl FnOnce(String) -> String) {
        let path = self.path("gateway.toml");
        std::fs::write(&path, change(std::fs::read_to_string(&path).expect("a configuration"))).expect("written");
    }

    /// The gateway serves: a message is taken.
    async fn sends(&self, numbers: std::ops::RangeInclusive<u64>) {
        let config = self.path("gateway.toml").display().to_string();
        let log = self.path("gateway.log");
        let process = Process::start(Path::new(PROGRAM), &["ecowire-gateway", "serve", "--config", &config], &log).expect("it serves");
        let head = self.fleet.publish_key(&process.url).await.expect("a key");
        let sender = &self.fleet.senders[0];
        let submissions = self.fleet.seal(&head, sender, numbers.clone(), 100_000).expect("sealed");
        let link = self.fleet.connect(&process.url, sender).await.expect("connected");
        let answers = drive(link, submissions, 4).await;
        assert!(answers.iter().all(|answer| answer.problem.is_none()), "{answers:?}");
        assert_eq!(answers.len() as u64, numbers.end() - numbers.start() + 1);
        process.kill().expect("killed");
    }

    /// Both commands that open the store refuse it with this text, and nothing has changed.
    fn refuses(&self, found: &str, configured: &str) {
        let data = self.path("data");
        let text = format!(
            "error: the store in {} is one of {found}, the configuration says engine = \"{configured}\": write engine = \"{found}\" under \
             [store] to open it; an engine is chosen when a store is made and cannot be changed\n",
            data.display()
        );
        for command in ["check", "serve"] {
            let refused = self.gateway(command, &[]);
            let said = String::from_utf8_lossy(&refused.stderr);
            assert!(said.ends_with(&text) && refused.status.code() == Some(1), "{said}");
        }
    }

    fn verifies(&self) {
        let checked = self.gateway("check", &[]);
        assert!(checked.status.success(), "{checked:?}");
        assert!(String::from_utf8_lossy(&checked.stdout).ends_with("everything verifies\n"), "{checked:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_on_sled_serves_and_is_refused_as_redb() {
    let stage = Stage::new(&["--engine", "sled"]);
    stage.sends(1..=20).await;
    stage.verifies();
    stage.configure(|text| text.replace("\nengine = \"sled\"\n", "\nengine = \"redb\"\n"));
    stage.refuses("sled", "redb");
    // A file from before there was a choice means redb.
    stage.configure(|text| text.replace("[store]\n", "").replace("\nengine = \"redb\"\n", "\n"));
    stage.refuses("sled", "redb");
    std::fs::remove_file(stage.path("gateway.toml")).expect("removed");
    let again = stage.gateway("init", &stage.init_options(&[]));
    assert!(String::from_utf8_lossy(&again.stderr).contains("exists already"), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn redb_is_the_default_with_and_without_the_section() {
    let stage = Stage::new(&[]);
    let config = gateway::Config::read(&stage.path("gateway.toml")).expect("a configuration");
    assert_eq!(config.store.engine, EngineName::Redb);
    stage.sends(1..=3).await;
    stage.configure(|text| text.replace("\nengine = \"redb\"\n", "\nengine = \"sled\"\n"));
    stage.refuses("redb", "sled");
    stage.configure(|text| text.replace("[store]\n", "").replace("\nengine = \"sled\"\n", "\n"));
    stage.verifies();
}
