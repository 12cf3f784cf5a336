//! Time passes: an expired certificate is named as such, and the controller's own is replaced before it expires.
//!
//! One controller with certificates of ten seconds serves all of it, because each takes that long to show. The wait
//! is for the refusal itself. That connections still succeed by then, with a client that verifies the server strictly,
//! proves that the controller's first certificate, which has run out too, has been replaced.

use anyhow::{Context, Result};
use ferry_proto::admin::v1::{GetVersionRequest, WatchRequest};
use tonic::Code;

use crate::{
    agent::{Agent, resync},
    client::{World, cluster, eventually},
};

#[tokio::test]
async fn certificates_expire_and_the_controllers_is_replaced() -> Result<()> {
    let world = World::with(&["--cert-ttl", "10s"]).await?;
    let east = world.server.join(&world.admin, cluster("east")).await?;
    let (agent, _) = Agent::attach(&world.server, &east, resync("uid-east", "vol-1")).await?;
    let beating = tokio::spawn(async move {
        loop {
            if agent.beat().await.is_err() {
                return agent.end().await;
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    });
    let mut watcher = world.server.admin(&world.admin).await?;
    let mut watch = watcher.watch(WatchRequest::default()).await?.into_inner();
    // The controller's first certificate ends with the admin's: every connection after that shows a newer one.
    let status = eventually("the admin's certificate expires", async || {
        let mut admin = world.server.admin(&world.admin).await?;
        Ok(admin.get_version(GetVersionRequest {}).await.err())
    })
    .await?;
    assert_eq!(status.code(), Code::Unauthenticated, "{status}");
    let message = status.message();
    assert!(message.contains("spiffe://ferry.local/role/admin/admin expired at 20"), "{message}");
    assert!(message.contains("ferry token create"), "{message}");
    let ended = watch.message().await.err().context("a watch lasts as long as its certificate")?;
    assert_eq!(ended.code(), Code::Unauthenticated, "{ended}");
    let ended = beating.await??;
    assert_eq!(ended.code(), Code::Unauthenticated, "{ended}");
    let refused = Agent::open(&world.server, &east).await.err().context("refused")?;
    assert!(refused.to_string().contains("expired at"), "{refused}");
    Ok(())
}
