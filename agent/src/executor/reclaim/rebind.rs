//! Undo of step 7: every disk of the ordinal with its claim again, Bound to each other.
//!
//! For each disk, what a new process sees next: the recorded claim, which Release had not deleted, gets the epoch; one
//! that is being deleted is waited for; otherwise the PersistentVolume is marked and loses the uid of the claim that is
//! gone (the API server then has it reserved for that name, H6), the tombstone goes by uid and resourceVersion, and the
//! recorded claim is created, naming the volume, without the binder's annotations (H8). Creation collides with whatever
//! somebody else puts there meanwhile; a claim under the name that is neither the recorded one nor of this command stops
//! the step.

use ferry_proto::agent::v1::ClaimedVolume;
use serde_json::{Value, json};

use crate::{
    context::Context,
    executor::{
        adopt::bind,
        api::{self, CLAIM, Halt, Halted, Key, Written},
        dependencies::not_created,
        epochs,
        object::{self, EPOCH},
        tombstone::{self, Standing},
        travel,
        volumes::{self, Recorded},
        wait::Wait,
    },
    outcome::Stop,
};

const STEP: u32 = 7;
/// What a claim of the same cluster keeps although it would not travel to another.
const KEPT: [&str; 3] = [
    "volume.kubernetes.io/storage-provisioner",
    "volume.beta.kubernetes.io/storage-provisioner",
    "kubectl.kubernetes.io/last-applied-configuration",
];

/// Gives every disk its claim back and waits until all is Bound.
pub(super) async fn run(ctx: &Context, recorded: &[Recorded]) -> Halted<Vec<ClaimedVolume>> {
    ctx.progress.started(STEP, format!("giving {} disks their claims back", recorded.len())).await;
    for disk in recorded {
        available(ctx, disk).await?;
    }
    for disk in recorded {
        claim(ctx, disk).await?;
    }
    let mut bound = Vec::new();
    for disk in recorded {
        bound.push(bind::wait_bound(ctx, STEP, disk).await?);
    }
    ctx.progress.done(STEP, "claims and PersistentVolumes are Bound to each other again");
    Ok(bound)
}

/// The recorded PersistentVolume, `Retain` and reserved for its claim.
async fn available(ctx: &Context, disk: &Recorded) -> Result<Value, Stop> {
    let key = disk.key(ctx);
    if api::read(ctx, &key).await?.is_none() {
        return Err(Stop::conflict(format!(
            "{key} of the disk {} does not exist any more: it was retired, or somebody deleted it. The disk comes back \
             by a handoff from the cluster that has it, or by a PersistentVolume made by hand around its handle",
            disk.id.handle
        )));
    }
    let volume = volumes::retained(ctx, disk).await?;
    let claim = object::name(&disk.claim);
    let named =
        (object::text(&volume, "/spec/claimRef/namespace"), object::text(&volume, "/spec/claimRef/name"));
    if named == (ctx.command.namespace.as_str(), claim) && !object::is_ending(&volume) {
        return Ok(volume);
    }
    Err(Stop::conflict(format!(
        "{key} is reserved for {}/{}{}, expected {}/{claim}: somebody else has claimed the disk. Look at that claim",
        named.0,
        named.1,
        if object::is_ending(&volume) { " and being deleted" } else { "" },
        ctx.command.namespace
    )))
}

/// The disk's claim exists when this returns.
async fn claim(ctx: &Context, disk: &Recorded) -> Halted<()> {
    let key = Key::of(ctx, CLAIM, object::name(&disk.claim));
    let epoch = ctx.command.epoch;
    match tombstone::standing(ctx, &key.name).await? {
        Standing::Real(claim) => {
            ours(ctx, disk, &key, &claim)?;
            if !object::is_ending(&claim) {
                mark(ctx, disk, &key, &claim).await?;
                return Ok(());
            }
            gone(ctx, &key, &claim).await?;
            return Err(Halt::Again(format!("{key} was being deleted and is gone now")));
        }
        Standing::Tombstone(tombstone) => {
            free(ctx, disk).await?;
            tombstone::remove(ctx, STEP, &key.name, &tombstone, epoch).await?;
        }
        Standing::Nothing => free(ctx, disk).await?,
    }
    match api::create(ctx, &key, &body(ctx, disk)).await? {
        Written::Done(_) => Ok(()),
        other => Err(not_created(&key, &other)),
    }
}

/// The recorded claim itself, or the one that an earlier process of this command made.
fn ours(ctx: &Context, disk: &Recorded, key: &Key, claim: &Value) -> Result<(), Stop> {
    let (volume, expected) = (object::text(claim, "/spec/volumeName"), object::name(&disk.volume));
    let is_recorded = object::uid(claim) == object::uid(&disk.claim);
    let (found, epoch) = (object::epoch(claim), ctx.command.epoch);
    if volume == expected && (is_recorded || found == epoch) && found <= epoch {
        return Ok(());
    }
    Err(Stop::conflict(format!(
        "{key} (uid {}) is not the claim of the disk: it names the volume {volume:?} and has epoch {found}, expected \
         {expected:?} and {epoch}. It may hold data: look at it, then delete or rename it",
        object::uid(claim)
    )))
}

/// The epoch on claim and volume: a deletion that was decided before does not pass any more.
async fn mark(ctx: &Context, disk: &Recorded, key: &Key, claim: &Value) -> Halted<()> {
    let epoch = ctx.command.epoch;
    if object::epoch(claim) < epoch {
        api::amend(ctx, key, claim, object::annotate(claim, &[(EPOCH, &epoch.to_string())])).await?;
    }
    let volume = available(ctx, disk).await?;
    volumes::set_policy(ctx, &volume, "Retain", epoch).await?;
    Ok(())
}

/// Waits for the end of a claim whose deletion Release had asked for.
async fn gone(ctx: &Context, key: &Key, claim: &Value) -> Halted<()> {
    let mut wait = Wait::new(ctx, STEP);
    wait.watch(key);
    while let Some(now) = api::read(ctx, key).await? {
        if object::uid(&now) != object::uid(claim) {
            return Ok(());
        }
        wait.pause(format!("the deletion of {key}, which is made again then{}", tombstone::held_by(&now)))
            .await?;
    }
    Ok(())
}

/// The disk's PersistentVolume without the uid of the claim that is gone.
async fn free(ctx: &Context, disk: &Recorded) -> Halted<()> {
    let (key, epoch) = (disk.key(ctx), ctx.command.epoch);
    let volume = available(ctx, disk).await?;
    epochs::not_later(ctx, &key, &volume)?;
    let mut changes = Vec::new();
    for field in ["uid", "resourceVersion"] {
        let path = format!("/spec/claimRef/{field}");
        if volume.pointer(&path).is_some() {
            changes.push(json!({"op": "remove", "path": path}));
        }
    }
    if changes.is_empty() && object::epoch(&volume) == epoch {
        return Ok(());
    }
    changes.extend(object::annotate(&volume, &[(EPOCH, &epoch.to_string())]));
    api::amend(ctx, &key, &volume, changes).await?;
    Ok(())
}

/// The recorded claim around its volume, for the same cluster.
fn body(ctx: &Context, disk: &Recorded) -> Value {
    let none = std::collections::HashMap::new();
    let (namespace, volume) = (&ctx.command.namespace, object::name(&disk.volume));
    let mut body = travel::claim(&disk.claim, namespace, volume, &none, ctx.command.epoch);
    if let Some(annotations) = body.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        for key in KEPT {
            if let Some(kept) = object::annotation(&disk.claim, key) {
                annotations.insert(key.into(), kept.into());
            }
        }
    }
    body
}
