//! Every RPC of the descriptors by every kind of caller, over the real listener.
//!
//! The expectation is written down here a second time, by method name, and not read from the table: a slip in the
//! table would otherwise agree with itself. Messages are empty, since the decision must not depend on them: a call
//! that is let through may fail for its content, one that is not must fail for the caller. Paths that are no RPC are
//! tried too.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use prost::Message;
use prost_types::FileDescriptorSet;
use tonic::{Code, Status, client::Grpc, codegen::http::uri::PathAndQuery, transport::Channel};
use tonic_prost::ProstCodec;

use crate::client::{Credential, World, cluster, role};

fn rpcs() -> Result<Vec<String>> {
    let mut paths = Vec::new();
    for file in FileDescriptorSet::decode(ferry_proto::DESCRIPTORS)?.file {
        for service in &file.service {
            for method in &service.method {
                paths.push(format!("/{}.{}/{}", file.package(), service.name(), method.name()));
            }
        }
    }
    Ok(paths)
}

/// Calls with an empty message and looks at the response's head: a denial is all there is of it.
async fn call(channel: &Channel, path: &str) -> Result<Result<(), Status>> {
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await?;
    let codec: ProstCodec<(), ()> = ProstCodec::default();
    let path = PathAndQuery::try_from(path)?;
    Ok(grpc.server_streaming(tonic::Request::new(()), path, codec).await.map(|_| ()))
}

const ANYBODY: &[&str] = &["Enroll"];
const CERTIFIED: &[&str] = &["Enroll", "Renew"];
const VIEWER: &[&str] = &[
    "GetVersion",
    "ListClusters",
    "ListVolumes",
    "CreatePlan",
    "ListMigrations",
    "Watch",
    "ListAudit",
    "ListStorageDomains",
    "ListStorageMaps",
];
const OPERATOR: &[&str] = &[
    "StartMigration",
    "PauseMigration",
    "ResumeMigration",
    "RollbackMigration",
    "FinishMigration",
    "ProbeStorage",
];
const ADMIN: &[&str] =
    &["CreateToken", "AttestFenced", "SetStorageDomain", "AddStorageMap", "RemoveStorageMap"];

fn may(caller: &str, method: &str) -> bool {
    match caller {
        "anonymous" => ANYBODY.contains(&method),
        "cluster" => CERTIFIED.contains(&method) || method == "Attach",
        "viewer" => CERTIFIED.contains(&method) || VIEWER.contains(&method),
        "operator" => may("viewer", method) || OPERATOR.contains(&method),
        "admin" => may("operator", method) || ADMIN.contains(&method),
        _ => false,
    }
}

#[tokio::test]
async fn every_rpc_by_every_caller() -> Result<()> {
    let world = World::new().await?;
    let credentials: BTreeMap<&str, Option<Credential>> = BTreeMap::from([
        ("anonymous", None),
        ("cluster", Some(world.server.join(&world.admin, cluster("east")).await?)),
        ("viewer", Some(world.server.join(&world.admin, role("viewer")).await?)),
        ("operator", Some(world.server.join(&world.admin, role("operator")).await?)),
        ("admin", Some(world.server.join(&world.admin, role("admin")).await?)),
    ]);
    let rpcs = rpcs()?;
    assert_eq!(rpcs.len(), 23);
    for (caller, credential) in &credentials {
        let channel = world.server.channel(credential.as_ref()).await?;
        for path in &rpcs {
            let method = path.rsplit('/').next().context("method")?;
            let result = call(&channel, path).await?;
            let denied = match (&result, *caller) {
                (Ok(()), _) => false,
                (Err(status), "anonymous") => status.code() == Code::Unauthenticated,
                (Err(status), _) => status.code() == Code::PermissionDenied,
            };
            assert_eq!(denied, !may(caller, method), "{caller} calling {path}: {result:?}");
        }
        for path in ["/ferry.admin.v1.AdminService/Nothing", "/x/y", "/"] {
            let status = call(&channel, path).await?.err().context("denied")?;
            let expected = if *caller == "anonymous" { Code::Unauthenticated } else { Code::Unimplemented };
            assert_eq!(status.code(), expected, "{caller} calling {path}: {status}");
        }
    }
    Ok(())
}
