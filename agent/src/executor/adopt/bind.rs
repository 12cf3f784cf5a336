//! Step 9: the PersistentVolumes and claims of the ordinal, Bound to each other.
//!
//! For each disk: the PersistentVolume first, reserved for its claim by name (H6, H7); then the tombstone away, by uid
//! and resourceVersion; then the real claim, which names the volume. A new process sees which of these is next. The
//! step is done when claim and volume are Bound, the volume's claimRef carries the claim's uid, and the volume has the
//! ledger's handle.

use ferry_proto::agent::v1::{Adopt, ClaimedVolume};
use futures::future::{try_join, try_join_all};
use serde_json::Value;

use crate::{
    context::Context,
    executor::{
        api::{self, CLAIM, CLASS, Halted, Key, VOLUME},
        dependencies::not_created,
        object,
        tombstone::{self, Standing},
        topology::{self, Topology},
        travel,
        volumes::{self, Recorded},
        wait::Wait,
    },
    outcome::Stop,
};

const STEP: u32 = 9;
/// Phases of a claim or a volume that end the wait for both to be Bound.
const BOUND_OR_BROKEN: [&str; 3] = ["Bound", "Lost", "Failed"];

/// What is there already: for each disk its PersistentVolume, and what stands under the name of its claim.
///
/// # Errors
/// A conflict if another PersistentVolume names one of the disks (H12).
pub(super) async fn look(ctx: &Context, recorded: &[Recorded]) -> Result<Vec<Found>, Stop> {
    let found = recorded.iter().map(|disk| async {
        let key = disk.key(ctx);
        try_join(api::read(ctx, &key), tombstone::standing(ctx, object::name(&disk.claim))).await
    });
    let ((), found) = try_join(foreign(ctx, recorded), try_join_all(found)).await?;
    Ok(found)
}

/// What is there of one disk: its PersistentVolume and its claim.
pub(super) type Found = (Option<Value>, Standing);

/// Makes what is missing and waits until all is Bound.
pub(super) async fn run(
    ctx: &Context,
    command: &Adopt,
    recorded: &[Recorded],
    found: Vec<Found>,
) -> Halted<Vec<ClaimedVolume>> {
    ctx.progress.started(STEP, format!("making {} volumes and claims", recorded.len())).await;
    for (disk, (volume, standing)) in recorded.iter().zip(found) {
        let claim = Key::of(ctx, CLAIM, object::name(&disk.claim));
        make_volume(ctx, command, disk, &claim, volume).await?;
        make_claim(ctx, command, disk, &claim, standing).await?;
    }
    let bound = try_join_all(recorded.iter().map(|disk| wait_bound(ctx, STEP, disk))).await?;
    ctx.progress.done(STEP, "claims and PersistentVolumes are Bound to each other");
    Ok(bound)
}

/// Another PersistentVolume that names one of the disks (H12).
async fn foreign(ctx: &Context, recorded: &[Recorded]) -> Result<(), Stop> {
    if recorded.is_empty() {
        return Ok(());
    }
    for volume in api::list(ctx, VOLUME, "").await? {
        let id = object::volume_id(&volume);
        let disk = recorded.iter().find(|disk| disk.id == id);
        if let Some(disk) = disk.filter(|disk| object::name(&disk.volume) != object::name(&volume)) {
            return Err(Stop::conflict(format!(
                "PersistentVolume {} names the disk {} already, expected none but {} (H12). Delete that object, its \
                 policy being Retain",
                object::name(&volume),
                id.handle,
                object::name(&disk.volume)
            )));
        }
    }
    Ok(())
}

async fn make_volume(
    ctx: &Context,
    command: &Adopt,
    disk: &Recorded,
    claim: &Key,
    found: Option<Value>,
) -> Halted<()> {
    let key = disk.key(ctx);
    let epoch = ctx.command.epoch;
    let Some(found) = found else {
        let mut body =
            travel::volume(&disk.volume, &claim.namespace, &claim.name, &command.storage_classes, epoch);
        topology(ctx, &body).await?.rewrite(&mut body);
        return match api::create(ctx, &key, &body).await? {
            api::Written::Done(_) => Ok(()),
            other => Err(not_created(&key, &other)),
        };
    };
    let is_ours = object::epoch(&found) == epoch
        && object::volume_id(&found) == disk.id
        && object::text(&found, "/spec/claimRef/namespace") == claim.namespace
        && object::text(&found, "/spec/claimRef/name") == claim.name
        && !object::is_ending(&found);
    if is_ours {
        return Ok(());
    }
    Err(Stop::conflict(format!(
        "{key} exists and is not of this handoff: it has handle {} and epoch {}, expected {} and {epoch}{} (H12). Take \
         the ordinal back, which forgets what an earlier attempt made, or delete that object, its policy being Retain",
        object::volume_id(&found).handle,
        object::epoch(&found),
        disk.id.handle,
        if object::is_ending(&found) { ", and not being deleted" } else { "" }
    ))
    .into())
}

/// What the volume's class in this cluster says of the source's zones; nothing for a volume that names none.
pub(in crate::executor) async fn topology(ctx: &Context, volume: &Value) -> Result<Topology, Stop> {
    let name = object::text(volume, "/spec/storageClassName");
    if name.is_empty() || !Topology::concerns(volume) {
        return Ok(Topology::default());
    }
    let key = Key { kind: CLASS, namespace: String::new(), name: name.to_owned() };
    let class = api::read(ctx, &key).await?;
    Topology::of(class.as_ref()).map_err(|part| {
        Stop::conflict(format!(
            "the annotation {} of {key} cannot be read at {part:?}, expected KEY=VALUE:KEY=VALUE. Repair or remove it",
            topology::MAP
        ))
    })
}

async fn make_claim(
    ctx: &Context,
    command: &Adopt,
    disk: &Recorded,
    key: &Key,
    standing: Standing,
) -> Halted<()> {
    let epoch = ctx.command.epoch;
    match standing {
        Standing::Real(claim) => return Ok(ours(ctx, disk, key, &claim)?),
        Standing::Tombstone(tombstone) => tombstone::remove(ctx, STEP, &key.name, &tombstone, epoch).await?,
        Standing::Nothing => {}
    }
    let volume = object::name(&disk.volume);
    let body = travel::claim(&disk.claim, &key.namespace, volume, &command.storage_classes, epoch);
    match api::create(ctx, key, &body).await? {
        api::Written::Done(_) => Ok(()),
        other => Err(not_created(key, &other)),
    }
}

fn ours(ctx: &Context, disk: &Recorded, key: &Key, claim: &Value) -> Result<(), Stop> {
    let (volume, expected) = (object::text(claim, "/spec/volumeName"), object::name(&disk.volume));
    let epoch = ctx.command.epoch;
    if volume == expected && object::epoch(claim) == epoch && !object::is_ending(claim) {
        return Ok(());
    }
    Err(Stop::conflict(format!(
        "{key} (uid {}) exists and is not of this handoff: it names the volume {volume:?} and has epoch {}, expected \
         {expected:?} and {epoch}. It may hold data: look at it, then delete or rename it",
        object::uid(claim),
        object::epoch(claim)
    )))
}

/// Claim and volume of the disk, Bound to each other.
pub(in crate::executor) async fn wait_bound(
    ctx: &Context,
    step: u32,
    disk: &Recorded,
) -> Halted<ClaimedVolume> {
    let claim_key = Key::of(ctx, CLAIM, object::name(&disk.claim));
    let volume_key = disk.key(ctx);
    let mut wait = Wait::new(ctx, step);
    for key in [&claim_key, &volume_key] {
        wait.watch_for(key, |object| BOUND_OR_BROKEN.contains(&object::text(object, "/status/phase")));
    }
    loop {
        let (claim, volume) = try_join(api::read(ctx, &claim_key), api::read(ctx, &volume_key)).await?;
        let (Some(claim), Some(volume)) = (claim, volume) else {
            return Err(Stop::conflict(format!(
                "{claim_key} or {volume_key} was deleted by somebody else meanwhile"
            ))
            .into());
        };
        let claim_phase = object::text(&claim, "/status/phase");
        let volume_phase = object::text(&volume, "/status/phase");
        let named = object::text(&volume, "/spec/claimRef/uid");
        let is_strayed = !named.is_empty() && named != object::uid(&claim);
        if claim_phase == "Lost" || volume_phase == "Failed" || is_strayed {
            return Err(Stop::conflict(format!(
                "{claim_key} is {claim_phase} and {volume_key} is {volume_phase}, bound to a claim of uid {named:?}, \
                 expected both Bound to each other. Look at the events of both"
            ))
            .into());
        }
        if claim_phase == "Bound" && volume_phase == "Bound" && named == object::uid(&claim) {
            if object::volume_id(&volume) != disk.id {
                return Err(Stop::conflict(format!(
                    "{volume_key} has handle {}, the ledger says {}",
                    object::volume_id(&volume).handle,
                    disk.id.handle
                ))
                .into());
            }
            return Ok(volumes::claimed(&claim, &volume));
        }
        wait.pause(format!(
            "{claim_key} ({claim_phase}) and {volume_key} ({volume_phase}) to be Bound to each other"
        ))
        .await?;
    }
}
