//! A claim and its PersistentVolume, read together and checked against what the ledger recorded.
//!
//! A volume is recognised by its CSI driver and handle, never by a name alone; names only say where to look. I7 is
//! enforced here: [`retained`], or [`is_retained`] of an answer, is what every deletion asks first. Making and deleting
//! volumes is the executors' own business.

use ferry_proto::agent::v1::{ClaimedVolume, VolumeId};
use serde_json::{Value, json};

use super::{
    api::{self, Halted, Key, VOLUME},
    object::{self, EPOCH},
};
use crate::{context::Context, guard::blame, outcome::Stop};

/// Path of the reclaim policy.
pub(crate) const RECLAIM: &str = "/spec/persistentVolumeReclaimPolicy";

/// A claim and its volume as the command carries them.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    /// The claim.
    pub claim: Value,
    /// The PersistentVolume.
    pub volume: Value,
    /// The disk.
    pub id: VolumeId,
}

impl Recorded {
    /// Parses what travelled, and checks that it speaks of one CSI volume.
    ///
    /// # Errors
    /// Not understood.
    pub(crate) fn parse(claimed: &ClaimedVolume) -> Result<Self, Stop> {
        let claim = object::parse(claimed.claim.as_ref(), "a claim")?;
        let volume = object::parse(claimed.volume.as_ref(), "a PersistentVolume")?;
        let id = VolumeId { driver: claimed.driver.clone(), handle: claimed.handle.clone() };
        if id.driver.is_empty() || id.handle.is_empty() || object::volume_id(&volume) != id {
            return Err(Stop::not_understood(format!(
                "The command says that PersistentVolume {} is {} {}, its manifest says {} {}",
                object::name(&volume),
                id.driver,
                id.handle,
                object::volume_id(&volume).driver,
                object::volume_id(&volume).handle
            )));
        }
        Ok(Self { claim, volume, id })
    }

    /// Parses all of a command's volumes.
    ///
    /// # Errors
    /// Not understood.
    pub(crate) fn parse_all(claimed: &[ClaimedVolume]) -> Result<Vec<Self>, Stop> {
        claimed.iter().map(Self::parse).collect()
    }

    /// Where its PersistentVolume is.
    pub(crate) fn key(&self, ctx: &Context) -> Key {
        Key::of(ctx, VOLUME, object::name(&self.volume))
    }
}

/// A claim and its volume as they travel.
pub(crate) fn claimed(claim: &Value, volume: &Value) -> ClaimedVolume {
    let VolumeId { driver, handle } = object::volume_id(volume);
    ClaimedVolume {
        claim: Some(object::manifest(claim)),
        volume: Some(object::manifest(volume)),
        driver,
        handle,
    }
}

/// The recorded PersistentVolume as it is now: the same object, the same disk.
///
/// # Errors
/// A conflict if it is gone or another.
pub(crate) async fn same(ctx: &Context, recorded: &Recorded) -> Result<Value, Stop> {
    let key = recorded.key(ctx);
    let Some(volume) = api::read(ctx, &key).await? else {
        return Err(Stop::conflict(format!(
            "{key} does not exist any more; the disk {} is named by it",
            recorded.id.handle
        )));
    };
    let expected = object::uid(&recorded.volume);
    if object::uid(&volume) != expected || object::volume_id(&volume) != recorded.id {
        return Err(Stop::conflict(format!(
            "{key} has uid {} and handle {}, expected uid {expected} and handle {}: somebody made it anew",
            object::uid(&volume),
            object::volume_id(&volume).handle,
            recorded.id.handle
        )));
    }
    Ok(volume)
}

/// The recorded PersistentVolume as it is now, if its reclaim policy is `Retain` (I7).
///
/// # Errors
/// A conflict if it is not.
pub(crate) async fn retained(ctx: &Context, recorded: &Recorded) -> Result<Value, Stop> {
    let volume = same(ctx, recorded).await?;
    is_retained(ctx, recorded, &volume)?;
    Ok(volume)
}

/// [`retained`] for an answer that is at hand.
///
/// # Errors
/// A conflict if it is not.
pub(crate) fn is_retained(ctx: &Context, recorded: &Recorded, volume: &Value) -> Result<(), Stop> {
    let policy = object::text(volume, RECLAIM);
    if policy == "Retain" {
        return Ok(());
    }
    Err(Stop::conflict(format!(
        "{} has the reclaim policy {policy}, expected Retain{}: a deletion would destroy the disk. Set it to Retain",
        recorded.key(ctx),
        blame::writer(volume, &["persistentVolumeReclaimPolicy"])
    )))
}

/// Writes `policy` and the epoch, unless they are there; the volume as it is now.
pub(crate) async fn set_policy(ctx: &Context, volume: &Value, policy: &str, epoch: u64) -> Halted<Value> {
    let key = Key::of(ctx, VOLUME, object::name(volume));
    if object::text(volume, RECLAIM) == policy && object::epoch(volume) >= epoch {
        return Ok(volume.clone());
    }
    let epoch = object::epoch(volume).max(epoch).to_string();
    let mut changes = object::annotate(volume, &[(EPOCH, &epoch)]);
    changes.push(json!({"op": "add", "path": RECLAIM, "value": policy}));
    api::amend(ctx, &key, volume, changes).await
}
