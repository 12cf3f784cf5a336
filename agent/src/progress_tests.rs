use super::*;

#[tokio::test]
async fn messages_arrive_in_order_and_waiting_folds() {
    let queue = Queue::default();
    let reporter = queue.reporter("m/1/release/1");
    reporter.started(5, "patch").await;
    reporter.waiting(5, "one");
    reporter.waiting(5, "two");
    reporter.done(5, "gone");
    let mut seen = Vec::new();
    for _ in 0..3 {
        let message = queue.next().await;
        seen.push((message.step, message.state(), message.message));
    }
    assert_eq!(
        seen,
        [
            (5, StepState::Started, "patch".to_owned()),
            (5, StepState::Waiting, "two".to_owned()),
            (5, StepState::Done, "gone".to_owned()),
        ]
    );
    assert_eq!(reporter.step(), 5);
}

#[tokio::test]
async fn a_full_queue_drops_the_oldest() {
    let queue = Queue::default();
    let reporter = queue.reporter("c");
    for n in 0..=limits::PROGRESS_QUEUE {
        reporter.done(5, n.to_string());
    }
    assert_eq!(queue.next().await.message, "1");
}
