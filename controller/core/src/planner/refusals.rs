//! What only the ledger can refuse.
//!
//! Each refusal is a finding like the agents', with what was found, what was expected and what to do, so that a
//! person reads all that is wrong at once.
//! What one cluster can see for itself is never checked here a second time.

use std::collections::BTreeSet;

use crate::facts::{Description, Finding, Severity};
use crate::ids::{ClusterName, Ordinal, Workload};
use crate::limits;
use crate::observed::Observed;
use crate::planner::Survey;
use crate::volume::{Custody, conflict_message};

/// Clusters that run replicas of that workload, as attached agents say.
pub(crate) fn runs_in(observed: &Observed, workload: &Workload) -> Vec<ClusterName> {
    observed
        .clusters
        .iter()
        .filter(|(_, cluster)| cluster.session.is_some())
        .filter(|(_, cluster)| cluster.workloads.get(workload).is_some_and(|known| !known.slice.is_empty()))
        .map(|(name, _)| name.clone())
        .collect()
}

/// A refusal of the planner: code, then subject, found, expected and remedy.
fn refuse(code: &str, words: [String; 4]) -> Finding {
    let [subject, found, expected, remedy] = words;
    Finding {
        check: "P".to_owned(),
        code: code.to_owned(),
        severity: Severity::Refuse,
        subject,
        found,
        expected,
        remedy,
        cluster: String::new(),
    }
}

/// Every refusal of the planner.
pub(super) fn all(survey: &Survey<'_>, from: &ClusterName) -> Vec<Finding> {
    let mut findings = Vec::new();
    clusters(survey, from, &mut findings);
    ledger(survey, from, &mut findings);
    findings.extend(super::storage::domains(survey, from));
    if let Some(report) = survey.source {
        match &report.description {
            Some(description) => {
                let described = described(description).into_iter();
                findings.extend(described.filter(|finding| !is_said(finding, &report.findings)));
                subset(survey, description, &mut findings);
                moving(survey, (description, from), &mut findings);
            }
            None if report.findings.is_empty() => findings.push(not_found(survey, from)),
            None => {}
        }
    }
    findings
}

/// Whether the source's own check refuses for the same fault, and more exactly: nobody should read of one fault twice.
fn is_said(finding: &Finding, checks: &[Finding]) -> bool {
    let mut refusals = checks.iter().filter(|check| check.severity == Severity::Refuse);
    match finding.code.as_str() {
        "P-no-budget" => refusals.any(|check| check.check == "K11"),
        "P-volume-identity" => refusals.any(|check| check.subject == finding.subject),
        _ => false,
    }
}

fn not_found(survey: &Survey<'_>, from: &ClusterName) -> Finding {
    let workload = survey.workload();
    refuse(
        "P-not-found",
        [
            format!("StatefulSet/{}", workload.name),
            format!("no StatefulSet {} in namespace {} of {from}", workload.name, workload.namespace),
            "one".to_owned(),
            "check the name, the namespace and the cluster".to_owned(),
        ],
    )
}

fn clusters(survey: &Survey<'_>, from: &ClusterName, findings: &mut Vec<Finding>) {
    let to = &survey.asked.to;
    let subject = |cluster: &ClusterName| format!("cluster/{cluster}");
    if from.as_str().is_empty() {
        let places = runs_in(survey.observed, survey.workload());
        let names: Vec<&str> = places.iter().map(ClusterName::as_str).collect();
        let found = if names.is_empty() {
            "no attached cluster runs it".to_owned()
        } else {
            format!("{} run it", names.join(" and "))
        };
        let words = [
            format!("StatefulSet/{}", survey.workload().name),
            found,
            "one cluster that does".to_owned(),
            "check namespace and name, see that its cluster is attached (`ferry clusters`), or say which cluster \
             to move it from"
                .to_owned(),
        ];
        findings.push(refuse("P-source-unknown", words));
    }
    if from == to {
        let words = [
            subject(to),
            "source and target are the same cluster".to_owned(),
            "two clusters".to_owned(),
            "name another target".to_owned(),
        ];
        findings.push(refuse("P-same-cluster", words));
    }
    let both = BTreeSet::from([from, to]);
    for cluster in both.into_iter().filter(|cluster| !cluster.as_str().is_empty()) {
        if !survey.state.clusters.contains_key(cluster) {
            let words = [
                subject(cluster),
                "no cluster of this name was ever attached".to_owned(),
                "the name of an enrolled cluster".to_owned(),
                "see `ferry clusters`; enrol it with `ferry token create`".to_owned(),
            ];
            findings.push(refuse("P-unknown-cluster", words));
        } else if survey.observed.session(cluster).is_none() {
            let words = [
                subject(cluster),
                "its agent is not attached".to_owned(),
                "attached".to_owned(),
                "see to its agent, then plan again".to_owned(),
            ];
            findings.push(refuse("P-not-attached", words));
        }
    }
}

fn ledger(survey: &Survey<'_>, from: &ClusterName, findings: &mut Vec<Finding>) {
    let workload = survey.workload();
    let subject = || format!("StatefulSet/{}", workload.name);
    if let Some(running) = survey.state.running(workload) {
        let words = [
            subject(),
            format!("migration {} moves it from {} to {}", running.id, running.from, running.to),
            "no migration of it".to_owned(),
            format!("wait for it to end (`ferry watch {}`)", running.id),
        ];
        findings.push(refuse("P-already-migrating", words));
    }
    for (id, record) in survey.state.ledger.conflicts(workload) {
        let words = [
            format!("volume/{}", id.handle),
            conflict_message(record),
            "usable in one cluster only".to_owned(),
            "see `ferry volumes`".to_owned(),
        ];
        findings.push(refuse("P-volume-conflict", words));
    }
    if from.as_str().is_empty() {
        return;
    }
    let described = survey.source.and_then(|report| report.description.as_ref());
    for (owner, ordinals) in owned_elsewhere(survey, from, described) {
        let words = [
            subject(),
            format!("ordinals {ordinals:?} belong to cluster {owner}"),
            format!("all of them belong to {from}"),
            format!("move it from {owner}, or see that {owner} is attached and does not run it any more"),
        ];
        findings.push(refuse("P-owned-elsewhere", words));
    }
}

/// Ordinals of the slice that the ledger says another cluster owns, unless that one is attached and shows that it
/// has nothing of the workload left.
fn owned_elsewhere(
    survey: &Survey<'_>,
    from: &ClusterName,
    described: Option<&Description>,
) -> Vec<(ClusterName, Vec<Ordinal>)> {
    let Some(record) = survey.state.ledger.workloads.get(survey.workload()) else {
        return Vec::new();
    };
    let mut by_owner: std::collections::BTreeMap<ClusterName, Vec<Ordinal>> =
        std::collections::BTreeMap::new();
    for (ordinal, known) in &record.ordinals {
        let Custody::Owned { cluster } = &known.custody else { continue };
        let moves = described.is_none_or(|description| description.slice.contains(*ordinal));
        if moves && cluster != from && !has_nothing_left(survey, cluster) {
            by_owner.entry(cluster.clone()).or_default().push(*ordinal);
        }
    }
    by_owner.into_iter().collect()
}

fn has_nothing_left(survey: &Survey<'_>, owner: &ClusterName) -> bool {
    let workload = survey.workload();
    let attached = survey.observed.session(owner).is_some();
    let runs = runs_in(survey.observed, workload).contains(owner);
    let usable = survey
        .state
        .ledger
        .volumes
        .values()
        .any(|record| record.workload == *workload && record.usable_in().any(|cluster| cluster == owner));
    attached && !runs && !usable
}

fn described(description: &Description) -> Vec<Finding> {
    let mut findings = Vec::new();
    let slice = description.slice;
    let subject = || format!("StatefulSet/{}", description.stateful_set.name);
    if slice.is_empty() {
        let words =
            [subject(), "no replicas".to_owned(), "at least one".to_owned(), "scale it up first".to_owned()];
        findings.push(refuse("P-empty-slice", words));
        return findings;
    }
    if slice.replicas as usize > limits::ORDINALS || slice.end() > u64::from(Ordinal::MAX) {
        let words = [
            subject(),
            format!("{slice}"),
            format!("at most {} replicas", limits::ORDINALS),
            "it is too large to be moved".to_owned(),
        ];
        findings.push(refuse("P-too-large", words));
        return findings;
    }
    let found: Vec<Ordinal> = description.ordinals.iter().map(|of| of.ordinal).collect();
    if !slice.ordinals().eq(found.iter().copied()) {
        let words = [
            subject(),
            format!("ordinals {found:?}"),
            format!("the contiguous ordinals of {slice}"),
            "wait for every replica to exist, then plan again".to_owned(),
        ];
        findings.push(refuse("P-not-contiguous", words));
    }
    if description.budget == 0 {
        let words = [
            subject(),
            "a disruption budget of 0".to_owned(),
            "at least 1, because each replica stops once".to_owned(),
            "let the PodDisruptionBudget allow one".to_owned(),
        ];
        findings.push(refuse("P-no-budget", words));
    }
    identities(description, &mut findings);
    findings
}

/// What moves must be at the edge where the order begins, and touch what the target has.
fn subset(survey: &Survey<'_>, description: &Description, findings: &mut Vec<Finding>) {
    let subject = || format!("StatefulSet/{}", description.stateful_set.name);
    let ordinals = match super::moving(description, survey.asked) {
        Ok(ordinals) => ordinals,
        Err(all) => {
            let words = [
                subject(),
                format!("ordinals {:?} asked for", survey.asked.ordinals),
                format!("a run that begins where the order does: the first of {all:?}"),
                "choose such a run, or the other order".to_owned(),
            ];
            findings.push(refuse("P-ordinals", words));
            return;
        }
    };
    let there = survey.target.and_then(|target| target.slice).filter(|slice| !slice.is_empty());
    if let (Some(there), Some(first)) = (there, ordinals.first())
        && there.with(*first).is_err()
    {
        let words = [
            subject(),
            format!("{there} is in {}, and ordinal {first} would be the first to follow", survey.asked.to),
            "a neighbour of what is there: a slice is one run".to_owned(),
            "choose the other order, or move to the other edge".to_owned(),
        ];
        findings.push(refuse("P-not-adjacent", words));
    }
}

/// A disk that another workload's migration moves.
fn moving(
    survey: &Survey<'_>,
    (description, from): (&Description, &ClusterName),
    findings: &mut Vec<Finding>,
) {
    let others: Vec<_> = survey
        .state
        .work
        .iter()
        .filter(|(id, _)| {
            survey.state.migrations.get(id).is_some_and(|migration| migration.workload != *survey.workload())
        })
        .collect();
    for volume in description.ordinals.iter().flat_map(|of| &of.volumes) {
        let storage = &survey.state.storage;
        let disk = storage.volume(from, &volume.driver, &volume.handle);
        let by = others.iter().find(|(id, work)| {
            let Some(of) = survey.state.migrations.get(*id) else { return false };
            let mut moved = work.volumes.values().flatten();
            moved.any(|volume| storage.volume(&of.from, &volume.driver, &volume.handle) == disk)
        });
        if let Some((id, _)) = by {
            let words = [
                format!("PersistentVolume/{}", volume.volume.name),
                format!("migration {id} moves the same disk {}", volume.handle),
                "a disk that one workload uses".to_owned(),
                "find out which of the two is right".to_owned(),
            ];
            findings.push(refuse("P-volume-moving", words));
        }
    }
}

/// A disk that cannot be told from another one must not move.
fn identities(description: &Description, findings: &mut Vec<Finding>) {
    let mut known = BTreeSet::new();
    for volume in description.ordinals.iter().flat_map(|of| &of.volumes) {
        let nameless =
            volume.handle.is_empty() || volume.driver.is_empty() || volume.driver.starts_with("in-tree/");
        if nameless || !known.insert(volume.id()) {
            let words = [
                format!("PersistentVolume/{}", volume.volume.name),
                format!("driver `{}` and handle `{}`", volume.driver, volume.handle),
                "a CSI driver and a handle that no other claim of the workload has".to_owned(),
                "such a volume cannot be moved".to_owned(),
            ];
            findings.push(refuse("P-volume-identity", words));
        }
    }
}
