//! What an admin says about storage: which array a driver reaches, which StorageClass stands for which.
//!
//! A volume's identity is (domain, driver, handle): the same driver and handle may mean two disks where two clusters
//! reach two arrays, so an admin can say which array a driver of a cluster reaches. Until then the driver's name is the
//! domain. StorageClasses are names of one cluster; a mapping says which name of the target stands for a name of the
//! source. Whether a class exists is for the target's agent to find; what is done with an identity is the ledger's.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{ClusterName, VolumeId};

/// Which array a CSI driver of a cluster reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StorageDomain {
    /// The cluster.
    pub cluster: ClusterName,
    /// The CSI driver.
    pub driver: String,
    /// The domain.
    pub domain: String,
}

/// A StorageClass of one cluster that stands for one of another.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StorageMap {
    /// The source.
    pub from: ClusterName,
    /// The target.
    pub to: ClusterName,
    /// Namespace it holds for; none for all.
    pub namespace: Option<String>,
    /// StorageClass in the source.
    pub from_class: String,
    /// StorageClass in the target.
    pub to_class: String,
}

/// What admins said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storage {
    /// Domains that were set, in order.
    pub domains: Vec<StorageDomain>,
    /// Mappings that were set, in order.
    pub maps: Vec<StorageMap>,
}

impl Storage {
    /// The array that a driver of that cluster reaches.
    #[must_use]
    pub fn domain(&self, cluster: &ClusterName, driver: &str) -> String {
        let set = self.domains.iter().find(|of| of.cluster == *cluster && of.driver == driver);
        set.map_or_else(|| driver.to_owned(), |of| of.domain.clone())
    }

    /// A disk of that cluster.
    #[must_use]
    pub fn volume(&self, cluster: &ClusterName, driver: &str, handle: &str) -> VolumeId {
        VolumeId {
            domain: self.domain(cluster, driver),
            driver: driver.to_owned(),
            handle: handle.to_owned(),
        }
    }

    /// Names of the target's StorageClasses by the source's; a mapping of the namespace comes before one of all.
    #[must_use]
    pub fn classes(&self, from: &ClusterName, to: &ClusterName, namespace: &str) -> BTreeMap<String, String> {
        let mut classes = BTreeMap::new();
        for wanted in [None, Some(namespace)] {
            let maps = self.maps.iter().filter(|map| map.from == *from && map.to == *to);
            for map in maps.filter(|map| map.namespace.as_deref() == wanted) {
                classes.insert(map.from_class.clone(), map.to_class.clone());
            }
        }
        classes
    }

    /// Takes a domain over; the driver's own name is what holds when nothing is set.
    pub(crate) fn set_domain(&mut self, set: &StorageDomain) {
        self.domains.retain(|of| of.cluster != set.cluster || of.driver != set.driver);
        if !set.domain.is_empty() && set.domain != set.driver {
            self.domains.push(set.clone());
            self.domains.sort();
        }
    }

    /// Takes a mapping over, in place of one of the same key.
    pub(crate) fn add_map(&mut self, map: &StorageMap) {
        self.remove_map(map);
        self.maps.push(map.clone());
        self.maps.sort();
    }

    /// Takes the mapping of that key away.
    pub(crate) fn remove_map(&mut self, map: &StorageMap) {
        self.maps.retain(|of| !of.is_for_same(map));
    }
}

impl StorageMap {
    /// Whether it maps the same class between the same clusters for the same namespace.
    #[must_use]
    pub fn is_for_same(&self, other: &Self) -> bool {
        (&self.from, &self.to, &self.namespace, &self.from_class)
            == (&other.from, &other.to, &other.namespace, &other.from_class)
    }
}
