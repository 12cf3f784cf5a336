use super::*;
use crate::{
    samples::{at, migration},
    shape::Server,
};

const PLAIN: Paint = Paint(false);

#[test]
fn clusters_as_kubectl_would() {
    let east = Cluster {
        name: "east".into(),
        uid: "u".into(),
        attached: true,
        api_server_ok: true,
        kubernetes_version: "v1.36.1".into(),
        agent_version: "0.1.0".into(),
        nodes: 3,
        nodes_ready: 2,
        workloads: 4,
        volumes: 12,
        watch_lag_ms: 20,
        last_seen_at: Some(at(0)),
        message: "node east-3 is not Ready".into(),
    };
    let west = Cluster { name: "west".into(), attached: false, message: String::new(), ..east.clone() };
    let text = clusters(&[east.clone(), west], Some("0.1.0"), at(3_000), PLAIN);
    let expected = "\
NAME   STATUS     KUBERNETES   AGENT   NODES   STATEFULSETS   VOLUMES   LAST SEEN   MESSAGE
east   Attached   v1.36.1      0.1.0   2/3     4              12        3s ago      node east-3 is not Ready
west   Detached   v1.36.1      0.1.0   2/3     4              12        3s ago
";
    assert_eq!(text, expected, "\n{text}");
    let skewed = clusters(&[east], Some("0.2.0"), at(3_000), PLAIN);
    assert!(
        skewed.ends_with("node east-3 is not Ready; its agent is 0.1.0, the controller 0.2.0\n"),
        "{skewed}"
    );
}

fn volume(ordinal: u32, state: &str) -> Volume {
    Volume {
        domain: "array.csi".into(),
        driver: "array.csi".into(),
        handle: format!("vol-{ordinal}"),
        cluster: if state == "owned" { "east".into() } else { String::new() },
        pv: "pvc-1".into(),
        claim: format!("data-etcd-{ordinal}"),
        namespace: "db".into(),
        workload: "etcd".into(),
        ordinal,
        epoch: 3,
        state: state.into(),
        message: if state == "conflict" { "usable in east and west".into() } else { String::new() },
    }
}

#[test]
fn volumes_and_their_conflicts() {
    let some = [volume(0, "owned"), volume(1, "conflict")];
    let text = volumes(&some, PLAIN);
    let expected = "\
NAMESPACE   STATEFULSET   ORDINAL   CLAIM         CLUSTER   STATE      EPOCH   DOMAIN      DRIVER      HANDLE   MESSAGE
db          etcd          0         data-etcd-0   east      owned      3       array.csi   array.csi   vol-0
db          etcd          1         data-etcd-1   <none>    conflict   3       array.csi   array.csi   vol-1    usable in east and west
";
    assert_eq!(text, expected, "\n{text}");
    let coloured: Vec<bool> =
        volumes(&some, Paint(true)).lines().map(|line| line.contains("\u{1b}[31m")).collect();
    assert_eq!(coloured, [false, false, true], "the conflict is red, whole line");
}

#[test]
fn migrations_in_a_row() {
    let paused = Migration { phase: Phase::Paused, id: "etcd-2".into(), ..migration() };
    let ended = Migration { phase: Phase::Completed, ended_at: Some(at(61_000)), ..migration() };
    let text = migrations(&[paused, ended], at(7_200_000), PLAIN);
    let expected = "\
ID       NAMESPACE   STATEFULSET   FROM   TO     PHASE       MOVED   DURATION   AGE
etcd-2   db          etcd          east   west   Paused      1/3     120m       120m
etcd-1   db          etcd          east   west   Completed   1/3     61s        120m
";
    assert_eq!(text, expected, "\n{text}");
}

#[test]
fn the_replicas_of_one_migration() {
    let text = ordinals(&migration(), at(20_500), PLAIN);
    let expected = "\
REPLICA   STEP            DURATION   MESSAGE
etcd-2    done            13.0s
etcd-1    detach (6/13)   6.5s       VolumeAttachment csi-8f2c of node east-2 to be gone
etcd-0    waiting
";
    assert_eq!(text, expected, "\n{text}");
}

#[test]
fn times_of_each_step() {
    let mut some = migration();
    some.ordinals[0].steps.retain(|step| [5, 6, 10].contains(&step.step));
    some.ordinals[1].steps.retain(|step| [5, 6].contains(&step.step));
    let text = step_times(&some);
    let expected = "\
REPLICA   TOTAL   STOP   DETACH   START   OTHER
etcd-2    13.0s   1.0s   1.0s     1.0s    10.0s
etcd-1    -       1.0s   -        -       -
etcd-0    -       -      -        -       -
";
    assert_eq!(text, expected, "\n{text}");
}

#[test]
fn both_versions() {
    let mut both = Version { client: "0.1.0".into(), server: None };
    assert_eq!(version(&both), "Client version:  0.1.0\n");
    both.server = Some(Server {
        address: "h:1".into(),
        version: "0.2.0".into(),
        identity: "spiffe://ferry.local/role/viewer/eve".into(),
        trust_domain: "ferry.local".into(),
    });
    let expected = "\
Client version:  0.1.0
Server version:  0.2.0 at h:1
Identity:        spiffe://ferry.local/role/viewer/eve
Trust domain:    ferry.local
";
    assert_eq!(version(&both), expected);
}
