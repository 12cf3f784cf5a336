//! The objects of a three-member etcd: Service, ConfigMap, ServiceAccount, PodDisruptionBudget, StatefulSet.
//!
//! As a team would write them: the members find each other by `<pod>.<service>.<namespace>.svc.<domain>`, names that
//! resolve before a member is ready; the readiness probe asks the member itself, with a read that needs the quorum
//! (a first member that must be Ready before the second starts can only be asked without); settings that need no template come
//! from a ConfigMap, so that a migration has a dependency to carry. Volumes are 512 MiB: etcd preallocates a WAL of
//! 64 MiB. The annotation `ferry.dev/dns-ttl-wait` says what the test clusters' CoreDNS is set to.

use anyhow::{Context as _, Result};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::{Value, json};

/// Port of etcd's client API.
pub const CLIENT_PORT: u16 = 2379;
/// Port of etcd's health and metrics, served before the member has joined.
pub const METRICS_PORT: u16 = 2381;

/// What a test may vary.
#[derive(Debug, Clone)]
pub struct Etcd {
    /// Namespace; made if it is missing.
    pub namespace: String,
    /// Name of the StatefulSet and of its governing Service.
    pub name: String,
    /// Members.
    pub replicas: u32,
    /// First ordinal.
    pub start: u32,
    /// `spec.podManagementPolicy`.
    pub pod_management_policy: &'static str,
    /// Claim templates, the first of which holds the data; each is mounted at `/<name>`.
    pub templates: Vec<&'static str>,
    /// `spec.persistentVolumeClaimRetentionPolicy`, both keys.
    pub retention: &'static str,
}

impl Default for Etcd {
    fn default() -> Self {
        Self {
            namespace: "db".to_owned(),
            name: "etcd".to_owned(),
            replicas: 3,
            start: 0,
            pod_management_policy: "Parallel",
            templates: vec!["data"],
            retention: "Retain",
        }
    }
}

impl Etcd {
    /// Name of one member's pod.
    pub fn pod(&self, ordinal: u32) -> String {
        format!("{}-{ordinal}", self.name)
    }

    /// The name under which clients and peers reach one member, in every cluster.
    pub fn host(&self, ordinal: u32) -> String {
        format!("{}.{}.{}.svc.cluster.local", self.pod(ordinal), self.name, self.namespace)
    }

    /// The ordinals, ascending.
    pub fn ordinals(&self) -> std::ops::Range<u32> {
        self.start..self.start + self.replicas
    }

    /// Creates every object in one cluster.
    ///
    /// # Errors
    /// An object exists already, or the API server refuses it.
    pub async fn create(&self, client: &Client) -> Result<()> {
        self.create_with(client, self.stateful_set()).await
    }

    async fn create_with(&self, client: &Client, set: Value) -> Result<()> {
        let namespaces = Api::<Namespace>::all(client.clone());
        if namespaces.get_opt(&self.namespace).await?.is_none() {
            create(namespaces, json!({"metadata": {"name": self.namespace}})).await?;
        }
        let inside = self.namespace.as_str();
        create(Api::<ServiceAccount>::namespaced(client.clone(), inside), self.meta()).await?;
        create(Api::<ConfigMap>::namespaced(client.clone(), inside), self.settings()).await?;
        create(Api::<Service>::namespaced(client.clone(), inside), self.service()).await?;
        create(Api::<PodDisruptionBudget>::namespaced(client.clone(), inside), self.budget()).await?;
        create(Api::<StatefulSet>::namespaced(client.clone(), inside), set).await
    }

    /// Creates every object in one cluster, the StatefulSet with no replica.
    ///
    /// # Errors
    /// As [`Etcd::create`].
    pub async fn create_empty(&self, client: &Client) -> Result<()> {
        let mut set = self.stateful_set();
        set["spec"]["replicas"] = 0.into();
        self.create_with(client, set).await
    }

    fn meta(&self) -> Value {
        json!({"metadata": {"name": self.name, "labels": {"app": self.name}}})
    }

    fn settings(&self) -> Value {
        json!({
            "metadata": {"name": format!("{}-settings", self.name)},
            "data": {"ETCD_HEARTBEAT_INTERVAL": "100", "ETCD_ELECTION_TIMEOUT": "1000"},
        })
    }

    fn service(&self) -> Value {
        json!({
            "metadata": {"name": self.name, "labels": {"app": self.name}},
            "spec": {
                "clusterIP": "None",
                "publishNotReadyAddresses": true,
                "selector": {"app": self.name},
                "ports": [{"name": "client", "port": CLIENT_PORT}, {"name": "peer", "port": 2380}],
            },
        })
    }

    fn budget(&self) -> Value {
        json!({
            "metadata": {"name": self.name},
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": self.name}}},
        })
    }

    /// The StatefulSet, for tests that want to vary more than the fields above.
    pub fn stateful_set(&self) -> Value {
        let claims = self.templates.iter().map(|template| {
            json!({
                "metadata": {"name": template},
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "storageClassName": "array",
                    "resources": {"requests": {"storage": "512Mi"}},
                },
            })
        });
        json!({
            "metadata": {
                "name": self.name,
                "labels": {"app": self.name},
                "annotations": {"ferry.dev/dns-ttl-wait": "1"},
            },
            "spec": {
                "serviceName": self.name,
                "replicas": self.replicas,
                "ordinals": {"start": self.start},
                "podManagementPolicy": self.pod_management_policy,
                "persistentVolumeClaimRetentionPolicy":
                    {"whenDeleted": self.retention, "whenScaled": self.retention},
                "selector": {"matchLabels": {"app": self.name}},
                "template": self.template(),
                "volumeClaimTemplates": claims.collect::<Vec<_>>(),
            },
        })
    }

    fn health(&self) -> &'static str {
        if self.pod_management_policy == "Parallel" { "/health" } else { "/health?serializable=true" }
    }

    fn template(&self) -> Value {
        let field =
            |name: &str, path: &str| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}});
        let peers: Vec<String> = self
            .ordinals()
            .map(|ordinal| format!("{}=http://{}:2380", self.pod(ordinal), self.host(ordinal)))
            .collect();
        let own = format!("http://$(POD_NAME).{}.{}.svc.cluster.local", self.name, self.namespace);
        let mounts = self.templates.iter().map(|name| json!({"name": name, "mountPath": format!("/{name}")}));
        json!({
            "metadata": {"labels": {"app": self.name}},
            "spec": {
                "serviceAccountName": self.name,
                "terminationGracePeriodSeconds": 10,
                "containers": [{
                    "name": "etcd",
                    "image": "ferry.test/etcd:1",
                    "command": ["/bin/etcd"],
                    "args": [
                        "--name=$(POD_NAME)",
                        format!("--data-dir=/{}/etcd", self.templates[0]),
                        "--listen-peer-urls=http://0.0.0.0:2380",
                        format!("--listen-client-urls=http://0.0.0.0:{CLIENT_PORT}"),
                        format!("--listen-metrics-urls=http://0.0.0.0:{METRICS_PORT}"),
                        format!("--advertise-client-urls={own}:{CLIENT_PORT}"),
                        format!("--initial-advertise-peer-urls={own}:2380"),
                        format!("--initial-cluster={}", peers.join(",")),
                        "--initial-cluster-state=new",
                    ],
                    "env": [field("POD_NAME", "metadata.name"), field("POD_UID", "metadata.uid")],
                    "envFrom": [{"configMapRef": {"name": format!("{}-settings", self.name)}}],
                    "ports": [{"name": "client", "containerPort": CLIENT_PORT}, {"name": "peer", "containerPort": 2380}],
                    "readinessProbe": {
                        "httpGet": {"path": self.health(), "port": METRICS_PORT},
                        "periodSeconds": 1,
                        "failureThreshold": 3,
                    },
                    "volumeMounts": mounts.collect::<Vec<_>>(),
                }],
            },
        })
    }
}

async fn create<K>(api: Api<K>, object: Value) -> Result<()>
where
    K: Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    let object = serde_json::from_value(object).context("an object of the test's own making")?;
    // As a person would: a writer without a name is one that a plan warns of.
    let by_hand = PostParams { field_manager: Some("kubectl-create".to_owned()), ..PostParams::default() };
    api.create(&by_hand, &object).await?;
    Ok(())
}
