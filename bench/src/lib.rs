//! Load: many participants that submit sealed messages over real connections to a gateway in another process.
//!
//! For the benchmark command and for tests that need a gateway under load. It measures; it claims nothing.

pub mod attack;
pub mod fair;
pub mod fleet;
pub mod lab;
pub mod link;
pub mod load;
pub mod mailbox;
pub mod memory;
pub mod power;
pub mod process;
pub mod registry;
pub mod replay;
pub mod report;
pub mod stores;
pub mod yardstick;
