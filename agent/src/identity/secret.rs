//! Keeps the key and the certificate in a Secret, for an agent that runs in a pod and has no disk of its own.
//!
//! A disk would tie the agent to a node, and be one more volume that a dead node holds; a Secret is where the cluster
//! keeps such things anyway. It must exist, so that the agent needs no right to create Secrets: `get` and `patch` of
//! this one name are all. An API server that is away is waited for: without one there is nothing to report either.
//!
//! The text in it is the one of [`super::store`].

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};

use super::{Error, Identity, Material};
use crate::{
    backoff::Backoff,
    outcome::{Class, classify, said},
};

/// The key in the Secret.
const KEY: &str = "identity.json";

/// One Secret of the agent's own namespace.
#[derive(Clone)]
pub struct Kept {
    api: Api<Secret>,
    name: String,
    shown: PathBuf,
}

impl Kept {
    /// The Secret `name` in the namespace of the client's account.
    pub fn new(client: &Client, name: &str) -> Self {
        let shown = PathBuf::from(format!("the Secret {}/{name}", client.default_namespace()));
        Self { api: Api::default_namespaced(client.clone()), name: name.to_owned(), shown }
    }

    /// What it is called in messages.
    pub fn path(&self) -> &Path {
        &self.shown
    }

    /// What is kept; `None` when nothing is.
    ///
    /// # Errors
    /// [`Error::Secret`], [`Error::Damaged`], [`Error::NotACluster`].
    pub async fn load(&self) -> Result<Option<Identity>, Error> {
        let secret = self.insist("read", || self.api.get(&self.name)).await?;
        let Some(ByteString(text)) = secret.data.and_then(|mut data| data.remove(KEY)) else {
            return Ok(None);
        };
        let material: Material = serde_json::from_slice(&text)
            .map_err(|_| Error::Damaged { path: self.shown.clone(), what: "its JSON" })?;
        Identity::from_material(material, &self.shown).map(Some)
    }

    /// Whether [`Kept::save`] would be allowed: asked before a token is traded, which cannot be done twice.
    ///
    /// # Errors
    /// [`Error::Secret`].
    pub async fn check(&self) -> Result<(), Error> {
        self.write(BTreeMap::new(), &PatchParams { dry_run: true, ..PatchParams::default() }).await
    }

    /// Replaces what is kept.
    ///
    /// # Errors
    /// [`Error::Secret`]; what was kept before is still there.
    pub async fn save(&self, identity: &Identity) -> Result<(), Error> {
        let text = serde_json::to_vec(identity.material())
            .map_err(|_| Error::Damaged { path: self.shown.clone(), what: "the new identity" })?;
        self.write(BTreeMap::from([(KEY.to_owned(), ByteString(text))]), &PatchParams::default()).await
    }

    async fn write(&self, data: BTreeMap<String, ByteString>, how: &PatchParams) -> Result<(), Error> {
        let patch = Patch::Merge(serde_json::json!({ "data": data }));
        self.insist("write", || self.api.patch(&self.name, how, &patch)).await.map(drop)
    }

    /// Asks until there is an answer. To write the same bytes twice is to write them once.
    async fn insist<F>(&self, what: &'static str, ask: impl Fn() -> F) -> Result<Secret, Error>
    where
        F: Future<Output = kube::Result<Secret>>,
    {
        let mut backoff = Backoff::new();
        loop {
            match ask().await {
                Ok(secret) => return Ok(secret),
                Err(error) if !is_final(classify(&error)) => {
                    tracing::warn!(secret = %self.shown.display(), error = said(&error), "cannot {what} it yet; tried again");
                }
                Err(source) => {
                    return Err(Error::Secret { what, secret: self.shown.clone(), source: Box::new(source) });
                }
            }
            backoff.pause().await;
        }
    }
}

fn is_final(class: Class) -> bool {
    matches!(class, Class::Missing | Class::Denied | Class::Invalid)
}
