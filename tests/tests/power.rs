//! Power cuts under a gateway at work: what was acknowledged is there afterwards. Few rounds; `tests/nightly/power-cut` has many.
//!
//! On a real ext4 where a file system may be mounted. Always on a record of all writes and syncs, whose disk is harsher.

use bench::power::{Options, Tally, Way, run};
use gateway::config::EngineName;

const ROUNDS: usize = 4;

async fn check(way: Way, engine: EngineName, unsynced: bool) -> Tally {
    let program = vec![env!("CARGO_BIN_EXE_ecowire-all").into(), "ecowire-gateway".into()];
    let options = Options { engine, unsynced, way, rounds: ROUNDS, program };
    let tally = run(&options).await.expect("the power is cut");
    println!("{}, {engine:?}: {tally:?}", way.name());
    assert_eq!(tally.rounds, ROUNDS);
    assert!(tally.acknowledged > ROUNDS * 20, "{tally:?}");
    tally
}

/// The ways that this machine allows.
fn ways() -> Vec<Way> {
    let mounted = Way::mounted().inspect_err(|error| println!("nothing can be mounted here, so writes are recorded only: {error:#}"));
    mounted.into_iter().chain([Way::Recorded]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn redb_loses_nothing_that_was_acknowledged() {
    for way in ways() {
        let tally = check(way, EngineName::Redb, false).await;
        assert_eq!((tally.lost, tally.damaged, tally.sound), (0, 0, ROUNDS), "{}", way.name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sled_with_our_syncs_loses_nothing_that_was_acknowledged() {
    for way in ways() {
        let tally = check(way, EngineName::Sled, false).await;
        assert_eq!((tally.lost, tally.damaged, tally.sound), (0, 0, ROUNDS), "{}", way.name());
    }
}

/// The experiment sees a loss when there is one: sled as it is documented, on a disk that keeps its promises and no more.
#[tokio::test(flavor = "multi_thread")]
async fn sled_as_documented_loses_what_was_acknowledged() {
    let tally = check(Way::Recorded, EngineName::Sled, true).await;
    assert!(tally.lost > 0, "{tally:?}");
}
