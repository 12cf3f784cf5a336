//! `PrepareTarget` (handoff.md section 4, D): a place for the workload, in which nothing can start by mistake.
//!
//! Preconditions: no object of the same name that is not ours (H23, by the uids the ledger knows, or by the mark of
//! this migration on what an interrupted attempt made); our StatefulSet, where there is one, with the slice that the
//! plan saw (empty, unless an earlier migration moved a part) and the identical template as this API server defaults
//! it (H15).
//!
//! Order: namespace; epochs kept; the guard, enforced; dependencies; a tombstone for every ordinal; then, and only then,
//! the StatefulSet with an empty slice (H13): a set that somebody scales up by mistake meets the tombstones. Nothing that
//! is made here collides with anything, so whether the command is of the past is asked before each: a process that was
//! paused makes one object at most after its preparation was taken back.

use ferry_proto::agent::v1::{Description, PrepareTarget, Slice, TargetPrepared};
use serde_json::{Value, json};

use super::{
    api::{self, Halt, Halted, Key, Written},
    dependencies, epochs,
    object::{self, EPOCH, MADE_BY},
    pull,
    slice_patch::SLICE,
    stateful_set, tombstone, travel,
};
use crate::{
    context::Context,
    guard::{self, Contents, blame},
    outcome::Stop,
};

const STEP: u32 = 0;
/// What must be equal besides the template; the first two are immutable.
const SHAPE: [&str; 5] = [
    "/spec/selector",
    "/spec/volumeClaimTemplates",
    "/spec/serviceName",
    "/spec/podManagementPolicy",
    "/spec/minReadySeconds",
];

/// Prepares the target.
pub(super) async fn run(ctx: &Context, command: &PrepareTarget) -> Halted<TargetPrepared> {
    let key = stateful_set::key(ctx);
    ctx.progress.started(STEP, format!("preparing a place for {key}")).await;
    let (Some(description), Some(slice)) = (&command.description, &command.slice) else {
        return Err(Stop::not_understood("The command lacks the workload's description or the slice").into());
    };
    let source = object::parse(description.stateful_set.as_ref(), "the StatefulSet")?;
    let kept = epochs::pairs(&command.epochs);
    let epoch = kept.iter().map(|(_, epoch)| *epoch).max().unwrap_or(ctx.command.epoch);
    dependencies::namespace(ctx).await?;
    epochs::begin(ctx, &kept).await?;
    guard::stand(ctx, STEP, guarded(ctx, description, &source, &kept)).await?;
    for dependency in &description.dependencies {
        let recorded = object::parse(Some(dependency), &format!("{} {}", dependency.kind, dependency.name))?;
        epochs::latest(ctx, &kept).await?;
        dependencies::place(ctx, &recorded, epoch).await?;
    }
    for (ordinal, epoch) in &kept {
        for name in stateful_set::claim_names(&source, *ordinal) {
            epochs::latest(ctx, &kept).await?;
            tombstone::place(ctx, STEP, &name, *epoch).await?;
        }
    }
    epochs::latest(ctx, &kept).await?;
    let set = place(ctx, command, &source, slice, epoch).await?;
    let stands = object::slice_text(&object::slice(&set));
    let mut done = format!("{key} stands with {stands} and {} ordinals' tombstones", kept.len());
    if let Some(images) = pull::run(ctx, STEP, &set).await? {
        done = format!("{done}; {images}");
    }
    epochs::latest(ctx, &kept).await?;
    ctx.progress.done(STEP, done);
    Ok(TargetPrepared { stateful_set_uid: object::uid(&set).to_owned(), slice: Some(object::slice(&set)) })
}

/// What nobody else makes or changes here from now on: nothing of it need exist yet.
fn guarded(ctx: &Context, description: &Description, source: &Value, kept: &[(u32, u64)]) -> Contents {
    let mut contents = Contents::default();
    for (ordinal, _) in kept {
        contents.pods.insert(stateful_set::pod_name(&ctx.command.workload, *ordinal));
        contents.claims.extend(stateful_set::claim_names(source, *ordinal));
    }
    for claimed in description.ordinals.iter().flat_map(|of| &of.volumes) {
        contents.add_claimed(claimed);
    }
    if !description.disruption_budget.is_empty() {
        contents.budgets.insert(description.disruption_budget.clone());
    }
    contents
}

/// Our StatefulSet, made or found; with an epoch annotation and an explicit start, which slice patches test.
async fn place(
    ctx: &Context,
    command: &PrepareTarget,
    source: &Value,
    slice: &Slice,
    epoch: u64,
) -> Halted<Value> {
    let key = stateful_set::key(ctx);
    let mut wanted = travel::stateful_set(source, &ctx.command.namespace, slice.start, epoch);
    object::mark(&mut wanted, &ctx.command.migration);
    let Some(found) = api::read(ctx, &key).await? else {
        if slice.replicas != 0 {
            return Err(Stop::conflict(format!(
                "{key} does not exist here any more, expected it to run {}. Its disks' claims and PersistentVolumes say \
                 what becomes of them",
                object::slice_text(slice)
            ))
            .into());
        }
        return match api::create(ctx, &key, &wanted).await? {
            Written::Done(set) => kept(set),
            other => Err(dependencies::not_created(&key, &other)),
        };
    };
    let is_marked = object::annotation(&found, MADE_BY) == Some(ctx.command.migration.as_str());
    let is_ours = command.known_uids.iter().any(|uid| uid == object::uid(&found))
        || (is_marked && !ctx.command.migration.is_empty());
    if !is_ours {
        return Err(Stop::conflict(format!(
            "{key} (uid {}) exists here and is not of this migration. Delete it or choose another target",
            object::uid(&found)
        ))
        .into());
    }
    expected(&key, &found, slice)?;
    identical(ctx, &wanted, &found).await?;
    mark(ctx, found, epoch).await
}

/// The set runs what the plan saw: nothing, or the ordinals that an earlier migration of a part has moved.
fn expected(key: &Key, found: &Value, slice: &Slice) -> Result<(), Stop> {
    let runs = object::slice(found);
    let pods = object::number(found, "/status/replicas");
    let is_as_seen =
        if slice.replicas == 0 { runs.replicas == 0 && pods == 0 } else { object::same_slice(&runs, slice) };
    if is_as_seen && !object::is_ending(found) {
        return Ok(());
    }
    Err(Stop::conflict(if slice.replicas == 0 {
        format!(
            "{key} runs {} here ({pods} pods), expected an empty slice{}. Scale it to 0 once its pods are not needed",
            object::slice_text(&runs),
            blame::writer(found, &SLICE)
        )
    } else {
        format!(
            "{key} runs {} here, expected {}: somebody scaled it since the plan was made{}. Plan again",
            object::slice_text(&runs),
            object::slice_text(slice),
            blame::writer(found, &SLICE)
        )
    }))
}

/// H2: an old API server drops `ordinals` silently.
fn kept(set: Value) -> Halted<Value> {
    if set.pointer("/spec/ordinals/start").is_none() {
        return Err(Stop::conflict(
            "This API server dropped spec.ordinals without a word. Kubernetes 1.27 or later is needed (K1)",
        )
        .into());
    }
    Ok(set)
}

/// Compares what would be made with what is there, after this API server's own defaults (a dry run gives them).
async fn identical(ctx: &Context, wanted: &Value, found: &Value) -> Halted<()> {
    let key = stateful_set::key(ctx);
    let template = wanted.pointer("/spec/template").cloned().unwrap_or_default();
    let operations = [
        json!({"op": "test", "path": "/metadata/uid", "value": object::uid(found)}),
        json!({"op": "replace", "path": "/spec/template", "value": template}),
    ];
    let defaulted = match api::patch(ctx, &key, &operations, true).await? {
        Written::Done(set) => set,
        Written::Unfit(message) => {
            return Err(Stop::conflict(format!(
                "This cluster does not accept the source's pod template: {message}"
            ))
            .into());
        }
        _ => return Err(Halt::Again(format!("{key} was changed by somebody else meanwhile"))),
    };
    let at = |object: &Value, path: &str| {
        let mut part = object.pointer(path).cloned().unwrap_or_default();
        // A claim template carries a status, and what the API server fills in of a StatefulSet's metadata.
        for claim in part.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
            claim.remove("status");
        }
        part
    };
    let template = travel::first_difference(
        "/spec/template".into(),
        &at(&defaulted, "/spec/template"),
        &at(found, "/spec/template"),
    );
    let shape = SHAPE
        .iter()
        .find_map(|path| travel::first_difference((*path).into(), &at(wanted, path), &at(found, path)));
    let set = found;
    let Some((path, wanted, found)) = template.or(shape) else { return Ok(()) };
    Err(Stop::conflict(format!(
        "{key} here differs from the source's at {path}: found {found}, expected {wanted}{}. Make it the same, or \
         delete the empty set here with --cascade=orphan and let Ferry make it",
        blame::writer(set, &["template"])
    ))
    .into())
}

/// Retention, start and epoch as preparation leaves them.
async fn mark(ctx: &Context, found: Value, epoch: u64) -> Halted<Value> {
    let retain = json!({"whenDeleted": "Retain", "whenScaled": "Retain"});
    let retention = "/spec/persistentVolumeClaimRetentionPolicy";
    let has_start = found.pointer("/spec/ordinals/start").is_some();
    if found.pointer(retention) == Some(&retain) && has_start && object::epoch(&found) >= epoch {
        return Ok(found);
    }
    let highest = object::epoch(&found).max(epoch).to_string();
    let mut changes = object::annotate(&found, &[(EPOCH, &highest)]);
    changes.push(json!({"op": "add", "path": retention, "value": retain}));
    if !has_start {
        changes.push(json!({"op": "add", "path": "/spec/ordinals", "value": {"start": 0}}));
    }
    kept(api::amend(ctx, &stateful_set::key(ctx), &found, changes).await?)
}
