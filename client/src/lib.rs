//! A member's side of Ecowire: seals and signs, keeps an outbox and an inbox, verifies what the gateway says, and audits.
//!
//! The library is what the command `ecowire` is made of. A [`Profile`] is a folder with keys and a store; a [`Client`]
//! works with it, online or not. **Invariants:** a message is durable before it is sent, and a delivery before it is
//! called delivered; nothing is believed because the gateway says so; the gateway never gets a key.

mod clock;
#[cfg(feature = "doors")]
pub mod doors;
mod files;
mod trouble;

pub mod error;
pub mod words;

pub mod custody;
pub mod link;
pub mod profile;
pub mod store;

pub mod compose;
pub mod directory;
pub mod outbox;
#[cfg(feature = "pkcs11")]
pub mod pkcs11;
pub mod token;

pub mod client;
mod send;
pub mod standing;
mod statements;

mod delivered;
pub mod inbox;
mod kept;
mod proof;

pub mod advices;
pub mod audit;
pub mod board;
pub mod bureau;
pub mod code;
pub mod doctor;
pub mod explain;
pub mod groups;
pub mod holds;
pub mod hotlist;
pub mod overdue;
pub mod queries;
pub mod receipt;
pub mod respond;

pub mod cli;

pub use client::{CONNECT_TIMEOUT, Client};
pub use compose::Compose;
pub use custody::{Custody, Unlock};
pub use error::Error;
pub use inbox::{Mail, Opened, ReceiveOptions, Received};
pub use link::{Carrier, Credentials, Link, Route, Transport};
pub use profile::{Origin, Profile};
pub use send::{Flushed, Sent};

#[cfg(test)]
mod tests;
