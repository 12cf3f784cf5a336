use super::*;

#[test]
fn only_a_cluster_is_a_cluster() {
    assert_eq!(cluster_of("spiffe://ferry.local/cluster/east"), Some("east"));
    for other in [
        "spiffe://ferry.local/role/admin/admin",
        "spiffe://ferry.local/cluster/",
        "spiffe://ferry.local/cluster/a/b",
        "spiffe:///cluster/east",
        "https://ferry.local/cluster/east",
    ] {
        assert_eq!(cluster_of(other), None, "{other}");
    }
}
