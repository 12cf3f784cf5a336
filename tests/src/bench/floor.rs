//! The floor: the least that any client must do to hand an ordinal over, by a client that does nothing else.
//!
//! The same steps as handoff.md section 5, in the same order and with the same proofs (detach with the node's own
//! word, tombstones, `Retain`, the endpoints mirrored), from watches that were opened before: no ledger, no fence, no
//! second look, nobody to tell. What Ferry takes longer is what being safe against crashes and strangers costs. The
//! observer watches the floor as it watches Ferry: a client that is fast by being wrong is no floor.
//!
//! Its calls carry its own service account, so that the API servers' audit logs count them as they count Ferry's.

use std::time::Duration;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, ResourceExt as _};
use serde_json::{Value, json};

use super::eyes::{Eyes, View, has_ready, is_true, text, uses};
use super::scene::{Round, Turn, turns};
use super::workload::{Nodes, Slice, Workload};
use crate::world::{Cluster, World};

/// Namespace and name of its service account.
const NAMESPACE: &str = "ferry-bench";
const ACCOUNT: &str = "floor";
/// Its user name in audit logs.
pub const USER: &str = "system:serviceaccount:ferry-bench:floor";
/// Longest wait of one handoff.
const PATIENCE: Duration = Duration::from_secs(120);
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// What marks a claim that stands for a disk elsewhere; no PersistentVolume can have that name.
const NO_VOLUME: &str = "ferry.test/NONE";

/// One side of a handoff.
pub struct Side {
    name: String,
    client: Client,
}

/// Both sides.
pub struct Sides {
    /// Where the workload is at first.
    pub east: Side,
    /// Where it goes.
    pub west: Side,
}

impl Sides {
    /// The floor's clients in both clusters.
    ///
    /// # Errors
    /// An account cannot be made.
    pub async fn of(world: &World) -> Result<Self> {
        let (east, west) = (world.cluster("east")?, world.cluster("west")?);
        Ok(Self { east: Side::of(east).await?, west: Side::of(west).await? })
    }

    fn named(&self, name: &str) -> &Side {
        if self.east.name == name { &self.east } else { &self.west }
    }
}

/// The client with its watches.
pub struct Floor<'a> {
    eyes: &'a Eyes,
    workload: &'a Workload,
}

/// When a handoff began and ended.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Before its first call.
    pub began: Timestamp,
    /// When its last effect was seen.
    pub ended: Timestamp,
}

impl Side {
    /// The floor's client in that cluster, with its own account.
    async fn of(cluster: &Cluster) -> Result<Self> {
        let account = json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
            {"apiVersion": "v1", "kind": "ServiceAccount",
             "metadata": {"name": ACCOUNT, "namespace": NAMESPACE}},
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
             "metadata": {"name": "ferry-bench-floor"},
             "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
             "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}]},
        ]});
        // The API server was restarted a moment ago: the schema to validate by may take it long yet.
        let apply = ["apply", "--validate=false", "-f", "-"];
        cluster.kubectl_with_input(&apply, &account.to_string()).await?;
        let create = ["-n", NAMESPACE, "create", "token", ACCOUNT, "--duration=24h"];
        let token = cluster.kubectl(&create).await?;
        let mut kubeconfig = Kubeconfig::read_from(cluster.kubeconfig())?;
        for user in &mut kubeconfig.auth_infos {
            user.auth_info = Some(serde_json::from_value(json!({"token": token.trim()}))?);
        }
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(Self { name: cluster.name().to_owned(), client: Client::try_from(config)? })
    }

    fn claims(&self, workload: &Workload) -> Api<PersistentVolumeClaim> {
        Api::namespaced(self.client.clone(), &workload.name)
    }

    fn volumes(&self) -> Api<PersistentVolume> {
        Api::all(self.client.clone())
    }
}

impl<'a> Floor<'a> {
    /// A client for `workload`, with watches that are open already.
    #[must_use]
    pub fn new(eyes: &'a Eyes, workload: &'a Workload) -> Self {
        Self { eyes, workload }
    }

    /// What is done once: disks kept, tombstones and endpoints at the other side.
    ///
    /// # Errors
    /// A call fails.
    pub async fn prepare(&self, source: &Side, target: &Side) -> Result<()> {
        self.workload.create_empty(&target.client).await?;
        for ordinal in 0..self.workload.replicas {
            let volume = self.volume_of(source, ordinal).await?;
            let retain = json!({"spec": {"persistentVolumeReclaimPolicy": "Retain"}});
            let merge = PatchParams::default();
            source.volumes().patch(&volume.name_any(), &merge, &Patch::Merge(retain)).await?;
            self.bury(target, ordinal).await?;
        }
        self.mirror(source, target).await
    }

    /// Moves the whole workload in a round's direction and order; each handoff, in order.
    ///
    /// # Errors
    /// A call fails, or a wait does not end.
    pub async fn migrate(&self, sides: &Sides, (from, to, order): Round) -> Result<Vec<Span>> {
        let (source, target) = (sides.named(from), sides.named(to));
        let mut spans = Vec::new();
        for Turn { ordinal, left, grown } in turns(self.workload.replicas, order) {
            let span = self.hand_over((source, left), (target, grown), ordinal).await;
            spans.push(span.with_context(|| format!("the floor, ordinal {ordinal} to {to}"))?);
        }
        Ok(spans)
    }

    /// Hands one ordinal over. `left` and `grown` are the slices of source and target afterwards.
    async fn hand_over(
        &self,
        (source, left): (&Side, Slice),
        (target, grown): (&Side, Slice),
        ordinal: u32,
    ) -> Result<Span> {
        let began = Timestamp::now();
        let volume = self.volume_of(source, ordinal).await?;
        let claim = self.claim_of(source, ordinal).await?;
        self.slice(source, left).await?;
        self.stopped(source, ordinal, &volume).await?;
        self.unclaim(source, ordinal, &claim, &volume).await?;
        self.claim(target, ordinal, &claim, &volume).await?;
        self.slice(target, grown).await?;
        self.started(target, ordinal).await?;
        tokio::try_join!(self.mirror(source, target), self.mirror(target, source))?;
        self.forget(source, &volume).await?;
        Ok(Span { began, ended: Timestamp::now() })
    }

    async fn until<T>(&self, what: &str, look: impl FnMut(&View) -> Option<T>) -> Result<T> {
        self.eyes.until(what, PATIENCE, look).await
    }

    async fn claim_of(&self, side: &Side, ordinal: u32) -> Result<DynamicObject> {
        let (workload, name) = (&self.workload.name, self.workload.claim(ordinal));
        self.until("the claim", |view| {
            view.find(&side.name, "PersistentVolumeClaim", workload, &name).cloned()
        })
        .await
    }

    async fn volume_of(&self, side: &Side, ordinal: u32) -> Result<DynamicObject> {
        let claim = self.claim_of(side, ordinal).await?;
        let name = text(&claim, "/spec/volumeName").to_owned();
        self.until("the volume", |view| view.find(&side.name, "PersistentVolume", "", &name).cloned()).await
    }

    async fn slice(&self, side: &Side, (start, replicas): Slice) -> Result<()> {
        let sets = Api::<StatefulSet>::namespaced(side.client.clone(), &self.workload.name);
        let slice = json!({"spec": {"ordinals": {"start": start}, "replicas": replicas}});
        sets.patch(&self.workload.name, &PatchParams::default(), &Patch::Merge(slice)).await?;
        Ok(())
    }

    /// Steps 5 and 6: the pod gone, the disk detached, by the word of a node that is alive.
    async fn stopped(&self, side: &Side, ordinal: u32, volume: &DynamicObject) -> Result<()> {
        let (workload, pod) = (&self.workload.name, self.workload.pod(ordinal));
        let find = |view: &View| {
            let pod = view.find(&side.name, "Pod", workload, &pod)?;
            Some(text(pod, "/spec/nodeName").to_owned())
        };
        let node = self.until("the pod", find).await?;
        let renewal = |view: &View| {
            let lease = view.find(&side.name, "Lease", "kube-node-lease", &node)?;
            text(lease, "/spec/renewTime").parse::<Timestamp>().ok()
        };
        let gone = |view: &View| {
            let is_there = view.find(&side.name, "Pod", workload, &pod).is_some();
            (!is_there).then(|| renewal(view))
        };
        let before = self.until("the end of the pod", gone).await?;
        let name = volume.name_any();
        let detached = |view: &View| {
            let mut attachments = view.all(&side.name, "VolumeAttachment", "");
            let attached = attachments.any(|found| text(found, "/spec/source/persistentVolumeName") == name);
            let found = view.find(&side.name, "Node", "", &node)?;
            let proven = is_true(found, "Ready") && !uses(found, volume) && renewal(view) > before;
            (!attached && proven).then_some(())
        };
        self.until("the proof of detach", detached).await
    }

    /// Step 7: a tombstone in the claim's place, the volume Released.
    async fn unclaim(
        &self,
        side: &Side,
        ordinal: u32,
        claim: &DynamicObject,
        volume: &DynamicObject,
    ) -> Result<()> {
        self.delete_claim(side, claim).await?;
        self.bury(side, ordinal).await?;
        let name = volume.name_any();
        let released = |view: &View| {
            let volume = view.find(&side.name, "PersistentVolume", "", &name)?;
            let is_kept = text(volume, "/spec/persistentVolumeReclaimPolicy") == "Retain";
            (is_kept && text(volume, "/status/phase") == "Released").then_some(())
        };
        self.until("the volume to be Released", released).await
    }

    /// Step 9: volume and claim at the target, Bound to each other.
    async fn claim(
        &self,
        side: &Side,
        ordinal: u32,
        claim: &DynamicObject,
        volume: &DynamicObject,
    ) -> Result<()> {
        let (workload, name) = (&self.workload.name, self.workload.claim(ordinal));
        let mut spec = volume.data["spec"].clone();
        spec["claimRef"] = json!({"namespace": workload, "name": name});
        let provisioner = volume.annotations().get("pv.kubernetes.io/provisioned-by");
        let copy = json!({
            "metadata": {
                "name": volume.name_any(),
                "labels": volume.labels(),
                "annotations": {"pv.kubernetes.io/provisioned-by": provisioner},
            },
            "spec": spec,
        });
        side.volumes().create(&PostParams::default(), &serde_json::from_value(copy)?).await?;
        let tombstone = self.claim_of(side, ordinal).await?;
        self.delete_claim(side, &tombstone).await?;
        let copy = json!({
            "metadata": {"name": name, "labels": claim.labels()},
            "spec": claim.data["spec"],
        });
        side.claims(self.workload).create(&PostParams::default(), &serde_json::from_value(copy)?).await?;
        let bound = |view: &View| {
            let claim = view.find(&side.name, "PersistentVolumeClaim", workload, &name)?;
            let volume = view.find(&side.name, "PersistentVolume", "", &volume.name_any())?;
            let are_bound = [claim, volume].iter().all(|found| text(found, "/status/phase") == "Bound");
            let is_ours = claim.uid().as_deref() == Some(text(volume, "/spec/claimRef/uid"));
            (are_bound && is_ours).then_some(())
        };
        self.until("claim and volume to be Bound", bound).await
    }

    /// Step 10, and that the cluster's own endpoints have it.
    async fn started(&self, side: &Side, ordinal: u32) -> Result<()> {
        let (workload, pod) = (&self.workload.name, self.workload.pod(ordinal));
        let ready = |view: &View| {
            let found = view.find(&side.name, "Pod", workload, &pod)?;
            let mut slices = view.all(&side.name, "EndpointSlice", workload).filter(|slice| is_own(slice));
            let is_served = !self.is_served() || slices.any(|slice| has_ready(slice, &pod));
            (is_true(found, "Ready") && is_served).then_some(())
        };
        self.until("the pod to be Ready at the target", ready).await
    }

    /// Whether the workload has a Service.
    fn is_served(&self) -> bool {
        self.workload.nodes == Nodes::Real
    }

    /// Step 11: `from`'s own endpoints, written in `to`; nothing without a Service.
    async fn mirror(&self, from: &Side, to: &Side) -> Result<()> {
        if !self.is_served() {
            return Ok(());
        }
        let workload = &self.workload.name;
        let (endpoints, ports) = self
            .until("the endpoints", |view| {
                let slices: Vec<_> =
                    view.all(&from.name, "EndpointSlice", workload).filter(|slice| is_own(slice)).collect();
                let endpoints: Vec<Value> = slices
                    .iter()
                    .filter_map(|slice| slice.data["endpoints"].as_array())
                    .flatten()
                    .map(|endpoint| {
                        json!({
                            "addresses": endpoint["addresses"],
                            "conditions": endpoint["conditions"],
                            "hostname": endpoint["hostname"],
                        })
                    })
                    .collect();
                let ports = slices.first().map_or(Value::Null, |slice| slice.data["ports"].clone());
                Some((endpoints, ports))
            })
            .await?;
        let name = format!("{workload}-of-{}", from.name);
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": name, "labels": {SERVICE_NAME: workload, MANAGED_BY: ACCOUNT}},
            "addressType": "IPv4",
            "endpoints": endpoints,
            "ports": ports,
        });
        let slices = Api::<EndpointSlice>::namespaced(to.client.clone(), workload);
        slices.patch(&name, &PatchParams::apply(ACCOUNT).force(), &Patch::Apply(slice)).await?;
        Ok(())
    }

    /// Step 12.
    async fn forget(&self, side: &Side, volume: &DynamicObject) -> Result<()> {
        let name = volume.name_any();
        side.volumes().delete(&name, &exactly(volume)).await?;
        let gone = |view: &View| view.find(&side.name, "PersistentVolume", "", &name).is_none().then_some(());
        self.until("the end of the volume's object", gone).await
    }

    async fn delete_claim(&self, side: &Side, claim: &DynamicObject) -> Result<()> {
        let name = claim.name_any();
        side.claims(self.workload).delete(&name, &exactly(claim)).await?;
        let gone = |view: &View| {
            let found = view.find(&side.name, "PersistentVolumeClaim", &self.workload.name, &name);
            found.is_none().then_some(())
        };
        self.until("the end of the claim", gone).await
    }

    async fn bury(&self, side: &Side, ordinal: u32) -> Result<()> {
        let tombstone = json!({
            "metadata": {"name": self.workload.claim(ordinal)},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Mi"}},
                "storageClassName": "",
                "volumeName": NO_VOLUME,
            },
        });
        let tombstone = serde_json::from_value(tombstone).context("a tombstone")?;
        side.claims(self.workload).create(&PostParams::default(), &tombstone).await?;
        Ok(())
    }
}

fn is_own(slice: &DynamicObject) -> bool {
    slice.labels().get(MANAGED_BY).is_some_and(|by| by == "endpointslice-controller.k8s.io")
}

fn exactly(object: &DynamicObject) -> DeleteParams {
    let preconditions = Preconditions { uid: object.uid(), resource_version: None };
    DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() }
}
