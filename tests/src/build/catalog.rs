//! The table of Go programs: which group builds them, from which package, with which linker flags.
//!
//! Versions are not here: they stand in each group's `go.mod`, the one place to change them. A further
//! Kubernetes release is a further folder `tests/go/kubernetes-<minor>`; nothing else changes.
//!
//! Building is for `golang`; this module only says what there is.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A Kubernetes minor release that has a group under `tests/go/`, such as `1.37`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct KubernetesRelease(pub String);

/// The release that a world runs unless its configuration says otherwise.
pub const DEFAULT_KUBERNETES: &str = "1.37";

impl Default for KubernetesRelease {
    fn default() -> Self {
        Self(DEFAULT_KUBERNETES.to_owned())
    }
}

/// One program: the name of its binary and the Go package that it is built from.
pub(super) struct Program {
    pub(super) name: &'static str,
    pub(super) package: &'static str,
}

/// Programs that share a `go.mod`.
pub(super) struct Group {
    /// The folder under `tests/go/`.
    pub(super) folder: String,
    /// The release, if the programs are Kubernetes' own: a world may run several.
    pub(super) release: Option<KubernetesRelease>,
    /// The module whose version the programs report, and the linker variables that carry it.
    version: Option<VersionStamp>,
    /// Build tags, separated by commas.
    pub(super) tags: &'static str,
    pub(super) programs: &'static [Program],
}

struct VersionStamp {
    module: &'static str,
    /// Receives the version with its `v`.
    tagged: Option<&'static str>,
    /// Receives the version without its `v`.
    plain: Option<&'static str>,
    /// Receive the major and the minor number.
    numbers: Option<(&'static str, &'static str)>,
}

const KUBERNETES: &[Program] = &[
    Program { name: "kube-apiserver", package: "k8s.io/kubernetes/cmd/kube-apiserver" },
    Program { name: "kube-controller-manager", package: "k8s.io/kubernetes/cmd/kube-controller-manager" },
    Program { name: "kube-scheduler", package: "k8s.io/kubernetes/cmd/kube-scheduler" },
    Program { name: "kubectl", package: "k8s.io/kubernetes/cmd/kubectl" },
    Program { name: "kubelet", package: "k8s.io/kubernetes/cmd/kubelet" },
    Program { name: "kube-proxy", package: "k8s.io/kubernetes/cmd/kube-proxy" },
];

const ETCD: &[Program] = &[
    Program { name: "etcd", package: "go.etcd.io/etcd/server/v3" },
    Program { name: "etcdctl", package: "go.etcd.io/etcd/etcdctl/v3" },
];

const CONTAINERD: &[Program] = &[
    Program { name: "containerd", package: "github.com/containerd/containerd/v2/cmd/containerd" },
    Program {
        name: "containerd-shim-runc-v2",
        package: "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
    },
    Program { name: "ctr", package: "github.com/containerd/containerd/v2/cmd/ctr" },
];

const COREDNS: &[Program] = &[Program { name: "coredns", package: "github.com/coredns/coredns" }];

const PROVISIONER: &[Program] = &[Program {
    name: "csi-provisioner",
    package: "github.com/kubernetes-csi/external-provisioner/v6/cmd/csi-provisioner",
}];

const ATTACHER: &[Program] = &[Program {
    name: "csi-attacher",
    package: "github.com/kubernetes-csi/external-attacher/v4/cmd/csi-attacher",
}];

const KWOK: &[Program] = &[Program { name: "kwok", package: "sigs.k8s.io/kwok/cmd/kwok" }];

const SANITY: &[Program] =
    &[Program { name: "csi-sanity", package: "github.com/kubernetes-csi/csi-test/v5/cmd/csi-sanity" }];

const PROMETHEUS: &[Program] =
    &[Program { name: "prometheus", package: "github.com/prometheus/prometheus/cmd/prometheus" }];

const HELM: &[Program] = &[Program { name: "helm", package: "helm.sh/helm/v4/cmd/helm" }];

/// Every group, in the order in which a first build makes them: what all else waits for comes first.
pub(super) fn groups(kubernetes: &[KubernetesRelease]) -> Vec<Group> {
    kubernetes.iter().map(kubernetes_group).chain(others()).collect()
}

fn kubernetes_group(release: &KubernetesRelease) -> Group {
    let stamp = VersionStamp {
        module: "k8s.io/kubernetes",
        tagged: Some("k8s.io/component-base/version.gitVersion"),
        plain: None,
        numbers: Some(("k8s.io/component-base/version.gitMajor", "k8s.io/component-base/version.gitMinor")),
    };
    Group {
        folder: format!("kubernetes-{}", release.0),
        release: Some(release.clone()),
        version: Some(stamp),
        tags: "",
        programs: KUBERNETES,
    }
}

fn others() -> Vec<Group> {
    let containerd_stamp = VersionStamp {
        module: "github.com/containerd/containerd/v2",
        tagged: None,
        plain: Some("github.com/containerd/containerd/v2/version.Version"),
        numbers: None,
    };
    let group = |folder: &str, version, programs| Group {
        folder: folder.to_owned(),
        release: None,
        version,
        tags: "",
        programs,
    };
    let plain = |folder, programs| group(folder, None, programs);
    vec![
        plain("etcd", ETCD),
        group("containerd", Some(containerd_stamp), CONTAINERD),
        plain("coredns", COREDNS),
        plain("csi-provisioner", PROVISIONER),
        plain("csi-attacher", ATTACHER),
        plain("kwok", KWOK),
        plain("csi-sanity", SANITY),
        plain("helm", HELM),
        // Targets are a list in a file: without the discovery of any cloud it is half as large, and builds in minutes.
        Group { tags: "remove_all_sd", ..plain("prometheus", PROMETHEUS) },
    ]
}

impl Group {
    /// The folder that holds the group's `go.mod` and `go.sum`.
    pub(super) fn source(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("go").join(&self.folder)
    }

    /// The flags of the linker: no debug information, and the version that the programs report.
    pub(super) fn linker_flags(&self, go_mod: &str) -> Result<String> {
        let mut flags = String::from("-s -w");
        let Some(stamp) = &self.version else { return Ok(flags) };
        let version = required_version(go_mod, stamp.module)
            .with_context(|| format!("{}/go.mod requires no {}", self.source().display(), stamp.module))?;
        let plain = version.trim_start_matches('v');
        let mut numbers = plain.split('.');
        let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
        let mut set = |variable: &str, value: &str| flags.push_str(&format!(" -X {variable}={value}"));
        if let Some(variable) = stamp.tagged {
            set(variable, version);
        }
        if let Some(variable) = stamp.plain {
            set(variable, plain);
        }
        if let Some((for_major, for_minor)) = stamp.numbers {
            set(for_major, major);
            set(for_minor, minor);
        }
        Ok(flags)
    }
}

/// The version at which `go_mod` requires `module`.
pub(super) fn required_version<'a>(go_mod: &'a str, module: &str) -> Option<&'a str> {
    go_mod.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip_while(|word| *word == "require");
        (words.next() == Some(module)).then(|| words.next()).flatten().filter(|word| word.starts_with('v'))
    })
}

#[cfg(test)]
#[path = "catalog_tests.rs"]
mod tests;
