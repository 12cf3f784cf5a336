//! Reading the kernel's tables; mounts themselves are proved by the tests of the whole driver.

use super::*;

#[test]
fn a_line_of_mountinfo_gives_path_and_source() {
    let line = r"63 43 7:0 / /var/lib/kubelet/a\040b\134c rw,relatime shared:1 master:2 - ext4 /dev/loop0 rw";
    let mount = parse_mount(line).unwrap();
    assert_eq!(mount.path, Path::new(r"/var/lib/kubelet/a b\c"));
    assert_eq!(mount.source, "/dev/loop0");
    assert_eq!(parse_mount("no mount"), None);
}

#[test]
fn this_process_has_a_root_and_no_unknown_image() {
    assert!(mounted_at(Path::new("/")).unwrap().is_some());
    assert_eq!(mounted_at(Path::new("/no/such/path")).unwrap(), None);
    assert_eq!(devices_of("vol-ffffffffffffffff").unwrap(), Vec::<String>::new());
    assert!(!has_volume(Path::new("/"), "vol-ffffffffffffffff").unwrap());
}

#[test]
fn what_is_not_mounted_is_unmounted_already() {
    unmount(Path::new("/no/such/path"), "vol-ffffffffffffffff").unwrap();
}

#[test]
fn what_somebody_else_mounted_is_not_unmounted() {
    let refused = unmount(Path::new("/proc"), "vol-ffffffffffffffff").unwrap_err();
    assert!(matches!(refused, MountError::Occupied { .. }), "{refused}");
}
