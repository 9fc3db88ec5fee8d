use std::ops::Range;
use std::path::Path;

use regex::Regex;

/// A place in a source text where a named constant gets its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Constant {
    /// The value, without what ends it.
    pub(super) value: Range<usize>,
    /// Its line, from 1.
    pub(super) line: usize,
}

/// Finds a constant in a source of no particular language.
///
/// It is read line by line. A constant is one of
///
/// ```text
/// NAME = value            also := and ?=, and without spaces
/// const NAME … = value    words before it, a type behind it or behind a colon
/// NAME: value             and "NAME": value
/// #define NAME value
/// ```
///
/// where the value is on the same line, and ends before `;`, `,` or a comment. A
/// comment that looks like one of these is none. In YAML and JSON only the colon counts.
pub(super) fn find(source: &str, file: &str, name: &str) -> Vec<Constant> {
    let found = constants(source, file, &regex::escape(name));
    found.into_iter().map(|(_, constant)| constant).collect()
}

/// The names of all constants, for suggestions.
pub(super) fn names(source: &str, file: &str) -> Vec<String> {
    constants(source, file, r"[\w.$-]+").into_iter().map(|(name, _)| name).collect()
}

fn constants(source: &str, file: &str, name: &str) -> Vec<(String, Constant)> {
    let forms = forms(file, name);
    let mut start = 0;
    let mut found = Vec::new();
    for (number, line) in source.split_inclusive('\n').enumerate() {
        let text = line.trim_end();
        let groups = if is_comment(text) { None } else { forms.iter().find_map(|form| form.captures(text)) };
        if let Some(groups) = groups
            && let Some(value) = value_in(text, groups["before"].len())
        {
            let value = start + value.start..start + value.end;
            found.push((groups["name"].to_owned(), Constant { value, line: number + 1 }));
        }
        start += line.len();
    }
    found
}

/// What a line with a constant looks like, up to its value.
fn forms(file: &str, name: &str) -> Vec<Regex> {
    let define = format!(r"^(?<before>\s*#\s*define\s+(?<name>{name})\s+)");
    let words = r"(?:[\w()\[\]<>*&]+\s+)*";
    let types = r#"(?:\s+[\w\[\]*.]+)?(?:\s*:[^=;"]+?)?"#;
    let equals = format!(r"^(?<before>\s*{words}(?<name>{name}){types}\s*[:?]?=\s*)[^=>~\s]");
    let colon = format!(r#"^(?<before>\s*(?:-\s+)?["']?(?<name>{name})["']?\s*:)[^:=]"#);
    let only_colon = Path::new(file).extension().is_some_and(|end| ["yaml", "yml", "json"].iter().any(|it| end == *it));
    let forms = if only_colon { vec![colon] } else { vec![define, equals, colon] };
    forms.iter().map(|form| Regex::new(form).expect("a name is escaped, and the rest is fixed")).collect()
}

fn is_comment(line: &str) -> bool {
    let text = line.trim_start();
    let is_define = text.strip_prefix('#').is_some_and(|rest| rest.trim_start().starts_with("define"));
    !is_define && ["//", "#", "/*", "*", "--", ";", "<!--"].iter().any(|mark| text.starts_with(mark))
}

/// The value that begins at or after a place, up to what ends it.
fn value_in(line: &str, from: usize) -> Option<Range<usize>> {
    let rest = &line[from..];
    let start = from + (rest.len() - rest.trim_start().len());
    let text = &line[start..];
    let first = text.chars().next()?;
    let end = if matches!(first, '"' | '\'' | '`') {
        let mut escaped = false;
        let close = text.char_indices().skip(1).find(|&(_, c)| {
            let closes = c == first && !escaped;
            escaped = c == '\\' && !escaped;
            closes
        });
        close?.0 + 1
    } else {
        let ends = [" //", " #", "\t//", "\t#", "/*", " --", ";", ","];
        let end = ends.iter().filter_map(|end| text.find(end)).min().unwrap_or(text.len());
        text[..end].trim_end().len()
    };
    let is_open = matches!(&text[..end], "" | "{" | "[" | "(" | "|" | ">");
    (!is_open).then_some(start..start + end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_of_many_languages() {
        for (file, line, value) in [
            ("a.go", "const CurrentVersion = 12", "12"),
            ("a.go", "\tCurrentVersion = 12 // raised by hand", "12"),
            ("a.go", "const CurrentVersion int = 12", "12"),
            ("a.go", "CurrentVersion := \"a, b\"", "\"a, b\""),
            ("a.rs", "pub const CurrentVersion: u32 = 12_000u32;", "12_000u32"),
            ("a.rs", "    pub(crate) static CurrentVersion: &'static str = \"x\";", "\"x\""),
            ("a.c", "#define CurrentVersion 12", "12"),
            ("a.c", "static const int CurrentVersion = 12;", "12"),
            ("a.java", "public static final String CurrentVersion = \"v1; v2\";", "\"v1; v2\""),
            ("a.py", "CurrentVersion: int = 12  # a comment", "12"),
            ("a.py", "CurrentVersion = 'it\\'s'", "'it\\'s'"),
            ("a.mk", "CurrentVersion ?= v1.2.3", "v1.2.3"),
            ("a.sh", "export CurrentVersion=v1.2.3", "v1.2.3"),
            ("a.toml", "CurrentVersion = \"1.2\" # it", "\"1.2\""),
            ("a.yaml", "  CurrentVersion: a = b", "a = b"),
            ("a.yaml", "- CurrentVersion: 'x: y'", "'x: y'"),
            ("a.json", "  \"CurrentVersion\": 12,", "12"),
            ("a.ts", "  CurrentVersion: 12,", "12"),
            ("a.ts", "export const CurrentVersion: number = 12;", "12"),
        ] {
            let found = find(line, file, "CurrentVersion");
            let shown = found.first().map_or("", |found| &line[found.value.clone()]);
            assert_eq!(shown, value, "{line}");
        }
    }

    #[test]
    fn what_is_no_constant() {
        for line in [
            "// CurrentVersion = 12",
            "# CurrentVersion = 12",
            "/* CurrentVersion = 12 */",
            "if CurrentVersion == 12 {",
            "assert(CurrentVersion >= 12)",
            "CurrentVersion += 1",
            "MyCurrentVersion = 12",
            "CurrentVersion2 = 12",
            "CurrentVersion:",
            "CurrentVersion = {",
            "call(CurrentVersion)",
            "x = CurrentVersion",
            "match CurrentVersion => 12",
            "use CurrentVersion::x",
            "print(\"CurrentVersion = 12\")",
        ] {
            assert_eq!(find(line, "a.txt", "CurrentVersion"), [], "{line}");
        }
    }

    #[test]
    fn the_place_is_counted_in_the_whole_text() {
        let source = "first\r\nNAME = 1\r\n\r\n  NAME: 2\r\n";
        let found = find(source, "a.txt", "NAME");
        let shown: Vec<(usize, &str)> = found.iter().map(|found| (found.line, &source[found.value.clone()])).collect();
        assert_eq!(shown, [(2, "1"), (4, "2")]);
        assert_eq!(names("Alpha = 1\nb: 2\nnothing\n", "a.txt"), ["Alpha", "b"]);
    }
}
