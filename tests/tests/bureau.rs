//! A bureau runs those below it, over real sockets: enrols a post that genesis does not know, gives and takes grants, cuts it off
//! and lets it back in. What was admitted before stays readable; nobody else learns what the post may send.

mod theatre;

use std::time::Duration;

use client::bureau::Terms;
use client::{Client, Compose, Error, ReceiveOptions};
use envelope::entry::Entry;
use proto::v1::directory_client::DirectoryClient;
use proto::v1::{self, Audience, Classification, Grant, GroupSenders, Kind, OversightMode, ParticipantState, Priority, StandingReason};
use theatre::{CAST, PATIENCE, Theatre, address, audit, note};

const POST: &str = "ke/air/kenbo";

/// Gives a post keys and certificates, and lets its bureau enrol it.
async fn enrolled(theatre: &Theatre, bureau: &mut Client, terms: Terms) {
    let made = certs_dev::issue(&theatre.pki(), &address(POST), None).expect("certificates");
    let enrolled = bureau.enrol(&made.folder.join("identity.pem"), terms).await.expect("enrolled");
    assert_eq!(enrolled, address(POST));
}

fn grant(kinds: &[Kind], audience: Audience) -> Grant {
    client::bureau::in_order(Grant {
        kinds: kinds.iter().map(|kind| (*kind).into()).collect(),
        priorities: [Priority::Routine, Priority::Urgent].map(Into::into).to_vec(),
        classifications: [Classification::OfficialUseOnly, Classification::Restricted].map(Into::into).to_vec(),
        audience: audience.into(),
        expires_ms: 0,
    })
}

fn refused(error: &Error) -> &str {
    error.name().unwrap_or("no refusal")
}

/// Waits until the gateway has ended the connection.
async fn until_cut(client: &mut Client) {
    let follow = ReceiveOptions { follow: true };
    let ended = tokio::time::timeout(PATIENCE, client.receive(follow)).await.expect("it is cut");
    ended.expect_err("the connection is gone");
}

async fn end(theatre: Theatre, running: gateway::Running) -> Vec<Entry> {
    let verdict = audit(&mut theatre.client("aud/network").await).await;
    assert_eq!((verdict.judged, verdict.withheld, verdict.gaps.len()), (verdict.size, 0, 0));
    running.stop().await;
    theatre.check();
    theatre.entries().into_iter().map(|(_, entry)| entry).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_post_is_enrolled_works_is_cut_off_and_comes_back() {
    let theatre = Theatre::new(&CAST);
    let running = theatre.start().await;
    let [mut thailand, mut kenya] = [theatre.client("th").await, theatre.client("ke").await];
    let folder = certs_dev::issue(&theatre.pki(), &address(POST), None).expect("certificates").folder;
    // Certified is not enrolled.
    let stranger = Client::init(&theatre.profile_dir(POST), &theatre.origin(POST, &theatre.url())).await;
    assert!(matches!(stranger, Err(Error::CertificateRefused { .. })), "nobody has enrolled it");
    let chain = folder.join("identity.pem");
    let by_another = thailand.enrol(&chain, Terms::default()).await.expect_err("not Thailand's");
    assert!(by_another.to_string().contains("a bureau speaks of those below it only"), "{by_another}");
    let terms = Terms { open_to_foreign: true, ..Terms::default() };
    assert_eq!(kenya.enrol(&chain, terms).await.expect("enrolled"), address(POST));

    let mut post = theatre.client(POST).await;
    let first = post.send(note(&["th"], "rhino horn in transit")).await.expect("sent");
    kenya.refresh_directory().await.expect("the directory");
    let member = kenya.members().into_iter().find(|member| member.address == address(POST)).expect("below Kenya");
    assert!(member.has_key && member.row.open_to_foreign && member.row.state() == ParticipantState::Active);

    // Suspended: cut at once, refused at the door, and nobody can write to it.
    let subject = address(POST);
    let by_another = thailand.set_standing(&subject, ParticipantState::Suspended, StandingReason::Misuse).await;
    assert_eq!(refused(&by_another.expect_err("not Thailand's")), "NO_AUTHORITY");
    let (cut, suspended) =
        tokio::join!(until_cut(&mut post), kenya.set_standing(&subject, ParticipantState::Suspended, StandingReason::Compromise));
    suspended.expect("suspended");
    let () = cut;
    let again = post.reconnect(Duration::from_secs(5)).await.expect_err("it is suspended");
    assert!(matches!(again, Error::CertificateRefused { .. }), "{again}");
    thailand.refresh_directory().await.expect("the directory");
    let to_it = thailand.send(note(&["ke", POST], "where are you?")).await.expect_err("nobody can receive there");
    assert_eq!(refused(&to_it), "UNKNOWN_RECIPIENT");
    // What it sent before was admitted by the rules of before, and reads as before.
    let mail = thailand.receive(ReceiveOptions::default()).await.expect("mail");
    assert_eq!((mail.received.len(), mail.unsound.len()), (1, 0));
    assert_eq!(mail.received[0].finding, None);
    assert_eq!(thailand.open(&first.reference).expect("it opens").content, b"rhino horn in transit");

    kenya.set_standing(&subject, ParticipantState::Active, StandingReason::Routine).await.expect("restored");
    post.reconnect(PATIENCE).await.expect("it is back");
    post.send(note(&["th"], "here again")).await.expect("sent");

    kenya.set_standing(&subject, ParticipantState::Withdrawn, StandingReason::Routine).await.expect("withdrawn");
    let back = kenya.set_standing(&subject, ParticipantState::Active, StandingReason::Routine).await;
    assert_eq!(refused(&back.expect_err("only a new enrolment")), "NO_AUTHORITY");
    kenya.enrol(&chain, Terms::default()).await.expect("enrolled again");
    post.reconnect(PATIENCE).await.expect("it is back");
    drop((post, kenya, thailand));
    let entries = end(theatre, running).await;
    let standings =
        entries.iter().filter(|entry| matches!(entry, Entry::Directory { signed, .. } if signed.kind() == v1::StatementKind::Standing));
    assert_eq!(standings.count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_say_what_a_post_may_send_and_are_nobody_elses_business() {
    let theatre = Theatre::new(&CAST);
    let running = theatre.start().await;
    let [mut thailand, mut kenya] = [theatre.client("th").await, theatre.client("ke").await];
    drop(theatre.client("ipsg/ens").await);
    enrolled(&theatre, &mut kenya, Terms::default()).await;
    let (mut post, subject) = (theatre.client(POST).await, address(POST));
    post.send(note(&["th"], "by the grants of its class")).await.expect("sent");
    assert_eq!(kenya.grants_of(&subject).await.expect("an answer"), None);

    let grants = vec![grant(&[Kind::Alert], Audience::OwnCountry), grant(&[Kind::Ecomessage], Audience::Bureaus)];
    kenya.set_grants(&subject, grants.clone()).await.expect("granted");
    // The gateway judges by them before the post has heard of them; then the post's client foresees it.
    let late = post.send(note(&["th"], "a plain message")).await.expect_err("no grant covers it");
    assert_eq!(refused(&late), "NO_GRANT");
    post.refresh_directory().await.expect("the directory");
    let foreseen = post.send(note(&["th"], "a plain message")).await.expect_err("no grant covers it");
    assert_eq!(refused(&foreseen), "NO_GRANT");
    let alert = |to: &[&str]| Compose { kind: Kind::Alert, ..note(to, "a container") };
    let report = |to: &[&str]| Compose { kind: Kind::Ecomessage, ..note(to, "a report") };
    // It can be told beforehand, by the same name.
    let explained = |post: &Client, message| post.explain(&message).expect("a directory").refusal().map(exchange::Refusal::name);
    let beforehand =
        [alert(&["ke"]), alert(&["th"]), report(&["th", "ipsg/ens"]), report(&["th"])].map(|message| explained(&post, message));
    assert_eq!(beforehand, [None, Some("NO_GRANT"), None, Some("IPSG_COPY_MISSING")]);
    post.send(alert(&["ke"])).await.expect("at home");
    assert_eq!(refused(&post.send(alert(&["th"])).await.expect_err("abroad")), "NO_GRANT");
    let sent = post.send(report(&["th", "ipsg/ens"])).await.expect("to bureaus");
    // The recipient cannot know the grant, and is shown that one was used.
    let mail = thailand.receive(ReceiveOptions::default()).await.expect("mail");
    let found: Vec<_> = mail.received.iter().map(|one| (&one.reference, &one.finding)).collect();
    assert_eq!((mail.unsound.len(), found.last()), (0, Some(&(&sent.reference, &None))));

    assert_eq!(post.grants_of(&subject).await.expect("an answer"), Some(grants.clone()), "its own");
    assert_eq!(kenya.grants_of(&subject).await.expect("an answer"), Some(grants), "of those below");
    let ask = async |who: &str| {
        let link = theatre.link(who).await;
        let mut directory = DirectoryClient::with_origin(link.clone(), link.origin());
        let [of_post, of_nobody] = [POST, "ke/bor/x-nobody"].map(|subject| v1::GrantsRequest { subject: subject.to_owned() });
        let post = directory.grants(of_post).await.expect("an answer").into_inner();
        assert_eq!(directory.grants(of_nobody).await.expect("an answer").into_inner(), v1::GrantsResponse::default());
        post
    };
    for who in ["th", "ipsg/ens", "ke/cus/kemba"] {
        assert_eq!(ask(who).await, v1::GrantsResponse::default(), "{who} sees what it would see of nobody");
    }
    // A profile that is opened again, without a link, still knows.
    drop(post);
    let profile = theatre.profile(POST);
    let offline = Client::offline(&profile).expect("a client");
    assert_eq!(exchange::Rows::grants(offline.directory().state(), &subject).map(|row| row.grants.len()), Some(2));
    drop((offline, profile));

    // Relayed: what it may send abroad goes to the bureau only.
    let relay = Terms { oversight: OversightMode::Relay, ..Terms::default() };
    let chain = theatre.identity(POST).join("identity.pem");
    kenya.enrol(&chain, relay).await.expect("new terms");
    let mut post = theatre.client(POST).await;
    assert_eq!(refused(&post.send(report(&["th", "ipsg/ens"])).await.expect_err("relayed")), "OVERSIGHT_MISSING");
    kenya.set_grants(&subject, Vec::new()).await.expect("revoked");
    post.refresh_directory().await.expect("the directory");
    assert_eq!(refused(&post.send(alert(&["ke"])).await.expect_err("nothing is left")), "NO_GRANT");
    drop((post, kenya, thailand));
    let entries = end(theatre, running).await;
    assert_eq!(entries.iter().filter(|entry| matches!(entry, Entry::Grants(_))).count(), 2);
}

/// What a bureau or a post was before does not make a liar of anybody now, and nothing old comes to life.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_ends_key_and_mail_and_a_suspended_bureau_cuts_no_post_off() {
    let theatre = Theatre::new(&["ke", "th", "ke/cus/kemba", "ipsg/ens", "ipsg/compliance", "aud/network"]);
    let running = theatre.start().await;
    let [mut thailand, mut kenya] = [theatre.client("th").await, theatre.client("ke").await];
    let mut compliance = theatre.client("ipsg/compliance").await;
    let mut kemba = theatre.client("ke/cus/kemba").await;
    let kemba_address = address("ke/cus/kemba");
    let all = grant(&[Kind::Message, Kind::Ecomessage], Audience::All);
    kenya.set_grants(&kemba_address, vec![all]).await.expect("granted");
    kemba.refresh_directory().await.expect("the directory");
    compliance.set_standing(&address("ke"), ParticipantState::Suspended, StandingReason::Investigation).await.expect("suspended");
    kemba.refresh_directory().await.expect("its grants are what they were");
    drop(kemba);
    let mut kemba = theatre.client("ke/cus/kemba").await;
    compliance.set_standing(&address("ke"), ParticipantState::Active, StandingReason::Routine).await.expect("restored");
    kemba.refresh_directory().await.expect("the directory");

    // Mail of the old key is read by the new one's time; the old device opens nothing that comes later.
    let sent = kemba.send(note(&["th"], "by the old key")).await.expect("sent");
    kenya.reconnect(PATIENCE).await.expect("Kenya is back");
    std::fs::rename(theatre.identity("ke/cus/kemba"), theatre.folder.path().join("lost")).expect("moved");
    let folder = certs_dev::issue(&theatre.pki(), &kemba_address, None).expect("certificates").folder;
    let before = kenya.participant(&kemba_address).expect("enrolled");
    kenya.enrol(&folder.join("identity.pem"), Terms::of(&before.row)).await.expect("enrolled anew");
    let after = kenya.participant(&kemba_address).expect("enrolled");
    assert!(before.has_key && !after.has_key && after.row.open_to_foreign, "nobody seals to the lost device");
    let late = kemba.send(note(&["th"], "by the old key, later")).await.expect_err("the key has ended");
    assert!(["REVOKED", "NOT_SENDER"].contains(&refused(&late)), "{late}");
    let mail = thailand.receive(ReceiveOptions::default()).await.expect("mail");
    let found: Vec<_> = mail.received.iter().map(|one| (&one.reference, &one.finding)).collect();
    assert_eq!((mail.unsound.len(), found), (0, vec![(&sent.reference, &None)]));
    assert_eq!(thailand.open(&sent.reference).expect("it opens").content, b"by the old key");
    thailand.refresh_directory().await.expect("the directory");
    let to_it = thailand.send(note(&["ke", "ke/cus/kemba"], "hello")).await.expect_err("it has no key");
    assert_eq!(refused(&to_it), "STALE_KEY");

    // Both of its certificates are taken back, and those whose files are gone with them.
    let revoked = certs_dev::revoke(&theatre.pki(), &kemba_address).expect("revoked");
    assert_eq!(revoked.serials.len(), 4);
    drop((kemba, kenya, thailand, compliance));
    end(theatre, running).await;
}

/// A member that has grants of its own now was written by others without: their messages are no findings.
#[tokio::test(flavor = "multi_thread")]
async fn withdrawal_takes_the_grants_and_the_readers_own_grants_judge_nobody_else() {
    let theatre = Theatre::new(&CAST);
    let running = theatre.start().await;
    let mut kenya = theatre.client("ke").await;
    enrolled(&theatre, &mut kenya, Terms::default()).await;
    let subject = address(POST);
    let mut post = theatre.client(POST).await;
    let own = post.send(note(&["ke", POST], "to itself, too")).await.expect("sent");
    kenya.set_grants(&subject, Vec::new()).await.expect("revoked");
    post.refresh_directory().await.expect("the directory");
    let mail = post.receive(ReceiveOptions::default()).await.expect("mail");
    assert_eq!(mail.received.iter().map(|one| (&one.reference, &one.finding)).collect::<Vec<_>>(), [(&own.reference, &None)]);
    kenya.set_grants(&subject, vec![grant(&[Kind::Alert], Audience::All)]).await.expect("granted");
    kenya.set_standing(&subject, ParticipantState::Withdrawn, StandingReason::Misuse).await.expect("withdrawn");
    let granted = kenya.set_grants(&subject, vec![grant(&[Kind::Alert], Audience::All)]).await;
    assert_eq!(refused(&granted.expect_err("it is withdrawn")), "NO_AUTHORITY");
    kenya.enrol(&theatre.identity(POST).join("identity.pem"), Terms::default()).await.expect("enrolled again");
    assert_eq!(kenya.grants_of(&subject).await.expect("an answer"), Some(Vec::new()), "it begins with nothing");
    drop((post, kenya));
    end(theatre, running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_written_to_by_its_members_and_nobody_else_learns_of_it() {
    let theatre = Theatre::new(&CAST);
    let running = theatre.start().await;
    let [mut thailand, mut kenya, mut kemba] =
        [theatre.client("th").await, theatre.client("ke").await, theatre.client("ke/cus/kemba").await];
    let mut secretariat = theatre.client("ipsg/ens").await;
    let operation = address("grp/op/4f2a");
    let members = ["ke", "ke/cus/kemba", "th"].map(address).to_vec();
    kenya.set_group(&operation, members.clone(), GroupSenders::Members, None).await.expect("founded");
    let taken = secretariat.set_group(&operation, members.clone(), GroupSenders::Members, None).await;
    assert_eq!(refused(&taken.expect_err("it is Kenya's")), "NO_AUTHORITY");
    for client in [&mut thailand, &mut kemba, &mut secretariat] {
        client.refresh_directory().await.expect("the directory");
    }
    assert_eq!(thailand.groups().len(), 1);
    assert_eq!(secretariat.groups(), [], "who is no member hears nothing of it");
    let to_group = |text: &str| note(&["grp/op/4f2a"], text);
    let sent = kemba.send(to_group("a lorry with logs")).await.expect("sent");
    let told: Vec<_> = kemba.status(&sent.reference).await.expect("known").into_iter().map(|one| one.recipient).collect();
    assert_eq!(told, ["ke", "th"], "everybody but the sender");
    let mail = thailand.receive(ReceiveOptions::default()).await.expect("mail");
    assert_eq!(mail.received.iter().map(|one| &one.finding).collect::<Vec<_>>(), [&None]);
    let opened = thailand.open(&sent.reference).expect("it opens");
    assert_eq!(opened.header.context.via_group, Some(operation.clone()));
    let no_copy = Compose { except: vec![address("ke")], ..to_group("not for the own bureau") };
    let error = kemba.send(no_copy).await.expect_err("its copy is not the post's to leave out");
    assert!(error.to_string().contains("ke answers for the sender"), "{error}");
    // Somebody is left out: then nobody is told that there was a group.
    let quiet = Compose { except: vec![address("th")], ..to_group("not for Thailand") };
    let sent = kemba.send(quiet).await.expect("sent");
    kenya.receive(ReceiveOptions::default()).await.expect("mail");
    assert_eq!(kenya.open(&sent.reference).expect("it opens").header.context.via_group, None);
    assert!(secretariat.send(to_group("let me in")).await.is_err());
    // Who has left is named by nobody whose directory is new, and by nobody else for long.
    kenya.set_group(&operation, members[..2].to_vec(), GroupSenders::Members, None).await.expect("changed");
    let stale = kemba.send(to_group("Thailand has gone")).await;
    assert!(stale.as_ref().err().is_none_or(|error| refused(error) == "STALE_DIRECTORY"), "{stale:?}");
    kemba.refresh_directory().await.expect("the directory");
    let sent = kemba.send(to_group("Thailand has gone")).await.expect("sent");
    assert_eq!(kemba.status(&sent.reference).await.expect("known").len(), 1);
    assert_eq!(refused(&thailand.send(to_group("still here?")).await.expect_err("no member")), "NO_GRANT");
    drop((kemba, kenya, thailand, secretariat));
    end(theatre, running).await;
}
