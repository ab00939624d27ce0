//! A network of the world's size: 196 bureaus, 400 endpoints, desks, partners and the programmes; one notice to every bureau, timed
//! step by step.
//!
//! It does not know a story. What it measures is one machine with everything on it.

mod programmes;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use client::{Client, Compose};
use envelope::Address;
use gateway::Running;
use proto::v1::{Kind, RecipientState};

use crate::letters::{form, letter, receive};
use crate::narrator::Narrator;
use crate::network::{Folder, Members};
use crate::scene::audited;

/// Who is enrolled: bureaus, two or three endpoints of each, desks, services, partners, an auditor.
///
/// # Errors
/// None while the addresses below are addresses.
pub fn members() -> anyhow::Result<Members> {
    let mut all: Vec<String> = BUREAUS.split_whitespace().map(str::to_owned).collect();
    let third = ENDPOINTS - 2 * all.len();
    let sites = |(at, bureau): (usize, &String)| {
        let air = (at < third).then(|| format!("{bureau}/air/x-main"));
        [Some(format!("{bureau}/cus/x-port")), Some(format!("{bureau}/bor/x-land")), air].into_iter().flatten().collect::<Vec<_>>()
    };
    let endpoints: Vec<String> = all.iter().enumerate().flat_map(sites).collect();
    all.extend(endpoints);
    all.extend(OTHERS.split_whitespace().map(str::to_owned));
    let enrolled = all.iter().map(|text| Address::parse(text)).collect::<Result<_, _>>()?;
    Ok(Members { enrolled, certified: Vec::new() })
}

/// Builds the network in `path`, if it is not there, and broadcasts a notice.
///
/// # Errors
/// When anything does not happen as it must.
pub async fn play(path: &Path, tell: &mut Narrator) -> anyhow::Result<()> {
    tell.step("A network of 196 bureaus and 400 endpoints");
    let members = members()?;
    let (folder, new) = Folder::open_or_mint_with(path, &members)?;
    crate::log_to(&folder.log_path())?;
    let what = if new { "minted for development" } else { "found" };
    tell.timed(&format!("{what} in {}: {} participants with certificates", path.display(), members.enrolled.len()));
    let running = folder.start().await?;
    tell.timed(&format!("the gateway serves on {} with {} entries in its log", running.address, running.size));
    let played = notice_to_all(&folder, &running, tell).await;
    running.stop().await;
    played
}

async fn notice_to_all(folder: &Folder, running: &Running, tell: &mut Narrator) -> anyhow::Result<()> {
    tell.step("Every bureau connects and publishes its key");
    let bureaus: Vec<&str> = BUREAUS.split_whitespace().collect();
    for bureau in &bureaus {
        drop(folder.client(running, bureau).await.with_context(|| format!("{bureau} does not connect"))?);
    }
    tell.timed(&format!("{} bureaus, one after another on this machine", bureaus.len()));
    let mut desk = folder.client(running, "ipsg/ens").await?;
    programmes::groups(folder, running, &mut desk, tell).await?;
    programmes::teams(folder, running, tell).await?;
    programmes::analysis(folder, running, tell).await?;
    let notice = broadcast(&mut desk, bureaus.len(), tell).await?;
    drop(desk);

    tell.step("Every bureau fetches the notice and opens it");
    let mut took = Vec::with_capacity(bureaus.len());
    for bureau in &bureaus {
        let mut client = folder.client(running, bureau).await?;
        let began = Instant::now();
        receive(&mut client).await?;
        let opened = client.open(&notice)?;
        ensure!(opened.content == form(Kind::Notice, NOTICE)?.1, "{bureau} opened other bytes than were sent");
        took.push(began.elapsed());
    }
    took.sort();
    let slowest = took.last().copied().unwrap_or_default();
    tell.timed(&format!(
        "{} have it; from asking to opened: {} in the middle, {} at most",
        took.len(),
        ms(took[took.len() / 2]),
        ms(slowest)
    ));
    audited(&mut folder.client(running, "aud/network").await?, tell).await.map(drop)
}

/// One notice to all bureaus, and how long each part of the way took.
async fn broadcast(desk: &mut Client, bureaus: usize, tell: &mut Narrator) -> anyhow::Result<envelope::Reference> {
    tell.step("The General Secretariat publishes a notice to every bureau");
    desk.refresh_directory().await?;
    let message = Compose { wait: Duration::from_secs(30), ..letter(Kind::Notice, &["all/ncb"], NOTICE)? };
    let began = Instant::now();
    let told = desk.explain(&message)?;
    let composed = began.elapsed();
    ensure!(told.refusal().is_none() && told.recipients.len() == bureaus, "{:?}, {} recipients", told.refusal(), told.recipients.len());
    desk.queue(&message).await?;
    let sealed = began.elapsed();
    let flushed = desk.flush_outbox(message.wait).await?;
    let durable = began.elapsed();
    ensure!(flushed.refused.is_empty() && flushed.pending.is_none(), "{flushed:?}");
    let sent = flushed.sent.into_iter().next().context("nothing was sent")?;
    let states = desk.status(&sent.reference).await?;
    let available = began.elapsed();
    ensure!(states.len() == bureaus && states.iter().all(|one| one.state() == RecipientState::Available), "{states:?}");
    tell.say(&format!("composed   {:>8}   all/ncb became {bureaus} bureaus, and every rule was asked", ms(composed)));
    tell.say(&format!("sealed     {:>8}   to each of them, signed, and on the desk's disk", ms(sealed)));
    tell.say(&format!("durable    {:>8}   {} at entry {}, receipt verified", ms(durable), sent.reference, sent.position.index));
    tell.say(&format!("available  {:>8}   in {bureaus} mailboxes, by the gateway's signed word", ms(available)));
    Ok(sent.reference)
}

fn ms(took: Duration) -> String {
    format!("{} ms", took.as_millis())
}

/// Member countries: 196 codes of ISO 3166-1.
const BUREAUS: &str = "ad ae af ag al am ao ar at au aw az ba bb bd be bf bg bh bi bj bn bo br bs bt bw by bz ca cd cf cg \
    ch ci cl cm cn co cr cu cv cw cy cz de dj dk dm do dz ec ee eg er es et fi fj fm fr ga gb gd ge gh \
    gm gn gq gr gt gw gy hn hr ht hu id ie il in iq ir is it jm jo jp ke kg kh ki km kn kr kw kz la lb \
    lc li lk lr ls lt lu lv ly ma mc md me mg mh mk ml mm mn mr mt mu mv mw mx my mz na ne ng ni nl no \
    np nr nz om pa pe pg ph pk pl ps pt pw py qa ro rs ru rw sa sb sc sd se sg si sk sl sm sn so sr ss \
    st sv sx sy sz td tg th tj tl tm tn to tr tt tz ua ug us uy uz va vc ve vn vu ws ye za zm zw";
/// Border posts, customs offices and airports together.
const ENDPOINTS: usize = 400;
/// Everybody who belongs to no country.
const OTHERS: &str = "ipsg/ens ipsg/ccc ipsg/compliance ipsg/rb/abidjan ipsg/rb/buenos-aires ipsg/rb/harare ipsg/rb/nairobi \
    ipsg/rb/san-salvador ipsg/rb/yaounde svc/imaf svc/vessels org/cites org/wco org/latf org/sawen aud/network";
const NOTICE: &str = r#"{"number":"P-17/2026","owner":"ke","status":"published","body":{"colour":"purple","crimeArea":"fisheries",
    "modusOperandi":"one hull, a new name and flag after each port","subjects":[{"kind":"vessel","vessel":{"imo":{"raw":"9074729"}}}]}}"#;

#[cfg(test)]
mod tests {
    use super::*;
    use envelope::Class;

    #[test]
    fn the_world_has_196_bureaus_and_400_endpoints_each_once() {
        let mut all = members().expect("addresses").enrolled;
        let count = |class| all.iter().filter(|one| one.class() == class).count();
        assert_eq!((count(Class::Ncb), count(Class::Endpoint)), (196, ENDPOINTS));
        let listed = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), listed);
    }
}
