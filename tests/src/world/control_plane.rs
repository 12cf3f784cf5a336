//! The processes of a control plane, with the flags that make a stock one fit into a world.
//!
//! Each cluster has an address of its own, so every part listens on its usual port. The API server and DNS are
//! on the bridge, where nodes and pods reach them; the rest is on a loopback address of the cluster.
//!
//! This module writes files and says how to start; `start` starts, `cluster` waits.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{
    ClusterFacts, Shared,
    address::Plan,
    kubeconfig,
    kubeconfig::Entry,
    pki::{Authority, Credential, Subject},
    process::Spec,
};

/// The names of the processes.
pub(super) const ETCD: &str = "etcd";
pub(super) const API_SERVER: &str = "kube-apiserver";
pub(super) const CONTROLLER_MANAGER: &str = "kube-controller-manager";
pub(super) const SCHEDULER: &str = "kube-scheduler";
pub(super) const COREDNS: &str = "coredns";
pub(super) const KWOK: &str = "kwok";

const DNS_USER: &str = "ferry:coredns";
/// Port of CoreDNS's readiness page.
const DNS_READY_PORT: u16 = 8181;

/// A control plane about to be started: its certificates and files are written.
pub(super) struct ControlPlane<'a> {
    shared: &'a Shared,
    facts: &'a ClusterFacts,
    name: &'a str,
    plan: Plan,
    authority: Authority,
    admin: Credential,
    dir: PathBuf,
}

impl<'a> ControlPlane<'a> {
    /// Makes the certificates, kubeconfigs and files of the cluster of `facts`.
    pub(super) fn prepare(shared: &'a Shared, facts: &'a ClusterFacts, plan: Plan) -> Result<Self> {
        let name = facts.name.as_str();
        let dir = shared.dir.join("cluster").join(name);
        let authority = Authority::create(&dir.join("pki"), name)?;
        let addresses: Vec<IpAddr> =
            [plan.control_plane(), plan.first_service(), Ipv4Addr::LOCALHOST].map(IpAddr::from).to_vec();
        let names = [
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
        ];
        authority.issue(
            "apiserver",
            &Subject {
                common_name: "kube-apiserver",
                organization: None,
                names: &names,
                addresses: &addresses,
            },
        )?;
        let client = |file: &str, user: &str, group: Option<&str>| {
            let subject = Subject { common_name: user, organization: group, names: &[], addresses: &[] };
            authority.issue(file, &subject)
        };
        client("kubelet-client", "kube-apiserver-kubelet-client", Some("system:masters"))?;
        let admin = client("admin", "admin", Some("system:masters"))?;
        let others = [
            (CONTROLLER_MANAGER, "system:kube-controller-manager"),
            (SCHEDULER, "system:kube-scheduler"),
            ("kube-proxy", "system:kube-proxy"),
            (COREDNS, DNS_USER),
        ];
        let credentials =
            others.map(|(file, user)| client(file, user, None).map(|credential| (file, credential)));
        let this = Self { shared, facts, name, plan, authority, admin, dir };
        this.write_kubeconfig("admin", &this.admin)?;
        // It deletes pods as a kubelet does, which admission may leave to kubelets alone.
        let groups = ["system:masters", "system:nodes"];
        kubeconfig::write_acting_as(&this.kubeconfig(KWOK), this.entry(&this.admin), KWOK, &groups)?;
        for credential in credentials {
            let (file, credential) = credential?;
            this.write_kubeconfig(file, &credential)?;
        }
        this.write_corefile()?;
        Ok(this)
    }

    /// Issues a node's certificate and writes its kubeconfig to `path`. The result is the certificate's name.
    pub(super) fn admit_node(&self, node: &str, address: Ipv4Addr, path: &Path) -> Result<String> {
        let user = format!("system:node:{node}");
        let subject = Subject {
            common_name: &user,
            organization: Some("system:nodes"),
            names: &[node],
            addresses: &[IpAddr::from(address)],
        };
        let credential = self.authority.issue(node, &subject)?;
        kubeconfig::write(path, &[self.entry(&credential)])?;
        Ok(node.to_owned())
    }

    /// The path of a file of the authority, such as `ca.crt`.
    pub(super) fn pki(&self, file: &str) -> String {
        self.authority.path(file)
    }

    /// Where the kubeconfig of `user` lies: `admin`, or the name of a process.
    pub(super) fn kubeconfig(&self, user: &str) -> PathBuf {
        self.dir.join(format!("{user}.kubeconfig"))
    }

    /// The administrator's line in a kubeconfig for several clusters.
    pub(super) fn admin_entry(&self, server: &'a str) -> Entry<'_> {
        Entry { name: self.name, server, authority: self.authority.certificate(), credential: &self.admin }
    }

    fn entry<'b>(&'b self, credential: &'b Credential) -> Entry<'b> {
        Entry {
            name: self.name,
            server: self.shared.server(self.name),
            authority: self.authority.certificate(),
            credential,
        }
    }

    fn write_kubeconfig(&self, user: &str, credential: &Credential) -> Result<()> {
        kubeconfig::write(&self.kubeconfig(user), &[self.entry(credential)])
    }

    /// etcd and the API server, which waits for it.
    pub(super) fn store_and_api(&self) -> Result<Vec<(&'static str, Spec)>> {
        Ok(vec![(ETCD, self.etcd()?), (API_SERVER, self.api_server()?)])
    }

    /// What acts on the API once it is served.
    pub(super) fn controllers(&self) -> Result<Vec<(&'static str, Spec)>> {
        let corefile = self.dir.join("Corefile").display().to_string();
        let coredns = Spec::new(self.shared.tools.program(COREDNS)?, ["-conf".to_owned(), corefile]);
        Ok(vec![
            (CONTROLLER_MANAGER, self.controller_manager()?),
            (SCHEDULER, self.scheduler()?),
            (COREDNS, coredns),
        ])
    }

    fn etcd(&self) -> Result<Spec> {
        let (clients, peers) = (self.store(), format!("http://{}:2380", self.plan.loopback()));
        let data = self.shared.dir.join("etcd").join(self.name);
        let flags = [
            format!("--name={}", self.name),
            format!("--data-dir={}", data.display()),
            format!("--listen-client-urls={clients}"),
            format!("--advertise-client-urls={clients}"),
            format!("--listen-peer-urls={peers}"),
            format!("--initial-advertise-peer-urls={peers}"),
            format!("--initial-cluster={}={peers}", self.name),
            // A run does not outlive the machine, and a killed process loses nothing that it has written.
            "--unsafe-no-fsync".to_owned(),
        ];
        Ok(Spec::new(self.shared.tools.program(ETCD)?, flags))
    }

    fn store(&self) -> String {
        format!("http://{}:2379", self.plan.loopback())
    }

    fn api_server(&self) -> Result<Spec> {
        let address = self.plan.control_plane();
        let flags = [
            format!("--etcd-servers={}", self.store()),
            format!("--bind-address={address}"),
            format!("--advertise-address={address}"),
            "--secure-port=6443".to_owned(),
            format!("--tls-cert-file={}", self.pki("apiserver.crt")),
            format!("--tls-private-key-file={}", self.pki("apiserver.key")),
            format!("--client-ca-file={}", self.pki("ca.crt")),
            "--authorization-mode=Node,RBAC".to_owned(),
            "--enable-admission-plugins=NodeRestriction".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local".to_owned(),
            format!("--service-account-key-file={}", self.pki("sa.pub")),
            format!("--service-account-signing-key-file={}", self.pki("sa.key")),
            format!("--service-cluster-ip-range={}", self.plan.services()),
            format!("--kubelet-client-certificate={}", self.pki("kubelet-client.crt")),
            format!("--kubelet-client-key={}", self.pki("kubelet-client.key")),
            "--kubelet-preferred-address-types=InternalIP".to_owned(),
            "--allow-privileged=true".to_owned(),
            "--endpoint-reconciler-type=lease".to_owned(),
        ];
        Ok(Spec::new(self.shared.kubernetes_program(self.facts, API_SERVER)?, flags))
    }

    fn controller_manager(&self) -> Result<Spec> {
        let mut flags = self.client_flags(CONTROLLER_MANAGER);
        flags.extend([
            "--secure-port=10257".to_owned(),
            // Each controller asks for a token of its own: at the default of 20 calls a second that takes 5 s.
            "--kube-api-qps=200".to_owned(),
            "--kube-api-burst=400".to_owned(),
            format!("--root-ca-file={}", self.pki("ca.crt")),
            format!("--service-account-private-key-file={}", self.pki("sa.key")),
            "--use-service-account-credentials=true".to_owned(),
            format!("--cluster-signing-cert-file={}", self.pki("ca.crt")),
            format!("--cluster-signing-key-file={}", self.pki("ca.key")),
            format!("--flex-volume-plugin-dir={}", self.dir.join("volume-plugins").display()),
        ]);
        Ok(Spec::new(self.shared.kubernetes_program(self.facts, CONTROLLER_MANAGER)?, flags))
    }

    fn scheduler(&self) -> Result<Spec> {
        let mut flags = self.client_flags(SCHEDULER);
        flags.push("--secure-port=10259".to_owned());
        Ok(Spec::new(self.shared.kubernetes_program(self.facts, SCHEDULER)?, flags))
    }

    fn client_flags(&self, user: &str) -> Vec<String> {
        let config = self.kubeconfig(user).display().to_string();
        let flags = ["--kubeconfig", "--authentication-kubeconfig", "--authorization-kubeconfig"];
        let mut flags: Vec<String> = flags.iter().map(|flag| format!("{flag}={config}")).collect();
        flags.push(format!("--bind-address={}", self.plan.loopback()));
        flags.push("--leader-elect=false".to_owned());
        flags
    }

    /// The process that simulates nodes: only those that say so.
    pub(super) fn kwok(&self) -> Result<Spec> {
        let flags = [
            format!("--kubeconfig={}", self.kubeconfig(KWOK).display()),
            format!("--config={}", self.shared.tools.kwok_stages.display()),
            "--manage-all-nodes=false".to_owned(),
            format!("--manage-nodes-with-annotation-selector={}={}", SIMULATED.0, SIMULATED.1),
            format!("--cidr={}", self.plan.simulated_pods()),
            format!("--node-ip={}", self.plan.control_plane()),
            "--node-lease-duration-seconds=40".to_owned(),
        ];
        Ok(Spec::new(self.shared.tools.program(KWOK)?, flags)
            .with_env("HOME", self.dir.display().to_string()))
    }

    fn write_corefile(&self) -> Result<()> {
        let address = self.plan.control_plane();
        // The life of one second, and no cache: what a client sees changes when the endpoints do.
        let text = format!(
            "cluster.local:53 in-addr.arpa:53 {{\n    bind {address}\n    errors\n    ready {address}:{DNS_READY_PORT}\n    \
             kubernetes cluster.local in-addr.arpa {{\n        kubeconfig {} {}\n        ttl 1\n    }}\n}}\n",
            self.kubeconfig(COREDNS).display(),
            self.name,
        );
        let path = self.dir.join("Corefile");
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// The annotation of a node that kwok shall simulate.
const SIMULATED: (&str, &str) = ("kwok.x-k8s.io/node", "fake");

/// The address of a cluster's DNS readiness page.
pub(super) fn dns_ready_url(address: Ipv4Addr) -> String {
    format!("http://{address}:{DNS_READY_PORT}/ready")
}

/// The rights of CoreDNS: to read what names are made from.
pub(super) fn dns_objects() -> Vec<Value> {
    let watch = |group: &str, resources: Value| json!({"apiGroups": [group], "resources": resources, "verbs": ["list", "watch"]});
    vec![
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": DNS_USER},
            "rules": [
                watch("", json!(["services", "endpoints", "pods", "namespaces"])),
                watch("discovery.k8s.io", json!(["endpointslices"])),
            ],
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": DNS_USER},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": DNS_USER},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": DNS_USER}],
        }),
    ]
}

/// A Node object, made before its kubelet registers so that it carries the range of its pods from the start.
pub(super) fn node_object(name: &str, pods: Option<&str>, simulated: bool) -> Value {
    let mut node = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}},
        "spec": {},
    });
    if let Some(pods) = pods {
        node["spec"] = json!({"podCIDR": pods, "podCIDRs": [pods]});
    }
    if simulated {
        node["metadata"]["annotations"] = json!({SIMULATED.0: SIMULATED.1});
        node["metadata"]["labels"]["type"] = json!("kwok");
        node["status"] = json!({
            "allocatable": {"cpu": "32", "memory": "256Gi", "pods": "110"},
            "capacity": {"cpu": "32", "memory": "256Gi", "pods": "110"},
        });
    }
    node
}
