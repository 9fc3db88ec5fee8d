//! Reads a source as tokens, just enough to measure it before the parser sees
//! it, and to find where a hole of a template ends.
//!
//! The parser is recursive and an overflow of the stack would end the process,
//! so nothing reaches it that is not known to fit.

use std::ops::Range;

use super::mistake::Mistake;

/// The longest source, in bytes.
pub(super) const MAX_BYTES: usize = 4096;

/// How many brackets may stand inside each other.
///
/// A level costs the parser up to 11 KiB of stack in a debug build.
pub(super) const MAX_NESTING: usize = 32;

/// How many operators may hang on each other, as in `1 + 1 + 1` or `a.b.c`.
///
/// Each costs up to 1.4 KiB of stack in a debug build. Terms of `&&` and `||`,
/// elements and arguments stand beside each other and are not counted
/// together.
pub(super) const MAX_CHAIN: usize = 256;

/// A token, as far as anybody here needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// A name, a keyword or the digits of a number.
    Word,
    /// A string or bytes literal, or a name in backticks.
    Text {
        closed: bool,
    },
    Open,
    Close,
    /// `&&` and `||`, which the parser balances.
    Logic,
    Comma,
    Question,
    Colon,
    /// Any other operator, the dot included.
    Sign,
    /// A character that CEL does not know.
    Other,
}

/// Cuts a source into tokens; white space and comments are left out.
pub(super) struct Tokens<'a> {
    source: &'a str,
    at: usize,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(source: &'a str, at: usize) -> Self {
        Self { source, at }
    }

    fn bytes(&self) -> &'a [u8] {
        self.source.as_bytes()
    }

    fn skip_blank(&mut self) {
        let bytes = self.bytes();
        loop {
            while bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
                self.at += 1;
            }
            if !bytes[self.at..].starts_with(b"//") {
                return;
            }
            while bytes.get(self.at).is_some_and(|b| *b != b'\n') {
                self.at += 1;
            }
        }
    }

    /// Where the literal ends whose quote stands at `at`, and whether it is closed.
    fn text_end(&self, at: usize, raw: bool) -> (usize, bool) {
        let bytes = self.bytes();
        let quote = bytes[at];
        let triple = bytes[at..].starts_with(&[quote; 3]) && quote != b'`';
        let width = if triple { 3 } else { 1 };
        let mut i = at + width;
        while i < bytes.len() {
            if bytes[i..].starts_with(&[quote; 3][..width]) {
                return (i + width, true);
            }
            match bytes[i] {
                b'\\' if !raw => i += 2,
                b'\n' if !triple => return (i, false),
                _ => i += 1,
            }
        }
        (bytes.len(), false)
    }
}

impl Iterator for Tokens<'_> {
    type Item = (Range<usize>, Token);

    fn next(&mut self) -> Option<Self::Item> {
        self.skip_blank();
        let bytes = self.bytes();
        let start = self.at;
        let first = *bytes.get(start)?;
        let text = |raw| {
            let quote = bytes[start..].iter().position(|b| matches!(b, b'\'' | b'"' | b'`')).unwrap_or(0);
            let (end, closed) = self.text_end(start + quote, raw || first == b'`');
            (end, Token::Text { closed })
        };
        let (end, token) = match first {
            b'\'' | b'"' | b'`' => text(false),
            b if is_word(b) => {
                let end = word_end(bytes, start);
                let quoted = matches!(bytes.get(end), Some(b'\'' | b'"'));
                match &self.source[start..end] {
                    "b" | "B" if quoted => text(false),
                    "r" | "R" | "br" | "bR" | "Br" | "BR" | "rb" | "rB" | "Rb" | "RB" if quoted => text(true),
                    _ => (end, Token::Word),
                }
            }
            b'(' | b'[' | b'{' => (start + 1, Token::Open),
            b')' | b']' | b'}' => (start + 1, Token::Close),
            b',' => (start + 1, Token::Comma),
            b'?' => (start + 1, Token::Question),
            b':' => (start + 1, Token::Colon),
            b'&' | b'|' if bytes.get(start + 1) == Some(&first) => (start + 2, Token::Logic),
            b'=' | b'!' | b'<' | b'>' if bytes.get(start + 1) == Some(&b'=') => (start + 2, Token::Sign),
            b'<' | b'>' | b'!' | b'+' | b'-' | b'*' | b'/' | b'%' | b'.' => (start + 1, Token::Sign),
            _ => {
                let width = self.source[start..].chars().next().map_or(1, char::len_utf8);
                (start + width, Token::Other)
            }
        };
        self.at = end.min(bytes.len());
        Some((start..self.at, token))
    }
}

pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Where the word ends that goes on at `at`.
pub(super) fn word_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|b| !is_word(*b)).map_or(bytes.len(), |n| at + n)
}

/// Refuses what is empty, unbalanced, or more than the parser's stack can hold.
pub(super) fn measure(source: &str) -> Result<(), Mistake> {
    if source.len() > MAX_BYTES {
        return Err(Mistake::new(
            0..source.len(),
            format!("the expression is {} bytes long, at most {MAX_BYTES} are read", source.len()),
        )
        .help("split it into several conditions, or move values into vars"));
    }
    let mut levels = vec![Level::default()];
    let mut any = false;
    for (span, token) in Tokens::new(source, 0) {
        any = true;
        let top = levels.last_mut().expect("the outermost level is never closed");
        match token {
            Token::Word | Token::Other | Token::Text { closed: true } => {}
            Token::Text { closed: false } => {
                return Err(Mistake::new(span, "the string that begins here is not closed"));
            }
            Token::Sign => top.chain += 1,
            Token::Logic | Token::Comma | Token::Colon => top.chain = 0,
            Token::Question => {
                let optional =
                    matches!(source[..span.start].trim_end().as_bytes().last(), Some(b'.' | b'[' | b'{' | b','));
                if !optional {
                    top.choices += 1;
                    top.chain = 0;
                }
            }
            Token::Open => {
                top.chain += 1;
                levels.push(Level { open: span.start, ..Level::default() });
                if levels.len() > MAX_NESTING + 1 {
                    return Err(Mistake::new(
                        span,
                        format!(
                            "the expression is nested too deeply, at most {MAX_NESTING} brackets may stand inside each other"
                        ),
                    ));
                }
            }
            Token::Close => {
                let close = source.as_bytes()[span.start];
                let open = top.open;
                let open = (levels.len() > 1).then(|| source.as_bytes()[open]);
                match open {
                    None => return Err(Mistake::new(span, format!("this `{}` closes nothing", close as char))),
                    Some(open) if partner(open) != close => {
                        let message = format!("`{}` is closed by `{}`", open as char, close as char);
                        return Err(Mistake::new(span, message).help(format!("write `{}` here", partner(open) as char)));
                    }
                    Some(_) => levels.pop(),
                };
            }
        }
        if levels.iter().map(|level| level.chain + level.choices).sum::<usize>() > MAX_CHAIN {
            return Err(Mistake::new(
                span,
                format!("the expression is too long a chain, at most {MAX_CHAIN} operators may hang on each other"),
            ));
        }
    }
    if !any {
        return Err(Mistake::new(0..source.len(), "the expression is empty"));
    }
    match levels.pop() {
        Some(level) if !levels.is_empty() => {
            let open = source.as_bytes()[level.open];
            Err(Mistake::new(
                level.open..level.open + 1,
                format!("this `{}` is not closed, a `{}` is missing", open as char, partner(open) as char),
            ))
        }
        _ => Ok(()),
    }
}

/// One bracket and what hangs together inside it.
#[derive(Default)]
struct Level {
    open: usize,
    chain: usize,
    /// Conditionals nest to the right and are not undone by the next one.
    choices: usize,
}

fn partner(open: u8) -> u8 {
    match open {
        b'(' => b')',
        b'[' => b']',
        _ => b'}',
    }
}

/// Where the bracket is closed that stands at `open`.
pub(super) fn closing(source: &str, open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (span, token) in Tokens::new(source, open) {
        match token {
            Token::Open => depth += 1,
            Token::Close => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(span.start);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(source: &str) -> Vec<&str> {
        Tokens::new(source, 0).map(|(span, _)| &source[span]).collect()
    }

    #[test]
    fn strings_are_one_token() {
        assert_eq!(
            tokens(r#"'a\'(' + "b" + r'\' + '''c'd''' + rb"}""#),
            [r"'a\'('", "+", "\"b\"", "+", r"r'\'", "+", "'''c'd'''", "+", "rb\"}\""]
        );
    }

    #[test]
    fn comments_and_blanks_are_left_out() {
        assert_eq!(tokens("a // ( '\n  + b"), ["a", "+", "b"]);
    }

    #[test]
    fn characters_are_never_cut() {
        assert_eq!(tokens("ä == “x”"), ["ä", "==", "“", "x", "”"]);
        assert_eq!(tokens("'\\"), ["'\\"]);
    }

    #[test]
    fn brackets_find_their_partner() {
        assert_eq!(closing("a[b['}'](1)] + c", 1), Some(11));
        assert_eq!(closing("a[b", 1), None);
    }

    #[test]
    fn the_measure_names_the_place() {
        let said = |source: &str| measure(source).map_err(|m| (m.message, m.span)).unwrap_err();
        assert_eq!(said(" \n"), ("the expression is empty".to_owned(), 0..2));
        assert_eq!(said("a + 'b"), ("the string that begins here is not closed".to_owned(), 4..6));
        assert_eq!(said("(a"), ("this `(` is not closed, a `)` is missing".to_owned(), 0..1));
        assert_eq!(said("a)"), ("this `)` closes nothing".to_owned(), 1..2));
        assert_eq!(said("f(a]"), ("`(` is closed by `]`".to_owned(), 3..4));
    }

    #[test]
    fn terms_beside_each_other_do_not_add_up() {
        let clauses = vec!["o.status.phase == 'x'"; 160].join(" && ");
        assert_eq!(measure(&clauses), Ok(()));
        assert!(measure(&format!("1{}", "+1".repeat(300))).is_err());
        assert!(measure(&"a ? 1 : ".repeat(300)).is_err());
    }
}
