//! The links of a world: one bridge, a network namespace for each node, and a route from each to the pods of
//! every other, over clusters too, as a flat pod network has it.
//!
//! All of it lives in the world's own network namespace and ends with it. No interface leads out.
//!
//! Links within a node, from its bridge to its pods, are made by the CNI plugins that `node_files` configures.

use std::{net::Ipv4Addr, process::Command};

use anyhow::{Context, Result};

use super::{address::BRIDGE, system::call};

/// What the network must know of a node.
#[derive(Debug)]
pub(super) struct Station {
    pub(super) node: String,
    pub(super) address: Ipv4Addr,
    pub(super) pods: String,
}

impl Station {
    /// The name of the node's network namespace.
    pub(super) fn namespace(&self) -> String {
        namespace(&self.node)
    }

    /// The bridge's end of the node's link; the last byte of the address makes it unique and short.
    fn link(&self) -> String {
        format!("fv{}", self.address.octets()[3])
    }
}

/// The name of a node's network namespace.
pub(super) fn namespace(node: &str) -> String {
    format!("ferry-{node}")
}

/// Makes the bridge with the control planes' addresses, and the way from there to every node's pods.
pub(super) fn create_bridge(control_planes: &[Ipv4Addr], stations: &[Station]) -> Result<()> {
    let mut batch = vec![format!("link add {BRIDGE} type bridge"), format!("link set {BRIDGE} up")];
    batch.extend(control_planes.iter().map(|address| format!("addr add {address}/24 dev {BRIDGE}")));
    batch.extend(routes(stations, None));
    ip(&batch).context("cannot make the bridge")
}

/// Makes a node's network namespace anew, its link to the bridge, and its routes to the others' pods.
pub(super) fn attach(station: &Station, all: &[Station]) -> Result<()> {
    let (name, link, address) = (station.namespace(), station.link(), station.address);
    if std::path::Path::new("/run/netns").join(&name).exists() {
        // The link's other end goes with the namespace, but only after a while: it is removed by name first.
        let _ = ip(&[format!("link del {link}")]);
        ip(&[format!("netns del {name}")]).with_context(|| format!("cannot remove the namespace {name}"))?;
    }
    ip(&[
        format!("netns add {name}"),
        format!("link add {link} type veth peer name eth0 netns {name}"),
        format!("link set {link} master {BRIDGE} up"),
    ])
    .with_context(|| format!("cannot make the link of {}", station.node))?;
    let mut batch = vec![
        "link set lo up".to_owned(),
        format!("addr add {address}/24 dev eth0"),
        "link set eth0 up".to_owned(),
    ];
    batch.extend(routes(all, Some(&station.node)));
    call(Command::new("ip").args(["-n", &name, "-batch", "-"]), &batch.join("\n"))
        .with_context(|| format!("cannot set up the network of {}", station.node))?;
    Ok(())
}

/// Cuts a node's link, or joins it again: its processes go on either way.
pub(super) fn set_link(station: &Station, up: bool) -> Result<()> {
    let state = if up { "up" } else { "down" };
    ip(&[format!("link set {} {state}", station.link())])
}

fn routes(stations: &[Station], own: Option<&str>) -> Vec<String> {
    stations
        .iter()
        .filter(|station| Some(station.node.as_str()) != own)
        .map(|station| format!("route add {} via {}", station.pods, station.address))
        .collect()
}

fn ip(batch: &[String]) -> Result<()> {
    call(Command::new("ip").args(["-batch", "-"]), &batch.join("\n")).map(drop)
}
