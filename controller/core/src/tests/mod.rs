//! Tests of the whole core against a small model of the world.

mod attesting;
mod control;
mod crossing;
mod domains;
mod faults;
mod hazards;
mod hostile;
mod planning;
mod probing;
mod restored;
mod subsets;
mod waiting;
mod world;
