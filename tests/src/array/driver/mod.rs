//! The CSI services over the array, served on unix sockets.
//!
//! Three files for the three CSI services and one for the kubelet's registration; this one holds what they share:
//! reading requests, turning errors into gRPC statuses, and serving. The services check the form of a request,
//! ask the array for a decision, and carry it out; they decide nothing themselves.

mod controller;
mod identity;
mod node;
mod registration;
mod requests;
mod serve;

pub use controller::ControllerService;
pub use identity::IdentityService;
pub use node::NodeService;
pub use serve::{ServeError, Sockets, serve};

use std::error::Error;

use tonic::Status;

use super::image::ImageError;
use super::mounts::{self, MountError};
use super::refusal::Refusal;
use super::store::StoreError;

/// Key of the attachment's token in the publish context.
pub const TOKEN_KEY: &str = "array.ferry.test/token";

/// Key of the array's identity in the volume context.
pub const ARRAY_KEY: &str = "array.ferry.test/array";

/// StorageClass parameter, also in the volume context: stages must bring the secret key [`SECRET_KEY`].
pub const REQUIRE_SECRET: &str = "requireSecret";

/// Key of the node stage secret that [`REQUIRE_SECRET`] asks for.
pub const SECRET_KEY: &str = "token";

/// The loop devices of a volume, for use in a rule: the array's lock is held, so the answer stays true for any
/// mount that the array decides about.
fn devices(handle: &str) -> Result<Vec<String>, Refusal> {
    mounts::devices_of(handle)
        .map_err(|e| Refusal::Unreadable { handle: handle.to_owned(), reason: chain(&e) })
}

/// An error and all its causes in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(e) = cause {
        text.push_str(": ");
        text.push_str(&e.to_string());
        cause = e.source();
    }
    text
}

fn internal(error: &dyn Error) -> Status {
    let text = chain(error);
    tracing::error!(error = %text, "the array failed");
    Status::internal(text)
}

impl From<StoreError> for Status {
    fn from(error: StoreError) -> Self {
        internal(&error)
    }
}

impl From<MountError> for Status {
    fn from(error: MountError) -> Self {
        internal(&error)
    }
}

impl From<ImageError> for Status {
    fn from(error: ImageError) -> Self {
        match &error {
            ImageError::Lost { .. } => Self::data_loss(chain(&error)),
            ImageError::Foreign { .. } | ImageError::BlankReadonly { .. } => {
                Self::failed_precondition(chain(&error))
            }
            ImageError::File { .. } | ImageError::Format { .. } | ImageError::Grow { .. } => internal(&error),
        }
    }
}
