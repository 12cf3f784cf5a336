//! The Node service of one node: mounts what the array lets it mount.
//!
//! Each operation asks the array first, mounts, and confirms; it is repeatable at every point (`rules.rs`). It
//! runs in a task of its own, so that a caller that goes away does not stop it half-way; a second request about
//! the same volume meanwhile is told to come back.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tonic::Status;

use super::super::image::{self, Content};
use super::super::log::{Op, Outcome};
use super::super::model::{AccessMode, Seat, Volume};
use super::super::mounts;
use super::super::refusal::Refusal;
use super::super::rules::{self, BeginPublish, BeginStage};
use super::super::store::{Array, Asked};
use super::{chain, devices};

mod rpc;

/// One node of one cluster.
#[derive(Clone, Debug)]
pub struct NodeService {
    array: Array,
    seat: Seat,
    busy: Arc<Mutex<HashSet<String>>>,
}

/// Marks a volume as being worked on, for as long as it lives.
struct Busy {
    volumes: Arc<Mutex<HashSet<String>>>,
    handle: String,
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.volumes.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.handle);
    }
}

/// A request to publish, read from its message.
#[derive(Clone, Debug)]
struct Publish {
    handle: String,
    staging: PathBuf,
    target: PathBuf,
    readonly: bool,
    pod: Option<String>,
}

impl NodeService {
    /// The node of a seat; the array must know it (`rules::register_node`) before volumes are attached.
    pub fn new(array: Array, seat: Seat) -> Self {
        Self { array, seat, busy: Arc::default() }
    }

    fn claim(&self, handle: &str, op: &'static str) -> Result<Busy, Refusal> {
        let mut volumes = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if !volumes.insert(handle.to_owned()) {
            return Err(Refusal::InProgress { handle: handle.to_owned(), op });
        }
        Ok(Busy { volumes: Arc::clone(&self.busy), handle: handle.to_owned() })
    }

    fn asked(&self, op: Op, handle: &str) -> Asked {
        Asked::new(op, handle, &self.seat.cluster).on(&self.seat)
    }

    async fn stage(self, mut request: BeginStage) -> Result<(), Status> {
        let (handle, path) = (request.handle.clone(), request.path.clone());
        let _busy = self.claim(&handle, "an operation on this node")?;
        let token = request.token.clone().unwrap_or_default();
        request.mounted_here = mounts::has_volume(&path, &handle)?;
        let mounted = request.mounted_here;
        let volume = self.array.decide(self.asked(Op::Stage, &handle), Outcome::Begun, |s| {
            rules::begin_stage(s, request, &devices(&handle)?)
        })??;
        let stage = volume.attachment.as_ref().and_then(|a| a.stage.clone());
        if mounted && stage.as_ref().is_some_and(|s| s.mounted) {
            return Ok(());
        }
        if !mounted && let Err(status) = self.mount(&volume, &path).await {
            self.array.record_failure(self.asked(Op::Stage, &handle), status.message().to_owned())?;
            self.array.decide(self.asked(Op::Stage, &handle), Outcome::Failed, |s| {
                rules::abandon_stage(s, &handle, &self.seat)
            })??;
            return Err(status);
        }
        let confirmed = self.array.decide(self.asked(Op::Stage, &handle), Outcome::Ok, |s| {
            rules::confirm_stage(s, &handle, &self.seat, &token)
        })?;
        if let Err(refusal) = confirmed {
            mounts::unmount(&path, &handle)?;
            return Err(refusal.into());
        }
        Ok(())
    }

    /// Makes the file system of a new volume, and mounts the image.
    async fn mount(&self, volume: &Volume, path: &Path) -> Result<(), Status> {
        let Some(attachment) = &volume.attachment else {
            return Err(Status::internal("a volume is staged without an attachment"));
        };
        let image = self.array.image_path(&volume.handle);
        let readonly = attachment.readonly || attachment.mode == AccessMode::SingleNodeReaderOnly;
        image::ensure_formatted(&image, volume, readonly).await?;
        if !volume.formatted {
            let asked = self.asked(Op::Format, &volume.handle);
            self.array.decide(asked, Outcome::Ok, |s| rules::mark_formatted(s, &volume.handle))??;
        }
        let flags = attachment.stage.as_ref().map(|s| s.flags.as_slice()).unwrap_or_default();
        Ok(mounts::mount_image(&image, &volume.handle, path, flags, readonly).await?)
    }

    async fn unstage(self, handle: String, path: PathBuf) -> Result<(), Status> {
        let _busy = self.claim(&handle, "an operation on this node")?;
        let is_mounted = |target: &Path| mounts::mounted_at(target).is_ok_and(|m| m.is_some());
        rules::unstage(&self.array.state()?, &handle, &self.seat, is_mounted)?;
        mounts::unmount(&path, &handle)?;
        let recorded = rules::staged_here(&self.array.state()?, &handle, &self.seat)?.is_some();
        if recorded {
            mounts::released(&handle).await?;
        }
        self.array.decide(self.asked(Op::Unstage, &handle), Outcome::Ok, |s| {
            rules::confirm_unstage(s, &handle, &self.seat, &devices(&handle)?)
        })??;
        Ok(())
    }

    async fn publish(self, request: Publish) -> Result<(), Status> {
        let handle = request.handle.as_str();
        let _busy = self.claim(handle, "an operation on this node")?;
        let asked = || Asked { pod: request.pod.clone(), ..self.asked(Op::Publish, handle) };
        let begin = BeginPublish {
            handle: handle.to_owned(),
            seat: self.seat.clone(),
            staging: request.staging.clone(),
            target: request.target.clone(),
            readonly: request.readonly,
            staging_mounted: mounts::has_volume(&request.staging, handle)?,
        };
        let mounted = mounts::has_volume(&request.target, handle)?;
        self.array.decide(asked(), Outcome::Begun, |s| rules::begin_publish(s, begin))??;
        if !mounted
            && let Err(error) = mounts::bind(&request.staging, &request.target, handle, request.readonly)
        {
            self.array.record_failure(asked(), chain(&error))?;
            self.array.decide(self.asked(Op::Unpublish, handle), Outcome::Ok, |s| {
                rules::unpublish(s, handle, &self.seat, &request.target)
            })??;
            return Err(error.into());
        }
        let confirmed = self.array.decide(asked(), Outcome::Ok, |s| {
            rules::confirm_publish(s, handle, &self.seat, &request.target)
        })?;
        if let Err(refusal) = confirmed {
            mounts::unmount(&request.target, handle)?;
            return Err(refusal.into());
        }
        Ok(())
    }

    async fn unpublish(self, handle: String, target: PathBuf) -> Result<(), Status> {
        let _busy = self.claim(&handle, "an operation on this node")?;
        mounts::unmount(&target, &handle)?;
        match std::fs::remove_dir(&target) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(Status::internal(format!("cannot remove {}: {e}", target.display())));
            }
            _ => {}
        }
        self.array.decide(self.asked(Op::Unpublish, &handle), Outcome::Ok, |s| {
            rules::unpublish(s, &handle, &self.seat, &target)
        })??;
        Ok(())
    }

    /// The size of the volume in bytes, once its file system fills it: it was grown before it was mounted.
    async fn expand(self, handle: String, path: PathBuf) -> Result<u64, Status> {
        let _busy = self.claim(&handle, "an operation on this node")?;
        let state = self.array.state()?;
        let capacity_bytes = rules::volume(&state, &handle)?.capacity_bytes;
        self.own_path(&handle, &path)?;
        match image::inspect(&self.array.image_path(&handle))? {
            Content::Ext4 { bytes, .. } if image::is_grown(bytes, capacity_bytes) => {}
            found => {
                return Err(Status::failed_precondition(format!(
                    "volume {handle} has {capacity_bytes} bytes and holds {found}; it grows at the next stage"
                )));
            }
        }
        self.array
            .decide(self.asked(Op::NodeExpand, &handle), Outcome::Ok, |s| rules::grow(s, &handle, 0, 0))??;
        Ok(capacity_bytes)
    }

    /// Refuses paths at which this node has not mounted the volume.
    fn own_path(&self, handle: &str, path: &Path) -> Result<(), Status> {
        let state = self.array.state()?;
        let stage = rules::staged_here(&state, handle, &self.seat)?;
        if stage.is_some_and(|s| s.path == path || s.publications.contains_key(path)) {
            return Ok(());
        }
        Err(Status::not_found(format!(
            "volume {handle} is not mounted at {} on {}; expected its staging path or a target path",
            path.display(),
            self.seat
        )))
    }
}
