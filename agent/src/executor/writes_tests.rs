//! What single writes say to the API server, and what its answers are taken for.
//!
//! Each of these is a guard that the protocol stands on, and that a whole step would hide behind the next one.

use ferry_proto::agent::v1::{
    Command, Finish, FinishedOrdinal, NodeIdentity, RefusalCode, Retire, Slice, VolumeId, Workload,
    command::Body,
};
use serde_json::{Value, json};

use super::{
    api::{self, ATTACHMENT, CLAIM, CONFIG_MAP, Halt, Key, LEASE, NODE, POD, STATEFUL_SET, VOLUME},
    epochs, finish, forget, object,
    release::{Ran, Steps, Work, detach, stop, unclaim},
    slice_patch::{self, Change},
    small_server::{EPOCH, NEVER, Server},
    tombstone::{self, Standing},
    volumes::Recorded,
};
use crate::{
    context::Context,
    dispatch::Dispatch,
    outcome::{Evidence, Stop},
    progress::Queue,
};

fn claim(epoch: u64) -> Value {
    let annotations = json!({"ferry.dev/epoch": epoch.to_string()});
    json!({
        "metadata": {"name": "data-db-2", "uid": "c1", "resourceVersion": "11", "annotations": annotations},
        "spec": {"volumeName": "pv-2"}, "status": {"phase": "Bound"},
    })
}

fn tombstone(epoch: u64) -> Value {
    let mut tombstone = claim(epoch);
    tombstone["metadata"]["labels"] = json!({tombstone::LABEL: "true"});
    tombstone["spec"]["volumeName"] = tombstone::VOLUME_NAME.into();
    tombstone
}

fn volume(phase: &str, policy: &str) -> Value {
    let annotations = json!({"ferry.dev/epoch": EPOCH.to_string()});
    json!({
        "metadata": {"name": "pv-2", "uid": "v1", "resourceVersion": "12", "annotations": annotations},
        "spec": {"csi": {"driver": "csi.test", "volumeHandle": "h-2"}, "persistentVolumeReclaimPolicy": policy},
        "status": {"phase": phase},
    })
}

fn attachment(attached: bool) -> Value {
    json!({
        "metadata": {"name": "attached"},
        "spec": {"nodeName": "n1", "source": {"persistentVolumeName": "pv-2"}}, "status": {"attached": attached},
    })
}

fn node(boot: &str) -> Value {
    json!({
        "metadata": {"name": "n1", "uid": "u1"},
        "status": {"nodeInfo": {"bootID": boot}, "conditions": [{"type": "Ready", "status": "True"}]},
    })
}

fn lease() -> Value {
    json!({"metadata": {"name": "n1"}, "spec": {"renewTime": "2026-01-01T00:00:00Z"}})
}

fn disk() -> Recorded {
    let volume = volume("Released", "Retain");
    Recorded { claim: claim(2), id: object::volume_id(&volume), volume }
}

fn work(ctx: &Context) -> Work<'_> {
    let change = Change {
        ordinal: 2,
        stateful_set_uid: "s1".to_owned(),
        from: Slice { start: 0, replicas: 3 },
        to: Slice { start: 0, replicas: 2 },
    };
    Work {
        ctx,
        change,
        held: Ran::default(),
        volumes: vec![disk()],
        claims: vec!["data-db-2".to_owned()],
        steps: Steps { pod: 5, detach: 6, claims: 7 },
        everywhere: false,
        attested: &[],
    }
}

fn code<T>(halted: Result<T, Halt>) -> Option<RefusalCode> {
    match halted {
        Err(Halt::Stop(Stop::Refused { code, .. })) => Some(code),
        _ => None,
    }
}

fn verbs(server: &Server) -> Vec<String> {
    server.written().iter().map(|write| write.verb.to_string()).collect()
}

#[tokio::test]
async fn a_deletion_carries_uid_and_version() {
    let server = Server::default().with(CLAIM, &claim(2));
    let ctx = server.context();
    api::delete(&ctx, &Key::of(&ctx, CLAIM, "data-db-2"), "c1", Some("11")).await.unwrap();
    assert_eq!(server.written()[0].body["preconditions"], json!({"uid": "c1", "resourceVersion": "11"}));
}

#[tokio::test]
async fn a_change_tests_what_was_read() {
    let server = Server::default().with(CLAIM, &claim(2));
    let ctx = server.context();
    api::amend(&ctx, &Key::of(&ctx, CLAIM, "data-db-2"), &claim(2), Vec::new()).await.unwrap();
    let tests = [
        json!({"op": "test", "path": "/metadata/uid", "value": "c1"}),
        json!({"op": "test", "path": "/metadata/resourceVersion", "value": "11"}),
    ];
    assert_eq!(server.written()[0].body, json!(tests));
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_looked_at_again() {
    for answer in [500, 504, 429] {
        let server = Server::default().answers_writes(&[answer]);
        let ctx = server.context();
        let created = api::create(&ctx, &Key::of(&ctx, CLAIM, "data-db-2"), &claim(2)).await;
        assert!(matches!(created, Err(Halt::Again(_))), "{answer}: {created:?}");
    }
}

#[tokio::test]
async fn a_read_whose_answer_is_lost_is_no_absence() {
    let server = Server::default().with(CLAIM, &claim(2)).answers_reads(&[500]);
    let ctx = server.context();
    assert_eq!(api::read(&ctx, &Key::of(&ctx, CLAIM, "data-db-2")).await, Ok(Some(claim(2))));
}

#[tokio::test]
async fn a_tombstone_takes_no_claim_for_itself() {
    let mut empty = claim(0);
    empty["spec"] = json!({});
    empty["metadata"]["annotations"] = json!({});
    let server = Server::default().with(CLAIM, &empty);
    let ctx = server.context();
    assert_eq!(tombstone::standing(&ctx, "data-db-2").await, Ok(Standing::Real(empty)));
    let placed = tombstone::place(&ctx, 7, "data-db-2", EPOCH).await;
    assert_eq!(code(placed), Some(RefusalCode::Conflict));
    assert_eq!(verbs(&server), [""; 0]);
}

#[tokio::test]
async fn a_gap_that_somebody_filled_is_looked_at_again() {
    let server = Server::default().answers_writes(&[409]);
    let placed = tombstone::leave_in_gap(&server.context(), "data-db-2", EPOCH).await;
    assert!(matches!(placed, Err(Halt::Again(_))), "{placed:?}");
}

#[tokio::test]
async fn a_tombstone_goes_as_it_was_seen_and_a_later_one_stays() {
    let server = Server::default().with(CLAIM, &tombstone(EPOCH));
    tombstone::remove(&server.context(), 9, "data-db-2", &tombstone(EPOCH), EPOCH).await.unwrap();
    assert_eq!(server.written()[0].body["preconditions"], json!({"uid": "c1", "resourceVersion": "11"}));
    let server = Server::default().with(CLAIM, &tombstone(EPOCH + 1));
    let removed = tombstone::remove(&server.context(), 9, "data-db-2", &tombstone(EPOCH + 1), EPOCH).await;
    assert_eq!(code(removed), Some(RefusalCode::StaleEpoch));
    assert_eq!(verbs(&server), [""; 0]);
}

#[tokio::test]
async fn a_volume_is_forgotten_only_while_it_is_retained_released_and_free() {
    let server = Server::default().with(VOLUME, &volume("Released", "Retain"));
    forget::volume(&server.context(), 12, &disk(), &["Released"]).await.unwrap();
    assert_eq!(server.written()[0].body["preconditions"], json!({"uid": "v1", "resourceVersion": "12"}));
    for server in [
        Server::default().with(VOLUME, &volume("Released", "Delete")),
        Server::default().with(VOLUME, &volume("Bound", "Retain")),
        Server::default().with(VOLUME, &volume("Released", "Retain")).with(ATTACHMENT, &attachment(false)),
    ] {
        let forgotten = forget::volume(&server.context(), 12, &disk(), &["Released"]).await;
        assert_eq!(code(forgotten), Some(RefusalCode::Conflict));
        assert_eq!(verbs(&server), [""; 0]);
    }
}

#[tokio::test]
async fn a_claim_goes_as_it_was_read_and_only_from_a_retained_volume() {
    let server = Server::default().with(CLAIM, &claim(2)).with(VOLUME, &volume("Bound", "Retain"));
    let ctx = server.context();
    unclaim::delete(&work(&ctx), &disk(), &claim(2)).await.unwrap();
    let deletion = server.written().into_iter().find(|write| write.verb == http::Method::DELETE).unwrap();
    assert_eq!(deletion.body["preconditions"], json!({"uid": "c1", "resourceVersion": "11"}));
    let server = Server::default().with(CLAIM, &claim(2)).with(VOLUME, &volume("Bound", "Delete"));
    let ctx = server.context();
    assert_eq!(code(unclaim::delete(&work(&ctx), &disk(), &claim(2)).await), Some(RefusalCode::Conflict));
    assert_eq!(verbs(&server), [""; 0]);
}

#[tokio::test]
async fn epochs_are_replaced_as_they_were_read() {
    let kept = json!({
        "metadata": {"name": "ferry-epochs-db", "uid": "e1", "resourceVersion": "13"}, "data": {"2": "4", "generation": "1"},
    });
    let server = Server::default().with(CONFIG_MAP, &kept);
    epochs::keep(&server.context(), &[(2, EPOCH)]).await.unwrap();
    let [write] = server.written().try_into().unwrap();
    assert_eq!(write.verb, http::Method::PUT);
    assert_eq!(write.body["metadata"]["resourceVersion"], "13");
    assert_eq!(write.body["data"], json!({"2": "5", "generation": "1"}));
}

#[tokio::test]
async fn a_slice_changes_in_one_write_and_not_below_the_kept_epoch() {
    let set = json!({
        "metadata": {"name": "db", "uid": "s1", "resourceVersion": "14", "annotations": {"ferry.dev/epoch": "4"}},
        "spec": {"replicas": 3, "ordinals": {"start": 0}},
    });
    let server = Server::default().with(STATEFUL_SET, &set);
    let ctx = server.context();
    slice_patch::apply(&ctx, &set, &work(&ctx).change, &json!({})).await.unwrap();
    assert_eq!(verbs(&server), ["PATCH"]);
    let kept = json!({"metadata": {"name": "ferry-epochs-db"}, "data": {"2": "6"}});
    let server = Server::default().with(STATEFUL_SET, &set).with(CONFIG_MAP, &kept);
    let ctx = server.context();
    let applied = slice_patch::apply(&ctx, &set, &work(&ctx).change, &json!({})).await;
    assert_eq!(code(applied), Some(RefusalCode::StaleEpoch));
    assert_eq!(verbs(&server), [""; 0]);
}

#[tokio::test]
async fn tombstones_go_only_when_the_end_is_accepted() {
    let volumes = vec![VolumeId { driver: "csi.test".to_owned(), handle: "h-2".to_owned() }];
    let ordinal = FinishedOrdinal { ordinal: 2, epoch: EPOCH, claims: vec!["data-db-2".to_owned()], volumes };
    let mut command =
        Finish { stateful_set_uid: "s1".to_owned(), ordinals: vec![ordinal], accept: false, watch_ms: 0 };
    for accept in [false, true] {
        let server = Server::default().with(CLAIM, &tombstone(EPOCH));
        command.accept = accept;
        finish::run(&server.context(), &command).await.unwrap();
        assert_eq!(verbs(&server).contains(&"DELETE".to_owned()), accept);
    }
}

#[tokio::test]
async fn a_claim_that_another_pod_names_and_a_retention_that_deletes_stop_the_release() {
    let volumes = json!([{"persistentVolumeClaim": {"claimName": "data-db-2"}}]);
    let pod = json!({"metadata": {"name": "other"}, "spec": {"volumes": volumes}});
    let server = Server::default().with(POD, &pod);
    assert_eq!(code(stop::unused(&work(&server.context())).await), Some(RefusalCode::Conflict));
    let set = json!({"spec": {"persistentVolumeClaimRetentionPolicy": {"whenScaled": "Delete"}}});
    assert_eq!(code(stop::kept(&set).map_err(Halt::from)), Some(RefusalCode::Conflict));
}

/// The proof of detach over this server, of a node that ran the pod in its boot `b1`.
async fn proven(server: &Server) -> Result<(), Halt> {
    proven_but(server, &[]).await
}

/// The same where a person attested some nodes.
async fn proven_but(server: &Server, attested: &[String]) -> Result<(), Halt> {
    let identity = NodeIdentity { name: "n1".to_owned(), uid: "u1".to_owned(), boot_id: "b1".to_owned() };
    let ctx = server.context();
    let work = Work { attested, ..work(&ctx) };
    detach::run(&work, &Ran { pod_uid: "p1".to_owned(), nodes: vec![identity] }).await
}

#[tokio::test]
async fn h11_an_attested_node_is_asked_nothing_and_its_attachments_must_go() {
    let attested = ["n1".to_owned()];
    assert_eq!(proven_but(&Server::default(), &attested).await, Ok(()), "it does not exist any more");
    let held = Server::default().with(ATTACHMENT, &attachment(true));
    assert!(matches!(proven_but(&held, &attested).await, Err(Halt::Stop(Stop::Unknown { .. }))));
    let other = ["n2".to_owned()];
    let Err(Halt::Stop(Stop::Unknown { unproven, .. })) = proven_but(&Server::default(), &other).await else {
        panic!("another node's word was taken for n1's")
    };
    assert_eq!(unproven, ["n1"]);
}

#[tokio::test]
async fn a_detach_is_proven_by_a_renewed_lease_of_the_same_boot_and_by_absence_alone() {
    let well = || Server::default().with(LEASE, &lease()).renewing();
    assert_eq!(proven(&well().with(NODE, &node("b1"))).await, Ok(()));
    let mut using = node("b1");
    using["status"]["volumesInUse"] = json!(["kubernetes.io/csi/csi.test^h-2"]);
    let mut tainted = node("b1");
    tainted["spec"]["taints"] = json!([{"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}]);
    for (what, server) in [
        ("no renewal", Server::default().with(LEASE, &lease()).with(NODE, &node("b1"))),
        ("attached=false", well().with(NODE, &node("b1")).with(ATTACHMENT, &attachment(false))),
        ("in use", well().with(NODE, &using)),
        ("another boot", well().with(NODE, &node("b2"))),
        ("no node", well()),
        ("out of service", well().with(NODE, &tainted)),
    ] {
        let proof = proven(&server).await;
        assert!(matches!(proof, Err(Halt::Stop(Stop::Unknown { .. }))), "{what}: {proof:?}");
    }
}

#[tokio::test]
async fn a_command_runs_once_however_often_it_comes_and_is_unknown_when_its_time_is_over() {
    let server = Server::default().answers_writes(&[NEVER, NEVER]);
    let dispatch = Dispatch::new(server.context().client, "east", Queue::default());
    let command = Command {
        id: "db-1/2/retire/9".to_owned(),
        epoch: EPOCH,
        timeout_ms: 300,
        workload: Some(Workload { namespace: "shop".to_owned(), name: "db".to_owned() }),
        body: Some(Body::Retire(Retire { ordinal: 2, volumes: Vec::new() })),
        ..Command::default()
    };
    dispatch.submit(command.clone()).unwrap();
    while server.written().is_empty() {
        tokio::task::yield_now().await;
    }
    dispatch.submit(command).unwrap();
    let outcome = dispatch.next_outcome().await;
    assert!(matches!(outcome.result, Some(Evidence::Unknown(_))), "{outcome:?}");
    assert_eq!(verbs(&server), ["POST"]);
}
