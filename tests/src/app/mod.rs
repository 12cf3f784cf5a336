//! The database that is moved, the client that writes to it all the while, and the look at its disks.
//!
//! A real etcd of three members as a StatefulSet, because it notices everything: a member that lost its disk, two
//! processes with one identity, a quorum that broke. [`etcd`] makes its objects, [`client`] writes through the names
//! that an application would use and through both clusters' DNS, [`disk`] reads what lies on a member's own volume,
//! [`member`] asks one member about itself.
//!
//! The boundary: nothing here knows of Ferry. What is checked is what an application and its data see.

pub mod client;
pub mod crossing;
pub mod disk;
pub mod etcd;
pub mod member;
