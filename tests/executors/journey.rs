//! A migration by hand: what the controller's core would decide, as a script for one workload.
//!
//! It keeps what evidence says (uids, manifests, slices) and makes the next command from it, so that executors are
//! called exactly as agents call them. It knows nothing of how they work, and nothing of the controller: a fault of the
//! core cannot hide one of an executor, nor the other way round.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result, bail};
use ferry_agent::{
    context::{Context, Facts},
    executor::{self, watches::Watches},
    inspect,
    outcome::{Evidence, Stop},
    progress::Queue,
};
use ferry_proto::agent::v1::{
    Adopt, ClaimedVolume, Description, Fence, Finish, FinishedOrdinal, Hold, InspectSource, Manifest,
    NodeIdentity, OrdinalEpoch, PrepareSource, PrepareTarget, Reclaim, Release, Retire, Settle, Slice,
    Unprepare, VolumeId, command::Body,
};
use kube::Client;
use tokio::time::Instant;

use crate::{clock::Clock, clusters::Clusters, mirror, probe, workload};

/// Time for one command.
const COMMAND: Duration = Duration::from_secs(90);
/// How long the end is watched, in milliseconds.
const WATCH_MS: u32 = 500;

/// One command of the script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verb {
    PrepareSource,
    PrepareTarget,
    HoldSource,
    HoldTarget,
    Release,
    Adopt,
    Mirror,
    Unmirror,
    Retire,
    SettleSource,
    SettleTarget,
    Fence,
    Reclaim,
    UnprepareSource,
    UnprepareTarget,
    EndSource,
    EndTarget,
    Finish,
    Accept,
    ProbeMake,
    ProbeRead,
    ProbeRemove,
}

/// What the ordinal in handoff had when it began.
#[derive(Clone, Default)]
pub(crate) struct Before {
    /// The source's slice, with the ordinal and without.
    source: (Slice, Slice),
    /// The target's slice, without the ordinal and with.
    target: (Slice, Slice),
    /// Its volumes.
    volumes: Vec<ClaimedVolume>,
}

/// A migration under way.
#[derive(Clone, Default)]
pub(crate) struct Journey {
    /// Namespace of the workload.
    pub(crate) namespace: String,
    /// Cluster that has the ordinals at the beginning.
    pub(crate) source: String,
    /// Cluster that has them at the end.
    pub(crate) target: String,
    /// Its name.
    pub(crate) migration: String,
    /// Epoch of each ordinal.
    pub(crate) epochs: BTreeMap<u32, u64>,
    /// The ordinal in handoff.
    pub(crate) ordinal: u32,
    /// StatefulSets by cluster.
    pub(crate) uids: BTreeMap<String, String>,
    /// Slices by cluster.
    pub(crate) slices: BTreeMap<String, Slice>,
    /// Volumes by ordinal, as the ledger has them.
    pub(crate) volumes: BTreeMap<u32, Vec<ClaimedVolume>>,
    /// The workload as the source describes it.
    pub(crate) description: Description,
    /// The source's StatefulSet after preparation: it carries the originals.
    pub(crate) originals: Option<Manifest>,
    /// What Hold said on the source.
    pub(crate) node: Option<NodeIdentity>,
    /// The pod it named.
    pub(crate) pod_uid: String,
    /// What the ordinal had when its handoff began.
    pub(crate) before: Before,
    /// Commands whose evidence was taken: the next one's number follows.
    pub(crate) accepted: u64,
    /// The scratch disk of a probe.
    pub(crate) scratch: Option<Manifest>,
}

impl Journey {
    /// A probe's: it has no workload.
    pub(crate) async fn of_probe(clusters: &Clusters, namespace: &str) -> Result<Self> {
        for cluster in clusters.names() {
            workload::namespace(&clusters.client(cluster), namespace).await?;
        }
        Ok(Self {
            namespace: namespace.to_owned(),
            source: "east".to_owned(),
            target: "west".to_owned(),
            ..Self::default()
        })
    }

    /// Describes the workload in `source`, with every ordinal at epoch 1.
    pub(crate) async fn plan(
        clusters: &Clusters,
        namespace: &str,
        source: &str,
        target: &str,
    ) -> Result<Self> {
        let mut journey = Self {
            namespace: namespace.to_owned(),
            source: source.to_owned(),
            target: target.to_owned(),
            migration: format!("m-{namespace}-{source}"),
            ..Self::default()
        };
        let ctx = of(journey.facts("inspect", 0), clusters.client(source), source);
        let report = inspect::source(&ctx, InspectSource::default()).await;
        let Ok(Evidence::SourceReport(report)) = report else { bail!("no description: {report:?}") };
        let description = report.description.context("the source describes nothing")?;
        let slice = description.slice.context("no slice")?;
        journey.epochs = ordinals(slice).map(|ordinal| (ordinal, 1)).collect();
        journey.uids.insert(source.to_owned(), description.uid.clone());
        journey.slices.insert(source.to_owned(), slice);
        journey.slices.insert(target.to_owned(), Slice { start: slice.start, replicas: 0 });
        journey.description = description;
        Ok(journey)
    }

    /// The way back, once everything has arrived.
    pub(crate) async fn reversed(&self, clusters: &Clusters) -> Result<Self> {
        let mut back = Self::plan(clusters, &self.namespace, &self.target, &self.source).await?;
        back.epochs.clone_from(&self.epochs);
        for (cluster, uid) in &self.uids {
            back.uids.entry(cluster.clone()).or_insert_with(|| uid.clone());
        }
        Ok(back)
    }

    /// Begins the handoff of `ordinal`.
    pub(crate) fn begin(&mut self, ordinal: u32) {
        self.ordinal = ordinal;
        *self.epochs.entry(ordinal).or_default() += 1;
        let (source, target) = (self.source.clone(), self.target.clone());
        self.before = Before {
            source: (self.slices[&source], self.after(&source)),
            target: (self.slices[&target], self.after(&target)),
            volumes: self.volumes.get(&ordinal).cloned().unwrap_or_default(),
        };
    }

    /// Begins to take the handoff back.
    pub(crate) fn withdraw(&mut self) {
        *self.epochs.entry(self.ordinal).or_default() += 1;
    }

    /// Where `verb` goes.
    pub(crate) fn cluster(&self, verb: Verb) -> &str {
        use Verb::{
            Adopt, EndTarget, Fence, HoldTarget, Mirror, PrepareTarget, ProbeRead, SettleTarget, Unmirror,
            UnprepareTarget,
        };
        let is_target = matches!(
            verb,
            PrepareTarget
                | HoldTarget
                | Adopt
                | Mirror
                | Unmirror
                | SettleTarget
                | EndTarget
                | Fence
                | UnprepareTarget
                | ProbeRead
        );
        if is_target { &self.target } else { &self.source }
    }

    /// Carries `verb` out with `client`, as a process that knows nothing would.
    pub(crate) async fn carry_out(&self, client: Client, verb: Verb) -> Result<Evidence, Stop> {
        self.carry_out_within(client, verb, COMMAND).await
    }

    /// [`Journey::carry_out`] with a time of its own.
    pub(crate) async fn carry_out_within(
        &self,
        client: Client,
        verb: Verb,
        time: Duration,
    ) -> Result<Evidence, Stop> {
        let mut ctx = self.context(client, verb);
        ctx.deadline = Instant::now() + time;
        let _clock = Clock::command(verb);
        if let Some(mirror) = mirror::of(self, verb) {
            return mirror::write(&ctx, mirror, time).await;
        }
        executor::run(&ctx, self.body(verb)).await
    }

    /// Takes the evidence of `verb` into the ledger.
    pub(crate) fn accept(&mut self, verb: Verb, evidence: Evidence) -> Result<()> {
        self.accepted += 1;
        match evidence {
            Evidence::SourcePrepared(prepared) => {
                self.volumes =
                    prepared.ordinals.into_iter().map(|entry| (entry.ordinal, entry.volumes)).collect();
                self.originals = prepared.stateful_set;
            }
            Evidence::TargetPrepared(prepared) => {
                self.uids.insert(self.target.clone(), prepared.stateful_set_uid);
                self.slices.insert(self.target.clone(), prepared.slice.context("no slice")?);
            }
            Evidence::Held(held) if verb == Verb::HoldSource => {
                self.node = held.node;
                self.pod_uid = held.pod_uid;
            }
            Evidence::Held(_) => {}
            Evidence::Released(released) => {
                let after = self.after(&self.source);
                self.slices.insert(self.source.clone(), after);
                self.volumes.insert(self.ordinal, released.volumes);
            }
            Evidence::Adopted(_) => {
                let after = self.after(&self.target);
                self.slices.insert(self.target.clone(), after);
            }
            Evidence::Fenced(_) => {
                self.slices.insert(self.target.clone(), self.before.target.0);
            }
            Evidence::Reclaimed(reclaimed) => {
                self.slices.insert(self.source.clone(), self.before.source.0);
                self.volumes.insert(self.ordinal, reclaimed.volumes);
            }
            Evidence::Probed(probed) if verb == Verb::ProbeMake => self.scratch = probed.volume,
            Evidence::Retired(_)
            | Evidence::Settled(_)
            | Evidence::Unprepared(_)
            | Evidence::Finished(_)
            | Evidence::Probed(_) => {}
            other => bail!("{verb:?} gave {other:?}"),
        }
        Ok(())
    }

    /// Where the source's slice starts.
    fn start(&self) -> u32 {
        self.slices.get(&self.source).map(|slice| slice.start).unwrap_or_default()
    }

    /// The slice of `cluster` when the handoff's part there is done.
    fn after(&self, cluster: &str) -> Slice {
        let Slice { start, replicas } = self.slices.get(cluster).copied().unwrap_or_default();
        let k = self.ordinal;
        if cluster == self.source {
            let start = if k == start && replicas > 1 { start + 1 } else { start };
            Slice { start, replicas: replicas.saturating_sub(1) }
        } else if replicas == 0 {
            Slice { start: k, replicas: 1 }
        } else {
            Slice { start: start.min(k), replicas: replicas + 1 }
        }
    }

    /// What the controller would send for `verb`.
    pub(crate) fn body(&self, verb: Verb) -> Body {
        let uid = self.uids.get(self.cluster(verb)).cloned().unwrap_or_default();
        let cluster = self.cluster(verb);
        let (ordinal, from, volumes) =
            (self.ordinal, self.slices.get(cluster).copied().unwrap_or_default(), || {
                self.volumes.get(&self.ordinal).cloned().unwrap_or_default()
            });
        let epochs = self.epochs.iter().map(|(&ordinal, &epoch)| OrdinalEpoch { ordinal, epoch }).collect();
        match verb {
            Verb::PrepareSource => {
                Body::PrepareSource(PrepareSource { stateful_set_uid: uid, slice: Some(from), epochs })
            }
            Verb::PrepareTarget => Body::PrepareTarget(PrepareTarget {
                description: Some(self.description.clone()),
                slice: Some(Slice { start: self.start(), replicas: 0 }),
                epochs,
                known_uids: self.uids.get(&self.target).cloned().into_iter().collect(),
            }),
            Verb::HoldSource | Verb::HoldTarget => Body::Hold(Hold {
                max_unavailable: 0,
                stateful_set_uid: uid,
                slice: Some(from),
                ordinal,
                source: verb == Verb::HoldSource,
                volumes: self.ids(),
            }),
            Verb::Release => Body::Release(Release {
                ordinal,
                stateful_set_uid: uid,
                from_slice: Some(from),
                to_slice: Some(self.after(cluster)),
                volumes: volumes(),
                node: self.node.clone(),
                pod_uid: self.pod_uid.clone(),
                attested_nodes: Vec::new(),
            }),
            Verb::Adopt => Body::Adopt(Adopt {
                ordinal,
                stateful_set_uid: uid,
                from_slice: Some(from),
                to_slice: Some(self.after(cluster)),
                volumes: volumes(),
                storage_classes: std::collections::HashMap::new(),
            }),
            Verb::Retire => Body::Retire(Retire { ordinal, volumes: volumes() }),
            Verb::Fence | Verb::Reclaim | Verb::UnprepareSource | Verb::UnprepareTarget => {
                self.undo(verb, uid, epochs)
            }
            Verb::Finish | Verb::Accept => self.finish(verb, uid),
            Verb::ProbeMake | Verb::ProbeRead | Verb::ProbeRemove => {
                Body::Probe(probe::command(verb, self.scratch.clone()))
            }
            // Mirrors are no commands: see `carry_out_within`.
            Verb::Mirror
            | Verb::Unmirror
            | Verb::SettleSource
            | Verb::SettleTarget
            | Verb::EndSource
            | Verb::EndTarget => Body::Settle(Settle {
                max_unavailable: u32::from(verb != Verb::EndSource),
                last: matches!(verb, Verb::EndSource | Verb::EndTarget),
                target: matches!(verb, Verb::SettleTarget | Verb::EndTarget),
                originals: self.originals.clone(),
                epochs,
            }),
        }
    }

    fn undo(&self, verb: Verb, stateful_set_uid: String, epochs: Vec<OrdinalEpoch>) -> Body {
        let Before { source, target, volumes } = self.before.clone();
        match verb {
            Verb::Fence => Body::Fence(Fence {
                ordinal: self.ordinal,
                stateful_set_uid,
                from_slice: Some(target.1),
                to_slice: Some(target.0),
                volumes: self.volumes.get(&self.ordinal).cloned().unwrap_or_default(),
                attested_nodes: Vec::new(),
            }),
            Verb::Reclaim => Body::Reclaim(Reclaim {
                ordinal: self.ordinal,
                stateful_set_uid,
                from_slice: Some(source.1),
                to_slice: Some(source.0),
                volumes,
            }),
            _ => Body::Unprepare(Unprepare {
                target: verb == Verb::UnprepareTarget,
                stateful_set_uid,
                originals: self.originals.clone(),
                epochs,
            }),
        }
    }

    fn finish(&self, verb: Verb, stateful_set_uid: String) -> Body {
        let ordinals = self.volumes.iter().map(|(ordinal, volumes)| FinishedOrdinal {
            ordinal: *ordinal,
            epoch: self.epochs[ordinal],
            claims: volumes.iter().filter_map(|volume| Some(volume.claim.as_ref()?.name.clone())).collect(),
            volumes: ids(volumes),
        });
        Body::Finish(Finish {
            stateful_set_uid,
            ordinals: ordinals.collect(),
            accept: verb == Verb::Accept,
            watch_ms: WATCH_MS,
        })
    }

    /// The disks of the ordinal.
    pub(crate) fn ids(&self) -> Vec<VolumeId> {
        ids(self.volumes.get(&self.ordinal).map(Vec::as_slice).unwrap_or_default())
    }

    /// What a process is given to carry `verb` out with.
    pub(crate) fn context(&self, client: Client, verb: Verb) -> Context {
        let epoch = match verb {
            Verb::PrepareSource | Verb::PrepareTarget | Verb::UnprepareSource | Verb::UnprepareTarget => {
                self.epochs.values().max().copied().unwrap_or(1)
            }
            _ => self.epochs.get(&self.ordinal).copied().unwrap_or_default(),
        };
        let mut facts = self.facts("command", epoch);
        if matches!(verb, Verb::ProbeMake | Verb::ProbeRead | Verb::ProbeRemove) {
            facts.workload = probe::name(&self.namespace);
        }
        of(facts, client, self.cluster(verb))
    }

    fn facts(&self, kind: &str, epoch: u64) -> Facts {
        Facts {
            id: format!("{}/{}/{kind}/{}", self.migration, self.ordinal, self.accepted + 1),
            epoch,
            generation: 1,
            namespace: self.namespace.clone(),
            workload: workload::NAME.to_owned(),
            migration: self.migration.clone(),
        }
    }
}

/// A process that knows nothing but the command.
pub(crate) fn of(command: Facts, client: Client, cluster: &str) -> Context {
    Context {
        client,
        cluster: cluster.to_owned(),
        deadline: Instant::now() + COMMAND,
        progress: Queue::default().reporter(&command.id),
        watches: Watches::default(),
        command,
    }
}

fn ids(volumes: &[ClaimedVolume]) -> Vec<VolumeId> {
    volumes.iter().map(|v| VolumeId { driver: v.driver.clone(), handle: v.handle.clone() }).collect()
}

/// The ordinals of a slice.
pub(crate) fn ordinals(slice: Slice) -> std::ops::Range<u32> {
    slice.start..slice.start + slice.replicas
}
