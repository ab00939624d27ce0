//! Open files: connections must never take those that the ledger needs, or a flood of them would stop the writer.

use crate::bounds::Limits;

/// Bounds whose connections leave the ledger its files; says so where that changes them.
pub(crate) fn fit(limits: Limits) -> Limits {
    // Where there is no such file, accept fails by itself when the system's limit is reached.
    let Some(files) = std::fs::read_to_string("/proc/self/limits").ok().as_deref().and_then(open_files) else { return limits };
    let room = files.saturating_sub(FILES_FOR_THE_LEDGER).max(1);
    if limits.connections <= room {
        return limits;
    }
    tracing::warn!(files, connections = room, "the system allows fewer files than the configuration has connections");
    Limits { connections: room, ..limits }
}

/// The soft limit in the text of proc_pid_limits(5); none when there is no limit.
fn open_files(text: &str) -> Option<usize> {
    text.lines().find_map(|line| line.strip_prefix("Max open files"))?.split_whitespace().next()?.parse().ok()
}

/// For the ledger, its keys, revocation lists, certificates, the log, and a connection that is dropped as soon as it is taken.
const FILES_FOR_THE_LEDGER: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_read() {
        let line = |soft: &str| {
            format!("Limit  Soft Limit  Hard Limit  Units\nMax open files            {soft}                 524288               files\n")
        };
        for (text, expected) in
            [(line("1024"), Some(1024)), (line("unlimited"), None), ("Max cpu time 7 7 s".to_owned(), None), (String::new(), None)]
        {
            assert_eq!(open_files(&text), expected, "{text}");
        }
        assert!(std::fs::read_to_string("/proc/self/limits").ok().as_deref().and_then(open_files).is_some_and(|files| files > 0));
    }
}
