use cel::ExecutionError;
use cel::common::types::CelDouble;
use cel::common::value::CowVal;

use super::standard::text;

const NAME: &str = "quantity";

/// `quantity('1Gi')`: always a double, so that two of them can be added,
/// divided and compared whatever their units.
///
/// Decimal digits and their suffix are read as one decimal number, so that
/// equal quantities are equal numbers: `0.1` and `100m`.
pub(super) fn quantity<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    if let Some(number) = args[0].downcast_ref::<cel::common::types::CelInt>() {
        // `cpu: 2` in a manifest is a number in JSON.
        #[expect(clippy::cast_precision_loss, reason = "a whole number beyond 2^53 is not a quantity anybody writes")]
        return Ok(CowVal::owned(CelDouble::from(*number.inner() as f64)));
    }
    if let Some(number) = args[0].downcast_ref::<CelDouble>() {
        return Ok(CowVal::owned(CelDouble::from(*number.inner())));
    }
    let text = text(NAME, &args, 0)?;
    let refusal = || {
        let message = format!("`{text}` is not a quantity; write it like `500m`, `2`, `1.5Gi` or `3e6`");
        ExecutionError::function_error(NAME, message)
    };
    read(text).map(|number| CowVal::owned(CelDouble::from(number))).ok_or_else(refusal)
}

/// `sign? digits (. digits)? suffix?`, as Kubernetes reads it.
fn read(text: &str) -> Option<f64> {
    let digits_end = text
        .char_indices()
        .find(|(at, c)| !(c.is_ascii_digit() || *c == '.' || *at == 0 && matches!(c, '+' | '-')))
        .map_or(text.len(), |(at, _)| at);
    let (digits, suffix) = text.split_at(digits_end);
    if !digits.contains(|c: char| c.is_ascii_digit()) || digits.matches('.').count() > 1 {
        return None;
    }
    let decimal = |exponent: i32| format!("{digits}e{exponent}").parse::<f64>().ok();
    let binary = |power: i32| digits.parse::<f64>().ok().map(|number| number * 1024_f64.powi(power));
    let number = match suffix {
        "" => decimal(0),
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        _ => decimal(suffix.strip_prefix(['e', 'E'])?.parse().ok()?),
    };
    number.filter(|number| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn quantities_are_numbers() {
        for (text, number) in [
            ("0", 0.0),
            ("2", 2.0),
            ("-1.5", -1.5),
            ("+1", 1.0),
            ("500m", 0.5),
            ("100m", 0.1),
            ("1n", 1e-9),
            ("250u", 250e-6),
            ("1k", 1e3),
            ("1M", 1e6),
            ("3G", 3e9),
            ("1T", 1e12),
            ("1P", 1e15),
            ("1E", 1e18),
            ("1Ki", 1024.0),
            ("1.5Mi", 1_572_864.0),
            ("1Gi", 1_073_741_824.0),
            ("2Ti", 2_199_023_255_552.0),
            ("1Ei", 1_152_921_504_606_846_976.0),
            ("3e6", 3e6),
            ("12E2", 1200.0),
            ("1e-3", 0.001),
            (".5", 0.5),
            ("1.", 1.0),
        ] {
            assert_eq!(read(text), Some(number), "{text}");
        }
    }

    #[test]
    fn equal_quantities_are_equal_numbers() {
        for (a, b) in [("0.1", "100m"), ("0.3", "300m"), ("1024Ki", "1Mi"), ("1.1G", "1100M"), ("3221225472", "3Gi")] {
            assert_eq!(read(a), read(b), "{a} {b}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "m", "1 Gi", "1gi", "1K", "1Gib", "1.2.3", "--1", "1e", "1eGi", "e3", "1e999", "1_000", "٣"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
