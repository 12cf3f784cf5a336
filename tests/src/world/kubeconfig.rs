//! Kubeconfig files, written as JSON (which is YAML), with the credentials inside so that each stands alone.
//!
//! One file for each user of each cluster, and one for people with a context for every cluster. They lie in the
//! run directory and are worthless after the run: the authorities that they trust, and that trust them, are
//! made anew each time.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{pki::Credential, process::make_parent};

/// One cluster as a kubeconfig names it: context, cluster and user have the same name.
pub(super) struct Entry<'a> {
    pub(super) name: &'a str,
    pub(super) server: &'a str,
    /// The authority's certificate, as PEM.
    pub(super) authority: &'a str,
    pub(super) credential: &'a Credential,
}

/// Writes a kubeconfig whose first entry is the current context.
pub(super) fn write(path: &Path, entries: &[Entry<'_>]) -> Result<()> {
    store(path, &config(entries))
}

/// The same of one entry, for a program that is to be somebody else to the API server.
pub(super) fn write_acting_as(path: &Path, entry: Entry<'_>, user: &str, groups: &[&str]) -> Result<()> {
    let mut config = config(&[entry]);
    config["users"][0]["user"]["as"] = user.into();
    config["users"][0]["user"]["as-groups"] = groups.into();
    store(path, &config)
}

fn config(entries: &[Entry<'_>]) -> Value {
    let list = |of: &dyn Fn(&Entry<'_>) -> Value| entries.iter().map(of).collect::<Vec<_>>();
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": entries.first().map(|entry| entry.name),
        "clusters": list(&|entry| json!({
            "name": entry.name,
            "cluster": {
                "server": entry.server,
                "certificate-authority-data": STANDARD.encode(entry.authority),
            },
        })),
        "users": list(&|entry| json!({
            "name": entry.name,
            "user": {
                "client-certificate-data": STANDARD.encode(&entry.credential.certificate),
                "client-key-data": STANDARD.encode(&entry.credential.key),
            },
        })),
        "contexts": list(&|entry| json!({
            "name": entry.name,
            "context": {"cluster": entry.name, "user": entry.name},
        })),
    })
}

fn store(path: &Path, config: &Value) -> Result<()> {
    make_parent(path)?;
    fs::write(path, serde_json::to_vec_pretty(config)?)
        .with_context(|| format!("cannot write {}", path.display()))
}
