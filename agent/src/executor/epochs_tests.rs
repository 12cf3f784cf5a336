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

fn command(id: &str, generation: u64) -> Facts {
    Facts {
        id: id.to_owned(),
        epoch: 1,
        generation,
        namespace: "n".to_owned(),
        workload: "w".to_owned(),
        migration: "m".to_owned(),
    }
}

#[test]
fn an_earlier_command_of_the_same_migration_is_of_the_past() {
    let (key, data) = (key(), data(json!({COMMAND: "1 m 7"})));
    assert!(overtaken(&key, &data, &command("m/-/settle/6", 1)).is_err());
    for id in ["m/-/settle/7", "m/-/settle/8", "unnumbered"] {
        assert!(overtaken(&key, &data, &command(id, 1)).is_ok(), "{id}");
    }
    assert!(overtaken(&key, &data, &command("m/-/settle/1", 2)).is_ok(), "another generation");
    let other = Facts { migration: "other".to_owned(), ..command("other/-/settle/1", 1) };
    assert!(overtaken(&key, &data, &other).is_ok(), "another migration");
}

#[test]
fn a_migration_that_another_has_followed_is_of_the_past() {
    let key = key();
    let mut kept = data(json!({COMMAND: "1 m 7"}));
    follow(&mut kept, "m");
    assert!(overtaken(&key, &kept, &command("m/-/unprepare/7", 1)).is_ok());
    follow(&mut kept, "next");
    assert!(overtaken(&key, &kept, &command("m/-/unprepare/7", 1)).is_err());
    let next = Facts { migration: "next".to_owned(), ..command("next/-/hold/1", 1) };
    assert!(overtaken(&key, &kept, &next).is_ok());
}

#[test]
fn only_the_last_migrations_are_kept() {
    let mut kept = Map::new();
    for number in 0..=limits::MIGRATIONS_PAST {
        kept.insert(COMMAND.into(), format!("1 m{number} 1").into());
        follow(&mut kept, "next");
    }
    let past: Vec<_> = kept[PAST].as_str().unwrap().split(' ').collect();
    assert_eq!((past.len(), past[0]), (limits::MIGRATIONS_PAST, "m1"));
}
