//! Quantities of Kubernetes (`10Gi`, `1.5G`, `100m`, `1e3`) in bytes, and in thousandths for what is shared in parts.
//!
//! Source: apimachinery `pkg/api/resource/quantity.go`. Fractions of a byte are rounded up, as there. The
//! number is for reports to people and for comparing what a claim asks with what it has; an object that
//! crosses to another cluster keeps the text as it stands.

/// `text` in bytes; `None` when it is no quantity, is negative, or does not fit.
pub fn bytes(text: &str) -> Option<u64> {
    u64::try_from(times(text, 1)?).ok()
}

/// `text` in thousandths of its unit (millicores for a CPU); `None` as for [`bytes`].
pub fn thousandths(text: &str) -> Option<u128> {
    times(text, 1_000)
}

/// `text` times `factor`, rounded up.
fn times(text: &str, factor: u128) -> Option<u128> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let (times, over) = scale(suffix)?;
    let over = over.checked_mul(10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?)?;
    Some(digits.checked_mul(times)?.checked_mul(factor)?.div_ceil(over))
}

/// What a suffix multiplies by, as a fraction.
fn scale(suffix: &str) -> Option<(u128, u128)> {
    let binary = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    if let Some(power) = binary.into_iter().position(|known| known == suffix) {
        return Some((1_u128 << (10 * (power + 1)), 1));
    }
    let exponent = match suffix {
        "" => 0,
        "n" => -9,
        "u" => -6,
        "m" => -3,
        "k" => 3,
        "M" => 6,
        "G" => 9,
        "T" => 12,
        "P" => 15,
        "E" => 18,
        other => other.strip_prefix(['e', 'E'])?.parse::<i32>().ok()?,
    };
    let power = 10_u128.checked_pow(exponent.unsigned_abs())?;
    Some(if exponent < 0 { (1, power) } else { (power, 1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_quantities() {
        for (text, expected) in [
            ("0", Some(0)),
            ("1", Some(1)),
            ("10Gi", Some(10 << 30)),
            ("1.5Gi", Some(3 << 29)),
            ("500M", Some(500_000_000)),
            ("1500m", Some(2)),
            ("1e3", Some(1_000)),
            ("2E", Some(2_000_000_000_000_000_000)),
            ("1E2", Some(100)),
            (".5k", Some(500)),
            ("16Ei", None),
            ("", None),
            (".", None),
            ("-1", None),
            ("1.2.3", None),
            ("1Qi", None),
            ("1e999", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }

    #[test]
    fn thousandths_keep_what_bytes_round_up() {
        for (text, expected) in [("100m", Some(100)), ("2", Some(2_000)), ("0.1", Some(100)), ("x", None)] {
            assert_eq!(thousandths(text), expected, "{text}");
        }
        assert_eq!(thousandths("1Ki"), Some(1_024_000));
    }
}
