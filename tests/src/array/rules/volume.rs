//! Volumes come, grow and go.
//!
//! Creation is idempotent by name, as CSI demands; a name that comes back with another size or secret rule is
//! refused. A volume in use is not deleted, and growing is the controller's half only: the file system
//! follows on the node. Every deletion is in the log, for the observer holds that no disk is ever deleted
//! (I7).

use super::super::limits::{BLOCK_BYTES, DEFAULT_VOLUME_BYTES, MAX_VOLUME_BYTES, MIN_VOLUME_BYTES};
use super::super::model::{ArrayState, Volume};
use super::super::refusal::Refusal;
use super::{Granted, still_in_use, volume_mut};

/// A request for a volume; sizes in bytes, 0 for "not given" as in CSI.
#[derive(Clone, Debug, Default)]
pub struct CreateVolume {
    /// Name that the request is idempotent by.
    pub name: String,
    /// Smallest size wanted.
    pub required_bytes: u64,
    /// Largest size wanted.
    pub limit_bytes: u64,
    /// Whether stages must bring the secret `token`.
    pub requires_secret: bool,
    /// Cluster that asks.
    pub cluster: String,
    /// Name of the PersistentVolume, if told.
    pub pv: Option<String>,
    /// `<namespace>/<name>` of the claim, if told.
    pub pvc: Option<String>,
    /// Handle to give to a new volume.
    pub handle: String,
    /// UUID for the file system of a new volume.
    pub fs_uuid: String,
}

/// A volume as the response of CreateVolume needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// Its handle.
    pub handle: String,
    /// Its size in bytes.
    pub capacity_bytes: u64,
}

/// The size of a volume for a CSI capacity range, rounded up to whole blocks.
///
/// # Errors
/// No size this array makes fits the range.
pub fn volume_size(required_bytes: u64, limit_bytes: u64) -> Result<u64, Refusal> {
    let max_bytes = if limit_bytes == 0 { MAX_VOLUME_BYTES } else { limit_bytes.min(MAX_VOLUME_BYTES) };
    let wanted = match (required_bytes, limit_bytes) {
        (0, 0) => DEFAULT_VOLUME_BYTES,
        (0, limit) => DEFAULT_VOLUME_BYTES.min(limit / BLOCK_BYTES * BLOCK_BYTES),
        (required, _) => required.max(MIN_VOLUME_BYTES),
    };
    let size = wanted.checked_next_multiple_of(BLOCK_BYTES).unwrap_or(u64::MAX);
    if size < MIN_VOLUME_BYTES || size > max_bytes {
        return Err(Refusal::Size { asked_bytes: wanted, min_bytes: MIN_VOLUME_BYTES, max_bytes });
    }
    Ok(size)
}

/// CreateVolume.
///
/// # Errors
/// The name is taken by a volume of another size or another secret rule, or no size fits.
pub fn create(state: &mut ArrayState, request: CreateVolume) -> Result<Granted<Created>, Refusal> {
    let size = volume_size(request.required_bytes, request.limit_bytes)?;
    if let Some(found) = state.volumes.values().find(|v| v.name == request.name) {
        let bytes = found.capacity_bytes;
        let fits =
            bytes >= request.required_bytes && (request.limit_bytes == 0 || bytes <= request.limit_bytes);
        if !fits || found.requires_secret != request.requires_secret {
            return Err(Refusal::NameTaken {
                name: request.name,
                found: format!("{bytes} bytes, requireSecret={}", found.requires_secret),
                expected: format!("{size} bytes, requireSecret={}", request.requires_secret),
            });
        }
        return Ok(Granted::repeat(Created { handle: found.handle.clone(), capacity_bytes: bytes }));
    }
    state.created += 1;
    let created = Created { handle: request.handle.clone(), capacity_bytes: size };
    state.volumes.insert(
        request.handle.clone(),
        Volume {
            handle: request.handle,
            name: request.name,
            index: state.created,
            capacity_bytes: size,
            fs_uuid: request.fs_uuid,
            formatted: false,
            held_data: false,
            requires_secret: request.requires_secret,
            cluster: request.cluster,
            pv: request.pv,
            pvc: request.pvc,
            attachment: None,
        },
    );
    Ok(Granted::changed(created))
}

/// DeleteVolume; a handle that is gone already is granted.
///
/// # Errors
/// A seat holds the volume, or the kernel has its image open.
pub fn delete(state: &mut ArrayState, handle: &str, devices: &[String]) -> Result<Granted<()>, Refusal> {
    let Some(found) = state.volumes.get(handle) else {
        return Ok(Granted::repeat(()));
    };
    if let Some(attachment) = &found.attachment {
        return Err(Refusal::DeleteHeld { handle: handle.to_owned(), holder: attachment.seat.clone() });
    }
    if !devices.is_empty() {
        return Err(still_in_use(handle, devices, "delete", true));
    }
    state.volumes.remove(handle);
    Ok(Granted::changed(()))
}

/// ControllerExpandVolume; the new size in bytes. A volume never shrinks.
///
/// # Errors
/// The volume is larger than the limit, no size fits, or a seat holds it.
pub fn grow(
    state: &mut ArrayState,
    handle: &str,
    required_bytes: u64,
    limit_bytes: u64,
) -> Result<Granted<u64>, Refusal> {
    let found = volume_mut(state, handle)?;
    let size = volume_size(required_bytes.max(found.capacity_bytes), limit_bytes)?;
    if size == found.capacity_bytes {
        return Ok(Granted::repeat(size));
    }
    if let Some(attachment) = &found.attachment {
        return Err(Refusal::GrowHeld { handle: handle.to_owned(), holder: attachment.seat.clone() });
    }
    found.capacity_bytes = size;
    Ok(Granted::changed(size))
}

/// The image has a file system; from now on it is never formatted.
///
/// # Errors
/// There is no such volume.
pub fn mark_formatted(state: &mut ArrayState, handle: &str) -> Result<Granted<()>, Refusal> {
    let found = volume_mut(state, handle)?;
    if found.formatted {
        return Ok(Granted::repeat(()));
    }
    found.formatted = true;
    Ok(Granted::changed(()))
}

/// One page of the volumes in the order of their creation, and the token for the next; `max` 0 means all.
///
/// # Errors
/// The token is not one of ours.
pub fn page<'a>(
    state: &'a ArrayState,
    token: &str,
    max: usize,
) -> Result<(Vec<&'a Volume>, String), Refusal> {
    let after = match token {
        "" => 0,
        token => token
            .strip_prefix("after-")
            .and_then(|index| index.parse::<u64>().ok())
            .filter(|index| *index <= state.created)
            .ok_or_else(|| Refusal::BadPageToken { token: token.to_owned() })?,
    };
    let mut volumes: Vec<&Volume> = state.volumes.values().filter(|v| v.index > after).collect();
    volumes.sort_by_key(|v| v.index);
    let next = match volumes.get(max.wrapping_sub(1)) {
        Some(last) if volumes.len() > max => format!("after-{}", last.index),
        _ => String::new(),
    };
    if max > 0 {
        volumes.truncate(max);
    }
    Ok((volumes, next))
}
