//! Every bound of the shell in one place: sizes, counts, times.
//!
//! A peer may be hostile, slow or broken; a queue without a bound turns its trouble into ours. What a bound protects
//! stands beside it. The core's own bounds (migrations kept, plans open) live in the core; the agent's live with the
//! agent. Units come last in a name unless the type says them.

use std::time::Duration;

/// Connections served at once, over all peers: an agent holds one, a command one for its duration.
pub const MAX_CONNECTIONS: usize = 24_576;
/// Connections that are still in their TLS handshake: what an unauthenticated flood can occupy.
pub const MAX_HANDSHAKES: usize = 512;
/// Time for a TLS handshake from accept to finished.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections without an identity at once: those that enrol must not crowd out those that have.
pub const MAX_STRANGERS: usize = 1_024;
/// Open files that are asked of the system: connections, and some to spare.
pub const OPEN_FILES: u64 = MAX_CONNECTIONS as u64 + 256;
/// Life of a connection without an identity: time to enrol, not to occupy a place.
pub const ANONYMOUS_LIFETIME: Duration = Duration::from_secs(60);
/// Pause after `accept` itself failed (out of file descriptors), so that the loop does not spin.
pub const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// HTTP/2 streams open at once on a connection.
pub const MAX_STREAMS_PER_CONNECTION: u32 = 64;
/// Streams that a peer may reset before we have accepted them (CVE-2023-44487).
pub const MAX_PENDING_RESET_STREAMS: usize = 32;
/// Streams that we may have to reset because of a peer's errors before the connection ends.
pub const MAX_LOCAL_RESET_STREAMS: usize = 64;
/// Bytes of a request's header list.
pub const MAX_HEADER_LIST_BYTES: u32 = 16 * 1024;
/// Bytes of an HTTP/2 frame.
pub const MAX_FRAME_BYTES: u32 = 64 * 1024;
/// Receive window of one stream, in bytes.
pub const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// Receive window of one connection, in bytes.
pub const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// Interval of HTTP/2 pings on an otherwise silent connection.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// Time for the answer to such a ping; then the connection is closed.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of one gRPC message from an administrator or an enrolling peer.
pub const MAX_ADMIN_MESSAGE_BYTES: usize = 64 * 1024;
/// Bytes of one gRPC message from an agent: a whole inventory, or a description with its manifests.
pub const MAX_AGENT_MESSAGE_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of one gRPC message to an agent: another agent's description, and what the core adds to it.
pub const MAX_COMMAND_BYTES: usize = MAX_AGENT_MESSAGE_BYTES + 1024 * 1024;
/// Time that open calls get to end after SIGTERM.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(3);

/// Bytes of a certificate request in PEM (enroll.proto).
pub const MAX_CSR_BYTES: usize = 16 * 1024;
/// Bytes of a file that holds a certificate or a key.
pub const MAX_PEM_FILE_BYTES: u64 = 64 * 1024;
/// Bytes of a join token's text.
pub const MAX_TOKEN_BYTES: usize = 256;
/// Validity of a CA that we made.
pub const CA_VALIDITY: Duration = Duration::from_secs(10 * 365 * 86_400);
/// How far a certificate's validity begins in the past: clocks of peers differ.
pub const CLOCK_SKEW: Duration = Duration::from_secs(300);
/// Shortest `--cert-ttl`.
pub const MIN_LEAF_TTL: Duration = Duration::from_secs(10);
/// Longest `--cert-ttl`.
pub const MAX_LEAF_TTL: Duration = Duration::from_secs(90 * 86_400);
/// Least time between two renewals of the controller's own certificate.
pub const MIN_RENEWAL_PAUSE: Duration = Duration::from_secs(1);
/// Shortest validity of a join token, in seconds (admin.proto).
pub const MIN_TOKEN_TTL_SECONDS: u32 = 60;
/// Longest validity of a join token, in seconds.
pub const MAX_TOKEN_TTL_SECONDS: u32 = 604_800;
/// Validity of a join token whose request names none, in seconds.
pub const DEFAULT_TOKEN_TTL_SECONDS: u32 = 3_600;
/// Characters of a DNS label (RFC 1123): clusters, people, namespaces, Services.
pub const MAX_LABEL_CHARS: usize = 63;
/// Characters of a DNS subdomain (RFC 1123): Kubernetes object names.
pub const MAX_SUBDOMAIN_CHARS: usize = 253;

/// Inputs that wait for the event loop; senders wait beyond it.
pub const INPUT_QUEUE: usize = 4_096;
/// Inputs of one agent among them: each may be as large as a message, and others want room too.
pub const INPUTS_PER_SESSION: usize = 4;
/// Inputs whose entries share one commit.
pub const MAX_BATCH: usize = 512;
/// Requests that wait for the core's reply at once.
pub const MAX_PENDING_REQUESTS: usize = 4_096;
/// Time for the core's reply to a request that needs no agent.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for a plan: two agents inspect their clusters. Longer than the core's own deadline for them, so that its word
/// on who was silent is the answer.
pub const PLAN_TIMEOUT: Duration = Duration::from_secs(70);
/// Time for a probe of storage: all its parts, as the core bounds them.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(16 * 60 + 10);
/// Time for the loop to say what there is, in numbers; one that takes longer is not ready.
pub const MEASURE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long such numbers are given again to whoever asks meanwhile.
pub const MEASURE_FRESH: Duration = Duration::from_secs(1);
/// Watch streams open at once.
pub const MAX_WATCHERS: usize = 1_024;
/// Bytes of entries after which a snapshot is made, unless the last snapshot was larger.
pub const MIN_BYTES_BETWEEN_SNAPSHOTS: u64 = 8 * 1024 * 1024;
/// Records of the audit log that are kept; then the oldest go.
pub const MAX_AUDIT_RECORDS: u64 = 50_000;
/// Records of one page of the audit log, unless fewer are asked for.
pub const DEFAULT_AUDIT_PAGE: u32 = 100;
/// Most records of one page.
pub const MAX_AUDIT_PAGE: u32 = 1_000;
/// Records that are looked at for one page: those about other migrations count too.
pub const MAX_AUDIT_LOOKED_AT: usize = 10_000;
/// Time for a snapshot of everything, and for it to be read by whoever asked.
pub const BACKUP_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of a backup that is read: above any ledger and its audit log.
pub const MAX_BACKUP_BYTES: u64 = 1024 * 1024 * 1024;
/// Bytes of one journal record; far above any entry, far below what would stall a commit.
pub const MAX_RECORD_BYTES: usize = 64 * 1024 * 1024;

/// How often an agent sends a heartbeat.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(2);
/// Silence of an agent that ends its session.
pub const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time from the opening of a stream to its Resync.
pub const RESYNC_TIMEOUT: Duration = Duration::from_secs(10);
/// Messages that wait for one agent; one that does not read them loses its session and resyncs.
pub const OUTBOUND_QUEUE: usize = 1_024;
/// StatefulSets of one inventory (agent.proto).
pub const MAX_WORKLOADS: usize = 5_000;
/// Volumes of one inventory (agent.proto).
pub const MAX_VOLUMES: usize = 20_000;
/// Kept epochs of one resync.
pub const MAX_EPOCHS: usize = 100_000;
/// Highest kept epoch that is believed: one a millisecond for centuries, and far from where numbers end.
pub const MAX_KEPT_EPOCH: u64 = 1 << 48;
/// Commands in progress of one resync.
pub const MAX_COMMANDS_IN_PROGRESS: usize = 1_024;
/// Pod networks of one cluster.
pub const MAX_POD_CIDRS: usize = 64;
/// Addresses of a described workload's replicas that the target is to try (agent.proto).
pub const MAX_LISTENERS: usize = 16;
/// Endpoints of one report (agent.proto).
pub const MAX_ENDPOINTS: usize = 1_000;
/// Ports of one report.
pub const MAX_PORTS: usize = 100;
/// Ordinals, findings, dependencies, planned writes or attachments in one message.
pub const MAX_LIST: usize = 5_000;
/// Characters of a message for people.
pub const MAX_MESSAGE_CHARS: usize = 4_096;
/// Characters of an identifier: UID, revision, driver, handle, command id.
pub const MAX_IDENTIFIER_CHARS: usize = 1_024;
