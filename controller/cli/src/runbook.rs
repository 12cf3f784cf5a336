//! `ferry runbook`: how to end a migration well with kubectl alone, if Ferry is gone for good.
//!
//! A pure function from a migration to a shell script. The migration gives names only: the workload, both clusters, the
//! ordinals in their order. How far Ferry came is not written into the script; each of its steps looks at the clusters
//! and does what is left, because the script may be kept for hours before it is needed, and because it must be possible
//! to run it again after it stopped. For the same reason it carries no manifests: until a disk is Ready elsewhere, one of
//! the clusters holds its PersistentVolume with everything in it.
//!
//! The order of writes and what each waits for are those of the agents' executors: `Retain` first, detach proven, never
//! a claim of one disk in two clusters, tombstones where an ordinal does not belong. The shell is in `runbook/steps.sh`;
//! here are only the names before it. Calling and printing are the command's business.

use crate::shape::Migration;

/// What comes after the names: the same for every migration.
const STEPS: &str = include_str!("runbook/steps.sh");

/// The script that ends `migration` well from wherever it stands.
pub(crate) fn text(migration: &Migration) -> String {
    let Migration { id, namespace, workload, from, to, .. } = migration;
    let ordinals: Vec<String> = migration.ordinals.iter().map(|one| one.ordinal.to_string()).collect();
    let names = [("NAMESPACE", namespace), ("SET", workload), ("SOURCE", from), ("TARGET", to)];
    let names: String = names.iter().map(|(name, value)| format!("{name}={}\n", quoted(value))).collect();
    format!(
        "#!/usr/bin/env bash\n\
         # Ends the migration {id} of StatefulSet {namespace}/{workload} with bash and kubectl alone, without Ferry.\n\
         #\n\
         #     bash {id}.sh                   # the rest goes on to {to}\n\
         #     DIRECTION=back bash {id}.sh    # what has moved comes back to {from}\n\
         #\n\
         # It looks at the clusters and does what is left, wherever Ferry stopped, and may be run again after it stopped.\n\
         # First it takes Ferry's rights away in both clusters: two who write the same disks' claims are one too many.\n\
         # Agents that run as plain processes with a kubeconfig of their own have other rights: stop them before.\n\
         # It needs the rights of an administrator and a kubeconfig with a context for each cluster.\n\
         {state}\
         set -Eeuo pipefail\n\
         \n\
         # Contexts of the kubeconfig, named as Ferry's clusters: write others here if yours are called otherwise.\n\
         {names}\
         # In the order in which they move.\n\
         ORDINALS=({ordinals})\n\
         DIRECTION=${{DIRECTION:-forward}}\n\
         # Where Ferry's agents have their ServiceAccount, in both clusters.\n\
         FERRY_NAMESPACE=${{FERRY_NAMESPACE:-ferry-system}}\n\
         # Nodes of which you know that they are powered off or cut from the storage; only then.\n\
         FENCED_NODES=${{FENCED_NODES:-}}\n\
         # The longest wait for one condition; for resolvers to forget an address; for every API server to know that\n\
         # Ferry's rights are gone. In seconds.\n\
         WAIT_S=${{WAIT_S:-600}}\n\
         DNS_S=${{DNS_S:-5}}\n\
         FENCED_S=${{FENCED_S:-5}}\n\
         {STEPS}",
        state = state(migration),
        ordinals = ordinals.join(" "),
    )
}

/// Where the migration stood, for whoever reads the script; nothing in it depends on that.
fn state(migration: &Migration) -> String {
    let under_way = migration.ordinals.iter().find(|one| one.ended_at.is_none() && one.step > 0);
    let where_ = under_way.map_or(String::new(), |one| {
        format!(", ordinal {} at step {} ({})", one.ordinal, one.step, one.step_name)
    });
    format!(
        "#\n# When this was written it was {}: {} of {} ordinals had moved{where_}.\n",
        migration.phase.name(),
        migration.moved(),
        migration.ordinals.len(),
    )
}

/// A word that the shell takes as it is.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
#[path = "runbook_tests.rs"]
mod tests;
