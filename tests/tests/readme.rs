//! The README's session, run as it stands and compared with what it shows.
//!
//! `UPDATE_README=1 cargo test -p tests --test readme` writes the real output into the README.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const PORT_IN_README: &str = "7247";

/// Runs a session line by line in a folder of its own; processes in the background end with it.
struct Session {
    folder: tempfile::TempDir,
    port: String,
    background: Vec<Child>,
}

impl Session {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("its address").port().to_string();
        let bin = folder.path().join(".bin");
        fs::create_dir(&bin).expect("a folder for commands");
        for name in ["ecowire", "ecowire-gateway", "ecowire-certs"] {
            let path = bin.join(name);
            fs::write(&path, format!("#!/bin/sh\nexec {} {name} \"$@\"\n", env!("CARGO_BIN_EXE_ecowire-all"))).expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
        }
        Self { folder, port, background: Vec::new() }
    }

    /// What a command prints on both streams; of one in the background, its first line.
    fn run(&mut self, line: &str) -> String {
        let line = line.replace(PORT_IN_README, &self.port);
        let (text, background) = line.strip_suffix('&').map_or((line.as_str(), false), |text| (text, true));
        let path = format!("{}:{}", self.folder.path().join(".bin").display(), std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new("sh");
        command.current_dir(self.folder.path()).env("PATH", path).env("ECOWIRE_METRICS", "127.0.0.1:0").stdin(Stdio::null());
        let output = if background {
            let mut child = command.arg("-c").arg(format!("exec {text}")).stdout(Stdio::piped()).spawn().expect("sh runs");
            let mut first = String::new();
            BufReader::new(child.stdout.take().expect("piped")).read_line(&mut first).expect("its first line");
            self.background.push(child);
            first
        } else {
            let output = command.arg("-c").arg(format!("({text}) 2>&1")).output().expect("sh runs");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        output.replace(&self.port, PORT_IN_README).replace(&format!("{}/", self.folder.path().display()), "")
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for child in &mut self.background {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// The one rule: years of references, hex of eight digits or more, times and sizes become what they are.
fn filter(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        let words: Vec<String> = line.split(' ').map(filter_word).collect();
        let mut line = words.join(" ");
        for unit in ["ms", "s", "bytes", "KiB"] {
            let kind = if unit.ends_with('s') && unit.len() <= 2 { "<time>" } else { "<size>" };
            line = replace_number_before(&line, unit, kind);
        }
        lines.push(line.trim_end().to_owned());
    }
    lines.join("\n")
}

fn filter_word(word: &str) -> String {
    let core = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let hex = core.len() >= 8 && core.bytes().all(|byte| byte.is_ascii_hexdigit());
    let time = core.len() >= 20 && core.as_bytes()[4] == b'-' && core.contains('T') && core.ends_with('Z');
    let filtered = if hex {
        word.replace(core, "<hex>")
    } else if time {
        word.replace(core, "<time>")
    } else {
        word.to_owned()
    };
    // References carry the year: KE.CUS.KEMBA/2026/000001, also as a file name.
    let year = |text: String, open: char, close: char| {
        let Some(at) = text.find(open) else { return text };
        let digits = text.get(at + 1..at + 5).is_some_and(|year| year.starts_with("20") && year.bytes().all(|byte| byte.is_ascii_digit()));
        if digits && text[at + 5..].starts_with(close) { format!("{}{open}<year>{}", &text[..at], &text[at + 5..]) } else { text }
    };
    year(year(filtered, '/', '/'), '_', '_')
}

fn replace_number_before(line: &str, unit: &str, name: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let is_unit = |word: Option<&&str>| word.is_some_and(|word| word.trim_matches(|c: char| !c.is_ascii_alphanumeric()) == unit);
    let number = |word: &str| {
        word.bytes().any(|byte| byte.is_ascii_digit()) && word.bytes().all(|byte| byte.is_ascii_digit() || b".,(".contains(&byte))
    };
    let each = words
        .iter()
        .enumerate()
        .map(|(at, word)| if is_unit(words.get(at + 1)) && number(word) { name.to_owned() } else { (*word).to_owned() });
    each.collect::<Vec<_>>().join(" ")
}

fn readme() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")
}

#[test]
fn the_session_in_the_readme_is_what_happens() {
    let text = fs::read_to_string(readme()).expect("the README");
    let (before, rest) = text.split_once("```console\n").expect("a session");
    let (shown, after) = rest.split_once("```").expect("its end");
    let year =
        envelope::Timestamp(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_millis() as u64).year();
    let mut session = Session::new();
    let mut real = String::new();
    for line in shown.lines().filter_map(|line| line.strip_prefix("$ ")) {
        let output = session.run(&line.replace("/2026/", &format!("/{year}/")).replace("_2026_", &format!("_{year}_")));
        real.push_str(&format!("$ {line}\n{output}"));
        if !output.is_empty() && !output.ends_with('\n') {
            real.push('\n');
        }
    }
    if std::env::var_os("UPDATE_README").is_some() {
        return fs::write(readme(), format!("{before}```console\n{real}```{after}")).expect("written");
    }
    assert_eq!(filter(&real), filter(shown), "what happens (left) is not what the README shows; real output:\n{real}");
}

#[test]
fn the_filter_hides_only_what_differs_from_run_to_run() {
    assert_eq!(filter("root 83cb2a71: 12 ms, 351 bytes, entry 17"), "root <hex>: <time> ms, <size> bytes, entry 17");
    assert_eq!(filter("KE.CUS.KEMBA/2026/000001 at 2026-11-22T19:16:00.000Z"), "KE.CUS.KEMBA/<year>/000001 at <time>");
    assert_ne!(filter("entry 17"), filter("entry 18"));
    assert_ne!(filter("NO_GRANT"), filter("NOT_SENDER"));
}
