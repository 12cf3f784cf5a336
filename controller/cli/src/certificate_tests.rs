use super::*;
use crate::samples;

fn clean() -> Certificate {
    Certificate {
        cluster: "east".into(),
        issued_at: Some(samples::at(0)),
        stateful_set_gone: true,
        tombstones: vec!["data-etcd-0".into(), "data-etcd-1".into()],
        ..Certificate::default()
    }
}

#[test]
fn nothing_but_tombstones() {
    let text = text(&samples::migration(), &clean(), Paint(false));
    let expected = "\
StatefulSet db/etcd in east after migration etcd-1 to west

  StatefulSet            gone
  Pods                   none
  PersistentVolumeClaims none
  PersistentVolumes      none
  VolumeAttachments      none
  Tombstones             data-etcd-0, data-etcd-1
  looked at              2026-09-21T14:13:20.000Z

east holds nothing of it but tombstones.
";
    assert_eq!(text, expected, "\n{text}");
}

#[test]
fn what_is_left_is_named() {
    let found = Certificate {
        recreated_by: "argocd-controller".into(),
        claims: vec!["data-etcd-0".into()],
        by_hand: vec!["take etcd out of the Argo CD application".into()],
        accepted: true,
        ..clean()
    };
    assert!(!found.is_clean() && clean().is_clean());
    let text = text(&samples::migration(), &found, Paint(false));
    for part in [
        "  made anew by           argocd-controller\n",
        "  PersistentVolumeClaims data-etcd-0\n",
        "Left to do by hand\n  - take etcd out",
        "east still holds what is named above.",
    ] {
        assert!(text.contains(part), "{text}");
    }
}
