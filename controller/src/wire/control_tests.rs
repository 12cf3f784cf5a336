//! What a person asks for, refused where it cannot be; what is shown, empty where nothing was asked.

use super::*;

fn deadline(step: u32, deadline_ms: u64) -> wire::StepDeadline {
    wire::StepDeadline { step, step_name: "ignored".into(), deadline_ms }
}

#[test]
fn deadlines_are_of_steps_and_within_bounds() {
    let good = chosen_deadlines(vec![deadline(10, 1_000), deadline(5, 604_800_000)]).unwrap();
    assert_eq!(good, BTreeMap::from([(5, 604_800_000), (10, 1_000)]));
    for bad in [deadline(0, 1_000), deadline(14, 1_000), deadline(10, 999), deadline(10, 604_800_001)] {
        assert!(matches!(chosen_deadlines(vec![bad.clone()]), Err(Error::Form { .. })), "{bad:?}");
    }
    let many = vec![deadline(10, 1_000); 14];
    assert!(matches!(chosen_deadlines(many), Err(Error::Count { .. })));
    let shown = deadlines(&good);
    assert_eq!((shown[0].step, shown[0].step_name.as_str()), (5, "stop"));
}

#[test]
fn ordinals_are_each_named_once() {
    assert_eq!(chosen_ordinals(vec![2, 0, 1]), Ok(vec![0, 1, 2]));
    assert!(matches!(chosen_ordinals(vec![1, 1]), Err(Error::Form { .. })));
    assert!(matches!(chosen_ordinals((0..5_000).collect()), Err(Error::Count { .. })));
}

#[test]
fn classes_are_names_of_kubernetes() {
    let of = |from: &str, to: &str| storage_classes(HashMap::from([(from.to_owned(), to.to_owned())]));
    assert!(of("fast", "premium-rwo").is_ok());
    for (from, to) in [("", "x"), ("x", ""), ("Not a name", "x"), ("x", "a/b")] {
        assert!(matches!(of(from, to), Err(Error::Form { .. })), "{from} {to}");
    }
}

#[test]
fn the_least_that_is_asked_of_control_is_nothing() {
    assert_eq!(control(&Control::default()), None);
    let asked = |by: &str| Some(ferry_core::AskedBy { by: by.into(), at: ferry_core::Millis(9) });
    let undo = Control { undo: asked("bob"), paused: asked("alice"), ..Control::default() };
    let shown = control(&undo).unwrap();
    assert_eq!((shown.rollback.as_str(), shown.rollback_by.as_str()), ("ordinal", "bob"));
    assert_eq!((shown.paused_by.as_str(), shown.paused_unix_ms, shown.stopped), ("alice", 9, false));
    let all = control(&Control { rollback: asked("eve"), ..undo }).unwrap();
    assert_eq!((all.rollback.as_str(), all.rollback_by.as_str()), ("all", "eve"));
}

#[test]
fn a_page_of_the_audit_log_is_bounded() {
    let request = |limit| wire::ListAuditRequest { limit, before: 0, migration: String::new() };
    assert_eq!(audit_query(request(0)).unwrap().limit, 100);
    assert_eq!(audit_query(request(1_000)).unwrap().limit, 1_000);
    assert!(matches!(audit_query(request(1_001)), Err(Error::Count { .. })));
    let bad = wire::ListAuditRequest { migration: "Not a name".into(), ..request(1) };
    assert!(audit_query(bad).is_err());
}

#[test]
fn a_mapping_that_goes_needs_no_target_class() {
    let map = wire::StorageMap {
        from: "east".into(),
        to: "west".into(),
        from_class: "fast".into(),
        ..Default::default()
    };
    assert!(map_request(Some(map.clone()), true).is_ok());
    assert!(map_request(Some(map.clone()), false).is_err());
    assert!(map_request(None, true).is_err());
    let named = wire::StorageMap { namespace: "db".into(), ..map };
    assert_eq!(map_request(Some(named), true).unwrap().namespace.as_deref(), Some("db"));
}

#[test]
fn a_domain_belongs_to_a_driver_of_a_cluster() {
    let set = wire::SetStorageDomainRequest {
        cluster: "east".into(),
        driver: "csi.x".into(),
        domain: "a-1".into(),
    };
    assert_eq!(domain_request(set.clone()).unwrap().domain, "a-1");
    let unset = wire::SetStorageDomainRequest { domain: String::new(), ..set.clone() };
    assert!(domain_request(unset).is_ok());
    for bad in [
        wire::SetStorageDomainRequest { cluster: String::new(), ..set.clone() },
        wire::SetStorageDomainRequest { driver: "in-tree/nfs".into(), ..set.clone() },
        wire::SetStorageDomainRequest { domain: "a/b".into(), ..set },
    ] {
        assert!(domain_request(bad.clone()).is_err(), "{bad:?}");
    }
}
