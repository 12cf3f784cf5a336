//! Endpoints of governed Services, both ways (network.md): what this cluster has, and what the others have.
//!
//! [`own`] watches the slices that Kubernetes manages and reports them; it never looks at mirrored ones, or they
//! would echo from cluster to cluster. [`mirror`] writes other clusters' endpoints as slices of our own, which the
//! stock DNS and proxy read like any other, and confirms what was written. Which Services are governed the controller
//! says, and it alone judges the gate of step 11. Nothing is deleted when the controller is away: a mirrored endpoint
//! stays as it was.

pub mod mirror;
pub mod own;
pub mod report;
pub mod slices;

pub use mirror::Mirrors;
pub use own::Own;

/// A Service: namespace and name.
pub type ServiceKey = (String, String);
