//! An honest agent: commands as small writes, and the evidence after them.
//!
//! It decides from what its cluster shows, never from what it remembers, so a new process goes on where the old one
//! died. Its mood makes it stop, refuse or lose sight, once.
//! It is a model of the protocol, not of the real agent: waits are left out, order and idempotence are not.

use std::collections::BTreeMap;

use super::cluster::{Claim, Cluster, Pv};
use crate::facts::{
    Adopted, Fenced, Finished, Held, OrdinalVolumes, Outcome, OutcomeResult, Reclaimed, Refusal, RefusalCode,
    Released, Retired, Severity, SourcePrepared, SourceReport, TargetPrepared, TargetReport, Unprepared,
};
use crate::{Command, CommandBody, CommandId, Epoch, Ordinal, Slice};

/// How the next command is carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mood {
    #[default]
    Honest,
    /// Refuses without looking.
    Refuse(RefusalCode),
    /// Dies after so many writes.
    DieAfter(usize),
    /// Says that it does not know, after so many writes.
    UnknownAfter(usize),
}

#[derive(Default)]
pub(crate) struct Agent {
    pub(crate) instance: String,
    pub(crate) unacked: BTreeMap<CommandId, Outcome>,
    /// Everything that this process ever said of commands.
    pub(crate) said: Vec<Outcome>,
    /// The nth command from now is carried out in that mood.
    pub(crate) mood_on: Option<(usize, Mood)>,
    pub(crate) mood: Mood,
}

impl Agent {
    pub(crate) fn new(cluster: &str, serial: u64) -> Self {
        Self { instance: format!("{cluster}-agent-{serial}"), ..Self::default() }
    }
}

pub(crate) type Write = Box<dyn Fn(&mut Cluster)>;

pub(crate) fn refusal(code: RefusalCode, message: &str) -> Refusal {
    Refusal { code, message: message.to_owned(), step: 5 }
}

fn keep(ordinal: Ordinal, epoch: Epoch) -> Write {
    Box::new(move |cluster| {
        let kept = cluster.kept.entry(ordinal).or_default();
        *kept = epoch.0.max(*kept);
    })
}

fn stale(cluster: &Cluster, ordinal: Ordinal, epoch: Epoch) -> Result<(), Refusal> {
    let kept = cluster.kept.get(&ordinal).copied().unwrap_or_default();
    if epoch.0 < kept {
        Err(refusal(RefusalCode::StaleEpoch, "the cluster keeps a higher one"))
    } else {
        Ok(())
    }
}

fn expect(condition: bool, message: &str) -> Result<(), Refusal> {
    if condition { Ok(()) } else { Err(refusal(RefusalCode::NotReady, message)) }
}

/// The writes that the command still needs here, or why it is refused.
#[expect(clippy::too_many_lines, reason = "exhaustive: one arm for each command")]
pub(crate) fn writes(cluster: &Cluster, command: &Command) -> Result<Vec<Write>, Refusal> {
    let slice = cluster.set.as_ref().map(|set| set.slice).unwrap_or_default();
    let stands = |from: &Slice, to: &Slice| {
        expect(cluster.set.is_some() && (slice == *from || slice == *to), "the slice is another one")
    };
    let mut writes: Vec<Write> = Vec::new();
    match &command.body {
        CommandBody::InspectSource { .. } | CommandBody::InspectTarget { .. } | CommandBody::Probe(_) => {}
        CommandBody::Settle { epochs, .. } => {
            for of in epochs {
                stale(cluster, of.ordinal, of.epoch)?;
            }
        }
        CommandBody::PrepareSource { epochs, .. } => {
            writes.push(Box::new(|cluster| cluster.prepared = true));
            for of in epochs {
                stale(cluster, of.ordinal, of.epoch)?;
                writes.push(keep(of.ordinal, of.epoch));
            }
        }
        CommandBody::PrepareTarget { description, slice, epochs, .. } => {
            let (templates, slice) = (description.ordinals.first().map_or(0, |of| of.volumes.len()), *slice);
            let service = !description.service.is_empty();
            writes.push(Box::new(|cluster| cluster.prepared = true));
            writes.push(Box::new(move |cluster| cluster.make_room(templates, service, slice)));
            for of in epochs {
                stale(cluster, of.ordinal, of.epoch)?;
                let claims = cluster.claims_of(of.ordinal);
                let is_real = |name| cluster.claims.get(name).is_some_and(|claim| claim.volume.is_some());
                if claims.iter().any(is_real) {
                    return Err(refusal(
                        RefusalCode::Conflict,
                        "a real claim stands where the tombstone belongs",
                    ));
                }
                writes.push(keep(of.ordinal, of.epoch));
                writes.push(bury(of.ordinal));
            }
        }
        CommandBody::Hold { ordinal, source, slice: expected, volumes, .. } => {
            stale(cluster, *ordinal, command.epoch)?;
            if slice != *expected {
                return Err(refusal(RefusalCode::Conflict, "the slice is another one"));
            }
            expect(cluster.pods.contains_key(ordinal) == *source, "the pod is where it should not be")?;
            let has = cluster.pvs.values().any(|pv| volumes.iter().any(|volume| volume.handle == pv.handle));
            expect(!has, "a PersistentVolume of that handle is here")?;
            writes.push(keep(*ordinal, command.epoch));
        }
        CommandBody::Release { ordinal, from_slice, to_slice, pod_uid, .. } => {
            stale(cluster, *ordinal, command.epoch)?;
            stands(from_slice, to_slice)?;
            if slice == *from_slice {
                let same = cluster.pods.get(ordinal).is_some_and(|pod| pod.uid == *pod_uid);
                expect(same, "the pod is another one")?;
            }
            writes.push(keep(*ordinal, command.epoch));
            writes.extend(take_away(*ordinal, *to_slice));
            writes.push(bury(*ordinal));
        }
        CommandBody::Adopt { ordinal, from_slice, to_slice, volumes, .. } => {
            stale(cluster, *ordinal, command.epoch)?;
            stands(from_slice, to_slice)?;
            writes.push(keep(*ordinal, command.epoch));
            for of in volumes.clone() {
                writes.push(Box::new(move |cluster| adopt_volume(cluster, &of.claim.name, &of.handle)));
            }
            writes.extend(bring_back(*ordinal, *to_slice));
        }
        CommandBody::Fence { ordinal, from_slice, to_slice, volumes, .. } => {
            stale(cluster, *ordinal, command.epoch)?;
            stands(from_slice, to_slice)?;
            writes.push(keep(*ordinal, command.epoch));
            writes.extend(take_away(*ordinal, *to_slice));
            let handles: Vec<String> = volumes.iter().map(|of| of.handle.clone()).collect();
            writes.push(bury(*ordinal));
            writes.push(Box::new(move |cluster| cluster.pvs.retain(|_, pv| !handles.contains(&pv.handle))));
        }
        CommandBody::Reclaim { ordinal, from_slice, to_slice, volumes, .. } => {
            stale(cluster, *ordinal, command.epoch)?;
            stands(from_slice, to_slice)?;
            for of in volumes {
                let known = cluster.pvs.get(&of.volume.name).is_some_and(|pv| pv.uid == of.volume.uid);
                if !known {
                    return Err(refusal(RefusalCode::Conflict, "the PersistentVolume is gone"));
                }
            }
            writes.push(keep(*ordinal, command.epoch));
            for of in volumes.clone() {
                writes.push(Box::new(move |cluster| exhume(cluster, &of.claim.name, &of.volume.name)));
            }
            writes.extend(bring_back(*ordinal, *to_slice));
        }
        CommandBody::Unprepare { target, epochs, .. } => {
            for of in epochs {
                stale(cluster, of.ordinal, of.epoch)?;
            }
            if *target {
                expect(slice.is_empty() && cluster.pods.is_empty(), "replicas are here")?;
            }
            let target = *target;
            writes.push(Box::new(move |cluster| cluster.unprepare(target)));
        }
        CommandBody::Finish { accept, ordinals, .. } => {
            expect(slice.is_empty() && cluster.pods.is_empty(), "replicas are here")?;
            writes.push(Box::new(|cluster| cluster.set = None));
            if *accept {
                let named: Vec<String> = ordinals.iter().flat_map(|of| of.claims.clone()).collect();
                let stays =
                    move |name: &String, claim: &Claim| claim.volume.is_some() || !named.contains(name);
                writes.push(Box::new(move |cluster| cluster.claims.retain(|name, claim| stays(name, claim))));
            }
        }
        CommandBody::Retire { ordinal, volumes } => {
            stale(cluster, *ordinal, command.epoch)?;
            for of in volumes.clone() {
                writes.push(Box::new(move |cluster| {
                    assert!(!cluster.is_bound(&of.volume.name), "a Bound volume is retired");
                    cluster.pvs.remove(&of.volume.name);
                }));
            }
        }
    }
    Ok(writes)
}

fn take_away(ordinal: Ordinal, to: Slice) -> [Write; 2] {
    [
        Box::new(move |cluster| cluster.set.as_mut().unwrap().slice = to),
        Box::new(move |cluster| {
            cluster.pods.remove(&ordinal);
        }),
    ]
}

fn bring_back(ordinal: Ordinal, to: Slice) -> [Write; 2] {
    [
        Box::new(move |cluster| cluster.set.as_mut().unwrap().slice = to),
        Box::new(move |cluster| cluster.run_pod(ordinal)),
    ]
}

/// The real claim in place of its tombstone, around the disk that never left.
fn exhume(cluster: &mut Cluster, claim: &str, pv: &str) {
    if !cluster.is_bound(pv) {
        let uid = cluster.new_uid("claim");
        cluster.claims.insert(claim.to_owned(), Claim { uid, volume: Some(pv.to_owned()) });
    }
}

/// Real claims make way for tombstones; the disk stays.
fn bury(ordinal: Ordinal) -> Write {
    Box::new(move |cluster| {
        for claim in cluster.claims_of(ordinal) {
            let real = cluster.claims.get(&claim).is_none_or(|found| found.volume.is_some());
            if real {
                let uid = cluster.new_uid("tombstone");
                cluster.claims.insert(claim, Claim { uid, volume: None });
            }
        }
    })
}

fn adopt_volume(cluster: &mut Cluster, claim: &str, handle: &str) {
    let name = format!("ferry-{handle}");
    if cluster.is_bound(&name) {
        return;
    }
    let uid = cluster.new_uid("pv");
    cluster.pvs.insert(name.clone(), Pv { uid, handle: handle.into(), claim: claim.into(), bytes: 1 << 30 });
    let uid = cluster.new_uid("claim");
    cluster.claims.insert(claim.to_owned(), Claim { uid, volume: Some(name) });
}

/// What the agent says after the writes.
#[expect(clippy::too_many_lines, reason = "exhaustive: one arm for each command")]
pub(crate) fn evidence(cluster: &Cluster, command: &Command) -> OutcomeResult {
    let set = cluster.set.clone().unwrap_or_default();
    match &command.body {
        CommandBody::InspectSource { .. } => OutcomeResult::SourceReport(Box::new(SourceReport {
            description: cluster.describe(),
            findings: cluster.findings.clone(),
        })),
        CommandBody::InspectTarget { known_uids, .. } => {
            let mut findings = cluster.findings.clone();
            if !set.uid.is_empty() && !known_uids.contains(&set.uid) {
                findings.push(crate::facts::Finding {
                    check: "K4".to_owned(),
                    code: "K4-name-taken".to_owned(),
                    severity: Severity::Refuse,
                    ..crate::facts::Finding::default()
                });
            }
            OutcomeResult::TargetReport(TargetReport {
                findings,
                slice: cluster.set.as_ref().map(|set| set.slice),
                stateful_set_uid: set.uid,
                planned_writes: vec!["create StatefulSet db".to_owned()],
            })
        }
        CommandBody::PrepareSource { .. } => OutcomeResult::SourcePrepared(SourcePrepared {
            ordinals: set
                .slice
                .ordinals()
                .map(|ordinal| OrdinalVolumes { ordinal, volumes: cluster.volumes_of(ordinal) })
                .collect(),
            stateful_set: cluster.stateful_set(),
        }),
        CommandBody::PrepareTarget { .. } => {
            OutcomeResult::TargetPrepared(TargetPrepared { stateful_set_uid: set.uid, slice: set.slice })
        }
        CommandBody::Hold { ordinal, source, .. } => OutcomeResult::Held(Held {
            node: source.then(|| cluster.node()),
            pod_uid: cluster.pods.get(ordinal).map(|pod| pod.uid.clone()).unwrap_or_default(),
            available: u32::try_from(cluster.pods.values().filter(|pod| pod.ready).count()).unwrap(),
            template_digest: cluster.template.clone(),
        }),
        CommandBody::Release { pod_uid, volumes, node, .. } => OutcomeResult::Released(Released {
            pod_uid: pod_uid.clone(),
            volumes: volumes.clone(),
            node: Some(node.clone()),
            detached: true,
            epoch_kept: command.epoch,
        }),
        CommandBody::Adopt { ordinal, .. } => {
            let pod = cluster.pods[ordinal].clone();
            OutcomeResult::Adopted(Adopted {
                pod_uid: pod.uid,
                pod_address: pod.address,
                node: Some(cluster.node()),
                volumes: cluster.volumes_of(*ordinal),
                epoch_kept: command.epoch,
            })
        }
        CommandBody::Retire { volumes, .. } => OutcomeResult::Retired(Retired {
            pv_names: volumes.iter().map(|of| of.volume.name.clone()).collect(),
        }),
        CommandBody::Settle { .. } => OutcomeResult::Settled,
        CommandBody::Fence { .. } => OutcomeResult::Fenced(Fenced {
            epoch_kept: command.epoch,
            slice: set.slice,
            detached: true,
            ..Fenced::default()
        }),
        CommandBody::Reclaim { ordinal, .. } => {
            let pod = cluster.pods[ordinal].clone();
            OutcomeResult::Reclaimed(Reclaimed {
                pod_uid: pod.uid,
                pod_address: pod.address,
                node: Some(cluster.node()),
                volumes: cluster.volumes_of(*ordinal),
                epoch_kept: command.epoch,
            })
        }
        CommandBody::Probe(_) => OutcomeResult::Probed(Box::default()),
        CommandBody::Unprepare { .. } => OutcomeResult::Unprepared(Unprepared::default()),
        CommandBody::Finish { accept, .. } => OutcomeResult::Finished(Finished {
            stateful_set_gone: cluster.set.is_none(),
            tombstones: cluster.tombstones(),
            pvs: cluster.pvs.keys().cloned().collect(),
            accepted: *accept,
            ..Finished::default()
        }),
    }
}
