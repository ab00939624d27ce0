//! Every call of the store fails once, in each way in which it can.

use envelope::draft::Draft;

use super::{Kind, Stage};
use crate::{AppendError, Engine, Fault, Ledger, OpenError, Plan, SaveError, create, open};

/// What one run does until something fails; batches that were not acknowledged are returned.
fn run(stage: &mut Stage, plan: &Plan) -> Option<Vec<Draft>> {
    let engine = Engine::Faulty(Box::new(stage.engine()), plan.clone());
    let created = create(engine.clone(), &stage.dir(), &Stage::config(), stage.signers());
    let Ok(ledger) = created else { return None };
    for count in [2, 5] {
        let drafts = stage.drafts(count);
        if let Err(failed) = append_or_leave(stage, &*ledger, &drafts) {
            assert!(failed, "a failure that changes nothing was not left for good");
            return Some(drafts);
        }
        let kept = ledger.keep_evidence("name", b"note");
        if matches!(kept, Err(SaveError::Unknown(_) | SaveError::Closed)) {
            return None;
        }
        // Reading may fail, but what it gives is right.
        (0..2).for_each(|index| drop(stage.check_entry(&*ledger, index)));
    }
    drop(ledger);
    drop(open(engine, &stage.dir(), &Stage::config(), stage.signers()));
    None
}

/// `Err(true)` when nobody knows; a failure that has changed nothing is tried again.
fn append_or_leave(stage: &mut Stage, ledger: &dyn Ledger, drafts: &[Draft]) -> Result<(), bool> {
    let size = ledger.size();
    match stage.append(ledger, drafts.to_vec()) {
        Ok(_) => Ok(()),
        Err(AppendError::Unknown(_)) => {
            assert_eq!(ledger.size(), size);
            let again = stage.append(ledger, drafts.to_vec());
            assert!(matches!(again, Err(AppendError::Closed)), "it went on after {again:?}");
            Err(true)
        }
        Err(AppendError::Full(_)) => {
            stage.check_heads(ledger);
            stage.append(ledger, drafts.to_vec()).map(drop).map_err(|_| false)
        }
        Err(error) => panic!("{error:?}"),
    }
}

fn check(kind: Kind, fault: Fault) {
    let (mut persisted, mut lost) = (0, 0);
    for at in 1.. {
        let mut stage = Stage::new(kind);
        let plan = Plan::new(fault, at);
        let in_doubt = run(&mut stage, &plan);
        if !plan.is_spent() {
            assert!(at > 20, "only {at} calls were tried");
            break;
        }
        let ledger = match stage.try_open() {
            Err(OpenError::Missing(_)) => stage.create(),
            opened => opened.unwrap(),
        };
        // The batch in doubt is there whole, or not at all.
        let (size, known) = (ledger.size(), stage.known.len() as u64);
        if let Some(drafts) = in_doubt {
            let whole = known + drafts.len() as u64;
            assert!(size == known || size == whole, "{size} entries, {known} acknowledged, {whole} with the batch in doubt");
            if size == whole { persisted += 1 } else { lost += 1 }
        } else {
            assert_eq!(size, known);
        }
        stage.check_heads(&*ledger);
        stage.check_entries(&*ledger);
        // And it goes on from there.
        let drafts = stage.drafts(3);
        stage.at += 10;
        let committed = ledger.append(size, envelope::time::Timestamp(stage.at), drafts).unwrap();
        stage.record.release(&committed.checkpoint, stage.signers().log.key());
        stage.check_heads(&*ledger);
        drop(ledger);
        let ledger = stage.open();
        stage.check_heads(&*ledger);
        assert_eq!(ledger.scrub(0, size + 3).unwrap().findings, []);
        assert!(stage.record.released_sizes() > 1);
    }
    // Both ends of the doubt were met, as far as the fault can lead to them.
    assert_eq!(persisted > 0, fault == Fault::FailsButPersists, "{persisted} in doubt were there");
    assert!(lost > 0, "none in doubt was lost");
}

#[test]
fn each_call_fails_in_memory() {
    check(Kind::Memory, Fault::Fails);
}

#[test]
fn each_call_fails_but_persists_in_memory() {
    check(Kind::Memory, Fault::FailsButPersists);
}

#[test]
fn each_call_finds_the_disk_full_in_memory() {
    check(Kind::Memory, Fault::DiskFull);
}

#[test]
fn each_call_fails_in_redb() {
    check(Kind::Redb, Fault::Fails);
}

#[test]
fn each_call_fails_but_persists_in_redb() {
    check(Kind::Redb, Fault::FailsButPersists);
}

#[test]
fn each_call_finds_the_disk_full_in_redb() {
    check(Kind::Redb, Fault::DiskFull);
}

#[test]
fn each_call_fails_in_sled() {
    check(Kind::Sled, Fault::Fails);
}

#[test]
fn each_call_fails_but_persists_in_sled() {
    check(Kind::Sled, Fault::FailsButPersists);
}

#[test]
fn each_call_finds_the_disk_full_in_sled() {
    check(Kind::Sled, Fault::DiskFull);
}

#[test]
fn a_signer_that_fails_changes_nothing() {
    use tlog::{NoteSigner, SignError, VerifierKey};
    struct Tired(tlog::Ed25519Signer, std::sync::atomic::AtomicU64);
    impl NoteSigner for Tired {
        fn key(&self) -> &VerifierKey {
            self.0.key()
        }
        fn sign(&self, text: &[u8]) -> Result<[u8; 64], SignError> {
            if self.1.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 2 {
                return Err(SignError { name: "tired".to_owned(), cause: "not now".into() });
            }
            self.0.sign(text)
        }
    }
    let mut stage = Stage::new(Kind::Redb);
    let mut signers = stage.signers();
    let tired = tlog::Ed25519Signer::from_seed(super::ORIGIN, &[1; 32]).unwrap();
    signers.log = Box::new(Tired(tired, 0.into()));
    let ledger = create(stage.engine(), &stage.dir(), &Stage::config(), signers).unwrap();
    let (first, second) = (stage.drafts(2), stage.drafts(2));
    let now = envelope::time::Timestamp(5_000);
    ledger.append(0, now, first).unwrap();
    let refused = ledger.append(2, now, second.clone());
    assert!(matches!(refused, Err(AppendError::Sign(_))), "{refused:?}");
    assert_eq!(ledger.size(), 2);
    assert_eq!(ledger.append(2, now, second).unwrap().size, 4);
    assert_eq!(ledger.scrub(0, 4).unwrap().findings, []);
}
