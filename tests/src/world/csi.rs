//! The test CSI driver in a cluster: its controller part with upstream's provisioner and attacher beside the
//! control plane, its node part on each node, and the objects that make it known.
//!
//! All clusters of a world reach one array, a directory of the run; that a volume is attached in one cluster at
//! a time is the driver's to enforce and the observer's to watch.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::{Value, json};

use super::{Shared, enter::SOCKETS, process::Spec};

/// The driver's name, in each cluster the same: a volume's handle means the same disk everywhere.
pub const DRIVER: &str = "array.ferry.test";
/// The StorageClass of the array.
pub const STORAGE_CLASS: &str = "array";

/// The processes of the driver's controller part in a cluster, by name.
pub(super) fn controller_part(
    shared: &Shared,
    driver: &Path,
    cluster: &str,
    kubeconfig: &Path,
) -> Result<Vec<(&'static str, Spec)>> {
    let endpoint = format!("unix://{SOCKETS}/{cluster}-csi.sock");
    let sidecar = |extra: &[&str]| {
        let mut arguments = vec![
            format!("--csi-address={endpoint}"),
            format!("--kubeconfig={}", kubeconfig.display()),
            "--leader-election=false".to_owned(),
            "--v=4".to_owned(),
            // At the default of 5 calls a second each, a dozen disks that come and go at once wait half a minute.
            "--kube-api-qps=200".to_owned(),
            "--kube-api-burst=400".to_owned(),
        ];
        arguments.extend(extra.iter().map(ToString::to_string));
        arguments
    };
    let provisioner = sidecar(&["--default-fstype=ext4", "--extra-create-metadata"]);
    let arguments = ["controller", "--array", &array(shared), "--cluster", cluster, "--endpoint", &endpoint];
    Ok(vec![
        ("test-csi", Spec::new(driver, arguments)),
        ("csi-provisioner", Spec::new(shared.tools.program("csi-provisioner")?, provisioner)),
        ("csi-attacher", Spec::new(shared.tools.program("csi-attacher")?, sidecar(&[]))),
    ])
}

/// The driver's process on a node.
pub(super) fn node_part(shared: &Shared, driver: &Path, cluster: &str, node: &str) -> Spec {
    let endpoint = format!("unix:///var/lib/kubelet/plugins/{DRIVER}/csi.sock");
    // The kubelet sends the socket's path, its slashes escaped, as the HTTP/2 authority. An escape is allowed only
    // before an `@`, and hyper resets a stream whose authority is malformed: so the socket's name has one.
    let registration = format!("/var/lib/kubelet/plugins_registry/csi@{DRIVER}-reg.sock");
    let array = array(shared);
    let arguments = [
        "node",
        "--array",
        &array,
        "--cluster",
        cluster,
        "--node",
        node,
        "--endpoint",
        &endpoint,
        "--registration",
        &registration,
    ];
    Spec::new(driver, arguments)
}

/// The directory of the array.
pub(super) fn array_dir(run: &Path) -> PathBuf {
    run.join("array")
}

fn array(shared: &Shared) -> String {
    array_dir(&shared.dir).display().to_string()
}

/// The CSIDriver: volumes are attached before they are mounted, and the file system's group is the kubelet's.
pub(super) fn driver_object() -> Value {
    json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "CSIDriver",
        "metadata": {"name": DRIVER},
        "spec": {"attachRequired": true, "podInfoOnMount": false, "fsGroupPolicy": "File"},
    })
}

/// The StorageClass: bound when a pod is scheduled, as most classes of real arrays are.
pub(super) fn class_object() -> Value {
    json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": STORAGE_CLASS},
        "provisioner": DRIVER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowVolumeExpansion": true,
    })
}
