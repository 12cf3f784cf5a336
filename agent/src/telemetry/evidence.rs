//! Evidence as attributes of a span: what a person looks for first when a handoff is asked about.
//!
//! Names of nodes, pods and volumes, and the epoch that the cluster keeps; no manifests and nothing of a template.
//! The whole evidence is in the controller's journal; this is enough to find it there.
//! A kind of evidence without an arm here has a span without attributes, never an error.

use ferry_proto::agent::v1::{ClaimedVolume, NodeIdentity};
use ferry_telemetry::trace::Value;

use crate::outcome::{Evidence, bounded};

type Attribute = (&'static str, Value);

/// What the evidence says.
pub(super) fn attributes(evidence: &Evidence) -> Vec<Attribute> {
    match evidence {
        Evidence::Held(held) => {
            let mut all = node(held.node.as_ref());
            all.push(("ferry.evidence.pod_uid", held.pod_uid.clone().into()));
            all
        }
        Evidence::Released(released) => {
            let mut all =
                placed(&released.pod_uid, released.node.as_ref(), &released.volumes, released.epoch_kept);
            all.push(("ferry.evidence.detached", released.detached.into()));
            all
        }
        Evidence::Adopted(adopted) => {
            let mut all =
                placed(&adopted.pod_uid, adopted.node.as_ref(), &adopted.volumes, adopted.epoch_kept);
            all.push(("ferry.evidence.pod_address", adopted.pod_address.clone().into()));
            all
        }
        Evidence::Reclaimed(taken) => {
            placed(&taken.pod_uid, taken.node.as_ref(), &taken.volumes, taken.epoch_kept)
        }
        Evidence::Fenced(fenced) => vec![
            ("ferry.evidence.epoch_kept", number(fenced.epoch_kept)),
            ("ferry.evidence.detached", fenced.detached.into()),
            ("ferry.evidence.volumes", list(fenced.pv_names.iter().map(String::as_str))),
        ],
        Evidence::Retired(retired) => {
            vec![("ferry.evidence.volumes", list(retired.pv_names.iter().map(String::as_str)))]
        }
        _ => Vec::new(),
    }
}

fn placed(pod_uid: &str, on: Option<&NodeIdentity>, volumes: &[ClaimedVolume], epoch: u64) -> Vec<Attribute> {
    let mut all = node(on);
    let handles = volumes.iter().map(|volume| volume.handle.as_str());
    all.extend([
        ("ferry.evidence.pod_uid", pod_uid.to_owned().into()),
        ("ferry.evidence.volumes", list(handles)),
        ("ferry.evidence.epoch_kept", number(epoch)),
    ]);
    all
}

fn node(node: Option<&NodeIdentity>) -> Vec<Attribute> {
    node.map(|node| ("ferry.evidence.node", node.name.clone().into())).into_iter().collect()
}

fn number(value: u64) -> Value {
    i64::try_from(value).unwrap_or(i64::MAX).into()
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> Value {
    bounded(names.collect::<Vec<_>>().join(",")).into()
}
