//! Names of traces and spans, and what is taken as an endpoint.

use super::*;

#[test]
fn the_same_words_name_the_same_span_and_others_another() {
    assert_eq!(trace_of("ferry.local", "etcd-1"), trace_of("ferry.local", "etcd-1"));
    assert_ne!(trace_of("ferry.local", "etcd-1"), trace_of("ferry.local", "etcd-2"));
    assert_ne!(trace_of("ferry.local", "etcd-1"), trace_of("other.local", "etcd-1"));
    assert_ne!(span_of(&["ab", "c"]), span_of(&["a", "bc"]));
    assert_ne!(span_of(&["a"]), SpanId::INVALID);
}

#[test]
fn an_endpoint_is_a_plain_address() {
    for good in ["http://127.0.0.1:4317", "http://collector.observe:4317/", "http://[::1]:4317"] {
        assert!(good.parse::<Endpoint>().is_ok(), "{good}");
    }
    for bad in
        ["", "collector:4317", "https://collector:4317", "http://collector", "http://a b:1", "http://x/y:1"]
    {
        let refused = bad.parse::<Endpoint>().expect_err(bad).to_string();
        assert!(refused.contains("http://HOST:PORT"), "{refused}");
    }
}

#[tokio::test]
async fn a_collector_that_is_away_costs_spans_and_nothing_else() {
    let mut exposition = Exposition::new();
    let fates = fates(&mut exposition, "ferry_test_spans");
    let endpoint = "http://127.0.0.1:1".parse().expect("an endpoint");
    let (traces, sending) = Traces::start(&endpoint, ("ferry-test", "one"), &fates).expect("started");
    let now = SystemTime::now();
    traces.send(Span {
        trace: trace_of("ferry.local", "etcd-1"),
        id: span_of(&["one"]),
        parent: None,
        parent_elsewhere: false,
        name: "one".into(),
        started: now,
        ended: now,
        attributes: vec![("ferry.migration", "etcd-1".into())],
        failed: None,
    });
    drop(traces);
    sending.finish().await;
    assert_eq!(fates.of(["failed"]).get(), 1);
    assert_eq!(fates.of(["exported"]).get(), 0);
}
