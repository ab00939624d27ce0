//! What bureaus, desks and posts do by commands beyond a plain message: notices and their board, a case's current report, held
//! messages, permissions, deletions, drafts from a field system. It ends with a full audit.

mod stage;

use stage::Stage;
use stage::desk::Desk;

const KEMBA: &str = "profile-ke_cus_kemba";

/// Sends a file and gives the message's reference.
#[track_caller]
fn send(desk: &Desk<'_>, profile: &str, file: &str, text: &str, more: &[&str]) -> String {
    desk.write(file, text);
    let (sent, _) = desk.check(0, &[&["send", "--profile", profile, "--file", file], more].concat());
    sent.split_whitespace().next().expect("a reference").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_bureau_does_all_day() {
    let stage = Stage::of(&["ke", "ke/cus/kemba", "th", "cn/hk", "ipsg/ens", "ipsg/compliance", "svc/imaf", "aud/network"]);
    let gateway = stage.serve();
    for member in ["ke", "th", "ipsg/ens", "ipsg/compliance", "svc/imaf", "ke/cus/kemba"] {
        drop(stage.member(&gateway.url, member).await);
    }
    let desk = Desk { stage: &stage };
    notices(&desk);
    a_case(&desk);
    held_and_permitted(&desk);
    enrolled_by_code(&desk);
    deleted(&desk);
    foretold(&desk);
    gateway.kill().await;
    let began = std::time::Instant::now();
    let (out, said) = desk.check(4, &["query", "--profile", KEMBA, "--service", "svc/imaf", "--plate", "KAA 1", "--wait", "0", "--json"]);
    assert!(
        out.contains(r#""state":"queued""#) && said.contains("not reachable") && began.elapsed() < std::time::Duration::from_secs(4),
        "{said}"
    );
    stage.audit();
}

fn notices(desk: &Desk<'_>) {
    let body =
        r#""body":{"colour":"purple","crimeArea":"fisheries","text":"three names, three flags","validUntil":"2099-01-01T00:00:00Z"}"#;
    let published = send(
        desk,
        "profile-ipsg_ens",
        "notice.json",
        &format!(r#"{{"number":"P-17/2026",{body}}}"#),
        &["--to", "all/ncb", "--kind", "notice", "--except", "ke"],
    );
    let board = |more: &[&str]| desk.check(0, &[&["notices", "--profile", "profile-th"], more].concat()).0;
    let shown = board(&["--colour", "purple", "--area", "fisheries"]);
    for words in ["purple", "published", "P-17/2026", &published, "three names, three flags"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert_eq!(board(&["--colour", "red"]), "");
    assert_eq!(desk.check(0, &["notices", "--profile", "profile-ke", "--all"]).0, "", "who was left out");
    let update = r#"{"number":"P-17/2026","status":"updated","body":{"text":"four names"}}"#;
    send(desk, "profile-ipsg_ens", "update.json", update, &["--kind", "notice-update", "--target", &published]);
    assert!(board(&[]).contains("four names"));
    // Nobody but its publisher changes it.
    desk.write("cancel.json", r#"{"number":"P-17/2026","reason":"located"}"#);
    let cancel = ["--kind", "notice-cancel", "--target", &published, "--file", "cancel.json"];
    let (_, said) = desk.check(3, &[&["send", "--profile", "profile-th", "--to", "ke"], &cancel[..]].concat());
    assert!(said.contains("NO_GRANT"), "{said}");
    desk.check(0, &[&["send", "--profile", "profile-ipsg_ens"], &cancel[..]].concat());
    assert_eq!(board(&[]), "", "what is cancelled is no longer shown");
    let all = board(&["--all", "--json"]);
    assert!(all.contains(r#""state":"cancelled""#) && all.contains("four names"), "{all}");
    // A form that is none says where its schema is.
    desk.write("notice.json", r#"{"nummer":"P-17/2026"}"#);
    let bad = ["send", "--profile", "profile-ipsg_ens", "--to", "all/ncb", "--kind", "notice", "--file", "notice.json"];
    let (_, said) = desk.check(2, &bad);
    assert!(
        said.contains("notice.json is no notice: unrecognized field name 'nummer'") && said.contains("`ecowire schema notice`"),
        "{said}"
    );
    let (schema, _) = desk.check(0, &["schema", "notice"]);
    assert!(schema.contains("urn:ecowire:schema:notice:v1"), "{schema}");
    serde_json::from_str::<serde_json::Value>(&schema).expect("JSON");
    // Who is to be left out and is nobody is a slip of the pen.
    let (_, said) = desk.check(2, &["send", "--profile", "profile-ipsg_ens", "--to", "all/ncb", "--except", "zz", "--file", "notice.json"]);
    assert!(said.contains("zz is no participant"), "{said}");
    desk.write("empty.json", "");
    let (_, said) = desk.check(2, &["send", "--profile", "profile-ke", "--to", "th", "--file", "empty.json"]);
    assert!(said.contains("is empty"), "{said}");
    let seats = ["--seat", "profile-ipsg_ens,profile-ipsg_ens"];
    let (_, said) = desk.check(2, &[&["send", "--profile", "profile-ke", "--to", "th", "--file", "notice.json"], &seats[..]].concat());
    assert!(said.contains("is named twice"), "{said}");
}

fn a_case(desk: &Desk<'_>) {
    let events = r#"[{"id":"e1","event_type":"snare_rep","time":"2026-11-20T06:00:00Z","title":"snares","location":{"latitude":-4.05,"longitude":39.67}}]"#;
    desk.write("events.json", events);
    let csv = "Full Name,Rank,Listing,Party,Full note\nLoxodonta africana,SPECIES,II,,\n";
    desk.write("listings.csv", csv);
    let (taxa, _) = desk.check(0, &["pack", "species-plus", "listings.csv", "--valid-from", "2020-01-01"]);
    std::fs::create_dir(desk.stage.beside("packs")).expect("a folder");
    desk.write("packs/taxa.json", &taxa);
    assert!(desk.check(0, &["--packs", "packs", "pack", "list"]).0.lines().count() >= 2);
    desk.write("packs/broken.json", "{}");
    let (_, said) = desk.check(2, &["--packs", "packs", "pack", "list"]);
    assert!(said.contains("broken.json"), "{said}");
    let (drafts, _) = desk.check(0, &["import", "--from", "earthranger", "events.json"]);
    assert_eq!(drafts.lines().count(), 1);
    desk.check(0, &["import", "--from", "earthranger", "events.json", "--out", "drafts"]);
    assert!(desk.stage.beside("drafts/draft-0001.json").exists());
    let report = r#"{"heading":{"reportType":"initial","crimeArea":"wildlife"},"incident":{"what":"seizure","at":"2026-11-24T10:00:00Z","place":{"text":"gate 3"}},"goods":[{"taxon":"Loxodonta africana","term":"tusks","quantity":{"mantissa":312,"unit":"kg"}}]}"#;
    let to = ["--to", "th,ipsg/ens", "--kind", "ecomessage"];
    let initial = send(desk, KEMBA, "report.json", report, &to);
    let more = format!(
        r#"{{"heading":{{"reportType":"supplement","supersedes":"{initial}"}},"transports":[{{"mode":"sea","container":{{"raw":"CSQU3054383"}}}}]}}"#
    );
    send(desk, KEMBA, "more.json", &more, &to);
    desk.check(0, &["inbox", "--profile", "profile-th"]);
    let (current, said) = desk.check(0, &["report", "--profile", "profile-th", &initial]);
    assert!(current.contains("312 kg") && current.contains("CSQU3054383"), "{current}");
    assert!(said.contains("transports: ") && said.contains(&initial), "{said}");
    // A correction is laid over the report that it corrects, as far as it fits.
    let changes = r#"{"changes":[{"path":"goods[1].quantity","wrong":"312 kg","right":"321 kg"},
        {"path":"goods[1].term","wrong":"horn","right":"tusks"}],"text":"weighed again"}"#;
    let correction = send(desk, KEMBA, "correction.json", changes, &["--kind", "correction", "--target", &initial]);
    desk.check(0, &["inbox", "--profile", "profile-th"]);
    let (current, said) = desk.check(0, &["report", "--profile", "profile-th", &initial]);
    assert!(current.contains("321 kg") && current.contains("CSQU3054383"), "{current}");
    for words in
        [format!("corrected by {correction}"), "goods[1].term was not changed: what it calls wrong does not stand there".to_owned()]
    {
        assert!(said.contains(&words), "{words}: {said}");
    }
    // What names the message that it is about need not say so again.
    let (opened, _) = desk.check(0, &["open", "--profile", "profile-th", &correction]);
    assert!(opened.lines().any(|line| line.starts_with("of ") && line.ends_with(&initial)), "{opened}");
}

/// What the rules would say, and what is a slip of the pen.
fn foretold(desk: &Desk<'_>) {
    let (lines, said) = desk.check(3, &["explain", "--profile", "profile-th", "--to", "fr"]);
    let first = lines.lines().find(|line| !line.contains(" ok: ") && !line.contains("the gateway will tell")).expect("a refusal");
    assert!(first.contains("UNKNOWN_RECIPIENT") && said.contains("a newer directory may say otherwise"), "{lines}{said}");
    let post = send(desk, KEMBA, "note.txt", "look at gate 4", &["--to", "ke", "--handling", "h2"]);
    let (_, said) = desk.check(2, &["permit", "onward", "--profile", "profile-th", "ke", "--message", &post]);
    assert!(said.contains(&post), "{said}");
    let (_, said) = desk.check(1, &["inbox", "--profile", "nobody"]);
    assert!(said.contains("nobody is no profile: `ecowire init` makes one"), "{said}");
    let (bureaus, _) = desk.check(0, &["bureau", "list", "--profile", "profile-ipsg_compliance"]);
    assert!(bureaus.lines().any(|line| line.starts_with("ke ")) && !bureaus.contains("kemba"), "{bureaus}");
    let end = |what: &str, more: &[&str]| desk.check(0, &[&["group", what, "--profile", "profile-ke", "grp/op/4f2a"], more].concat());
    let (_, said) = desk.check(2, &["group", "set", "--profile", "profile-ke", "grp/op/4f2a", "--member", "ke,zz"]);
    assert!(said.contains("zz is no participant"), "{said}");
    let (_, said) = desk.check(2, &["bureau", "suspend", "--profile", "profile-ke", "ke", "--reason", "compromise"]);
    assert!(said.contains("ke sets no state of its own"), "{said}");
    let (_, said) = desk.check(2, &["group", "end", "--profile", "profile-ke", "grp/op/none"]);
    assert!(said.contains("grp/op/none is no group of ke"), "{said}");
    end("set", &["--member", "ke,th"]);
    let listed = || desk.check(0, &["group", "list", "--profile", "profile-th"]);
    assert!(listed().0.contains("grp/op/4f2a"));
    end("end", &[]);
    // A member learns it, and then knows nothing of the group.
    let (list, _) = listed();
    assert!(list.contains("ended"), "{list}");
    let (list, said) = listed();
    assert!(list.is_empty() && said.contains("belongs to none"), "{list}{said}");
    assert!(end("end", &[]).1.contains("has ended before"));
    let (_, said) = desk.check(2, &["send", "--profile", "profile-ke", "--to", "grp/op/4f2a", "--kind", "warning", "--file", "note.txt"]);
    assert!(said.contains("grp/op/4f2a has ended"), "{said}");
    let (_, said) = desk.check(0, &["notices", "--profile", "profile-ke", "--all"]);
    assert!(said.contains("the board is empty"), "{said}");
    assert!(desk.check(0, &["advices", "--profile", "profile-ke"]).1.contains("nothing was told"));
}

fn held_and_permitted(desk: &Desk<'_>) {
    let certificate = desk.stage.folder_of("ke/cus/kemba").join("identity.pem");
    let certificate = certificate.to_str().expect("text");
    desk.check(0, &["bureau", "enrol", "--profile", "profile-ke", "--certificate", certificate, "--oversight", "release"]);
    let held = send(desk, KEMBA, "note.txt", "look at gate 3", &["--to", "th"]);
    let (_, said) = desk.check(0, &["explain", "--profile", KEMBA, "--to", "th"]);
    assert!(said.contains("held until ke releases it"), "{said}");
    assert!(desk.check(0, &["status", "--profile", KEMBA, &held]).0.contains("held"));
    let (list, _) = desk.check(0, &["held", "list", "--profile", "profile-ke"]);
    assert!(list.contains(&held), "{list}");
    desk.check(0, &["held", "release", "--profile", "profile-ke", &held]);
    let (list, said) = desk.check(0, &["held", "list", "--profile", "profile-ke"]);
    assert!(list.is_empty() && said.contains("nothing waits for the word of ke"), "{said}");
    assert!(desk.check(0, &["open", "--profile", "profile-th", &held]).0.contains("look at gate 3"));
    let (_, said) = desk.check(2, &["held", "refuse", "--profile", "profile-th", &held, "--reason", "rules"]);
    assert!(said.contains("is not held for th"), "{said}");

    let (given, _) = desk.check(0, &["permit", "waive", "--profile", "profile-ke", "ke/cus/kemba", "--days", "7"]);
    let digits = given.split_whitespace().next().expect("a digest").to_owned();
    assert!(desk.check(0, &["permit", "list", "--profile", KEMBA]).0.contains("waiver for ke/cus/kemba by ke"));
    let free = send(desk, KEMBA, "note.txt", "at once", &["--to", "th", "--permission", &digits]);
    assert!(desk.check(0, &["open", "--profile", "profile-th", &free]).0.contains("at once"));
    let (json, _) = desk.check(0, &["open", "--profile", "profile-th", &free, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["text"], "at once");
    let (_, said) = desk.check(2, &["send", "--profile", KEMBA, "--to", "th", "--permission", "ffffffff", "--file", "note.txt"]);
    assert!(said.contains("ffffffff is no permission of ke/cus/kemba"), "{said}");
}

/// A new post asks to be enrolled; what the bureau hears by telephone must be the code of what it was sent.
fn enrolled_by_code(desk: &Desk<'_>) {
    let post = certs_dev::issue(&desk.stage.pki(), &stage::at("ke/air/kenbo"), None).expect("certificates").folder;
    let (post, trust) = (post.to_str().expect("text").to_owned(), desk.stage.pki().join("trust.toml"));
    let (code, said) = desk.check(0, &["code", "--identity", &post, "--trust", trust.to_str().expect("text")]);
    assert!(code.trim().len() == 19 && said.contains("ke/air/kenbo"), "{code}{said}");
    let certificate = format!("{post}/identity.pem");
    let enrol = ["bureau", "enrol", "--profile", "profile-ke", "--certificate", &certificate, "--code"];
    let wrong = code.trim().chars().rev().collect::<String>();
    let (_, said) = desk.check(2, &[&enrol[..], &[wrong.as_str()]].concat());
    assert!(said.contains("the code of ke/air/kenbo is another"), "{said}");
    let heard = code.trim().to_lowercase().replace('-', " ");
    let (out, _) = desk.check(0, &[&enrol[..], &[heard.as_str()]].concat());
    assert!(out.contains("ke/air/kenbo"), "{out}");
}

fn deleted(desk: &Desk<'_>) {
    let wrong = send(desk, "profile-ke", "note.txt", "the wrong man", &["--to", "th,ipsg/ens"]);
    let deletion = send(desk, "profile-ke", "why.json", r#"{"reason":"unlawful"}"#, &["--kind", "deletion", "--target", &wrong]);
    let (_, said) = desk.check(2, &["deletion", "status", "--profile", "profile-ke", &wrong]);
    assert!(said.contains("is no deletion"), "{said}");
    let status = || desk.check(0, &["deletion", "status", "--profile", "profile-ke", &deletion]).0;
    assert_eq!(status().matches("has not attested yet").count(), 2);
    desk.write("done.txt", "two files");
    desk.check(0, &["deletion", "attest", "--profile", "profile-th", &deletion, "--file", "done.txt"]);
    let said = status();
    assert!(said.matches("has not attested yet").count() == 1 && said.contains("deleted, TH/"), "{said}");
    let (_, said) = desk.check(2, &["deletion", "attest", "--profile", "profile-th", &wrong, "--file", "done.txt"]);
    assert!(said.contains("is no deletion"), "{said}");
    let foreign = format!(r#"{{"deletion":"{wrong}","deleted":["message"]}}"#);
    desk.write("done.json", &foreign);
    let attest = ["deletion", "attest", "--profile", "profile-th", &deletion, "--file", "done.json"];
    let (_, said) = desk.check(2, &attest);
    assert!(said.contains(&format!("is about {deletion}")), "{said}");
    desk.write("done.json", r#"{"deleted":["message","copies"],"byRole":"desk officer"}"#);
    let (_, said) = desk.check(0, &["deletion", "attest", "--profile", "profile-th", &deletion, "--file", "done.json"]);
    assert!(said.contains("has said so before; this one is sent, too") && !said.contains("deletion is missing"), "{said}");
    let (_, said) = desk.check(2, &["deletion", "status", "--profile", "profile-th", &deletion]);
    assert!(said.contains("only ke hears"), "{said}");
    let (text, said) = desk.check(0, &["open", "--profile", "profile-th", &wrong]);
    assert!(text.contains("the wrong man") && said.contains(&format!("is to be deleted: {deletion}")), "{said}");
}
