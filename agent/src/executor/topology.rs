//! Where a disk can be reached from, in the target's words.
//!
//! A PersistentVolume's node affinity and its topology labels name zones as the source's nodes are labelled. Where the
//! target labels its nodes otherwise, a person says which stands for which: on the target's StorageClass, mapped or of
//! the same name, by the annotation [`MAP`]. Without it nothing is rewritten, and the plan refuses a volume that no
//! node there satisfies (K7). Only what is named is rewritten, value by value; the rest stays as it was recorded.

use std::collections::BTreeMap;

use serde_json::Value;

use super::object;

/// On a StorageClass of the target: `KEY=VALUE:KEY=VALUE`, the source's label and the target's, separated by commas.
pub(crate) const MAP: &str = "ferry.dev/topology";

/// A label of the source's nodes and the label of the target's that stands for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Topology(BTreeMap<Label, Label>);

type Label = (String, String);

impl Topology {
    /// What `class`, a StorageClass of the target, says; nothing where it says nothing.
    ///
    /// # Errors
    /// The part of the annotation that cannot be read.
    pub(crate) fn of(class: Option<&Value>) -> Result<Self, String> {
        let text = class.and_then(|class| object::annotation(class, MAP)).unwrap_or_default();
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(|part| pair(part).ok_or_else(|| part.to_owned())).collect::<Result<_, _>>().map(Self)
    }

    /// Whether `volume`, a PersistentVolume, names nodes or zones at all.
    pub(crate) fn concerns(volume: &Value) -> bool {
        let labels = volume.pointer("/metadata/labels").and_then(Value::as_object);
        volume.pointer("/spec/nodeAffinity/required").is_some() || labels.is_some_and(|all| !all.is_empty())
    }

    /// Rewrites `volume`, a PersistentVolume.
    pub(crate) fn rewrite(&self, volume: &mut Value) {
        let terms = volume.pointer_mut("/spec/nodeAffinity/required/nodeSelectorTerms");
        for term in terms.and_then(Value::as_array_mut).into_iter().flatten() {
            let asked = term.get_mut("matchExpressions").and_then(Value::as_array_mut);
            for requirement in asked.into_iter().flatten() {
                self.requirement(requirement);
            }
        }
        let Some(labels) = volume.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) else {
            return;
        };
        for ((key, value), (to_key, to_value)) in &self.0 {
            if labels.get(key).and_then(Value::as_str) == Some(value) {
                labels.remove(key);
                labels.insert(to_key.clone(), to_value.as_str().into());
            }
        }
    }

    /// A requirement has one key: it is rewritten if all of its values move to one.
    fn requirement(&self, requirement: &mut Value) {
        let key = object::text(requirement, "/key").to_owned();
        let values = object::items(requirement, "/values").iter().filter_map(Value::as_str);
        let mapped: Option<Vec<&Label>> =
            values.map(|value| self.0.get(&(key.clone(), value.to_owned()))).collect();
        let Some(mapped) = mapped.filter(|mapped| !mapped.is_empty()) else { return };
        let same_key = mapped.iter().all(|(to, _)| *to == mapped[0].0);
        if same_key {
            requirement["key"] = mapped[0].0.as_str().into();
            requirement["values"] = mapped.iter().map(|(_, value)| Value::from(value.as_str())).collect();
        }
    }
}

fn pair(part: &str) -> Option<(Label, Label)> {
    let (from, to) = part.split_once(':')?;
    Some((label(from)?, label(to)?))
}

fn label(text: &str) -> Option<Label> {
    let (key, value) = text.split_once('=')?;
    (!key.is_empty() && !value.is_empty()).then(|| (key.to_owned(), value.to_owned()))
}

#[cfg(test)]
#[path = "topology_tests.rs"]
mod tests;
