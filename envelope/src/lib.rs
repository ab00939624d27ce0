//! Addresses, certificates, headers, sealing, statements, entries and receipts: the formats of SPEC.md as types.
//!
//! Pure: no clock, no file, no socket; time is passed in. It does not know the rules (`exchange`), the store (`ledger`)
//! or the wire (`gateway`, `client`). **Invariant:** without the feature `seal` nothing here can open a message.

pub mod address;
#[cfg(feature = "seal")]
pub mod attachment;
pub mod canonical;
pub mod crl;
pub mod draft;
pub mod dsse;
pub mod entry;
pub mod genesis;
pub mod header;
pub mod identity;
pub mod key_id;
pub mod keys;
pub mod limits;
#[cfg(feature = "locked")]
pub mod locked;
pub mod message;
pub mod p256;
pub mod receipt;
pub mod reference;
#[cfg(feature = "seal")]
pub mod seal;
pub mod seal_sizes;
pub mod slots;
pub mod statement;
pub mod time;
pub mod trust;
pub mod vault;

pub use address::{Address, Class, Network};
pub use draft::Draft;
pub use receipt::{Position, Receipt};
pub use reference::Reference;
pub use time::Timestamp;
