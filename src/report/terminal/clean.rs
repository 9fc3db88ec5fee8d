//! Text from outside, made harmless for a terminal: it can't move the cursor, hide or
//! reorder what stands beside it, issue a command to a CI system, or fill the screen.

use crate::report::clean::clean;

/// What stands where a line broke.
const BREAK: &str = " ⏎ ";

/// The text as a part of one line, at most `limit` characters long; what is over the
/// limit is counted.
pub(super) fn one_line(text: &str, limit: usize) -> String {
    let text = text.trim_end_matches(['\n', '\r']);
    // Far more than a line's worth is not even looked at: texts may be megabytes.
    let (near, far) = text.split_at(text.floor_char_boundary(limit.saturating_mul(8).saturating_add(4096)));
    let near = clean(near);
    let mut rest = near.chars();
    let mut out = String::new();
    let mut length = 0;
    while let Some(c) = rest.next() {
        let before = out.len();
        match c {
            '\t' => out.push(' '),
            '\n' | '\u{2028}' | '\u{2029}' if out.ends_with(BREAK) => {}
            '\n' | '\u{2028}' | '\u{2029}' if out.ends_with(' ') => out.push_str(BREAK.trim_start()),
            '\n' | '\u{2028}' | '\u{2029}' => out.push_str(BREAK),
            c if is_unseen(c) => {}
            c => out.push(c),
        }
        length += out[before..].chars().count();
        if length > limit {
            out.truncate(before);
            let more = 1 + rest.count() + far.chars().count();
            return without_commands(&out) + &format!("… ({more} more characters)");
        }
    }
    without_commands(&out)
}

/// The text's lines, each as a part of one line; at most `most` of them, the others counted.
pub(super) fn lines(text: &str, most: usize, limit: usize) -> Vec<String> {
    let all = text.trim_end_matches(['\n', '\r']);
    let mut lines: Vec<String> = all.lines().take(most).map(|line| one_line(line, limit)).collect();
    let more = all.lines().count().saturating_sub(most);
    if more > 0 {
        lines.push(format!("… ({} more)", crate::text::count(more, "line")));
    }
    lines
}

/// Characters that can't be seen and break up what stands beside them. The joiners that
/// emoji and some scripts need are not among them.
fn is_unseen(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
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
        let is_command = tail.trim_start_matches(|c: char| c.is_ascii_alphabetic()).starts_with('[');
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
            ("\x1b]0;title\x07 and \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", " and link"),
            ("\u{9b}31mred \x1b(Bset \x1b7saved", "red set saved"),
            ("\x1b", ""),
            ("\x1b]0;never ends", "0;never ends"),
            ("nul \0 bell \x07 del \x7f c1 \u{80}", "nul \u{fffd} bell \u{fffd} del \u{fffd} c1 \u{fffd}"),
            ("\u{202e}abc\u{200f} x\u{2028}\u{feff}y", "\u{fffd}abc x ⏎ y"),
            ("\u{ffff}", "\u{fffd}"),
            ("##[error]x ###[a] ##vso[b] ## [c] ##x", "# #[error]x ## #[a] # #vso[b] ## [c] ##x"),
            ("#\u{200b}#[error]", "# #[error]"),
            ("##\x1b[0m[error]", "# #[error]"),
            ("👩‍👩‍👧 stays whole", "👩‍👩‍👧 stays whole"),
        ] {
            assert_eq!(one_line(text, 100), clean, "{text:?}");
        }
    }

    #[test]
    fn long_text_is_cut_with_a_mark() {
        assert_eq!(one_line("0123456789", 10), "0123456789");
        assert_eq!(one_line("0123456789ab", 10), "0123456789… (2 more characters)");
        assert_eq!(one_line(&"x".repeat(1 << 20), 5), "xxxxx… (1048571 more characters)");
        assert_eq!(lines("a\n::b\nc\n", 2, 9), ["a", "::b", "… (1 line more)"]);
    }
}
