use super::*;

fn mirror(endpoints: usize) -> Mirror {
    let endpoint = |n: usize| wire::Endpoint {
        address: format!("10.61.{}.{}", n / 250, n % 250 + 1),
        hostname: format!("etcd-{n}"),
        ready: n.is_multiple_of(2),
        serving: true,
        ..wire::Endpoint::default()
    };
    Mirror {
        namespace: "db".to_owned(),
        service: "etcd".to_owned(),
        origin: "east".to_owned(),
        revision: 7,
        endpoints: (0..endpoints).map(endpoint).collect(),
        ports: vec![wire::EndpointPort { name: "peer".to_owned(), port: 2380, ..Default::default() }],
        address_type: "IPv4".to_owned(),
        origin_pod_cidrs: vec!["10.61.0.0/16".to_owned()],
        origin_instance_id: "i".to_owned(),
    }
}

fn local() -> LocalService {
    LocalService { uid: "svc".to_owned(), headless: true }
}

#[test]
fn a_slice_holds_at_most_its_bound_and_names_never_meet() {
    let slices = build(&mirror(limits::ENDPOINTS_IN_SLICE * 2 + 1), &local());
    let sizes: Vec<_> = slices.iter().map(|slice| slice.endpoints.len()).collect();
    assert_eq!(sizes, [limits::ENDPOINTS_IN_SLICE, limits::ENDPOINTS_IN_SLICE, 1]);
    let mut names: Vec<_> = slices.iter().filter_map(|slice| slice.metadata.name.clone()).collect();
    let other = Mirror { service: "etcd-a".to_owned(), ..mirror(1) };
    let west = Mirror { origin: "west".to_owned(), ..mirror(1) };
    names.extend(
        build(&other, &local()).into_iter().chain(build(&west, &local())).filter_map(|s| s.metadata.name),
    );
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 5);
    assert!(build(&mirror(0), &local()).is_empty());
}

#[test]
fn a_slice_is_what_dns_and_proxy_look_for() {
    let slices = build(&mirror(1), &local());
    let json = serde_json::to_value(&slices[0]).unwrap();
    let labels = &json["metadata"]["labels"];
    assert_eq!(labels["kubernetes.io/service-name"], "etcd");
    assert_eq!(labels["endpointslice.kubernetes.io/managed-by"], "agent.ferry.dev");
    assert_eq!(labels["ferry.dev/origin-cluster"], "east");
    assert_eq!(json["metadata"]["ownerReferences"][0]["uid"], "svc");
    let endpoint = &json["endpoints"][0];
    assert_eq!(endpoint["hostname"], "etcd-0");
    assert_eq!(endpoint["conditions"]["ready"], true);
    assert!(endpoint.get("targetRef").is_none() && endpoint.get("nodeName").is_none(), "{endpoint}");
    assert_eq!(json["ports"][0]["port"], 2380);
    assert_eq!(json["ports"][0]["protocol"], "TCP");
}

#[test]
fn what_is_not_the_origins_is_refused() {
    let address = |address: &str| {
        let mut mirror = mirror(2);
        mirror.endpoints[1].address = address.to_owned();
        check(&mirror, "west")
    };
    assert_eq!(check(&mirror(limits::ENDPOINTS), "west"), Ok(()));
    assert_eq!(check(&mirror(1), "east"), Err(Refusal::Echo));
    assert_eq!(check(&mirror(limits::ENDPOINTS + 1), "west"), Err(Refusal::Many(limits::ENDPOINTS + 1)));
    assert!(matches!(address("10.62.0.1"), Err(Refusal::Outside { .. })));
    assert!(matches!(address("127.0.0.1"), Err(Refusal::Outside { .. })));
    assert!(matches!(address("fd00::1"), Err(Refusal::Address { .. })));
    assert!(matches!(address("example.org"), Err(Refusal::Address { .. })));
    let none = Mirror { origin_pod_cidrs: Vec::new(), ..mirror(1) };
    assert!(matches!(check(&none, "west"), Err(Refusal::Outside { .. })));
    let wrong = Mirror { origin_pod_cidrs: vec!["10.61.0.0".to_owned()], ..mirror(1) };
    assert!(matches!(check(&wrong, "west"), Err(Refusal::Network(_))));
    let family = Mirror { address_type: "FQDN".to_owned(), ..mirror(1) };
    assert!(matches!(check(&family, "west"), Err(Refusal::Family(_))));
    let mut port = mirror(1);
    port.ports[0].port = 65_536;
    assert_eq!(check(&port, "west"), Err(Refusal::Port(65_536)));
    let origin = Mirror { origin: "east,x=y".to_owned(), ..mirror(1) };
    assert!(matches!(check(&origin, "west"), Err(Refusal::Origin(_))));
}
