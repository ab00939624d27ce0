//! What stands on a terminal: the contract's words, and text from outside made safe.
//!
//! It does not know what a kind may do; the rules do.

use std::fmt;

pub use proto::words::Word;

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
