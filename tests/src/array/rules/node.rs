//! The node's side: staging and publishing by the seat that holds the volume, and by no other.
//!
//! The token that attach gave out must come back with the request: a node that stages what it was never
//! given, or what was taken from it since, is refused; one that asks for another seat's volume has committed
//! a violation. The rules decide on the array's state alone; what is really mounted is the driver's to do,
//! between the two halves of each operation.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::super::model::{AccessMode, ArrayState, Attachment, Publication, Seat, Stage, Volume};
use super::super::refusal::Refusal;
use super::{Granted, still_in_use, volume, volume_mut};

/// A request to stage.
#[derive(Clone, Debug)]
pub struct BeginStage {
    /// The volume.
    pub handle: String,
    /// The node that asks.
    pub seat: Seat,
    /// Staging path on the node.
    pub path: PathBuf,
    /// Mount flags.
    pub flags: Vec<String>,
    /// Token from the publish context.
    pub token: Option<String>,
    /// Array identity from the volume context.
    pub context_array: Option<String>,
    /// Whether the secret `token` came along.
    pub has_secret: bool,
    /// Whether the node already has this image mounted at the path.
    pub mounted_here: bool,
    /// Milliseconds since the Unix epoch.
    pub now_ms: u64,
}

/// A request to publish.
#[derive(Clone, Debug)]
pub struct BeginPublish {
    /// The volume.
    pub handle: String,
    /// The node that asks.
    pub seat: Seat,
    /// Staging path on the node.
    pub staging: PathBuf,
    /// Target path on the node.
    pub target: PathBuf,
    /// Whether the pod sees it read-only.
    pub readonly: bool,
    /// Whether the node has this image mounted at the staging path: after a power cut the record alone is wrong.
    pub staging_mounted: bool,
}

/// The attachment of a volume by a seat; everybody else is refused.
fn held_by<'a>(volume: &'a mut Volume, seat: &Seat, op: &'static str) -> Result<&'a mut Attachment, Refusal> {
    let handle = volume.handle.clone();
    let Some(held) = &mut volume.attachment else {
        return Err(Refusal::NotAttached { handle, asked: seat.clone(), op });
    };
    if &held.seat == seat {
        return Ok(held);
    }
    Err(Refusal::HeldElsewhere { handle, holder: held.seat.clone(), asked: seat.to_string(), op })
}

/// NodeStageVolume, before the mount. Unchanged means that it is staged already.
///
/// # Errors
/// Another seat holds the volume or has its image open (violations); the context, token or secret is wrong; it
/// is staged with other properties.
pub fn begin_stage(
    state: &mut ArrayState,
    request: BeginStage,
    devices: &[String],
) -> Result<Granted<Volume>, Refusal> {
    let array = state.array_id.clone();
    let found = volume_mut(state, &request.handle)?;
    let handle = request.handle;
    let requires_secret = found.requires_secret;
    let held = held_by(found, &request.seat, "stage")?;
    if request.context_array.as_deref() != Some(array.as_str()) {
        return Err(Refusal::WrongContext { handle, found: request.context_array, expected: array });
    }
    if request.token.as_deref() != Some(held.token.as_str()) {
        return Err(Refusal::StaleToken { handle });
    }
    if requires_secret && !request.has_secret {
        return Err(Refusal::SecretMissing { handle });
    }
    if let Some(stage) = &held.stage
        && (stage.path != request.path || stage.flags != request.flags)
    {
        let what = format!("staged at {} with flags {:?}", stage.path.display(), stage.flags);
        return Err(Refusal::Incompatible { handle, what });
    }
    if !request.mounted_here && !devices.is_empty() {
        return Err(still_in_use(&handle, devices, "stage", held.stage.is_none()));
    }
    let complete = request.mounted_here && held.stage.as_ref().is_some_and(|s| s.mounted);
    let publications = held.stage.take().map(|s| s.publications).unwrap_or_default();
    held.stage = Some(Stage {
        path: request.path,
        flags: request.flags,
        mounted: complete,
        begun_at_ms: request.now_ms,
        publications: if request.mounted_here { publications } else { BTreeMap::new() },
    });
    found.held_data = true;
    let value = found.clone();
    Ok(if complete { Granted::repeat(value) } else { Granted::changed(value) })
}

/// NodeStageVolume, after the mount.
///
/// # Errors
/// The attachment went away meanwhile; the caller unmounts.
pub fn confirm_stage(
    state: &mut ArrayState,
    handle: &str,
    seat: &Seat,
    token: &str,
) -> Result<Granted<()>, Refusal> {
    let held = held_by(volume_mut(state, handle)?, seat, "stage")?;
    match &mut held.stage {
        Some(stage) if held.token == token => {
            stage.mounted = true;
            Ok(Granted::changed(()))
        }
        _ => Err(Refusal::StaleToken { handle: handle.to_owned() }),
    }
}

/// The mount failed and nothing is mounted: the stage that was begun is taken back.
///
/// # Errors
/// The attachment went away meanwhile.
pub fn abandon_stage(state: &mut ArrayState, handle: &str, seat: &Seat) -> Result<Granted<()>, Refusal> {
    held_by(volume_mut(state, handle)?, seat, "stage")?.stage = None;
    Ok(Granted::changed(()))
}

/// The stage of a volume on this seat, if it is there; unknown volumes are refused.
///
/// # Errors
/// There is no such volume.
pub fn staged_here<'a>(
    state: &'a ArrayState,
    handle: &str,
    seat: &Seat,
) -> Result<Option<&'a Stage>, Refusal> {
    let held = volume(state, handle)?.attachment.as_ref().filter(|a| &a.seat == seat);
    Ok(held.and_then(|a| a.stage.as_ref()))
}

/// NodeUnstageVolume, before the unmount. Unchanged means that this seat has no stage on record.
///
/// # Errors
/// A pod still sees it: one of `mounted_targets` is a recorded target path.
pub fn unstage(
    state: &ArrayState,
    handle: &str,
    seat: &Seat,
    is_mounted: impl Fn(&Path) -> bool,
) -> Result<Granted<()>, Refusal> {
    let Some(stage) = staged_here(state, handle, seat)? else {
        return Ok(Granted::repeat(()));
    };
    match stage.publications.keys().find(|path| is_mounted(path)) {
        Some(path) => {
            Err(Refusal::StillPublished { handle: handle.to_owned(), path: path.clone(), seat: seat.clone() })
        }
        None => Ok(Granted::changed(())),
    }
}

/// NodeUnstageVolume, after the kernel has let go of the image.
///
/// # Errors
/// The image is still open.
pub fn confirm_unstage(
    state: &mut ArrayState,
    handle: &str,
    seat: &Seat,
    devices: &[String],
) -> Result<Granted<()>, Refusal> {
    let held = volume_mut(state, handle)?.attachment.as_mut().filter(|a| &a.seat == seat);
    let Some(held) = held.filter(|a| a.stage.is_some()) else {
        return Ok(Granted::repeat(()));
    };
    if !devices.is_empty() {
        return Err(still_in_use(handle, devices, "unstage", false));
    }
    held.stage = None;
    Ok(Granted::changed(()))
}

/// NodePublishVolume, before the bind mount. Unchanged means that it is on record as mounted.
///
/// # Errors
/// Another seat holds the volume (a violation), it is not staged here, or the access mode allows one target path
/// and there is another.
pub fn begin_publish(state: &mut ArrayState, request: BeginPublish) -> Result<Granted<()>, Refusal> {
    let handle = request.handle;
    let held = held_by(volume_mut(state, &handle)?, &request.seat, "publish")?;
    let single = held.mode == AccessMode::SingleNodeSingleWriter;
    let readonly = request.readonly || held.readonly;
    let staged =
        held.stage.as_mut().filter(|s| s.mounted && request.staging_mounted && s.path == request.staging);
    let Some(stage) = staged else {
        return Err(Refusal::NotStaged { handle, path: request.staging, seat: request.seat });
    };
    if let Some(found) = stage.publications.get(&request.target) {
        if found.readonly != readonly {
            let what = format!("published at {} with readonly={}", request.target.display(), found.readonly);
            return Err(Refusal::Incompatible { handle, what });
        }
        return Ok(if found.mounted { Granted::repeat(()) } else { Granted::changed(()) });
    }
    if let Some(path) = stage.publications.keys().next().filter(|_| single) {
        return Err(Refusal::SecondWriter { handle, path: path.clone() });
    }
    stage.publications.insert(request.target, Publication { readonly, mounted: false });
    Ok(Granted::changed(()))
}

/// NodePublishVolume, after the bind mount.
///
/// # Errors
/// The stage or the publication went away meanwhile; the caller unmounts.
pub fn confirm_publish(
    state: &mut ArrayState,
    handle: &str,
    seat: &Seat,
    target: &Path,
) -> Result<Granted<()>, Refusal> {
    let held = held_by(volume_mut(state, handle)?, seat, "publish")?;
    let publication = held.stage.as_mut().and_then(|s| s.publications.get_mut(target));
    let Some(publication) = publication else {
        return Err(Refusal::NotStaged {
            handle: handle.to_owned(),
            path: target.to_owned(),
            seat: seat.clone(),
        });
    };
    publication.mounted = true;
    Ok(Granted::changed(()))
}

/// NodeUnpublishVolume, after the unmount.
///
/// # Errors
/// There is no such volume.
pub fn unpublish(
    state: &mut ArrayState,
    handle: &str,
    seat: &Seat,
    target: &Path,
) -> Result<Granted<()>, Refusal> {
    let held = volume_mut(state, handle)?.attachment.as_mut().filter(|a| &a.seat == seat);
    let removed = held.and_then(|a| a.stage.as_mut()).and_then(|s| s.publications.remove(target));
    Ok(if removed.is_some() { Granted::changed(()) } else { Granted::repeat(()) })
}
