//! An agent without a cluster: speaks the real wire and says what a test wants said.
//!
//! It shares no code with the real agent, so that a misreading of the wire would have to be made twice. It can also
//! say what no agent says: nothing, too much, out of order, of another version. Every wait has a deadline; a stream
//! that goes on where it should end fails the test instead of hanging it.

use anyhow::{Context, Result, bail};
use ferry_proto::agent::v1::{
    AttachRequest, AttachResponse, Attached, Health, Heartbeat, Inventory, InventoryVolume,
    InventoryWorkload, Resync, Slice, Workload, agent_service_client::AgentServiceClient,
    attach_request::Message as Say, attach_response::Message as Told,
};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use crate::{
    client::{Credential, Server},
    process::DEADLINE,
};

/// One stream of an agent.
pub(crate) struct Agent {
    pub(crate) say: mpsc::Sender<AttachRequest>,
    pub(crate) hear: Streaming<AttachResponse>,
}

impl Agent {
    /// Opens a stream and says nothing.
    pub(crate) async fn open(server: &Server, credential: &Credential) -> Result<Self> {
        let mut client = AgentServiceClient::new(server.channel(Some(credential)).await?)
            .max_encoding_message_size(64 * 1024 * 1024);
        let (say, said) = mpsc::channel(16);
        let hear = client.attach(ReceiverStream::new(said)).await?.into_inner();
        Ok(Self { say, hear })
    }

    /// Opens a stream, resyncs, and waits for the answer.
    pub(crate) async fn attach(
        server: &Server,
        credential: &Credential,
        resync: Resync,
    ) -> Result<(Self, Attached)> {
        let mut agent = Self::open(server, credential).await?;
        agent.say(Say::Resync(resync)).await?;
        match agent.hear().await? {
            Told::Attached(attached) => Ok((agent, attached)),
            other => bail!("the first message is {other:?}"),
        }
    }

    pub(crate) async fn say(&self, message: Say) -> Result<()> {
        self.say_raw(AttachRequest { message: Some(message) }).await
    }

    pub(crate) async fn say_raw(&self, message: AttachRequest) -> Result<()> {
        self.say.send(message).await.context("the stream is closed")
    }

    pub(crate) async fn beat(&self) -> Result<()> {
        self.say(Say::Heartbeat(Heartbeat { health: Some(health()) })).await
    }

    pub(crate) async fn hear(&mut self) -> Result<Told> {
        let message = timeout(DEADLINE, self.hear.message()).await.context("silence")??;
        message.context("the stream ended")?.message.context("an empty message")
    }

    /// Hears until the answer to a heartbeat.
    pub(crate) async fn hear_ack(&mut self) -> Result<()> {
        while !matches!(self.hear().await?, Told::HeartbeatAck(_)) {}
        Ok(())
    }

    /// Hears until the stream ends; why it did.
    pub(crate) async fn end(mut self) -> Result<Status> {
        loop {
            match timeout(DEADLINE, self.hear.message()).await.context("the stream goes on")? {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(Status::new(Code::Ok, "")),
                Err(status) => return Ok(status),
            }
        }
    }
}

pub(crate) fn health() -> Health {
    Health {
        api_server_ok: true,
        api_server_latency_ms: 2,
        nodes: 2,
        nodes_ready: 2,
        watch_lag_ms: 5,
        message: String::new(),
        kubernetes_version: "v1.37.2".into(),
    }
}

/// A resync of a cluster with one workload of one replica with one volume.
pub(crate) fn resync(uid: &str, handle: &str) -> Resync {
    let workload = Some(Workload { namespace: "default".into(), name: "etcd".into() });
    Resync {
        wire_version: 1,
        agent_version: "0.1.0".into(),
        cluster_uid: uid.into(),
        kubernetes_version: "v1.37.2".into(),
        pod_cidrs: vec!["10.1.0.0/16".into()],
        epochs: vec![],
        inventory: Some(Inventory {
            revision: 1,
            workloads: vec![InventoryWorkload {
                workload: workload.clone(),
                uid: format!("sts-{uid}"),
                slice: Some(Slice { start: 0, replicas: 1 }),
                available: 1,
            }],
            volumes: vec![InventoryVolume {
                driver: "csi.ferry.dev".into(),
                handle: handle.into(),
                pv_name: format!("pv-{handle}"),
                pv_uid: format!("pv-uid-{uid}"),
                pv_phase: "Bound".into(),
                reclaim_policy: "Retain".into(),
                claim_name: "data-etcd-0".into(),
                claim_uid: format!("claim-uid-{uid}"),
                workload,
                ordinal: 0,
                attachment_nodes: vec!["node-1".into()],
                epoch: 0,
                capacity_bytes: 1 << 30,
            }],
            guard_faults: Vec::new(),
        }),
        commands_in_progress: vec![],
        instance_id: format!("instance-{uid}"),
        health: Some(health()),
    }
}
