//! What a probe creates: a claim, and a pod that the `restricted` Pod Security standard admits.
//!
//! The pod does one thing and ends: it writes the nonce, or reads it, and says what the disk holds in its termination
//! message. It has no account's token, no capability, no root, and a root file system that it cannot write.
//! When they are created, and what becomes of them, is the other modules' business.

use serde_json::{Value, json};

use super::{LABEL, Scratch};
use crate::executor::object::{FERRY, MANAGED_BY};

/// Bytes of the disk: what most provisioners round up to their least.
const SIZE: &str = "16Mi";
/// Who the pod runs as: nobody, by its usual number.
const NOBODY: u32 = 65_534;
const WRITE: &str =
    r#"printf %s "$NONCE" > /scratch/nonce && sync && cat /scratch/nonce > /dev/termination-log"#;
const READ: &str = "cat /scratch/nonce > /dev/termination-log";

/// Labels of everything that is made.
pub(super) fn labels(scratch: &Scratch<'_>) -> Value {
    json!({LABEL: scratch.name(), MANAGED_BY: FERRY})
}

/// The claim; with the name of a volume it is for that one only.
pub(super) fn claim(scratch: &Scratch<'_>, volume: Option<&Value>) -> Value {
    let mut spec = json!({
        "accessModes": ["ReadWriteOnce"],
        "volumeMode": "Filesystem",
        "storageClassName": scratch.command.storage_class,
        "resources": {"requests": {"storage": SIZE}},
    });
    if let Some(volume) = volume {
        spec["volumeName"] = volume["metadata"]["name"].clone();
        spec["resources"]["requests"]["storage"] = volume["spec"]["capacity"]["storage"].clone();
    }
    json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": scratch.name(), "namespace": scratch.ctx.command.namespace, "labels": labels(scratch),
        },
        "spec": spec,
    })
}

/// The pod.
pub(super) fn pod(scratch: &Scratch<'_>, writes: bool) -> Value {
    let mut security = json!({
        "runAsNonRoot": true, "runAsUser": NOBODY, "runAsGroup": NOBODY,
        "seccompProfile": {"type": "RuntimeDefault"},
    });
    // Who reads may have got another disk than was meant: nothing of that is written, its owners included.
    if writes {
        security["fsGroup"] = NOBODY.into();
    }
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": scratch.name(), "namespace": scratch.ctx.command.namespace, "labels": labels(scratch),
        },
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "securityContext": security,
            "containers": [{
                "name": "probe",
                "image": scratch.command.image,
                "command": ["sh", "-c", if writes { WRITE } else { READ }],
                "env": [{"name": "NONCE", "value": scratch.command.nonce}],
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "resources": {
                    "requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "100m", "memory": "32Mi"},
                },
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "readOnlyRootFilesystem": true,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [{"name": "scratch", "mountPath": "/scratch", "readOnly": !writes}],
            }],
            "volumes": [{"name": "scratch", "persistentVolumeClaim": {"claimName": scratch.name(), "readOnly": !writes}}],
        },
    })
}
