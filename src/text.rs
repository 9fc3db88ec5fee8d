//! How small things are said: durations, counts, lists, suggestions.

use std::time::Duration;

/// A span as people read it: `0.4s`, `12.3s`, `2m14s`, `1h02m`; `250ms` and `0ms` below a tenth of a second.
pub fn duration(span: Duration) -> String {
    let millis = span.as_millis();
    let seconds = span.as_secs();
    if millis < 100 {
        format!("{millis}ms")
    } else if seconds < 60 {
        format!("{}.{}s", seconds, (millis % 1000) / 100)
    } else if seconds < 3600 {
        format!("{}m{:02}s", seconds / 60, seconds % 60)
    } else {
        format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60)
    }
}

/// Reads `5m`, `90s`, `1h30m`, `250ms`; refuses a bare number, days, signs and zero units.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let refusal = || format!("`{text}` is not a duration; write it like `90s`, `5m`, `1h30m` or `250ms`");
    if !text.starts_with(|c: char| c.is_ascii_digit()) || text.ends_with("ago") {
        return Err(refusal());
    }
    let span: jiff::SignedDuration = text.parse().map_err(|_| refusal())?;
    Duration::try_from(span).map_err(|_| refusal())
}

/// A size as people read it: `512 B`, `64 KiB`, `1.5 GiB`.
pub fn bytes(size: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut tenths = u128::from(size) * 10;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    match tenths % 10 {
        0 => format!("{} {}", tenths / 10, UNITS[unit]),
        tenth => format!("{}.{tenth} {}", tenths / 10, UNITS[unit]),
    }
}

/// A count with its noun: `1 step`, `3 steps`. The plural only adds an `s`.
pub fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// An error with its causes in one line, each part once: many end with the text of what lies below them.
///
/// Where a library ends its sentence with the address of its own manual, that is left out.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut said = String::new();
    let mut at = Some(error);
    while let Some(error) = at {
        at = error.source();
        if at.is_some_and(|below| error.to_string().ends_with(&below.to_string())) {
            continue;
        }
        if !said.is_empty() {
            said.push_str(": ");
        }
        said.push_str(&error.to_string());
    }
    match said.find(": https://docs.rs/") {
        Some(at) => {
            let link = at + 2;
            let after = said[link..].find(char::is_whitespace).map_or(said.len(), |end| link + end);
            format!("{}{}", &said[..at], &said[after..])
        }
        None => said,
    }
}

/// `a`, `a and b`, `a, b and c`.
pub fn and<T: AsRef<str>>(items: &[T]) -> String {
    join(items, "and")
}

/// `a`, `a or b`, `a, b or c`.
pub fn or<T: AsRef<str>>(items: &[T]) -> String {
    join(items, "or")
}

fn join<T: AsRef<str>>(items: &[T], word: &str) -> String {
    match items {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [init @ .., last] => {
            let init: Vec<&str> = init.iter().map(AsRef::as_ref).collect();
            format!("{} {word} {}", init.join(", "), last.as_ref())
        }
    }
}

/// The candidate that was probably meant, if one is near enough.
///
/// The threshold grows with the word: one slip in short words, one more for
/// every four letters, as rustc does it.
pub fn suggest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + word.len().min(candidate.len()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_manual_is_no_cause() {
        let eof = "broke: peer closed connection: https://docs.rs/rustls/latest/x.html#unexpected-eof";
        assert_eq!(causes(&std::io::Error::other(eof)), "broke: peer closed connection");
        let more = "GET https://docs.rs/x failed: no";
        assert_eq!(causes(&std::io::Error::other(more)), more, "what was asked for is not left out");
    }

    #[test]
    fn durations_are_short() {
        let said = |ms| duration(Duration::from_millis(ms));
        assert_eq!(
            [0, 99, 400, 12_340, 134_000, 3_720_000].map(said),
            ["0ms", "99ms", "0.4s", "12.3s", "2m14s", "1h02m"]
        );
    }

    #[test]
    fn durations_are_read_with_units_only() {
        for (text, millis) in [("5m", 300_000), ("1h30m", 5_400_000), ("250ms", 250), ("0s", 0), ("1.5h", 5_400_000)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "5", "1d", "-5m", "5m ago", "5M", "soon"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_have_binary_units() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (65_536, "64 KiB"),
            (1_600_000_000, "1.4 GiB"),
            (u64::MAX, "16777215.9 TiB"),
        ];
        for (size, said) in cases {
            assert_eq!(bytes(size), said);
        }
    }

    #[test]
    fn lists_and_counts() {
        assert_eq!(and(&["a", "b", "c"]), "a, b and c");
        assert_eq!(or(&["a", "b"]), "a or b");
        assert_eq!([count(1, "step"), count(0, "step")], ["1 step", "0 steps"]);
    }

    #[test]
    fn suggestions_are_near() {
        assert_eq!(suggest("tiemout", ["timeout", "retry"]), Some("timeout"));
        assert_eq!(suggest("zebra", ["timeout", "retry"]), None);
    }
}
