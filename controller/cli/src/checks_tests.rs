use super::*;
use crate::samples::{at, migration};

const PLAIN: Paint = Paint(false);

fn credential(expires: i64) -> Credential {
    Credential {
        server: "ferry.example.org:7443".into(),
        identity: "spiffe://ferry.local/role/viewer/eve".into(),
        ca_pem: String::new(),
        certificate_pem: String::new(),
        private_key_pem: String::new(),
        issued_unix_seconds: at(0).as_second(),
        expires_unix_seconds: at(0).as_second() + expires,
    }
}

fn cluster(name: &str) -> Cluster {
    Cluster {
        name: name.into(),
        uid: "u".into(),
        attached: true,
        api_server_ok: true,
        kubernetes_version: "v1.36.1".into(),
        agent_version: "0.1.0".into(),
        nodes: 3,
        nodes_ready: 3,
        workloads: 1,
        volumes: 3,
        watch_lag_ms: 20,
        last_seen_at: Some(at(0)),
        message: String::new(),
    }
}

fn report(checks: Vec<Check>) -> CheckReport {
    CheckReport { ok: checks.iter().all(|check| check.verdict != Verdict::Fail), checks }
}

#[test]
fn all_is_well() {
    let server = Server {
        address: "127.0.0.1:7443".into(),
        version: "0.1.0".into(),
        identity: "spiffe://ferry.local/role/viewer/eve".into(),
        trust_domain: "ferry.local".into(),
    };
    let mut checks = client(&credential(86_400), at(0), "ferry");
    checks.extend(controller(&server, Duration::from_millis(3), "0.1.0"));
    checks.extend(clusters(&[cluster("east"), cluster("west")], "0.1.0", "ferry"));
    checks.extend(migrations(&[migration()], "ferry"));
    let text = text(&report(checks), PLAIN);
    let expected = "\
client
------
√ logged in to ferry.example.org:7443 as spiffe://ferry.local/role/viewer/eve
√ the certificate is valid for 24h and renews itself while it is used

controller
----------
√ it answers at 127.0.0.1:7443 in 0.0s
√ it knows this caller as spiffe://ferry.local/role/viewer/eve
√ its version is this command's, 0.1.0

cluster east
------------
√ its agent is attached
√ its agent has the controller's version, 0.1.0
√ its API server answers (v1.36.1)
√ what the agent sees is fresh (0.0s old)
√ its nodes are Ready (3)

cluster west
------------
√ its agent is attached
√ its agent has the controller's version, 0.1.0
√ its API server answers (v1.36.1)
√ what the agent sees is fresh (0.0s old)
√ its nodes are Ready (3)

migrations
----------
√ 1 running, none held up

Status check results are √
";
    assert_eq!(text, expected, "\n{text}");
}

fn verdicts(checks: &[Check]) -> Vec<(&str, Verdict)> {
    checks
        .iter()
        .filter(|check| check.verdict != Verdict::Ok)
        .map(|check| (check.code.as_str(), check.verdict))
        .collect()
}

#[test]
fn each_fault_has_a_code_and_something_to_do() {
    let away =
        Cluster { attached: false, message: "its agent is not attached: see to it".into(), ..cluster("a") };
    let old = Cluster { agent_version: "0.0.9".into(), watch_lag_ms: 130_000, ..cluster("b") };
    let broken = Cluster { api_server_ok: false, watch_lag_ms: 250_000, nodes_ready: 2, ..cluster("c") };
    let checks = clusters(&[away, old, broken], "0.1.0", "ferry");
    let expected = [
        ("agent-attached", Verdict::Fail),
        ("agent-version", Verdict::Warn),
        ("watch-lag", Verdict::Warn),
        ("api-server", Verdict::Fail),
        ("watch-lag", Verdict::Fail),
        ("nodes-ready", Verdict::Warn),
    ];
    assert_eq!(verdicts(&checks), expected);
    assert!(checks.iter().all(|check| (check.verdict == Verdict::Ok) == check.remedy.is_empty()));
    let text = text(&report(checks), PLAIN);
    assert!(text.contains("    found  its agent is 0.0.9, the controller 0.1.0\n"), "{text}");
    assert!(text.ends_with("Status check results are ×\n"), "{text}");
}

#[test]
fn a_certificate_ends_and_a_lonely_cluster_is_no_pair() {
    assert_eq!(
        verdicts(&client(&credential(10), at(9_000), "ferry")),
        [("certificate-valid", Verdict::Warn)]
    );
    assert_eq!(
        verdicts(&client(&credential(10), at(11_000), "ferry")),
        [("certificate-valid", Verdict::Fail)]
    );
    assert_eq!(verdicts(&clusters(&[cluster("east")], "0.1.0", "ferry")), [("two-clusters", Verdict::Warn)]);
    let paused = Migration { phase: Phase::Paused, message: "paused by bob".into(), ..migration() };
    let checks = migrations(&[paused], "ferry");
    assert_eq!((checks[0].verdict, checks[0].remedy.as_str()), (Verdict::Warn, "ferry describe etcd-1"));
}
