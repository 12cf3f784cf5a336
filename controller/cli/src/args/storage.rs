//! Arguments of `ferry storage`: domains, and mappings of StorageClasses.
//!
//! Clusters stand in the order in which a move goes, source first, as in `plan`. What is set here holds for plans to come.
//! Names are taken as they are: whether a cluster, a driver or a class exists is found out by the plan that needs it.
//! What a domain means for volumes is explained in docs/concepts.md.

use clap::{Args, Subcommand};

use super::control::parse_class;

/// `ferry storage`.
#[derive(Debug, Subcommand)]
#[command(arg_required_else_help = true)]
pub(crate) enum StorageVerb {
    /// Which array a CSI driver of a cluster reaches
    #[command(subcommand)]
    Domain(DomainVerb),
    /// Which StorageClass of one cluster stands for one of another
    #[command(subcommand)]
    Map(MapVerb),
    /// Try whether a disk made in one cluster can be read in another
    Probe(ProbeArgs),
}

/// `ferry storage probe`.
#[derive(Debug, Args)]
#[command(after_help = "\
A small disk of the class is made in --from, written by a pod, and detached; then it is attached and read by a pod in --to, \
let go of, and deleted where it was made. Claims, pods and volumes are of the probe's own, with the label ferry.dev/probe, \
in a namespace (-n) that both clusters have; no workload is touched. The agents need the rights of deploy/agent/probe.yaml.

Example:
  $ferry storage probe --from east --to west -n default --storage-class fast=premium --image busybox:1.36")]
pub(crate) struct ProbeArgs {
    /// The cluster that makes the disk
    #[arg(long)]
    pub(crate) from: String,
    /// The cluster that reads it
    #[arg(long)]
    pub(crate) to: String,
    /// StorageClass of --from, and that of --to where it has another name
    #[arg(long, value_name = "CLASS[=CLASS]", value_parser = parse_classes)]
    pub(crate) storage_class: (String, String),
    /// Image of the pods, as the nodes of both clusters pull it; it has sh, cat and sync
    #[arg(long)]
    pub(crate) image: String,
}

fn parse_classes(text: &str) -> Result<(String, String), String> {
    if text.contains('=') { parse_class(text) } else { parse_class(&format!("{text}={text}")) }
}

/// `ferry storage domain`.
#[derive(Debug, Subcommand)]
#[command(
    arg_required_else_help = true,
    after_help = "\
A disk is known by domain, driver and handle. Two clusters reach the same disks through a driver if its domain is the same \
in both; until one is set, the driver's name is the domain.

Examples:
  # east and west have an array each, behind the same driver
  $ferry storage domain set east csi.example.com array-1
  $ferry storage domain set west csi.example.com array-2"
)]
pub(crate) enum DomainVerb {
    /// Set the domain of a driver in a cluster
    Set {
        /// The cluster
        cluster: String,
        /// The CSI driver
        driver: String,
        /// The domain: a name of your choice
        domain: String,
    },
    /// Take the setting away: the driver's name is the domain again
    #[command(visible_alias = "rm")]
    Unset {
        /// The cluster
        cluster: String,
        /// The CSI driver
        driver: String,
    },
    /// Show what was set
    #[command(visible_alias = "ls")]
    List,
}

/// `ferry storage map`.
#[derive(Debug, Subcommand)]
#[command(
    arg_required_else_help = true,
    after_help = "\
Holds for every plan between the two clusters, in one namespace (-n) or in all; `plan --storage-class` adds to it.

Examples:
  $ferry storage map add east west fast=premium
  $ferry storage map rm east west fast"
)]
pub(crate) enum MapVerb {
    /// Set a mapping; one of the same class is replaced
    Add {
        #[command(flatten)]
        between: Between,
        /// StorageClass of the source, and the target's for it
        #[arg(value_name = "FROM=TO", value_parser = parse_class)]
        classes: (String, String),
    },
    /// Take a mapping away
    #[command(visible_alias = "remove")]
    Rm {
        #[command(flatten)]
        between: Between,
        /// StorageClass of the source
        class: String,
    },
    /// Show what was set
    #[command(visible_alias = "ls")]
    List,
}

/// From where to where.
#[derive(Debug, Args)]
pub(crate) struct Between {
    /// The source cluster
    pub(crate) from: String,
    /// The target cluster
    pub(crate) to: String,
}
