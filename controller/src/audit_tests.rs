//! Records: what they say of requests and answers, and of custody that changes.

use ferry_core::{
    ClusterName, Rejection, StorageDomain,
    input::MigrationFilter,
    volume::{OrdinalRecord, WorkloadRecord},
};

use super::*;

fn pause() -> Request {
    Request::PauseMigration { id: "etcd-1".into(), by: "alice".into() }
}

#[test]
fn a_refusal_is_recorded_with_its_code_and_reason() {
    let intent = Intent::of(&pause()).unwrap();
    let no = Reply::Rejected(Rejection::AlreadyPaused("bob did".into()));
    let record = intent.answered(&no, Millis(7)).unwrap();
    assert_eq!((record.by.as_str(), record.action.as_str()), ("alice", "pause-migration"));
    assert_eq!((record.result.as_str(), record.message.as_str()), ("already-paused", "bob did"));
    assert_eq!((record.migration, record.at), (Some("etcd-1".into()), Millis(7)));
}

#[test]
fn reads_leave_no_trace_and_neither_do_tokens_that_nobody_has() {
    assert!(Intent::of(&Request::ListClusters).is_none());
    assert!(Intent::of(&Request::ListMigrations(MigrationFilter::default())).is_none());
    let redeem = Intent::of(&Request::RedeemToken { hash: ferry_core::TokenHash("0".into()) }).unwrap();
    let no = Reply::Rejected(Rejection::TokenUnknown("no".into()));
    assert_eq!(redeem.clone().answered(&no, Millis(1)), None);
    let subject = Subject::Role { role: "viewer".into(), name: "eve".into() };
    let record = redeem.answered(&Reply::TokenRedeemed(subject), Millis(1)).unwrap();
    assert_eq!((record.subject.as_str(), record.result.as_str()), ("role/viewer/eve", "done"));
}

#[test]
fn taking_a_domain_away_says_which_holds_then() {
    let set = StorageDomain { cluster: "east".into(), driver: "csi.x".into(), domain: String::new() };
    let intent = Intent::of(&Request::SetStorageDomain { set, by: "root".into() }).unwrap();
    let record = intent.answered(&Reply::StorageDomains(vec![]), Millis(1)).unwrap();
    assert_eq!(record.subject, "driver csi.x of east: domain csi.x");
}

fn with(custody: Custody, epoch: u64) -> State {
    let mut state = State::default();
    let record = OrdinalRecord { custody, epoch: Epoch(epoch), volumes: vec![] };
    let ordinals = BTreeMap::from([(2, record)]);
    let workload = Workload { namespace: "db".into(), name: "etcd".into() };
    state.ledger.workloads.insert(workload, WorkloadRecord { ordinals, ..WorkloadRecord::default() });
    state
}

#[test]
fn custody_is_seen_as_it_was_at_the_start() {
    let (east, west): (ClusterName, ClusterName) = ("east".into(), "west".into());
    let seen = Seen::of(&with(Custody::Owned { cluster: east.clone() }, 1));
    let workload = Workload { namespace: "db".into(), name: "etcd".into() };
    assert_eq!(seen.0[&workload][&2], (Custody::Owned { cluster: east.clone() }, Epoch(1)));
    assert_eq!(words(&Custody::Releasing { from: east.clone(), to: west.clone() }), "releasing east to west");
    assert_eq!(words(&Custody::Granted { from: east, to: west.clone() }), "granted to west by east");
    assert_eq!(words(&Custody::Owned { cluster: west }), "owned by west");
}
