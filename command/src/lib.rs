//! What all commands share: completions, manual pages, the line of `--version`, when to use colour, the nearest word, a doctor's report.
//!
//! It does not know what any command does; it reads clap's description of it. Names and texts stay with the commands.

pub mod report;

use std::io::{self, IsTerminal, Write as _};
use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};

/// What every command can do besides its own work. Flatten it into the command's own subcommands.
#[derive(Clone, Debug, Subcommand)]
pub enum Common {
    /// Print what a shell needs to complete this command
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the manual: one page a command, of the same text as the help
    Man {
        /// Folder for the pages; made when it is not there, pages in it are replaced
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

/// Shells that can complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Gives a command its version and the examples of [`Common`], which need the command's name.
#[must_use]
pub fn dress(command: clap::Command, version: &'static str) -> clap::Command {
    let name = command.get_name().to_owned();
    let completions = format!(
        "Examples:\n  {name} completions bash > /etc/bash_completion.d/{name}\n  {name} completions zsh > /usr/local/share/zsh/site-functions/_{name}\n  \
         {name} completions fish > ~/.config/fish/completions/{name}.fish"
    );
    let man = format!("Example:\n  {name} man --out /usr/local/share/man/man1");
    command
        .version(version)
        .mut_subcommand("completions", |sub| sub.after_help(completions))
        .mut_subcommand("man", |sub| sub.after_help(man))
}

impl Common {
    /// Does it for `command`, which is [`dress`]ed.
    ///
    /// # Errors
    /// When standard output or a page cannot be written.
    pub fn carry_out(&self, command: clap::Command) -> io::Result<()> {
        match self {
            Self::Completions { shell } => io::stdout().lock().write_all(&completions(*shell, command)),
            Self::Man { out } => man(command, out),
        }
    }
}

/// The script for a shell.
#[must_use]
pub fn completions(shell: Shell, mut command: clap::Command) -> Vec<u8> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    match shell {
        Shell::Bash => clap_complete::generate(clap_complete::Shell::Bash, &mut command, name, &mut script),
        Shell::Zsh => clap_complete::generate(clap_complete::Shell::Zsh, &mut command, name, &mut script),
        Shell::Fish => clap_complete::generate(clap_complete::Shell::Fish, &mut command, name, &mut script),
    }
    script
}

/// Writes `NAME.1`, and `NAME-SUB.1` for each subcommand that is shown.
fn man(command: clap::Command, out: &Path) -> io::Result<()> {
    std::fs::create_dir_all(out)?;
    clap_mangen::generate_to(command, out)
}

/// Everything of a command that its help leaves unsaid: an argument or a subcommand without a sentence, a command
/// without an example. Hidden ones do not count. For tests.
#[must_use]
pub fn unsaid(command: &clap::Command) -> Vec<String> {
    let mut command = command.clone();
    command.build();
    let mut found = Vec::new();
    collect(&command, &mut found);
    found
}

fn collect(command: &clap::Command, found: &mut Vec<String>) {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned();
    // What is hidden is typed by our own programs.
    if command.get_name() == "help" || command.is_hide_set() {
        return;
    }
    if command.get_about().is_none() {
        found.push(format!("{name}: what it does"));
    }
    if !command.get_after_help().is_some_and(|text| text.to_string().contains("Example")) {
        found.push(format!("{name}: an example"));
    }
    let silent = command.get_arguments().filter(|argument| argument.get_help().is_none());
    found.extend(silent.map(|argument| format!("{name}: {}", argument.get_id())));
    command.get_subcommands().for_each(|sub| collect(sub, found));
}

/// Whether to use colour on `stream`: on a terminal, unless `NO_COLOR` says no (no-color.org) or the terminal is dumb.
#[must_use]
pub fn colour(stream: &impl IsTerminal) -> bool {
    let said = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    wants_colour(stream.is_terminal(), said("NO_COLOR").as_deref(), said("TERM").as_deref())
}

fn wants_colour(terminal: bool, no_color: Option<&str>, term: Option<&str>) -> bool {
    terminal && no_color.is_none_or(str::is_empty) && term != Some("dumb")
}

/// The one of `known` that `word` was most likely meant to be; `None` when none is near.
#[must_use]
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let scored = known.iter().map(|candidate| (strsim::jaro_winkler(word, candidate), *candidate));
    let best = scored.max_by(|left, right| left.0.total_cmp(&right.0))?;
    (best.0 >= NEAR).then_some(best.1)
}

/// Below this likeness (Jaro-Winkler, 0 to 1) a suggestion misleads more often than it helps.
const NEAR: f64 = 0.8;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::Parser;

    use super::*;

    /// A command.
    #[derive(Parser)]
    #[command(name = "ecowire-try", after_help = "Example: none")]
    struct Try {
        #[command(subcommand)]
        sub: Sub,
    }

    #[derive(Subcommand)]
    enum Sub {
        /// Says it all.
        #[command(after_help = "Example:\n  ecowire-try good")]
        Good {
            /// A number
            #[arg(long)]
            number: Option<u8>,
        },
        Silent {
            #[arg(long)]
            number: Option<u8>,
        },
        #[command(hide = true)]
        Hidden,
        #[command(flatten)]
        Common(Common),
    }

    fn dressed() -> clap::Command {
        use clap::CommandFactory as _;
        dress(Try::command(), "1.2.3 (2fc9653)")
    }

    #[test]
    fn what_is_not_said_is_found() {
        let silent = ["ecowire-try silent: what it does", "ecowire-try silent: an example", "ecowire-try silent: number"];
        assert_eq!(unsaid(&dressed()), silent);
    }

    #[test]
    fn every_shell_gets_a_script_that_names_the_commands() {
        for (shell, word) in
            [(Shell::Bash, "complete -F _ecowire__try"), (Shell::Zsh, "#compdef ecowire-try"), (Shell::Fish, "complete -c ecowire-try")]
        {
            let script = String::from_utf8(completions(shell, dressed())).unwrap();
            assert!(script.contains(word) && script.contains("completions") && script.contains("number"), "{shell:?}: {script}");
        }
    }

    #[test]
    fn the_manual_has_a_page_for_each_command_that_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("man/man1");
        Common::Man { out: out.clone() }.carry_out(dressed()).unwrap();
        let mut names: Vec<_> = std::fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(
            names,
            ["ecowire-try-completions.1", "ecowire-try-good.1", "ecowire-try-man.1", "ecowire-try-silent.1", "ecowire-try.1"]
        );
        let page = std::fs::read_to_string(out.join("ecowire-try.1")).unwrap();
        assert!(page.contains("1.2.3 (2fc9653)"), "{page}");
    }

    #[test]
    fn colour_is_for_terminals_whose_owner_wants_it() {
        for (terminal, no_color, term, expected) in [
            (true, None, Some("xterm"), true),
            (true, None, None, true),
            (true, Some(""), None, true),
            (true, Some("1"), Some("xterm"), false),
            (true, None, Some("dumb"), false),
            (false, None, Some("xterm"), false),
        ] {
            assert_eq!(wants_colour(terminal, no_color, term), expected, "{terminal} {no_color:?} {term:?}");
        }
    }

    #[test]
    fn the_nearest_word_is_near() {
        let known = ["version", "address", "gateway", "data_sync"];
        for (word, expected) in [
            ("gatway", Some("gateway")),
            ("adress", Some("address")),
            ("Gateway", Some("gateway")),
            ("datasync", Some("data_sync")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, &known), expected, "{word}");
        }
    }
}
