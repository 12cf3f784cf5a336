//! The controller's metrics: registered here, listed in docs/metrics.md, held together by a test.
//!
//! Counters and histograms are fed by the follower as things happen and begin at zero with the process; gauges are set
//! from one measure of the ledger when somebody scrapes. Labels are steps, verbs, outcomes, phases and clusters: sets
//! that stay small.

use ferry_core::measure::Measure;
use ferry_telemetry::{
    exposition::{Exposition, Gauge, Histograms, Labelled, Listed},
    trace,
};
use prometheus_client::metrics::{counter::Counter, histogram::Histogram};

/// Upper bounds for a commit: from a disk that lies to one that is dying, in seconds.
const COMMIT_SECONDS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];
/// Upper bounds for steps, commands and handoffs: from a patch to a node that has to be repaired, in seconds.
const STEP_SECONDS: &[f64] =
    &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0];

/// What the controller counts.
#[derive(Debug)]
pub struct Metrics {
    exposition: Exposition,
    pub(super) inputs: Counter,
    pub(super) entries: Counter,
    pub(super) commits: Histogram,
    pub(super) started: Counter,
    pub(super) ended: Labelled<Counter, 1>,
    pub(super) handoffs: Histogram,
    pub(super) steps: Histograms<1>,
    pub(super) commands: Labelled<Counter, 2>,
    pub(super) command_times: Histograms<1>,
    pub(super) spans: Labelled<Counter, 1>,
    now: Now,
}

/// What is set at each scrape.
#[derive(Debug)]
struct Now {
    sessions: Gauge,
    attached: Labelled<Gauge, 1>,
    api_server: Labelled<Gauge, 1>,
    lag: Labelled<Gauge, 1>,
    seen: Labelled<Gauge, 1>,
    workloads: Labelled<Gauge, 1>,
    unavailable: Labelled<Gauge, 1>,
    migrations: Labelled<Gauge, 1>,
    pending: Gauge,
    volumes: Gauge,
    conflicts: Gauge,
    missing: Gauge,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let mut all = Exposition::new();
        let build =
            all.gauges("ferry_controller_build_info", ["version"], "Always 1; the version as a label");
        build.of([env!("CARGO_PKG_VERSION")]).set(1.0);
        Self {
            inputs: all.counter("ferry_controller_inputs", "Inputs that the event loop took"),
            entries: all.counter("ferry_controller_journal_entries", "Entries made durable"),
            commits: all.histogram(
                "ferry_controller_journal_commit_duration_seconds",
                COMMIT_SECONDS,
                "Time to make a batch of entries durable",
            ),
            started: all.counter("ferry_controller_migrations_started", "Migrations started"),
            ended: all.counters("ferry_controller_migrations_ended", ["phase"], "Migrations ended, by how"),
            handoffs: all.histogram(
                "ferry_controller_handoff_duration_seconds",
                STEP_SECONDS,
                "Time from the beginning of an ordinal's handoff to its end with the target",
            ),
            steps: all.histograms(
                "ferry_controller_step_duration_seconds",
                ["step"],
                STEP_SECONDS,
                "Time of each step of a handoff, by its name",
            ),
            commands: all.counters(
                "ferry_controller_commands",
                ["verb", "outcome"],
                "Commands of migrations that ended: with `evidence`, `refusal` or `unknown`, or `withdrawn`",
            ),
            command_times: all.histograms(
                "ferry_controller_command_duration_seconds",
                ["verb"],
                STEP_SECONDS,
                "Time from issuing a command to its outcome",
            ),
            spans: trace::fates(&mut all, "ferry_controller_spans"),
            now: Now::new(&mut all),
            exposition: all,
        }
    }

    /// Every metric, for the list in the docs.
    #[must_use]
    pub fn listed(&self) -> Vec<Listed> {
        self.exposition.listed()
    }

    /// The text of a scrape at which this was so.
    #[must_use]
    pub fn text(&self, measure: &Measure) -> String {
        self.now.set(measure);
        self.exposition.text()
    }
}

impl Now {
    fn new(all: &mut Exposition) -> Self {
        let cluster = ["cluster"];
        Self {
            sessions: all.gauge("ferry_controller_sessions", "Agents attached"),
            attached: all.gauges(
                "ferry_controller_cluster_attached",
                cluster,
                "Whether the agent of a cluster that was ever attached is attached: 1 or 0",
            ),
            api_server: all.gauges(
                "ferry_controller_cluster_api_server_up",
                cluster,
                "Whether its agent is attached and says that the API server answers: 1 or 0",
            ),
            lag: all.gauges(
                "ferry_controller_cluster_watch_lag_seconds",
                cluster,
                "Age of the agent's oldest watch, as it said last",
            ),
            seen: all.gauges(
                "ferry_controller_cluster_last_seen_timestamp_seconds",
                cluster,
                "Last sign of life of the agent, Unix time",
            ),
            workloads: all.gauges(
                "ferry_controller_cluster_workloads",
                cluster,
                "StatefulSets in the cluster",
            ),
            unavailable: all.gauges(
                "ferry_controller_unavailable_replicas",
                cluster,
                "Replicas of StatefulSets that are asked for and not available",
            ),
            migrations: all.gauges("ferry_controller_migrations", ["phase"], "Migrations kept, by phase"),
            pending: all.gauge("ferry_controller_commands_pending", "Commands whose outcome is not known"),
            volumes: all.gauge("ferry_controller_volumes", "Volumes of the ledger"),
            conflicts: all
                .gauge("ferry_controller_volume_conflicts", "Volumes that are usable in two clusters"),
            missing: all.gauge("ferry_controller_volumes_missing", "Volumes that no attached cluster shows"),
        }
    }

    fn set(&self, measure: &Measure) {
        let by_cluster =
            [&self.attached, &self.api_server, &self.lag, &self.seen, &self.workloads, &self.unavailable];
        by_cluster.into_iter().chain([&self.migrations]).for_each(Labelled::clear);
        let flag = |set: bool| if set { 1.0 } else { 0.0 };
        for (name, cluster) in &measure.clusters {
            let name = [name.as_str()];
            self.attached.of(name).set(flag(cluster.attached));
            self.api_server.of(name).set(flag(cluster.api_server_ok));
            self.lag.of(name).set(seconds(cluster.watch_lag_ms));
            self.seen.of(name).set(seconds(cluster.last_seen.0));
            self.workloads.of(name).set(number(cluster.workloads));
            self.unavailable.of(name).set(number(cluster.unavailable));
        }
        for (phase, count) in &measure.migrations {
            self.migrations.of([phase_name(*phase)]).set(number(*count));
        }
        let attached = measure.clusters.values().filter(|cluster| cluster.attached).count();
        self.sessions.set(number(attached as u64));
        self.pending.set(number(measure.commands_pending));
        self.volumes.set(number(measure.volumes));
        self.conflicts.set(number(measure.volumes_in_conflict));
        self.missing.set(number(measure.volumes_missing));
    }
}

/// A phase as a label has it: the word that `ferry get -o json` prints.
pub(super) fn phase_name(phase: ferry_core::Phase) -> &'static str {
    use ferry_core::Phase;
    match phase {
        Phase::Preparing => "preparing",
        Phase::Running => "running",
        Phase::Completed => "completed",
        Phase::Paused => "paused",
        Phase::Refused => "refused",
        Phase::RolledBack => "rolled-back",
    }
}

/// Milliseconds in seconds.
pub(super) fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
