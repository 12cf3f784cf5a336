//! Names of things: newtypes, so that a cluster is never taken for a command.
//!
//! Each one that keys a map of the state is written to JSON as one string, because JSON's keys are strings; reading
//! it back fails on anything but what was written. No identifier is drawn at random here: numbers come from the
//! state, names from the outside.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Number of one replica of a StatefulSet.
pub type Ordinal = u32;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// Name of a cluster: a DNS label, as in its certificate.
    ClusterName
);
text_id!(
    /// Id of a migration: `<workload>-<n>`.
    MigrationId
);
text_id!(
    /// Id of a command: `<migration>/<ordinal or ->/<verb>/<n>`; the same id is the same command.
    CommandId
);
text_id!(
    /// SHA-256 of a plan, in hexadecimal.
    PlanHash
);
text_id!(
    /// SHA-256 of a join token's id and secret, in hexadecimal.
    TokenHash
);

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_id!(
    /// Fencing number of one ordinal: rises with each ownership change, never reused (handoff.md section 1).
    Epoch
);
number_id!(
    /// Number of an agent's stream; the shell counts up, so a greater one is the newer one.
    Session
);
number_id!(
    /// Names one waiting request of the shell; comes back in the reply, means nothing to the core.
    RequestId
);

impl Epoch {
    /// The next one: what a handoff of an ordinal with this epoch grants.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Why a text is no identifier of that kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {kind}: expected {expected}")]
pub struct IdError {
    text: String,
    kind: &'static str,
    expected: &'static str,
}

/// A StatefulSet identity that may span clusters. Written `namespace/name`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Workload {
    /// Namespace.
    pub namespace: String,
    /// Name of the StatefulSet.
    pub name: String,
}

impl Workload {
    /// A workload of that namespace and name.
    #[must_use]
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// Name of the pod of that ordinal, which is its host name too.
    #[must_use]
    pub fn pod(&self, ordinal: Ordinal) -> String {
        format!("{}-{ordinal}", self.name)
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl From<Workload> for String {
    fn from(workload: Workload) -> Self {
        workload.to_string()
    }
}

impl TryFrom<String> for Workload {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        match text.split_once('/') {
            Some((namespace, name)) => Ok(Self::new(namespace, name)),
            None => Err(IdError { text, kind: "workload", expected: "namespace/name" }),
        }
    }
}

/// A Service. Written `namespace/name`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ServiceName {
    /// Namespace.
    pub namespace: String,
    /// Name of the Service.
    pub name: String,
}

impl ServiceName {
    /// A Service of that namespace and name.
    #[must_use]
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl From<ServiceName> for String {
    fn from(service: ServiceName) -> Self {
        service.to_string()
    }
}

impl TryFrom<String> for ServiceName {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        match text.split_once('/') {
            Some((namespace, name)) => Ok(Self::new(namespace, name)),
            None => Err(IdError { text, kind: "Service", expected: "namespace/name" }),
        }
    }
}

/// Backing storage, the same in every cluster of its domain. Written `domain/driver/handle`; the handle may hold
/// further slashes, domain and driver may not.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct VolumeId {
    /// Storage domain: which clusters reach the same array. The driver's name unless declared otherwise.
    pub domain: String,
    /// CSI driver.
    pub driver: String,
    /// `volumeHandle`.
    pub handle: String,
}

impl VolumeId {
    /// A volume in the domain that its driver's name stands for.
    #[must_use]
    pub fn of_driver(driver: &str, handle: &str) -> Self {
        Self { domain: driver.to_owned(), driver: driver.to_owned(), handle: handle.to_owned() }
    }
}

impl fmt::Display for VolumeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.domain, self.driver, self.handle)
    }
}

impl From<VolumeId> for String {
    fn from(volume: VolumeId) -> Self {
        volume.to_string()
    }
}

impl TryFrom<String> for VolumeId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        let mut parts = text.splitn(3, '/');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(domain), Some(driver), Some(handle)) => {
                Ok(Self { domain: domain.to_owned(), driver: driver.to_owned(), handle: handle.to_owned() })
            }
            _ => Err(IdError { text, kind: "volume", expected: "domain/driver/handle" }),
        }
    }
}
