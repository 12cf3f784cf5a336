//! Carries out the commands that change the cluster, one file each.
//!
//! Every executor is a straight line from "what does the cluster show" to "what is left to do": it keeps its epoch
//! ([`epochs`]) before it writes, looks with quorum reads, writes only what is missing, waits for what the step table of
//! handoff.md demands, and reports evidence read back from the API server. So the same code begins, repeats and resumes.
//! [`run`] uses that: where a write's answer was lost or a race was lost, it starts the executor anew, as a new process
//! would.

use std::time::Duration;

use ferry_proto::agent::v1::command::Body;

use self::api::{Halt, Halted};
use crate::{
    context::Context,
    limits,
    outcome::{Ended, Evidence, Stop},
};

mod adopt;
pub(crate) mod api;
pub(crate) mod budget;
mod dependencies;
pub mod epochs;
mod fence;
mod finish;
mod forget;
mod hold;
mod node;
pub(crate) mod object;
mod originals;
mod prepare_source;
mod prepare_target;
mod probe;
mod pull;
mod reclaim;
mod release;
mod retire;
mod settle;
mod slice_patch;
#[cfg(test)]
mod small_server;
mod stateful_set;
pub mod tombstone;
pub(crate) mod topology;
mod travel;
mod unprepare;
mod volumes;
mod wait;
pub mod watches;

/// Carries `body` out. Inspections never come here.
///
/// # Errors
/// A refusal or what is not known: see [`Stop`].
pub async fn run(ctx: &Context, body: Body) -> Ended {
    let mut pause = limits::ATTEMPT_PAUSE_FIRST;
    let mut why = String::new();
    for _ in 0..limits::ATTEMPTS {
        match attempt(ctx, &body).await {
            Ok(evidence) => return Ok(evidence),
            Err(Halt::Stop(stop)) => return Err(stop),
            Err(Halt::Again(again)) => why = again,
        }
        if ctx.remaining() <= pause + limits::DEADLINE_MARGIN {
            break;
        }
        ctx.progress.waiting(ctx.progress.step(), format!("looking at the cluster again: {why}"));
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(limits::ATTEMPT_PAUSE_MOST).max(Duration::from_millis(1));
    }
    Err(Stop::unknown(format!("No attempt came to a clear end; of the last one it is known that {why}")))
}

async fn attempt(ctx: &Context, body: &Body) -> Halted<Evidence> {
    Ok(match body {
        Body::PrepareSource(command) => Evidence::SourcePrepared(prepare_source::run(ctx, command).await?),
        Body::PrepareTarget(command) => Evidence::TargetPrepared(prepare_target::run(ctx, command).await?),
        Body::Hold(command) => Evidence::Held(hold::run(ctx, command).await?),
        Body::Release(command) => Evidence::Released(release::run(ctx, command).await?),
        Body::Adopt(command) => Evidence::Adopted(adopt::run(ctx, command).await?),
        Body::Retire(command) => Evidence::Retired(retire::run(ctx, command).await?),
        Body::Settle(command) => Evidence::Settled(settle::run(ctx, command).await?),
        Body::Fence(command) => Evidence::Fenced(fence::run(ctx, command).await?),
        Body::Reclaim(command) => Evidence::Reclaimed(reclaim::run(ctx, command).await?),
        Body::Unprepare(command) => Evidence::Unprepared(unprepare::run(ctx, command).await?),
        Body::Probe(command) => Evidence::Probed(probe::run(ctx, command).await?),
        Body::Finish(command) => Evidence::Finished(finish::run(ctx, command).await?),
        Body::InspectSource(_) | Body::InspectTarget(_) => {
            return Err(
                Stop::not_understood("An inspection changes nothing and is not carried out here").into()
            );
        }
    })
}

#[cfg(test)]
#[path = "writes_tests.rs"]
mod writes_tests;
