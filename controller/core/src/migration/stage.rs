//! The table of a migration: which event is legal in which stage, and where it leads.
//!
//! A stage says which commands may be under way (see `desired`); an event is a durable fact of the journal. The
//! match names every event, so that a new one does not compile until its place here is decided. Whether an event's
//! evidence is to be believed is decided before (see `evidence`); here it is only whether it can happen now.

use serde::{Deserialize, Serialize};

use crate::migration::event::Event;

/// Where a migration stands, for the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The source is being prepared.
    PreparingSource,
    /// The target is being prepared.
    PreparingTarget,
    /// Endpoints of all replicas are being mirrored.
    Converging,
    /// Between ordinals: nothing is under way.
    Between,
    /// Steps 2 and 3, both sides.
    Holding,
    /// Steps 5 to 8, the source.
    Releasing,
    /// Steps 9 and 10, the target.
    Adopting,
    /// Step 11: endpoints converge.
    Gating,
    /// Step 11: resolvers' caches expire.
    Resolving,
    /// Step 12, the source.
    Retiring,
    /// Step 13, both sides.
    Settling,
    /// The end, both sides.
    Finishing,
    /// Undo of steps 9 and 10, the target: it says that nothing of the ordinal is there or will be.
    Fencing,
    /// Undo of steps 5 to 8, the source.
    Reclaiming,
    /// Undo of preparation, both sides.
    Unpreparing,
    /// All ordinals are with the target.
    Completed,
    /// Given up before any ordinal moved.
    Refused,
    /// Everything was given back.
    RolledBack,
}

/// An event that cannot happen in that stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{event} cannot happen in stage {stage:?}")]
pub struct Illegal {
    /// The stage.
    pub stage: Stage,
    /// The event's name.
    pub event: &'static str,
}

impl Stage {
    /// Whether nothing more will happen.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Refused | Self::RolledBack)
    }

    /// Whether no ordinal has moved yet.
    #[must_use]
    pub fn is_preparing(self) -> bool {
        matches!(self, Self::PreparingSource | Self::PreparingTarget | Self::Converging)
    }

    /// Whether nothing is under way that a pause has to wait for.
    #[must_use]
    pub fn is_at_rest(self) -> bool {
        self.is_preparing() || matches!(self, Self::Between | Self::Unpreparing)
    }

    /// Whether an ordinal is being taken back.
    #[must_use]
    pub fn is_undoing(self) -> bool {
        matches!(self, Self::Fencing | Self::Reclaiming)
    }

    /// The stage after that event.
    ///
    /// # Errors
    /// [`Illegal`] when the event cannot happen now.
    pub fn after(self, event: &Event) -> Result<Self, Illegal> {
        let moves: &[(Self, Self)] = match event {
            Event::SourcePrepared { .. } => &[(Self::PreparingSource, Self::PreparingTarget)],
            Event::TargetPrepared { .. } => &[(Self::PreparingTarget, Self::Converging)],
            Event::Converged => &[(Self::Converging, Self::Between)],
            Event::HandoffBegan { .. } => &[(Self::Between, Self::Holding)],
            Event::SideHeld { .. } | Event::HoldLapsed { .. } => &[(Self::Holding, Self::Holding)],
            Event::Held { .. } | Event::RecheckDeclined => &[(Self::Holding, Self::Releasing)],
            Event::ReleaseDeclined => &[(Self::Releasing, Self::Holding)],
            Event::Released { .. } => &[(Self::Releasing, Self::Adopting)],
            Event::Adopted { .. } => &[(Self::Adopting, Self::Gating)],
            Event::GatePassed { .. } => &[(Self::Gating, Self::Resolving)],
            Event::ResolversWaited => &[(Self::Resolving, Self::Retiring)],
            Event::Retired { last: false } => &[(Self::Retiring, Self::Settling)],
            Event::Retired { last: true } => &[(Self::Retiring, Self::Finishing)],
            Event::SideSettled { .. } => {
                &[(Self::Settling, Self::Settling), (Self::Finishing, Self::Finishing)]
            }
            Event::Settled => &[(Self::Settling, Self::Between), (Self::Finishing, Self::Completed)],
            Event::Withdrawn => &[(Self::Holding, Self::Settling), (Self::Releasing, Self::Settling)],
            Event::FenceBegan { .. } => &[
                (Self::Holding, Self::Fencing),
                (Self::Releasing, Self::Fencing),
                (Self::Adopting, Self::Fencing),
                (Self::Gating, Self::Fencing),
                (Self::Resolving, Self::Fencing),
            ],
            Event::ReclaimBegan { .. } => &[
                (Self::Holding, Self::Reclaiming),
                (Self::Releasing, Self::Reclaiming),
                (Self::Adopting, Self::Reclaiming),
            ],
            Event::Fenced { .. } => &[(Self::Fencing, Self::Reclaiming)],
            Event::Reclaimed { .. } => &[(Self::Reclaiming, Self::Settling)],
            Event::EpochRaised { .. } => &[
                (Self::Holding, Self::Holding),
                (Self::Releasing, Self::Releasing),
                // What was proven, was proven before somebody went on above it: it is proven anew.
                (Self::Adopting, Self::Releasing),
                (Self::Retiring, Self::Retiring),
                (Self::Fencing, Self::Fencing),
                (Self::Reclaiming, Self::Fencing),
            ],
            Event::Turned => &[(Self::Between, Self::Between)],
            Event::UnprepareBegan => &[
                (Self::PreparingSource, Self::Unpreparing),
                (Self::PreparingTarget, Self::Unpreparing),
                (Self::Converging, Self::Unpreparing),
                (Self::Between, Self::Unpreparing),
            ],
            Event::SideUnprepared { .. } => &[(Self::Unpreparing, Self::Unpreparing)],
            Event::Unprepared => &[(Self::Unpreparing, Self::RolledBack)],
            Event::GivenUp { .. } => {
                &[(Self::PreparingSource, Self::Refused), (Self::PreparingTarget, Self::Refused)]
            }
        };
        moves
            .iter()
            .find(|(from, _)| *from == self)
            .map(|(_, to)| *to)
            .ok_or(Illegal { stage: self, event: event.name() })
    }
}
