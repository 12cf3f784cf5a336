//! The agent's metrics: registered here, listed in docs/metrics.md, held together by a test.
//!
//! Counters and histograms begin at zero with the process; gauges are set from what is at hand when somebody scrapes,
//! without a request to the API server. Labels are verbs, outcomes, steps and kinds of objects: their number does not
//! grow with the cluster.

use ferry_proto::agent::v1::Health;
use ferry_telemetry::{
    exposition::{Exposition, Gauge, Histograms, Labelled, Listed},
    trace,
};
use prometheus_client::metrics::counter::Counter;

use crate::inventory::Inventory;

/// Upper bounds for steps and commands, in seconds: from a patch to a node that has to be repaired.
const SECONDS: &[f64] =
    &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0];

/// What the agent counts.
#[derive(Debug)]
pub struct Metrics {
    exposition: Exposition,
    pub(crate) streams: Counter,
    pub(crate) running: Gauge,
    pub(crate) commands: Labelled<Counter, 2>,
    pub(crate) command_times: Histograms<1>,
    pub(crate) steps: Histograms<1>,
    pub(crate) events: Labelled<Counter, 1>,
    pub(super) spans: Labelled<Counter, 1>,
    now: Now,
}

/// What is set at each scrape.
#[derive(Debug)]
struct Now {
    attached: Gauge,
    api_server: Gauge,
    probe: Gauge,
    nodes: Gauge,
    nodes_ready: Gauge,
    lag: Labelled<Gauge, 1>,
    failing: Labelled<Gauge, 1>,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let mut all = Exposition::new();
        let build = all.gauges("ferry_agent_build_info", ["version"], "Always 1; the version as a label");
        build.of([env!("CARGO_PKG_VERSION")]).set(1.0);
        Self {
            streams: all.counter("ferry_agent_streams", "Streams to the controller that were taken"),
            running: all.gauge("ferry_agent_commands_running", "Commands that run now"),
            commands: all.counters(
                "ferry_agent_commands",
                ["verb", "outcome"],
                "Commands that ended, inspections too: with `evidence`, `refusal` or `unknown`",
            ),
            command_times: all.histograms(
                "ferry_agent_command_duration_seconds",
                ["verb"],
                SECONDS,
                "Time from taking a command to its end",
            ),
            steps: all.histograms(
                "ferry_agent_step_duration_seconds",
                ["step"],
                SECONDS,
                "Time of each step that was carried out, by its number; 0 is preparation",
            ),
            events: all.counters(
                "ferry_agent_events",
                ["result"],
                "Kubernetes Events: `written`, `failed`, or `dropped` because too many waited",
            ),
            spans: trace::fates(&mut all, "ferry_agent_spans"),
            now: Now::new(&mut all),
            exposition: all,
        }
    }

    /// Every metric, for the list in the docs.
    pub fn listed(&self) -> Vec<Listed> {
        self.exposition.listed()
    }

    /// The text of a scrape.
    pub(super) fn text(&self, attached: bool, sources: Option<(&Inventory, Health)>) -> String {
        self.now.attached.set(flag(attached));
        if let Some((inventory, health)) = sources {
            self.now.set(inventory, &health);
        }
        self.exposition.text()
    }
}

impl Now {
    fn new(all: &mut Exposition) -> Self {
        Self {
            attached: all
                .gauge("ferry_agent_attached", "Whether a stream to the controller is attached: 1 or 0"),
            api_server: all
                .gauge("ferry_agent_api_server_up", "Whether the API server answered the last probe: 1 or 0"),
            probe: all.gauge("ferry_agent_api_server_probe_seconds", "Round trip of the last probe"),
            nodes: all.gauge("ferry_agent_nodes", "Nodes of the cluster"),
            nodes_ready: all.gauge("ferry_agent_nodes_ready", "Nodes whose condition Ready is True"),
            lag: all.gauges(
                "ferry_agent_watch_lag_seconds",
                ["watch"],
                "Time since each watch heard anything: how stale a report may be",
            ),
            failing: all.gauges(
                "ferry_agent_watch_failing",
                ["watch"],
                "Whether each watch is interrupted and tried again: 1 or 0",
            ),
        }
    }

    fn set(&self, inventory: &Inventory, health: &Health) {
        self.api_server.set(flag(health.api_server_ok));
        self.probe.set(f64::from(health.api_server_latency_ms) / 1000.0);
        self.nodes.set(f64::from(health.nodes));
        self.nodes_ready.set(f64::from(health.nodes_ready));
        for watch in inventory.watches() {
            self.lag.of([watch.what()]).set(watch.age().as_secs_f64());
            self.failing.of([watch.what()]).set(flag(watch.error().is_some()));
        }
    }
}

fn flag(set: bool) -> f64 {
    if set { 1.0 } else { 0.0 }
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
