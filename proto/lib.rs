//! The wire of Ferry: what `build.rs` generates from `proto/`, and nothing else.
//!
//! Three services, one package each: [`agent`] (the stream between an agent and the controller), [`admin`] (what
//! people ask) and [`enroll`] (how somebody becomes somebody). Field documentation, with units, lives in the `.proto`
//! files. These types stop at the edge: in the controller only `wire`, `session` and `admin` may name them.

/// Everything the files under `proto/` declare, encoded as a `google.protobuf.FileDescriptorSet`: what the
/// authorization table is held against.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// `ferry.agent.v1`.
pub mod agent {
    /// Version 1.
    #[allow(missing_docs, clippy::all, clippy::pedantic, reason = "generated")]
    pub mod v1 {
        tonic::include_proto!("ferry.agent.v1");
    }
}

/// `ferry.admin.v1`.
pub mod admin {
    /// Version 1.
    #[allow(missing_docs, clippy::all, clippy::pedantic, reason = "generated")]
    pub mod v1 {
        tonic::include_proto!("ferry.admin.v1");
    }
}

/// `ferry.enroll.v1`.
pub mod enroll {
    /// Version 1.
    #[allow(missing_docs, clippy::all, clippy::pedantic, reason = "generated")]
    pub mod v1 {
        tonic::include_proto!("ferry.enroll.v1");
    }
}
