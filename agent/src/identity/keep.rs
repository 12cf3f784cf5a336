//! Where an identity is kept: a directory for a process on a machine, a Secret for a pod.
//!
//! Both hold the same text, replace it as a whole, and say in words what is wrong with it. Who keeps and renews an
//! identity need not know which of the two it is: that is decided once, by the options, and each has its own module
//! ([`super::store`], [`super::secret`]).

use std::path::{Path, PathBuf};

use kube::Client;

use super::{Error, Identity, secret::Kept, store::Store};

/// A place that survives this process.
#[derive(Clone)]
pub enum Keep {
    /// A file in the state directory.
    Directory(Store),
    /// A Secret of the cluster.
    Secret(Box<Kept>),
}

impl Keep {
    /// The state directory; made if it does not exist.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn in_directory(dir: PathBuf) -> Result<Self, Error> {
        Store::open(dir).map(Self::Directory)
    }

    /// The Secret `name` in the namespace of the client's account.
    pub fn in_secret(client: &Client, name: &str) -> Self {
        Self::Secret(Box::new(Kept::new(client, name)))
    }

    /// What it is called in messages.
    pub fn path(&self) -> &Path {
        match self {
            Self::Directory(store) => store.path(),
            Self::Secret(kept) => kept.path(),
        }
    }

    /// What is kept; `None` when nothing is.
    ///
    /// # Errors
    /// It cannot be read, or what is there is no identity.
    pub async fn load(&self) -> Result<Option<Identity>, Error> {
        match self {
            Self::Directory(store) => store.load(),
            Self::Secret(kept) => kept.load().await,
        }
    }

    /// Whether it could be written: asked before a token is traded, which cannot be done twice.
    ///
    /// # Errors
    /// It could not.
    pub async fn check(&self) -> Result<(), Error> {
        match self {
            Self::Directory(_) => Ok(()),
            Self::Secret(kept) => kept.check().await,
        }
    }

    /// Replaces what is kept.
    ///
    /// # Errors
    /// It cannot be written; what was kept before is still there.
    pub async fn save(&self, identity: &Identity) -> Result<(), Error> {
        match self {
            Self::Directory(store) => store.save(identity),
            Self::Secret(kept) => kept.save(identity).await,
        }
    }
}
