//! Real images, really formatted by mkfs.ext4; none is mounted here.

use super::super::rules::{CreateVolume, create};
use super::*;

const BYTES: u64 = 16 << 20;

fn volume() -> Volume {
    let mut state = super::super::model::ArrayState::default();
    let request = CreateVolume {
        name: "v".into(),
        handle: "vol-0123456789abcdef".into(),
        fs_uuid: new_uuid(),
        required_bytes: BYTES,
        ..CreateVolume::default()
    };
    create(&mut state, request).unwrap();
    state.volumes.into_values().next().unwrap()
}

#[tokio::test]
async fn a_blank_image_is_formatted_once() {
    let dir = tempfile::tempdir().unwrap();
    let (path, mut volume) = (dir.path().join("v.img"), volume());
    ensure_size(&path, BYTES).unwrap();
    assert_eq!(inspect(&path).unwrap(), Content::Blank);
    assert!(ensure_formatted(&path, &volume, false).await.unwrap());
    assert_eq!(inspect(&path).unwrap(), Content::Ext4 { uuid: volume.fs_uuid.clone(), bytes: BYTES });
    let made = fs::metadata(&path).unwrap().ino();

    // A process killed before the state said so finds its own file system, and keeps it.
    assert!(!ensure_formatted(&path, &volume, false).await.unwrap());
    volume.formatted = true;
    assert!(!ensure_formatted(&path, &volume, false).await.unwrap());
    assert_eq!(fs::metadata(&path).unwrap().ino(), made);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_disk_that_was_formatted_is_never_formatted_again() {
    let dir = tempfile::tempdir().unwrap();
    let (path, volume) = (dir.path().join("v.img"), Volume { formatted: true, ..volume() });
    let missing = ensure_formatted(&path, &volume, false).await.unwrap_err();
    assert!(matches!(missing, ImageError::Lost { .. }), "{missing}");
    ensure_size(&path, BYTES).unwrap();
    let blank = ensure_formatted(&path, &volume, false).await.unwrap_err();
    assert!(matches!(blank, ImageError::Lost { .. }), "{blank}");
    assert_eq!(inspect(&path).unwrap(), Content::Blank);
}

#[tokio::test]
async fn a_disk_with_foreign_data_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (path, ours, theirs) = (dir.path().join("v.img"), volume(), volume());
    fs::write(&path, "not a file system").unwrap();
    let data = ensure_formatted(&path, &ours, false).await.unwrap_err();
    assert!(matches!(data, ImageError::Foreign { .. }), "{data}");
    assert_eq!(fs::read(&path).unwrap(), b"not a file system");

    fs::remove_file(&path).unwrap();
    assert!(ensure_formatted(&path, &theirs, false).await.unwrap());
    let other = ensure_formatted(&path, &ours, false).await.unwrap_err();
    assert!(matches!(other, ImageError::Foreign { .. }), "{other}");
}

#[tokio::test]
async fn a_blank_disk_attached_read_only_is_not_formatted() {
    let dir = tempfile::tempdir().unwrap();
    let (path, volume) = (dir.path().join("v.img"), volume());
    ensure_size(&path, BYTES).unwrap();
    let refused = ensure_formatted(&path, &volume, true).await.unwrap_err();
    assert!(matches!(refused, ImageError::BlankReadonly { .. }), "{refused}");
}

#[test]
fn only_our_handles_become_file_names() {
    assert!(is_handle("vol-0123456789abcdef"));
    for bad in ["", "vol-", "../../etc/passwd", "vol-0123456789abcdeg", "vol-0123456789abcdef/.."] {
        assert!(!is_handle(bad), "{bad}");
    }
}
