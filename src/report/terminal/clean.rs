//! Text from outside, made harmless: it can't move the cursor, hide or reorder what
//! stands beside it, issue a command to a CI system, or fill the screen.

use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::Chars;

/// What stands where a line broke.
const BREAK: &str = " ⏎ ";

/// The text as a part of one line, at most `limit` characters long.
///
/// Colours and other terminal sequences are left out, other control characters are
/// shown as pictures, and what is over the limit is counted.
pub(super) fn one_line(text: &str, limit: usize) -> String {
    let mut chars = text.trim_end_matches(['\n', '\r']).chars().peekable();
    let mut out = String::new();
    let mut length = 0;
    while let Some(c) = chars.next() {
        let before = out.len();
        push(c, &mut chars, &mut out);
        length += out[before..].chars().count();
        if length > limit {
            out.truncate(before);
            let rest = 1 + chars.count();
            return without_commands(&out) + &format!("… ({rest} more characters)");
        }
    }
    without_commands(&out)
}

/// The text's lines, each as a part of one line; at most `most` of them, the others counted.
pub(super) fn lines(text: &str, most: usize, limit: usize) -> Vec<String> {
    let all = text.trim_end_matches(['\n', '\r']);
    let mut lines: Vec<String> = all
        .lines()
        .take(most)
        .map(|line| one_line(line, limit))
        .collect();
    let more = all.lines().count().saturating_sub(most);
    if more > 0 {
        lines.push(format!("… ({} more)", crate::text::count(more, "line")));
    }
    lines
}

/// One character, with those that belong to it.
fn push(c: char, rest: &mut Peekable<Chars<'_>>, out: &mut String) {
    match c {
        '\t' => out.push(' '),
        '\r' if rest.peek() == Some(&'\n') => {}
        '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => {
            if !out.ends_with(BREAK) {
                out.push_str(if out.ends_with(' ') {
                    BREAK.trim_start()
                } else {
                    BREAK
                });
            }
        }
        '\u{1b}' => match sequence(rest.clone()) {
            Some(after) => *rest = after,
            None => out.push('␛'),
        },
        '\u{9b}' => match control_sequence(rest.clone()) {
            Some(after) => *rest = after,
            None => out.push('␛'),
        },
        '\0'..='\u{1f}' => out.push(
            char::from_u32(0x2400 + u32::from(c)).expect("each control character has a picture"),
        ),
        '\u{7f}' => out.push('␡'),
        '\u{80}'..='\u{9f}' => {
            write!(out, "\\x{:02x}", u32::from(c)).expect("a String takes text");
        }
        c if is_unseen(c) => {}
        '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
        c => out.push(c),
    }
}

/// Characters that reorder or hide others, or can't be seen themselves. The joiners that
/// emoji and some scripts need are not among them.
fn is_unseen(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The longest sequence that is taken for one: a stray escape must not swallow a log.
const LONGEST: usize = 2048;

/// What follows an escape sequence, if what follows the escape is one.
fn sequence(mut rest: Peekable<Chars<'_>>) -> Option<Peekable<Chars<'_>>> {
    match rest.next()? {
        '[' => control_sequence(rest),
        // Titles, links and other strings, up to BEL or ST.
        ']' | 'P' | 'X' | '^' | '_' => {
            for _ in 0..LONGEST {
                match rest.next()? {
                    '\u{7}' | '\u{9c}' => return Some(rest),
                    '\u{1b}' => return (rest.next()? == '\\').then_some(rest),
                    '\n' => return None,
                    _ => {}
                }
            }
            None
        }
        // Two or three bytes, such as the choice of a character set.
        ' '..='/' => ('0'..='~').contains(&rest.next()?).then_some(rest),
        '0'..='~' => Some(rest),
        _ => None,
    }
}

/// What follows the parameters and the last byte of a control sequence.
fn control_sequence(mut rest: Peekable<Chars<'_>>) -> Option<Peekable<Chars<'_>>> {
    for _ in 0..LONGEST {
        match rest.next()? {
            ' '..='?' => {}
            '@'..='~' => return Some(rest),
            _ => return None,
        }
    }
    None
}

/// Breaks `##[…]`, `##vso[…]` and their like, which CI systems obey anywhere in a line.
fn without_commands(text: &str) -> String {
    if !text.contains("##") {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest = text;
    while let Some(at) = rest.find("##") {
        let tail = &rest[at + 2..];
        let is_command = tail
            .trim_start_matches(|c: char| c.is_ascii_alphabetic())
            .starts_with('[');
        out.push_str(&rest[..=at]);
        out.push_str(if is_command { " " } else { "" });
        rest = &rest[at + 1..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_one_harmless_line() {
        for (text, clean) in [
            ("plain ünïcode 🦢", "plain ünïcode 🦢"),
            ("a\nb\r\nc\rd\n", "a ⏎ b ⏎ c ⏎ d"),
            ("a \n\n\n b", "a ⏎  b"),
            ("a\tb", "a b"),
            ("\x1b[31mred\x1b[0m", "red"),
            (
                "\x1b]0;title\x07 and \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\",
                " and link",
            ),
            ("\u{9b}31mred \x1b(Bset \x1b7saved", "red set saved"),
            ("\x1b", "␛"),
            ("\x1b[31", "␛[31"),
            ("\x1b]0;never ends", "␛]0;never ends"),
            (
                "nul \0 bell \x07 del \x7f c1 \u{80}",
                "nul ␀ bell ␇ del ␡ c1 \\x80",
            ),
            ("\u{202e}abc\u{202c} \u{2066}x\u{2069} \u{feff}y", "abc x y"),
            ("\u{ffff}", "\u{fffd}"),
            (
                "##[error]x ###[a] ##vso[b] ## [c] ##x",
                "# #[error]x ## #[a] # #vso[b] ## [c] ##x",
            ),
            ("#\u{202e}#[error]", "# #[error]"),
            ("##\x1b[0m[error]", "# #[error]"),
            ("👩‍👩‍👧 stays whole", "👩‍👩‍👧 stays whole"),
        ] {
            assert_eq!(one_line(text, 100), clean, "{text:?}");
        }
    }

    #[test]
    fn long_text_is_cut_with_a_mark() {
        assert_eq!(one_line("0123456789", 10), "0123456789");
        assert_eq!(
            one_line("0123456789ab", 10),
            "0123456789… (2 more characters)"
        );
        assert_eq!(
            one_line(&"x".repeat(1 << 20), 5),
            "xxxxx… (1048571 more characters)"
        );
        assert_eq!(lines("a\n::b\nc\n", 2, 9), ["a", "::b", "… (1 line more)"]);
    }
}
