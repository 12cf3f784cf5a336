//! Samples and what is said of them.
//!
//! A figure is given by its median and its 99th percentile (of few samples: the largest), never by a mean alone, which
//! one stall moves. Ratios are of medians; the ratio of the means stands beside them in the report.
//!
//! Every sample is kept, in the order it was taken: a trend over a run shows there.

use serde::Serialize;

/// What is said of a series of samples.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// How many.
    pub samples: usize,
    /// Median.
    pub p50: f64,
    /// 99th percentile: the smallest sample that 99 % do not exceed.
    pub p99: f64,
    /// Arithmetic mean.
    pub mean: f64,
    /// Every sample, in the order it was taken.
    pub raw: Vec<f64>,
}

impl Summary {
    /// Of these samples; all zero if there are none.
    #[must_use]
    pub fn of(raw: Vec<f64>) -> Self {
        let mut sorted = raw.clone();
        sorted.sort_by(f64::total_cmp);
        let count = sorted.len().max(1) as f64;
        Self {
            samples: raw.len(),
            p50: median(&sorted),
            p99: percentile(&sorted, 99),
            mean: sorted.iter().sum::<f64>() / count,
            raw,
        }
    }
}

fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    match sorted.get(middle) {
        None => 0.0,
        Some(upper) if sorted.len() % 2 == 1 => *upper,
        Some(upper) => (sorted[middle - 1] + upper) / 2.0,
    }
}

#[cfg(test)]
#[path = "statistics_tests.rs"]
mod tests;
