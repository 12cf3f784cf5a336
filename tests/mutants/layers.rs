//! The layers of tests that a planted fault has to get past, from cheap to real: this is the one place that names them.
//!
//! A layer is a command of cargo that builds, the same command to run, and the part of the product whose faults it can
//! see at all. Each mutant goes through those layers in this order until one fails; what only a real API server shows
//! comes last. A layer that is not in the repository is passed over, and said so.
//!
//! Every layer is bounded. A fault that makes a layer run into its bound is a kill only where the layer says that a
//! loop is one of the ways in which it fails; elsewhere the bound is an error of the run, and the mutant survives.

use std::{path::Path, time::Duration};

/// One layer of tests.
#[derive(Debug)]
pub(crate) struct Layer {
    /// How reports call it.
    pub(crate) name: &'static str,
    /// What it is, in words.
    pub(crate) what: &'static str,
    /// Where the files stand whose faults it can see.
    pub(crate) sees: &'static [&'static str],
    /// What has to be there for the layer to be: from the root.
    pub(crate) needs: &'static str,
    /// Arguments of cargo that build it.
    pub(crate) build: &'static [&'static str],
    /// Arguments of cargo that run it.
    pub(crate) run: &'static [&'static str],
    /// How long a run may take.
    pub(crate) bound: Duration,
    /// Why a run that takes longer is a kill; none: it is not.
    pub(crate) endless: Option<&'static str>,
}

const MINUTE: Duration = Duration::from_secs(60);

/// From cheap to real.
pub(crate) const LAYERS: &[Layer] = &[
    Layer {
        name: "core",
        what: "the core's tables, properties and model of two clusters",
        sees: &["controller/core/"],
        needs: "controller/core/src/tests",
        build: &["test", "--no-run", "-p", "ferry-core", "--lib"],
        run: &["test", "-p", "ferry-core", "--lib"],
        bound: MINUTE.saturating_mul(10),
        endless: Some("a migration that never comes to rest"),
    },
    Layer {
        name: "controller",
        what: "the controller's units, and its program under agents that lie and die",
        sees: &["controller/core/", "controller/src/"],
        needs: "controller/tests/controller",
        build: &["test", "--no-run", "-p", "ferry-controller", "--lib", "--bins", "--test", "controller"],
        run: &["test", "-p", "ferry-controller", "--lib", "--bins", "--test", "controller"],
        bound: MINUTE.saturating_mul(10),
        endless: None,
    },
    Layer {
        name: "agent",
        what: "the agent's units",
        sees: &["agent/"],
        needs: "agent/src/executor",
        build: &["test", "--no-run", "-p", "ferry-agent", "--features", "hold-points", "--lib"],
        run: &["test", "-p", "ferry-agent", "--features", "hold-points", "--lib"],
        bound: MINUTE.saturating_mul(5),
        endless: None,
    },
    Layer {
        name: "model",
        what: "the core between small clusters and an unkind network, explored whole within bounds",
        sees: &["controller/core/"],
        needs: "tests/model/Cargo.toml",
        build: &["build", "--profile", "proof", "-p", "ferry-model"],
        run: &["run", "--profile", "proof", "-p", "ferry-model"],
        bound: MINUTE.saturating_mul(20),
        endless: None,
    },
    Layer {
        name: "simulation",
        what: "core, journal, sessions and executors against a simulated Kubernetes, some hundred seeds",
        sees: &["controller/core/", "controller/src/", "agent/"],
        needs: "tests/simulate",
        build: &["test", "--no-run", "-p", "ferry-tests", FEATURES[0], FEATURES[1], "--test", "simulate"],
        run: &[
            "test",
            "-p",
            "ferry-tests",
            FEATURES[0],
            FEATURES[1],
            "--test",
            "simulate",
            "--",
            "--seeds",
            "300",
        ],
        bound: MINUTE.saturating_mul(15),
        endless: None,
    },
    Layer {
        name: "executors",
        what: "every executor on real API servers: twice, killed at each write, refusing what it must",
        sees: &["agent/"],
        needs: "tests/executors.rs",
        build: &["test", "--no-run", "-p", "ferry-tests", FEATURES[0], FEATURES[1], "--test", "executors"],
        run: &["test", "-p", "ferry-tests", FEATURES[0], FEATURES[1], "--test", "executors"],
        bound: MINUTE.saturating_mul(30),
        endless: None,
    },
];

/// The hold points of the agent, by which tests stop it in the middle of a step.
const FEATURES: [&str; 2] = ["--features", "ferry-agent/hold-points"];

impl Layer {
    /// Whether it is in the repository.
    pub(crate) fn is_there(&self, root: &Path) -> bool {
        root.join(self.needs).exists()
    }

    /// Whether it can see a fault in that file.
    pub(crate) fn can_see(&self, file: &str) -> bool {
        self.sees.iter().any(|folder| file.starts_with(folder))
    }
}
