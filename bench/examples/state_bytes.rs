//! What the derived state takes in memory: a member, a grant, a waiting message, a permission. Prints bytes each.
//!
//! `cargo run --release -p bench --example state_bytes`; what the allocator keeps beside is in it.

#![allow(missing_docs)]

use bench::memory::Memory;
use bench::registry::{NOW, Registry};
use exchange::State;
use exchange::state::{Key, Row};
use proto::v1;

fn main() -> anyhow::Result<()> {
    let memory = Memory::of(std::process::id());
    let now = || memory.reset();
    let registry = Registry::new(MEMBERS)?;
    // Copies take what the rows take; the first ones use up what making them has left free.
    let earlier: Vec<State> = (0..8).map(|_| registry.exchange.state().clone()).collect();
    let before = now()?;
    let mut state: State = registry.exchange.state().clone();
    let members = now()?;
    println!("a member         {:>6} bytes", (members - before) / MEMBERS as u64);
    for address in &registry.addresses {
        let grant = v1::Grant {
            kinds: vec![v1::Kind::Message.into(), v1::Kind::Alert.into()],
            priorities: vec![v1::Priority::Routine.into(), v1::Priority::Urgent.into()],
            classifications: vec![v1::Classification::OfficialUseOnly.into()],
            audience: v1::Audience::All.into(),
            expires_ms: 0,
        };
        state.set(Key::Grants(address.clone()), Row::Grants(v1::GrantsRow { grants: vec![grant; GRANTS], index: 1 }));
    }
    let grants = now()?;
    println!("a grant          {:>6} bytes", (grants - members) / (MEMBERS * GRANTS) as u64);
    for at in 0..MESSAGES {
        let row = v1::PlaceRow {
            index: at,
            message_id: tlog::sha256(&at.to_be_bytes()).to_vec().into(),
            priority: 1,
            state: v1::RecipientState::Available.into(),
            at_ms: NOW.ms(),
            expires_ms: NOW.ms() + at,
            release_index: 0,
            ..v1::PlaceRow::default()
        };
        state.set(Key::Place(registry.addresses[at as usize % MEMBERS].clone(), at), Row::Place(row));
    }
    let waiting = now()?;
    println!("a waiting message{:>6} bytes", (waiting - grants) / MESSAGES);
    for at in 0..PERMISSIONS {
        let (issuer, subject) = (&registry.addresses[at as usize % 676], &registry.addresses[at as usize % MEMBERS]);
        let row = v1::PermissionRow {
            issuer: issuer.to_string(),
            subject: subject.to_string(),
            kind: v1::AuthorityKind::Waiver.into(),
            expires_ms: NOW.ms(),
            index: at,
            ..v1::PermissionRow::default()
        };
        state.set(Key::Permission(tlog::sha256(&at.to_be_bytes())), Row::Permission(Box::new(row)));
    }
    println!("a permission     {:>6} bytes", (now()? - waiting) / PERMISSIONS);
    // Kept until here: what is freed would be used again.
    drop((registry, earlier, state));
    Ok(())
}

const MEMBERS: usize = 10_000;
const GRANTS: usize = 5;
const MESSAGES: u64 = 200_000;
const PERMISSIONS: u64 = 100_000;
