//! What Ferry's tests stand on: real clusters, a real shared disk array, a referee.
//!
//! `build` makes the programs of a cluster, `world` runs clusters of them in namespaces of their own, `array`
//! is the CSI driver whose volumes both clusters reach, `observer` watches from outside that no invariant of a
//! handoff is broken, `app` is the database that is moved and the client that writes to it,
//! `ferry` installs the product as an operator would, `bench` measures it.
//!
//! Nothing here is shipped, and nothing of Ferry's product depends on it.

pub mod app;
pub mod array;
pub mod bench;
pub mod build;
pub mod ferry;
pub mod observer;
pub mod otlp;
pub mod world;
