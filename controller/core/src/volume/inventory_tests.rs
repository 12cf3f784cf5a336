use super::*;

fn usable(volume: InventoryVolume) -> bool {
    let id = ("csi.test".to_owned(), "h-0".to_owned());
    let volume = InventoryVolume { driver: id.0, handle: id.1, ..volume };
    seen(&Storage::default(), &ClusterName::from("east"), &volume).is_some_and(|seen| seen.sighting.usable)
}

#[test]
fn a_disk_is_in_use_while_it_is_bound_to_a_claim_that_lives_or_attached() {
    let bound = InventoryVolume {
        pv_phase: "Bound".to_owned(),
        claim_uid: "c1".to_owned(),
        ..InventoryVolume::default()
    };
    let released = InventoryVolume { pv_phase: "Released".to_owned(), ..InventoryVolume::default() };
    let attached = InventoryVolume { attachment_nodes: vec!["n1".to_owned()], ..released.clone() };
    let orphaned = InventoryVolume { claim_uid: String::new(), ..bound.clone() };
    assert_eq!([bound, attached, released, orphaned].map(usable), [true, true, false, false]);
}
