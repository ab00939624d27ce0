//! `commit::version!()`: the version of a command with the commit that it was built from, `0.1.0 (2fc9653)`.
//!
//! A macro and no build script, so that a commit rebuilds nothing but the file that says the words: the five lines of a
//! `main.rs`. It does not need git: it reads the files that git keeps. Where they are not (an archive, a container), the
//! environment may name the commit at build time, in `ECOWIRE_COMMIT`; else it says so.

use std::fs;
use std::path::{Path, PathBuf};

use proc_macro::TokenStream;

/// Expands to a text such as `"0.1.0 (2fc9653)"` or `"0.1.0 (unknown commit)"`, and makes the file in which it stands
/// depend on what was read.
#[proc_macro]
pub fn version(_: TokenStream) -> TokenStream {
    let version = std::env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let named = std::env::var(VARIABLE).ok().filter(|text| is_name(text));
    let root = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
    let read = root.ancestors().find(|folder| folder.join(".git").exists()).map(|folder| read(&folder.join(".git"))).unwrap_or_default();
    let commit = named.or(read.commit).map_or_else(|| "unknown commit".to_owned(), |name| name.chars().take(SHORT).collect());
    let watched = read.files.iter().filter_map(|file| file.to_str()).map(|file| format!("const _: &[u8] = include_bytes!({file:?});"));
    let watched: String = watched.collect();
    let text = format!("{{ const _: Option<&str> = option_env!({VARIABLE:?}); {watched} {:?} }}", format!("{version} ({commit})"));
    text.parse().unwrap_or_default()
}

/// What git's files say.
#[derive(Debug, Default, PartialEq, Eq)]
struct Read {
    commit: Option<String>,
    /// Files that another commit would change.
    files: Vec<PathBuf>,
}

/// Reads `.git`, the folder or, in a worktree, the file that names the folder.
fn read(git: &Path) -> Read {
    let text = |path: &Path| fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    let folder = match text(git).as_deref().and_then(|line| line.strip_prefix("gitdir: ").map(PathBuf::from)) {
        Some(folder) => git.parent().unwrap_or(git).join(folder),
        None => git.to_owned(),
    };
    let head = folder.join("HEAD");
    let Some(line) = text(&head) else { return Read::default() };
    let mut files = vec![head];
    let Some(name) = line.strip_prefix("ref: ") else {
        return Read { commit: Some(line).filter(|line| is_name(line)), files };
    };
    // A worktree's branches lie with those of the others.
    let common = text(&folder.join("commondir")).map_or_else(|| folder.clone(), |common| folder.join(common));
    let loose = common.join(name);
    let packed = common.join("packed-refs");
    let commit = match text(&loose) {
        Some(commit) => {
            files.push(loose);
            Some(commit)
        }
        None => text(&packed).and_then(|refs| {
            let line = refs.lines().find_map(|line| line.strip_suffix(name)?.strip_suffix(' ').map(str::to_owned));
            files.push(packed);
            line
        }),
    };
    Read { commit: commit.filter(|commit| is_name(commit)), files }
}

/// A commit's name, in full or shortened.
fn is_name(text: &str) -> bool {
    (SHORT..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Names the commit where git's files are not.
const VARIABLE: &str = "ECOWIRE_COMMIT";
/// Digits that are shown.
const SHORT: usize = 7;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NAME: &str = "2fc96531142ba8f64de8ee549660390f52b9df9c";

    /// What is read in a folder of these files, and how many files are watched.
    fn check(files: &[(&str, &str)], git: &str, expected: (Option<&str>, usize)) {
        let folder = std::env::temp_dir().join(format!("ecowire-commit-{}-{}", std::process::id(), files.len()));
        for (name, text) in files {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let read = read(&folder.join(git));
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!((read.commit.as_deref(), read.files.len()), expected, "{files:?}");
    }

    #[test]
    fn the_commit_is_read_where_git_keeps_it() {
        let line = format!("{NAME}\n");
        let packed = format!("# pack-refs with: peeled\n{} refs/heads/mainline\n{NAME} refs/heads/main\n", "0".repeat(40));
        check(&[(".git/HEAD", &line)], ".git", (Some(NAME), 1));
        check(&[(".git/HEAD", "ref: refs/heads/main\n"), (".git/refs/heads/main", &line)], ".git", (Some(NAME), 2));
        let files = [(".git/HEAD", "ref: refs/heads/main\n"), (".git/packed-refs", &packed), (".git/a", ""), (".git/b", "")];
        check(&files, ".git", (Some(NAME), 2));
        let worktree = [
            ("tree/.git", "gitdir: ../main/worktrees/tree\n"),
            ("main/worktrees/tree/HEAD", "ref: refs/heads/h/side\n"),
            ("main/worktrees/tree/commondir", "../..\n"),
            ("main/refs/heads/h/side", &line),
            ("c", ""),
        ];
        check(&worktree, "tree/.git", (Some(NAME), 2));
    }

    #[test]
    fn what_is_no_commit_is_none() {
        check(&[("x", ""), ("y", ""), ("z", ""), ("a", ""), ("b", ""), ("c", "")], ".git", (None, 0));
        let born = [(".git/HEAD", "ref: refs/heads/main\n"), ("1", ""), ("2", ""), ("3", ""), ("4", ""), ("5", ""), ("6", "")];
        check(&born, ".git", (None, 1));
        for (text, expected) in [(NAME, true), ("2fc9653", true), ("2fc965", false), ("unknown", false), ("", false), ("\"); evil", false)]
        {
            assert_eq!(is_name(text), expected, "{text}");
        }
    }
}
