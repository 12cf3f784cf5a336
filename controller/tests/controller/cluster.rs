//! Two clusters as tables, and commands carried out on them: enough for a migration over the real wire.
//!
//! A model of what agents answer, not of Kubernetes: every wait is over at once. It is idempotent as real executors
//! are, so that a command may come twice, and it holds the outside's view of I1 and I2 while it works: a pod or a
//! bound volume that is in the other cluster too is a panic, whatever the controller believes.

mod undo;

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result};

use ferry_proto::agent::v1::{
    self as wire, Adopt, Adopted, ClaimedVolume, Command, Description, Endpoint, EndpointsReport, Held,
    Inventory, InventoryVolume, InventoryWorkload, KeptEpoch, Manifest, NodeIdentity, OrdinalVolumes, Probed,
    Release, Released, Resync, Retired, Settled, Slice, SourcePrepared, SourceReport, TargetPrepared,
    TargetReport, Workload, command::Body, outcome::Result as Evidence,
};

use crate::agent::resync;

const DRIVER: &str = "csi.ferry.dev";

/// A pod.
#[derive(Clone, Debug)]
struct Pod {
    uid: String,
    address: String,
}

/// One cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) name: &'static str,
    net: u8,
    serial: u32,
    set: Option<(String, Slice)>,
    pods: BTreeMap<u32, Pod>,
    /// Claims with their volumes.
    volumes: BTreeMap<u32, ClaimedVolume>,
    /// Released volumes that nobody claims.
    left: BTreeMap<u32, ClaimedVolume>,
    kept: BTreeMap<u32, u64>,
    revision: u64,
    /// Outcomes that were not acknowledged.
    pub(crate) unacknowledged: BTreeMap<String, wire::Outcome>,
}

/// East, which runs three replicas, and west, which runs none.
#[derive(Debug)]
pub(crate) struct Clusters {
    pub(crate) of: BTreeMap<&'static str, Cluster>,
    /// Commands carried out, repetitions included.
    pub(crate) commands: usize,
    /// How long a command takes.
    pub(crate) pace: Duration,
}

pub(crate) fn workload() -> Option<Workload> {
    Some(Workload { namespace: "default".into(), name: "etcd".into() })
}

fn manifest(kind: &str, name: &str, uid: &str) -> Option<Manifest> {
    let json = format!("{{\"kind\":\"{kind}\",\"metadata\":{{\"name\":\"{name}\",\"uid\":\"{uid}\"}}}}");
    let (api_version, kind, name, uid) = ("v1".into(), kind.into(), name.into(), uid.into());
    Some(Manifest { api_version, kind, name, uid, json })
}

impl Clusters {
    pub(crate) fn new() -> Self {
        let mut east = Cluster::empty("east", 1);
        east.set = Some(("east-set".into(), Slice { start: 0, replicas: 3 }));
        for ordinal in 0..3 {
            east.claim(ordinal, &format!("disk-{ordinal}"));
            east.run(ordinal);
        }
        Self {
            of: BTreeMap::from([("east", east), ("west", Cluster::empty("west", 2))]),
            commands: 0,
            pace: Duration::ZERO,
        }
    }

    pub(crate) fn cluster(&mut self, name: &'static str) -> &mut Cluster {
        self.of.entry(name).or_insert_with(|| Cluster::empty(name, 0))
    }

    /// Ordinals that run, by cluster.
    pub(crate) fn running(&self, name: &str) -> Vec<u32> {
        self.of[name].pods.keys().copied().collect()
    }

    /// Carries a command out in a cluster; the outcome is kept until it is acknowledged.
    pub(crate) fn carry_out(&mut self, name: &'static str, command: Command) -> Result<wire::Outcome> {
        self.commands += 1;
        let id = command.id.clone();
        let evidence = self.cluster(name).evidence(command)?;
        let outcome = wire::Outcome { command_id: id.clone(), result: Some(evidence) };
        self.cluster(name).unacknowledged.insert(id, outcome.clone());
        let (east, west) = (&self.of["east"], &self.of["west"]);
        for ordinal in east.pods.keys() {
            assert!(!west.pods.contains_key(ordinal), "I2: ordinal {ordinal} runs in both clusters");
        }
        for ordinal in east.volumes.keys() {
            assert!(!west.volumes.contains_key(ordinal), "I1: the volume of {ordinal} is usable in both");
        }
        Ok(outcome)
    }
}

impl Cluster {
    fn empty(name: &'static str, net: u8) -> Self {
        Self {
            name,
            net,
            serial: 0,
            set: None,
            pods: BTreeMap::new(),
            volumes: BTreeMap::new(),
            left: BTreeMap::new(),
            kept: BTreeMap::new(),
            revision: 0,
            unacknowledged: BTreeMap::new(),
        }
    }

    fn uid(&mut self, kind: &str) -> String {
        self.serial += 1;
        format!("{}-{kind}-{}", self.name, self.serial)
    }

    fn claim(&mut self, ordinal: u32, handle: &str) {
        let (claim, volume) = (self.uid("claim"), self.uid("pv"));
        let claimed = ClaimedVolume {
            claim: manifest("PersistentVolumeClaim", &format!("data-etcd-{ordinal}"), &claim),
            volume: manifest("PersistentVolume", &format!("pv-{}-{handle}", self.name), &volume),
            driver: DRIVER.into(),
            handle: handle.into(),
        };
        self.volumes.insert(ordinal, claimed);
    }

    fn run(&mut self, ordinal: u32) {
        let uid = self.uid("pod");
        let address = format!("10.{}.0.{}", self.net, self.serial);
        self.pods.insert(ordinal, Pod { uid, address });
    }

    fn node(&self) -> Option<NodeIdentity> {
        let of = |what: &str| format!("{}-{what}", self.name);
        Some(NodeIdentity { name: of("node"), uid: of("node-uid"), boot_id: of("boot") })
    }

    fn slice(&self) -> Slice {
        self.set.as_ref().map(|(_, slice)| *slice).unwrap_or_default()
    }

    fn resize(&mut self, slice: Option<Slice>) -> Result<()> {
        self.set.as_mut().context("no StatefulSet")?.1 = slice.context("no slice")?;
        Ok(())
    }

    fn ordinals(&self) -> Vec<OrdinalVolumes> {
        let one = |(ordinal, volume): (&u32, &ClaimedVolume)| OrdinalVolumes {
            ordinal: *ordinal,
            volumes: vec![volume.clone()],
        };
        self.volumes.iter().map(one).collect()
    }

    fn stateful_set(&self) -> Option<Manifest> {
        self.set.as_ref().and_then(|(uid, _)| manifest("StatefulSet", "etcd", uid))
    }

    fn description(&self) -> Option<Description> {
        self.set.as_ref().map(|(uid, slice)| Description {
            uid: uid.clone(),
            slice: Some(*slice),
            stateful_set: self.stateful_set(),
            service: "etcd".into(),
            pod_management_policy: "Parallel".into(),
            budget: 1,
            ordinals: self.ordinals(),
            dependencies: manifest("ConfigMap", "etcd-config", "config").into_iter().collect(),
            required: vec!["Secret/etcd-tls".into()],
            sample_pod: manifest("Pod", "etcd-0", "sample"),
            planned_writes: vec!["patch StatefulSet etcd".into()],
            ..Description::default()
        })
    }

    fn evidence(&mut self, command: Command) -> Result<Evidence> {
        let epoch = command.epoch;
        Ok(match command.body.context("no body")? {
            Body::InspectSource(_) => {
                let description = self.description().filter(|_| command.workload == workload());
                Evidence::SourceReport(SourceReport { description, findings: vec![] })
            }
            Body::InspectTarget(inspect) => {
                assert!(inspect.description.is_some_and(|found| found.sample_pod.is_some()), "carried whole");
                Evidence::TargetReport(TargetReport {
                    findings: vec![],
                    stateful_set_uid: self.set.as_ref().map(|(uid, _)| uid.clone()).unwrap_or_default(),
                    slice: self.set.as_ref().map(|(_, slice)| *slice),
                    planned_writes: vec!["create StatefulSet etcd".into()],
                })
            }
            Body::PrepareSource(prepare) => {
                self.keep(prepare.epochs.iter().map(|of| (of.ordinal, of.epoch)));
                let (ordinals, stateful_set) = (self.ordinals(), self.stateful_set());
                Evidence::SourcePrepared(SourcePrepared { ordinals, stateful_set })
            }
            Body::PrepareTarget(prepare) => {
                self.keep(prepare.epochs.iter().map(|of| (of.ordinal, of.epoch)));
                let slice = prepare.slice.context("no slice")?;
                let uid = self.uid("set");
                let (stateful_set_uid, slice) = self.set.get_or_insert((uid, slice)).clone();
                Evidence::TargetPrepared(TargetPrepared { stateful_set_uid, slice: Some(slice) })
            }
            Body::Hold(hold) => {
                self.keep([(hold.ordinal, epoch)]);
                assert_eq!(hold.slice, Some(self.slice()), "the slice in {}", self.name);
                let pod = self.pods.get(&hold.ordinal).map(|pod| pod.uid.clone());
                Evidence::Held(Held {
                    node: hold.source.then(|| self.node()).flatten(),
                    pod_uid: pod.unwrap_or_default(),
                    available: self.pods.len().try_into()?,
                    template_digest: "digest".into(),
                })
            }
            Body::Release(release) => self.release(release, epoch)?,
            Body::Adopt(adopt) => self.adopt(adopt, epoch)?,
            Body::Retire(retire) => {
                self.left.remove(&retire.ordinal);
                let name = |of: &ClaimedVolume| of.volume.as_ref().map(|volume| volume.name.clone());
                Evidence::Retired(Retired { pv_names: retire.volumes.iter().filter_map(name).collect() })
            }
            Body::Settle(_) => Evidence::Settled(Settled {}),
            Body::Fence(fence) => self.fence(fence, epoch)?,
            Body::Reclaim(reclaim) => self.reclaim(reclaim, epoch)?,
            Body::Unprepare(unprepare) => self.unprepare(&unprepare),
            Body::Finish(finish) => self.finish(&finish),
            Body::Probe(_) => Evidence::Probed(Probed::default()),
        })
    }

    fn keep(&mut self, epochs: impl IntoIterator<Item = (u32, u64)>) {
        for (ordinal, epoch) in epochs {
            let kept = self.kept.entry(ordinal).or_default();
            assert!(epoch >= *kept, "I5: {} keeps epoch {kept} of {ordinal}, commanded {epoch}", self.name);
            *kept = epoch;
        }
    }

    fn release(&mut self, release: Release, epoch: u64) -> Result<Evidence> {
        self.keep([(release.ordinal, epoch)]);
        self.resize(release.to_slice)?;
        self.pods.remove(&release.ordinal);
        if let Some(volume) = self.volumes.remove(&release.ordinal) {
            self.left.insert(release.ordinal, volume);
        }
        Ok(Evidence::Released(Released {
            pod_uid: release.pod_uid,
            volumes: release.volumes,
            node: release.node,
            detached: true,
            epoch_kept: epoch,
        }))
    }

    fn adopt(&mut self, adopt: Adopt, epoch: u64) -> Result<Evidence> {
        self.keep([(adopt.ordinal, epoch)]);
        for volume in &adopt.volumes {
            if !self.volumes.contains_key(&adopt.ordinal) {
                self.claim(adopt.ordinal, &volume.handle);
            }
        }
        self.resize(adopt.to_slice)?;
        if !self.pods.contains_key(&adopt.ordinal) {
            self.run(adopt.ordinal);
        }
        let pod = self.pods[&adopt.ordinal].clone();
        Ok(Evidence::Adopted(Adopted {
            pod_uid: pod.uid,
            pod_address: pod.address,
            node: self.node(),
            volumes: vec![self.volumes[&adopt.ordinal].clone()],
            epoch_kept: epoch,
        }))
    }

    pub(crate) fn inventory(&mut self) -> Inventory {
        self.revision += 1;
        let bound = self.volumes.iter().map(|(ordinal, volume)| (*ordinal, volume, true));
        let left = self.left.iter().map(|(ordinal, volume)| (*ordinal, volume, false));
        let volumes = bound.chain(left).map(|(ordinal, of, bound)| {
            let (claim, pv) = (of.claim.clone().unwrap_or_default(), of.volume.clone().unwrap_or_default());
            InventoryVolume {
                driver: of.driver.clone(),
                handle: of.handle.clone(),
                pv_name: pv.name,
                pv_uid: pv.uid,
                pv_phase: if bound { "Bound" } else { "Released" }.into(),
                reclaim_policy: "Retain".into(),
                claim_name: claim.name,
                claim_uid: if bound { claim.uid } else { String::new() },
                workload: workload(),
                ordinal,
                ..InventoryVolume::default()
            }
        });
        let workloads = self.set.iter().map(|(uid, slice)| InventoryWorkload {
            workload: workload(),
            uid: uid.clone(),
            slice: Some(*slice),
            available: slice.replicas,
        });
        Inventory {
            revision: self.revision,
            volumes: volumes.collect(),
            workloads: workloads.collect(),
            ..Inventory::default()
        }
    }

    pub(crate) fn endpoints(&mut self, namespace: &str, service: &str) -> EndpointsReport {
        self.revision += 1;
        let endpoint = |(ordinal, pod): (&u32, &Pod)| Endpoint {
            address: pod.address.clone(),
            hostname: format!("etcd-{ordinal}"),
            ready: true,
            serving: true,
            pod_ready: true,
            pod_uid: pod.uid.clone(),
            ..Endpoint::default()
        };
        EndpointsReport {
            namespace: namespace.into(),
            service: service.into(),
            revision: self.revision,
            service_exists: true,
            endpoints: self.pods.iter().map(endpoint).collect(),
            ports: vec![],
            address_type: "IPv4".into(),
        }
    }

    pub(crate) fn resync(&mut self) -> Resync {
        let epochs = self.kept.iter().map(|(ordinal, epoch)| KeptEpoch {
            workload: workload(),
            ordinal: *ordinal,
            epoch: *epoch,
        });
        let epochs = epochs.collect();
        let pod_cidrs = vec![format!("10.{}.0.0/16", self.net)];
        let inventory = Some(self.inventory());
        Resync { epochs, pod_cidrs, inventory, ..resync(&format!("uid-{}", self.name), "unused") }
    }
}
