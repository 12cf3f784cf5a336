//! The Debian packages that the nodes need: installed where this process may, named where it may not.
//!
//! They are what the Go module proxy does not serve, or what only makes sense with the machine's own C library:
//! runc needs seccomp, the CNI plugins and iptables come ready to use.
//!
//! Versions are the distribution's: whatever a stable release has is recent enough.

use std::{collections::BTreeSet, process::Command};

use anyhow::{Context, Result, bail};

use super::{command::run, limits};

/// runc and the CNI plugins run the nodes' containers; busybox goes into the tool image; gcc makes pause; jq is half of
/// the script that the bench compares with; the rest are commands that the world, the kubelet, kube-proxy and the test
/// CSI driver call.
const PACKAGES: &[&str] = &[
    "busybox-static",
    "conntrack",
    "containernetworking-plugins",
    "e2fsprogs",
    "gcc",
    "iproute2",
    "iptables",
    "jq",
    "libc6-dev",
    "mount",
    "runc",
    "util-linux",
];

/// Installs what is missing, if anything is.
pub(super) fn ensure() -> Result<()> {
    let missing = missing()?;
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    if !nix::unistd::geteuid().is_root() {
        bail!(
            "these Debian packages are missing: run `apt-get install --no-install-recommends {names}` as root"
        );
    }
    eprintln!("build: installing {names}");
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(["-q", "-o", "DPkg::Lock::Timeout=300"]).args(arguments);
        command.env("DEBIAN_FRONTEND", "noninteractive");
        run(command, limits::PACKAGES)
    };
    apt(&["update"]).context("cannot update the package lists")?;
    let install: Vec<&str> =
        ["install", "-y", "--no-install-recommends"].into_iter().chain(missing.iter().copied()).collect();
    apt(&install).with_context(|| format!("cannot install {names}"))?;
    Ok(())
}

fn missing() -> Result<Vec<&'static str>> {
    // The command fails when any package is unknown, yet prints the others: only its output counts.
    let output = Command::new("dpkg-query")
        .args(["-W", "-f", "${Package} ${db:Status-Status}\n"])
        .args(PACKAGES)
        .output()
        .with_context(|| {
            format!("dpkg-query does not run: the test world needs Debian, with {}", PACKAGES.join(" "))
        })?;
    let text = String::from_utf8_lossy(&output.stdout);
    let installed: BTreeSet<&str> = text.lines().filter_map(|line| line.strip_suffix(" installed")).collect();
    Ok(PACKAGES.iter().copied().filter(|package| !installed.contains(package)).collect())
}
