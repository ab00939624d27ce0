//! A report from the quick form to the officer who reads it, by the commands: JSON at both ends, sealed as protobuf; what is
//! wrong in it is said and kept.

mod stage;

use std::path::Path;
use std::process::Command;

use stage::Stage;
use stage::desk::Desk;

const ECOWIRE: &str = env!("CARGO_BIN_EXE_ecowire-all");

const COMPOSE: [&str; 16] = [
    "compose",
    "ecomessage",
    "--incident",
    "seizure",
    "--when",
    "2026-11-24T10:00:00Z",
    "--place",
    "ke mba",
    "--area",
    "wildlife",
    "--goods",
    "tusks",
    "--quantity",
    "312 kg",
    "--action",
    "who is the consignee?",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_composed_sent_and_read() {
    let stage = Stage::new();
    let gateway = stage.serve();
    for member in ["ke", "th", "ipsg/ens", "ke/cus/kemba"] {
        drop(stage.member(&gateway.url, member).await);
    }
    let desk = Desk { stage: &stage };
    let (json, _) = desk.check(0, &COMPOSE);
    let report = content::from_json(json.as_bytes()).expect("a report");
    assert_eq!(report.goods[0].quantity.as_ref().expect("a quantity").mantissa, 312);
    // A container whose check digit lies, and a word of a later list.
    let json = json.trim_end().replacen(
        "\"goods\":[{",
        "\"transports\":[{\"container\":{\"raw\":\"CSQU3054384\"}}],\"goods\":[{\"term\":\"scent\",",
        1,
    );
    desk.write("report.json", &json);
    let (sent, said) = desk
        .check(0, &["send", "--profile", "profile-ke_cus_kemba", "--to", "th,ipsg/ens", "--kind", "ecomessage", "--file", "report.json"]);
    assert!(sent.starts_with("KE.CUS.KEMBA/"), "{sent}");
    assert!(said.contains("transports[1].container \"CSQU3054384\" has another check digit; kept as observed"), "{said}");
    let reference = sent.split_whitespace().next().expect("a reference").to_owned();
    desk.check(0, &["inbox", "--profile", "profile-th"]);
    let (read, said) = desk.check(0, &["open", "--profile", "profile-th", &reference]);
    for line in ["goods[1].quantity", "312 kg", "CSQU3054384  (wrong check digit, as observed)", "scent", "who is the consignee?"] {
        assert!(read.contains(line), "{line}: {read}");
    }
    assert!(said.contains("application/vnd.ecowire.ecomessage.v1+protobuf") && said.contains("another check digit"), "{said}");
    let (again, _) = desk.check(0, &["open", "--profile", "profile-th", &reference, "--json"]);
    let again = content::from_json(again.as_bytes()).expect("a report");
    assert_eq!(again.transports[0].container.as_ref().expect("a container").check, "bad_check_digit");
    desk.check(0, &["open", "--profile", "profile-th", &reference, "--raw", "--out", "raw.bin"]);
    assert_eq!(content::decode(&std::fs::read(stage.beside("raw.bin")).expect("a file")).expect("a report"), again);

    // What is no report is not sent as one; anything else is, when one says so.
    desk.write("report.json", &json.replacen("\"goods\"", "\"good\"", 1));
    let send = ["send", "--profile", "profile-ke_cus_kemba", "--to", "th,ipsg/ens", "--kind", "ecomessage", "--file", "report.json"];
    let (_, said) = desk.check(2, &send);
    assert!(said.contains("report.json is no report: unrecognized field name 'good'"), "{said}");
    desk.check(0, &[&send[..], &["--media-type", "application/json"]].concat());
    gateway.kill().await;
    stage.audit();
}

#[test]
fn what_is_not_answered_is_asked_for_and_nothing_is_overwritten() {
    let folder = tempfile::tempdir().expect("a folder");
    let compose = |arguments: &[&str], input: &str| {
        let file = folder.path().join("answers");
        std::fs::write(&file, input).expect("written");
        let mut command = Command::new(ECOWIRE);
        command.arg("ecowire").args(arguments).current_dir(folder.path()).stdin(std::fs::File::open(file).expect("a file"));
        command.output().expect("it runs")
    };
    let output = compose(&["compose", "ecomessage", "--language", "fr"], "1\n\nle vieux port\nfor\ngrumes\nbeaucoup\n4,5 t\n\n");
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(output.status.success() && said.contains("Que s'est-il passé ?") && said.contains("\"beaucoup\" is no quantity"), "{said}");
    let report = content::from_json(&output.stdout).expect("a report");
    let (heading, incident) = (report.heading.expect("A"), report.incident.expect("B"));
    assert_eq!((heading.crime_area.as_str(), heading.language.as_str(), incident.what.as_str()), ("forestry", "fr", "seizure"));
    let cut = compose(&["compose", "ecomessage"], "1\n\n");
    assert_eq!(cut.status.code(), Some(2));
    assert!(String::from_utf8(cut.stderr).expect("text").contains("give --place TEXT"));
    let kept = folder.path().join("kept.json");
    std::fs::write(&kept, "mine").expect("written");
    let refused = compose(&[&COMPOSE[..], &["--out", "kept.json"]].concat(), "");
    assert!(!refused.status.success());
    assert_eq!(std::fs::read(Path::new(&kept)).expect("a file"), b"mine");
}
