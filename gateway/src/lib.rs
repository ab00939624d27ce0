//! The gateway: TLS, gRPC, the writer, delivery. A message comes in by one door, is checked, is written once in the
//! ledger, and everything that anybody sees is computed from the ledger.
//!
//! **Invariant:** the gateway is blind; it does not link what opens a message (`envelope`'s feature `seal`).
//! **Invariant:** nothing is answered before its fsync has returned.

pub mod bounds;
pub mod limits;

pub mod config;
pub mod node;

pub mod clock;
mod files;
pub mod gate;
pub mod health;
pub mod metrics;
pub mod problem;
pub mod quiet;
pub mod shared;
pub mod spans;
pub mod store;

pub mod allowance;
pub mod connection;
pub mod quic;
pub mod revocations;
pub mod sources;
pub mod tls;

pub mod deliveries;
pub mod receipts;
pub mod service;
pub mod status;

mod keeper;
mod pace;
pub mod queue;
mod refusal_limiter;
pub mod writer;

mod otlp;
pub mod telemetry;

pub mod gateway;

pub mod cli;
pub mod doctor;

pub use config::Config;
pub use gateway::{Init, Running, StartError, check, init, init_with, start, start_with};
