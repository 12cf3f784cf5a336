//! What is kept of a followed collection: small values by key, replaced as a whole when the list begins anew.
//!
//! A list that is under way is gathered aside, so that nobody sees half of one: an object that a report
//! leaves out is taken for gone. Only what a report needs is kept of each object, for this is where an
//! agent's memory goes in a cluster of many.

use std::collections::BTreeMap;

use super::Change;

/// Values by key.
#[derive(Debug)]
pub struct Table<V> {
    live: BTreeMap<String, V>,
    gathered: Option<BTreeMap<String, V>>,
    complete: bool,
}

impl<V> Default for Table<V> {
    fn default() -> Self {
        Self { live: BTreeMap::new(), gathered: None, complete: false }
    }
}

impl<V: PartialEq> Table<V> {
    /// Whether a whole list was ever seen.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// The value at `key`.
    pub fn at(&self, key: &str) -> Option<&V> {
        self.live.get(key)
    }

    /// All, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        self.live.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.live.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    /// Folds `change`; `trim` says under which key an object is kept, and what of it (`None`: nothing). Returns
    /// whether anything that is kept differs now.
    pub fn fold<T>(&mut self, change: Change<T>, trim: impl Fn(T) -> (String, Option<V>)) -> bool {
        match change {
            Change::Restart => {
                self.gathered = Some(BTreeMap::new());
                false
            }
            Change::Present(object) => {
                let gathering = self.gathered.is_some();
                let into = self.gathered.as_mut().unwrap_or(&mut self.live);
                let changed = match trim(object) {
                    (key, Some(value)) if into.get(&key) == Some(&value) => false,
                    (key, Some(value)) => {
                        into.insert(key, value);
                        true
                    }
                    (key, None) => into.remove(&key).is_some(),
                };
                changed && !gathering
            }
            Change::Gone(object) => {
                let (key, _) = trim(object);
                self.live.remove(&key).is_some()
            }
            Change::Complete => {
                let gathered = self.gathered.take().unwrap_or_default();
                let changed = !self.complete || gathered != self.live;
                self.live = gathered;
                self.complete = true;
                changed
            }
        }
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
