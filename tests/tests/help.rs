//! Every command, option and argument says what it is, with an example; manual, completions and version come of the same text.

use std::process::Command;

#[test]
fn nothing_that_can_be_typed_is_left_unsaid() {
    for command in [client::cli::command("1"), gateway::cli::command("1"), certs_dev::cli::command("1")] {
        let unsaid = command::unsaid(&command);
        assert!(unsaid.is_empty(), "{unsaid:#?}");
    }
}

#[test]
fn every_option_stands_in_the_manual_and_in_the_completions() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["ecowire", "ecowire-gateway", "ecowire-certs"] {
        let run = |arguments: &[&str]| {
            let output = Command::new(env!("CARGO_BIN_EXE_ecowire-all")).arg(name).args(arguments).output().expect("it runs");
            assert!(output.status.success(), "{name} {arguments:?}: {output:?}");
            String::from_utf8(output.stdout).expect("text")
        };
        run(&["man", "--out", folder.path().to_str().expect("a path")]);
        let command = match name {
            "ecowire" => client::cli::command("1"),
            "ecowire-gateway" => gateway::cli::command("1"),
            _ => certs_dev::cli::command("1"),
        };
        let fish = run(&["completions", "fish"]);
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
            let page = std::fs::read_to_string(folder.path().join(format!("{name}-{}.1", sub.get_name()))).expect("a page");
            for long in sub.get_arguments().filter_map(clap::Arg::get_long) {
                assert!(page.contains(&long.replace('-', "\\-")), "{name} {} --{long}: {page}", sub.get_name());
                assert!(fish.contains(&format!("-l {long}")), "{name} {} --{long}", sub.get_name());
            }
        }
        let version = run(&["--version"]);
        let commit =
            version.trim().strip_prefix(&format!("{name} {} (", env!("CARGO_PKG_VERSION"))).and_then(|rest| rest.strip_suffix(')'));
        let named = |text: &str| text.len() == 7 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        assert!(commit.is_some_and(|text| named(text) || text == "unknown commit"), "{version}");
    }
}
