//! The real command against a controller that speaks the real wire over real TLS.
//!
//! What answers is made here (`controller.rs`): it has a CA of its own, enrols and renews, and says what a test told
//! it to say. What asks is the binary itself, run as a person would run it, judged by its exit code, standard output
//! and standard error. How things look is tested beside the code that renders them; here it is what they do.

mod control;
mod controller;
mod following;
mod identity;
mod local;
mod plans;
mod runner;
mod samples;
