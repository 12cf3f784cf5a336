//! Everything that people and machines get wrong: each a clear error with what to do, nothing changed or lost.
//!
//! Each case checks the documented exit code, the words that a person needs (what was found, and what to do), and that
//! what was there before is there afterwards. Mistakes at the command are in [`request`], with credentials in
//! [`identity`], with an API server that is not there in [`api_server`], and with the journal's file in [`journal`]; what
//! changes after it was judged is in [`midway`]. Some harm a controller, so they have one of their own ([`spare`]).
//! A StatefulSet in mid-rollout, a name taken in the target and `hostPath` volumes are refusals of a plan (K2, K4,
//! K12); those cases stand in [`crate::refusal`].

mod api_server;
mod identity;
mod journal;
mod midway;
mod request;
mod spare;

use anyhow::{Result, ensure};
use ferry_tests::ferry::Output;
use futures::FutureExt as _;

use crate::Case;

pub(crate) const CASES: &[(&str, Case)] = &[
    ("bad_input::unknown_cluster_missing_set_and_same_cluster", |stage| request::wrong(stage).boxed_local()),
    ("bad_input::second_migration_of_the_same_workload", |stage| request::second(stage).boxed_local()),
    ("bad_input::world_changed_since_the_plan", |stage| midway::changed(stage).boxed_local()),
    ("bad_input::quota_used_up_midway", |stage| midway::quota(stage).boxed_local()),
    ("bad_input::wrong_token", |stage| identity::wrong_token(stage).boxed_local()),
    ("bad_input::token_used_twice", |stage| identity::used_twice(stage).boxed_local()),
    ("bad_input::expired_certificates", |stage| identity::expired_certificates(stage).boxed_local()),
    ("bad_input::no_api_server_for_a_new_agent", |stage| api_server::never(stage).boxed_local()),
    ("bad_input::no_api_server_during_a_plan", |stage| api_server::stopped(stage).boxed_local()),
    ("bad_input::second_controller_on_the_same_journal", |stage| journal::second(stage).boxed_local()),
    ("bad_input::full_disk_under_the_journal", |stage| journal::full_disk(stage).boxed_local()),
    ("bad_input::damaged_journal", |stage| journal::damaged(stage).boxed_local()),
];

/// Run after the others have passed the time: a token lives a minute at least, and the first of them has made it.
pub(crate) const LATE: &[(&str, Case)] =
    &[("bad_input::expired_token", |stage| identity::expired_token(stage).boxed_local())];

/// A failure as documented: this exit code, and these words on standard error.
fn expect(output: &Output, code: i32, words: &[&str]) -> Result<()> {
    ensure!(output.code == code, "expected exit code {code}: {output}");
    for word in words {
        ensure!(output.stderr.contains(word), "standard error does not say {word:?}: {output}");
    }
    Ok(())
}
