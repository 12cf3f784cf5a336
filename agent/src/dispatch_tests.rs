use ferry_proto::agent::v1::{RefusalCode, Retire, Workload};

use super::*;

fn dispatch() -> Dispatch {
    let config = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
    Dispatch::new(kube::Client::try_from(config).unwrap(), "east", Queue::default())
}

fn command(id: &str) -> Command {
    Command {
        id: id.to_owned(),
        timeout_ms: 60_000,
        workload: Some(Workload { namespace: "n".to_owned(), name: "w".to_owned() }),
        ..Command::default()
    }
}

fn refusal(outcome: &Outcome) -> RefusalCode {
    match &outcome.result {
        Some(Evidence::Refusal(refusal)) => refusal.code(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn h33_a_command_without_a_known_body_is_refused_and_replayed_until_acknowledged() {
    let dispatch = dispatch();
    dispatch.submit(command("a")).unwrap();
    let first = dispatch.next_outcome().await;
    assert_eq!(refusal(&first), RefusalCode::NotUnderstood);
    dispatch.submit(command("a")).unwrap();
    assert_eq!(dispatch.next_outcome().await, first);
    dispatch.attached();
    assert_eq!(dispatch.next_outcome().await, first);
    dispatch.acknowledge("a");
    dispatch.attached();
    let more = tokio::time::timeout(Duration::from_millis(20), dispatch.next_outcome()).await;
    assert!(more.is_err(), "{more:?}");
}

#[tokio::test]
async fn ids_are_bounded() {
    assert_eq!(dispatch().submit(command("")), Err(Error::Id(0)));
    let long = "x".repeat(limits::COMMAND_ID_BYTES + 1);
    assert_eq!(dispatch().submit(command(&long)), Err(Error::Id(long.len())));
}

#[tokio::test]
async fn unacknowledged_outcomes_are_bounded() {
    let dispatch = dispatch();
    for n in 0..limits::OUTCOMES_KEPT {
        dispatch.submit(command(&n.to_string())).unwrap();
        dispatch.next_outcome().await;
    }
    assert_eq!(dispatch.submit(command("more")), Err(Error::Unacknowledged(limits::OUTCOMES_KEPT)));
}

#[test]
fn an_outcome_that_cannot_be_sent_is_refused_instead() {
    let report = |size: usize| {
        let stateful_set = ferry_proto::agent::v1::Manifest { json: "x".repeat(size), ..Default::default() };
        let prepared =
            ferry_proto::agent::v1::SourcePrepared { stateful_set: Some(stateful_set), ..Default::default() };
        Outcome { command_id: "c".to_owned(), result: Some(Evidence::SourcePrepared(prepared)) }
    };
    let fits = report(limits::OUTCOME_BYTES - 64);
    assert_eq!(sendable(fits.clone()), fits);
    let refused = sendable(report(limits::OUTCOME_BYTES));
    assert_eq!((refused.command_id.as_str(), refusal(&refused)), ("c", RefusalCode::Conflict));
}

#[tokio::test]
async fn h19_a_command_of_a_higher_epoch_ends_the_one_that_runs_for_the_same_ordinal() {
    let dispatch = dispatch();
    let release = |id: &str, epoch: u64, ordinal: u32| Command {
        epoch,
        body: Some(Body::Retire(Retire { ordinal, volumes: Vec::new() })),
        ..command(id)
    };
    // The API server of these tests cannot be reached: commands read until their time is over.
    dispatch.submit(release("older", 2, 4)).unwrap();
    dispatch.submit(release("another", 2, 5)).unwrap();
    tokio::task::yield_now().await;
    dispatch.submit(release("newer", 3, 4)).unwrap();
    let first = dispatch.next_outcome().await;
    assert_eq!((first.command_id.as_str(), refusal(&first)), ("older", RefusalCode::StaleEpoch));
    assert_eq!(dispatch.in_progress(), ["another", "newer"]);
}
