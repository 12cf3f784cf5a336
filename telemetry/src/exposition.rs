//! What a program counts, registered once and written in the text that Prometheus scrapes.
//!
//! Each metric has its name in one place, in full, with its base unit; `_total` is added to counters. What was
//! registered can be listed with kind, labels and help: that is what docs/metrics.md is held against. Values of a
//! label must be of a small set that the program knows (a step, a verb, a cluster), never a name that grows without
//! end.

use std::{fmt::Write as _, sync::atomic::AtomicU64};

use prometheus_client::{
    encoding::text::encode,
    metrics::{
        counter::Counter,
        family::{Family, MetricConstructor},
        gauge,
        histogram::Histogram,
    },
    registry::{Metric, Registry},
};

use crate::process::Process;

/// A value that goes up and down.
pub type Gauge = gauge::Gauge<f64, AtomicU64>;

/// Media type of [`Exposition::text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = Vec<(&'static str, String)>;

/// One metric, for the list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// Its name as a query uses it.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// Names of its labels.
    pub labels: Vec<&'static str>,
    /// What it says.
    pub help: &'static str,
}

impl Listed {
    /// Its row in docs/metrics.md.
    #[must_use]
    pub fn row(&self) -> String {
        let labels: Vec<String> = self.labels.iter().map(|label| format!("`{label}`")).collect();
        let labels = if labels.is_empty() { "–".to_owned() } else { labels.join(", ") };
        format!("| `{}` | {} | {labels} | {} |", self.name, self.kind, self.help)
    }
}

/// The rows of docs/metrics.md that a program must say the same as: its own, by prefix, and those of any process.
#[must_use]
pub fn rows(docs: &str, prefix: &str) -> Vec<String> {
    let is_its = |line: &&str| {
        let name = line.strip_prefix("| `").unwrap_or_default();
        name.starts_with(prefix) || name.starts_with("process_")
    };
    let mut rows: Vec<String> = docs.lines().filter(is_its).map(str::to_owned).collect();
    rows.sort();
    rows
}

/// All metrics of a program.
#[derive(Debug, Default)]
pub struct Exposition {
    registry: Registry,
    listed: Vec<Listed>,
}

/// A metric with `N` labels: one value for each combination of theirs.
#[derive(Clone, Debug)]
pub struct Labelled<M, const N: usize, C = fn() -> M> {
    labels: [&'static str; N],
    family: Family<Labels, M, C>,
}

/// Makes histograms with these upper bounds.
#[derive(Clone, Copy, Debug)]
pub struct Buckets(&'static [f64]);

/// A histogram with labels.
pub type Histograms<const N: usize> = Labelled<Histogram, N, Buckets>;

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

impl<M: Clone, const N: usize, C: MetricConstructor<M>> Labelled<M, N, C> {
    /// The one whose labels have these values.
    pub fn of(&self, values: [&str; N]) -> M {
        let labels = self.labels.into_iter().zip(values.map(str::to_owned)).collect();
        self.family.get_or_create_owned(&labels)
    }

    /// Forgets every value: before those that are so now are set.
    pub fn clear(&self) {
        self.family.clear();
    }
}

impl Exposition {
    /// Nothing but the process itself: memory, processor, files, start.
    #[must_use]
    pub fn new() -> Self {
        let mut exposition = Self::default();
        exposition.listed.extend(Process::listed());
        exposition.registry.register_collector(Box::new(Process::new()));
        exposition
    }

    /// Counts. `name` is without `_total`.
    pub fn counter(&mut self, name: &'static str, help: &'static str) -> Counter {
        self.add(format!("{name}_total"), "counter", &[], (name, help), Counter::default())
    }

    /// Counts, by labels.
    pub fn counters<const N: usize>(
        &mut self,
        name: &'static str,
        labels: [&'static str; N],
        help: &'static str,
    ) -> Labelled<Counter, N> {
        let family = self.add(format!("{name}_total"), "counter", &labels, (name, help), Family::default());
        Labelled { labels, family }
    }

    /// A value that goes up and down.
    pub fn gauge(&mut self, name: &'static str, help: &'static str) -> Gauge {
        self.add(name.to_owned(), "gauge", &[], (name, help), Gauge::default())
    }

    /// Values that go up and down, by labels.
    pub fn gauges<const N: usize>(
        &mut self,
        name: &'static str,
        labels: [&'static str; N],
        help: &'static str,
    ) -> Labelled<Gauge, N> {
        Labelled {
            labels,
            family: self.add(name.to_owned(), "gauge", &labels, (name, help), Family::default()),
        }
    }

    /// How often what was measured was at most each of `buckets`.
    pub fn histogram(
        &mut self,
        name: &'static str,
        buckets: &'static [f64],
        help: &'static str,
    ) -> Histogram {
        self.add(name.to_owned(), "histogram", &[], (name, help), Buckets(buckets).new_metric())
    }

    /// The same, by labels.
    pub fn histograms<const N: usize>(
        &mut self,
        name: &'static str,
        labels: [&'static str; N],
        buckets: &'static [f64],
        help: &'static str,
    ) -> Histograms<N> {
        let family = Family::new_with_constructor(Buckets(buckets));
        Labelled { labels, family: self.add(name.to_owned(), "histogram", &labels, (name, help), family) }
    }

    /// Every metric, by name.
    #[must_use]
    pub fn listed(&self) -> Vec<Listed> {
        let mut listed = self.listed.clone();
        listed.sort_by_key(Listed::row);
        listed
    }

    /// The text now.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        if let Err(error) = encode(&mut text, &self.registry) {
            // A metric that cannot be written ends the text without its end mark: the scrape fails and says so.
            let _full = writeln!(text, "# {error}");
        }
        text
    }

    fn add<M: Metric + Clone>(
        &mut self,
        listed: String,
        kind: &'static str,
        labels: &[&'static str],
        (name, help): (&'static str, &'static str),
        metric: M,
    ) -> M {
        self.listed.push(Listed { name: listed, kind, labels: labels.to_vec(), help });
        self.registry.register(name, help, metric.clone());
        metric
    }
}

#[cfg(test)]
#[path = "exposition_tests.rs"]
mod tests;
