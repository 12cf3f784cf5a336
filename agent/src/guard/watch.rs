//! Whether the guards that stand are still as they were put up: policies cannot guard themselves.
//!
//! Three watches of the inventory tell: of the ConfigMaps, which say what stands and which policy and binding belong to
//! it ([`Standing`]), and of those two kinds. Watches of different kinds come in no order, so what they say is only a
//! suspicion; before it is a fault, all three objects are read ([`verify`]). A guard that is put up or taken down says so
//! in its ConfigMap first and is not suspected. Nothing is changed here: what follows from a fault is the controller's to
//! decide. It pauses the migration, and the next hold puts the guard up again.

use std::collections::{BTreeMap, BTreeSet};

use kube::{
    Client,
    core::{Request, params::GetParams},
};
use serde_json::Value;

use super::{PREFIX, State, blame, policy, version};
use crate::{
    executor::{
        api::{BINDING, CONFIG_MAP, Key, POLICY},
        object as json,
    },
    limits,
    outcome::{Class, classify},
    watch::{Change, object},
};

/// A guard that was put up and not taken down since, as its ConfigMap said last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Guard {
    /// Namespace of the workload.
    pub namespace: String,
    /// Name of the StatefulSet.
    pub workload: String,
    /// The policy, `<uid>/<generation>`.
    pub policy: String,
    /// The binding, `<uid>/<generation>`.
    pub binding: String,
    /// Whether the ConfigMap is still there.
    is_listed: bool,
}

/// The guards that stand, by their ConfigMaps' keys.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    guards: BTreeMap<String, Guard>,
    gathered: Option<BTreeSet<String>>,
}

impl Standing {
    /// Takes a change of a ConfigMap in; whether anything differs now.
    pub(crate) fn fold(&mut self, change: &Change<object::ConfigMap>) -> bool {
        match change {
            Change::Restart => {
                self.gathered = Some(BTreeSet::new());
                false
            }
            Change::Present(map) => self.present(map),
            Change::Gone(map) => self.unlist(&map.metadata.key()),
            Change::Complete => {
                let seen = self.gathered.take().unwrap_or_default();
                let gone: Vec<_> = self.guards.keys().filter(|key| !seen.contains(*key)).cloned().collect();
                gone.iter().filter(|key| self.unlist(key)).count() > 0
            }
        }
    }

    fn present(&mut self, map: &object::ConfigMap) -> bool {
        let key = map.metadata.key();
        if let Some(gathered) = &mut self.gathered {
            gathered.insert(key.clone());
        }
        let Some(workload) = map.metadata.name.strip_prefix(PREFIX) else { return false };
        let text = |key: &str| map.data.get(key).cloned().unwrap_or_default();
        if text("state") != State::Standing.text() {
            return self.guards.remove(&key).is_some();
        }
        let guard = Guard {
            namespace: map.metadata.namespace.clone(),
            workload: workload.to_owned(),
            policy: text("policy"),
            binding: text("binding"),
            is_listed: true,
        };
        self.guards.insert(key, guard.clone()) != Some(guard)
    }

    fn unlist(&mut self, key: &str) -> bool {
        let Some(guard) = self.guards.get_mut(key) else { return false };
        std::mem::replace(&mut guard.is_listed, false)
    }

    /// Those of which a part is not there as it was put up, as far as watches tell. `policies` and `bindings` give the
    /// version of that name.
    pub(crate) fn suspects(
        &self,
        policies: impl Fn(&str) -> Option<String>,
        bindings: impl Fn(&str) -> Option<String>,
    ) -> Vec<Guard> {
        let is_suspect = |guard: &&Guard| {
            let name = policy::name(&guard.namespace, &guard.workload);
            !guard.is_listed
                || policies(&name).as_deref() != Some(&guard.policy)
                || bindings(&name).as_deref() != Some(&guard.binding)
        };
        self.guards.values().filter(is_suspect).cloned().collect()
    }
}

/// What is wrong with a guard that is suspected; nothing if it stands, or is being put up or taken down.
///
/// # Errors
/// The API server gave no answer.
pub(crate) async fn verify(client: &Client, guard: &Guard) -> kube::Result<Option<String>> {
    let name = policy::name(&guard.namespace, &guard.workload);
    let map = Key::within(CONFIG_MAP, &guard.namespace, super::map_name(&guard.workload));
    let found = read(client, &map).await?;
    if found.as_ref().is_some_and(|map| json::text(map, "/data/state") != State::Standing.text()) {
        return Ok(None);
    }
    if found.is_none() {
        return Ok(Some(format!("{map} was deleted; the API server's audit log says by whom")));
    }
    for (kind, noted) in [(BINDING, &guard.binding), (POLICY, &guard.policy)] {
        let key = Key::within(kind, "", name.clone());
        let Some(part) = read(client, &key).await? else {
            return Ok(Some(format!("{key} was deleted; the API server's audit log says by whom")));
        };
        if version(&part) == *noted {
            continue;
        }
        let by = blame::last_writer(&part)
            .map_or_else(String::new, |(manager, time)| format!(" by field manager {manager} at {time}"));
        let is_another = !noted.starts_with(&format!("{}/", json::uid(&part)));
        let what = if is_another { "was deleted and made again" } else { "was changed" };
        return Ok(Some(format!("{key} {what}{by}")));
    }
    Ok(None)
}

async fn read(client: &Client, key: &Key) -> kube::Result<Option<Value>> {
    let request = Request::new(key.kind.path(&key.namespace));
    let request = request.get(&key.name, &GetParams::default()).map_err(kube::Error::BuildRequest)?;
    match tokio::time::timeout(limits::READ_TIMEOUT, client.request::<Value>(request)).await {
        Ok(Err(error)) if classify(&error) == Class::Missing => Ok(None),
        Ok(answer) => answer.map(Some),
        Err(late) => Err(kube::Error::Service(late.into())),
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
