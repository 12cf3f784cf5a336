//! K1: the API server knows `spec.ordinals`, and really keeps it.
//!
//! A slice that starts anywhere but at 0 exists since Kubernetes 1.27 (KEP-3335). An older API server, or one with
//! the feature gate off, drops the field without a word (H2): the StatefulSet controller would then run ordinals from
//! 0 on, in both clusters. So the version alone is not believed; a StatefulSet is dry-run and read back, on both
//! sides. What a guard is made of came later; a cluster without it is warned of.

use ferry_proto::agent::v1::Finding;

use super::{
    facts::{OrdinalsProbe, Server},
    finding::{refuse, warn},
};

/// The first version with `spec.ordinals` on by default.
const FIRST: (u32, u32) = (1, 27);

/// Checks the API server of one side.
pub(crate) fn check(server: &Server) -> Vec<Finding> {
    let subject = "Cluster/api-server";
    let mut findings = Vec::new();
    match version(&server.version) {
        Some(found) if found < FIRST => findings.push(refuse(
            "K1-version-old",
            subject,
            format!("Kubernetes {}", server.version),
            "Kubernetes 1.27 or newer, the first to keep spec.ordinals",
            "Upgrade this cluster.",
        )),
        Some(_) => {}
        None => findings.push(refuse(
            "K1-version-unreadable",
            subject,
            format!("version {:?}", server.version),
            "a version like v1.37.2",
            "Find out what serves /version; this agent speaks to Kubernetes only.",
        )),
    }
    match &server.ordinals {
        OrdinalsProbe::Kept => {}
        OrdinalsProbe::Dropped => findings.push(refuse(
            "K1-ordinals-dropped",
            subject,
            "a StatefulSet with spec.ordinals.start 1, dry-run, came back without it",
            "spec.ordinals kept",
            "Turn the feature gate StatefulSetStartOrdinal on, on the API server and on the controller manager, or \
             upgrade this cluster.",
        )),
        OrdinalsProbe::Refused(said) => findings.push(refuse(
            "K1-ordinals-unproven",
            subject,
            format!("the dry run of a StatefulSet with spec.ordinals.start 1 was refused: {said}"),
            "the dry run accepted, so that it can be read back",
            "Let the agent create StatefulSets as deploy/ grants it, and exempt dry runs of StatefulSet \
             ferry-ordinals-probe from the policy that refused.",
        )),
    }
    if !server.has_policies {
        findings.push(warn(
            "K1-no-guard",
            subject,
            "no ValidatingAdmissionPolicy in admissionregistration.k8s.io/v1",
            "Kubernetes 1.30 or newer, whose API server refuses what others do to a workload that moves",
            "Go on without a guard (tombstones and epochs hold all the same, and who changes the workload pauses the \
             migration), or upgrade this cluster.",
        ));
    }
    findings
}

/// `v1.37.2-eks-abc` as (1, 37).
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim_start_matches('v').split('.');
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next()?;
    let digits = minor.find(|character: char| !character.is_ascii_digit()).unwrap_or(minor.len());
    Some((major, minor[..digits].parse().ok()?))
}

#[cfg(test)]
#[path = "k01_ordinals_tests.rs"]
mod tests;
