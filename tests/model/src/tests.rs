//! The quick explorations, by every run of the tests; `make model` explores the rest.
//!
//! Each says its counts. What is planted must be found, by the property that it breaks, and the way to it is printed.

use crate::{
    explorations::{Exploration, PLANTED, RIGHT},
    model::{self, Explored},
    report,
};

fn explore(exploration: &Exploration) -> Explored {
    let explored = model::explore(exploration.bounds).unwrap();
    print!("{}", report::told(exploration, &explored));
    explored
}

#[test]
fn the_protocol_holds_within_the_quick_bounds() {
    for exploration in RIGHT.iter().filter(|exploration| exploration.quick) {
        let explored = explore(exploration);
        assert!(explored.broken.is_empty(), "{}: {:?}", exploration.bounds.name, explored.broken);
        assert!(explored.unique_states > 40, "{}: hardly anything was explored", exploration.bounds.name);
        assert!(explored.ends.contains(&"completed"), "{}: it never completes", exploration.bounds.name);
    }
}

#[test]
fn every_planted_fault_is_found() {
    for exploration in PLANTED.iter().filter(|exploration| exploration.quick) {
        let explored = explore(exploration);
        assert!(explored.is_expected(exploration.finds), "{}: {explored:?}", exploration.bounds.name);
    }
}

#[test]
fn what_is_explored_has_names_of_its_own() {
    let all = RIGHT.iter().chain(&PLANTED);
    let mut names: Vec<&str> = all.map(|exploration| exploration.bounds.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}
