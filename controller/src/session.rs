//! The agents' service: one stream for each connection, from the resync to whatever ends it.
//!
//! The first message must be a resync of this wire version; the cluster's name comes from the certificate, never from
//! a message. From then on messages become inputs of the event loop, and what the loop releases for this stream goes
//! out through one bounded queue. Silence, a message that is not understood, a newer stream, an expired certificate
//! or the end of the process ends the stream with a status that says why; the agent comes back and resyncs.
//!
//! Nothing is decided here and nothing is kept: a session that ends leaves no trace but a `Detached` input.

use std::{sync::Arc, time::Duration};

use ferry_core::{ClusterName, Input, Session, facts::Resync};
use ferry_proto::agent::v1::{
    self as wire,
    agent_service_server::{AgentService, AgentServiceServer},
    attach_request::Message as Said,
    attach_response::Message as Told,
};
use futures::{FutureExt, Stream, StreamExt};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::{
    authz::Caller,
    clock,
    event_loop::{Attach, End, Handle, ToAgent},
    identity::spiffe::Subject,
    limits,
    refusals::Refusals,
    status::Failure,
    tls::PeerInfo,
    wire as translate,
};

/// Revision of agent.proto that is spoken here.
pub const WIRE_VERSION: u32 = 1;

/// The agents' service.
pub struct Sessions {
    handle: Handle,
    refusals: Refusals,
    shutdown: CancellationToken,
}

impl Sessions {
    /// A service whose streams end when `shutdown` is cancelled.
    #[must_use]
    pub const fn new(handle: Handle, refusals: Refusals, shutdown: CancellationToken) -> Self {
        Self { handle, refusals, shutdown }
    }

    /// As a gRPC service with its bounds on messages.
    #[must_use]
    pub fn service(self) -> AgentServiceServer<Self> {
        AgentServiceServer::new(self)
            .max_decoding_message_size(limits::MAX_AGENT_MESSAGE_BYTES)
            .max_encoding_message_size(limits::MAX_COMMAND_BYTES)
    }
}

#[tonic::async_trait]
impl AgentService for Sessions {
    type AttachStream = std::pin::Pin<Box<dyn Stream<Item = Result<wire::AttachResponse, Status>> + Send>>;

    async fn attach(
        &self,
        request: Request<Streaming<wire::AttachRequest>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let cluster = cluster_of(&request)?;
        let expires_in = request.extensions().get::<PeerInfo>().map(PeerInfo::expires_in).unwrap_or_default();
        let (outbound, queued) = mpsc::channel(limits::OUTBOUND_QUEUE);
        let (finish, finished) = oneshot::channel();
        let conversation = Conversation {
            cluster,
            expires_in,
            inbound: request.into_inner(),
            outbound,
            places: Arc::new(Semaphore::new(limits::INPUTS_PER_SESSION)),
            handle: self.handle.clone(),
            refusals: self.refusals.clone(),
            shutdown: self.shutdown.clone(),
        };
        tokio::spawn(async move {
            let status = conversation.hold().await;
            // The peer may be gone: then nobody reads why it ended.
            let _gone = finish.send(status);
        });
        let finished = finished
            .map(|status| status.unwrap_or_else(|_| Status::internal("the session broke off")))
            .shared();
        let told = ReceiverStream::new(queued)
            .map(|message| Ok(wire::AttachResponse { message: Some(told(message)) }))
            .take_until(finished.clone())
            .chain(finished.map(Err).into_stream());
        Ok(Response::new(Box::pin(told)))
    }
}

/// One stream's conversation.
struct Conversation {
    cluster: ClusterName,
    expires_in: Duration,
    inbound: Streaming<wire::AttachRequest>,
    outbound: mpsc::Sender<ToAgent>,
    /// What it said and the loop has not taken yet: one that floods waits for itself, and delays nobody.
    places: Arc<Semaphore>,
    handle: Handle,
    refusals: Refusals,
    shutdown: CancellationToken,
}

impl Conversation {
    /// Holds it until it ends; the status says why.
    async fn hold(mut self) -> Status {
        let resync = match self.resync().await {
            Ok(resync) => resync,
            Err(status) => {
                tracing::info!(cluster = %self.cluster, %status, "refused an agent's stream");
                self.refusals.note(&self.cluster, status.message());
                return status;
            }
        };
        let (agent_version, kubernetes_version) =
            (resync.agent_version.clone(), resync.kubernetes_version.clone());
        let (end, ended) = oneshot::channel();
        let (session, number) = oneshot::channel();
        let (cluster, outbound) = (self.cluster.clone(), self.outbound.clone());
        let attach = Attach { cluster, resync: Box::new(resync), outbound, end, session };
        if let Err(error) = self.handle.attach(attach).await {
            return Failure::from(error).into();
        }
        let Ok(session) = number.await else { return Status::unavailable("the controller is shutting down") };
        tracing::info!(cluster = %self.cluster, %session, %agent_version, %kubernetes_version, "an agent attached");
        self.refusals.forget(&self.cluster);
        let status = self.converse(session, ended).await;
        tracing::info!(cluster = %self.cluster, %session, %status, "an agent's stream ended");
        // An error says that the loop has ended, and with it the session.
        let _ended = self.handle.input(Input::Detached { cluster: self.cluster, session }).await;
        status
    }

    async fn resync(&mut self) -> Result<Resync, Status> {
        let first = timeout(limits::RESYNC_TIMEOUT, self.inbound.message()).await.map_err(|_| {
            Status::deadline_exceeded(format!("no resync within {} s", limits::RESYNC_TIMEOUT.as_secs()))
        })??;
        let said =
            first.ok_or_else(|| Status::invalid_argument("the stream ended before its resync"))?.message;
        let Some(Said::Resync(resync)) = said else {
            return Err(Status::invalid_argument("the first message of a stream must be a resync"));
        };
        if resync.wire_version != WIRE_VERSION {
            return Err(Status::failed_precondition(format!(
                "this controller speaks wire version {WIRE_VERSION}, the agent {} (version {}): run an agent of the \
                 controller's version, {}",
                resync.wire_version,
                resync.agent_version.chars().filter(|char| !char.is_control()).take(40).collect::<String>(),
                env!("CARGO_PKG_VERSION"),
            )));
        }
        Ok(translate::resync(resync).map_err(Failure::from)?)
    }

    async fn converse(&mut self, session: Session, mut ended: oneshot::Receiver<End>) -> Status {
        let expiry = tokio::time::sleep(self.expires_in);
        tokio::pin!(expiry);
        loop {
            let said = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => {
                    return Status::unavailable("the controller is shutting down");
                }
                end = &mut ended => return status_of(end),
                () = &mut expiry => {
                    return Status::unauthenticated("the agent's certificate has expired: renew it, or join again");
                }
                said = timeout(limits::HEARTBEAT_TIMEOUT, self.inbound.message()) => said,
            };
            let message = match said {
                Err(_) => {
                    return Status::deadline_exceeded(format!(
                        "no heartbeat within {} s",
                        limits::HEARTBEAT_TIMEOUT.as_secs()
                    ));
                }
                Ok(Err(status)) => return status,
                Ok(Ok(None)) => return Status::ok("the agent ended its stream"),
                Ok(Ok(Some(message))) => message,
            };
            if let Err(status) = self.hear(session, message).await {
                return status;
            }
        }
    }

    async fn hear(&self, session: Session, message: wire::AttachRequest) -> Result<(), Status> {
        let cluster = self.cluster.clone();
        let said =
            message.message.ok_or_else(|| Failure::from(translate::Error::Missing { field: "message" }))?;
        let input = match said {
            Said::Resync(_) => return Err(Status::invalid_argument("a second resync on one stream")),
            Said::Heartbeat(said) => {
                let health = said.health.ok_or(translate::Error::Missing { field: "heartbeat.health" });
                let health = translate::health(health.map_err(Failure::from)?).map_err(Failure::from)?;
                // A full queue ends the stream at the loop's next message; an answer more does not matter.
                let _full = self.outbound.try_send(ToAgent::HeartbeatAck);
                Input::Heartbeat { cluster, session, health }
            }
            Said::Inventory(said) => {
                let inventory = Box::new(translate::inventory(said).map_err(Failure::from)?);
                Input::Inventory { cluster, session, inventory }
            }
            Said::Progress(said) => {
                let progress = translate::progress(said).map_err(Failure::from)?;
                Input::Progress { cluster, session, progress }
            }
            Said::Outcome(said) => {
                let outcome = Box::new(translate::outcome(said).map_err(Failure::from)?);
                Input::Outcome { cluster, session, outcome }
            }
            Said::Endpoints(said) => {
                let report = Box::new(translate::endpoints(said).map_err(Failure::from)?);
                Input::Endpoints { cluster, session, report }
            }
            Said::MirrorApplied(said) => {
                let applied = translate::mirror_applied(said).map_err(Failure::from)?;
                Input::MirrorApplied { cluster, session, applied }
            }
        };
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        Ok(self.handle.input_at(input, place).await.map_err(Failure::from)?)
    }
}

fn cluster_of<T>(request: &Request<T>) -> Result<ClusterName, Status> {
    match request.extensions().get::<Caller>() {
        Some(Caller(identity)) => match &identity.subject {
            Subject::Cluster(name) => Ok(ClusterName(name.clone())),
            Subject::Role { .. } | Subject::Controller => {
                Err(Status::permission_denied("only agents attach"))
            }
        },
        None => Err(Status::unauthenticated("only agents attach")),
    }
}

fn status_of(end: Result<End, oneshot::error::RecvError>) -> Status {
    match end {
        Ok(End::Refused(reason)) => Status::failed_precondition(reason),
        Ok(End::Replaced(reason)) => Status::aborted(reason),
        Ok(End::Slow) => Status::resource_exhausted(format!(
            "the agent left {} messages unread: attach again",
            limits::OUTBOUND_QUEUE
        )),
        Err(_) => Status::unavailable("the controller is shutting down"),
    }
}

fn told(message: ToAgent) -> Told {
    match message {
        ToAgent::Attached { cluster, generation } => Told::Attached(wire::Attached {
            wire_version: WIRE_VERSION,
            controller_version: env!("CARGO_PKG_VERSION").to_owned(),
            heartbeat_interval_ms: clock::milliseconds(limits::HEARTBEAT_INTERVAL),
            heartbeat_timeout_ms: clock::milliseconds(limits::HEARTBEAT_TIMEOUT),
            cluster: cluster.0,
            generation,
        }),
        ToAgent::Command(command) => Told::Command(translate::command(*command)),
        ToAgent::OutcomeAck(id) => Told::OutcomeAck(wire::OutcomeAck { command_id: id.0 }),
        ToAgent::Governed(services) => Told::Governed(translate::governed(services)),
        ToAgent::Mirror(mirror) => Told::Mirror(translate::mirror(*mirror)),
        ToAgent::HeartbeatAck => Told::HeartbeatAck(wire::HeartbeatAck {}),
    }
}
