//! The link laboratory: bad links between a client and a gateway, from a seed.
//!
//! [`schedule`] decides what happens to each packet, and is pure. [`proxy`] carries it out for datagrams in the test's own
//! process, and as far as that is honest for TCP. [`wire`] carries it out for whole IP packets between two network
//! namespaces: the only way to see what TCP itself makes of a lost packet.

pub mod proxy;
pub mod schedule;
pub mod wire;

pub use proxy::Lab;
pub use schedule::{Fate, Link, Schedule};
