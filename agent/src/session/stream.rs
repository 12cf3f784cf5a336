//! One stream, from dialling to its end.
//!
//! A single task reads and writes: what there is to say comes out of cancel-safe queues (progress before outcomes, so
//! that a command's last step is not told after its end), what is heard goes to who handles it at once. Every send and
//! every silence has a bound; reaching one ends the stream, never the process.

use std::{
    convert::Infallible,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::Duration,
};

use ferry_proto::agent::v1::{
    AttachRequest, AttachResponse, Attached, Heartbeat, Inventory, agent_service_client::AgentServiceClient,
    attach_request::Message as Say, attach_response::Message as Heard,
};
use ipnet::IpNet;
use prost::Message as _;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::{Dial, Error, Session, WIRE_VERSION, sensible};
use crate::{
    identity::{channel, tls},
    limits,
};

/// A stream that is attached.
struct Stream {
    say: mpsc::Sender<AttachRequest>,
    heard: Streaming<AttachResponse>,
    silence: Duration,
    beat: Interval,
    changes: watch::Receiver<u64>,
    networks: Vec<IpNet>,
    /// Hash of the inventory sent last, without its revision.
    told: u64,
    left_out: Option<String>,
}

/// Dials, attaches, and serves until the stream ends.
pub(super) async fn run(session: &mut Session) -> Result<Infallible, Error> {
    let mut stream = attach(session).await?;
    session.telemetry.attached(true);
    session.dispatch.attached();
    session.own.attached();
    stream.serve(session).await
}

async fn attach(session: &mut Session) -> Result<Stream, Error> {
    let identity = session.identity.borrow_and_update().clone();
    let channel = match session.dial.clone() {
        Dial::Tls => channel::connect(&session.controller, tls::mutual(&identity)?).await?,
        Dial::By(dial) => dial().await?,
    };
    let mut client = AgentServiceClient::new(channel)
        .max_decoding_message_size(limits::HEARD_BYTES)
        .max_encoding_message_size(limits::SAID_BYTES);
    let (say, queue) = mpsc::channel(limits::SEND_QUEUE);
    let changes = session.inventory.changes();
    let (networks, _) = session.networks();
    let (resync, left_out) = session.resync().await;
    let told = resync.inventory.as_ref().map_or(0, digest);
    let first = AttachRequest { message: Some(Say::Resync(resync)) };
    say.send(first).await.map_err(|_| Error::Closed)?;
    let begin = async {
        let mut heard = client.attach(ReceiverStream::new(queue)).await?.into_inner();
        let first = heard.message().await?.ok_or(Error::Closed)?;
        Ok::<_, Error>((heard, first))
    };
    let (heard, first) =
        timeout(limits::CALL_TIMEOUT, begin).await.map_err(|_| Error::Silent(limits::CALL_TIMEOUT))??;
    let Some(Heard::Attached(attached)) = first.message else {
        return Err(Error::NotUnderstood("something else before its answer to the resync"));
    };
    check(&attached, &identity.cluster)?;
    let every = sensible(attached.heartbeat_interval_ms);
    let mut beat = interval_at(Instant::now() + every, every);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tracing::info!(cluster = identity.cluster, controller = %session.controller, "attached");
    let silence = sensible(attached.heartbeat_timeout_ms).max(every * 2);
    Ok(Stream { say, heard, silence, beat, changes, networks, told, left_out })
}

fn check(attached: &Attached, cluster: &str) -> Result<(), Error> {
    if attached.wire_version != WIRE_VERSION {
        return Err(Error::Version(attached.wire_version));
    }
    if attached.cluster != cluster {
        return Err(Error::AnotherName { expected: cluster.to_owned(), said: attached.cluster.clone() });
    }
    Ok(())
}

impl Stream {
    async fn serve(&mut self, session: &mut Session) -> Result<Infallible, Error> {
        let mut heard_at = Instant::now();
        let mut inventory_due: Option<Instant> = None;
        loop {
            let say = tokio::select! {
                biased;
                _ = self.beat.tick() => {
                    Say::Heartbeat(Heartbeat { health: Some(session.health(self.left_out.as_ref())) })
                }
                message = self.heard.message() => {
                    heard_at = Instant::now();
                    take(session, message?.ok_or(Error::Closed)?)?;
                    continue;
                }
                () = sleep_until(heard_at + self.silence) => return Err(Error::Silent(self.silence)),
                Ok(()) = session.identity.changed() => return Err(Error::Renewed),
                progress = session.progress.next() => Say::Progress(progress),
                outcome = session.dispatch.next_outcome() => Say::Outcome(outcome),
                report = session.own.next_report() => Say::Endpoints(report),
                answer = session.mirrors.next_answer() => Say::MirrorApplied(answer),
                Ok(()) = self.changes.changed(), if inventory_due.is_none() => {
                    inventory_due = Some(Instant::now() + limits::INVENTORY_COALESCE);
                    continue;
                }
                () = sleep_until(inventory_due.unwrap_or(heard_at)), if inventory_due.is_some() => {
                    inventory_due = None;
                    match self.inventory(session)? {
                        Some(inventory) => Say::Inventory(inventory),
                        None => continue,
                    }
                }
            };
            self.send(say).await?;
        }
    }

    /// The inventory, if it is another than the one sent last.
    fn inventory(&mut self, session: &Session) -> Result<Option<Inventory>, Error> {
        if session.networks().0 != self.networks {
            return Err(Error::NetworksChanged);
        }
        let (inventory, left_out) = session.inventory.report();
        self.left_out = left_out;
        let now = digest(&inventory);
        let changed = self.told != now;
        self.told = now;
        Ok(changed.then_some(inventory))
    }

    async fn send(&self, say: Say) -> Result<(), Error> {
        let message = AttachRequest { message: Some(say) };
        self.say.send_timeout(message, self.silence).await.map_err(|error| match error {
            mpsc::error::SendTimeoutError::Timeout(_) => Error::Stuck(self.silence),
            mpsc::error::SendTimeoutError::Closed(_) => Error::Closed,
        })
    }
}

fn take(session: &Session, message: AttachResponse) -> Result<(), Error> {
    match message.message {
        Some(Heard::Command(command)) => session.dispatch.submit(command)?,
        Some(Heard::OutcomeAck(ack)) => session.dispatch.acknowledge(&ack.command_id),
        Some(Heard::Governed(governed)) => {
            session.mirrors.govern(&governed.services);
            session.own.govern(&governed.services);
        }
        Some(Heard::Mirror(mirror)) => session.mirrors.submit(mirror),
        Some(Heard::HeartbeatAck(_)) => {}
        Some(Heard::Attached(_)) => return Err(Error::NotUnderstood("a second answer to the resync")),
        None => return Err(Error::NotUnderstood("a message of an unknown kind")),
    }
    Ok(())
}

/// Hash of an inventory without its revision: only ever compared within one stream.
fn digest(inventory: &Inventory) -> u64 {
    let mut hasher = DefaultHasher::new();
    for workload in &inventory.workloads {
        workload.encode_to_vec().hash(&mut hasher);
    }
    for volume in &inventory.volumes {
        volume.encode_to_vec().hash(&mut hasher);
    }
    for fault in &inventory.guard_faults {
        fault.encode_to_vec().hash(&mut hasher);
    }
    hasher.finish()
}
