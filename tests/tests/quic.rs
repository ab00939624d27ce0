//! QUIC: the second transport has the first one's rules.

mod stage;

use client::Error;
use client::link::{Carrier, Credentials, Link, Transport};
use stage::{MEMBERS, Stage, ask, soon};

/// Knocks over QUIC as a member.
async fn knock(stage: &Stage, url: &str, member: &str) -> Result<Link, Error> {
    let credentials = Credentials::read(&stage.folder_of(member)).expect("credentials");
    stage.knock_over(Transport::Quic, url, credentials).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_goes_over_quic() {
    let stage = Stage::new();
    let running = stage.run().await;
    let url = format!("https://{}", running.address);
    let mut th = stage.member(&url, "th").await;
    let mut ke = stage.member(&url, "ke").await;
    assert_eq!(ke.link().expect("connected").carrier(), Carrier::Quic);

    let to = vec![stage::at("th")];
    let sent = ke.send(client::Compose::new(to.clone(), b"tusks".to_vec())).await.expect("sent");
    // Large enough for the stream of its own.
    let large = ke.send(client::Compose::new(to, vec![7; 200 << 10])).await.expect("sent");
    let mail = th.receive(client::ReceiveOptions::default()).await.expect("received");
    let received: Vec<_> = mail.received.iter().map(|message| message.reference.clone()).collect();
    assert_eq!(received, [sent.reference, large.reference]);

    let mut auditor = stage.member(&url, "aud/network").await;
    let verdict = client::audit::verify(&mut auditor, &client::audit::Options::default(), |_, _| ()).await.expect("audited");
    assert_eq!(verdict.findings, []);
    drop((ke, th, auditor));
    running.stop().await;
    stage.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_member_is_who_it_is_over_quic() {
    let stage = Stage::new();
    let gateway = stage.serve();
    for member in MEMBERS {
        let mark = gateway.mark();
        let link = knock(&stage, &gateway.url, member).await.expect("connected");
        assert_eq!((link.carrier(), link.node().as_str()), (Carrier::Quic, "node/dev-1"));
        gateway.logs(mark, &format!("connected peer={member} over=\"quic\"")).await;
        soon("an answer", ask(&link)).await.expect("answered");
    }
}
