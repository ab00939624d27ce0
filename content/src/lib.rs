//! What is sealed in a message, as types: a form for each kind, with its codes, identifiers and checks, its JSON and its schema.
//!
//! Made, checked and shown by clients alone. **Invariants:** a check warns and never refuses, and what was observed stays as it
//! was; nothing here is linked by a gateway (`tests/tests/graph.rs`). It knows no envelope, no rule and no wire.

mod check;
mod correct;
pub mod export;
mod filled;
pub mod fold;
mod forms;
pub mod identifiers;
pub mod import;
pub mod keys;
pub mod packs;
mod payload;
pub mod questions;
pub mod quick;
mod reports;
mod rules;
pub mod schema;
mod show;
pub mod words;

/// Package `ecowire.content.v1`. The comments of the items are those of the proto files.
#[allow(missing_docs, clippy::all, rustdoc::invalid_html_tags, rustdoc::broken_intra_doc_links, rustdoc::bare_urls)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/ecowire.content.v1.rs"));
}

pub use check::{Warning, instant_ms};
pub use correct::Unapplied;
pub use filled::filled;
pub use forms::Form;
pub use payload::{ContentError, Payload};
pub use reports::{check, decode, encode, from_json, lines, to_json};

/// The media type of an [`v1::EcoMessage`] in protobuf, as it is sealed.
pub const ECOMESSAGE_TYPE: &str = "application/vnd.ecowire.ecomessage.v1+protobuf";
/// Bytes of a payload, in JSON or sealed.
pub const REPORT_BYTES_MAX: usize = 256 * 1024;
/// Rows of a section.
pub const ROWS_MAX: usize = 64;
/// Characters of one text.
pub const TEXT_CHARS_MAX: usize = 16 * 1024;
