//! Addresses, certificates, headers, sealing, statements, entries and receipts: the formats of SPEC.md as types.
//!
//! Pure: no clock, no file, no socket; time is passed in. It does not know the rules (`exchange`), the store (`ledger`)
//! or the wire (`gateway`, `client`). **Invariant:** without the feature `seal` nothing here can open a message.

pub mod address;
pub mod limits;
pub mod time;
pub mod reference;
pub mod canonical;
pub mod identity;
pub mod crl;
pub mod keys;
pub mod dsse;
pub mod seal_sizes;
pub mod statement;
pub mod trust;
pub mod slots;
pub mod draft;
pub mod receipt;
pub mod vault;
pub mod header;
pub mod message;
pub mod entry;
pub mod genesis;
pub mod key_id;
#[cfg(feature = "seal")]
pub mod seal;
#[cfg(feature = "seal")]
pub mod attachment;


pub use address::{Address, Class, Network};
pub use draft::Draft;
pub use receipt::{Position, Receipt};
pub use reference::Reference;
pub use time::Timestamp;
