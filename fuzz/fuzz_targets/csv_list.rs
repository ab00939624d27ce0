//! `csv_list` of the crate `parsers`.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    parsers::body("csv_list")(bytes);
});
