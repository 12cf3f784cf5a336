//! The courses of commands in which every write of every command is struck: data, and nothing else.
//!
//! A command that has a [`Act::Place`] meets the fault of the run, is sent again and must end as without it; one that is
//! [`Act::Abandoned`] meets it and is taken back, by commands that meet it as well. Each course is as short as what its
//! commands need before them, for it is gone through once for each write and each fault.

use crate::journey::Verb;

/// One part of a course.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// The handoff of the last ordinal begins.
    Begin,
    /// It is about to be taken back.
    Withdraw,
    /// The command, without a fault.
    Plain(Verb),
    /// The command, struck and sent again.
    Place(Verb),
    /// The command, struck and not sent again.
    Abandoned(Verb),
    /// The command, struck and sent again, after one that was abandoned anywhere: what it has to do is not the same in
    /// each run, what it leaves is.
    Undone(Verb),
}

/// Commands in order, on a workload of their own.
#[derive(Debug)]
pub(crate) struct Course {
    /// In the names of its namespaces.
    pub(crate) name: &'static str,
    /// Replicas of the workload.
    pub(crate) replicas: u32,
    /// What is done.
    pub(crate) acts: &'static [Act],
    /// Whether only a death leaves its commands undone.
    pub(crate) is_of_deaths: bool,
}

use Act::{Abandoned, Begin, Place, Plain, Undone, Withdraw};
use Verb::{
    Accept, Adopt, EndSource, EndTarget, Fence, Finish, HoldSource, HoldTarget, Mirror, PrepareSource,
    PrepareTarget, ProbeMake, ProbeRead, ProbeRemove, Reclaim, Release, Retire, SettleSource, SettleTarget,
    Unmirror, UnprepareSource, UnprepareTarget,
};

/// Every course.
pub(crate) static COURSES: [Course; 5] = [
    Course {
        name: "there",
        replicas: 2,
        acts: &[
            Place(PrepareSource),
            Place(PrepareTarget),
            Begin,
            Place(HoldSource),
            Place(HoldTarget),
            Place(Mirror),
            Place(Release),
            Place(Adopt),
            Place(Retire),
            Place(Unmirror),
            Place(SettleSource),
            Place(SettleTarget),
            Place(EndSource),
            Place(EndTarget),
        ],
        is_of_deaths: false,
    },
    Course {
        name: "back",
        replicas: 2,
        acts: &[
            Plain(PrepareSource),
            Plain(PrepareTarget),
            Begin,
            Plain(HoldSource),
            Plain(HoldTarget),
            Plain(Release),
            Plain(Adopt),
            Withdraw,
            Place(Fence),
            Place(Reclaim),
            Place(UnprepareSource),
            Place(UnprepareTarget),
        ],
        is_of_deaths: false,
    },
    Course {
        name: "abandoned",
        replicas: 2,
        acts: &[
            Plain(PrepareSource),
            Plain(PrepareTarget),
            Begin,
            Plain(HoldSource),
            Plain(HoldTarget),
            Abandoned(Release),
            Withdraw,
            Undone(Reclaim),
            Begin,
            Plain(HoldSource),
            Plain(HoldTarget),
            Plain(Release),
            Abandoned(Adopt),
            Withdraw,
            Undone(Fence),
            Undone(Reclaim),
            Undone(UnprepareSource),
            Undone(UnprepareTarget),
        ],
        is_of_deaths: true,
    },
    Course {
        name: "ended",
        replicas: 1,
        acts: &[
            Plain(PrepareSource),
            Plain(PrepareTarget),
            Begin,
            Plain(HoldSource),
            Plain(HoldTarget),
            Plain(Release),
            Plain(Adopt),
            Plain(Retire),
            Plain(EndSource),
            Plain(EndTarget),
            Place(Finish),
            Place(Accept),
        ],
        is_of_deaths: false,
    },
    Course {
        name: "probed",
        replicas: 0,
        acts: &[Place(ProbeMake), Place(ProbeRead), Place(ProbeRemove)],
        is_of_deaths: false,
    },
];
