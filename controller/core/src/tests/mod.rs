//! Tests of the whole core against a small model of the world.

mod crossing;
mod faults;
mod hostile;
mod planning;
mod waiting;
mod world;
