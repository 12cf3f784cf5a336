//! What can happen to a migration, as the journal keeps it.
//!
//! Each event carries the evidence that later commands are built from, and nothing that can be worked out again.
//! Commands, attempts and refusals are not events: they change what is asked, not where the migration stands. Adding a
//! variant does not compile until `stage` and `apply` say what it means.

use serde::{Deserialize, Serialize};

use crate::facts::{Adopted, Fenced, Held, Reclaimed, Released, SourcePrepared};
use crate::ids::{ClusterName, Epoch, Ordinal};
use crate::slice::Slice;
use crate::time::Millis;

/// One durable fact of a migration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// Every disk of the source is `Retain`, read back.
    SourcePrepared {
        /// Claims, volumes and the StatefulSet as they are now.
        evidence: Box<SourcePrepared>,
    },
    /// The target has the StatefulSet, empty, and every tombstone.
    TargetPrepared {
        /// UID of its StatefulSet.
        uid: String,
        /// Its slice.
        slice: Slice,
    },
    /// Every cluster has every endpoint.
    Converged,
    /// Step 1: `owned(S, e)` became `releasing(S to D, e + 1)`.
    HandoffBegan {
        /// The ordinal.
        ordinal: Ordinal,
        /// The new epoch.
        epoch: Epoch,
    },
    /// One side holds.
    SideHeld {
        /// Which.
        cluster: ClusterName,
        /// Its evidence.
        held: Held,
    },
    /// What one side said is not relied on any more; it is asked again.
    HoldLapsed {
        /// Which.
        cluster: ClusterName,
    },
    /// Both sides hold, at the same time, and what they say fits.
    Held {
        /// Addresses under which the source shows the ordinal: none may be left after the handoff.
        old_addresses: Vec<String>,
    },
    /// The source would not begin to release: it is looked at again.
    ReleaseDeclined,
    /// The second look failed, so the release had begun after all: it is asked for again.
    RecheckDeclined,
    /// Step 8: `releasing` became `granted(D, e + 1)`.
    Released {
        /// The source's proof that it let go.
        evidence: Box<Released>,
    },
    /// The target runs the ordinal.
    Adopted {
        /// Its evidence.
        evidence: Box<Adopted>,
    },
    /// Every cluster resolves the ordinal to the new pod only.
    GatePassed {
        /// When resolvers have forgotten the old one.
        resolvers_until: Millis,
    },
    /// That time has come.
    ResolversWaited,
    /// Step 12 is done, and step 13 with it: `granted` became `owned(D, e + 1)`.
    Retired {
        /// Whether it was the last ordinal.
        last: bool,
    },
    /// One side settled.
    SideSettled {
        /// Which.
        cluster: ClusterName,
    },
    /// Both sides settled.
    Settled,
    /// Nothing that stops the replica was ever asked for: `releasing` becomes `owned(S, e + 1)` again.
    Withdrawn,
    /// The target is asked to let go, for good, of what it may have adopted.
    FenceBegan {
        /// The new epoch.
        epoch: Epoch,
    },
    /// The source is asked to take the ordinal back, and the target was never asked to adopt it.
    ReclaimBegan {
        /// The new epoch.
        epoch: Epoch,
    },
    /// The target proved that it holds nothing of the ordinal: the source may take it back.
    Fenced {
        /// Its evidence.
        evidence: Box<Fenced>,
    },
    /// The source runs the ordinal again: `owned(S, e + 2)`.
    Reclaimed {
        /// Its evidence.
        evidence: Box<Reclaimed>,
    },
    /// A cluster keeps a higher epoch than the ordinal's: a person said to go on above it.
    EpochRaised {
        /// The new epoch.
        epoch: Epoch,
    },
    /// From here on source and target have changed places: what moved comes back.
    Turned,
    /// Everything is with the source: preparation is undone.
    UnprepareBegan,
    /// One side undid its preparation.
    SideUnprepared {
        /// Which.
        cluster: ClusterName,
        /// What was left, and why.
        left: Vec<String>,
    },
    /// Both sides undid it.
    Unprepared,
    /// Nothing moved and nothing will.
    GivenUp {
        /// Why, and what to do.
        message: String,
    },
}

impl Event {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::SourcePrepared { .. } => "source-prepared",
            Self::TargetPrepared { .. } => "target-prepared",
            Self::Converged => "converged",
            Self::HandoffBegan { .. } => "handoff-began",
            Self::SideHeld { .. } => "side-held",
            Self::HoldLapsed { .. } => "hold-lapsed",
            Self::Held { .. } => "held",
            Self::ReleaseDeclined => "release-declined",
            Self::RecheckDeclined => "recheck-declined",
            Self::Released { .. } => "released",
            Self::Adopted { .. } => "adopted",
            Self::GatePassed { .. } => "gate-passed",
            Self::ResolversWaited => "resolvers-waited",
            Self::Retired { .. } => "retired",
            Self::SideSettled { .. } => "side-settled",
            Self::Settled => "settled",
            Self::Withdrawn => "withdrawn",
            Self::FenceBegan { .. } => "fence-began",
            Self::ReclaimBegan { .. } => "reclaim-began",
            Self::Fenced { .. } => "fenced",
            Self::Reclaimed { .. } => "reclaimed",
            Self::EpochRaised { .. } => "epoch-raised",
            Self::Turned => "turned",
            Self::UnprepareBegan => "unprepare-began",
            Self::SideUnprepared { .. } => "side-unprepared",
            Self::Unprepared => "unprepared",
            Self::GivenUp { .. } => "given-up",
        }
    }
}
