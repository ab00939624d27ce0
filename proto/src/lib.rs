//! The contract: types generated from `ecowire/v1/*.proto`, and the descriptors for reflection.
//!
//! SPEC.md beside this crate says what the types cannot: which bytes are signed, hashed and sealed.
//! **Invariant:** nothing here checks anything; a decoded message is not yet a valid one (`envelope` makes it so).

#[cfg(feature = "services")]
pub mod codec;
#[cfg(feature = "services")]
pub mod fields;
pub mod words;

/// Package `ecowire.v1`. The comments of the items are those of the proto files.
#[allow(missing_docs, clippy::all, rustdoc::invalid_html_tags, rustdoc::broken_intra_doc_links, rustdoc::bare_urls)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/ecowire.v1.rs"));
}

/// Encoded `FileDescriptorSet` of the contract with its comments, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/ecowire.bin"));
