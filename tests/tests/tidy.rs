//! Tidy: what every file of ours must be like, checked as a test.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if !["target", ".git", "demo-network", "__pycache__", "node_modules"].contains(&name.as_str()) {
                walk(&path, found);
            }
        } else {
            found.push(path);
        }
    }
}

fn files(end: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    walk(&root(), &mut found);
    found.sort();
    let ours = found.into_iter().filter(|path| path.to_string_lossy().ends_with(end));
    ours.filter_map(|path| fs::read_to_string(&path).ok().map(|text| (path, text))).collect()
}

fn is_test(path: &Path) -> bool {
    path.components().any(|part| ["tests", "benches", "examples"].contains(&part.as_os_str().to_string_lossy().as_ref()))
        || path.ends_with("tests.rs")
}

/// The part of a file before its unit tests.
fn code(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod ").next().unwrap_or(text)
}

#[test]
fn every_source_file_says_what_it_is() {
    let silent: Vec<_> = files(".rs").into_iter().filter(|(_, text)| !text.starts_with("//!")).map(|(path, _)| path).collect();
    assert!(silent.is_empty(), "{silent:?}");
}

#[test]
fn files_and_functions_are_short() {
    let mut long = Vec::new();
    for (path, text) in files(".rs").iter().filter(|(path, _)| !is_test(path)) {
        let code = code(text);
        if code.lines().count() > 700 {
            long.push(format!("{}: {} lines", path.display(), code.lines().count()));
        }
        let mut start = None;
        for (number, line) in code.lines().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let opens = line
                .trim_start()
                .trim_start_matches("pub ")
                .trim_start_matches("pub(crate) ")
                .trim_start_matches("async ")
                .starts_with("fn ");
            if opens && start.is_none() && !line.trim_end().ends_with('}') && !line.trim_end().ends_with(';') {
                start = Some((number, indent));
            }
            if let Some((first, at)) = start
                && line.trim_end() == format!("{}}}", " ".repeat(at))
            {
                if number - first > 70 {
                    long.push(format!("{}:{}: a function of {} lines", path.display(), first + 1, number - first));
                }
                start = None;
            }
        }
    }
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn only_the_writer_appends() {
    let callers: Vec<_> = files(".rs")
        .into_iter()
        .filter(|(path, text)| path.starts_with(root().join("gateway")) && !is_test(path) && code(text).contains("ledger.append("))
        .map(|(path, _)| path.file_name().unwrap_or_default().to_string_lossy().into_owned())
        .collect();
    // `init` writes entry 0 before there is a writer.
    assert_eq!(callers, ["gateway.rs", "writer.rs"]);
}

#[test]
fn only_status_rs_names_grpc_codes() {
    let naming: Vec<_> = files(".rs")
        .into_iter()
        .filter(|(path, text)| {
            path.starts_with(root().join("gateway/src"))
                && code(text).replace("ExitCode::", "").replace("StatusCode::", "").contains("Code::")
        })
        .map(|(path, _)| path.file_name().unwrap_or_default().to_string_lossy().into_owned())
        .collect();
    assert_eq!(naming, ["status.rs"]);
}

#[test]
fn no_test_sleeps_or_is_ignored() {
    let words = [concat!("#[ig", "nore"), concat!("thread::", "sleep"), concat!("time::", "sleep")];
    let bad: Vec<_> = files(".rs")
        .into_iter()
        .filter(|(path, text)| is_test(path) && words.iter().any(|word| text.contains(word)))
        .map(|(path, _)| path)
        .collect();
    assert!(bad.is_empty(), "{bad:?}");
}

#[test]
fn nothing_is_left_for_later() {
    let words = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("todo", "!("), concat!("unimple", "mented!("), concat!("dbg", "!(")];
    let bad: Vec<_> =
        files(".rs").into_iter().filter(|(_, text)| words.iter().any(|word| text.contains(word))).map(|(path, _)| path).collect();
    assert!(bad.is_empty(), "{bad:?}");
}

#[test]
fn no_unwrap_outside_tests() {
    let bad: Vec<_> = files(".rs")
        .into_iter()
        .filter(|(path, text)| {
            !is_test(path) && code(text).lines().any(|line| line.contains(".unwrap()") && !line.trim_start().starts_with("//"))
        })
        .map(|(path, _)| path)
        .collect();
    assert!(bad.is_empty(), "{bad:?}");
}
