//! Each command of `ecowire-bench` with tiny numbers: the fields are there and the counts are right. No figure is judged.
#![allow(clippy::unwrap_used)]

use std::process::Command;

use serde_json::Value;

fn run(args: &str) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_ecowire-bench")).args(args.split(' ')).arg("--json").output().unwrap();
    assert!(output.status.success(), "{args}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Runs a command: every field is a number, and each of `counts` is exactly that.
fn check(args: &str, fields: &[&str], counts: &[(&str, f64)]) {
    let report = run(args);
    for field in fields.iter().chain(&["verify_us", "fdatasync_us", "cores"]) {
        assert!(report[field].as_f64().is_some_and(|value| value.is_finite() && value >= 0.0), "{args}: {field} in {report}");
    }
    for (field, count) in counts {
        assert_eq!(report[field].as_f64(), Some(*count), "{args}: {field} in {report}");
    }
}

#[test]
fn submit_counts_what_was_taken() {
    let fields =
        ["messages_per_second", "p50_ms", "p99_ms", "server_cpu_us_per_message", "client_cpu_us_per_message", "messages_per_fsync"];
    check("submit --connections 2 --inflight 4 --messages 30", &fields, &[("messages", 60.0)]);
    check("submit --connections 1 --inflight 1 --seconds 0.05", &fields, &[]);
}

#[test]
fn deliver_sees_every_message_delivered() {
    let fields = ["commit_p50_ms", "alone_received_p50_ms", "received_p50_ms", "received_p99_ms", "delivered_p50_ms", "delivered_p99_ms"];
    check("deliver --messages 70 --inflight 8 --alone 3", &fields, &[("messages", 70.0), ("statuses_asked", 2.0)]);
}

#[test]
fn fanout_delivers_to_everybody() {
    let fields = ["deliveries_per_second", "server_cpu_us_per_delivery", "last_received_p50_ms", "last_delivered_p50_ms"];
    check("fanout --recipients 3 --messages 5 --inflight 2", &fields, &[("recipients", 3.0), ("deliveries", 15.0)]);
}

#[test]
fn replay_leads_to_one_state_at_both_depths() {
    let fields = ["structure_entries_per_second", "rules_entries_per_second", "streamed_entries_per_second", "rules_cpu_us_per_entry"];
    check("replay --entries 64", &fields, &[]);
    assert!(run("replay --entries 64")["entries"].as_f64().unwrap() > 64.0);
}

#[test]
fn idle_holds_its_connections() {
    check("idle --connections 3", &["rss_kib_per_connection", "pss_kib_per_connection"], &[("connections", 3.0), ("participants", 1.0)]);
}

#[test]
fn restart_reads_everything_that_was_written() {
    let report = run("restart --entries 64");
    let figure = |name: &str| report[name].as_f64().unwrap();
    assert_eq!(figure("snapshot_entries") + figure("tail_entries_read"), figure("entries"));
    assert!(figure("entries") > 64.0 && figure("rss_after_start_kib") > 0.0, "{report}");
}

#[test]
fn growth_measures_at_each_size_that_it_passes() {
    let report = run("growth --to 40 --at 16,32,64 --window 8 --delivered");
    let sizes: Vec<_> = [16, 32, 64].map(|at| report[format!("at_{at}_cost_to_first")].as_f64().is_some()).into();
    assert_eq!(sizes, [true, true, false], "{report}");
    assert!(report["at_16_disk_bytes_per_message"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_table_has_a_row_for_each_figure() {
    let output = Command::new(env!("CARGO_BIN_EXE_ecowire-bench")).args(["idle", "--connections", "1", "--markdown"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("| figure | value | mark | |\n"), "{text}");
    assert!(text.contains("| rss_kib_per_connection |") && text.contains("<= 40"), "{text}");
}
