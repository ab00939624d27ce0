//! Messages that wait for a bureau's or a desk's word, permissions that messages name, and deletions that are attested to, over real
//! sockets. Each ends with a full audit.

mod theatre;

use client::bureau::Terms;
use client::holds::Permit;
use client::{Client, Compose, Error, Mail, ReceiveOptions};
use envelope::Reference;
use envelope::entry::Entry;
use proto::v1::{Handling, Kind, OversightMode, ParticipantState, RecipientState, ReleaseReason, ReleaseVerdict, StandingReason};
use theatre::{Theatre, address, audit, note};

const CAST: [&str; 8] = ["ke", "th", "np", "ke/cus/kemba", "ipsg/ens", "ipsg/compliance", "aud/network", "aud/ke"];

async fn clients<const N: usize>(theatre: &Theatre, members: [&str; N]) -> [Client; N] {
    let mut clients = Vec::new();
    for member in members {
        clients.push(theatre.client(member).await);
    }
    let mut clients: [Client; N] = clients.try_into().unwrap_or_else(|_| unreachable!("as many as members"));
    for client in &mut clients {
        client.refresh_directory().await.expect("the directory");
    }
    clients
}

async fn mail(client: &mut Client) -> Mail {
    let mail = client.receive(ReceiveOptions::default()).await.expect("mail");
    assert_eq!(mail.unsound, Vec::<String>::new());
    assert!(mail.received.iter().all(|one| one.finding.is_none()), "{:?}", mail.received);
    mail
}

/// What became of a message at each recipient.
async fn states(client: &mut Client, reference: &Reference) -> Vec<(String, RecipientState)> {
    let all = client.status(reference).await.expect("a status");
    all.into_iter().map(|one| (one.recipient.clone(), one.state())).collect()
}

fn refused<T: std::fmt::Debug>(outcome: Result<T, Error>) -> String {
    outcome.expect_err("it is refused").name().unwrap_or("no refusal").to_owned()
}

async fn end(theatre: Theatre, running: gateway::Running) -> Vec<Entry> {
    for auditor in ["aud/network", "aud/ke"] {
        let verdict = audit(&mut theatre.client(auditor).await).await;
        assert_eq!((verdict.judged, verdict.gaps.len()), (if auditor == "aud/network" { verdict.size } else { verdict.judged }, 0));
    }
    running.stop().await;
    theatre.check();
    theatre.entries().into_iter().map(|(_, entry)| entry).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_post_in_release_mode_writes_abroad_waits_for_its_bureau() {
    let theatre = Theatre::new(&CAST);
    let running = theatre.start().await;
    let [mut kenya, mut thailand, mut post] = clients(&theatre, ["ke", "th", "ke/cus/kemba"]).await;
    let terms = Terms { oversight: OversightMode::Release, open_to_foreign: true, ..Terms::default() };
    kenya.enrol(&theatre.identity("ke/cus/kemba").join("identity.pem"), terms).await.expect("new terms");
    post.refresh_directory().await.expect("the directory");

    let told = post.explain(&note(&["th"], "a container")).expect("told");
    assert_eq!((told.refusal(), &told.held_by), (None, &Some(address("ke"))));
    let first = post.send(note(&["th"], "a container")).await.expect("sent");
    let second = post.send(note(&["th"], "the wrong container")).await.expect("sent");
    assert_eq!(first.held_by, Some(address("ke")));
    assert_eq!(mail(&mut thailand).await.received.len(), 0, "nothing tells Thailand that something waits");
    assert_eq!(
        states(&mut post, &first.reference).await,
        [("th".to_owned(), RecipientState::Held), ("ke".to_owned(), RecipientState::Available)]
    );

    mail(&mut kenya).await;
    let waiting: Vec<Reference> = kenya.held().expect("a list").into_iter().map(|one| one.reference).collect();
    assert_eq!(waiting, [first.reference.clone(), second.reference.clone()]);
    let by_another = thailand.give_word(&first.reference, ReleaseVerdict::Released, ReleaseReason::None).await;
    assert!(matches!(by_another, Err(Error::NotHere(_))), "{by_another:?}");
    kenya.give_word(&second.reference, ReleaseVerdict::Refused, ReleaseReason::Incomplete).await.expect("refused");
    kenya.give_word(&first.reference, ReleaseVerdict::Released, ReleaseReason::None).await.expect("released");
    let again = kenya.give_word(&second.reference, ReleaseVerdict::Released, ReleaseReason::None).await;
    assert_eq!(refused(again), "NO_AUTHORITY", "what was refused stays refused");
    assert_eq!(kenya.held().expect("a list").len(), 0);

    // A plain message of Thailand's neighbour comes between: the numbers of the mailbox follow the releases.
    let got = mail(&mut thailand).await;
    assert_eq!(got.received.iter().map(|one| (one.reference.clone(), one.mailbox_seq)).collect::<Vec<_>>(), [(first.reference.clone(), 1)]);
    assert_eq!(got.missing, Vec::<u64>::new());
    assert_eq!(thailand.open(&first.reference).expect("it opens").content, b"a container");
    assert_eq!(states(&mut post, &first.reference).await[0], ("th".to_owned(), RecipientState::Delivered));
    assert_eq!(states(&mut post, &second.reference).await[0], ("th".to_owned(), RecipientState::Refused));

    // A waiver of the bureau does away with copy and hold.
    let week = Permit::Waiver { lifetime_ms: 7 * 86_400_000 };
    let waiver = kenya.permit(&address("ke/cus/kemba"), &week).await.expect("permitted");
    assert_eq!(refused(thailand.permit(&address("ke/cus/kemba"), &week).await), "NO_AUTHORITY");
    post.refresh_directory().await.expect("the directory");
    let free = Compose { permissions: vec![waiver.digest], ..note(&["th"], "at once") };
    let third = post.send(free).await.expect("sent");
    assert_eq!(states(&mut post, &third.reference).await, [("th".to_owned(), RecipientState::Available)]);
    assert_eq!(mail(&mut thailand).await.received.len(), 1, "with the waiver beside it, Thailand's client agrees");
    drop((kenya, thailand, post));

    // A profile that is made anew fetches what was released, as released.
    std::fs::remove_dir_all(theatre.profile_dir("th")).expect("the profile is gone");
    let mut anew = theatre.client("th").await;
    let again = anew.receive(ReceiveOptions::default()).await.expect("mail");
    assert_eq!((again.received.len(), again.unsound.len()), (2, 0));
    drop(anew);
    let entries = end(theatre, running).await;
    assert_eq!(entries.iter().filter(|entry| matches!(entry, Entry::Release { .. })).count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervised_bureaus_diffusion_waits_for_the_compliance_desk() {
    let theatre = Theatre::new(&CAST);
    let running = theatre.start().await;
    let [mut nepal, mut kenya, mut compliance] = clients(&theatre, ["np", "ke", "ipsg/compliance"]).await;
    drop(theatre.client("ipsg/ens").await);
    let supervised = ParticipantState::Supervised;
    compliance.set_standing(&address("np"), supervised, StandingReason::Investigation).await.expect("supervised");
    nepal.refresh_directory().await.expect("the directory");
    let diffusion = Compose { kind: Kind::Diffusion, ..note(&["ke", "ipsg/ens"], "wanted for his opinions") };
    let sent = nepal.send(diffusion).await.expect("sent");
    assert_eq!(sent.held_by, Some(address("ipsg/compliance")), "the desk was added by itself");
    let plain = nepal.send(note(&["ke"], "between bureaus")).await.expect("sent");
    assert_eq!(plain.held_by, None);
    assert_eq!(mail(&mut kenya).await.received.iter().map(|one| one.reference.clone()).collect::<Vec<_>>(), [plain.reference]);

    mail(&mut compliance).await;
    assert_eq!(compliance.open(&sent.reference).expect("it opens").content, b"wanted for his opinions");
    compliance.give_word(&sent.reference, ReleaseVerdict::Refused, ReleaseReason::Rules).await.expect("refused");
    assert_eq!(mail(&mut kenya).await.received.len(), 0);
    let told = states(&mut nepal, &sent.reference).await;
    assert_eq!(told[..2], [("ke".to_owned(), RecipientState::Refused), ("ipsg/ens".to_owned(), RecipientState::Refused)]);
    drop((nepal, kenya, compliance));
    end(theatre, running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_bound_is_passed_on_with_permission_only() {
    let theatre = Theatre::new(&CAST);
    let running = theatre.start().await;
    let [mut kenya, mut thailand, mut nepal] = clients(&theatre, ["ke", "th", "np"]).await;
    let bound = kenya.send(Compose { handling: Handling::H2, ..note(&["th"], "from a source") }).await.expect("sent");
    mail(&mut thailand).await;
    let on = |permissions| Compose {
        handling: Handling::H2,
        parent: Some(bound.reference.clone()),
        permissions,
        ..note(&["np"], "as Kenya says: from a source")
    };
    assert_eq!(refused(thailand.send(on(Vec::new())).await), "NO_ONWARD_PERMISSION");
    let what = Permit::Onward { message: bound.reference.clone(), recipients: vec![address("np")] };
    let permission = kenya.permit(&address("th"), &what).await.expect("permitted");
    thailand.refresh_directory().await.expect("the directory");
    let loose = Compose { handling: Handling::H0, ..on(vec![permission.digest]) };
    assert_eq!(refused(thailand.send(loose).await), "NO_ONWARD_PERMISSION");
    let passed = thailand.send(on(vec![permission.digest])).await.expect("sent");
    mail(&mut nepal).await;
    assert_eq!(nepal.open(&passed.reference).expect("it opens").content, b"as Kenya says: from a source");
    drop((kenya, thailand, nepal));
    end(theatre, running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_reaches_everybody_and_its_source_sees_who_has_attested() {
    let theatre = Theatre::new(&CAST);
    let running = theatre.start().await;
    let [mut kenya, mut thailand, mut nepal, mut post] = clients(&theatre, ["ke", "th", "np", "ke/cus/kemba"]).await;
    let sent = post.send(note(&["th", "np"], "the wrong man")).await.expect("sent");
    for reader in [&mut thailand, &mut nepal, &mut kenya] {
        mail(reader).await;
    }
    let to = post.concerned(&sent.reference).expect("those concerned");
    assert_eq!(to, ["th", "np", "ke"].map(address));
    let deletion = |permissions, to: &[envelope::Address]| Compose {
        kind: Kind::Deletion,
        target: Some(sent.reference.clone()),
        permissions,
        ..Compose::new(to.to_vec(), b"he was somebody else".to_vec())
    };
    assert_eq!(refused(post.send(deletion(Vec::new(), &to)).await), "NO_AUTHORITY", "its bureau has not signed");
    let what = Permit::Countersignature { message: sent.reference.clone() };
    let signature = kenya.permit(&address("ke/cus/kemba"), &what).await.expect("permitted");
    post.refresh_directory().await.expect("the directory");
    let partly = deletion(vec![signature.digest], &to[..1]);
    assert_eq!(refused(post.send(partly).await), "NO_AUTHORITY", "Nepal would keep it");
    let deleted = post.send(deletion(vec![signature.digest], &to)).await.expect("sent");

    let attested = |client: &Client| {
        let all = client.attestations(&deleted.reference).expect("a list");
        all.into_iter().filter(|(_, one)| one.is_some()).map(|(who, _)| who.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(attested(&post), Vec::<String>::new());
    mail(&mut thailand).await;
    let attestation = Compose {
        kind: Kind::DeletionAttestation,
        target: Some(deleted.reference.clone()),
        ..Compose::new(thailand.concerned(&deleted.reference).expect("the source"), b"two files".to_vec())
    };
    thailand.send(attestation).await.expect("sent");
    mail(&mut post).await;
    assert_eq!(attested(&post), ["th"]);
    drop((kenya, thailand, nepal, post));
    end(theatre, running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_officers_seats_sign_what_the_network_wants_them_to() {
    let cast = ["ke", "th", "ke/desk/duty-1", "ke/desk/duty-2", "ke/cus/kemba", "ipsg/ens", "aud/network", "aud/ke"];
    let theatre = Theatre::with_genesis(&cast, |genesis| {
        genesis.policy.as_mut().expect("a policy").dual_control = vec![Kind::Diffusion.into()];
    });
    let running = theatre.start().await;
    let [mut kenya, mut thailand] = clients(&theatre, ["ke", "th"]).await;
    for member in ["ipsg/ens", "ke/desk/duty-1", "ke/desk/duty-2", "ke/cus/kemba"] {
        drop(theatre.client(member).await);
    }
    kenya.refresh_directory().await.expect("the directory");
    let diffusion = || Compose { kind: Kind::Diffusion, ..note(&["th", "ipsg/ens"], "a lorry") };
    assert_eq!(refused(kenya.send(diffusion()).await), "NO_GRANT");
    let seats = |names: &[&str]| names.iter().map(|name| theatre.profile(name)).collect::<Vec<_>>();
    for wrong in [&["ke/desk/duty-1"][..], &["ke/desk/duty-1", "ke/cus/kemba"]] {
        kenya.sign_with(seats(wrong));
        assert_eq!(refused(kenya.send(diffusion()).await), "NO_GRANT", "{wrong:?}");
        // A profile is one command's at a time.
        kenya.sign_with(Vec::new());
    }
    kenya.sign_with(seats(&["ke/desk/duty-1", "ke/desk/duty-2"]));
    let sent = kenya.send(diffusion()).await.expect("sent");
    let got = mail(&mut thailand).await;
    assert_eq!(got.received[0].reference, sent.reference);
    let header = thailand.header_of(&sent.reference).expect("its header");
    assert_eq!(header.context.signers.len(), 3, "Thailand sees all three signatures");
    // A seat that is suspended signs nothing more.
    kenya.set_standing(&address("ke/desk/duty-2"), ParticipantState::Suspended, StandingReason::Compromise).await.expect("suspended");
    assert_eq!(refused(kenya.send(diffusion()).await), "NO_GRANT");
    drop((kenya, thailand));
    end(theatre, running).await;
}
