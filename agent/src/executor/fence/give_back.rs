//! Undo of step 9: tombstones instead of the claims, and no PersistentVolume of the disks.
//!
//! Nothing is touched before every claim and every PersistentVolume that names the disks is known to be of the
//! adoption: by its epoch, the disk's handle and the names that the adoption gives. Then, claim by claim, as in step 7:
//! marked and read back as `Retain`, deleted, a tombstone at once; then the PersistentVolumes. The tombstones that the
//! adoption had not removed yet get the epoch, so that it cannot remove them any more.

use serde_json::Value;

use crate::{
    executor::{
        api::{self, CLAIM, Halted, Key, VOLUME},
        forget, object,
        release::{Work, unclaim},
        tombstone::{self, Standing},
        volumes::Recorded,
    },
    outcome::Stop,
};

/// What this process took back.
pub(super) struct Given {
    /// PersistentVolumes that it deleted.
    pub(super) pv_names: Vec<String>,
    /// Whether it found a real claim.
    pub(super) had_claims: bool,
}

/// Takes back what the adoption made.
pub(super) async fn run(work: &Work<'_>) -> Halted<Given> {
    let ctx = work.ctx;
    let step = work.steps.claims;
    ctx.progress.started(step, format!("taking {} volumes and claims back", work.volumes.len())).await;
    let volumes = ours(work).await?;
    let mut claims = Vec::new();
    for (recorded, name) in work.volumes.iter().zip(&work.claims) {
        claims.push(claim(work, recorded, name).await?);
    }
    let had_claims = claims.iter().any(Option::is_some);
    for ((recorded, name), claim) in work.volumes.iter().zip(&work.claims).zip(claims) {
        if let Some(claim) = claim {
            let Some(volume) = volumes.iter().find(|volume| object::volume_id(volume) == recorded.id) else {
                return Err(Stop::conflict(format!(
                    "{} is a claim of the adoption whose PersistentVolume {} is gone: somebody deleted it. Delete the \
                     claim, which has no disk any more",
                    Key::of(ctx, CLAIM, name.as_str()),
                    object::name(&recorded.volume)
                ))
                .into());
            };
            let here = Recorded { claim: claim.clone(), volume: volume.clone(), id: recorded.id.clone() };
            unclaim::delete(work, &here, &claim).await?;
        }
        tombstone::leave(ctx, step, name, ctx.command.epoch).await?;
    }
    let mut pv_names = Vec::new();
    for volume in volumes {
        let (name, id) = (object::name(&volume).to_owned(), object::volume_id(&volume));
        let here = Recorded { claim: Value::Null, volume, id };
        settled(work, &here).await?;
        forget::volume(ctx, step, &here, &["Released", "Available"]).await?;
        pv_names.push(name);
    }
    ctx.progress.done(step, "tombstones stand, and no PersistentVolume names the disks");
    Ok(Given { pv_names, had_claims })
}

/// The PersistentVolumes that name the disks: all of the adoption.
async fn ours(work: &Work<'_>) -> Result<Vec<Value>, Stop> {
    let mut found = Vec::new();
    if work.volumes.is_empty() {
        return Ok(found);
    }
    for volume in api::list(work.ctx, VOLUME, "").await? {
        let id = object::volume_id(&volume);
        let disk = work.volumes.iter().zip(&work.claims).find(|(recorded, _)| recorded.id == id);
        let Some((recorded, claim)) = disk else { continue };
        let is_ours = is_adopted(work, &volume)
            && object::name(&volume) == object::name(&recorded.volume)
            && object::text(&volume, "/spec/claimRef/namespace") == work.ctx.command.namespace
            && object::text(&volume, "/spec/claimRef/name") == claim;
        if !is_ours {
            return Err(Stop::conflict(format!(
                "PersistentVolume {} names the disk {} and is not of this handoff: it has epoch {}, expected 1 to {} (H12). \
                 Delete that object, its policy being Retain",
                object::name(&volume),
                id.handle,
                object::epoch(&volume),
                work.ctx.command.epoch
            )));
        }
        found.push(volume);
    }
    Ok(found)
}

/// The real claim under that name, if there is one: of the adoption.
async fn claim(work: &Work<'_>, recorded: &Recorded, name: &str) -> Result<Option<Value>, Stop> {
    let Standing::Real(claim) = tombstone::standing(work.ctx, name).await? else { return Ok(None) };
    let expected = object::name(&recorded.volume);
    let found = object::text(&claim, "/spec/volumeName");
    if is_adopted(work, &claim) && found == expected {
        return Ok(Some(claim));
    }
    Err(Stop::conflict(format!(
        "{} (uid {}) is not of this handoff: it names the volume {found:?} and has epoch {}, expected {expected:?} and \
         1 to {}. It may hold data: look at it, then delete or rename it",
        Key::of(work.ctx, CLAIM, name),
        object::uid(&claim),
        object::epoch(&claim),
        work.ctx.command.epoch
    )))
}

/// Waits until a PersistentVolume whose claim is gone is not Bound any more.
async fn settled(work: &Work<'_>, here: &Recorded) -> Halted<()> {
    let key = here.key(work.ctx);
    let mut wait = crate::executor::wait::Wait::new(work.ctx, work.steps.claims);
    while let Some(volume) = api::read(work.ctx, &key).await? {
        let phase = object::text(&volume, "/status/phase");
        if !matches!(phase, "Bound" | "Pending" | "") {
            break;
        }
        wait.watch(&key);
        wait.pause(format!("{key} to be Released; it is {phase:?}")).await?;
    }
    Ok(())
}

/// Whether the object bears the epoch of an adoption: one below the command's (far below, where a restored ledger asks),
/// or the command's own after it was marked.
fn is_adopted(work: &Work<'_>, object: &Value) -> bool {
    (1..=work.ctx.command.epoch).contains(&object::epoch(object))
}
