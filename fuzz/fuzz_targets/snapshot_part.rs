//! `snapshot_part` of the crate `parsers`.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    parsers::body("snapshot_part")(bytes);
});
