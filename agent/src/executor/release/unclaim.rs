//! Step 7: tombstones in the place of the ordinal's claims.
//!
//! For each claim, one after the other: the PersistentVolume is marked with the epoch, and `Retain` by the answer (I7);
//! the claim is deleted by uid and resourceVersion, so that one which a later command has taken back stays; when it is
//! gone, the tombstone is created at once. Between any two of these writes a new process sees which of them is next: a
//! real claim of the recorded uid, nothing, or a tombstone. Anything else under the name is somebody else's, and stops
//! the step. Finalizers are waited for or named, never taken off (H9).

use ferry_proto::agent::v1::ClaimedVolume;
use futures::future::try_join_all;
use serde_json::Value;

use super::Work;
use crate::{
    executor::{
        api::{self, CLAIM, Halt, Halted, Key, Written},
        epochs, object,
        tombstone::{self, Standing},
        volumes::{self, Recorded},
        wait::Wait,
    },
    outcome::Stop,
};

/// The finalizer that Kubernetes itself takes off when no pod uses the claim.
const PROTECTION: &[&str] = &["kubernetes.io/pvc-protection"];

/// Replaces every claim; the claims right before their deletion, the volumes Released and `Retain`.
pub(super) async fn run(work: &Work<'_>) -> Halted<Vec<ClaimedVolume>> {
    let ctx = work.ctx;
    let step = work.steps.claims;
    ctx.progress.started(step, format!("replacing {} claims by tombstones", work.claims.len())).await;
    let mut claims = Vec::new();
    for (recorded, name) in work.volumes.iter().zip(&work.claims) {
        let claim = match tombstone::standing(ctx, name).await? {
            Standing::Real(claim) => {
                delete(work, recorded, &claim).await?;
                tombstone::leave_in_gap(ctx, name, ctx.command.epoch).await?;
                claim
            }
            Standing::Nothing | Standing::Tombstone(_) => {
                tombstone::leave(ctx, step, name, ctx.command.epoch).await?;
                recorded.claim.clone()
            }
        };
        claims.push(claim);
    }
    let released = try_join_all(work.volumes.iter().map(|recorded| released(work, recorded))).await?;
    ctx.progress.done(step, "tombstones stand, the PersistentVolumes are Released and Retain");
    Ok(claims.iter().zip(&released).map(|(claim, volume)| volumes::claimed(claim, volume)).collect())
}

/// Deletes the claim as it was recorded and as it was read, and waits until it is gone.
///
/// # Errors
/// `STALE_EPOCH` if a later command has taken the claim back.
pub(in crate::executor) async fn delete(work: &Work<'_>, recorded: &Recorded, claim: &Value) -> Halted<()> {
    let key = Key::of(work.ctx, CLAIM, object::name(claim));
    let expected = object::uid(&recorded.claim);
    if object::uid(claim) != expected {
        return Err(Stop::conflict(format!(
            "{key} has uid {}, expected {expected}: a claim was made anew under that name, and it may hold data. Look \
             at it, then delete or rename it",
            object::uid(claim)
        ))
        .into());
    }
    epochs::not_later(work.ctx, &key, claim)?;
    stuck(work, &key, claim)?;
    let volume = volumes::retained(work.ctx, recorded).await?;
    let volume = volumes::set_policy(work.ctx, &volume, "Retain", work.ctx.command.epoch).await?;
    if !object::is_ending(claim) {
        volumes::is_retained(work.ctx, recorded, &volume)?;
        match api::delete(work.ctx, &key, expected, Some(object::version(claim))).await? {
            Written::Done(_) | Written::Missing => {}
            _ => return Err(Halt::Again(format!("{key} was changed by somebody else meanwhile"))),
        }
    }
    let mut wait = Wait::new(work.ctx, work.steps.claims);
    wait.watch_end(&key);
    while let Some(now) = api::read(work.ctx, &key).await? {
        if object::uid(&now) != expected {
            return Err(Halt::Again(format!("{key} was made anew meanwhile")));
        }
        stuck(work, &key, &now)?;
        wait.pause(format!("the deletion of {key}{}", tombstone::held_by(&now))).await?;
    }
    Ok(())
}

fn stuck(work: &Work<'_>, key: &Key, claim: &Value) -> Result<(), Stop> {
    let finalizers = object::finalizers_beyond(claim, PROTECTION);
    if finalizers.is_empty() {
        return Ok(());
    }
    Err(Stop::conflict(format!(
        "{key} has the finalizers {}; whoever set them has to take them off before the claim can be deleted",
        finalizers.join(", ")
    ))
    .at(work.steps.claims))
}

async fn released(work: &Work<'_>, recorded: &Recorded) -> Halted<Value> {
    let mut wait = Wait::new(work.ctx, work.steps.claims);
    let key = recorded.key(work.ctx);
    loop {
        let volume = volumes::retained(work.ctx, recorded).await?;
        match object::text(&volume, "/status/phase") {
            "Released" => return Ok(volume),
            "Failed" => {
                return Err(Stop::conflict(format!(
                    "{key} is Failed, expected Released: {}",
                    object::text(&volume, "/status/message")
                ))
                .into());
            }
            phase => {
                wait.watch(&key);
                wait.pause(format!("{key} to be Released; it is {phase}")).await?;
            }
        }
    }
}
