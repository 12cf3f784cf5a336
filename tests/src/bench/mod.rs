//! The benches: how near Ferry is to the floor, measured, as ratios of two sides in one run.
//!
//! One world of two clusters, each with a real node and two simulated ones, and one installation of Ferry in it. On the
//! real nodes [`floor`] and Ferry hand over workloads of the same text in turns ([`real`]: P1, P2, and P1r by
//! [`reaction`]); on the simulated ones a script of kubectl and jq and Ferry do ([`by_hand`]: P1b); then the agents are
//! left alone ([`idle`]: P9). [`eyes`] watches both clusters from outside, [`audit`] is the API servers' own word.
//!
//! Nothing here judges in a test: figures depend on the machine. [`report`] says whether they are within their targets.

pub mod audit;
pub mod by_hand;
pub mod eyes;
pub mod ferried;
pub mod floor;
pub mod idle;
pub mod reaction;
pub mod real;
pub mod report;
pub mod scene;
pub mod simulated;
pub mod statistics;
pub mod workload;
