//! Agents come and go.
//!
//! Attaching is where everything volatile is said again, in both directions: the agent's resync one way; governed
//! Services, pending commands and mirrors the other. A cluster is its kube-system UID: another cluster that comes
//! under the same name is turned away, because the ledger's volumes are not its volumes.

use crate::command::CommandBody;
use crate::effect::Effect;
use crate::entry::Entry;
use crate::facts::{GuardFault, Inventory, Resync};
use crate::ids::{ClusterName, CommandId, MigrationId, Session};
use crate::migration::{Ask, Event, holds_are_stale};
use crate::observed::ObservedCluster;
use crate::state::ClusterRecord;
use crate::volume::changes;

use super::Step;

impl Step<'_> {
    pub(super) fn attached(&mut self, cluster: ClusterName, session: Session, resync: Resync) {
        if let Some(reason) = self.turned_away(&cluster, &resync) {
            self.release(Effect::CloseSession { cluster, session, reason });
            return;
        }
        match self.observed.session(&cluster) {
            Some(present) if present >= session => return,
            Some(present) => self.release(Effect::CloseSession {
                cluster: cluster.clone(),
                session: present,
                reason: format!("a newer stream of cluster {cluster} has replaced this one"),
            }),
            None => {}
        }
        let record = ClusterRecord {
            uid: resync.cluster_uid,
            kubernetes_version: resync.kubernetes_version,
            agent_version: resync.agent_version,
            pod_cidrs: resync.pod_cidrs.clone(),
            attached_at: self.now,
        };
        self.record(Entry::ClusterAttached { cluster: cluster.clone(), record });
        let observed = ObservedCluster {
            session: Some(session),
            instance_id: resync.instance_id,
            pod_cidrs: resync.pod_cidrs,
            epochs: resync.epochs,
            health: resync.health,
            last_seen: self.now,
            ..ObservedCluster::default()
        };
        self.observed.clusters.insert(cluster.clone(), observed);
        self.take_inventory(&cluster, resync.inventory);
        self.say_governed(&cluster);
        self.withdraw_stale_releases(&cluster, &resync.commands_in_progress);
        self.send_pending(&cluster, session);
        self.resend_inspections(&cluster, session);
        self.resend_probes(&cluster, session);
        self.mirror_into(&cluster);
    }

    fn turned_away(&self, cluster: &ClusterName, resync: &Resync) -> Option<String> {
        if resync.cluster_uid.is_empty() {
            return Some(format!(
                "cluster {cluster} said no UID of its namespace kube-system: update its agent"
            ));
        }
        let known = self.state.clusters.get(cluster)?;
        (known.uid != resync.cluster_uid).then(|| {
            format!(
                "cluster {cluster} was known by the kube-system UID {}, but this one has {}: it is another cluster; \
                 enrol it under another name",
                known.uid, resync.cluster_uid
            )
        })
    }

    /// A release that waited for its agent longer than its holds are good for may find another replica down (I4). It is
    /// withdrawn, and the source looked at again: that look says whether it had begun, and then it goes on.
    fn withdraw_stale_releases(&mut self, cluster: &ClusterName, in_progress: &[CommandId]) {
        let stale: Vec<_> = self
            .state
            .work
            .iter()
            .filter_map(|(id, work)| {
                let command = work.slots.get(cluster)?.pending.as_ref()?;
                let migration = self.state.migrations.get(id)?;
                let is_release = matches!(command.body, CommandBody::Release { .. });
                let stale = is_release && holds_are_stale(migration, work, self.now);
                (stale && !in_progress.contains(&command.id)).then(|| (id.clone(), command.id.clone()))
            })
            .collect();
        for (migration, command_id) in stale {
            let (cluster, at) = (cluster.clone(), self.now);
            self.record(Entry::CommandAnswered { migration: migration.clone(), cluster, command_id });
            self.record(Entry::Moved { migration, event: Box::new(Event::ReleaseDeclined), at });
        }
    }

    /// Everything whose outcome is not known is sent again, with the same ids (I6, I8).
    fn send_pending(&mut self, cluster: &ClusterName, session: Session) {
        let pending: Vec<_> = self
            .state
            .work
            .values()
            .filter_map(|work| work.slots.get(cluster)?.pending.clone())
            .chain(
                self.state
                    .finishing
                    .values()
                    .filter(|finishing| finishing.cluster == *cluster)
                    .map(|finishing| finishing.command.clone()),
            )
            .map(|command| Effect::Send { cluster: cluster.clone(), session, command: Box::new(command) })
            .collect();
        self.effects.extend(pending);
    }

    pub(super) fn detached(&mut self, cluster: &ClusterName, session: Session) {
        let Some(observed) = self.observed.present(cluster, session) else {
            return;
        };
        observed.session = None;
        observed.endpoints.clear();
        observed.mirrors.clear();
        self.fail_inspections_of(cluster);
        self.fail_finishers_of(cluster);
    }

    pub(super) fn take_inventory(&mut self, cluster: &ClusterName, inventory: Inventory) {
        let (seen, gone) = changes((&self.state.ledger, &self.state.storage), cluster, &inventory);
        if !seen.is_empty() || !gone.is_empty() {
            let at = self.now;
            self.record(Entry::VolumesSeen { cluster: cluster.clone(), seen, gone, at });
        }
        let now = self.now;
        if let Some(observed) = self.observed.clusters.get_mut(cluster) {
            observed.last_seen = now;
            observed.workloads =
                inventory.workloads.into_iter().map(|of| (of.workload.clone(), of)).collect();
            let before = std::mem::replace(&mut observed.guard_faults, inventory.guard_faults.clone());
            let new = inventory.guard_faults.iter().filter(|fault| !before.contains(fault));
            new.for_each(|fault| self.guard_broken(cluster, fault));
        }
    }

    /// A guard that somebody took away or changed pauses the migration that relies on it, once: whoever resumes it has
    /// been told, and the guard is put up again before the next ordinal. What is rolled back goes on.
    fn guard_broken(&mut self, cluster: &ClusterName, fault: &GuardFault) {
        let concerned: Vec<MigrationId> = self
            .state
            .work
            .keys()
            .filter(|id| {
                let migration = self.state.migrations.get(*id);
                migration.is_some_and(|migration| {
                    migration.workload == fault.workload
                        && [&migration.from, &migration.to].contains(&cluster)
                        && migration.control.rollback.is_none()
                })
            })
            .cloned()
            .collect();
        for id in concerned {
            if self.may_control(&id, Ask::Pause).is_ok() {
                let by = format!("the guard of {cluster} ({})", fault.message);
                self.record(Entry::Controlled { migration: id, asked: Ask::Pause, by, at: self.now });
            }
        }
    }
}
