//! One cluster's part of the workload, as far as the invariants speak of it.
//!
//! A [`View`] is made from lists of objects and knows nothing of where they came from: the watches' caches give the
//! view that raises a suspicion, quorum reads the one that confirms it. What is held is named by UIDs, so that two
//! views tell whether it was the same object all along.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::VolumeAttachment;
use kube::runtime::reflector::Store;
use kube::{Api, Client, ResourceExt as _, api::ListParams};

use super::Subject;

/// How long an API server may be away before the observer counts as blind.
const AWAY: Duration = Duration::from_secs(120);
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// A volume's identity: CSI driver and handle.
pub(super) type VolumeId = (String, String);

/// A cluster under watch.
pub(super) struct Cluster {
    pub(super) name: String,
    pub(super) client: Client,
    pub(super) sets: Store<StatefulSet>,
    pub(super) pods: Store<Pod>,
    pub(super) claims: Store<PersistentVolumeClaim>,
    pub(super) volumes: Store<PersistentVolume>,
    pub(super) attachments: Store<VolumeAttachment>,
}

/// A pod of the workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PodView {
    pub(super) uid: String,
    pub(super) pending: bool,
    pub(super) ready: bool,
    /// Somebody asked for its end.
    pub(super) leaving: bool,
}

/// A slice with what tells one state of it from the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SliceView {
    pub(super) uid: String,
    pub(super) generation: i64,
    pub(super) ordinals: BTreeSet<u32>,
}

/// What one cluster holds of the workload.
#[derive(Debug, Clone, Default)]
pub(super) struct View {
    pub(super) cluster: String,
    pub(super) slice: Option<SliceView>,
    pub(super) pods: BTreeMap<u32, PodView>,
    /// Why each volume is usable here: UIDs of bound claims and of attachments, in words.
    pub(super) usable: BTreeMap<VolumeId, BTreeSet<String>>,
}

impl Cluster {
    pub(super) fn cached_view(&self, subject: &Subject) -> View {
        View::new(
            &self.name,
            subject,
            &self.sets.state(),
            &self.pods.state(),
            &self.claims.state(),
            &self.volumes.state(),
            &self.attachments.state(),
        )
    }

    /// What it holds now; an API server that is away is waited for.
    pub(super) async fn read_view(&self, subject: &Subject) -> Result<View> {
        patiently(|| self.read_once(subject)).await
    }

    async fn read_once(&self, subject: &Subject) -> Result<View> {
        let all = ListParams::default();
        let namespace = subject.namespace.as_str();
        let client = || self.client.clone();
        let sets = Api::<StatefulSet>::namespaced(client(), namespace).list(&all).await?;
        let pods = Api::<Pod>::namespaced(client(), namespace).list(&all).await?;
        let claims = Api::<PersistentVolumeClaim>::namespaced(client(), namespace).list(&all).await?;
        let volumes = Api::<PersistentVolume>::all(client()).list(&all).await?;
        let attachments = Api::<VolumeAttachment>::all(client()).list(&all).await?;
        Ok(View::new(
            &self.name,
            subject,
            &shared(sets.items),
            &shared(pods.items),
            &shared(claims.items),
            &shared(volumes.items),
            &shared(attachments.items),
        ))
    }
}

/// Asks again for as long as an API server may be away.
pub(super) async fn patiently<T, F: Future<Output = Result<T>>>(ask: impl Fn() -> F) -> Result<T> {
    let began = Instant::now();
    loop {
        match ask().await {
            Err(_) if began.elapsed() < AWAY => tokio::time::sleep(ASK_AGAIN).await,
            answered => return answered,
        }
    }
}

fn shared<T>(items: Vec<T>) -> Vec<Arc<T>> {
    items.into_iter().map(Arc::new).collect()
}

impl View {
    pub(super) fn handles(&self) -> impl Iterator<Item = String> {
        self.usable.keys().map(|(_, handle)| handle.clone())
    }

    pub(super) fn new(
        cluster: &str,
        subject: &Subject,
        sets: &[Arc<StatefulSet>],
        pods: &[Arc<Pod>],
        claims: &[Arc<PersistentVolumeClaim>],
        volumes: &[Arc<PersistentVolume>],
        attachments: &[Arc<VolumeAttachment>],
    ) -> Self {
        let set = sets.iter().find(|set| set.name_any() == subject.workload);
        Self {
            cluster: cluster.to_owned(),
            slice: set.map(|set| slice(set)),
            pods: pods.iter().filter_map(|pod| pod_view(subject, pod)).collect(),
            usable: usable(subject, claims, volumes, attachments),
        }
    }
}

fn slice(set: &StatefulSet) -> SliceView {
    let spec = set.spec.as_ref();
    let start = spec.and_then(|spec| spec.ordinals.as_ref()?.start).unwrap_or(0);
    let replicas = spec.and_then(|spec| spec.replicas).unwrap_or(1);
    SliceView {
        uid: set.uid().unwrap_or_default(),
        generation: set.metadata.generation.unwrap_or_default(),
        ordinals: (start..start + replicas).filter_map(|ordinal| u32::try_from(ordinal).ok()).collect(),
    }
}

fn pod_view(subject: &Subject, pod: &Pod) -> Option<(u32, PodView)> {
    let ordinal = pod.name_any().strip_prefix(&format!("{}-", subject.workload))?.parse().ok()?;
    let status = pod.status.as_ref();
    let phase = status.and_then(|status| status.phase.as_deref()).unwrap_or("Pending");
    let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let ready = conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
    let leaving = pod.metadata.deletion_timestamp.is_some();
    let uid = pod.uid().unwrap_or_default();
    Some((ordinal, PodView { uid, pending: phase == "Pending", ready: ready && !leaving, leaving }))
}

/// The CSI identity of a volume whose claim belongs to the workload; `None` for every other volume.
pub(super) fn identity(subject: &Subject, volume: &PersistentVolume) -> Option<VolumeId> {
    let spec = volume.spec.as_ref()?;
    let claim = spec.claim_ref.as_ref()?;
    let (template, ordinal) = claim.name.as_deref()?.rsplit_once('-')?;
    let ours = claim.namespace.as_deref() == Some(&subject.namespace)
        && template.ends_with(&format!("-{}", subject.workload))
        && ordinal.parse::<u32>().is_ok();
    let csi = spec.csi.as_ref()?;
    ours.then(|| (csi.driver.clone(), csi.volume_handle.clone()))
}

/// I1's word: a volume is usable where it is Bound to a live claim, or where an attachment of it exists.
fn usable(
    subject: &Subject,
    claims: &[Arc<PersistentVolumeClaim>],
    volumes: &[Arc<PersistentVolume>],
    attachments: &[Arc<VolumeAttachment>],
) -> BTreeMap<VolumeId, BTreeSet<String>> {
    let mut usable: BTreeMap<VolumeId, BTreeSet<String>> = BTreeMap::new();
    for volume in volumes {
        let Some(identity) = identity(subject, volume) else { continue };
        let name = volume.name_any();
        let bound = volume.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Bound");
        let claim_uid = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref()?.uid.clone());
        let live = claims.iter().find(|claim| claim.uid().is_some() && claim.uid() == claim_uid);
        let reasons = usable.entry(identity).or_default();
        if let Some(claim) = live.filter(|_| bound) {
            reasons.insert(format!("claim {} {}", claim.name_any(), claim.uid().unwrap_or_default()));
        }
        let attached = attachments.iter().filter(|attachment| {
            attachment.spec.source.persistent_volume_name.as_deref() == Some(name.as_str())
        });
        for attachment in attached {
            let (node, uid) = (&attachment.spec.node_name, attachment.uid().unwrap_or_default());
            reasons.insert(format!("attachment to {node} {uid}"));
        }
    }
    usable.retain(|_, reasons| !reasons.is_empty());
    usable
}
