//! K13: nobody else writes the slice.
//!
//! While a migration runs, `replicas`, `ordinals` and the template belong to the agents. An autoscaler, a GitOps tool
//! or an operator that knows only its own cluster would put them back (H17). So each is looked for in the trace that
//! it leaves: owner references, autoscalers that target the set, tracking labels and annotations, and the managers
//! in `managedFields`. Tools that write only when a person runs them are warned of; what writes by itself is refused
//! unless it is paused, in its own way where that can be seen on these objects, else by a person's word: the
//! annotation [`PAUSED`] on the StatefulSet.

use std::collections::BTreeSet;

use ferry_proto::agent::v1::Finding;
use k8s_openapi::{
    api::autoscaling::v2::HorizontalPodAutoscaler,
    apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta},
};
use serde_json::Value;

use super::{
    facts::Source,
    finding::{note, refuse, warn},
    read::Optional,
};

/// A person's word that every other writer of the StatefulSet is paused: `"true"`.
pub(crate) const PAUSED: &str = "ferry.dev/writers-paused";
/// Field managers that may write the slice: ours, Kubernetes' own, and those through which people write by hand.
const EXPECTED: [&str; 3] = ["ferry-agent", "kube-controller-manager", "kubectl"];
/// Parts of field managers' names that write by themselves.
const AUTOMATIC: [&str; 8] = [
    "argocd",
    "kustomize-controller",
    "helm-controller",
    "flux",
    "keda",
    "operator",
    "controller",
    "manager",
];

/// Checks the source.
pub(crate) fn check(facts: &Source) -> Vec<Finding> {
    let metadata = &facts.set.object.metadata;
    let paused = annotation(metadata, PAUSED) == Some("true");
    let mut writers = Vec::new();
    owner(metadata, &mut writers);
    for autoscaler in &facts.autoscalers {
        writers.extend(horizontal(autoscaler, &facts.shape.name));
    }
    if let Optional::Read(objects) = &facts.scaled_objects {
        writers.extend(objects.iter().filter_map(|object| scaled_object(object, &facts.shape.name)));
    }
    gitops(metadata, &mut writers);
    let mut findings: Vec<_> =
        writers.into_iter().map(|writer| writer.finding(&facts.shape.name, paused)).collect();
    findings.extend(managers(metadata, &facts.shape.name, paused));
    if let Optional::Denied(said) = &facts.scaled_objects {
        findings.push(note(
            "K13-keda-unreadable",
            format!("StatefulSet/{}", facts.shape.name),
            format!("the agent may not list ScaledObjects: {said}"),
            "that no ScaledObject targets it",
            "Make sure yourself, or let the agent list scaledobjects.keda.sh.",
        ));
    }
    findings
}

/// Somebody who writes the slice by itself.
struct Writer {
    code: &'static str,
    found: String,
    pause: &'static str,
}

impl Writer {
    fn finding(self, set: &str, paused: bool) -> Finding {
        let subject = format!("StatefulSet/{set}");
        let expected = "no other writer of replicas, ordinals or template, or a paused one";
        if paused {
            let remedy =
                format!("Nothing, if it really is paused: {PAUSED} says so. Resume it on the target's side.");
            return note(self.code, subject, self.found, expected, remedy);
        }
        let remedy = format!(
            "{} Then annotate the StatefulSet with {PAUSED}=true, if the pause cannot be seen on it, and plan again.",
            self.pause
        );
        refuse(self.code, subject, self.found, expected, remedy)
    }
}

fn owner(metadata: &ObjectMeta, writers: &mut Vec<Writer>) {
    let owners = metadata.owner_references.iter().flatten();
    writers.extend(owners.filter(|owner| owner.controller == Some(true)).map(|owner| Writer {
        code: "K13-owner",
        found: format!("controlled by {} {}/{}", owner.api_version, owner.kind, owner.name),
        pause: "Pause that object's reconciliation in its operator.",
    }));
}

fn horizontal(autoscaler: &HorizontalPodAutoscaler, set: &str) -> Option<Writer> {
    let spec = autoscaler.spec.as_ref()?;
    if spec.scale_target_ref.kind != "StatefulSet" || spec.scale_target_ref.name != set {
        return None;
    }
    let behavior = spec.behavior.as_ref();
    let disabled = [
        behavior.and_then(|behavior| behavior.scale_up.as_ref()),
        behavior.and_then(|behavior| behavior.scale_down.as_ref()),
    ]
    .iter()
    .all(|rules| rules.and_then(|rules| rules.select_policy.as_deref()) == Some("Disabled"));
    (!disabled).then(|| Writer {
        code: "K13-autoscaler",
        found: format!(
            "HorizontalPodAutoscaler/{} scales it between {} and {}",
            autoscaler.metadata.name.as_deref().unwrap_or_default(),
            spec.min_replicas.unwrap_or(1),
            spec.max_replicas
        ),
        pause: "Delete the autoscaler, or set selectPolicy Disabled for scaleUp and scaleDown.",
    })
}

fn scaled_object(object: &Value, set: &str) -> Option<Writer> {
    let target = object.pointer("/spec/scaleTargetRef")?;
    if target.get("kind").and_then(Value::as_str) != Some("StatefulSet")
        || target.get("name").and_then(Value::as_str) != Some(set)
    {
        return None;
    }
    let annotations = object.pointer("/metadata/annotations");
    let has = |key: &str| annotations.and_then(|all| all.get(key)).and_then(Value::as_str);
    let paused = has("autoscaling.keda.sh/paused") == Some("true");
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    (!paused).then(|| Writer {
        code: "K13-keda",
        found: format!("ScaledObject/{name} scales it"),
        pause: "Annotate the ScaledObject with autoscaling.keda.sh/paused=true.",
    })
}

fn gitops(metadata: &ObjectMeta, writers: &mut Vec<Writer>) {
    let tracked = annotation(metadata, "argocd.argoproj.io/tracking-id")
        .or_else(|| label(metadata, "argocd.argoproj.io/instance"));
    if let Some(tracked) = tracked {
        writers.push(Writer {
            code: "K13-argocd",
            found: format!("Argo CD tracks it as {tracked}"),
            pause: "Turn the Application's automated sync off (and self-heal).",
        });
    }
    let kustomization = label(metadata, "kustomize.toolkit.fluxcd.io/name");
    let disabled = annotation(metadata, "kustomize.toolkit.fluxcd.io/reconcile") == Some("disabled");
    if let Some(name) = kustomization.filter(|_| !disabled) {
        writers.push(Writer {
            code: "K13-flux-kustomize",
            found: format!("Flux applies it from Kustomization {name}"),
            pause: "flux suspend kustomization, or annotate it with kustomize.toolkit.fluxcd.io/reconcile=disabled.",
        });
    }
    if let Some(name) = label(metadata, "helm.toolkit.fluxcd.io/name") {
        writers.push(Writer {
            code: "K13-flux-helm",
            found: format!("Flux applies it from HelmRelease {name}"),
            pause: "flux suspend helmrelease.",
        });
    } else if label(metadata, "app.kubernetes.io/managed-by") == Some("Helm") {
        let release = annotation(metadata, "meta.helm.sh/release-name").unwrap_or("unknown");
        writers.push(Writer {
            code: "K13-helm",
            found: format!("part of Helm release {release}"),
            pause: "See that nobody upgrades the release until the migration has ended.",
        });
    }
}

fn managers(metadata: &ObjectMeta, set: &str, paused: bool) -> Vec<Finding> {
    let entries = metadata.managed_fields.iter().flatten().filter(|entry| writes_slice(entry));
    let names: BTreeSet<_> = entries.filter_map(|entry| entry.manager.as_deref()).collect();
    // `helm` leaves labels as well, which say more.
    let named =
        |name: &&str| label(metadata, "app.kubernetes.io/managed-by") == Some("Helm") && *name == "helm";
    let others = names.into_iter().filter(|name| !is_expected(name) && !named(name));
    others
        .map(|name| {
            if AUTOMATIC.iter().any(|part| name.contains(part)) {
                let writer = Writer {
                    code: "K13-field-manager",
                    found: format!("field manager {name} writes replicas, ordinals or template"),
                    pause: "Pause what runs under that name.",
                };
                return writer.finding(set, paused);
            }
            warn(
                "K13-field-manager-unknown",
                format!("StatefulSet/{set}"),
                format!("field manager {name} has written replicas, ordinals or template"),
                "nobody but kubectl and Ferry",
                "Make sure that nothing writes it under that name until the migration has ended.",
            )
        })
        .collect()
}

fn is_expected(manager: &str) -> bool {
    EXPECTED
        .iter()
        .any(|name| manager == *name || manager.strip_prefix(name).is_some_and(|rest| rest.starts_with('-')))
}

/// Whether an entry of `managedFields` covers what a migration writes.
fn writes_slice(entry: &ManagedFieldsEntry) -> bool {
    let spec = entry.fields_v1.as_ref().and_then(|fields| fields.0.get("f:spec"));
    spec.is_some_and(|spec| {
        ["f:replicas", "f:ordinals", "f:template"].iter().any(|key| spec.get(key).is_some())
    })
}

fn annotation<'a>(metadata: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

fn label<'a>(metadata: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    metadata.labels.as_ref()?.get(key).map(String::as_str)
}

#[cfg(test)]
#[path = "k13_writers_tests.rs"]
mod tests;
