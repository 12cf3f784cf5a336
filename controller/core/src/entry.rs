//! Journal entries: every change of the durable state, and nothing else.
//!
//! An entry says what was decided, with what it takes to apply it again; [`crate::State::apply`] holds the only code
//! that changes the state. To the shell an entry is opaque: it is written as JSON and read back.
//! Adding a variant is compatible; changing one means that older journals do not replay.

use serde::{Deserialize, Serialize};

use crate::command::Command;
use crate::facts::{OrdinalEpoch, StepState};
use crate::ids::{ClusterName, CommandId, MigrationId, Ordinal, ServiceName, TokenHash, VolumeId};
use crate::migration::{Ask, Certificate, Event, Migration, Setback, Work};
use crate::plan::PlanRecord;
use crate::state::{ClusterRecord, Finishing};
use crate::storage::{StorageDomain, StorageMap};
use crate::time::Millis;
use crate::tokens::Token;
use crate::volume::VolumeSeen;

/// One change of the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entry {
    /// An agent attached.
    ClusterAttached {
        /// Its cluster.
        cluster: ClusterName,
        /// What is known of it.
        record: ClusterRecord,
    },
    /// A cluster's volumes are not as they were.
    VolumesSeen {
        /// The cluster.
        cluster: ClusterName,
        /// New, or shown in another way.
        seen: Vec<VolumeSeen>,
        /// Not shown any more.
        gone: Vec<VolumeId>,
        /// When.
        at: Millis,
    },
    /// A token was made; expired ones go.
    TokenCreated {
        /// Its hash.
        hash: TokenHash,
        /// What it is for.
        token: Token,
        /// When.
        at: Millis,
    },
    /// A token was used up.
    TokenRedeemed {
        /// Its hash.
        hash: TokenHash,
        /// When.
        at: Millis,
    },
    /// The number of an inspection was given out: its commands' ids are never used again.
    InspectionNumbered {
        /// The number.
        number: u64,
    },
    /// A plan was made that may be started.
    PlanMade {
        /// The plan.
        record: Box<PlanRecord>,
    },
    /// A migration started.
    MigrationStarted {
        /// What people see.
        migration: Box<Migration>,
        /// The machine's part.
        work: Box<Work>,
        /// The epochs that its ordinals have now: above all that any cluster keeps.
        epochs: Vec<OrdinalEpoch>,
    },
    /// Both clusters of a migration report and import a Service's endpoints from now on.
    ServiceGoverned {
        /// The Service.
        service: ServiceName,
        /// The clusters.
        clusters: Vec<ClusterName>,
    },
    /// A command is being sent (I6).
    CommandIssued {
        /// The migration.
        migration: MigrationId,
        /// To this cluster.
        cluster: ClusterName,
        /// The command.
        command: Box<Command>,
    },
    /// A command's outcome is known, or it is not waited for any more: it is not pending.
    CommandAnswered {
        /// The migration.
        migration: MigrationId,
        /// By this cluster.
        cluster: ClusterName,
        /// The command.
        command_id: CommandId,
    },
    /// The attempt led to nothing.
    SetBack {
        /// The migration.
        migration: MigrationId,
        /// In this cluster.
        cluster: ClusterName,
        /// Why, and when the next one is made.
        setback: Setback,
    },
    /// Something happened to a migration.
    Moved {
        /// The migration.
        migration: MigrationId,
        /// What.
        event: Box<Event>,
        /// When.
        at: Millis,
    },
    /// An agent said where a step stands.
    StepReported {
        /// The migration.
        migration: MigrationId,
        /// The ordinal; none during preparation.
        ordinal: Option<Ordinal>,
        /// Step of handoff.md section 5.
        step: u32,
        /// Where it stands.
        state: StepState,
        /// What was done or is waited for.
        message: String,
        /// When.
        at: Millis,
    },
    /// An admin said which array a driver of a cluster reaches.
    StorageDomainSet {
        /// What was said.
        set: StorageDomain,
    },
    /// An admin set a mapping of StorageClasses.
    StorageMapAdded {
        /// The mapping.
        map: StorageMap,
    },
    /// An admin took a mapping of StorageClasses away.
    StorageMapRemoved {
        /// The mapping.
        map: StorageMap,
    },
    /// A person attested that nothing on a node writes any more, for the ordinal in flight (H11).
    Attested {
        /// The migration.
        migration: MigrationId,
        /// The node's cluster.
        cluster: ClusterName,
        /// The node.
        node: String,
    },
    /// Somebody asked something of a running migration.
    Controlled {
        /// The migration.
        migration: MigrationId,
        /// What.
        asked: Ask,
        /// Identity.
        by: String,
        /// When.
        at: Millis,
    },
    /// The step that is under way takes longer than its deadline.
    DeadlinePassed {
        /// The migration.
        migration: MigrationId,
    },
    /// These clusters report and import a Service's endpoints no longer.
    ServiceUngoverned {
        /// The Service.
        service: ServiceName,
        /// The clusters.
        clusters: Vec<ClusterName>,
    },
    /// A completed migration is to be finished: the command is being sent (I6).
    FinishAsked {
        /// The migration.
        migration: MigrationId,
        /// What is asked.
        finishing: Box<Finishing>,
    },
    /// The source answered; it is asked no more.
    FinishAnswered {
        /// The migration.
        migration: MigrationId,
        /// What it found; none when it would not or could not look.
        certificate: Option<Box<Certificate>>,
    },
    /// For the audit log alone: who did what, on what, and how it ended. Changes no state.
    Audited(Box<AuditRecord>),
    /// What a migration waits for is not what it was.
    Said {
        /// The migration.
        migration: MigrationId,
        /// What it waits for; empty: it simply runs.
        message: String,
    },
}

/// One line of the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// When.
    pub at: Millis,
    /// Identity of who asked; `controller` for what followed from that.
    pub by: String,
    /// What was done: `create-token`, `start-migration`, `owner-changed`, ...
    pub action: String,
    /// On what: a token's subject, a workload and ordinal, a cluster and driver.
    pub subject: String,
    /// The migration it belongs to.
    pub migration: Option<MigrationId>,
    /// `done`, or the code of the refusal.
    pub result: String,
    /// In words.
    pub message: String,
}

impl Entry {
    /// The migration that it changes, if it changes one.
    #[must_use]
    pub fn migration(&self) -> Option<&MigrationId> {
        match self {
            Self::MigrationStarted { migration, .. } => Some(&migration.id),
            Self::CommandIssued { migration, .. }
            | Self::CommandAnswered { migration, .. }
            | Self::SetBack { migration, .. }
            | Self::Moved { migration, .. }
            | Self::StepReported { migration, .. }
            | Self::Controlled { migration, .. }
            | Self::Attested { migration, .. }
            | Self::DeadlinePassed { migration }
            | Self::FinishAsked { migration, .. }
            | Self::FinishAnswered { migration, .. }
            | Self::Said { migration, .. } => Some(migration),
            Self::ClusterAttached { .. }
            | Self::StorageDomainSet { .. }
            | Self::StorageMapAdded { .. }
            | Self::StorageMapRemoved { .. }
            | Self::Audited(_)
            | Self::VolumesSeen { .. }
            | Self::TokenCreated { .. }
            | Self::TokenRedeemed { .. }
            | Self::InspectionNumbered { .. }
            | Self::PlanMade { .. }
            | Self::ServiceGoverned { .. }
            | Self::ServiceUngoverned { .. } => None,
        }
    }
}
