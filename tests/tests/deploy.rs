//! What operators are given speaks of what there is: metrics by their table, alarms with a page, keys of the configuration.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every `ecowire_...` in a text.
fn metrics(text: &str) -> BTreeSet<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c| !word(c)).filter(|name| name.starts_with("ecowire_")).map(str::to_owned).collect()
}

/// The name in the table, without what a histogram adds to it.
fn family<'a>(name: &'a str, table: &BTreeSet<String>) -> &'a str {
    let ends = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
    ends.filter(|family| table.contains(*family)).unwrap_or(name)
}

#[test]
fn rules_and_board_ask_for_metrics_that_there_are() {
    let page = text("docs/operating/metrics.md");
    let rows: String = page.lines().filter(|line| line.starts_with("| `ecowire_")).collect();
    let table = metrics(&rows);
    assert!(table.len() > 20, "{table:?}");
    for path in ["deploy/prometheus/ecowire.rules.yml", "deploy/prometheus/ecowire.rules.test.yml", "deploy/grafana/ecowire.json"] {
        let asked = metrics(&text(path));
        assert!(!asked.is_empty(), "{path}");
        let unknown: Vec<_> = asked.iter().filter(|name| !table.contains(family(name, &table))).collect();
        assert!(unknown.is_empty(), "{path}: {unknown:?}");
    }
}

#[test]
fn every_alarm_has_its_heading_and_every_heading_its_alarm() {
    let rules = text("deploy/prometheus/ecowire.rules.yml");
    let alarms: BTreeSet<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let page = text("docs/operating/alarms.md");
    let headings: BTreeSet<&str> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert!(alarms.len() > 10);
    assert_eq!(alarms, headings);
    for alarm in alarms {
        let link = format!("runbook_url: docs/operating/alarms.md#{}", alarm.to_ascii_lowercase());
        assert!(rules.contains(&format!("{link}\n")), "{link}");
    }
}

#[test]
fn links_of_the_guide_lead_somewhere() {
    let folder = root().join("docs/operating");
    let mut checked = 0;
    let pages = fs::read_dir(&folder).expect("the guide").map(|entry| entry.expect("a page").path());
    for page in pages.chain([root().join("deploy/README.md"), root().join("README.md")]) {
        let text = fs::read_to_string(&page).expect("a page");
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).filter(|target| !target.contains("://")) {
            let file = target.split('#').next().unwrap_or_default();
            let path = page.parent().expect("a folder").join(file);
            assert!(file.is_empty() || path.exists(), "{}: {target}", page.display());
            checked += 1;
        }
    }
    assert!(checked > 20);
}
