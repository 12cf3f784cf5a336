//! `Finish` (handoff.md section 5, "Ending"): the source lets go of the name, and what is left there is named.
//!
//! Preconditions: the StatefulSet of that uid, if it is there, has an empty slice and no pod. It is deleted exactly as it
//! was read; then its name is watched for as long as the command says, because a GitOps sync or an operator that makes
//! it anew would start an EMPTY database under the same name. Then everything of the workload is looked for. Only with
//! `accept`, and only if nobody made the set anew, the tombstones go, each as it was read and of no later epoch than the
//! ledger's, and the guard after them. Nothing else is deleted; the epochs stay.
//!
//! The command may be sent again at any time, with `accept` later: it finds its work done and looks again.

use std::time::Duration;

use ferry_proto::agent::v1::{Finish, Finished, FinishedOrdinal};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    api::{self, ATTACHMENT, Halted, Key, POD, VOLUME},
    epochs, object, stateful_set,
    tombstone::{self, Standing},
    wait::Wait,
};
use crate::{context::Context, guard, outcome::Stop};

const STEP: u32 = 0;
/// Marks that say which tool keeps an object, by where they are.
const KEEPERS: [(&str, &str); 5] = [
    ("/metadata/annotations/argocd.argoproj.io~1tracking-id", "Argo CD, tracked as"),
    ("/metadata/labels/argocd.argoproj.io~1instance", "Argo CD, instance"),
    ("/metadata/labels/kustomize.toolkit.fluxcd.io~1name", "Flux, Kustomization"),
    ("/metadata/labels/helm.toolkit.fluxcd.io~1name", "Flux, HelmRelease"),
    ("/metadata/annotations/meta.helm.sh~1release-name", "Helm, release"),
];

/// Deletes the empty StatefulSet and looks for what is left.
pub(super) async fn run(ctx: &Context, command: &Finish) -> Halted<Finished> {
    let key = stateful_set::key(ctx);
    ctx.progress.started(STEP, format!("deleting the empty {key}")).await;
    epochs::keep(ctx, &[]).await?;
    let mut finished = Finished::default();
    match api::read(ctx, &key).await? {
        Some(set) if object::uid(&set) == command.stateful_set_uid => {
            stateful_set::delete_empty(ctx, STEP, &set).await?;
        }
        Some(_) | None => {}
    }
    let watch = Duration::from_millis(command.watch_ms.into());
    finished.recreated_by = recreated(ctx, &key, watch).await?;
    finished.stateful_set_gone = finished.recreated_by.is_empty();
    look(ctx, command, &mut finished).await?;
    if command.accept && finished.stateful_set_gone {
        bury(ctx, command, &mut finished).await?;
        guard::remove(ctx).await?;
        finished.accepted = true;
    }
    finished.by_hand = by_hand(ctx, command, &finished);
    ctx.progress.done(STEP, said(&key, &finished));
    Ok(finished)
}

fn said(key: &Key, finished: &Finished) -> String {
    match (finished.stateful_set_gone, finished.by_hand.len()) {
        (false, _) => format!("{key} was made anew by {}", finished.recreated_by),
        (true, 0) => format!("{key} is gone, and nothing of the workload is left here"),
        (true, left) => format!("{key} is gone; {left} things are left to do by hand"),
    }
}

/// Watches the name: who made a set of that name, empty if nobody did.
async fn recreated(ctx: &Context, key: &Key, watch: Duration) -> Result<String, Stop> {
    let end = Instant::now() + watch;
    let mut wait = Wait::new(ctx, STEP);
    wait.watch(key);
    loop {
        if let Some(set) = api::read(ctx, key).await? {
            return Ok(maker(&set));
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(String::new());
        }
        let message = format!("{} s to pass in which nothing makes {key} anew", watch.as_secs());
        wait.pause_most(message, left).await?;
    }
}

/// Who made the set, as far as its fields tell.
fn maker(set: &Value) -> String {
    let managers = object::items(set, "/metadata/managedFields").iter();
    let manager = managers
        .filter(|entry| object::text(entry, "/subresource").is_empty())
        .map(|entry| object::text(entry, "/manager"))
        .find(|manager| !manager.is_empty());
    let keeper = KEEPERS.iter().find_map(|(path, tool)| {
        let mark = object::text(set, path);
        (!mark.is_empty()).then(|| format!("{tool} {mark}"))
    });
    match (manager, keeper) {
        (Some(manager), Some(keeper)) => format!("{manager} ({keeper})"),
        (Some(manager), None) => manager.to_owned(),
        (None, Some(keeper)) => keeper,
        (None, None) => "somebody who leaves no mark".to_owned(),
    }
}

/// Everything of the workload that is here.
async fn look(ctx: &Context, command: &Finish, finished: &mut Finished) -> Result<(), Stop> {
    for FinishedOrdinal { ordinal, claims, .. } in &command.ordinals {
        let pod = stateful_set::pod_name(&ctx.command.workload, *ordinal);
        if api::read(ctx, &Key::of(ctx, POD, pod.clone())).await?.is_some() {
            finished.pods.push(pod);
        }
        for claim in claims {
            match tombstone::standing(ctx, claim).await? {
                Standing::Nothing => {}
                Standing::Tombstone(_) => finished.tombstones.push(claim.clone()),
                Standing::Real(_) => finished.claims.push(claim.clone()),
            }
        }
    }
    for volume in api::list(ctx, VOLUME, "").await? {
        let id = object::volume_id(&volume);
        if command.ordinals.iter().any(|ordinal| ordinal.volumes.contains(&id)) {
            finished.pvs.push(object::name(&volume).to_owned());
        }
    }
    for attachment in api::list(ctx, ATTACHMENT, "").await? {
        let volume = object::text(&attachment, "/spec/source/persistentVolumeName");
        if finished.pvs.iter().any(|pv| pv == volume) {
            finished.attachments.push(object::name(&attachment).to_owned());
        }
    }
    Ok(())
}

/// Removes the tombstones; nothing of the workload may be here that would meet an empty disk without them.
async fn bury(ctx: &Context, command: &Finish, finished: &mut Finished) -> Halted<()> {
    if let Some(pod) = finished.pods.first() {
        return Err(Stop::conflict(format!(
            "Pod {pod} is here although its ordinal has moved; without tombstones it could start on an empty disk. Find \
             out who made it and delete it, then finish again"
        ))
        .into());
    }
    for FinishedOrdinal { epoch, claims, .. } in &command.ordinals {
        for name in claims {
            if let Standing::Tombstone(tombstone) = tombstone::standing(ctx, name).await? {
                tombstone::remove(ctx, STEP, name, &tombstone, *epoch).await?;
            }
        }
    }
    finished.tombstones.clear();
    Ok(())
}

/// What a person has to do, one line each.
fn by_hand(ctx: &Context, command: &Finish, finished: &Finished) -> Vec<String> {
    let key = stateful_set::key(ctx);
    let mut lines = Vec::new();
    if !finished.recreated_by.is_empty() {
        let kept = if command.accept { " The tombstones stay meanwhile, accepted or not." } else { "" };
        lines.push(format!(
            "{key} exists: {} made it. Remove it from what deploys it, delete it, then finish again.{kept}",
            finished.recreated_by
        ));
    }
    for pod in &finished.pods {
        lines.push(format!(
            "Pod {pod} is here although its ordinal has moved: find out who made it, delete it"
        ));
    }
    for claim in &finished.claims {
        lines.push(format!("PersistentVolumeClaim {claim} is no tombstone and may hold data: look at it"));
    }
    for attachment in &finished.attachments {
        lines.push(format!("VolumeAttachment {attachment} attaches a moved disk here: find out who made it"));
    }
    for volume in &finished.pvs {
        lines.push(format!(
            "PersistentVolume {volume} names a disk that has moved: delete the object, its policy being Retain"
        ));
    }
    if !finished.tombstones.is_empty() {
        lines.push(format!(
            "{} tombstones keep stray pods from empty disks; once nothing can make {key} anew, accept the end, and they \
             go",
            finished.tombstones.len()
        ));
    }
    lines
}
