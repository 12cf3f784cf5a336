//! The configuration of a node: kubelet, containerd, CNI, kube-proxy, and the script of its first process.
//!
//! The deviations from a stock node come from where it runs. A container without CAP_SYS_RESOURCE can lower no
//! OOM score and raise no limit; the machine's cgroups may be of version 1; the machine's sysctls must stay as
//! they are; and whatever a program would make outside its own directories is pointed into them.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use serde_json::json;

use super::{cgroup, process::make_parent};
use crate::build::PAUSE_IMAGE;

/// What a node's files are made from.
pub(super) struct Facts<'a> {
    pub(super) name: &'a str,
    pub(super) address: &'a str,
    pub(super) pods: &'a str,
    /// The range of the cluster's pods.
    pub(super) cluster_pods: &'a str,
    pub(super) dns: &'a str,
    pub(super) run: &'a str,
    /// The authority's certificate.
    pub(super) authority: &'a str,
    /// The node's certificate and key.
    pub(super) certificate: &'a str,
    pub(super) key: &'a str,
    pub(super) proxy_kubeconfig: &'a str,
    pub(super) status_update_s: u32,
    pub(super) pause: &'a Path,
}

/// What the kubelet wants of the machine, and writes when it finds something else. A file is put over each, so
/// that it finds what it wants and the machine's value stays.
const SYSCTLS: [(&str, u32); 6] = [
    ("vm/overcommit_memory", 1),
    ("vm/panic_on_oom", 0),
    ("kernel/panic", 10),
    ("kernel/panic_on_oops", 1),
    ("kernel/keys/root_maxkeys", 1_000_000),
    ("kernel/keys/root_maxbytes", 25_000_000),
];

/// The directories of a node that lie over the machine's: the node's own, and where its processes see it.
const BINDS: [(&str, &str); 5] = [
    ("run", "/run"),
    ("log", "/var/log"),
    ("kubelet", "/var/lib/kubelet"),
    ("containerd", "/var/lib/containerd"),
    ("cni", "/var/lib/cni"),
];

/// Oldest containers of the machine's kind hold 20,000 open files at most.
const MAX_OPEN_FILES: u32 = 20_000;

/// Writes all files of a node into `dir`.
pub(super) fn write(dir: &Path, facts: &Facts<'_>) -> Result<()> {
    let etc = dir.join("etc");
    put(&etc.join("kubelet.json"), &kubelet(&etc, facts).to_string())?;
    put(&etc.join("kube-proxy.json"), &kube_proxy(facts).to_string())?;
    put(&etc.join("containerd.toml"), &containerd(&etc))?;
    put(&etc.join("cni/10-ferry.conflist"), &cni(facts).to_string())?;
    put(&etc.join("resolv.conf"), &format!("nameserver {}\n", facts.dns))?;
    put(&etc.join("init.sh"), &first_process(dir, facts))
}

fn kubelet(etc: &Path, facts: &Facts<'_>) -> serde_json::Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": false,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroup::node_path(facts.run, facts.name),
        "cgroupsPerQOS": true,
        "enforceNodeAllocatable": ["pods"],
        "failSwapOn": false,
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "address": facts.address,
        "healthzBindAddress": facts.address,
        "readOnlyPort": 0,
        "tlsCertFile": facts.certificate,
        "tlsPrivateKeyFile": facts.key,
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": facts.authority},
        },
        "authorization": {"mode": "Webhook"},
        "clusterDNS": [facts.dns],
        "clusterDomain": "cluster.local",
        "resolvConf": etc.join("resolv.conf"),
        "oomScoreAdj": 0,
        "maxOpenFiles": MAX_OPEN_FILES,
        "makeIPTablesUtilChains": false,
        "nodeStatusUpdateFrequency": format!("{}s", facts.status_update_s),
        // Renewed each quarter of it: as often as the status, as with Kubernetes' defaults (40 s and 10 s).
        "nodeLeaseDurationSeconds": 4 * facts.status_update_s,
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        // Images come only by import: one that was collected would never come back.
        "imageGCHighThresholdPercent": 100,
        // In bytes: a share of a large disk is more than a world ever fills, and a node under pressure takes no pod.
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "100Mi", "imagefs.available": "100Mi"},
    })
}

fn kube_proxy(facts: &Facts<'_>) -> serde_json::Value {
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clientConnection": {"kubeconfig": facts.proxy_kubeconfig},
        "bindAddress": facts.address,
        "healthzBindAddress": format!("{}:10256", facts.address),
        "metricsBindAddress": format!("{}:10249", facts.address),
        "hostnameOverride": facts.name,
        "clusterCIDR": facts.cluster_pods,
        "oomScoreAdj": 0,
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    })
}

fn containerd(etc: &Path) -> String {
    let cni = etc.join("cni");
    format!(
        r#"version = 4
root = "/var/lib/containerd"
state = "/run/containerd"
oom_score = 0
disabled_plugins = [
  "io.containerd.nri.v1.nri",
  "io.containerd.snapshotter.v1.blockfile",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.erofs",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp",
]
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "{PAUSE_IMAGE}"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["/usr/lib/cni"]
    conf_dir = "{}"
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
      BinaryName = "/usr/sbin/runc"
      SystemdCgroup = false
"#,
        cni.display()
    )
}

fn cni(facts: &Facts<'_>) -> serde_json::Value {
    json!({
        "cniVersion": "1.0.0",
        "name": "ferry",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": true,
                "isDefaultGateway": true,
                "ipMasq": false,
                "hairpinMode": true,
                "ipam": {
                    "type": "host-local",
                    "dataDir": "/var/lib/cni/ipam",
                    "ranges": [[{"subnet": facts.pods}]],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    })
}

/// The script that makes a node of fresh namespaces and becomes its process 1, which then only reaps.
fn first_process(dir: &Path, facts: &Facts<'_>) -> String {
    let dir = dir.display();
    let mut script = format!("set -e\nmount --make-rshared /\nhostname {}\n", facts.name);
    for (own, seen) in BINDS {
        script.push_str(&format!("mkdir -p '{dir}/{own}' {seen}\nmount --bind '{dir}/{own}' {seen}\n"));
    }
    script.push_str("mkdir -p /run/netns /run/lock /var/log/pods\n");
    for (name, value) in SYSCTLS {
        let file = format!("'{dir}/etc/sysctl/{name}'");
        script.push_str(&format!("mkdir -p \"$(dirname {file})\"\necho {value} >{file}\n"));
        script.push_str(&format!("mount --bind {file} /proc/sys/{name}\n"));
    }
    script.push_str("echo 1 >/proc/sys/net/ipv4/ip_forward\n");
    script.push_str("echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables\n");
    script.push_str(&format!("touch '{dir}/up'\nexec '{}'\n", facts.pause.display()));
    script
}

fn put(path: &Path, text: &str) -> Result<()> {
    make_parent(path)?;
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
