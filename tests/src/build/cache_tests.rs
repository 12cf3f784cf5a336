use anyhow::bail;

use super::{atomically, key, lock};

#[test]
fn a_key_tells_apart_where_one_part_ends() {
    assert_ne!(key(&[b"ab", b"c"]), key(&[b"a", b"bc"]));
    assert_eq!(key(&[b"ab", b"c"]), key(&[b"ab", b"c"]));
}

#[test]
fn a_failed_write_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/program");
    let failed = atomically(&path, |temporary| {
        std::fs::write(temporary, "half")?;
        bail!("killed")
    });
    assert!(failed.is_err());
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
    atomically(&path, |temporary| Ok(std::fs::write(temporary, "whole")?)).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "whole");
}

#[test]
fn the_lock_is_free_again_once_dropped() {
    let dir = tempfile::tempdir().unwrap();
    drop(lock(dir.path()).unwrap());
    drop(lock(dir.path()).unwrap());
}
