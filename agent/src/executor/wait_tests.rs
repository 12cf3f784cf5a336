use serde_json::json;
use tokio::sync::watch::{Sender, channel};

use super::*;
use crate::executor::{api::POD, watches::tell};

fn watched(worth: Option<Worth<'static>>) -> (Sender<Told>, Watched<'static>) {
    let (tells, changes) = channel(Told::default());
    (tells, Watched { key: Key::within(POD, "n", "w-0"), changes, worth })
}

fn is_running(object: &Value) -> bool {
    object["phase"] == "Running"
}

#[tokio::test]
async fn sleeps_on_until_a_look_is_worth_it() {
    let (tells, mut watched) = watched(Some(Box::new(is_running)));
    watched.changes.mark_changed();
    assert!(watched.woken().now_or_never().is_none(), "nothing was told yet");
    tell(&tells, Some(json!({"phase": "Pending"})));
    assert!(watched.woken().now_or_never().is_none());
    tell(&tells, Some(json!({"phase": "Running"})));
    assert!(watched.woken().now_or_never().is_some());
    assert!(watched.woken().now_or_never().is_none(), "it was looked at");
}

#[tokio::test]
async fn the_end_of_an_object_always_wakes() {
    let (tells, mut watched) = watched(Some(Box::new(|_| false)));
    tell(&tells, Some(json!({"phase": "Running"})));
    assert!(watched.woken().now_or_never().is_none());
    tell(&tells, None);
    assert!(watched.woken().now_or_never().is_some());
}

#[tokio::test]
async fn wakes_at_every_change_where_nobody_says_what_is_worth_it() {
    let (tells, mut watched) = watched(None);
    tell(&tells, Some(json!({"phase": "Pending"})));
    assert!(watched.woken().now_or_never().is_some());
}
