//! Tombstones (handoff.md section 6): the claim that stands where a real one must not be.
//!
//! A StatefulSet's controller makes a missing claim from the template, EMPTY and under the right name. A tombstone
//! has that name, no class, and a `volumeName` that no PersistentVolume can have: it stays Pending for ever, and a
//! stray pod with it. What exists under the name and is not a tombstone is never adopted here and never removed; a
//! tombstone of a later epoch fences whoever meets it.

use serde_json::{Value, json};

use super::{
    api::{self, CLAIM, Halt, Halted, Key, Written},
    object::{self, EPOCH, FERRY, MADE_BY, MANAGED_BY},
    wait::Wait,
};
use crate::{context::Context, guard::blame, outcome::Stop};

/// Label of every tombstone; its value is `true`.
pub const LABEL: &str = "ferry.dev/tombstone";
/// Annotation of a tombstone that outlives the migration; its value is `true`. The ordinal was taken back from here or
/// given away: a process of before that was paused may still make the volume and the claim of an adoption, and the
/// claim's name being taken is all that stops it.
pub const STAYS: &str = "ferry.dev/stays";
/// `spec.volumeName` of every tombstone: PersistentVolumes' names are DNS subdomains, this is none.
pub const VOLUME_NAME: &str = "ferry.dev/TOMBSTONE";

/// What a tombstone asks for: nothing is provisioned, but quotas and LimitRanges count it.
pub(crate) const SIZE: &str = "1Mi";

/// Whether the claim is a tombstone.
pub(crate) fn is(claim: &Value) -> bool {
    object::label(claim, LABEL) == Some("true") && object::text(claim, "/spec/volumeName") == VOLUME_NAME
}

/// What stands under a claim's name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Standing {
    /// Nothing.
    Nothing,
    /// A tombstone.
    Tombstone(Value),
    /// A claim of a disk.
    Real(Value),
}

/// What stands under `name` now.
pub(crate) async fn standing(ctx: &Context, name: &str) -> Result<Standing, Stop> {
    Ok(match api::read(ctx, &Key::of(ctx, CLAIM, name)).await? {
        None => Standing::Nothing,
        Some(claim) if is(&claim) => Standing::Tombstone(claim),
        Some(claim) => Standing::Real(claim),
    })
}

/// Whether the tombstone outlives the migration.
pub(crate) fn stays(tombstone: &Value) -> bool {
    object::annotation(tombstone, STAYS) == Some("true")
}

/// A tombstone that [`stays`] stands under `name` when this returns, as by [`place`].
///
/// # Errors
/// As [`place`].
pub(crate) async fn leave(ctx: &Context, step: u32, name: &str, epoch: u64) -> Halted<()> {
    stand(ctx, step, name, (epoch, true)).await
}

/// A tombstone of `epoch` stands under `name` when this returns.
///
/// # Errors
/// A conflict if a real claim stands there, `STALE_EPOCH` if a tombstone of a later epoch does.
pub(crate) async fn place(ctx: &Context, step: u32, name: &str, epoch: u64) -> Halted<()> {
    stand(ctx, step, name, (epoch, false)).await
}

/// [`leave`] for who has just seen that nothing stands under `name`: nobody gets time to put something there.
///
/// # Errors
/// Begin again if somebody was faster: whether the command is of the past is asked first then.
pub(crate) async fn leave_in_gap(ctx: &Context, name: &str, epoch: u64) -> Halted<()> {
    make(ctx, name, (epoch, true)).await
}

async fn make(ctx: &Context, name: &str, (epoch, stays): (u64, bool)) -> Halted<()> {
    let key = Key::of(ctx, CLAIM, name);
    match api::create(ctx, &key, &body(&key, &ctx.command.migration, epoch, stays)).await? {
        Written::Done(_) => Ok(()),
        _ => Err(Halt::Again(format!("{key} was created by somebody else meanwhile"))),
    }
}

async fn stand(ctx: &Context, step: u32, name: &str, (epoch, stays): (u64, bool)) -> Halted<()> {
    let key = Key::of(ctx, CLAIM, name);
    let mut wait = Wait::new(ctx, step);
    loop {
        match standing(ctx, name).await? {
            Standing::Nothing => return make(ctx, name, (epoch, stays)).await,
            Standing::Real(claim) => {
                return Err(Stop::conflict(format!(
                    "{key} (uid {}{}) stands where the tombstone belongs; it may hold data. Look at it, then delete or \
                     rename it",
                    object::uid(&claim),
                    blame::writer(&claim, &[])
                ))
                .into());
            }
            Standing::Tombstone(tombstone) if object::epoch(&tombstone) > epoch => {
                return Err(later(&key, &tombstone, epoch));
            }
            Standing::Tombstone(tombstone) if object::is_ending(&tombstone) => {
                wait.watch(&key);
                wait.pause(format!("the deletion of the tombstone {key}, which is put back then")).await?;
            }
            Standing::Tombstone(tombstone) => {
                let mut wanted = vec![(EPOCH, epoch.to_string())];
                wanted.extend(stays.then(|| (STAYS, "true".to_owned())));
                wanted.retain(|(name, value)| object::annotation(&tombstone, name) != Some(value));
                if !wanted.is_empty() {
                    let wanted: Vec<_> = wanted.iter().map(|(name, value)| (*name, value.as_str())).collect();
                    api::amend(ctx, &key, &tombstone, object::annotate(&tombstone, &wanted)).await?;
                }
                return Ok(());
            }
        }
    }
}

/// No claim stands under `name` when this returns: the tombstone seen there is deleted exactly as it was seen.
///
/// # Errors
/// `STALE_EPOCH` if the tombstone is of a later epoch.
pub(crate) async fn remove(
    ctx: &Context,
    step: u32,
    name: &str,
    tombstone: &Value,
    epoch: u64,
) -> Halted<()> {
    let key = Key::of(ctx, CLAIM, name);
    if object::epoch(tombstone) > epoch {
        return Err(later(&key, tombstone, epoch));
    }
    if !object::is_ending(tombstone) {
        let version = Some(object::version(tombstone));
        match api::delete(ctx, &key, object::uid(tombstone), version).await? {
            Written::Done(_) | Written::Missing => {}
            _ => {
                return Err(Halt::Again(format!(
                    "the tombstone {key} was changed by somebody else meanwhile"
                )));
            }
        }
    }
    let mut wait = Wait::new(ctx, step);
    wait.watch_end(&key);
    while let Some(claim) = api::read(ctx, &key).await? {
        if object::uid(&claim) != object::uid(tombstone) {
            return Err(Halt::Again(format!("{key} was created by somebody else meanwhile")));
        }
        wait.pause(format!("the deletion of the tombstone {key}{}", held_by(&claim))).await?;
    }
    Ok(())
}

/// The finalizers that hold an object, in words.
pub(crate) fn held_by(object: &Value) -> String {
    let finalizers = object::finalizers_beyond(object, &[]);
    if finalizers.is_empty() { String::new() } else { format!(", held by {}", finalizers.join(", ")) }
}

fn later(key: &Key, tombstone: &Value, epoch: u64) -> Halt {
    Stop::stale_epoch(format!(
        "the tombstone {key} is of epoch {}; the command is of epoch {epoch}, of the past",
        object::epoch(tombstone)
    ))
    .into()
}

fn body(key: &Key, migration: &str, epoch: u64, stays: bool) -> Value {
    let mut annotations = json!({EPOCH: epoch.to_string(), MADE_BY: migration});
    if stays {
        annotations[STAYS] = "true".into();
    }
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": key.name, "namespace": key.namespace,
            "labels": {MANAGED_BY: FERRY, LABEL: "true"},
            "annotations": annotations,
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": SIZE}},
            "storageClassName": "",
            "volumeName": VOLUME_NAME,
        },
    })
}
