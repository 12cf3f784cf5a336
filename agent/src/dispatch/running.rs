//! Which commands run now, and which of them have been overtaken.
//!
//! A command for one ordinal overtakes those of lower epochs for the same ordinal of the same workload. Who is
//! overtaken hears it at once; who overtakes waits until the others have let go of everything. Both follow from one
//! channel for each command: the epoch that overtook it is its value, and it is closed when the command has ended.
//! Commands without an ordinal (preparation, settlement, inspections) overtake nobody and are not overtaken.

use std::collections::BTreeMap;

use ferry_proto::agent::v1::{Command, Workload, command::Body};
use tokio::sync::watch;

/// The commands that run, by id.
#[derive(Default)]
pub(super) struct Running(BTreeMap<String, Entry>);

struct Entry {
    of: Option<(Workload, u32)>,
    epoch: u64,
    overtaken_by: watch::Sender<u64>,
}

/// What a command that runs holds until it has ended.
pub(super) struct Begun {
    overtaken_by: watch::Receiver<u64>,
    before: Vec<watch::Sender<u64>>,
}

impl Running {
    /// Enters `command`, and tells those that it overtakes.
    pub(super) fn begin(&mut self, command: &Command) -> Begun {
        let of = ordinal(command).map(|ordinal| (command.workload.clone().unwrap_or_default(), ordinal));
        let mut before = Vec::new();
        for other in self.0.values() {
            if of.is_some() && other.of == of && other.epoch < command.epoch {
                other.overtaken_by.send_replace(command.epoch);
                before.push(other.overtaken_by.clone());
            }
        }
        let (sender, overtaken_by) = watch::channel(0);
        let entry = Entry { of, epoch: command.epoch, overtaken_by: sender };
        self.0.insert(command.id.clone(), entry);
        Begun { overtaken_by, before }
    }

    /// The command has ended.
    pub(super) fn end(&mut self, id: &str) {
        self.0.remove(id);
    }

    /// Whether it runs.
    pub(super) fn contains(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }

    /// How many run.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Ids, ascending.
    pub(super) fn ids(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

impl Begun {
    /// Waits until those that were overtaken have ended.
    pub(super) async fn alone(&mut self) {
        for other in self.before.drain(..) {
            other.closed().await;
        }
    }

    /// Waits until this one is overtaken: the epoch that did it. Never ends otherwise.
    pub(super) async fn overtaken(&mut self) -> u64 {
        match self.overtaken_by.wait_for(|by| *by > 0).await.map(|by| *by) {
            Ok(by) => by,
            Err(_ended) => std::future::pending().await,
        }
    }
}

/// The ordinal that a command speaks of.
fn ordinal(command: &Command) -> Option<u32> {
    match command.body.as_ref()? {
        Body::Hold(hold) => Some(hold.ordinal),
        Body::Release(release) => Some(release.ordinal),
        Body::Adopt(adopt) => Some(adopt.ordinal),
        Body::Retire(retire) => Some(retire.ordinal),
        Body::Fence(fence) => Some(fence.ordinal),
        Body::Reclaim(reclaim) => Some(reclaim.ordinal),
        Body::InspectSource(_)
        | Body::InspectTarget(_)
        | Body::PrepareSource(_)
        | Body::PrepareTarget(_)
        | Body::Settle(_)
        | Body::Unprepare(_)
        | Body::Finish(_)
        | Body::Probe(_) => None,
    }
}
