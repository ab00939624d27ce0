//! The words of the command line: names of kinds, priorities and states, and text from outside made safe for a terminal.
//!
//! It does not know what a kind may do; the rules do.

use std::fmt;

use proto::v1::{
    Audience, AuthorityKind, Classification, EntryKind, GroupSenders, Handling, Kind, OptOut, OversightMode, ParticipantState, Priority,
    RecipientState, ReleaseReason, ReleaseVerdict, StandingReason,
};

/// Text from outside, with control and bidirectional characters written as `\u{..}` so that it cannot steer a terminal.
///
/// ```
/// use client::words::Escaped;
/// assert_eq!(Escaped("a\u{1b}[2J\u{202e}b").to_string(), "a\\u{1b}[2J\\u{202e}b");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a str);

/// As [`Escaped`], but line feeds and tabs stay: for a text that stands alone on the screen.
#[derive(Clone, Copy, Debug)]
pub struct EscapedLines<'a>(pub &'a str);

/// JSON with the same characters as `\uXXXX`, which a reader of JSON takes for what they are.
#[derive(Clone, Copy, Debug)]
pub struct EscapedJson<'a>(pub &'a str);

impl fmt::Display for EscapedJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for character in self.0.chars() {
            if is_harmful(character) {
                let mut units = [0; 2];
                character.encode_utf16(&mut units).iter().try_for_each(|unit| write!(f, "\\u{unit:04x}"))?;
            } else {
                f.write_char(character)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_escaped(f, self.0, |_| false)
    }
}

impl fmt::Display for EscapedLines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_escaped(f, self.0, |character| matches!(character, '\n' | '\t'))
    }
}

fn write_escaped(f: &mut fmt::Formatter<'_>, text: &str, kept: impl Fn(char) -> bool) -> fmt::Result {
    use fmt::Write as _;
    for character in text.chars() {
        if is_harmful(character) && !kept(character) {
            write!(f, "{}", character.escape_unicode())?;
        } else {
            f.write_char(character)?;
        }
    }
    Ok(())
}

/// Controls, bidirectional marks and overrides, line separators, zero-width and invisible format characters, tags.
fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// An enum of the contract with a name for people: `KIND_NOTICE_REQUEST` reads `notice-request`.
pub trait Word: Copy + Sized + 'static {
    /// What the proto names begin with.
    const PREFIX: &'static str;
    /// The name in the proto file.
    fn proto_name(self) -> &'static str;
    /// Reads the name in the proto file.
    fn from_proto_name(name: &str) -> Option<Self>;

    /// All that can be said, in the order of the proto file.
    fn all() -> Vec<Self>;

    /// The words of all, without the unspecified value.
    #[must_use]
    fn words() -> Vec<String> {
        Self::all().into_iter().map(Self::word).filter(|word| Self::from_word(word).is_some()).collect()
    }

    /// The word.
    #[must_use]
    fn word(self) -> String {
        let name = self.proto_name();
        name.strip_prefix(Self::PREFIX).unwrap_or(name).to_ascii_lowercase().replace('_', "-")
    }

    /// Reads the word; the unspecified value has none.
    #[must_use]
    fn from_word(word: &str) -> Option<Self> {
        let name = word.to_ascii_uppercase().replace('-', "_");
        if name == "UNSPECIFIED" {
            return None;
        }
        Self::from_proto_name(&format!("{}{name}", Self::PREFIX))
    }
}

macro_rules! words {
    ($($type:ty, $prefix:literal;)*) => {
        $(impl Word for $type {
            const PREFIX: &'static str = $prefix;
            fn proto_name(self) -> &'static str {
                self.as_str_name()
            }
            fn from_proto_name(name: &str) -> Option<Self> {
                Self::from_str_name(name)
            }
            fn all() -> Vec<Self> {
                (0..NUMBERS_END).filter_map(|number| Self::try_from(number).ok()).collect()
            }
        })*
    };
}

words! {
    Kind, "KIND_";
    Priority, "PRIORITY_";
    Classification, "CLASSIFICATION_";
    Handling, "HANDLING_";
    OptOut, "OPT_OUT_";
    RecipientState, "RECIPIENT_STATE_";
    ParticipantState, "PARTICIPANT_STATE_";
    OversightMode, "OVERSIGHT_MODE_";
    StandingReason, "STANDING_REASON_";
    Audience, "AUDIENCE_";
    GroupSenders, "GROUP_SENDERS_";
    EntryKind, "ENTRY_KIND_";
    AuthorityKind, "AUTHORITY_KIND_";
    ReleaseVerdict, "RELEASE_VERDICT_";
    ReleaseReason, "RELEASE_REASON_";
}

/// No value of these enums has a number from here on.
const NUMBERS_END: i32 = 128;

/// The media type that a file name's extension stands for; `application/octet-stream` when nothing is known of it.
#[must_use]
pub fn media_type_of(file_name: &str) -> &'static str {
    let extension = file_name.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase();
    match extension.as_str() {
        "json" => "application/json",
        "txt" | "log" => "text/plain; charset=utf-8",
        "md" => "text/markdown; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "xml" => "application/xml",
        "html" | "htm" => "text/html; charset=utf-8",
        "geojson" => "application/geo+json",
        "pdf" => "application/pdf",
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "zip" => "application/zip",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn words_read_back() {
        for kind in [Kind::Ecomessage, Kind::NoticeRequest, Kind::Void, Kind::DeletionAttestation] {
            assert_eq!(Kind::from_word(&kind.word()), Some(kind));
        }
        assert_eq!(Kind::NoticeRequest.word(), "notice-request");
        assert_eq!(Kind::from_word("notice_request"), Some(Kind::NoticeRequest));
        assert_eq!(Classification::from_word("restricted"), Some(Classification::Restricted));
        assert_eq!(Handling::from_word("h2"), Some(Handling::H2));
        assert_eq!(OptOut::from_word("ongoing-operation"), Some(OptOut::OngoingOperation));
        assert_eq!(Kind::from_word("unspecified"), None);
        assert_eq!(Kind::from_word("KIND_VOID"), None);
    }

    #[test]
    fn words_are_listed() {
        assert_eq!(Priority::words(), ["routine", "urgent", "flash"]);
        assert_eq!(Handling::words(), ["h0", "h1", "h2", "h3"]);
        assert!(Kind::words().contains(&"notice-request".to_owned()) && !Kind::words().contains(&"unspecified".to_owned()));
    }

    #[test]
    fn nothing_from_outside_steers_the_terminal() {
        for (text, shown) in [
            ("plain \u{e9}\u{6587}", "plain \u{e9}\u{6587}"),
            ("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}"),
            ("a\nb\tc\r", "a\\u{a}b\\u{9}c\\u{d}"),
            ("\u{202e}txt.exe\u{2066}", "\\u{202e}txt.exe\\u{2066}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("\u{e0041}\u{feff}\u{200b}\u{2028}", "\\u{e0041}\\u{feff}\\u{200b}\\u{2028}"),
        ] {
            assert_eq!(Escaped(text).to_string(), shown);
        }
        assert_eq!(EscapedLines("a\nb\tc\r\u{1b}").to_string(), "a\nb\tc\\u{d}\\u{1b}");
    }

    #[test]
    fn extensions() {
        for (name, media_type) in
            [("report.json", "application/json"), ("a.b.PDF", "application/pdf"), ("none", "application/octet-stream")]
        {
            assert_eq!(media_type_of(name), media_type);
        }
    }
}
