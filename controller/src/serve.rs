//! The wiring: data directory, journal, core, event loop, TLS, services; and the way down again.
//!
//! Order matters on the way up: the journal's lock comes first, so that of two controllers that start on one directory
//! only one makes a CA. On the way down the listener stops, open streams are told, the loop finishes what is queued
//! and commits it. A failed commit is not a way down: the caller must end the process at once.

use std::{
    future::Future,
    io::{self, Write},
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use tokio::sync::oneshot;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use crate::{
    admin::{self, Admin, Enrolment},
    authz::AuthorizeLayer,
    backup,
    event_loop::{self, AskError, EventLoop, Handle, LedgerCopy, Recovered},
    identity::{
        authority::{self, Authority},
        files,
        spiffe::{Role, Subject},
        token::JoinToken,
    },
    journal::{self, Embedded},
    limits,
    refusals::Refusals,
    session::Sessions,
    status::Failure,
    telemetry::{self, Outlook, Telemetry},
    tls::{self, Listener, ServerCredential},
};

/// What a controller is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Directory of the journal and the CA.
    pub data: PathBuf,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Further names and addresses that the controller is reached by.
    pub names: Vec<String>,
    /// Trust domain of all identities.
    pub trust_domain: String,
    /// Certificate and key of a supplied CA.
    pub ca: Option<(PathBuf, PathBuf)>,
    /// Validity of the certificates that are issued.
    pub leaf_ttl: Duration,
    /// Where metrics and health are served over plain HTTP, if anywhere.
    pub metrics_listen: Option<SocketAddr>,
    /// Where spans go, if anywhere.
    pub otlp_endpoint: Option<telemetry::Endpoint>,
}

/// Why the controller does not run, or does not run any more.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data directory.
    #[error(transparent)]
    Data(#[from] files::Error),
    /// The journal cannot be opened.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// The ledger cannot be recovered.
    #[error(transparent)]
    Recovery(#[from] event_loop::RecoveryError),
    /// The CA.
    #[error(transparent)]
    Authority(#[from] authority::Error),
    /// The controller's own certificate.
    #[error(transparent)]
    Credential(#[from] tls::CredentialError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] tls::ConfigError),
    /// The socket.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Metrics, health or traces.
    #[error(transparent)]
    Telemetry(#[from] telemetry::Error),
    /// The reflection service.
    #[error("cannot describe the services: {0}")]
    Reflection(#[from] admin::ReflectionError),
    /// A thread.
    #[error("cannot start the event loop's thread: {0}")]
    Thread(#[source] io::Error),
    /// The first credential.
    #[error("cannot make an operator credential: {0}")]
    FirstCredential(#[source] Failure),
    /// Standard output.
    #[error("cannot write to standard output: {0}")]
    Output(#[source] io::Error),
    /// The server.
    #[error("the server failed: {0}")]
    Server(#[from] tonic::transport::Error),
    /// A commit failed: the process must end now, and a new one recover.
    #[error("{0}. The process ends here; a new one recovers what is durable")]
    Commit(#[source] event_loop::Error),
    /// The event loop broke an invariant.
    #[error("the event loop broke off; see the message above. A new process recovers what is durable")]
    Broken,
}

/// Runs a controller until `stop` resolves.
pub async fn serve(options: Options, stop: impl Future<Output = ()>) -> Result<(), Error> {
    files::make_private_dir(&options.data)?;
    // The CA is made after the journal: where it is, a journal must be.
    let used = authority::exists(&options.data);
    let mut journal =
        if used { Embedded::open(&options.data)? } else { Embedded::open_or_begin(&options.data)? };
    let recovered = event_loop::recover(&mut journal)?;
    let authority = Arc::new(open_authority(&options)?);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let names = names(&options);
    let credential = ServerCredential::issue(&authority, &names, &provider)?;
    let config = tls::server_config(credential.clone(), authority.certificate(), &provider)?;
    let listen = |source| Error::Listen { address: options.listen, source };
    let listener = Listener::bind(options.listen, config, &options.trust_domain).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;

    let outlook =
        Outlook::bind(&options.trust_domain, options.metrics_listen, options.otlp_endpoint.as_ref()).await?;

    let first = recovered.core.state().tokens.made == 0;
    let (handle, mut ended) = start_loop(recovered, journal, Some(&outlook.telemetry))?;
    if let Some(address) = outlook.address() {
        print_line(&format!("metrics on http://{address}/metrics"))?;
    }
    let watching = outlook.serve(&handle);
    let backups = serve_backups(&options, &handle, &authority);
    let renewal = tokio::spawn(tls::renew_forever(credential, Arc::clone(&authority), names, provider));
    let down = CancellationToken::new();
    let serving = async {
        if first {
            show_first_credential(&handle, &authority, &options, address).await?;
        }
        print_line(&format!("listening on {address}"))?;
        tracing::info!(%address, trust_domain = %options.trust_domain, "listening");
        router(&handle, &authority, &down)
            .add_service(admin::health(&down).await)
            .add_service(admin::reflection()?)
            .serve_with_incoming_shutdown(
                ReceiverStream::new(listener.connections()),
                down.clone().cancelled_owned(),
            )
            .await
            .map_err(Error::from)
    };
    tokio::pin!(serving);
    tokio::select! {
        result = &mut serving => match result {
            // It ended because the loop did, which knows why.
            Err(Error::FirstCredential(Failure::Ask(AskError::Stopped))) => return outcome(ended.await),
            result => result?,
        },
        ended = &mut ended => return outcome(ended),
        () = stop => {}
    }
    tracing::info!("shutting down");
    down.cancel();
    tokio::select! {
        result = tokio::time::timeout(limits::SHUTDOWN_GRACE, serving) => match result {
            Ok(served) => served?,
            Err(_) => tracing::info!("closing connections that did not end by themselves"),
        },
        ended = &mut ended => return outcome(ended),
    }
    renewal.abort();
    if let Some(backups) = backups {
        backups.abort();
    }
    handle.stop().await;
    let ended = ended.await;
    watching.finish().await;
    outcome(ended)
}

/// Hands out backups locally. Without that everything else works, so it is no reason not to.
fn serve_backups(
    options: &Options,
    handle: &Handle,
    authority: &Arc<Authority>,
) -> Option<tokio::task::JoinHandle<()>> {
    let ca = options.ca.is_none().then(|| authority::path(&options.data));
    match backup::Server::bind(&options.data, handle.clone(), Arc::clone(authority), ca) {
        Ok(server) => Some(tokio::spawn(server.run())),
        Err(error) => {
            tracing::warn!(%error, "no backups while this controller runs; stop it to take one");
            None
        }
    }
}

fn open_authority(options: &Options) -> Result<Authority, authority::Error> {
    match &options.ca {
        Some((certificate, key)) => {
            Authority::supplied(certificate, key, &options.trust_domain, options.leaf_ttl)
        }
        None => Authority::open_or_create(&options.data, &options.trust_domain, options.leaf_ttl),
    }
}

/// Makes a join token for an admin of the data directory whose controller is stopped: the way back in when nobody
/// holds a valid certificate any more. Whoever may read the CA's key may do this; it gives nothing that they lack.
pub async fn admin_token(options: Options, name: &str) -> Result<JoinToken, Error> {
    let mut journal = Embedded::open(&options.data)?;
    let recovered = event_loop::recover(&mut journal)?;
    let authority = open_authority(&options)?;
    let (handle, ended) = start_loop(recovered, journal, None)?;
    let subject = Subject::Role { role: Role::Admin, name: name.to_owned() };
    let made = admin::create_token(&handle, &authority, subject, 0, "local").await;
    handle.stop().await;
    outcome(ended.await)?;
    made.map(|(token, _)| token).map_err(Error::FirstCredential)
}

/// Everything that the journal of a stopped controller holds, and its CA.
pub fn stopped(options: &Options) -> Result<(LedgerCopy, Authority), Box<Error>> {
    if !Embedded::exists(&options.data) {
        let path = options.data.clone();
        return Err(Box::new(journal::Error::Lost { path }.into()));
    }
    let read = || {
        let mut journal = Embedded::open(&options.data)?;
        let core = event_loop::recover(&mut journal)?.core;
        let copy = event_loop::copy(&core, &mut journal).map_err(Error::Commit)?;
        Ok((copy, open_authority(options)?))
    };
    read().map_err(Box::new)
}

type Ended = Result<Result<(), event_loop::Error>, oneshot::error::RecvError>;

/// Starts the loop on a thread of its own; the receiver gets its end, or nothing if it panicked.
fn start_loop(
    recovered: Recovered,
    journal: Embedded,
    telemetry: Option<&Arc<Telemetry>>,
) -> Result<(Handle, oneshot::Receiver<Result<(), event_loop::Error>>), Error> {
    let (event_loop, handle) = EventLoop::new(recovered, Box::new(journal));
    let event_loop = match telemetry {
        Some(telemetry) => event_loop.followed_by(Arc::clone(telemetry)),
        None => event_loop,
    };
    let (end, ended) = oneshot::channel();
    std::thread::Builder::new()
        .name("event-loop".to_owned())
        .spawn(move || {
            // Nobody waits for the end only when the process is ending already.
            let _ending = end.send(event_loop.run());
        })
        .map_err(Error::Thread)?;
    Ok((handle, ended))
}

fn outcome(ended: Ended) -> Result<(), Error> {
    match ended {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Error::Commit(error)),
        Err(_) => Err(Error::Broken),
    }
}

fn router(
    handle: &Handle,
    authority: &Arc<Authority>,
    down: &CancellationToken,
) -> tonic::transport::server::Router<tower::layer::util::Stack<AuthorizeLayer, tower::layer::util::Identity>>
{
    let refusals = Refusals::default();
    Server::builder()
        .accept_http1(false)
        .max_concurrent_streams(limits::MAX_STREAMS_PER_CONNECTION)
        .max_frame_size(limits::MAX_FRAME_BYTES)
        .initial_stream_window_size(limits::STREAM_WINDOW_BYTES)
        .initial_connection_window_size(limits::CONNECTION_WINDOW_BYTES)
        .http2_max_header_list_size(limits::MAX_HEADER_LIST_BYTES)
        .http2_max_pending_accept_reset_streams(Some(limits::MAX_PENDING_RESET_STREAMS))
        .http2_max_local_error_reset_streams(Some(limits::MAX_LOCAL_RESET_STREAMS))
        .http2_keepalive_interval(Some(limits::KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(limits::KEEPALIVE_TIMEOUT))
        .layer(AuthorizeLayer)
        .add_service(Sessions::new(handle.clone(), refusals.clone(), down.clone()).service())
        .add_service(Admin::new(handle.clone(), Arc::clone(authority), refusals, down.clone()).service())
        .add_service(Enrolment::new(handle.clone(), Arc::clone(authority)).service())
}

/// Every name that the controller's certificate carries: those given, and the address it listens on.
fn names(options: &Options) -> Vec<String> {
    let mut names = options.names.clone();
    let address = options.listen.ip();
    if !address.is_unspecified() {
        names.push(address.to_string());
    }
    if address.is_unspecified() || address.is_loopback() {
        let local = [IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])];
        names.push("localhost".to_owned());
        names.extend(local.map(|address| address.to_string()));
    }
    names.sort();
    names.dedup();
    names
}

async fn show_first_credential(
    handle: &Handle,
    authority: &Authority,
    options: &Options,
    address: SocketAddr,
) -> Result<(), Error> {
    let subject = Subject::Role { role: Role::Admin, name: "admin".to_owned() };
    let (token, _) =
        admin::create_token(handle, authority, subject, 0, "local").await.map_err(Error::FirstCredential)?;
    let server = match options.names.first() {
        Some(name) if address.ip().is_unspecified() => format!("{name}:{}", address.port()),
        None if address.ip().is_unspecified() => format!("localhost:{}", address.port()),
        _ => address.to_string(),
    };
    print_line(&format!(
        "First operator credential (shown once): ferry login --server {server} {}",
        token.reveal()
    ))
}

fn print_line(line: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(Error::Output)
}
