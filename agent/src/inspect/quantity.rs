//! Kubernetes quantities as numbers, for comparing a claim's request with its capacity.
//!
//! A double is precise enough for that: sizes of disks differ by more than its last bit, and nothing is computed from
//! the result. What is carried to the other cluster is the text as it stands, never a number made from it.

/// `20Gi`, `1500M`, `1e9` as bytes; nothing if it is no quantity.
pub(crate) fn bytes(text: &str) -> Option<f64> {
    let end =
        text.find(|character: char| !matches!(character, '0'..='9' | '.' | '+' | '-')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let number: f64 = number.parse().ok()?;
    let factor = match suffix {
        "" => 1.0,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024f64.powi(2),
        "Gi" => 1024f64.powi(3),
        "Ti" => 1024f64.powi(4),
        "Pi" => 1024f64.powi(5),
        "Ei" => 1024f64.powi(6),
        exponent => 10f64.powi(exponent.strip_prefix(['e', 'E'])?.parse().ok()?),
    };
    Some(number * factor)
}

#[cfg(test)]
#[path = "quantity_tests.rs"]
mod tests;
