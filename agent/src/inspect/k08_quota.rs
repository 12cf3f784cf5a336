//! K8, the namespace: its quotas and limits leave room for the replicas, their disks and the tombstones.
//!
//! Every ordinal has a claim in the target from the beginning, a tombstone at first, and in the end all replicas run
//! there: that is what a quota has to allow, beyond what it counts already. The dry run of one pod (K9) asks the quotas
//! for one pod only, and for no claim at all. A LimitRange judges each claim, and so each tombstone, by its size. A quota
//! with a scope counts only some pods: which, is not judged here, and said.

use std::collections::BTreeMap;

use ferry_proto::agent::v1::Finding;
use k8s_openapi::{
    api::core::v1::{LimitRange, PersistentVolumeClaim, ResourceQuota},
    apimachinery::pkg::api::resource::Quantity,
};
use kube::ResourceExt;

use super::{
    amounts::{self, Amounts},
    facts::Target,
    finding::{note, refuse},
    k08_room, place,
    read::Optional,
};
use crate::{executor::tombstone, inventory::quantity};

/// Checks the target.
pub(crate) fn check(facts: &Target) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (kind, denied) in
        [("ResourceQuota", denied(&facts.place.quotas)), ("LimitRange", denied(&facts.place.limit_ranges))]
    {
        findings.extend(denied.map(|said| {
            note(
                "K8-limits-unreadable",
                kind,
                format!("the agent may not list them in the namespace: {said}"),
                "that quotas and limits leave room",
                "Make sure yourself, or let the agent list resourcequotas and limitranges.",
            )
        }));
    }
    let needed = needed(facts);
    findings.extend(facts.place.quotas.known().iter().filter_map(|one| quota(one, &needed)));
    findings.extend(facts.place.limit_ranges.known().iter().filter_map(|range| limit_range(facts, range)));
    findings
}

fn denied<T>(all: &Optional<T>) -> Option<&str> {
    match all {
        Optional::Denied(said) => Some(said),
        Optional::Read(_) | Optional::NotInstalled => None,
    }
}

/// What the workload will add, by the names that quotas use.
fn needed(facts: &Target) -> Amounts {
    let mut needed = Amounts::new();
    for claim in claims(facts) {
        let size = u128::from(asked(&claim)) * 1_000;
        let class = facts.place.mapped(place::class_of(&claim));
        let of_class = |what: &str| format!("{class}.storageclass.storage.k8s.io/{what}");
        amounts::add(&mut needed, &counted(1, size));
        if !class.is_empty() {
            let one = [(of_class("requests.storage"), size), (of_class("persistentvolumeclaims"), 1_000)];
            amounts::add(&mut needed, &one.into());
        }
    }
    // Ordinals that stay in the source have tombstones here all the same; those that are here are counted already.
    let tombstone = u128::from(quantity::bytes(tombstone::SIZE).unwrap_or(0)) * 1_000;
    let stay = facts.shape.claims().count().saturating_sub(claims(facts).len()) as u128;
    amounts::add(&mut needed, &counted(stay, stay * tombstone));
    let here = facts.claims.len() as u128;
    amounts::take(&mut needed, &counted(here, here * tombstone));
    let pod = pod(facts);
    for _ in facts.arriving() {
        amounts::add(&mut needed, &pod);
    }
    needed
}

/// That many claims that ask for `storage` together, in thousandths of bytes.
fn counted(claims: u128, storage: u128) -> Amounts {
    let all = [
        ("persistentvolumeclaims", claims * 1_000),
        ("count/persistentvolumeclaims", claims * 1_000),
        ("requests.storage", storage),
    ];
    all.map(|(name, amount)| (name.to_owned(), amount)).into()
}

/// One replica's pod.
fn pod(facts: &Target) -> Amounts {
    let mut pod = Amounts::from([("pods".to_owned(), 1_000), ("count/pods".to_owned(), 1_000)]);
    let Some(spec) = k08_room::pod(facts).and_then(|(_, pod)| pod.spec) else {
        return pod;
    };
    for (name, amount) in amounts::requests(&spec) {
        if matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage") {
            pod.insert(name.clone(), amount);
        }
        pod.insert(format!("requests.{name}"), amount);
    }
    let limits = amounts::limits(&spec).into_iter();
    pod.extend(limits.map(|(name, amount)| (format!("limits.{name}"), amount)));
    pod
}

/// The claims that will arrive.
fn claims(facts: &Target) -> Vec<PersistentVolumeClaim> {
    place::claims(facts.arriving())
}

/// What a claim asks for, in bytes.
fn asked(claim: &PersistentVolumeClaim) -> u64 {
    let requests = claim.spec.as_ref().and_then(|spec| spec.resources.as_ref()?.requests.as_ref());
    storage(requests).map_or(0, |(size, _)| size)
}

/// The storage among `quantities`, in bytes and as it is written.
fn storage(quantities: Option<&BTreeMap<String, Quantity>>) -> Option<(u64, String)> {
    let text = quantities?.get("storage")?.0.clone();
    Some((quantity::bytes(&text)?, text))
}

fn quota(quota: &ResourceQuota, needed: &Amounts) -> Option<Finding> {
    let subject = format!("ResourceQuota/{}", quota.name_any());
    let spec = quota.spec.clone().unwrap_or_default();
    if spec.scopes.as_ref().is_some_and(|all| !all.is_empty()) || spec.scope_selector.is_some() {
        return Some(note(
            "K8-quota-scoped",
            subject,
            "a quota for some pods only: whether it counts these is not judged",
            "room in it for all replicas, if it does",
            "Look at its scopes, and make sure yourself.",
        ));
    }
    let status = quota.status.clone().unwrap_or_default();
    let mut left = amounts::of(status.hard.as_ref().or(spec.hard.as_ref()));
    amounts::take(&mut left, &amounts::of(status.used.as_ref()));
    let counted: Amounts = needed
        .iter()
        .filter(|(name, _)| left.contains_key(*name))
        .map(|(name, amount)| (name.clone(), *amount))
        .collect();
    let lacking = amounts::lacking(&counted, &left);
    (!lacking.is_empty()).then(|| {
        refuse(
            "K8-quota",
            subject,
            format!("it leaves too little: {}", lacking.join("; ")),
            "room for all replicas, their disks and the tombstones",
            "Raise the quota before you plan again; used up in the middle, a handoff would wait with its replica down.",
        )
    })
}

fn limit_range(facts: &Target, range: &LimitRange) -> Option<Finding> {
    let claims = claims(facts);
    if claims.is_empty() {
        return None;
    }
    let mut sizes: BTreeMap<String, u64> = BTreeMap::new();
    sizes.extend(claims.iter().map(|claim| (format!("claim {}", claim.name_any()), asked(claim))));
    sizes.insert("a tombstone".to_owned(), quantity::bytes(tombstone::SIZE).unwrap_or(0));
    let items = range.spec.as_ref()?.limits.iter().filter(|item| item.type_ == "PersistentVolumeClaim");
    let mut wrong = Vec::new();
    for item in items {
        let (least, most) = (storage(item.min.as_ref()), storage(item.max.as_ref()));
        for (who, size) in &sizes {
            if let Some((_, text)) = least.as_ref().filter(|(least, _)| size < least) {
                wrong.push(format!("{who} is smaller than {text}"));
            }
            if let Some((_, text)) = most.as_ref().filter(|(most, _)| size > most) {
                wrong.push(format!("{who} is larger than {text}"));
            }
        }
    }
    (!wrong.is_empty()).then(|| {
        refuse(
            "K8-limit-range",
            format!("LimitRange/{}", range.name_any()),
            wrong.join("; "),
            format!("claims of the workload's sizes let in, and tombstones of {}", tombstone::SIZE),
            "Widen the range for claims in this namespace, at least for the time of the migration.",
        )
    })
}

#[cfg(test)]
#[path = "k08_quota_tests.rs"]
mod tests;
