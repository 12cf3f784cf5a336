//! Arguments of what controls a migration and of what tells about it afterwards.
//!
//! Each takes a migration's id, as `get` and `migrate` show it. Subsets, classes and deadlines of a plan are here too,
//! because `plan` and `migrate` share them: what is approved and what runs must be named alike.
//! Forms are checked here, so that a slip costs no call; whether ordinals or classes make sense, the plan says.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};

use super::parse_time;
use crate::{shape::OnFailure, steps};

/// What of a workload moves, and how: `plan` and `migrate`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Choice {
    /// Only these ordinals, as in 2 or 1-2: a run at the end of the set where the order begins [default: all]
    #[arg(long, value_name = "ORDINALS", value_parser = parse_ordinals)]
    pub(crate) ordinals: Option<Ordinals>,
    /// StorageClass of the target for one of the source; may be given several times
    #[arg(long = "storage-class", value_name = "FROM=TO", value_parser = parse_class)]
    pub(crate) storage_classes: Vec<(String, String)>,
    /// How long a step may take before a person is told, as in start=5m; may be given several times
    #[arg(long = "deadline", value_name = "STEP=TIME", value_parser = parse_deadline)]
    pub(crate) deadlines: Vec<(u32, u64)>,
    /// What follows when the target does not run a replica by the deadline of claim, start or converge
    #[arg(long, value_name = "POLICY", default_value = "pause")]
    pub(crate) on_failure: OnFailure,
}

impl Choice {
    /// The ordinals; none for all.
    pub(crate) fn ordinals(&self) -> Vec<u32> {
        self.ordinals.clone().map(|Ordinals(ordinals)| ordinals).unwrap_or_default()
    }

    /// The last word on each class.
    pub(crate) fn classes(&self) -> BTreeMap<String, String> {
        self.storage_classes.iter().cloned().collect()
    }

    /// The last word on each step, in milliseconds.
    pub(crate) fn deadlines(&self) -> BTreeMap<u32, u64> {
        self.deadlines.iter().copied().collect()
    }
}

/// Ordinals that were named, ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ordinals(pub(crate) Vec<u32>);

/// Ordinals that a range may have: as many as a migration may.
const MOST_ORDINALS: usize = 1_000;

pub(super) fn parse_ordinals(text: &str) -> Result<Ordinals, String> {
    let expected = || format!("`{text}`; expected ordinals as in 2, 1-2 or 0,1");
    let number = |text: &str| text.trim().parse::<u32>().map_err(|_| expected());
    let mut ordinals = Vec::new();
    for part in text.split(',') {
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(part)?, number(part)?),
        };
        if first > last {
            return Err(format!("{first}-{last} is empty; expected {last}-{first}"));
        }
        if (last - first) as usize >= MOST_ORDINALS {
            return Err(format!(
                "{part} has more than the {MOST_ORDINALS} ordinals that one migration may have"
            ));
        }
        ordinals.extend(first..=last);
    }
    ordinals.sort_unstable();
    ordinals.dedup();
    Ok(Ordinals(ordinals))
}

pub(super) fn parse_class(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((from, to)) if !from.is_empty() && !to.is_empty() => Ok((from.to_owned(), to.to_owned())),
        _ => Err(format!("`{text}`; expected two StorageClasses, as in fast=premium")),
    }
}

pub(super) fn parse_deadline(text: &str) -> Result<(u32, u64), String> {
    let (step, time) = text.split_once('=').ok_or("expected STEP=TIME, as in start=5m")?;
    let number = (1..=steps::LAST)
        .find(|number| steps::name(*number) == step || number.to_string() == step)
        .ok_or_else(|| {
            let names: Vec<&str> = (1..=steps::LAST).map(steps::name).collect();
            format!("no step is called `{step}`; expected one of {}", names.join(", "))
        })?;
    let time = parse_time(time)?.0.as_millis();
    match u64::try_from(time) {
        Ok(ms) if (1_000..=604_800_000).contains(&ms) => Ok((number, ms)),
        _ => Err("expected 1s to 7d".to_owned()),
    }
}

/// `ferry pause`.
#[derive(Debug, Args)]
#[command(after_help = "\
Before a replica was stopped (preparation, steps 1 to 4) it stops at once, and the handoff that was begun is withdrawn. \
From step 5 on the replica is down, so it goes on until the replica runs in the target, and stops then.

Examples:
  $ferry pause etcd-1
  $ferry pause etcd-1 --wait && echo 'both clusters may be worked on'

Exits with 3 if it is paused already, or has ended.")]
pub(crate) struct Pause {
    /// The migration
    pub(crate) id: String,
    /// Return when it has stopped, not when it was told to
    #[arg(long)]
    pub(crate) wait: bool,
}

/// `ferry resume`.
#[derive(Debug, Args)]
#[command(after_help = "\
Both clusters are looked at again before it goes on.

Examples:
  $ferry resume etcd-1

Exits with 3 if nobody paused it, or it has ended.")]
pub(crate) struct Resume {
    /// The migration
    pub(crate) id: String,
}

/// `ferry rollback`.
#[derive(Debug, Args)]
#[command(after_help = "\
Without --all the replica in flight goes back to the source, and the migration stays paused after that. With --all every \
replica that has moved comes back, one at a time, the last first, and the preparation of both clusters is undone. A disk \
comes back with what was written to it meanwhile.

Examples:
  # The replica in flight does not start in the target: back with it
  $ferry rollback etcd-1

  # All of it, and follow
  $ferry rollback etcd-1 --all && $ferry watch etcd-1

Exits with 3 if there is nothing to give back, or it has ended.")]
pub(crate) struct Rollback {
    /// The migration
    pub(crate) id: String,
    /// Everything that moved, not only the replica in flight
    #[arg(long)]
    pub(crate) all: bool,
}

/// `ferry attest`.
#[derive(Debug, Subcommand)]
pub(crate) enum AttestVerb {
    /// Attest that nothing on a node writes any more: it is powered off, or cut off from its disks
    Fenced(Fenced),
}

/// `ferry attest fenced`.
#[derive(Debug, Args)]
#[command(after_help = "\
A handoff needs the word of the node that ran the replica: that it uses the disk no more. A node that is gone, was booted \
anew or is out of service cannot give it, and the migration is paused and names the node. Only if you know that the machine \
is off, or that its storage refuses it, attest it: the migration takes your word for the node's, and goes on. If the node \
still writes, two writers share a disk, and the disk is lost. Everything else is proven as ever: that the pod is gone, and \
that no attachment exists.

It is written into the audit log with your name and the reason, and the fencing epoch of the handoff rises.

Examples:
  # What is waited for
  $ferry get migrations

  $ferry attest fenced east-2 --reason 'pulled its power at 14:05, ticket 4711'

Exits with 3 if no migration waits for that node. Needs the role admin.")]
pub(crate) struct Fenced {
    /// The node, as the paused migration names it
    pub(crate) node: String,
    /// How you know, for the audit log
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

/// `ferry finish`.
#[derive(Debug, Args)]
#[command(after_help = "\
Deletes the empty StatefulSet in the source, watches that nothing makes it anew, and certifies what the source still \
holds. Tombstones stay until --accept: without them a GitOps tool that makes the StatefulSet anew would start an empty \
database under the old name. It may be asked again, and then with --accept.

Examples:
  $ferry finish etcd-1
  $ferry finish etcd-1 --accept -o json > certificate.json

Exits with 3 if it cannot be finished.")]
pub(crate) struct Finish {
    /// The migration; it has completed
    pub(crate) id: String,
    /// Nothing will make the StatefulSet anew in the source: take the tombstones away
    #[arg(long)]
    pub(crate) accept: bool,
}

/// `ferry describe`.
#[derive(Debug, Args)]
#[command(after_help = "\
Every step of every replica with its time and the evidence that its cluster gave, and who did what.

Examples:
  $ferry describe migration etcd-1
  $ferry describe etcd-1 -o json")]
pub(crate) struct Describe {
    /// The migration: ID, or migration ID
    #[arg(value_name = "[migration] ID", num_args = 1..=2, required = true)]
    pub(crate) id: Vec<String>,
}

/// `ferry audit`.
#[derive(Debug, Args)]
#[command(after_help = "\
Newest first: who asked for what, how that ended, and each replica whose owner changed.

Examples:
  $ferry audit
  $ferry audit --migration etcd-1 -o json
  $ferry audit --limit 1000 --before 4711")]
pub(crate) struct Audit {
    /// Only what belongs to this migration
    #[arg(long, value_name = "ID")]
    pub(crate) migration: Option<String>,
    /// At most so many records
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) limit: u32,
    /// Only records older than the one with this number
    #[arg(long, value_name = "NUMBER")]
    pub(crate) before: Option<u64>,
}

/// `ferry runbook`.
#[derive(Debug, Args)]
#[command(after_help = "\
For the day on which Ferry is gone for good: a shell script that ends the migration with kubectl alone, from wherever it \
stands. Take it while the controller still answers.

Examples:
  $ferry runbook etcd-1 > etcd-1.sh")]
pub(crate) struct Runbook {
    /// The migration
    pub(crate) id: String,
}
