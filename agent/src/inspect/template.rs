//! What a pod template names: the objects without which a pod of it cannot start elsewhere.
//!
//! Only names are collected; whether the objects exist, travel or must be there already is decided by the readers
//! and checks. A reference that the template itself calls optional is left out: the pod starts without it, as it may
//! have done in the source. `kube-root-ca.crt` is left out as well, for every cluster makes its own.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, PodSpec, Volume};

/// The name under which every cluster publishes its own CA in every namespace.
pub(crate) const ROOT_CA: &str = "kube-root-ca.crt";
/// The ServiceAccount that exists in every namespace.
pub(crate) const DEFAULT_ACCOUNT: &str = "default";

/// Names by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct References {
    /// ConfigMaps of the workload's namespace.
    pub config_maps: BTreeSet<String>,
    /// Secrets of the workload's namespace.
    pub secrets: BTreeSet<String>,
    /// The ServiceAccount; nothing when it is the namespace's default.
    pub service_account: Option<String>,
    /// The PriorityClass.
    pub priority_class: Option<String>,
    /// The RuntimeClass.
    pub runtime_class: Option<String>,
}

impl References {
    /// What `pod` names.
    pub(crate) fn of(pod: &PodSpec) -> Self {
        let mut found = Self {
            service_account: pod
                .service_account_name
                .clone()
                .filter(|name| !name.is_empty() && name != DEFAULT_ACCOUNT),
            priority_class: pod
                .priority_class_name
                .clone()
                .filter(|name| !name.is_empty() && !is_built_in(name)),
            runtime_class: pod.runtime_class_name.clone().filter(|name| !name.is_empty()),
            ..Self::default()
        };
        for container in containers(pod) {
            found.add_container(container);
        }
        for volume in pod.volumes.iter().flatten() {
            found.add_volume(volume);
        }
        found.secrets.extend(pod.image_pull_secrets.iter().flatten().map(|reference| reference.name.clone()));
        found.config_maps.remove(ROOT_CA);
        found.config_maps.retain(|name| !name.is_empty());
        found.secrets.retain(|name| !name.is_empty());
        found
    }

    fn add_container(&mut self, container: &Container) {
        for source in container.env_from.iter().flatten() {
            if let Some(map) = source.config_map_ref.as_ref().filter(|map| map.optional != Some(true)) {
                self.config_maps.insert(map.name.clone());
            }
            if let Some(secret) = source.secret_ref.as_ref().filter(|secret| secret.optional != Some(true)) {
                self.secrets.insert(secret.name.clone());
            }
        }
        for source in container.env.iter().flatten().filter_map(|variable| variable.value_from.as_ref()) {
            if let Some(map) = source.config_map_key_ref.as_ref().filter(|map| map.optional != Some(true)) {
                self.config_maps.insert(map.name.clone());
            }
            if let Some(secret) =
                source.secret_key_ref.as_ref().filter(|secret| secret.optional != Some(true))
            {
                self.secrets.insert(secret.name.clone());
            }
        }
    }

    fn add_volume(&mut self, volume: &Volume) {
        if let Some(map) = volume.config_map.as_ref().filter(|map| map.optional != Some(true)) {
            self.config_maps.insert(map.name.clone());
        }
        if let Some(secret) = volume.secret.as_ref().filter(|secret| secret.optional != Some(true)) {
            self.secrets.extend(secret.secret_name.clone());
        }
        if let Some(secret) = volume.csi.as_ref().and_then(|csi| csi.node_publish_secret_ref.as_ref()) {
            self.secrets.insert(secret.name.clone());
        }
        for source in volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten()) {
            if let Some(map) = source.config_map.as_ref().filter(|map| map.optional != Some(true)) {
                self.config_maps.insert(map.name.clone());
            }
            if let Some(secret) = source.secret.as_ref().filter(|secret| secret.optional != Some(true)) {
                self.secrets.insert(secret.name.clone());
            }
        }
    }

    /// What has to be in the target already, as `kind/name`: Secrets do not travel, and classes belong to a cluster.
    pub(crate) fn required(&self) -> Vec<String> {
        let secrets = self.secrets.iter().map(|name| format!("Secret/{name}"));
        let priority = self.priority_class.iter().map(|name| format!("PriorityClass/{name}"));
        let runtime = self.runtime_class.iter().map(|name| format!("RuntimeClass/{name}"));
        secrets.chain(priority).chain(runtime).collect()
    }
}

/// Init containers and containers.
pub(crate) fn containers(pod: &PodSpec) -> impl Iterator<Item = &Container> {
    pod.init_containers.iter().flatten().chain(pod.containers.iter())
}

fn is_built_in(class: &str) -> bool {
    matches!(class, "system-cluster-critical" | "system-node-critical")
}
