use super::*;

#[test]
fn the_median_of_an_even_number_lies_between() {
    assert_eq!(Summary::of(vec![4.0, 1.0, 2.0, 3.0]).p50, 2.5);
    assert_eq!(Summary::of(vec![4.0, 1.0, 2.0]).p50, 2.0);
}

#[test]
fn the_99th_percentile_of_few_is_the_largest() {
    assert_eq!(Summary::of(vec![1.0, 9.0, 2.0]).p99, 9.0);
    let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
    assert_eq!(Summary::of(hundred).p99, 99.0);
}

#[test]
fn nothing_is_zero() {
    assert_eq!(Summary::of(Vec::new()), Summary::default());
}
