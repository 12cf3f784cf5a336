//! `ferry-model`: the handoff protocol, explored whole within named bounds.
//!
//! The coordinator is the core's own transition function. Around it are two clusters as small as the protocol allows, whose
//! agents do what `agent/src/executor` does, one read or write at a time; a network that loses, repeats and reorders;
//! processes that end, or are stopped between a check and a write; an operator; a backup that is restored.
//!
//! What is proved is proved of these: within the bounds of [`explorations`] every state is looked at. What is left out:
//! endpoints, budgets, finalizers, reclaim policies, the writes of preparation, nodes that die. Those have their tests
//! elsewhere. Names given as arguments choose explorations, `quick` those that take seconds; the figures go to
//! `target/model/report.json`.

mod action;
mod adopt;
mod bounds;
mod brief;
mod calm;
mod cluster;
mod executor;
mod explorations;
mod fence;
mod ledger;
mod model;
mod names;
mod opening;
mod reclaim;
mod release;
mod report;
mod retire;
mod rules;
mod task;
#[cfg(test)]
mod tests;
mod world;

use anyhow::ensure;

use explorations::{Exploration, PLANTED, RIGHT};

/// Chooses the explorations that take seconds.
const QUICK: &str = "quick";

fn main() -> anyhow::Result<()> {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let chosen = |of: &&Exploration| {
        let named = |name: &String| name == of.bounds.name || (name == QUICK && of.quick);
        names.is_empty() || names.iter().any(named)
    };
    let all = RIGHT.iter().chain(&PLANTED).filter(chosen);
    let (mut explored, mut unexpected) = (Vec::new(), Vec::new());
    println!("{}", report::HEAD);
    for exploration in all {
        let found = model::explore(exploration.bounds)?;
        print!("{}", report::told(exploration, &found));
        if !found.is_expected(exploration.finds) {
            unexpected.push(exploration.bounds.name);
        }
        explored.push((*exploration, found));
    }
    ensure!(!explored.is_empty(), "no exploration is named {names:?}: see tests/model/src/explorations.rs");
    let path = report::write(&explored)?;
    println!("{}", report::sum(&explored));
    println!("the figures are in {}", path.display());
    ensure!(
        unexpected.is_empty(),
        "not as expected: {unexpected:?}: see the ways above, and explorations.rs for what was expected"
    );
    Ok(())
}
