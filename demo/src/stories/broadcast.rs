//! A notice to all bureaus but one, which its source denies; and that one finds no trace of it.

use anyhow::ensure;
use client::audit::Shown;
use client::{Client, Compose, audit};
use proto::v1::Kind;

use crate::letters::{addresses, all_read, hears_nothing, letter, read, receive, send};
use crate::scene::Scene;

/// Plays it.
///
/// # Errors
/// When anything does not happen as it must.
pub(super) async fn play(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    let members = ["ke", "th", "np", "cn", "gb", "us", "ipsg/ens"];
    let [mut kenya, mut thailand, mut nepal, mut china, mut britain, mut america, mut secretariat] = scene.cast(members).await?;
    let tell = &mut *scene.tell;

    tell.step("What gb and us see of the network before");
    let before = (sees(&mut britain).await?, sees(&mut america).await?);
    tell.timed(&format!("gb: messages: {}, entries of the log that it is shown: {}", before.0.mail, before.0.entries));
    tell.timed(&format!("us: messages: {}, entries of the log that it is shown: {}", before.1.mail, before.1.entries));

    tell.step("Kenya asks for a notice that must not reach gb: the suspect has a friend in its registry");
    let request = send(&mut kenya, letter(Kind::NoticeRequest, &["ipsg/ens"], REQUEST)?, tell).await?;
    read(&mut secretariat, &request.reference, tell).await?;

    tell.step("The General Secretariat publishes it to all bureaus but gb");
    let notice = Compose { except: addresses(&["gb"])?, ..letter(Kind::Notice, &["all/ncb"], NOTICE)? };
    let notice = send(&mut secretariat, notice, tell).await?;
    let mut readers = [&mut kenya, &mut thailand, &mut nepal, &mut china, &mut america];
    let opened = all_read(&mut readers, &notice.reference, tell).await?;
    ensure!(opened.iter().all(|one| one.header.context.via_group.is_none()), "the header names the group");
    tell.say("the header names no group: nothing tells those who have it that somebody is missing");

    tell.step("gb looks for a trace");
    hears_nothing(&mut britain, &notice.reference, tell).await?;
    let after = (sees(&mut britain).await?, sees(&mut america).await?);
    ensure!(after.0 == before.0, "gb sees {:?}, before {:?}", after.0, before.0);
    tell.timed(&format!("gb: messages: {}, entries: {}, as before", after.0.mail, after.0.entries));
    ensure!(after.1.mail == before.1.mail + 1 && after.1.entries > before.1.entries, "us sees {:?}, before {:?}", after.1, before.1);
    tell.timed(&format!("us, which was not denied: messages: {}, entries: {}", after.1.mail, after.1.entries));
    tell.say("the log has grown for both: that something happened is seen by all, by whom and for whom only by those concerned");

    drop((kenya, thailand, nepal, china, britain, america, secretariat));
    scene.audit().await.map(drop)
}

/// How much of what happens a bureau can see.
#[derive(Debug, PartialEq, Eq)]
struct View {
    /// Messages in its mailbox.
    mail: usize,
    /// Entries of the log of which it is shown more than a hash.
    entries: u64,
}

async fn sees(bureau: &mut Client) -> anyhow::Result<View> {
    receive(bureau).await?;
    let mut entries = 0;
    let verdict = audit::verify(bureau, &audit::Options::default(), |line, _| entries += u64::from(line.shown != Shown::Hash)).await?;
    ensure!(verdict.findings.is_empty(), "findings: {:?}", verdict.findings);
    Ok(View { mail: bureau.inbox()?.len(), entries })
}

const REQUEST: &str = r#"{"body":{"colour":"blue","crimeArea":"wildlife","subjects":[{"kind":"person","text":"a dealer in antique ivory"}],
    "text":"he is warned from the registry"},"notTo":["GB"]}"#;
const NOTICE: &str = r#"{"number":"B-9/2026","owner":"ke","status":"published","body":{"colour":"blue","crimeArea":"wildlife",
    "subjects":[{"kind":"person","text":"a dealer in antique ivory"}],"text":"accounts, travel, store rooms?","action":"identify"}}"#;
