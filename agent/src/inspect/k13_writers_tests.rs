//! Everybody who might write the slice, and how each is known to be paused.

use ferry_proto::agent::v1::{Finding, Severity};
use serde_json::{Value, json};

use super::check;
use crate::inspect::{
    fixtures::{codes, refused, set, source, source_of, typed},
    read::Optional,
};

fn with(change: impl FnOnce(&mut Value)) -> Vec<Finding> {
    let mut changed = set();
    change(&mut changed);
    check(&source_of(changed))
}

fn managed_by(manager: &str) -> Vec<Finding> {
    with(|set| {
        set["metadata"]["managedFields"] = json!([
            {"manager": manager, "operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
            {"manager": "anybody", "operation": "Update", "fieldsV1": {"f:metadata": {"f:labels": {}}}},
        ]);
    })
}

fn autoscaler(behavior: Value) -> Vec<Finding> {
    let mut facts = source();
    facts.autoscalers = vec![typed(json!({
        "metadata": {"name": "db"},
        "spec": {"scaleTargetRef": {"kind": "StatefulSet", "name": "db"}, "maxReplicas": 5, "behavior": behavior},
    }))];
    check(&facts)
}

fn scaled_object(annotations: Value) -> Vec<Finding> {
    let mut facts = source();
    facts.scaled_objects = Optional::Read(vec![
        json!({
            "metadata": {"name": "db", "annotations": annotations},
            "spec": {"scaleTargetRef": {"kind": "StatefulSet", "name": "db"}},
        }),
        json!({"metadata": {"name": "web"}, "spec": {"scaleTargetRef": {"name": "db"}}}),
    ]);
    check(&facts)
}

#[test]
fn a_set_that_only_people_write_passes() {
    assert!(check(&source()).is_empty());
    for manager in ["kubectl", "kubectl-client-side-apply", "ferry-agent", "kube-controller-manager"] {
        assert!(managed_by(manager).is_empty(), "{manager}");
    }
}

#[test]
fn h17_each_writer_is_refused_by_its_trace() {
    refused(
        &with(|set| {
            set["metadata"]["ownerReferences"] = json!([
                {"apiVersion": "db.example/v1", "kind": "Database", "name": "x", "uid": "x", "controller": true},
            ]);
        }),
        "K13-owner",
    );
    refused(&autoscaler(Value::Null), "K13-autoscaler");
    refused(&scaled_object(Value::Null), "K13-keda");
    let labelled = |key: &str| with(|set| set["metadata"]["labels"] = json!({key: "x"}));
    refused(&labelled("argocd.argoproj.io/instance"), "K13-argocd");
    refused(&labelled("kustomize.toolkit.fluxcd.io/name"), "K13-flux-kustomize");
    refused(&labelled("helm.toolkit.fluxcd.io/name"), "K13-flux-helm");
    refused(
        &with(|set| {
            set["metadata"]["annotations"] =
                json!({"argocd.argoproj.io/tracking-id": "shop:apps/StatefulSet"})
        }),
        "K13-argocd",
    );
    refused(
        &with(|set| {
            set["metadata"]["labels"] = json!({"app.kubernetes.io/managed-by": "Helm"});
            set["metadata"]["annotations"] = json!({"meta.helm.sh/release-name": "shop"});
        }),
        "K13-helm",
    );
    refused(&managed_by("etcd-operator"), "K13-field-manager");
    refused(&managed_by("argocd-controller"), "K13-field-manager");
}

#[test]
fn a_pause_that_the_objects_show_is_believed() {
    let disabled = json!({"selectPolicy": "Disabled"});
    assert!(autoscaler(json!({"scaleUp": disabled, "scaleDown": disabled})).is_empty());
    refused(&autoscaler(json!({"scaleDown": disabled})), "K13-autoscaler");
    assert!(scaled_object(json!({"autoscaling.keda.sh/paused": "true"})).is_empty());
    let flux = with(|set| {
        set["metadata"]["labels"] = json!({"kustomize.toolkit.fluxcd.io/name": "shop"});
        set["metadata"]["annotations"] = json!({"kustomize.toolkit.fluxcd.io/reconcile": "disabled"});
    });
    assert!(flux.is_empty());
}

#[test]
fn a_persons_word_makes_notes_of_refusals() {
    let findings = with(|set| {
        set["metadata"]["annotations"] = json!({"ferry.dev/writers-paused": "true"});
        set["metadata"]["labels"] = json!({"argocd.argoproj.io/instance": "shop"});
    });
    assert_eq!(codes(&findings), ["K13-argocd"]);
    assert_eq!(findings[0].severity(), Severity::Note);
}

#[test]
fn an_unknown_manager_warns() {
    let findings = managed_by("terraform-provider");
    assert_eq!(codes(&findings), ["K13-field-manager-unknown"]);
    assert_eq!(findings[0].severity(), Severity::Warn);
}

#[test]
fn scaled_objects_that_may_not_be_listed_are_said() {
    let mut facts = source();
    facts.scaled_objects = Optional::Denied("forbidden".to_owned());
    assert_eq!(codes(&check(&facts)), ["K13-keda-unreadable"]);
}
