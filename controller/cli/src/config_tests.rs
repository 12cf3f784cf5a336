use std::os::unix::fs::PermissionsExt;

use super::*;

fn credential(issued: i64, expires: i64) -> Credential {
    Credential {
        server: "127.0.0.1:7443".into(),
        identity: "spiffe://ferry.local/role/admin/admin".into(),
        ca_pem: "ca".into(),
        certificate_pem: "certificate".into(),
        private_key_pem: "key".into(),
        issued_unix_seconds: issued,
        expires_unix_seconds: expires,
    }
}

#[test]
fn kept_for_the_owner_only_and_whole() {
    let place = tempfile::tempdir().unwrap();
    let store = Store::locate(Some(place.path().join("deep/ferry"))).unwrap();
    assert!(matches!(store.load(), Err(Failure::NotLoggedIn { .. })));
    store.save(&credential(1, 2)).unwrap();
    store.save(&credential(3, 4)).unwrap();
    assert_eq!(store.load().unwrap().issued_unix_seconds, 3);
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(store.path()), 0o600);
    assert_eq!(mode(place.path().join("deep/ferry")), 0o700);
    let names: Vec<_> = fs::read_dir(place.path().join("deep/ferry")).unwrap().collect();
    assert_eq!(names.len(), 1, "no temporary file is left");
}

#[test]
fn damage_is_said() {
    let place = tempfile::tempdir().unwrap();
    let store = Store::locate(Some(place.path().to_owned())).unwrap();
    fs::write(store.path(), b"{\"server\":").unwrap();
    assert!(matches!(store.load(), Err(Failure::DamagedConfig { .. })));
}

#[test]
fn renewed_in_the_last_third_of_its_life() {
    let day = credential(1_000, 1_000 + 86_400);
    let at = |seconds| Timestamp::from_second(seconds).unwrap();
    assert!(!day.renewal_due(at(1_000 + 57_599)));
    assert!(day.renewal_due(at(1_000 + 57_600)));
    assert_eq!(day.expired(at(1_000 + 86_399)), None);
    assert_eq!(day.expired(at(1_000 + 86_400)), Some(at(1_000 + 86_400)));
}
