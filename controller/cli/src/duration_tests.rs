use super::*;

fn after(seconds: i64) -> String {
    let then = Timestamp::from_second(1_790_000_000).unwrap();
    age(then, Timestamp::from_second(1_790_000_000 + seconds).unwrap())
}

#[test]
fn ages_read_as_in_kubectl() {
    let cases = [
        (-5, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (150, "2m30s"),
        (599, "9m59s"),
        (600, "10m"),
        (10_799, "179m"),
        (10_800, "3h"),
        (12_600, "3h30m"),
        (28_800, "8h"),
        (172_799, "47h"),
        (172_800, "2d"),
        (180_000, "2d2h"),
        (691_200, "8d"),
        (2 * 365 * 86_400, "2y"),
        (2 * 365 * 86_400 + 86_400, "2y1d"),
        (9 * 365 * 86_400, "9y"),
    ];
    for (seconds, expected) in cases {
        assert_eq!(after(seconds), expected, "{seconds} s");
    }
}

#[test]
fn a_watched_span_shows_tenths_first() {
    assert_eq!(elapsed(0), "0.0s");
    assert_eq!(elapsed(4_190), "4.1s");
    assert_eq!(elapsed(59_999), "59.9s");
    assert_eq!(elapsed(65_000), "1m05s");
    assert_eq!(elapsed(3_900_000), "1h05m");
}
