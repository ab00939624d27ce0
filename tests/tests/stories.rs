//! The stories of the demo, played over real sockets. Each demands of itself what must happen and ends with a full audit; here
//! it is played twice in one folder, and the store that it leaves is checked.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::LazyLock;

use clap::ValueEnum as _;
use demo::network::Members;
use demo::{Folder, Narrator, Story};
use envelope::keys::random;

/// The log of all gateways of this process, which the story of the forger reads.
static LOG: LazyLock<tempfile::NamedTempFile> = LazyLock::new(|| {
    let file = tempfile::NamedTempFile::new().expect("a file");
    demo::log_to(file.path()).expect("nothing else has the log");
    file
});

/// An address on loopback that no other test uses.
fn listen() -> SocketAddr {
    let [a, b] = random::<2>().expect("random bytes");
    let ip = Ipv4Addr::new(127, 78, a, b.clamp(1, 254));
    TcpListener::bind((ip, 0)).and_then(|listener| listener.local_addr()).expect("a free port")
}

fn network(path: &Path) -> Folder {
    let folder = Folder::mint(&path.join("network"), &Members::of_stories().expect("addresses"), listen()).expect("a network");
    std::os::unix::fs::symlink(LOG.path(), folder.log_path()).expect("linked");
    folder
}

async fn play(story: Story, folder: &Folder) -> Vec<String> {
    let mut tell = Narrator::keeping();
    tell.step("A network");
    let played = demo::stories::play(story, folder, &mut tell).await;
    let said = tell.kept().join("\n");
    played.unwrap_or_else(|error| panic!("{story:?}: {error:#}\n{said}"));
    let checked = gateway::check(&folder.config().expect("a configuration")).expect("the store opens");
    assert_eq!(checked.damage, [], "{story:?}\n{said}");
    let steps: Vec<String> = tell.kept().iter().filter(|line| line.starts_with('\n')).map(|line| line.trim().to_owned()).collect();
    let numbered = steps.iter().zip(1..).all(|(step, number)| step.starts_with(&format!("{number}. ")));
    assert!(numbered && steps.len() > 3, "{steps:?}");
    let last = if story == Story::Ivory { steps.len() - 2 } else { steps.len() - 1 };
    assert!(steps[last].contains("The auditor aud/network replays the log from its first entry"), "{steps:?}");
    tell.kept().to_vec()
}

/// Plays a story in a new network, and again; what it says must name each of `words`.
async fn check(story: Story, words: &[&str]) {
    let temporary = tempfile::tempdir().expect("a folder");
    let folder = network(temporary.path());
    for _ in 0..2 {
        let said = play(story, &folder).await.join("\n");
        let unsaid: Vec<_> = words.iter().filter(|word| !said.contains(**word)).collect();
        assert!(unsaid.is_empty(), "{unsaid:?} in\n{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ivory() {
    check(Story::Ivory, &["at the door", "NOT_SENDER", "byte for byte", "flipped"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn container() {
    check(
        Story::Container,
        &["seizure, urgent", "ecomessage, routine", "request, urgent", "reply, routine", "th, ke, cn, ke/cus/kemba read"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn vessel() {
    check(Story::Vessel, &["notice-request", "sealed to cn, gb, ke, np, th, us", "alert, flash", "MING STAR"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transit() {
    check(Story::Transit, &["alert, flash", "request, flash", "ke, cn, ke/air/kenbo read", "-> cn: acknowledged"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn turtles() {
    check(Story::Turtles, &["state: partial", "state: final", "org/latf reads"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn songbirds() {
    check(Story::Songbirds, &["keeps both", "is not reachable", "the old receipts"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn timber() {
    check(Story::Timber, &["NO_GRANT", "warning, urgent", "feedback, routine", "seizure, routine", "nothing of it is there"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn supervised() {
    check(Story::Supervised, &["waits for the word of ipsg/compliance", "-> ke: refused", "-> ke: acknowledged"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion() {
    check(Story::Deletion, &["NO_AUTHORITY", "th attested", "ke attested", "np has not attested"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn revoked() {
    check(Story::Revoked, &["in the middle", "CERTIFICATE_REFUSED", "numbers without a gap"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn broadcast() {
    check(Story::Broadcast, &["sealed to cn, ke, np, th, us", "as before", "which was not denied"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn suspended() {
    check(Story::Suspended, &["NO_GRANT", "the thief reads", "UNKNOWN_RECIPIENT", "connected again"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn denied() {
    check(Story::Denied, &["is shown nothing", "names no group"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_story_goes_on_where_any_other_stopped() {
    let temporary = tempfile::tempdir().expect("a folder");
    let folder = network(temporary.path());
    for story in Story::value_variants().iter().rev() {
        play(*story, &folder).await;
    }
}
