//! K6: both clusters reach the workload's disks on the same array.
//!
//! A disk is known by its storage domain, its driver and its handle: with the same driver and handle another array gives
//! another disk, or none. Which array a driver of a cluster reaches is what admins said; until they do, the driver's name
//! is the domain, the same everywhere. Whether the driver runs in the target is for that cluster's agent to see.

use std::collections::BTreeSet;

use crate::facts::{Finding, Severity};
use crate::ids::ClusterName;
use crate::planner::Survey;

/// A refusal for each driver that reaches another array in the target.
pub(super) fn domains(survey: &Survey<'_>, from: &ClusterName) -> Vec<Finding> {
    let to = &survey.asked.to;
    let description = survey.source.and_then(|report| report.description.as_ref());
    let volumes = description.into_iter().flat_map(|known| &known.ordinals).flat_map(|of| &of.volumes);
    let drivers: BTreeSet<&str> = volumes.map(|volume| volume.driver.as_str()).collect();
    let storage = &survey.state.storage;
    let differing = drivers.into_iter().filter_map(|driver| {
        let (here, there) = (storage.domain(from, driver), storage.domain(to, driver));
        (here != there).then_some((driver, here, there))
    });
    differing
        .map(|(driver, here, there)| Finding {
            check: "K6".to_owned(),
            code: "K6-domain-differs".to_owned(),
            severity: Severity::Refuse,
            subject: format!("CSIDriver/{driver}"),
            found: format!("it reaches `{here}` in {from} and `{there}` in {to}"),
            expected: "the same array in both clusters".to_owned(),
            remedy: format!(
                "move it to a cluster of the domain `{here}`; if {to} reaches that array too, say so: ferry storage \
                 domain set {to} {driver} {here}"
            ),
            cluster: String::new(),
        })
        .collect()
}
