//! Doors to parsers that are nobody else's business, for the crate `parsers`: it calls them with anything.
//!
//! A feature of its own; nothing that is shipped is built with it.

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::trouble::Trouble;

/// Address and gateway in the text of a `profile.toml`.
#[must_use]
pub fn profile(text: &str) -> Option<(String, String)> {
    crate::profile::parse(text)
}

/// Host and port of a gateway's URL.
#[must_use]
pub fn gateway_url(url: &str) -> Option<(String, u16)> {
    crate::link::parse_gateway(url).ok().map(|(_, host, port)| (host, port))
}

/// Whether a status of this code with these details is a refusal.
#[must_use]
pub fn is_refusal(code: i32, details: &[u8]) -> bool {
    let status = Status::with_details(Code::from(code), "a text", details.to_vec().into());
    let trouble = Trouble::of_status(&status);
    assert_eq!(trouble, Trouble::of_status(&status), "two readings of one status");
    matches!(trouble, Trouble::Refused { .. })
}

/// Code and details of statuses as a gateway sends them.
#[must_use]
pub fn refusals() -> Vec<Vec<u8>> {
    let refusal = ErrorDetails::with_error_info("NO_GRANT", "ecowire", [("kind".to_owned(), "alert".to_owned())]);
    let other = ErrorDetails::with_error_info("NO_GRANT", "elsewhere", std::collections::HashMap::new());
    let busy = ErrorDetails::with_retry_info(Some(std::time::Duration::from_millis(1500)));
    let status = |(code, details): (Code, &ErrorDetails)| {
        let status = Status::with_error_details(code, "a text", details.clone());
        [&[code as u8][..], status.details()].concat()
    };
    let codes = [Code::PermissionDenied, Code::InvalidArgument, Code::Unavailable, Code::Internal];
    codes.into_iter().flat_map(|code| [&refusal, &other, &busy].map(|details| status((code, details)))).collect()
}
