//! What an event is about, and that a queue without a reader loses events and nothing else.

use ferry_proto::agent::v1 as wire;

use super::*;

fn facts(id: &str) -> Facts {
    Facts {
        id: id.to_owned(),
        epoch: 2,
        generation: 1,
        namespace: "shop".to_owned(),
        workload: "etcd".to_owned(),
        migration: "etcd-1".to_owned(),
    }
}

fn release() -> Body {
    let claim = wire::Manifest { name: "data-etcd-2".into(), uid: "c".into(), ..wire::Manifest::default() };
    let volume = ClaimedVolume { claim: Some(claim), ..ClaimedVolume::default() };
    Body::Release(wire::Release {
        ordinal: 2,
        stateful_set_uid: "s".into(),
        volumes: vec![volume],
        ..wire::Release::default()
    })
}

fn queue(places: usize) -> (Events, mpsc::Receiver<(Event, ObjectReference)>) {
    let (queue, waiting) = mpsc::channel(places);
    (Events { queue, dropped: Counter::default() }, waiting)
}

#[test]
fn a_release_is_told_on_the_set_and_on_each_claim() {
    let subject = Subject::of(&facts("etcd-1/2/release/7"), Some(&release())).expect("a subject");
    let (events, mut waiting) = queue(8);
    events.begins(&subject);
    let released = wire::Released { detached: true, ..wire::Released::default() };
    events.ended(&subject, &Evidence::Released(released));
    let mut told = Vec::new();
    while let Ok((event, on)) = waiting.try_recv() {
        let related = event.secondary.and_then(|pod| pod.name);
        told.push((event.reason, on.kind.expect("kind"), on.uid.expect("uid"), related.expect("pod")));
        let note = event.note.expect("a note");
        assert!(note.ends_with("(migration etcd-1)"), "{note}");
    }
    let row = |reason: &str, kind: &str, uid: &str| {
        (reason.to_owned(), kind.to_owned(), uid.to_owned(), "etcd-2".to_owned())
    };
    let expected = [
        row("HandoffReleasing", "StatefulSet", "s"),
        row("HandoffReleased", "StatefulSet", "s"),
        row("HandoffReleased", "PersistentVolumeClaim", "c"),
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_refusal_is_a_warning_and_an_inspection_no_event() {
    let subject = Subject::of(&facts("etcd-1/2/release/7"), Some(&release())).expect("a subject");
    let (events, mut waiting) = queue(8);
    let message = "x".repeat(4096);
    events.ended(&subject, &Evidence::Refusal(wire::Refusal { message, ..wire::Refusal::default() }));
    let (event, _) = waiting.try_recv().expect("an event");
    assert!(matches!(event.type_, EventType::Warning) && event.reason == "HandoffRefused");
    assert!(event.note.expect("a note").len() <= limits::EVENT_NOTE_BYTES);
    let inspection = Body::InspectSource(wire::InspectSource::default());
    assert_eq!(Subject::of(&facts("inspection-1/-/inspect-source/1"), Some(&inspection)), None);
}

#[test]
fn a_full_queue_loses_events_and_counts_them() {
    let subject = Subject::of(&facts("etcd-1/2/release/7"), Some(&release())).expect("a subject");
    let (events, _waiting) = queue(1);
    events.begins(&subject);
    events.begins(&subject);
    assert_eq!(events.dropped.get(), 1);
}
