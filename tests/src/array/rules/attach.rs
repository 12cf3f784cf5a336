//! The controller's side: which seat may use a volume.
//!
//! A seat is one node of one cluster. The array gives a volume to one seat at a time over all clusters,
//! whatever the clusters believe: a second attach elsewhere is refused and is a violation, for a controller
//! that asks for it has already given up the order in which a volume may move. A repeated request is answered
//! as the first was.

use super::super::limits::{MAX_VOLUMES_PER_NODE, STAGE_TIMEOUT};
use super::super::model::{AccessMode, ArrayState, Attachment, Seat};
use super::super::refusal::Refusal;
use super::{Granted, still_in_use, volume_mut};

/// A request to attach.
#[derive(Clone, Debug)]
pub struct Attach {
    /// The volume.
    pub handle: String,
    /// The node, by its CSI id.
    pub node_id: String,
    /// The cluster whose controller asks.
    pub cluster: String,
    /// Access mode wanted.
    pub mode: AccessMode,
    /// Whether to attach read-only.
    pub readonly: bool,
    /// Token for a new attachment.
    pub token: String,
}

/// A node plugin makes itself known; volumes are attached to known nodes only.
pub fn register_node(state: &mut ArrayState, seat: &Seat) -> Granted<()> {
    match state.nodes.insert(seat.node_id(), seat.clone()) {
        Some(_) => Granted::repeat(()),
        None => Granted::changed(()),
    }
}

/// ControllerPublishVolume; the token that stages must present.
///
/// # Errors
/// Another seat holds the volume (a violation), the kernel has its image open without an attachment (a
/// violation), the seat is unknown or full, or the attachment exists with other properties.
pub fn attach(
    state: &mut ArrayState,
    request: Attach,
    devices: &[String],
) -> Result<Granted<String>, Refusal> {
    let handle = request.handle;
    super::volume(state, &handle)?;
    let seat = match state.nodes.get(&request.node_id) {
        Some(seat) if seat.cluster == request.cluster => seat.clone(),
        _ => return Err(Refusal::UnknownNode { node_id: request.node_id, cluster: request.cluster }),
    };
    let attached = state.attached_to(&seat).count();
    let volume = volume_mut(state, &handle)?;
    if let Some(held) = &volume.attachment {
        if held.seat != seat {
            let holder = held.seat.clone();
            return Err(Refusal::HeldElsewhere { handle, holder, asked: seat.to_string(), op: "attach" });
        }
        if held.readonly != request.readonly || held.mode != request.mode {
            let what = format!("attached with {:?}, readonly={}", held.mode, held.readonly);
            return Err(Refusal::Incompatible { handle, what });
        }
        return Ok(Granted::repeat(held.token.clone()));
    }
    if !devices.is_empty() {
        return Err(still_in_use(&handle, devices, "attach", true));
    }
    if attached >= MAX_VOLUMES_PER_NODE {
        return Err(Refusal::NodeFull { seat, attached });
    }
    volume.attachment = Some(Attachment {
        seat,
        token: request.token.clone(),
        readonly: request.readonly,
        mode: request.mode,
        stage: None,
    });
    Ok(Granted::changed(request.token))
}

/// ControllerUnpublishVolume from one node, or from all when `node_id` is empty; the seat that let go.
///
/// A stage that is recorded but no longer mounted (its node lost power) goes with the attachment.
///
/// # Errors
/// The holder belongs to another cluster (a violation), its node has the volume mounted (a violation), or a
/// stage has just begun there.
pub fn detach(
    state: &mut ArrayState,
    handle: &str,
    node_id: &str,
    cluster: &str,
    devices: &[String],
    now_ms: u64,
) -> Result<Granted<Option<Seat>>, Refusal> {
    let Some(volume) = state.volumes.get_mut(handle) else {
        return Ok(Granted::repeat(None).noted("no such volume"));
    };
    let Some(held) = volume.attachment.as_ref() else {
        return Ok(Granted::repeat(None));
    };
    if !node_id.is_empty() && held.seat.node_id() != node_id {
        return Ok(Granted::repeat(None).noted(format!("attached to {}, not to {node_id}", held.seat)));
    }
    let seat = held.seat.clone();
    if seat.cluster != cluster {
        let asked = format!("the controller of {cluster}");
        return Err(Refusal::HeldElsewhere { handle: handle.to_owned(), holder: seat, asked, op: "detach" });
    }
    if !devices.is_empty() {
        return Err(still_in_use(handle, devices, "detach", true));
    }
    let timeout_ms = u64::try_from(STAGE_TIMEOUT.as_millis()).unwrap_or(u64::MAX);
    let stage = held.stage.as_ref();
    if stage.is_some_and(|s| !s.mounted && now_ms.saturating_sub(s.begun_at_ms) < timeout_ms) {
        return Err(Refusal::InProgress { handle: handle.to_owned(), op: "stage" });
    }
    let lost = stage.is_some();
    volume.attachment = None;
    let granted = Granted::changed(Some(seat));
    Ok(if lost {
        granted.noted("the node lost its mount; its stage record went with the attachment")
    } else {
        granted
    })
}
