//! Bringing a world up: everything that does not wait for another runs at once, for two cores are quickly idle
//! when one control plane waits for its store.
//!
//! The order within a cluster: store and API server beside the nodes' runtimes; the objects that name nodes and
//! driver; the controllers; the kubelets; then the wait until nodes are Ready, names resolve and pods can be
//! made. A failure anywhere ends it with the log of the process that was waited for.

use std::{fs, path::Path, time::Instant};

use anyhow::{Context, Result, ensure};
use futures::future::{try_join, try_join_all};

use super::{
    ClusterConfig, ClusterFacts, Config, NodeFacts, Shared, World,
    address::Plan,
    cluster::Cluster,
    control_plane::{ControlPlane, KWOK, dns_objects, node_object},
    csi, kubeconfig, limits,
    network::create_bridge,
    node::Node,
    node_files, run_dir,
};

/// Brings up `config` in `dir`.
pub(super) async fn up(dir: &Path, config: &Config) -> Result<World> {
    config.check()?;
    let begun = Instant::now();
    let id =
        dir.file_name().and_then(|name| name.to_str()).filter(|name| run_dir::RunId::parse(name).is_some());
    let id = id.with_context(|| format!("{} is no run directory: call world::enter first", dir.display()))?;
    check_disk(dir)?;
    let facts =
        config.clusters.iter().enumerate().map(|(index, cluster)| plan(dir, index, cluster)).collect();
    let mut images = vec![config.tools.images.clone()];
    images.extend(config.images.iter().cloned());
    let shared =
        Shared::new(dir, id.to_owned(), config.tools.clone(), config.test_csi.clone(), images, facts);
    fs::create_dir_all(csi::array_dir(dir)).context("cannot make the array's directory")?;
    let world = World::of(shared);

    let control_planes: Vec<_> = world.clusters.iter().map(|cluster| cluster.facts.ip).collect();
    create_bridge(&control_planes, &world.shared.stations)?;
    let planes = world
        .clusters
        .iter()
        .enumerate()
        .map(|(index, cluster)| ControlPlane::prepare(&world.shared, &cluster.facts, Plan::new(index)))
        .collect::<Result<Vec<_>>>()?;
    let entries: Vec<_> = planes
        .iter()
        .zip(&world.clusters)
        .map(|(plane, cluster)| plane.admin_entry(&cluster.facts.server))
        .collect();
    kubeconfig::write(&world.kubeconfig(), &entries)?;
    try_join_all(
        world.clusters.iter().zip(&planes).map(|(cluster, plane)| start_cluster(cluster, plane, config)),
    )
    .await?;
    world.save()?;
    let nodes: usize = world.clusters.iter().map(|cluster| cluster.facts.nodes.len()).sum();
    eprintln!("world: {} clusters, {nodes} nodes, up in {:.1?}", world.clusters.len(), begun.elapsed());
    Ok(world)
}

/// Refuses a disk so full that stores would stop and kubelets turn pods away, which would look like a fault of Ferry's.
fn check_disk(dir: &Path) -> Result<()> {
    let disk = nix::sys::statvfs::statvfs(dir)
        .with_context(|| format!("cannot look at the disk of {}", dir.display()))?;
    let free = disk.blocks_available() * disk.fragment_size();
    let wanted = limits::FREE_DISK;
    ensure!(
        free >= wanted,
        "the disk of {} has {} MiB free, a world needs {} MiB: make room, then run it again",
        dir.display(),
        free >> 20,
        wanted >> 20
    );
    Ok(())
}

/// Lays out the cluster at `index`.
fn plan(dir: &Path, index: usize, config: &ClusterConfig) -> ClusterFacts {
    let (plan, name) = (Plan::new(index), &config.name);
    let real = (1..=u8::try_from(config.nodes).unwrap_or(u8::MAX)).map(|number| NodeFacts {
        name: format!("{name}-{number}"),
        ip: Some(plan.node(number)),
        pod_cidr: Some(plan.node_pods(number)),
    });
    let simulated = (1..=config.simulated_nodes).map(|number| NodeFacts {
        name: format!("{name}-kwok-{number}"),
        ip: None,
        pod_cidr: None,
    });
    ClusterFacts {
        name: name.clone(),
        kubernetes: config.kubernetes.clone(),
        ip: plan.control_plane(),
        server: format!("https://{}:6443", plan.control_plane()),
        kubeconfig: dir.join("cluster").join(name).join("admin.kubeconfig"),
        dns: plan.control_plane(),
        pod_cidr: plan.pods(),
        service_cidr: plan.services(),
        nodes: real.chain(simulated).collect(),
    }
}

/// Control plane and nodes' runtimes side by side, then what needs both.
async fn start_cluster(cluster: &Cluster, plane: &ControlPlane<'_>, config: &Config) -> Result<()> {
    let nodes = cluster.nodes();
    let (real, simulated): (Vec<Node>, Vec<Node>) = nodes.into_iter().partition(|node| !node.is_simulated());
    let runtimes = try_join_all(real.iter().map(async |node| {
        write_node_files(cluster, plane, node, config)?;
        node.start_runtime().await
    }));
    try_join(start_control_plane(cluster, plane, !simulated.is_empty()), runtimes).await?;
    for node in &real {
        node.start_kubelet()?;
    }
    try_join_all(real.iter().chain(&simulated).map(|node| cluster.wait_node_ready(node))).await?;
    try_join(cluster.wait_dns(), cluster.wait_service_account("default")).await?;
    Ok(())
}

async fn start_control_plane(cluster: &Cluster, plane: &ControlPlane<'_>, with_kwok: bool) -> Result<()> {
    for (name, spec) in plane.store_and_api()? {
        cluster.process(name).launch(&spec)?;
    }
    cluster.wait_api().await?;
    let mut objects = dns_objects();
    objects.extend(
        cluster
            .nodes()
            .iter()
            .map(|node| node_object(node.name(), node.facts.pod_cidr.as_deref(), node.is_simulated())),
    );
    if cluster.shared.test_csi.is_some() {
        objects.extend([csi::driver_object(), csi::class_object()]);
    }
    cluster.create(&objects).await?;
    let mut processes = plane.controllers()?;
    if let Some(driver) = &cluster.shared.test_csi {
        let admin = plane.kubeconfig("admin");
        processes.extend(csi::controller_part(&cluster.shared, driver, cluster.name(), &admin)?);
    }
    if with_kwok {
        processes.push((KWOK, plane.kwok()?));
    }
    for (name, spec) in processes {
        cluster.process(name).launch(&spec)?;
    }
    Ok(())
}

fn write_node_files(cluster: &Cluster, plane: &ControlPlane<'_>, node: &Node, config: &Config) -> Result<()> {
    let address = node.ip().with_context(|| format!("{} has no address", node.name()))?;
    let disk = node.disk();
    let certificate = plane.admit_node(node.name(), address, &disk.join("etc/kubelet.kubeconfig"))?;
    node_files::write(
        &disk,
        &node_files::Facts {
            name: node.name(),
            address: &address.to_string(),
            pods: node.facts.pod_cidr.as_deref().unwrap_or_default(),
            cluster_pods: &cluster.facts.pod_cidr,
            dns: &cluster.facts.dns.to_string(),
            run: &cluster.shared.id,
            authority: &plane.pki("ca.crt"),
            certificate: &plane.pki(&format!("{certificate}.crt")),
            key: &plane.pki(&format!("{certificate}.key")),
            proxy_kubeconfig: &plane.kubeconfig("kube-proxy").display().to_string(),
            status_update_s: config.node_status_update_s,
            pause: &config.tools.pause,
        },
    )
}
