//! The workloads that are handed over while a clock runs: one replica is one small server with one disk.
//!
//! The server answers as soon as its container runs and ends as soon as it is told to, so that nothing of the
//! application dilutes what is measured. On real nodes it is reached through a headless Service, as a database would
//! be, and a budget protects it; on simulated nodes it has neither, for the Kubernetes blog's way has none.
//!
//! Every object is made here, for both sides of a comparison from the same text; only names differ.

use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Namespace, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::world::{STORAGE_CLASS, Wait};

/// Label of nodes that says where a workload runs.
pub const NODES: &str = "bench.ferry.test/nodes";
/// The only claim template.
pub const TEMPLATE: &str = "data";
/// Time for all replicas to become Ready.
const READY: Duration = Duration::from_secs(120);
const PORT: u16 = 8080;

/// A slice: first ordinal, number of replicas.
pub type Slice = (u32, u32);

/// Where a workload's pods run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nodes {
    /// A kubelet, containers, attached disks.
    Real,
    /// kwok says that they run.
    Simulated,
}

impl Nodes {
    /// The label's value.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Real => "real",
            Self::Simulated => "simulated",
        }
    }
}

/// One workload; its namespace has its name.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Name of the namespace, the StatefulSet and the Service.
    pub name: String,
    /// Replicas over both clusters; ordinals begin at 0.
    pub replicas: u32,
    /// Where they run.
    pub nodes: Nodes,
}

impl Workload {
    /// The pod of an ordinal.
    #[must_use]
    pub fn pod(&self, ordinal: u32) -> String {
        format!("{}-{ordinal}", self.name)
    }

    /// The claim of an ordinal.
    #[must_use]
    pub fn claim(&self, ordinal: u32) -> String {
        format!("{TEMPLATE}-{}-{ordinal}", self.name)
    }

    /// Creates it with all its replicas and waits until they are Ready.
    ///
    /// # Errors
    /// The API server refuses an object, or the replicas do not come up.
    pub async fn deploy(&self, client: &Client) -> Result<()> {
        self.create(client, self.replicas).await?;
        let sets = Api::<StatefulSet>::namespaced(client.clone(), &self.name);
        Wait::new(format!("{} replicas of {} to be Ready", self.replicas, self.name), READY)
            .until(async || {
                let status = sets.get(&self.name).await?.status.unwrap_or_default();
                let available = status.available_replicas.unwrap_or_default();
                Ok((u32::try_from(available)? == self.replicas).then_some(()))
            })
            .await
    }

    /// Creates its objects with no replica.
    ///
    /// # Errors
    /// The API server refuses an object.
    pub async fn create_empty(&self, client: &Client) -> Result<()> {
        self.create(client, 0).await
    }

    async fn create(&self, client: &Client, replicas: u32) -> Result<()> {
        create(Api::<Namespace>::all(client.clone()), json!({"metadata": {"name": self.name}})).await?;
        if self.nodes == Nodes::Real {
            create(Api::<Service>::namespaced(client.clone(), &self.name), self.service()).await?;
            let budgets = Api::<PodDisruptionBudget>::namespaced(client.clone(), &self.name);
            create(budgets, self.budget()).await?;
        }
        create(Api::<StatefulSet>::namespaced(client.clone(), &self.name), self.stateful_set(replicas)).await
    }

    fn service(&self) -> Value {
        json!({
            "metadata": {"name": self.name},
            "spec": {
                "clusterIP": "None",
                "selector": {"app": self.name},
                "ports": [{"name": "web", "port": PORT}],
            },
        })
    }

    fn budget(&self) -> Value {
        json!({
            "metadata": {"name": self.name},
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": self.name}}},
        })
    }

    fn stateful_set(&self, replicas: u32) -> Value {
        let service = if self.nodes == Nodes::Real { self.name.as_str() } else { "" };
        json!({
            "metadata": {"name": self.name, "annotations": {"ferry.dev/dns-ttl-wait": "0"}},
            "spec": {
                "serviceName": service,
                "replicas": replicas,
                "ordinals": {"start": 0},
                "podManagementPolicy": "Parallel",
                "selector": {"matchLabels": {"app": self.name}},
                "template": self.template(),
                "volumeClaimTemplates": [{
                    "metadata": {"name": TEMPLATE},
                    "spec": {
                        "accessModes": ["ReadWriteOnce"],
                        "storageClassName": STORAGE_CLASS,
                        "resources": {"requests": {"storage": "16Mi"}},
                    },
                }],
            },
        })
    }

    fn template(&self) -> Value {
        let serve =
            format!("httpd -p {PORT} -h /data; trap 'exit 0' TERM; while :; do sleep 3600 & wait $!; done");
        json!({
            "metadata": {"labels": {"app": self.name}},
            "spec": {
                "terminationGracePeriodSeconds": 5,
                "nodeSelector": {NODES: self.nodes.label()},
                "containers": [{
                    "name": "server",
                    "image": crate::build::TOOL_IMAGE,
                    "command": ["/bin/sh", "-c", serve],
                    "ports": [{"name": "web", "containerPort": PORT}],
                    "volumeMounts": [{"name": TEMPLATE, "mountPath": "/data"}],
                }],
            },
        })
    }
}

async fn create<K>(api: Api<K>, object: Value) -> Result<()>
where
    K: Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    let object = serde_json::from_value(object).context("an object of the bench's own making")?;
    api.create(&PostParams::default(), &object).await?;
    Ok(())
}
