//! Where a byte of a text's value stands in the TOML that spells it.

use std::ops::Range;

/// The bytes of the file that spell a range of a text's value.
///
/// `quoted` are the bytes of the whole literal with its quotes. Where the value
/// can't be followed through escapes and line breaks, the whole literal is given.
pub(super) fn locate(file: &str, quoted: &Range<usize>, value: &str, range: &Range<usize>) -> Range<usize> {
    let whole = quoted.clone();
    let Some(raw) = file.get(quoted.clone()) else {
        return whole;
    };
    let Some(offsets) = offsets(raw, value) else {
        return whole;
    };
    let at = |byte: usize| offsets.get(byte.min(value.len())).copied().unwrap_or(raw.len());
    let start = quoted.start + at(range.start);
    let end = quoted.start + at(range.end);
    start..end.max(start)
}

/// For each byte of the value, and its end, where it is spelled.
fn offsets(raw: &str, value: &str) -> Option<Vec<usize>> {
    let (open, escapes) = if raw.starts_with("\"\"\"") {
        (3, true)
    } else if raw.starts_with("'''") {
        (3, false)
    } else if raw.starts_with('"') {
        (1, true)
    } else if raw.starts_with('\'') {
        (1, false)
    } else {
        // A YAML text without quotes.
        return (raw == value).then(|| (0..=raw.len()).collect());
    };
    let close = raw.len().checked_sub(open).filter(|close| *close >= open)?;
    let mut at = open;
    if open == 3 {
        // A line break right after the opening quotes is not part of the value.
        let rest = &raw[at..close];
        at += if rest.starts_with("\r\n") { 2 } else { usize::from(rest.starts_with('\n')) };
    }
    let mut offsets = Vec::with_capacity(value.len() + 1);
    let mut spelled = String::with_capacity(value.len());
    while at < close {
        let c = raw[at..].chars().next()?;
        let (decoded, width) = if c == '\\' && escapes { unescape(&raw[at..close])? } else { (Some(c), c.len_utf8()) };
        if let Some(c) = decoded {
            offsets.extend(std::iter::repeat_n(at, c.len_utf8()));
            spelled.push(c);
        }
        at += width;
    }
    offsets.push(close);
    (spelled == value).then_some(offsets)
}

/// What an escape stands for and how long it is; a line-ending backslash stands for nothing.
fn unescape(raw: &str) -> Option<(Option<char>, usize)> {
    let kind = raw[1..].chars().next()?;
    let hex = |digits: usize| {
        let code = u32::from_str_radix(raw.get(2..2 + digits)?, 16).ok()?;
        Some((Some(char::from_u32(code)?), 2 + digits))
    };
    match kind {
        'b' => Some((Some('\u{8}'), 2)),
        't' => Some((Some('\t'), 2)),
        'n' => Some((Some('\n'), 2)),
        'f' => Some((Some('\u{c}'), 2)),
        'r' => Some((Some('\r'), 2)),
        'e' => Some((Some('\u{1b}'), 2)),
        '"' | '\\' => Some((Some(kind), 2)),
        'x' => hex(2),
        'u' => hex(4),
        'U' => hex(8),
        ' ' | '\t' | '\n' | '\r' => {
            let rest = raw[1..].trim_start_matches([' ', '\t', '\n', '\r']);
            Some((None, raw.len() - rest.len()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(file: &str, part: &str, spelled: &str) {
        let (table, errors) = super::super::tree::parse(file);
        assert!(errors.is_empty(), "{file}");
        let item = &table["a"].item;
        let value = item.as_text().unwrap();
        let start = value.find(part).unwrap();
        let found = locate(file, &item.span, value, &(start..start + part.len()));
        assert_eq!(&file[found], spelled, "{file}");
    }

    #[test]
    fn values_are_followed_through_quotes_and_escapes() {
        check("a = 'one two'", "two", "two");
        check("a = \"one \\u00e4 two\"", "two", "two");
        check("a = \"one \\\" two\"", "\" two", "\\\" two");
        check("a = '''\none\ntwo'''", "two", "two");
        check("a = \"\"\"\none \\\n   two three\"\"\"", "three", "three");
        check("a = \"ä two\"", "two", "two");
    }
}
