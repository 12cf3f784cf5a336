use super::*;

fn key() -> Key {
    Key::within(CONFIG_MAP, "shop", "ferry-epochs-etcd")
}

fn data(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).unwrap()
}

#[test]
fn raises_what_is_lower_and_leaves_the_rest() {
    let kept = data(json!({"0": "1", "1": "7", "generation": "0"}));
    let raised = raised(&key(), &kept, &[(0, 2)], 0).unwrap();
    assert_eq!(raised, Some(data(json!({"0": "2", "1": "7", "generation": "0"}))));
}

#[test]
fn says_nothing_to_do_when_it_is_kept_already() {
    let kept = data(json!({"0": "2", "generation": "3"}));
    assert_eq!(raised(&key(), &kept, &[(0, 2)], 3).unwrap(), None);
}

#[test]
fn refuses_the_past() {
    let kept = data(json!({"0": "3", "generation": "1"}));
    for (wanted, generation) in [((0, 2), 1), ((0, 3), 0)] {
        let stop = raised(&key(), &kept, &[wanted], generation).unwrap_err();
        assert!(
            matches!(stop, Stop::Refused { code: ferry_proto::agent::v1::RefusalCode::StaleEpoch, .. }),
            "{stop:?}"
        );
    }
}

#[test]
fn refuses_what_is_no_number() {
    assert!(raised(&key(), &data(json!({"0": "many"})), &[(0, 2)], 0).is_err());
}
