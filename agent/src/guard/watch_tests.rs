use serde_json::json;

use super::Standing;
use crate::watch::{Change, object::ConfigMap};

fn map(state: &str) -> ConfigMap {
    serde_json::from_value(json!({
        "metadata": {"name": "ferry-guard-etcd", "namespace": "shop"},
        "data": {"state": state, "policy": "p/1", "binding": "b/1"},
    }))
    .unwrap()
}

fn suspects(standing: &Standing, policy: Option<&str>, binding: Option<&str>) -> usize {
    let known = |name: &str, version: Option<&str>| {
        assert_eq!(name, "ferry-guard.shop.etcd");
        version.map(ToOwned::to_owned)
    };
    standing.suspects(|name| known(name, policy), |name| known(name, binding)).len()
}

#[test]
fn what_is_put_up_or_taken_down_is_not_suspected() {
    let mut standing = Standing::default();
    assert!(!standing.fold(&Change::Present(map("installing"))));
    assert_eq!(suspects(&standing, None, None), 0);
    assert!(standing.fold(&Change::Present(map("standing"))));
    assert_eq!(suspects(&standing, Some("p/1"), Some("b/1")), 0);
    assert!(standing.fold(&Change::Present(map("ending"))));
    assert!(!standing.fold(&Change::Gone(map("ending"))));
    assert_eq!(suspects(&standing, None, None), 0);
}

#[test]
fn a_part_that_is_gone_or_another_is_suspected() {
    let mut standing = Standing::default();
    standing.fold(&Change::Present(map("standing")));
    assert_eq!(suspects(&standing, Some("p/1"), None), 1);
    assert_eq!(suspects(&standing, Some("p/2"), Some("b/1")), 1);
    assert!(standing.fold(&Change::Gone(map("standing"))));
    assert_eq!(suspects(&standing, Some("p/1"), Some("b/1")), 1);
}

#[test]
fn a_list_begun_anew_shows_what_went_meanwhile() {
    let mut standing = Standing::default();
    standing.fold(&Change::Present(map("standing")));
    standing.fold(&Change::Restart);
    standing.fold(&Change::Present(map("standing")));
    assert!(!standing.fold(&Change::Complete));
    standing.fold(&Change::Restart);
    assert!(standing.fold(&Change::Complete), "it is not listed any more");
    assert_eq!(suspects(&standing, Some("p/1"), Some("b/1")), 1);
}
