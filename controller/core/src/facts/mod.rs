//! What agents say, in plain types: the concepts of `ferry.agent.v1`, field for field.
//!
//! They are facts of one cluster at one moment. Nothing here decides; the shell translates the wire into these at
//! the edge, and the core validates evidence against the ledger before it relies on it.
//! The translation refuses what it does not understand, so everything here is of a known kind; bounds on sizes are
//! the wire's too.

mod endpoints;
mod evidence;
mod inventory;
mod objects;

pub use endpoints::{Endpoint, EndpointPort, EndpointsReport, Mirror, MirrorApplied};
pub use evidence::{
    Adopted, Fenced, Finished, Held, NodeIdentity, Outcome, OutcomeResult, Probed, Progress, Reclaimed,
    Refusal, RefusalCode, Released, Retired, SourcePrepared, SourceReport, StepState, TargetPrepared,
    TargetReport, Unknown, Unprepared,
};
pub use inventory::{GuardFault, Health, Inventory, InventoryVolume, InventoryWorkload, KeptEpoch, Resync};
pub use objects::{
    ClaimedVolume, Description, Finding, FinishedOrdinal, Listener, Manifest, OrdinalEpoch, OrdinalVolumes,
    Severity,
};
