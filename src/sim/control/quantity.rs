//! Quantities of resources: `500m`, `1Gi`.

use serde_json::Value;

/// A quantity in thousandths; `None` if it is none.
pub(super) fn milli(value: &Value) -> Option<i64> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let at = text.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let factor: f64 = match unit {
        "" => 1e3,
        "m" => 1.0,
        "k" => 1e6,
        "M" => 1e9,
        "G" => 1e12,
        "T" => 1e15,
        "Ki" => 1e3 * 1024.0,
        "Mi" => 1e3 * 1024.0 * 1024.0,
        "Gi" => 1e3 * 1024.0 * 1024.0 * 1024.0,
        "Ti" => 1e3 * 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let number: f64 = number.parse().ok()?;
    #[expect(clippy::cast_possible_truncation, reason = "what a node has is far below the limit of 64 bits")]
    Some((number * factor).round() as i64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quantities_are_read() {
        let cases = [
            (json!("500m"), Some(500)),
            (json!("1.5"), Some(1500)),
            (json!(2), Some(2000)),
            (json!("1Ki"), Some(1_024_000)),
            (json!("x"), None),
            (json!(null), None),
        ];
        for (value, result) in cases {
            assert_eq!(milli(&value), result, "{value}");
        }
    }
}
