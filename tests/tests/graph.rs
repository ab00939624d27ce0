//! The graph of crates, held as a snapshot: a new edge needs its sentence in the diff.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};
use expect_test::expect;

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .other_options(["--locked".to_owned()])
        .exec()
        .expect("cargo metadata runs")
}

/// Normal dependencies of each of our crates on others of ours.
fn edges(metadata: &Metadata) -> BTreeMap<String, BTreeSet<String>> {
    let ours: BTreeSet<String> = metadata.workspace_packages().iter().map(|package| package.name.to_string()).collect();
    let of = |package: &cargo_metadata::Package| {
        let normal = package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
        normal.map(|dependency| dependency.name.clone()).filter(|name| ours.contains(name)).collect()
    };
    metadata.workspace_packages().iter().map(|package| (package.name.to_string(), of(package))).collect()
}

#[test]
fn our_crates_depend_on_each_other_like_this() {
    let lines: Vec<String> = edges(&metadata())
        .iter()
        .map(|(name, on)| format!("{name}: {}", on.iter().cloned().collect::<Vec<_>>().join(" ")).trim_end().to_owned())
        .collect();
    expect![[r#"
        bench: certs-dev client command commit envelope exchange gateway ledger proto tlog
        certs-dev: command commit envelope proto tlog
        client: command commit content envelope exchange proto tlog
        command:
        commit:
        content:
        demo: certs-dev client commit content envelope gateway proto tlog
        envelope: proto tlog
        exchange: envelope proto tlog
        gateway: command commit envelope exchange ledger proto tlog
        ledger: envelope tlog
        parsers: client content envelope exchange gateway ledger proto tlog
        proto:
        tests: certs-dev client commit gateway
        tlog:"#]]
    .assert_eq(&lines.join("\n"));
}

#[test]
fn an_engine_is_used_in_one_place() {
    let metadata = metadata();
    for (engine, wanted) in [("sled", &["ledger"][..]), ("redb", &["client", "ledger"])] {
        let users = metadata.workspace_packages().into_iter();
        let users = users.filter(|package| package.dependencies.iter().any(|dependency| dependency.name == engine));
        let users: BTreeSet<String> = users.map(|package| package.name.to_string()).collect();
        assert_eq!(users.iter().collect::<Vec<_>>(), wanted, "{engine}");
    }
}

/// Crates that a package links when it is built alone, found by cargo's own resolver.
fn linked(package: &str) -> BTreeSet<String> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let output = std::process::Command::new(env!("CARGO"))
        .args(["tree", "-p", package, "-e", "normal", "--prefix", "none", "--format", "{p}", "--locked"])
        .current_dir(root)
        .output()
        .expect("cargo tree runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn the_gateway_is_blind_by_its_build_graph() {
    assert!(linked("client").contains("hpke"), "the client seals, so this test can see the crate");
    for package in ["gateway", "ledger", "exchange", "certs-dev"] {
        let linked = linked(package);
        assert!(linked.contains("envelope"), "{package}");
        assert!(!linked.contains("hpke") && !linked.contains("x-wing"), "{package} links what opens messages");
        assert!(!linked.contains("content"), "{package} links what is in messages");
    }
}

#[test]
fn rules_know_no_store_memory_no_rule_and_the_auditor_no_server() {
    for (package, forbidden) in [
        ("exchange", &["ledger", "redb", "sled", "tokio", "tonic", "prometheus-client"][..]),
        ("ledger", &["exchange", "tokio", "tonic", "hyper", "prometheus-client"]),
        ("envelope", &["tokio", "tonic", "redb", "sled", "exchange", "ledger"]),
        ("tlog", &["envelope", "proto", "tokio", "prost"]),
        ("client", &["gateway", "ledger", "sled", "rcgen"]),
        ("gateway", &["client", "rcgen", "certs-dev", "opentelemetry", "reqwest"]),
    ] {
        let linked = linked(package);
        for name in forbidden {
            assert!(!linked.contains(*name), "{package} links {name}");
        }
    }
}
