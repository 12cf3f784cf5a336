use ferry_proto::agent::v1::Severity;
use serde_json::json;

use super::check;
use crate::inspect::fixtures::{codes, set, source, source_of};

#[test]
fn h27_rules_between_pods_are_named_with_how_long_they_weaken() {
    assert!(check(&source()).is_empty());
    let mut changed = set();
    let term = json!({"topologyKey": "zone", "labelSelector": {}});
    changed["spec"]["template"]["spec"]["affinity"] = json!({"podAntiAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [term],
        "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": term}],
    }});
    changed["spec"]["template"]["spec"]["topologySpreadConstraints"] =
        json!([{"maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "ScheduleAnyway"}]);
    let findings = check(&source_of(changed));
    assert_eq!(codes(&findings), ["K14-anti-affinity", "K14-anti-affinity", "K14-topology-spread"]);
    assert!(findings.iter().all(|finding| finding.severity() == Severity::Note));
    assert!(
        findings[0].found.contains("zone") && findings[0].remedy.contains("all 3 replicas"),
        "{findings:?}"
    );
}
