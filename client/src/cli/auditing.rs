//! `audit replay` and `audit verify`.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use crate::audit::{self, Line, Options, Verdict};
use crate::words::Escaped;
use crate::{Client, Error, Profile};
use envelope::Class;
use indicatif::{ProgressBar, ProgressDrawTarget};
use serde::Serialize;

use super::secrets::Secrets;
use super::{args, print};

#[derive(Serialize)]
struct EntryLine<'a> {
    index: u64,
    leaf_hash: String,
    at_ms: Option<u64>,
    kind: String,
    shown: &'static str,
    summary: &'a str,
}

#[derive(Serialize)]
struct FindingLine<'a> {
    finding: &'a str,
    index: u64,
    text: &'a str,
}

#[derive(Serialize)]
struct VerdictLine {
    size: u64,
    root: String,
    state_digest: Option<String>,
    judged: u64,
    withheld: u64,
    purged: u64,
    findings: usize,
    senders: Vec<Sender>,
    gaps: Vec<GapLine>,
}

#[derive(Serialize)]
struct Sender {
    sender: String,
    messages: u64,
}

#[derive(Serialize)]
struct GapLine {
    sender: String,
    year: u32,
    series: u32,
    first: u64,
    last: u64,
}

pub(super) async fn run(audit: &args::Audit, secrets: &Secrets, way: &args::Way) -> Result<ExitCode, Error> {
    match &audit.command {
        args::AuditCommand::Replay(replay) => self::replay(replay, secrets, way).await,
        args::AuditCommand::Verify(verify) => self::verify(verify, secrets, way).await,
        args::AuditCommand::Statistics(looking) => super::overdue::statistics(looking, secrets, way).await,
    }
}

async fn replay(replay: &args::Replay, secrets: &Secrets, way: &args::Way) -> Result<ExitCode, Error> {
    let profile = super::open(&replay.profile, secrets, super::PROFILE_WAIT, way).await?;
    let bar = bar();
    // Where the entries go to the terminal, they are their own progress.
    let aside = !std::io::stdout().is_terminal();
    let verdict = visit(&profile, replay, way, |line, size| {
        if aside {
            advance(&bar, line, size);
        }
        entry(line, replay.json);
    })
    .await;
    bar.finish_and_clear();
    let verdict = verdict?;
    print::note(&format!("{} entries, root {}", verdict.size, verdict.root));
    Ok(code(&verdict))
}

async fn verify(verify: &args::Replay, secrets: &Secrets, way: &args::Way) -> Result<ExitCode, Error> {
    if verify.from > 0 {
        let text = "NOT JUDGED: verify judges the log from entry 0; `audit replay --from N` reads from entry N";
        return Err(Error::Argument(text.to_owned()));
    }
    let bar = bar();
    let profile = super::open(&verify.profile, secrets, super::PROFILE_WAIT, way).await?;
    if profile.address().class() != Class::Auditor {
        let text = "only an auditor's certificate sees openings; use `audit replay` for your own entries";
        return Err(Error::refused("NO_AUTHORITY", text));
    }
    let verdict = visit(&profile, verify, way, |line, size| advance(&bar, line, size)).await;
    bar.finish_and_clear();
    let verdict = verdict?;
    print_verdict(&verdict, verify.json);
    Ok(code(&verdict))
}

/// On anything but a terminal nothing is drawn.
fn bar() -> ProgressBar {
    ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())
}

fn advance(bar: &ProgressBar, line: &Line<'_>, size: u64) {
    bar.set_length(size);
    bar.set_position(line.index + 1);
}

async fn visit(profile: &Profile, replay: &args::Replay, way: &args::Way, each: impl FnMut(&Line<'_>, u64)) -> Result<Verdict, Error> {
    let mut client = Client::connect(profile).await?;
    print::carrier(&client, way);
    let options = Options { from: replay.from, purpose: replay.purpose.clone() };
    audit::verify(&mut client, &options, each).await
}

fn code(verdict: &Verdict) -> ExitCode {
    if verdict.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(5) }
}

fn entry(line: &Line<'_>, json: bool) {
    let kind = line.kind_word();
    if json {
        let at_ms = line.leaf.map(|leaf| leaf.at.ms());
        return print::json(&EntryLine {
            index: line.index,
            leaf_hash: line.leaf_hash.to_string(),
            at_ms,
            kind,
            shown: line.shown.word(),
            summary: &line.summary(),
        });
    }
    let at = line.leaf.map_or_else(|| "-".to_owned(), |leaf| leaf.at.to_string());
    print::line(&format!("{:>8}  {at:<24}  {kind:<16} {:<8} {}", line.index, line.shown.word(), Escaped(&line.summary())));
}

fn print_verdict(verdict: &Verdict, json: bool) {
    for finding in &verdict.findings {
        if json {
            print::json(&FindingLine { finding: finding.rule, index: finding.index, text: &finding.text });
        } else {
            print::line(&format!("FINDING {} at entry {}: {}", finding.rule, finding.index, Escaped(&finding.text)));
        }
    }
    let state_digest = verdict.state_digest.map(|digest| envelope::genesis::hex(&digest));
    if json {
        let sender = |(sender, messages): (&envelope::Address, &u64)| Sender { sender: sender.to_string(), messages: *messages };
        let gap = |gap: &exchange::Gap| GapLine {
            sender: gap.sender.to_string(),
            year: gap.year,
            series: gap.series,
            first: gap.first,
            last: gap.last,
        };
        return print::json(&VerdictLine {
            size: verdict.size,
            root: verdict.root.to_string(),
            state_digest,
            judged: verdict.judged,
            withheld: verdict.withheld,
            purged: verdict.purged,
            findings: verdict.findings.len(),
            senders: verdict.counts.iter().map(sender).collect(),
            gaps: verdict.gaps.iter().map(gap).collect(),
        });
    }
    for (sender, messages) in &verdict.counts {
        print::line(&format!("{sender:<24} {messages} messages"));
    }
    for gap in &verdict.gaps {
        print::line(&format!("gap: {} {}.{} numbers {} to {}", gap.sender, gap.year, gap.series, gap.first, gap.last));
    }
    let (judged, withheld, purged) = (verdict.judged, verdict.withheld, verdict.purged);
    print::line(&format!("entries  {}, judged {judged}, withheld {withheld}, purged {purged}", verdict.size));
    print::line(&format!("root     {}", verdict.root));
    print::line(&format!("state    {}", state_digest.as_deref().unwrap_or("not every entry was judged")));
    let gaps = if verdict.state_digest.is_some() { verdict.gaps.len().to_string() } else { "not every entry was judged".to_owned() };
    print::line(&format!("gaps     {gaps}"));
    print::line(&format!("findings {}", verdict.findings.len()));
}
