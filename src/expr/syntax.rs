//! Text in, syntax tree out, and the parser's complaints as sentences.

use std::ops::Range;

use cel::common::ast::{IdedExpr, SourceInfo};
use cel::{ParseError, ParseErrors};

use super::function::standard;
use super::mistake::Mistake;
use super::scan::{self, Tokens};

/// Parses a source that fits.
pub(super) fn parse(source: &str) -> Result<(IdedExpr, SourceInfo), Mistake> {
    scan::measure(source)?;
    standard()
        .parser()
        .enable_ident_escape_syntax(true)
        .parse_with_source_info(source)
        .map_err(|errors| first_of(&errors, source))
}

/// The parser goes on after a mistake and mostly complains about what follows
/// from it; only the first complaint is worth a reader's time.
fn first_of(errors: &ParseErrors, source: &str) -> Mistake {
    let incomplete = |error: &&ParseError| !error.msg.starts_with("Incomplete");
    let first = errors.errors.iter().find(incomplete).or(errors.errors.first());
    match first {
        Some(error) => sentence(&error.msg, offset(source, error.pos), source),
        None => Mistake::new(0..source.len(), "this is not an expression"),
    }
}

/// A line and column of characters, both from one, as a byte.
fn offset(source: &str, (line, column): (isize, isize)) -> usize {
    let line = usize::try_from(line).unwrap_or(1).max(1);
    let column = usize::try_from(column).unwrap_or(1).max(1);
    let start: usize = source.split_inclusive('\n').take(line - 1).map(str::len).sum();
    source[start..].char_indices().nth(column - 1).map_or(source.len(), |(byte, _)| start + byte)
}

/// The token that stands at or after a byte.
fn token_at(source: &str, at: usize) -> Range<usize> {
    Tokens::new(source, 0).map(|(span, _)| span).find(|span| span.end > at).unwrap_or(source.len()..source.len())
}

fn sentence(complaint: &str, at: usize, source: &str) -> Mistake {
    let span = token_at(source, at);
    let word = &source[span.clone()];
    if let Some(name) = complaint.strip_prefix("reserved identifier: ") {
        return Mistake::new(span, format!("`{name}` is a reserved word and cannot be a name"));
    }
    if complaint.starts_with("invalid argument to has()") {
        return Mistake::new(span, "`has` asks for a field").help("write `has(o.status.phase)`");
    }
    if complaint.contains("must be a simple name") {
        return Mistake::new(span, "the first argument is the name of the variable")
            .help("write `list.filter(x, x > 1)`");
    }
    if complaint.starts_with("invalid") && complaint.contains("literal") {
        let kind = if complaint.contains("string") || complaint.contains("bytes") { "string" } else { "number" };
        let why = if kind == "number" { "is out of range" } else { "has an escape that is not known" };
        return Mistake::new(span, format!("the {kind} {why}"));
    }
    if !complaint.starts_with("Syntax error") {
        // A macro speaks for itself.
        return Mistake::new(span, complaint);
    }
    if word.is_empty() || complaint.contains("'<EOF>'") {
        return Mistake::new(source.len()..source.len(), "the expression ends too early");
    }
    let unexpected = Mistake::new(span.clone(), format!("`{word}` was not expected here"));
    let write = |instead: &str| unexpected.clone().help(format!("write `{instead}`"));
    match word {
        "=" => Mistake::new(span, "`=` is not an operator").help("write `==` to compare"),
        "&" | "and" | "AND" => write("&&"),
        "|" | "or" | "OR" => write("||"),
        "is" => write("=="),
        "$" => unexpected.help("names are written without `$`"),
        "“" | "”" | "‘" | "’" => unexpected.help("strings stand in `'` or `\"`"),
        _ if source[..span.start].trim_end().ends_with("not") => {
            let start = source[..span.start].trim_end().len() - 3;
            Mistake::new(start..start + 3, "`not` is not an operator").help("write `!`")
        }
        _ if word.starts_with(['\'', '"']) => Mistake::new(span, "the string has an escape that is not known")
            .help("write `\\\\` for a backslash, or `r'…'`"),
        _ => unexpected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(source: &str) -> String {
        let mistake = parse(source).expect_err(source);
        let help = mistake.help.map(|help| format!(" ({help})")).unwrap_or_default();
        format!("{} [{}]{help}", mistake.message, &source[mistake.span])
    }

    #[test]
    fn complaints_are_sentences() {
        for (source, sentence) in [
            ("o.", "the expression ends too early []"),
            ("o.a ==", "the expression ends too early []"),
            ("o.a = 1", "`=` is not an operator [=] (write `==` to compare)"),
            ("o.a & o.b", "`&` was not expected here [&] (write `&&`)"),
            ("o.a and o.b", "`and` was not expected here [and] (write `&&`)"),
            ("o.a or o.b", "`or` was not expected here [or] (write `||`)"),
            ("o.a is null", "`is` was not expected here [is] (write `==`)"),
            ("not o.a", "`not` is not an operator [not] (write `!`)"),
            ("a b", "`b` was not expected here [b]"),
            ("if", "`if` is a reserved word and cannot be a name [if]"),
            ("o.a == 'ä' ö", "`ö` was not expected here [ö]"),
            ("o.a == “x”", "`“` was not expected here [“] (strings stand in `'` or `\"`)"),
            ("$x", "`$` was not expected here [$] (names are written without `$`)"),
            ("'\\q'", "the string has an escape that is not known ['\\q'] (write `\\\\` for a backslash, or `r'…'`)"),
            ("has(1)", "`has` asks for a field [1] (write `has(o.status.phase)`)"),
            ("x.map(1, y)", "the first argument is the name of the variable [1] (write `list.filter(x, x > 1)`)"),
            ("99999999999999999999", "the number is out of range [99999999999999999999]"),
            ("1e999", "the number is out of range [1e999]"),
            ("true ? 1", "the expression ends too early []"),
            ("{'a':}", "`}` was not expected here [}]"),
        ] {
            assert_eq!(said(source), sentence, "{source}");
        }
    }
}
