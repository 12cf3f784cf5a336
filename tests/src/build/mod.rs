//! Builds everything that a test world runs and that no package registry serves as a binary.
//!
//! Kubernetes, containerd, etcd, CoreDNS, the CSI sidecars and kwok are Go programs; each group of them has a
//! `go.mod` under `tests/go/` whose `tool` directives name the programs and whose `go.sum` pins every byte.
//! runc, the CNI plugins and busybox come as Debian packages. From these, [`ensure`] makes the images that the
//! nodes import.
//!
//! The first build takes some twenty minutes of two cores; its results lie in a cache keyed by what went into
//! them, so that each later call costs milliseconds. Inside a world there is no network: call [`ensure`]
//! before [`crate::world::enter`].
//!
//! Boundary: this module knows programs and images. How they are started is the world's business.

mod cache;
mod catalog;
mod command;
mod debian;
mod ferry;
mod golang;
mod image;
mod limits;
mod tools;

pub use catalog::{DEFAULT_KUBERNETES, KubernetesRelease};
pub use ferry::{VERSION, images, release_images};
pub use image::{ETCD_IMAGE, PAUSE_IMAGE, TOOL_IMAGE};
pub use tools::{Tools, ensure, ensure_releases};
