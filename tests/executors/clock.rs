//! Where the time of the suite goes: seconds by case and by command.
//!
//! A case says what it covers, this says what it costs: commands mostly wait for controllers, and one that has begun to
//! wait for a pause instead of a change shows here before anybody wonders why the suite is slow. Killed commands count
//! until they were killed.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Calls, their time together, and the longest.
type Spent = (usize, Duration, Duration);

static CASES: Mutex<BTreeMap<String, Spent>> = Mutex::new(BTreeMap::new());
static COMMANDS: Mutex<BTreeMap<String, Spent>> = Mutex::new(BTreeMap::new());

/// Runs until it is dropped.
pub(crate) struct Clock {
    begun: Instant,
    name: String,
    into: &'static Mutex<BTreeMap<String, Spent>>,
}

impl Clock {
    /// Of a case.
    pub(crate) fn case(name: &str) -> Self {
        Self { begun: Instant::now(), name: name.to_owned(), into: &CASES }
    }

    /// Of a command.
    pub(crate) fn command(verb: impl Debug) -> Self {
        Self { begun: Instant::now(), name: format!("{verb:?}"), into: &COMMANDS }
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        let took = self.begun.elapsed();
        let mut spent = self.into.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, total, longest) = spent.entry(std::mem::take(&mut self.name)).or_default();
        *count += 1;
        *total += took;
        *longest = took.max(*longest);
    }
}

/// Prints the total and what it was spent on, the longest first.
pub(crate) fn print(total: Duration) {
    for (what, spent) in [("case", &CASES), ("command", &COMMANDS)] {
        let spent = spent.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines: Vec<_> = spent.iter().collect();
        lines.sort_by_key(|(_, (_, total, _))| std::cmp::Reverse(*total));
        for (name, (count, total, longest)) in lines {
            let (total, longest) = (total.as_secs_f64(), longest.as_secs_f64());
            println!("{what} {name}: {total:.1} s, {count} times, {longest:.1} s at most");
        }
    }
    println!("executors: {:.0} s with the clusters' start", total.as_secs_f64());
}
