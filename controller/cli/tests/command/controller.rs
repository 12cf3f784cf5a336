//! A controller that says what it is told: the real services over real TLS 1.3, with no migration behind it.
//!
//! It has a CA of its own, takes tokens once, signs requests and knows its callers by their certificates, because that is
//! where the command can go wrong; plans and migrations are whatever a test wrote into its [`Book`]. It runs in a runtime
//! of its own, so that killing it ends every connection, as the death of a process would. That the true controller says
//! the same is proven by the end-to-end tests.

mod admin_service;

use std::{
    collections::HashMap,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ferry_proto::admin::v1::{
    self as admin, admin_service_server::AdminServiceServer, start_migration_response::Result as Started,
};
use ferry_proto::enroll::v1::{
    self as enroll,
    enroll_service_server::{EnrollService, EnrollServiceServer},
};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType,
};
use rustls::{RootCertStore, ServerConfig, crypto::ring, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, transport::server::Connected};

/// What is told to be said, and what was asked.
#[derive(Default)]
pub(crate) struct Book {
    /// Identities by unused token.
    pub(crate) tokens: HashMap<String, String>,
    used: Vec<String>,
    identities: HashMap<Vec<u8>, String>,
    /// The answer to CreatePlan.
    pub(crate) plan: admin::Plan,
    /// The answer to StartMigration.
    pub(crate) start: Option<Started>,
    /// The answers to lists.
    pub(crate) volumes: Vec<admin::Volume>,
    /// Same.
    pub(crate) clusters: Vec<admin::Cluster>,
    /// The answer to whatever is asked of a migration.
    pub(crate) control: Option<Result<admin::Migration, admin::Rejection>>,
    /// The audit log, newest first.
    pub(crate) audit: Vec<admin::AuditRecord>,
    /// Storage domains and mappings that were set.
    pub(crate) domains: Vec<admin::StorageDomain>,
    /// Same.
    pub(crate) maps: Vec<admin::StorageMap>,
    /// The last plan that was asked for.
    pub(crate) asked_plan: admin::CreatePlanRequest,
    /// How often each call was made.
    pub(crate) calls: HashMap<&'static str, u32>,
}

/// A running controller.
pub(crate) struct Controller {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// What it says.
    book: Arc<Mutex<Book>>,
    ca: Arc<CertifiedIssuer<'static, KeyPair>>,
    /// What a watch sees.
    pub(crate) migration: watch::Sender<admin::Migration>,
    server: Option<Server>,
}

/// The process that it would be: a runtime of its own, so that ending it ends every connection.
struct Server {
    runtime: Runtime,
    task: JoinHandle<()>,
}

/// Where certificates end.
const LIFE: Duration = Duration::from_secs(24 * 3_600);

impl Controller {
    /// On a free port of the loopback.
    pub(crate) async fn start() -> Result<Self> {
        Self::start_on("127.0.0.1").await
    }

    /// On a free port of this address: one that no other test uses keeps its port while nobody listens.
    pub(crate) async fn start_on(ip: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = Arc::new(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?);
        let book = Arc::<Mutex<Book>>::default();
        let (migration, _) = watch::channel(admin::Migration::default());
        let listener = std::net::TcpListener::bind((ip, 0))?;
        let address = listener.local_addr()?;
        let mut controller = Self { address, book, ca, migration, server: None };
        controller.serve(listener)?;
        Ok(controller)
    }

    /// Ends every connection without a word.
    pub(crate) async fn kill(&mut self) {
        if let Some(server) = self.server.take() {
            server.task.abort();
            let _ = server.task.await;
            server.runtime.shutdown_background();
        }
    }

    /// Listens again where it did.
    pub(crate) async fn restart(&mut self) -> Result<()> {
        self.serve(std::net::TcpListener::bind(self.address)?)
    }

    fn serve(&mut self, listener: std::net::TcpListener) -> Result<()> {
        listener.set_nonblocking(true)?;
        let (book, ca) = (Arc::clone(&self.book), Arc::clone(&self.ca));
        let service = Service { book, ca, migration: self.migration.clone() };
        let acceptor = TlsAcceptor::from(Arc::new(tls(self.address, &self.ca)?));
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let task = runtime.spawn(run(listener, acceptor, service));
        self.server = Some(Server { runtime, task });
        Ok(())
    }

    /// The book.
    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        lock(&self.book)
    }

    /// How often a call was made.
    pub(crate) fn calls(&self, name: &str) -> u32 {
        self.book().calls.get(name).copied().unwrap_or_default()
    }

    /// A token for an identity like `role/operator/alice`.
    pub(crate) fn token(&self, path: &str) -> String {
        let fingerprint: String =
            Sha256::digest(self.ca.der()).iter().map(|byte| format!("{byte:02x}")).collect();
        let mut book = self.book();
        let mut secret = vec![0; 48];
        secret[0] = u8::try_from(book.tokens.len() + book.used.len()).unwrap_or(u8::MAX);
        let token = format!("ferry1.{}.{fingerprint}", BASE64_URL_SAFE_NO_PAD.encode(secret));
        book.tokens.insert(token.clone(), format!("spiffe://ferry.local/{path}"));
        token
    }

    /// Waits until a call was made so often.
    pub(crate) async fn called(&self, name: &str, times: u32) -> Result<()> {
        let reached = async {
            while self.calls(name) < times {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), reached)
            .await
            .with_context(|| format!("{name} was not called {times} times"))
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.runtime.shutdown_background();
        }
    }
}

/// A test that failed while it held the book has said so itself.
fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

fn tls(address: SocketAddr, ca: &CertifiedIssuer<'static, KeyPair>) -> Result<ServerConfig> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![address.ip().to_string()])?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let leaf = params.signed_by(&key, ca)?;
    let mut roots = RootCertStore::empty();
    roots.add(ca.der().clone())?;
    let provider = Arc::new(ring::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(clients)
        .with_single_cert(
            vec![leaf.der().clone(), ca.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?,
        )?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

async fn run(listener: std::net::TcpListener, acceptor: TlsAcceptor, service: Service) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let (connections, incoming) = mpsc::channel::<Result<Connection, std::io::Error>>(16);
    let accept = async {
        while let Ok((tcp, _)) = listener.accept().await {
            if let Ok(tls) = acceptor.accept(tcp).await {
                let _ = connections.send(Ok(Connection(tls))).await;
            }
        }
    };
    let server = tonic::transport::Server::builder()
        .add_service(AdminServiceServer::new(service.clone()))
        .add_service(EnrollServiceServer::new(service))
        .serve_with_incoming(ReceiverStream::new(incoming));
    tokio::select! { () = accept => {}, _ = server => {} }
}

/// A connection that knows its peer's certificate.
struct Connection(TlsStream<TcpStream>);

/// The peer's certificate.
#[derive(Clone)]
struct Peer(Option<CertificateDer<'static>>);

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        Peer(self.0.get_ref().1.peer_certificates().and_then(|chain| chain.first().cloned()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        into: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        from: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, from)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[derive(Clone)]
struct Service {
    book: Arc<Mutex<Book>>,
    ca: Arc<CertifiedIssuer<'static, KeyPair>>,
    migration: watch::Sender<admin::Migration>,
}

impl Service {
    fn asked<T>(&self, name: &'static str, request: &Request<T>) -> Result<String, Status> {
        let mut book = lock(&self.book);
        *book.calls.entry(name).or_default() += 1;
        let peer = request.extensions().get::<Peer>().and_then(|peer| peer.0.clone());
        peer.and_then(|certificate| book.identities.get(certificate.as_ref()).cloned())
            .ok_or_else(|| Status::unauthenticated("no certificate was presented"))
    }

    fn controlled(&self) -> Result<Result<admin::Migration, admin::Rejection>, Status> {
        lock(&self.book).control.clone().ok_or_else(|| Status::unimplemented("not told what to say"))
    }

    fn sign(&self, csr_pem: &str, identity: &str) -> Result<(String, i64), Status> {
        let refuse = |error: rcgen::Error| Status::invalid_argument(error.to_string());
        let mut request = CertificateSigningRequestParams::from_pem(csr_pem).map_err(refuse)?;
        let end = SystemTime::now() + LIFE;
        request.params.subject_alt_names = vec![SanType::URI(identity.try_into().map_err(refuse)?)];
        request.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        request.params.not_after = end.into();
        let certificate = request.signed_by(&self.ca).map_err(refuse)?;
        lock(&self.book).identities.insert(certificate.der().to_vec(), identity.to_owned());
        let seconds = end.duration_since(UNIX_EPOCH).map_err(|error| Status::internal(error.to_string()))?;
        Ok((certificate.pem(), seconds.as_secs().try_into().unwrap_or(i64::MAX)))
    }
}

#[tonic::async_trait]
impl EnrollService for Service {
    async fn enroll(
        &self,
        request: Request<enroll::EnrollRequest>,
    ) -> Result<Response<enroll::EnrollResponse>, Status> {
        let _ = self.asked("enroll", &request);
        let request = request.into_inner();
        let identity = {
            let mut book = lock(&self.book);
            match book.tokens.remove(&request.token) {
                Some(identity) => identity,
                None if book.used.contains(&request.token) => {
                    return Err(Status::unauthenticated("this token was used before"));
                }
                None => return Err(Status::unauthenticated("no such token")),
            }
        };
        lock(&self.book).used.push(request.token);
        let (certificate_pem, not_after_unix_seconds) = self.sign(&request.csr_pem, &identity)?;
        let ca_pem = self.ca.pem();
        Ok(Response::new(enroll::EnrollResponse {
            certificate_pem,
            ca_pem,
            identity,
            not_after_unix_seconds,
        }))
    }

    async fn renew(
        &self,
        request: Request<enroll::RenewRequest>,
    ) -> Result<Response<enroll::RenewResponse>, Status> {
        let identity = self.asked("renew", &request)?;
        let (certificate_pem, not_after_unix_seconds) =
            self.sign(&request.into_inner().csr_pem, &identity)?;
        Ok(Response::new(enroll::RenewResponse {
            certificate_pem,
            ca_pem: self.ca.pem(),
            not_after_unix_seconds,
        }))
    }
}
