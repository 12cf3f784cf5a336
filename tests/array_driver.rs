//! The test CSI driver as two clusters use it: controllers and node plugins as processes of their own, each node
//! in a mount namespace of its own, spoken to over their sockets as Kubernetes does.
//!
//! What is proved here is what the rules alone cannot show: data on the disk crosses from cluster to cluster, a
//! power cut lets go of the disk, a driver killed at any point can be asked again, and the kernel agrees with the
//! state. Needs root, for mounts and loop devices; leaves none behind.

#[path = "array_driver/rig.rs"]
mod rig;

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use ferry_tests::array::{LogEntry, Op, Outcome, mounts};
use rig::{Controller, Node, Rig, TARGET, Volume, registration_client};
use tonic::Code;

fn violations(entries: &[LogEntry]) -> Vec<&LogEntry> {
    entries.iter().filter(|e| e.violation.is_some()).collect()
}

/// Attaches, stages and publishes; what the kubelet and the attacher do for a pod.
async fn bring_up(controller: &mut Controller, node: &mut Node, volume: &Volume) -> Result<()> {
    let context = controller.attach(volume, &node.id()).await?;
    node.stage(volume, &context).await?;
    node.publish(volume, TARGET).await?;
    Ok(())
}

async fn take_down(controller: &mut Controller, node: &mut Node, volume: &Volume) -> Result<()> {
    node.unpublish(volume, TARGET).await?;
    node.unstage(volume).await?;
    controller.detach(volume, &node.id()).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_crosses_with_its_data_and_without_a_violation() -> Result<()> {
    let rig = Rig::new()?;
    let (mut east, mut west) = (rig.controller("east").await?, rig.controller("west").await?);
    let (mut e1, mut w1) = (rig.node("east", "n1").await?, rig.node("west", "n1").await?);
    let volume = east.create("pvc-1", &[]).await?;

    bring_up(&mut east, &mut e1, &volume).await?;
    fs::write(e1.file(TARGET, "nonce"), "written in east")?;
    take_down(&mut east, &mut e1, &volume).await?;
    ensure!(mounts::devices_of(&volume.handle)?.is_empty(), "the kernel still has the image");

    bring_up(&mut west, &mut w1, &volume).await?;
    assert_eq!(fs::read_to_string(w1.file(TARGET, "nonce"))?, "written in east");
    let stats = w1.stats(&volume, TARGET).await?;
    ensure!(stats.usage.iter().all(|u| u.total > 0), "{stats:?}");
    take_down(&mut west, &mut w1, &volume).await?;

    let entries = rig.array.log().poll()?;
    assert_eq!(violations(&entries), Vec::<&LogEntry>::new());
    assert_eq!(entries.iter().filter(|e| e.op == Op::Format).count(), 1, "formatted once");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_reaches_for_a_held_disk_is_refused_and_logged() -> Result<()> {
    let rig = Rig::new()?;
    let (mut east, mut west) = (rig.controller("east").await?, rig.controller("west").await?);
    let (mut e1, mut w1) = (rig.node("east", "n1").await?, rig.node("west", "n1").await?);
    let volume = east.create("pvc-1", &[]).await?;
    bring_up(&mut east, &mut e1, &volume).await?;
    let context = east.attach(&volume, &e1.id()).await?;

    let refused = [
        (Op::Attach, west.attach(&volume, &w1.id()).await.map(drop).unwrap_err()),
        (Op::Stage, w1.stage(&volume, &context).await.unwrap_err()),
        (Op::Publish, w1.publish(&volume, TARGET).await.unwrap_err()),
        (Op::Detach, west.detach(&volume, &e1.id()).await.unwrap_err()),
        (Op::Detach, east.detach(&volume, &e1.id()).await.unwrap_err()),
        (Op::DeleteVolume, west.delete(&volume).await.unwrap_err()),
    ];
    let entries = rig.array.log().poll()?;
    let logged = violations(&entries);
    assert_eq!(logged.iter().map(|e| e.op).collect::<Vec<_>>(), refused.each_ref().map(|(op, _)| *op));
    for (op, status) in &refused {
        assert_eq!(status.code(), Code::FailedPrecondition, "{op:?}: {status}");
    }
    ensure!(logged.iter().all(|e| e.outcome == Outcome::Refused && e.volume == volume.handle));

    // Nothing of it has touched the disk: east goes on as before.
    fs::write(e1.file(TARGET, "nonce"), "east still writes")?;
    take_down(&mut east, &mut e1, &volume).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_request_of_an_earlier_attachment_is_refused() -> Result<()> {
    let rig = Rig::new()?;
    let mut east = rig.controller("east").await?;
    let mut e1 = rig.node("east", "n1").await?;
    let volume = east.create("pvc-1", &[]).await?;
    let stale = east.attach(&volume, &e1.id()).await?;
    east.detach(&volume, &e1.id()).await?;
    let unattached = e1.stage(&volume, &stale).await.unwrap_err();
    assert_eq!(unattached.code(), Code::FailedPrecondition, "{unattached}");
    let current = east.attach(&volume, &e1.id()).await?;
    let refused = e1.stage(&volume, &stale).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    e1.stage(&volume, &current).await?;
    e1.unstage(&volume).await?;
    east.detach(&volume, &e1.id()).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_required_secret_and_the_volume_context_are_asked_for() -> Result<()> {
    let rig = Rig::new()?;
    let mut east = rig.controller("east").await?;
    let mut e1 = rig.node("east", "n1").await?;
    let mut volume = east.create("pvc-1", &[("requireSecret", "true")]).await?;
    let context = east.attach(&volume, &e1.id()).await?;
    let bare = e1.stage(&volume, &context).await.unwrap_err();
    assert_eq!(bare.code(), Code::InvalidArgument, "{bare}");
    volume.secret = Some("s3cret".to_owned());
    let kept = std::mem::take(&mut volume.context);
    let lost = e1.stage(&volume, &context).await.unwrap_err();
    assert_eq!(lost.code(), Code::InvalidArgument, "{lost}");
    volume.context = kept;
    e1.stage(&volume, &context).await?;
    let log = fs::read_to_string(rig.array.log().path())?;
    ensure!(!log.contains("s3cret"), "a secret is in the log");
    e1.unstage(&volume).await?;
    east.detach(&volume, &e1.id()).await?;
    let unknown = east.create("pvc-2", &[("colour", "blue")]).await.map(drop).unwrap_err();
    assert_eq!(unknown.code(), Code::InvalidArgument, "{unknown}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_power_cut_lets_go_of_the_disk_and_the_other_cluster_finds_the_data() -> Result<()> {
    let rig = Rig::new()?;
    let (mut east, mut west) = (rig.controller("east").await?, rig.controller("west").await?);
    let (mut e1, mut w1) = (rig.node("east", "n1").await?, rig.node("west", "n1").await?);
    let volume = east.create("pvc-1", &[]).await?;
    bring_up(&mut east, &mut e1, &volume).await?;
    let path = e1.file(TARGET, "nonce");
    fs::write(&path, "before the cut")?;
    fs::File::open(&path)?.sync_all()?;
    let id = e1.id();
    e1.power_cut()?;
    ensure!(mounts::released(&volume.handle).await?.is_empty(), "a loop device outlived its node");

    let held = west.attach(&volume, &w1.id()).await.map(drop).unwrap_err();
    assert_eq!(held.code(), Code::FailedPrecondition, "unknown is not taken for gone: {held}");
    east.detach(&volume, &id).await?;
    bring_up(&mut west, &mut w1, &volume).await?;
    assert_eq!(fs::read_to_string(w1.file(TARGET, "nonce"))?, "before the cut");
    take_down(&mut west, &mut w1, &volume).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_comes_back_after_a_power_cut_mounts_again() -> Result<()> {
    let rig = Rig::new()?;
    let mut east = rig.controller("east").await?;
    let mut e1 = rig.node("east", "n1").await?;
    let volume = east.create("pvc-1", &[]).await?;
    bring_up(&mut east, &mut e1, &volume).await?;
    e1.power_cut()?;
    ensure!(mounts::released(&volume.handle).await?.is_empty());
    let mut e1 = rig.node("east", "n1").await?;
    let unstaged = e1.publish(&volume, TARGET).await.unwrap_err();
    assert_eq!(unstaged.code(), Code::FailedPrecondition, "an empty directory is no volume: {unstaged}");
    bring_up(&mut east, &mut e1, &volume).await?;
    ensure!(!mounts::devices_of(&volume.handle)?.is_empty());
    take_down(&mut east, &mut e1, &volume).await
}

/// The driver is killed at twenty points on the way up and on the way down; the node's mounts stay, as they do when
/// a plugin's pod is restarted.
#[tokio::test(flavor = "multi_thread")]
async fn a_driver_killed_at_any_point_finishes_when_asked_again() -> Result<()> {
    let rig = Rig::new()?;
    let mut east = rig.controller("east").await?;
    let mut e1 = rig.node("east", "n1").await?;
    let mut cut_short = 0;
    for round in 0..20_u64 {
        let volume = east.create(&format!("pvc-{round}"), &[]).await?;
        let context = east.attach(&volume, &e1.id()).await?;
        let mut doomed = e1.clone();
        let going = (volume.clone(), context.clone());
        let up = tokio::spawn(async move {
            doomed.stage(&going.0, &going.1).await?;
            doomed.publish(&going.0, TARGET).await
        });
        tokio::time::sleep(Duration::from_millis(3 * round)).await;
        e1.kill_driver().await?;
        cut_short += u32::from(up.await?.is_err());
        e1.start_driver().await?;
        rig::again(async || e1.stage(&volume, &context).await).await?;
        rig::again(async || e1.publish(&volume, TARGET).await).await?;
        fs::write(e1.file(TARGET, "nonce"), volume.handle.as_bytes())?;

        let (mut doomed, going) = (e1.clone(), volume.clone());
        let down = tokio::spawn(async move {
            doomed.unpublish(&going, TARGET).await?;
            doomed.unstage(&going).await
        });
        tokio::time::sleep(Duration::from_millis(round)).await;
        e1.kill_driver().await?;
        cut_short += u32::from(down.await?.is_err());
        e1.start_driver().await?;
        rig::again(async || e1.unpublish(&volume, TARGET).await).await?;
        rig::again(async || e1.unstage(&volume).await).await?;
        east.detach(&volume, &e1.id()).await?;
        ensure!(mounts::devices_of(&volume.handle)?.is_empty(), "round {round}: a loop device is left");
    }
    ensure!(cut_short > 0, "no kill hit an operation");
    let entries = rig.array.log().poll()?;
    assert_eq!(violations(&entries), Vec::<&LogEntry>::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn many_nodes_stage_at_once_on_the_loop_devices_of_one_kernel() -> Result<()> {
    const VOLUMES: usize = 12;
    let rig = Rig::new()?;
    let mut east = rig.controller("east").await?;
    let mut nodes = Vec::new();
    for n in 0..4 {
        nodes.push(rig.node("east", &format!("n{n}")).await?);
    }
    let mut staging = tokio::task::JoinSet::new();
    for n in 0..VOLUMES {
        let volume = east.create(&format!("pvc-{n}"), &[]).await?;
        let mut node = nodes[n % nodes.len()].clone();
        let context = east.attach(&volume, &node.id()).await?;
        staging.spawn(async move {
            node.stage(&volume, &context).await?;
            ensure!(mounts::devices_of(&volume.handle)?.len() == 1, "one image, one loop device");
            node.unstage(&volume).await?;
            anyhow::Ok(())
        });
    }
    while let Some(staged) = staging.join_next().await {
        staged??;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_grows_between_two_attachments() -> Result<()> {
    let rig = Rig::new()?;
    let mut east = rig.controller("east").await?;
    let mut e1 = rig.node("east", "n1").await?;
    let volume = east.create("pvc-1", &[]).await?;
    bring_up(&mut east, &mut e1, &volume).await?;
    let before = e1.stats(&volume, TARGET).await?.usage[0].total;
    fs::write(e1.file(TARGET, "nonce"), "before it grew")?;
    let held = east.expand(&volume, 256 << 20).await.unwrap_err();
    assert_eq!(held.code(), Code::FailedPrecondition, "{held}");
    take_down(&mut east, &mut e1, &volume).await?;
    east.expand(&volume, 256 << 20).await?;
    bring_up(&mut east, &mut e1, &volume).await?;
    e1.expand(&volume, TARGET).await?;
    let after = e1.stats(&volume, TARGET).await?.usage[0].total;
    ensure!(after > 3 * before, "{before} bytes before, {after} after");
    assert_eq!(fs::read_to_string(e1.file(TARGET, "nonce"))?, "before it grew");
    take_down(&mut east, &mut e1, &volume).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_publication_cannot_be_written() -> Result<()> {
    let rig = Rig::new()?;
    let mut east = rig.controller("east").await?;
    let mut e1 = rig.node("east", "n1").await?;
    let volume = east.create("pvc-1", &[]).await?;
    bring_up(&mut east, &mut e1, &volume).await?;
    e1.publish_readonly(&volume, "readonly").await?;
    fs::write(e1.file(TARGET, "nonce"), "written")?;
    let refused = fs::write(e1.file("readonly", "nonce"), "overwritten").unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    assert_eq!(fs::read_to_string(e1.file("readonly", "nonce"))?, "written");
    e1.unpublish(&volume, "readonly").await?;
    take_down(&mut east, &mut e1, &volume).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kubelet_finds_the_driver_and_may_refuse_it() -> Result<()> {
    use ferry_tests::array::proto::registration::{InfoRequest, RegistrationStatus};
    let rig = Rig::new()?;
    let mut e1 = rig.node("east", "n1").await?;
    let mut kubelet = registration_client(&e1).await?;
    let info = kubelet.get_info(InfoRequest {}).await?.into_inner();
    assert_eq!((info.r#type.as_str(), info.name.as_str()), ("CSIPlugin", "array.ferry.test"));
    assert_eq!(info.endpoint, e1.endpoint().display().to_string());
    kubelet
        .notify_registration_status(RegistrationStatus { plugin_registered: true, error: String::new() })
        .await?;
    assert_eq!(e1.node_id().await?, "east/n1");
    let refusal = RegistrationStatus { plugin_registered: false, error: "not wanted".to_owned() };
    // The driver may end before it has answered.
    let _ = kubelet.notify_registration_status(refusal).await;
    ensure!(!e1.driver_ended().await?.success(), "a refused driver goes on");
    Ok(())
}
