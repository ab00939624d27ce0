//! What is sealed in a message, as types: reports with their codes, identifiers and checks, their JSON and its schema.
//!
//! Made, checked and shown by clients alone. **Invariants:** a check warns and never refuses, and what was observed stays as it
//! was; nothing here is linked by a gateway (`tests/tests/graph.rs`). It knows no envelope, no rule and no wire.

mod check;
pub mod export;
pub mod identifiers;
mod json;
pub mod questions;
pub mod quick;
pub mod schema;
mod show;
pub mod words;

/// Package `ecowire.content.v1`. The comments of the items are those of the proto files.
#[allow(missing_docs, clippy::all, rustdoc::invalid_html_tags, rustdoc::broken_intra_doc_links, rustdoc::bare_urls)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/ecowire.content.v1.rs"));
}

pub use check::{Warning, check};
pub use json::{ContentError, decode, encode, from_json, to_json};
pub use show::lines;

/// The media type of an [`v1::EcoMessage`] in protobuf, as it is sealed.
pub const ECOMESSAGE_TYPE: &str = "application/vnd.ecowire.ecomessage.v1+protobuf";
/// Bytes of a report, in JSON or sealed.
pub const REPORT_BYTES_MAX: usize = 256 * 1024;
/// Rows of a section.
pub const ROWS_MAX: usize = 64;
/// Characters of one text.
pub const TEXT_CHARS_MAX: usize = 16 * 1024;
