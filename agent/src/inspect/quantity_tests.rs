//! Quantities as claims write them.

use super::bytes;

#[test]
fn suffixes_are_powers_of_ten_and_of_two() {
    for (text, expected) in [
        ("1Gi", 1_073_741_824.0),
        ("1G", 1e9),
        ("1.5Ki", 1536.0),
        ("512", 512.0),
        ("1e3", 1e3),
        ("2E", 2e18),
        ("1500m", 1.5),
    ] {
        assert_eq!(bytes(text).map(f64::to_bits), Some(f64::to_bits(expected)), "{text}");
    }
    for text in ["", "much", "1Xi"] {
        assert_eq!(bytes(text), None, "{text}");
    }
}
