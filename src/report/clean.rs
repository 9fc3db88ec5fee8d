use std::str::Chars;

/// What stands in place of a character that is not shown.
const HIDDEN: char = char::REPLACEMENT_CHARACTER;

/// Text from outside, made fit for any report.
///
/// Terminal sequences are taken out whole, so that no `[31m` stays behind. Line
/// ends become `\n`. Other control characters, what XML 1.0 can't hold, and marks
/// that turn the reading direction are replaced by U+FFFD: the reader sees that
/// something was there, and nothing on the page can be turned around.
pub(super) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\r' => {
                if !rest.as_str().starts_with('\n') {
                    out.push('\n');
                }
            }
            '\x1b' => skip_escape(&mut rest),
            '\u{9b}' => skip_control(&mut rest),
            '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}' => skip_string(&mut rest),
            '\t' | '\n' => out.push(c),
            c if is_hidden(c) => out.push(HIDDEN),
            c => out.push(c),
        }
    }
    out
}

/// The same in one line: line ends and the blanks around them become one blank.
pub(super) fn line(text: &str) -> String {
    let clean = clean(text);
    if !clean.contains(['\n', '\t']) {
        return clean.trim().to_owned();
    }
    let parts: Vec<&str> = clean.split(['\n', '\t']).map(str::trim).filter(|part| !part.is_empty()).collect();
    parts.join(" ")
}

/// One line of at most a thousand bytes or so: names, paths, sentences.
pub(super) fn brief(text: &str) -> String {
    line(&cut(text, 1_000))
}

/// One line of at most that many characters, for places where a page must not grow.
pub(super) fn ellipsis(text: &str, most: usize) -> String {
    let line = brief(text);
    match line.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
        None => line,
    }
}

/// The text if it is at most that many bytes; else its head and its tail, and
/// between them how much is missing and where it is.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let head = text.floor_char_boundary(most / 2);
    let tail = text.ceil_char_boundary(text.len() - most / 2);
    let missing = tail - head;
    let gap = if text[..head].contains('\n') { "\n" } else { " " };
    format!(
        "{}{gap}[… {missing} of {} bytes are left out here; all of it is in events.jsonl …]{gap}{}",
        &text[..head],
        text.len(),
        &text[tail..]
    )
}

/// Control characters, what is outside XML 1.0's `Char`, and explicit marks of
/// reading direction (embeddings, overrides, isolates).
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{fffe}' | '\u{ffff}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What follows ESC, by ECMA-48.
fn skip_escape(rest: &mut Chars<'_>) {
    match rest.as_str().chars().next() {
        Some('[') => {
            rest.next();
            skip_control(rest);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            rest.next();
            skip_string(rest);
        }
        Some(' '..='/') => {
            skip_while(rest, |c| matches!(c, ' '..='/'));
            skip_one(rest, |c| matches!(c, '0'..='~'));
        }
        _ => skip_one(rest, |c| matches!(c, '0'..='~')),
    }
}

/// Parameters, intermediates and the final byte of a control sequence.
fn skip_control(rest: &mut Chars<'_>) {
    skip_while(rest, |c| matches!(c, '0'..='?'));
    skip_while(rest, |c| matches!(c, ' '..='/'));
    skip_one(rest, |c| matches!(c, '@'..='~'));
}

/// A string up to its terminator in the same line. Without one only the opening
/// is dropped: a cut log must not swallow what follows.
fn skip_string(rest: &mut Chars<'_>) {
    let text = rest.as_str();
    let end = text.find(['\x07', '\x1b', '\u{9c}', '\n', '\r']);
    if let Some(end) = end {
        let (_, after) = text.split_at(end);
        if let Some(after) = after.strip_prefix("\x1b\\").or_else(|| after.strip_prefix(['\x07', '\u{9c}'])) {
            *rest = after.chars();
        }
    }
}

fn skip_while(rest: &mut Chars<'_>, is: impl Fn(char) -> bool) {
    *rest = rest.as_str().trim_start_matches(is).chars();
}

fn skip_one(rest: &mut Chars<'_>, is: impl Fn(char) -> bool) {
    if rest.as_str().chars().next().is_some_and(is) {
        rest.next();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn terminal_sequences_go_whole_and_the_rest_is_kept() {
        for (text, cleaned) in [
            ("\x1b[1;31mred\x1b[0m", "red"),
            ("\u{9b}31mred", "red"),
            ("\x1b]0;title\x07after", "after"),
            ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
            ("\x1b]0;never closed\nnext", "0;never closed\nnext"),
            ("\x1b(Bplain \x1b7saved", "plain saved"),
            ("\x1b", ""),
            ("\x1b[", ""),
            ("a\r\nb\rc", "a\nb\nc"),
            ("nul\0bell\x07del\x7f", "nul\u{fffd}bell\u{fffd}del\u{fffd}"),
            ("\u{fffe}\u{ffff}", "\u{fffd}\u{fffd}"),
            ("a\u{202e}b", "a\u{fffd}b"),
            ("שלום 🦢 ]]>", "שלום 🦢 ]]>"),
        ] {
            assert_eq!(clean(text), cleaned, "{text:?}");
        }
    }

    #[test]
    fn a_line_has_no_line_ends() {
        assert_eq!(line(" a \r\n\n  b\tc\n"), "a b c");
        assert_eq!(line("two  blanks"), "two  blanks");
    }

    #[test]
    fn what_is_cut_says_how_much() {
        assert_eq!(cut("short", 5), "short");
        assert_eq!(
            cut(&"ä".repeat(1_000), 7),
            "ä [… 1996 of 2000 bytes are left out here; all of it is in events.jsonl …] ä"
        );
    }

    proptest! {
        #[test]
        fn nothing_hidden_stays(text in any::<String>()) {
            let cleaned = clean(&text);
            prop_assert!(!cleaned.contains(|c: char| is_hidden(c) && !matches!(c, '\t' | '\n')));
            prop_assert_eq!(clean(&cleaned), cleaned.clone());
            prop_assert!(!line(&text).contains(['\n', '\t']));
        }
    }
}
