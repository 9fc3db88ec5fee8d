//! Quantities in the form in which Kubernetes writes them.

use serde_json::Value;

/// What the real server says of a quantity that is none.
pub(crate) const UNREADABLE: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

const BINARY: [(&str, u32); 6] = [("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50), ("Ei", 60)];
/// Powers of ten; the smallest thing that is counted is a nano.
const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];

/// A quantity as the server writes it: `1024Mi` is `1Gi`, `0.5` is `500m`.
pub(crate) fn usual(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let split = text.find(|letter: char| !(letter.is_ascii_digit() || ".+-".contains(letter))).unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let nanos = nanos(number)?;
    if let Some((_, bits)) = BINARY.iter().find(|(word, _)| *word == suffix) {
        let whole = nanos.checked_mul(1_i128 << bits)?;
        if whole % 1_000_000_000 == 0 {
            return Some(in_binary(whole / 1_000_000_000));
        }
        return Some(in_decimal(whole));
    }
    if let Some(power) = suffix.strip_prefix(['e', 'E']).filter(|power| !power.is_empty()) {
        let power: i32 = power.parse().ok()?;
        let exact = scaled(nanos, power)?;
        return Some(in_decimal(exact));
    }
    let (_, power) = DECIMAL.iter().find(|(word, _)| *word == suffix)?;
    Some(in_decimal(scaled(nanos, *power)?))
}

/// How much a quantity is, in billionths; for comparing.
pub(crate) fn amount(value: &Value) -> Option<i128> {
    let usual = usual(value)?;
    let split = usual.find(|letter: char| !(letter.is_ascii_digit() || ".+-".contains(letter))).unwrap_or(usual.len());
    let (number, suffix) = usual.split_at(split);
    let nanos = nanos(number)?;
    if let Some((_, bits)) = BINARY.iter().find(|(word, _)| *word == suffix) {
        return nanos.checked_mul(1_i128 << bits);
    }
    let (_, power) = DECIMAL.iter().find(|(word, _)| *word == suffix)?;
    scaled(nanos, *power)
}

fn nanos(number: &str) -> Option<i128> {
    let (negative, digits) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    if (whole.is_empty() && part.is_empty()) || !whole.bytes().chain(part.bytes()).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part: String = format!("{part:0<9}").chars().take(9).collect();
    let nanos = whole.parse::<i128>().unwrap_or_default() * 1_000_000_000 + part.parse::<i128>().ok()?;
    Some(if negative { -nanos } else { nanos })
}

fn scaled(nanos: i128, power: i32) -> Option<i128> {
    let factor = 10_i128.checked_pow(power.unsigned_abs())?;
    if power < 0 { Some(nanos / factor) } else { nanos.checked_mul(factor) }
}

fn in_binary(value: i128) -> String {
    let fits = |(_, bits): &&(&str, u32)| value != 0 && value % (1_i128 << bits) == 0;
    match BINARY.iter().rev().find(fits) {
        Some((word, bits)) => format!("{}{word}", value >> bits),
        None => value.to_string(),
    }
}

fn in_decimal(nanos: i128) -> String {
    let whole = |power: i32| 10_i128.pow(u32::try_from(power + 9).unwrap_or_default());
    let fits = |(_, power): &&(&str, i32)| nanos != 0 && nanos % whole(*power) == 0;
    match DECIMAL.iter().rev().find(fits) {
        Some((word, power)) => format!("{}{word}", nanos / whole(*power)),
        None => "0".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quantities_have_one_form() {
        for (given, written) in [
            (json!("1024Mi"), Some("1Gi")),
            (json!("1000m"), Some("1")),
            (json!(0.5), Some("500m")),
            (json!("1Gi"), Some("1Gi")),
            (json!(1_073_741_824), Some("1073741824")),
            (json!("100m"), Some("100m")),
            (json!("1.5Gi"), Some("1536Mi")),
            (json!("0"), Some("0")),
            (json!("64Mi"), Some("64Mi")),
            (json!("1e3"), Some("1k")),
            (json!("half"), None),
        ] {
            assert_eq!(usual(&given).as_deref(), written, "{given}");
        }
    }
}
