//! What unit tests of several modules begin with.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use envelope::Network;

use crate::client::Client;
use crate::clock;
use crate::outbox::{Numbering, Outbox};
use crate::profile::{Origin, Profile};

/// A member with a profile in `folder` that has never met its gateway.
pub(crate) fn member(folder: &Path) -> Client {
    let out = folder.join("pki");
    let addresses = ["ke", "node/dev-1"].map(|text| text.parse().unwrap()).to_vec();
    let network = Network::parse("ecowire.test").unwrap();
    certs_dev::mint(&certs_dev::MintOptions { now: clock::now(), ..certs_dev::MintOptions::new(out.clone(), network, addresses) }).unwrap();
    let origin = Origin { gateway: "https://127.0.0.1:1".to_owned(), trust: out.join("trust.toml"), identity: out.join("ke") };
    let mut client = Client::offline(&Profile::create(&folder.join("ke"), &origin).unwrap()).unwrap();
    client.outbox = Outbox::load(Numbering::brand_new(), Vec::new());
    client
}

#[tokio::test]
async fn a_program_of_many_tasks_can_move_what_it_awaits() {
    struct Knows;
    impl crate::respond::Responder for Knows {
        fn answer(&self, _: &content::Payload) -> crate::respond::Answer {
            crate::respond::Answer::NoHit
        }
    }
    fn moves<T: Send>(future: T) {
        drop(future);
    }
    let folder = tempfile::tempdir().unwrap();
    let mut client = member(folder.path());
    moves(client.send(crate::compose::Compose::new(Vec::new(), Vec::new())));
    moves(client.flush_outbox(std::time::Duration::ZERO));
    moves(client.receive(crate::inbox::ReceiveOptions::default()));
    moves(client.respond(&Knows, 1, std::time::Duration::ZERO));
    moves(client.refresh_directory());
}
