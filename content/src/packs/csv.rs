//! Quoted CSV (RFC 4180), with the separator that its first line has. It knows no column.

use super::{PACK_ROWS_MAX, PackError};

/// The lines of a table; a quoted cell may have line ends and doubled quotes.
pub(super) fn rows(text: &str) -> Result<Vec<Vec<String>>, PackError> {
    let text = text.trim_start_matches('\u{feff}');
    let first = text.lines().next().unwrap_or_default();
    // Both are exported, by the reader's choice; names of columns have neither.
    let separator = if first.matches(';').count() > first.matches(',').count() { ';' } else { ',' };
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let (mut quoted, mut line, mut opened) = (false, 1, 1);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        line += usize::from(c == '\n');
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if cell.is_empty() => (quoted, opened) = (true, line),
            _ if quoted => cell.push(c),
            '\r' => {}
            '\n' => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
                if rows.len() > PACK_ROWS_MAX + 1 {
                    return Err(PackError::Rows(rows.len()));
                }
            }
            _ if c == separator => row.push(std::mem::take(&mut cell)),
            _ => cell.push(c),
        }
    }
    if quoted {
        return Err(PackError::Quote(opened));
    }
    if !cell.is_empty() || !row.is_empty() {
        row.push(cell);
        rows.push(row);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&[&str]]) {
        assert_eq!(rows(text).unwrap(), expected, "{text:?}");
    }

    #[test]
    fn cells() {
        check("", &[]);
        check("a,b\r\nc,d\r\n", &[&["a", "b"], &["c", "d"]]);
        check("\u{feff}a;b,c\n", &[&["a;b", "c"]]);
        check("a;b;c,d\n1;\"2;\n\"\"x\"\"\";3", &[&["a", "b", "c,d"], &["1", "2;\n\"x\"", "3"]]);
        check("a,,\n,\n", &[&["a", "", ""], &["", ""]]);
        check("5\" pipe,x", &[&["5\" pipe", "x"]]);
        assert!(matches!(rows("a\n\"b\nc"), Err(PackError::Quote(2))));
    }
}
