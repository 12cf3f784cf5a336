//! Waits for the pod of a probe to end by itself, and takes what it said.
//!
//! A pod that fails, or does not end within the probe's patience, is a finding: what it waits for, what the claim waits
//! for and what the events of both say is the answer that the probe was made for. Nothing is decided from events.
//! The pod is left as it is: whoever asked for it ends it.

use serde_json::Value;
use tokio::time::Instant;

use super::{STEP, Scratch};
use crate::{
    executor::{
        api::{self, CLAIM, EVENT, Halted, Key},
        object, stateful_set,
        wait::Wait,
    },
    limits,
    outcome::Stop,
};

/// What the pod said at its end.
///
/// # Errors
/// A conflict if it failed or took too long: found, expected, to do.
pub(super) async fn ended(scratch: &Scratch<'_>, doing: &str) -> Halted<String> {
    let (ctx, key) = (scratch.ctx, scratch.pod());
    let until = Instant::now() + scratch.patience;
    let mut wait = Wait::new(ctx, STEP);
    wait.watch(&key);
    wait.watch(&scratch.claim());
    loop {
        let Some(pod) = scratch.ours(&key).await? else {
            return Err(Stop::conflict(format!("{key} was deleted by somebody else meanwhile")).into());
        };
        let said = object::items(&pod, "/status/containerStatuses").first();
        let said = said.map(|status| object::text(status, "/state/terminated/message")).unwrap_or_default();
        match object::text(&pod, "/status/phase") {
            "Succeeded" => return Ok(said.to_owned()),
            "Failed" => {
                return Err(Stop::conflict(format!(
                    "{key}, which was to {doing}, failed: {said:?}{}. Expected it to end well; see to what it says",
                    object::text(&pod, "/status/message")
                ))
                .into());
            }
            _ => {}
        }
        let waits_for = format!("{key} to {doing}: {}", stateful_set::condition_of(&pod));
        if Instant::now() >= until {
            return Err(Stop::conflict(format!(
                "after {} s still waiting for {waits_for}{}. Expected it to end; see to what these say",
                scratch.patience.as_secs(),
                events(scratch, &pod).await
            ))
            .into());
        }
        wait.pause(waits_for).await?;
    }
}

/// The latest events of the pod and its claim; best effort.
async fn events(scratch: &Scratch<'_>, pod: &Value) -> String {
    let claim = api::read(scratch.ctx, &Key::of(scratch.ctx, CLAIM, scratch.name())).await.ok().flatten();
    let mut said = Vec::new();
    for object in claim.iter().chain([pod]) {
        let fields = format!("involvedObject.uid={}", object::uid(object));
        let events = api::list(scratch.ctx, EVENT, &fields).await.unwrap_or_default();
        let last = events.iter().rev().take(limits::EVENTS_NAMED);
        said.extend(
            last.map(|event| {
                format!("{}: {}", object::text(event, "/reason"), object::text(event, "/message"))
            }),
        );
    }
    if said.is_empty() { String::new() } else { format!(". Events: {}", said.join("; ")) }
}
