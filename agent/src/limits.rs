//! Every bound of the agent, in one place: queues, retries, timeouts, sizes.
//!
//! A bound that is reached is never silent: what exceeds it is refused, or reported with a message that names
//! the bound. Durations end in their unit or are `Duration`s; sizes are in bytes unless the name says
//! otherwise. What the controller sets (heartbeats, deadlines of commands) comes over the wire and is only
//! capped here.

use std::time::Duration;

/// Progress messages kept while the controller does not take them; the oldest go first.
pub const PROGRESS_QUEUE: usize = 256;
/// Longest text of a message that travels in a progress, a refusal or an unknown, in bytes.
pub const MESSAGE_BYTES: usize = 2_048;
/// Commands carried out at once; one more is refused as not ready.
pub const COMMANDS_AT_ONCE: usize = 64;
/// Outcomes kept until the controller acknowledges them.
pub const OUTCOMES_KEPT: usize = 256;
/// Largest outcome that is sent, in bytes.
pub const OUTCOME_BYTES: usize = SAID_BYTES - (64 << 10);
/// Longest id of a command, in bytes.
pub const COMMAND_ID_BYTES: usize = 512;
/// Longest time that one command may take, whatever it says.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);
/// First pause before a read of the API server is tried again.
pub const READ_RETRY_FIRST: Duration = Duration::from_millis(100);
/// Longest pause between two tries of a read.
pub const READ_RETRY_MOST: Duration = Duration::from_secs(5);
/// How often a hold point looks whether it is let go.
#[cfg(feature = "hold-points")]
pub const HOLD_POLL: Duration = Duration::from_millis(10);
/// Longest time for one request to the API server; then its answer counts as lost.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// Objects in one page of a list.
pub const LIST_PAGE: u32 = 500;
/// Pages of one list.
pub const LIST_PAGES: usize = 200;
/// Objects of one kind that one workload's inspection keeps in memory; more is refused.
pub const LIST_KEPT: usize = 20_000;
/// Single reads under way at once, of an inspection or of a set's pods.
pub const READS_AT_ONCE: usize = 16;
/// Addresses of a workload's replicas that a description carries and the target tries.
pub const LISTENERS: usize = 16;
/// Time for one connection to a replica in the other cluster.
pub const ROUTE_TIMEOUT: Duration = Duration::from_secs(3);
/// Attempts of one executor: each begins again from what the cluster shows.
pub const ATTEMPTS: usize = 100;
/// Earlier migrations of one workload that its epochs name.
pub const MIGRATIONS_PAST: usize = 16;
/// First pause between two attempts.
pub const ATTEMPT_PAUSE_FIRST: Duration = Duration::from_millis(20);
/// Longest pause between two attempts.
pub const ATTEMPT_PAUSE_MOST: Duration = Duration::from_secs(5);
/// How long a wait trusts its watches before it looks again anyway.
pub const RECHECK: Duration = Duration::from_secs(2);
/// How long the beginning of a watch waits for the object as it is, so that both make one wake.
pub const WATCH_FIRST: Duration = Duration::from_millis(5);
/// A wait ends this long before the command's deadline, so that the outcome says what was waited for.
pub const DEADLINE_MARGIN: Duration = Duration::from_millis(500);
/// How long step 3 waits for replicas to be Available before it refuses as not ready.
pub const HOLD_WAIT: Duration = Duration::from_secs(30);
/// Events of ours that wait to be written; further ones are dropped and counted.
pub const EVENTS_WAITING: usize = 256;
/// Bytes of an event's note: what the API server takes.
pub const EVENT_NOTE_BYTES: usize = 1_024;
/// Events of a pod that a message names.
pub const EVENTS_NAMED: usize = 5;

/// Time for the target's nodes to pull a workload's images before its first replica stops.
pub const PULL_WAIT: Duration = Duration::from_secs(120);
/// Nodes of the target on which images are pulled at the same time.
pub const PULL_NODES: usize = 16;

/// Time until the API server enforces a guard that was written: it takes it up within a second.
pub const GUARD_WAIT: Duration = Duration::from_secs(30);
/// Pause between two questions whether it does.
pub const GUARD_POLL: Duration = Duration::from_millis(100);
/// Faults of guards in one inventory.
pub const GUARD_FAULTS: usize = 1_000;
/// Pause before it is asked again whether a collection that it lacks is served by now.
pub const UNSERVED_PAUSE: Duration = Duration::from_secs(60);

// The connection to the controller.

/// First pause before the controller is dialled again; grows by doubling, with jitter.
pub const BACKOFF_FIRST: Duration = Duration::from_millis(200);
/// Longest such pause.
pub const BACKOFF_MOST: Duration = Duration::from_secs(5);
/// Time for TCP and TLS together.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for one unary call, and for the controller's first message on a stream.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// HTTP/2 pings on an idle connection.
pub const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// Time for the answer to such a ping.
pub const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest sleep before the clock is looked at again for the renewal of the certificate: clocks jump.
pub const RENEWAL_LOOK: Duration = Duration::from_secs(60);
/// Shortest pause between two tries of a renewal.
pub const RENEWAL_RETRY_LEAST: Duration = Duration::from_secs(1);

// Watches and reports.

/// Objects in one page of a watch's first list.
pub const WATCH_PAGE: u32 = 100;
/// Length of one watch, in seconds; then it is begun again from where it was.
pub const WATCH_SECONDS: u32 = 290;
/// Silence after which a watch begins again: the API server sends a bookmark each minute.
pub const WATCH_SILENCE: Duration = Duration::from_secs(90);
/// Watches that end sooner are begun again after a pause that grows: something between here and the API server ends
/// them all.
pub const WATCH_SHORT: Duration = Duration::from_secs(1);
/// Changes within this time go into one inventory.
pub const INVENTORY_COALESCE: Duration = Duration::from_millis(100);
/// StatefulSets in one inventory.
pub const INVENTORY_WORKLOADS: usize = 5_000;
/// Volumes in one inventory.
pub const INVENTORY_VOLUMES: usize = 20_000;
/// Pod networks in one Resync: what the controller takes.
pub const POD_NETWORKS: usize = 64;
/// Time between two probes of the API server.
pub const PROBE_INTERVAL: Duration = Duration::from_secs(5);
/// Time for the answer to one probe.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

// Endpoints.

/// Endpoints in one report or mirror.
pub const ENDPOINTS: usize = 1_000;
/// Endpoints in one mirrored EndpointSlice.
pub const ENDPOINTS_IN_SLICE: usize = 100;
/// Mirrors that are written at the same time.
pub const MIRROR_WRITERS: usize = 8;
/// Time for the writing of one mirror, of all its slices; a hung connection must not keep the others waiting.
pub const MIRROR_TIMEOUT: Duration = Duration::from_secs(60);
/// Confirmations kept while the controller does not take them; it sends mirrors again when it attaches.
pub const MIRROR_ANSWERS: usize = 5_000;
/// Field manager of everything the agent writes.
pub const FIELD_MANAGER: &str = "ferry-agent";

// The stream to the controller.

/// Messages that wait to be sent on a stream.
pub const SEND_QUEUE: usize = 16;
/// Largest message that is taken from the controller, in bytes; it sends at most 5 MiB.
pub const HEARD_BYTES: usize = 8 << 20;
/// Largest message that is sent, in bytes: what the controller takes.
pub const SAID_BYTES: usize = 4 << 20;
/// What an inventory may take of that, in bytes; the rest of a Resync goes beside it.
pub const INVENTORY_BYTES: usize = 3 << 20;
/// Shortest heartbeat interval that is followed.
pub const HEARTBEAT_LEAST: Duration = Duration::from_millis(50);
/// Longest heartbeat interval or silence that is followed.
pub const HEARTBEAT_MOST: Duration = Duration::from_secs(120);
/// Time for TCP and TLS to the API server.
pub const API_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for one try of a read by an executor or an inspection.
pub const READ_TIMEOUT: Duration = Duration::from_secs(15);
