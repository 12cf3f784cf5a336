//! Joins the tables into what travels: pure, so that it is tested without a cluster.
//!
//! A claim belongs to a workload when its name is `<template>-<workload>-<ordinal>` for one of the workload's claim
//! templates. A volume counts as claimed only when both sides say so (`claimRef.uid` is the claim's, and the claim
//! names the volume): a tombstone has the claim's name and must not pass for it.

use std::collections::BTreeMap;

use ferry_proto::agent::v1::{
    GuardFault, Inventory, InventoryVolume, InventoryWorkload, KeptEpoch, Slice, Workload,
};

use super::{Tables, ordinal_of, split, trim};
use crate::limits;

/// The inventory without its revision, and what had to be left out, in words.
pub(crate) fn inventory(tables: &Tables) -> (Inventory, Option<String>) {
    let mut workloads: Vec<_> = tables.sets.iter().map(|(key, set)| workload(key, set)).collect();
    let mut volumes = volumes(tables);
    let (all_workloads, all_volumes) = (workloads.len(), volumes.len());
    let mut room = limits::INVENTORY_BYTES;
    workloads.truncate(fitting(&workloads, &mut room).min(limits::INVENTORY_WORKLOADS));
    volumes.truncate(fitting(&volumes, &mut room).min(limits::INVENTORY_VOLUMES));
    let left_out = ((workloads.len(), volumes.len()) != (all_workloads, all_volumes)).then(|| {
        format!(
            "this cluster has {all_workloads} StatefulSets and {all_volumes} volumes of them, more than one inventory \
             holds; only the first {} and {} are reported",
            workloads.len(),
            volumes.len()
        )
    });
    (Inventory { revision: 0, workloads, volumes, guard_faults: guard_faults(tables) }, left_out)
}

fn guard_faults(tables: &Tables) -> Vec<GuardFault> {
    let faults = tables.faults.iter().take(limits::GUARD_FAULTS);
    faults
        .map(|((namespace, name), message)| GuardFault {
            workload: Some(Workload { namespace: namespace.clone(), name: name.clone() }),
            message: message.clone(),
        })
        .collect()
}

/// How many of `messages` fit into `room` bytes, which they are taken off.
fn fitting<M: prost::Message>(messages: &[M], room: &mut usize) -> usize {
    /// Tag and length of a message within another.
    const FRAME: usize = 6;
    let mut fits = |message: &&M| match room.checked_sub(message.encoded_len() + FRAME) {
        Some(left) => {
            *room = left;
            true
        }
        None => false,
    };
    messages.iter().take_while(|message| fits(message)).count()
}

/// The epochs that the cluster keeps, by workload and ordinal.
pub(crate) fn epochs(tables: &Tables) -> Vec<KeptEpoch> {
    let of = |(key, epochs): (&str, &trim::Epochs)| {
        let workload = Workload { namespace: split(key).0.to_owned(), name: epochs.workload.clone() };
        let kept = epochs.kept.clone();
        kept.into_iter().map(move |(ordinal, epoch)| KeptEpoch {
            workload: Some(workload.clone()),
            ordinal,
            epoch,
        })
    };
    tables.epochs.iter().flat_map(of).collect()
}

fn workload(key: &str, set: &trim::Set) -> InventoryWorkload {
    let (namespace, name) = split(key);
    InventoryWorkload {
        workload: Some(Workload { namespace: namespace.to_owned(), name: name.to_owned() }),
        uid: set.uid.clone(),
        slice: Some(Slice { start: set.start, replicas: set.replicas }),
        available: set.available,
    }
}

fn volumes(tables: &Tables) -> Vec<InventoryVolume> {
    let mut stems: BTreeMap<String, &str> = BTreeMap::new();
    for (key, set) in tables.sets.iter() {
        let (namespace, name) = split(key);
        for template in &set.templates {
            stems.insert(format!("{namespace}/{template}-{name}"), name);
        }
    }
    let mut nodes: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (_, attachment) in tables.attachments.iter() {
        nodes.entry(&attachment.volume).or_default().push(attachment.node.clone());
    }
    tables.volumes.iter().filter_map(|(name, volume)| join(tables, &stems, &nodes, name, volume)).collect()
}

fn join(
    tables: &Tables,
    stems: &BTreeMap<String, &str>,
    nodes: &BTreeMap<&str, Vec<String>>,
    name: &str,
    volume: &trim::Volume,
) -> Option<InventoryVolume> {
    let claim = volume.claim.as_ref();
    let (workload, ordinal) = claim.and_then(|claim| {
        let (stem, ordinal) = ordinal_of(&claim.name)?;
        let by_template = stems.get(&format!("{}/{stem}", claim.namespace)).copied();
        let name = by_template.or_else(|| if volume.ours { kept_for(tables, claim, stem) } else { None })?;
        Some((Workload { namespace: claim.namespace.clone(), name: name.to_owned() }, ordinal))
    })?;
    let bound = claim.and_then(|claim| {
        let found = tables.claims.at(&format!("{}/{}", claim.namespace, claim.name))?;
        (found.uid == claim.uid && found.volume == name).then(|| found.uid.clone())
    });
    Some(InventoryVolume {
        driver: volume.driver.clone(),
        handle: volume.handle.clone(),
        pv_name: name.to_owned(),
        pv_uid: volume.uid.clone(),
        pv_phase: volume.phase.clone(),
        reclaim_policy: volume.reclaim_policy.clone(),
        claim_name: claim.map(|claim| claim.name.clone()).unwrap_or_default(),
        claim_uid: bound.unwrap_or_default(),
        workload: Some(workload),
        ordinal,
        attachment_nodes: nodes.get(name).cloned().unwrap_or_default(),
        epoch: volume.epoch,
        capacity_bytes: volume.capacity_bytes,
    })
}

/// The workload of a claim whose StatefulSet is gone, by the epochs that the cluster keeps. A volume without a workload
/// is not reported: the controller would refuse the whole inventory.
fn kept_for<'a>(tables: &'a Tables, claim: &trim::ClaimKey, stem: &str) -> Option<&'a str> {
    let is_of = |workload: &str| {
        stem.strip_suffix(workload)
            .and_then(|before| before.strip_suffix('-'))
            .is_some_and(|template| !template.is_empty())
    };
    let here = tables.epochs.iter().filter(|(key, _)| split(key).0 == claim.namespace);
    let names = here.map(|(_, epochs)| epochs.workload.as_str()).filter(|workload| is_of(workload));
    names.max_by_key(|workload| workload.len())
}
