//! Describes a workload for the ledger and for the target: what it is, what it needs, what will be written.
//!
//! Objects that cross travel whole, as JSON. Secrets are named and never read; PriorityClasses and RuntimeClasses
//! belong to a cluster and are named as well. The description is made also when checks refuse: the plan prints both.
//! What a claim or a volume lacks is left out here and named by the check that needs it.

use std::collections::BTreeMap;

use ferry_proto::agent::v1::{ClaimedVolume, Description, Manifest, OrdinalVolumes, Slice};
use k8s_openapi::api::core::v1::Service;
use serde_json::Value;

use super::{
    budget, facts::Source, k03_available, k05_csi, k14_service, network, planned, read::Seen,
    template::References,
};

/// Seconds for which resolvers may keep an answer: CoreDNS's default TTL (network.md).
const DNS_TTL_SECONDS: u32 = 5;
/// The annotation that says otherwise.
pub(crate) const DNS_TTL: &str = "ferry.dev/dns-ttl-wait";
/// `spec.podManagementPolicy` where the manifest has none.
const ORDERED: &str = "OrderedReady";

/// The workload that `facts` hold.
pub(crate) fn describe(facts: &Source) -> Description {
    let set = &facts.set.object;
    let spec = set.spec.as_ref();
    let labels = budget::pod_labels(facts);
    let budgets = budget::selecting(facts.budgets.iter().map(|budget| &budget.object), &labels);
    let template = spec.and_then(|spec| spec.template.spec.as_ref());
    Description {
        uid: set.metadata.uid.clone().unwrap_or_default(),
        slice: Some(Slice { start: facts.shape.start, replicas: facts.shape.replicas }),
        stateful_set: Some(manifest(&facts.set.json)),
        service: k14_service::governing(facts).unwrap_or_default().to_owned(),
        min_ready_seconds: k03_available::min_ready_seconds(facts),
        pod_management_policy: spec
            .and_then(|spec| spec.pod_management_policy.clone())
            .unwrap_or_else(|| ORDERED.to_owned()),
        budget: budgets.iter().map(|one| budget::resolve(facts, one)).min().unwrap_or(budget::WITHOUT_BUDGET),
        disruption_budget: budgets.first().and_then(|one| one.metadata.name.clone()).unwrap_or_default(),
        ordinals: facts.shape.ordinals().map(|ordinal| ordinal_volumes(facts, ordinal)).collect(),
        dependencies: dependencies(facts, &labels),
        required: template.map(References::of).unwrap_or_default().required(),
        dns_ttl_wait_seconds: dns_ttl(facts).and_then(Result::ok).unwrap_or(DNS_TTL_SECONDS),
        sample_pod: facts
            .shape
            .ordinals()
            .find_map(|ordinal| facts.pod(ordinal))
            .map(|pod| manifest(&pod.json)),
        planned_writes: planned::source(facts),
        listeners: network::listeners(&facts.endpoint_slices),
    }
}

/// What the annotation [`DNS_TTL`] asks for, in seconds; the text itself where it is no number of seconds.
pub(crate) fn dns_ttl(facts: &Source) -> Option<Result<u32, &str>> {
    let text = facts.set.object.metadata.annotations.as_ref()?.get(DNS_TTL)?;
    Some(text.strip_suffix('s').unwrap_or(text).parse().map_err(|_| text.as_str()))
}

/// The Services through which the pods are reached: the governing one and those whose selector matches.
pub(crate) fn services<'a>(
    facts: &'a Source,
    labels: &'a BTreeMap<String, String>,
) -> impl Iterator<Item = &'a Seen<Service>> {
    let governing = k14_service::governing(facts);
    facts.services.iter().filter(move |service| {
        let is_governing = service.object.metadata.name.as_deref() == governing && governing.is_some();
        is_governing || selects(&service.object, labels)
    })
}

fn selects(service: &Service, labels: &BTreeMap<String, String>) -> bool {
    let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    selector.is_some_and(|selector| {
        !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
    })
}

fn dependencies(facts: &Source, labels: &BTreeMap<String, String>) -> Vec<Manifest> {
    let maps = facts.config_maps.values().map(|map| &map.json);
    let services = services(facts, labels).map(|service| &service.json);
    let account = facts.service_account.iter().map(|account| &account.json);
    let all: Vec<_> = facts.budgets.iter().collect();
    let budgets = all.into_iter().filter(|one| !budget::selecting([&one.object], labels).is_empty());
    maps.chain(services).chain(account).chain(budgets.map(|budget| &budget.json)).map(manifest).collect()
}

fn ordinal_volumes(facts: &Source, ordinal: u32) -> OrdinalVolumes {
    let claims = facts.shape.claim_templates.iter().map(|template| facts.shape.claim(template, ordinal));
    OrdinalVolumes { ordinal, volumes: claims.filter_map(|claim| claimed_volume(facts, &claim)).collect() }
}

/// A claim with its volume; nothing if either is missing, which K12 names.
fn claimed_volume(facts: &Source, claim: &str) -> Option<ClaimedVolume> {
    let claim = facts.claims.get(claim)?;
    let volume = facts.volumes.get(claim.object.spec.as_ref()?.volume_name.as_ref()?)?;
    let csi = volume.object.spec.as_ref().and_then(|spec| spec.csi.as_ref());
    let in_tree = || format!("in-tree/{}", k05_csi::source_of(volume).unwrap_or_default());
    Some(ClaimedVolume {
        claim: Some(manifest(&claim.json)),
        volume: Some(manifest(&volume.json)),
        driver: csi.map_or_else(in_tree, |csi| csi.driver.clone()),
        handle: csi.map(|csi| csi.volume_handle.clone()).unwrap_or_default(),
    })
}

/// `json` as it travels.
fn manifest(json: &Value) -> Manifest {
    let text = |pointer: &str| json.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    Manifest {
        api_version: text("/apiVersion"),
        kind: text("/kind"),
        name: text("/metadata/name"),
        uid: text("/metadata/uid"),
        json: json.to_string(),
    }
}

#[cfg(test)]
#[path = "describe_tests.rs"]
mod tests;
