//! A cluster as tables of objects, and what its agent says of them.
//!
//! StatefulSet, pods, claims, PersistentVolumes, kept epochs, mirrored endpoints: as little of each as the protocol turns
//! on. A claim without a volume is a tombstone; a PersistentVolume is Bound while the claim that it names is there and
//! names it. The cluster's own controllers are the functions that make missing pods.

use std::collections::BTreeMap;

use super::Shape;
use super::agent::Agent;
use crate::facts::{
    ClaimedVolume, Description, Endpoint, EndpointsReport, Health, Inventory, InventoryVolume,
    InventoryWorkload, KeptEpoch, Manifest, Mirror, NodeIdentity, OrdinalVolumes, Resync,
};
use crate::{ClusterName, Epoch, Ordinal, ServiceName, Slice};

use super::db;

#[derive(Clone, Debug, Default)]
pub(crate) struct Set {
    pub(crate) uid: String,
    pub(crate) slice: Slice,
}

#[derive(Clone, Debug)]
pub(crate) struct Pod {
    pub(crate) uid: String,
    pub(crate) address: String,
    pub(crate) ready: bool,
}

/// A claim: of a disk, or a tombstone.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) uid: String,
    pub(crate) volume: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Pv {
    pub(crate) uid: String,
    pub(crate) handle: String,
    /// The claim it names, bound while that lives.
    pub(crate) claim: String,
    pub(crate) bytes: u64,
}

pub(crate) struct Cluster {
    pub(crate) name: String,
    net: u32,
    serial: u64,
    pub(crate) set: Option<Set>,
    pub(crate) shape: Shape,
    pub(crate) pods: BTreeMap<Ordinal, Pod>,
    pub(crate) claims: BTreeMap<String, Claim>,
    pub(crate) pvs: BTreeMap<String, Pv>,
    pub(crate) kept: BTreeMap<Ordinal, u64>,
    pub(crate) mirrored: BTreeMap<ClusterName, Vec<Endpoint>>,
    pub(crate) governed: bool,
    pub(crate) mirror_fails: bool,
    /// An address that somebody keeps in its endpoints, without a host name.
    pub(crate) stray_address: Option<String>,
    pub(crate) starts_ready: bool,
    /// Something that a preparation changed is still so.
    pub(crate) prepared: bool,
    pub(crate) template: String,
    pub(crate) budget: u32,
    pub(crate) findings: Vec<crate::facts::Finding>,
    /// What is wrong with guards here.
    pub(crate) guard_faults: Vec<crate::facts::GuardFault>,
    pub(crate) agent: Agent,
    revision: u64,
}

pub(crate) const DRIVER: &str = "array.csi.test";

impl Cluster {
    pub(crate) fn new(name: &str, net: u32) -> Self {
        Self {
            name: name.to_owned(),
            net,
            serial: 0,
            set: None,
            shape: super::PLAIN,
            pods: BTreeMap::new(),
            claims: BTreeMap::new(),
            pvs: BTreeMap::new(),
            kept: BTreeMap::new(),
            mirrored: BTreeMap::new(),
            governed: false,
            mirror_fails: false,
            stray_address: None,
            starts_ready: true,
            guard_faults: Vec::new(),
            prepared: false,
            template: "digest-of-the-template".to_owned(),
            budget: 1,
            findings: Vec::new(),
            agent: Agent::new(name, 0),
            revision: 0,
        }
    }

    /// What its pods' addresses begin with.
    pub(crate) fn prefix(&self) -> String {
        format!("10.{}.", self.net)
    }

    fn serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    pub(crate) fn new_uid(&mut self, kind: &str) -> String {
        let serial = self.serial();
        format!("{}-{kind}-{serial}", self.name)
    }

    pub(crate) fn seed(&mut self, shape: Shape) {
        self.shape = shape;
        let slice = Slice::new(shape.start, shape.replicas);
        self.set = Some(Set { uid: self.new_uid("set"), slice });
        for ordinal in slice.ordinals() {
            for template in 0..shape.templates {
                let claim = format!("data{template}-db-{ordinal}");
                let pv = format!("pv-{template}-{ordinal}");
                let uid = self.new_uid("claim");
                self.claims.insert(claim.clone(), Claim { uid, volume: Some(pv.clone()) });
                let handle = format!("disk-{template}-{ordinal}");
                let uid = self.new_uid("pv");
                self.pvs.insert(pv, Pv { uid, handle, claim, bytes: 1 << 30 });
            }
            self.run_pod(ordinal);
        }
    }

    /// The StatefulSet with an empty slice.
    pub(crate) fn make_room(&mut self, templates: usize, service: bool, slice: Slice) {
        self.shape.templates = u32::try_from(templates).unwrap();
        self.shape.service = service;
        if self.set.is_none() {
            self.set = Some(Set { uid: self.new_uid("set"), slice });
        }
    }

    /// What a preparation left goes; epochs stay.
    pub(crate) fn unprepare(&mut self, target: bool) {
        self.prepared = false;
        if target {
            self.set = None;
            self.claims.retain(|_, claim| claim.volume.is_some());
        }
    }

    pub(crate) fn tombstones(&self) -> Vec<String> {
        self.claims.iter().filter(|(_, claim)| claim.volume.is_none()).map(|(name, _)| name.clone()).collect()
    }

    pub(crate) fn run_pod(&mut self, ordinal: Ordinal) {
        if !self.pods.contains_key(&ordinal) {
            let uid = self.new_uid("pod");
            let host = self.serial();
            let address = format!("10.{}.0.{host}", self.net);
            self.pods.insert(ordinal, Pod { uid, address, ready: self.starts_ready });
        }
    }

    /// What the cluster's own controllers do sooner or later.
    pub(crate) fn run_missing_pods(&mut self) {
        for ordinal in self.set.iter().flat_map(|set| set.slice.ordinals()).collect::<Vec<_>>() {
            self.run_pod(ordinal);
        }
    }

    pub(crate) fn restart_agent(&mut self) {
        let serial = self.serial();
        self.agent = Agent::new(&self.name, serial);
        self.revision = 0;
    }

    pub(crate) fn claims_of(&self, ordinal: Ordinal) -> Vec<String> {
        (0..self.shape.templates).map(|template| format!("data{template}-db-{ordinal}")).collect()
    }

    pub(crate) fn is_bound(&self, pv: &str) -> bool {
        self.pvs.get(pv).is_some_and(|found| {
            self.claims.get(&found.claim).is_some_and(|claim| claim.volume.as_deref() == Some(pv))
        })
    }

    fn manifest(kind: &str, name: &str, uid: &str, spec: &str) -> Manifest {
        let json = format!(
            "{{\"kind\":\"{kind}\",\"metadata\":{{\"name\":\"{name}\",\"uid\":\"{uid}\"}},\"spec\":{spec}}}"
        );
        Manifest { api_version: "v1".into(), kind: kind.into(), name: name.into(), uid: uid.into(), json }
    }

    /// The claim and PersistentVolume of a claim's name, as they are.
    pub(crate) fn claimed(&self, claim: &str) -> Option<ClaimedVolume> {
        let (pv_name, pv) = self.pvs.iter().find(|(_, pv)| pv.claim == claim)?;
        let uid = self.claims.get(claim).map(|claim| claim.uid.clone()).unwrap_or_default();
        let spec = format!("{{\"bytes\":{}}}", pv.bytes);
        Some(ClaimedVolume {
            claim: Self::manifest("PersistentVolumeClaim", claim, &uid, &spec),
            volume: Self::manifest("PersistentVolume", pv_name, &pv.uid, &spec),
            driver: DRIVER.to_owned(),
            handle: pv.handle.clone(),
        })
    }

    pub(crate) fn volumes_of(&self, ordinal: Ordinal) -> Vec<ClaimedVolume> {
        self.claims_of(ordinal).iter().filter_map(|claim| self.claimed(claim)).collect()
    }

    pub(crate) fn node(&self) -> NodeIdentity {
        NodeIdentity {
            name: format!("{}-node", self.name),
            uid: format!("{}-node-uid", self.name),
            boot_id: "boot-1".to_owned(),
        }
    }

    pub(crate) fn stateful_set(&self) -> Manifest {
        let set = self.set.clone().unwrap_or_default();
        Self::manifest("StatefulSet", "db", &set.uid, &format!("{{\"template\":\"{}\"}}", self.template))
    }

    pub(crate) fn describe(&self) -> Option<Description> {
        let set = self.set.as_ref()?;
        Some(Description {
            uid: set.uid.clone(),
            slice: set.slice,
            stateful_set: self.stateful_set(),
            service: if self.shape.service { "db".to_owned() } else { String::new() },
            pod_management_policy: "OrderedReady".to_owned(),
            budget: self.budget,
            ordinals: set
                .slice
                .ordinals()
                .map(|ordinal| OrdinalVolumes { ordinal, volumes: self.volumes_of(ordinal) })
                .collect(),
            dependencies: vec![Self::manifest("ConfigMap", "db-config", "cm", "{}")],
            dns_ttl_wait_seconds: 5,
            planned_writes: vec!["patch StatefulSet db".to_owned()],
            ..Description::default()
        })
    }

    pub(crate) fn inventory(&self) -> Inventory {
        let volumes = self.pvs.iter().map(|(name, pv)| {
            let bound = self.is_bound(name);
            let ordinal = pv.claim.rsplit('-').next().unwrap().parse().unwrap();
            InventoryVolume {
                driver: DRIVER.to_owned(),
                handle: pv.handle.clone(),
                pv_name: name.clone(),
                pv_uid: pv.uid.clone(),
                pv_phase: if bound { "Bound" } else { "Released" }.to_owned(),
                claim_name: pv.claim.clone(),
                claim_uid: if bound { self.claims[&pv.claim].uid.clone() } else { String::new() },
                workload: db(),
                ordinal,
                ..InventoryVolume::default()
            }
        });
        let workloads = self.set.iter().map(|set| InventoryWorkload {
            workload: db(),
            uid: set.uid.clone(),
            slice: set.slice,
            available: set.slice.replicas,
        });
        Inventory {
            revision: 1,
            workloads: workloads.collect(),
            volumes: volumes.collect(),
            guard_faults: self.guard_faults.clone(),
        }
    }

    pub(crate) fn resync(&self) -> Resync {
        Resync {
            agent_version: "0.1.0".to_owned(),
            cluster_uid: format!("{}-uid", self.name),
            kubernetes_version: "v1.37.2".to_owned(),
            pod_cidrs: vec![format!("10.{}.0.0/16", self.net)],
            epochs: self
                .kept
                .iter()
                .map(|(ordinal, epoch)| KeptEpoch { workload: db(), ordinal: *ordinal, epoch: Epoch(*epoch) })
                .collect(),
            inventory: self.inventory(),
            commands_in_progress: Vec::new(),
            instance_id: self.agent.instance.clone(),
            health: Health { api_server_ok: true, ..Health::default() },
        }
    }

    /// Its own pods, as endpoints.
    pub(crate) fn endpoints(&self) -> Vec<Endpoint> {
        self.pods
            .iter()
            .map(|(ordinal, pod)| Endpoint {
                address: pod.address.clone(),
                hostname: db().pod(*ordinal),
                ready: true,
                serving: true,
                pod_ready: pod.ready,
                pod_uid: pod.uid.clone(),
                ..Endpoint::default()
            })
            .chain(
                self.stray_address
                    .iter()
                    .map(|address| Endpoint { address: address.clone(), ..Endpoint::default() }),
            )
            .collect()
    }

    pub(crate) fn endpoints_report(&mut self) -> EndpointsReport {
        self.revision += 1;
        EndpointsReport {
            service: ServiceName::new("shop", "db"),
            revision: self.revision,
            service_exists: true,
            endpoints: self.endpoints(),
            ports: Vec::new(),
            address_type: "IPv4".to_owned(),
        }
    }

    pub(crate) fn take_mirror(&mut self, mirror: &Mirror) -> String {
        if std::mem::take(&mut self.mirror_fails) {
            return "the API server said no".to_owned();
        }
        self.mirrored.insert(mirror.origin.clone(), mirror.report.endpoints.clone());
        String::new()
    }
}
