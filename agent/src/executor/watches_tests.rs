use std::{
    convert::Infallible,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use kube::client::Body;

use super::*;
use crate::executor::api::POD;

/// An API server that tells of one pod, then ends the watch.
fn client(opened: &Arc<AtomicU32>) -> Client {
    let opened = Arc::clone(opened);
    let service = tower::service_fn(move |request: http::Request<Body>| {
        opened.fetch_add(1, Ordering::SeqCst);
        let asked = request.uri().to_string();
        assert!(asked.starts_with("/api/v1/namespaces/n/pods?"), "{asked}");
        assert!(asked.contains("metadata.name%3Dw-0") && asked.contains("resourceVersion=0"), "{asked}");
        let event = "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":\"7\"}}}\n";
        std::future::ready(Ok::<_, Infallible>(http::Response::new(Body::from(event.as_bytes().to_vec()))))
    });
    Client::new(service, "default")
}

async fn wakes(changes: &mut Receiver<Told>) -> bool {
    let woken = tokio::time::timeout(Duration::from_millis(40), changes.changed()).await;
    matches!(woken, Ok(Ok(())))
}

#[tokio::test]
async fn one_watch_wakes_all_who_ask_for_an_object() {
    let opened = Arc::default();
    let (client, watches) = (client(&opened), Watches::default());
    let key = Key::within(POD, "n", "w-0");
    let mut first = watches.of(&client, &key);
    assert!(wakes(&mut first).await);
    assert!(!wakes(&mut first).await, "one wake for the beginning and the object");
    assert_eq!(opened.load(Ordering::SeqCst), 1);
    let mut second = watches.of(&client, &key);
    assert!(wakes(&mut second).await, "what happened before was not seen by who comes later");
}

#[tokio::test]
async fn a_watch_that_ended_is_opened_again_and_wakes() {
    let opened = Arc::default();
    let (client, watches) = (client(&opened), Watches::default());
    let mut changes = watches.of(&client, &Key::within(POD, "n", "w-0"));
    for _ in 0..2 {
        tokio::time::timeout(limits::BACKOFF_MOST, changes.changed()).await.unwrap().unwrap();
    }
    assert!(opened.load(Ordering::SeqCst) >= 2);
}
