//! Being connected to the controller as somebody: login, connection, renewal.
//!
//! One [`Session`] is one TLS connection; when it breaks it is not mended behind the caller's back, because whoever
//! watches a migration has to say so. The connection is dialled here rather than by tonic, so that a refused port, an
//! unknown authority and a certificate that the controller does not take are told apart. In TLS 1.3 the last of these
//! arrives after the handshake, as an alert on the first read: [`Recorded`] keeps it for the error message.
//! Renewal is a new key each time; the old pair is valid until the new one is on disk.

use std::{
    io,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use ferry_proto::enroll::v1::{
    EnrollRequest, EnrollResponse, RenewRequest, enroll_service_client::EnrollServiceClient,
};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use rustls::{ClientConfig, Error as TlsError};
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::{Channel, Endpoint};

use crate::{
    admin::Call,
    config::{Credential, Store},
    error::Failure,
    limits, pin,
    token::JoinToken,
    wire::clean,
};

/// A connection, and who we are on it.
#[derive(Clone)]
pub(crate) struct Session {
    /// Calls go through it.
    pub(crate) channel: Channel,
    /// Host and port.
    pub(crate) server: String,
    /// Our identity.
    pub(crate) identity: String,
    alert: Alert,
}

/// What became of the certificate when the session was opened.
pub(crate) enum Renewal {
    /// It is young enough.
    NotDue,
    /// A new one is on disk.
    Done,
    /// It could not be renewed; the old one is still valid.
    Failed(Failure),
}

impl Session {
    /// Connects with the stored credential, to its server or to another that the same CA vouches for. Renews the
    /// certificate when two thirds of its life are over.
    pub(crate) async fn open(store: &Store, server: Option<&str>) -> Result<(Self, Renewal), Failure> {
        let credential = store.load()?;
        let server = server.unwrap_or(&credential.server).to_owned();
        let now = Timestamp::now();
        if let Some(at) = credential.expired(now) {
            return Err(Failure::Expired { identity: credential.identity, server, at });
        }
        let tls = pin::identified(&credential)
            .map_err(|source| Failure::DamagedCredential { path: store.path(), source })?;
        let (channel, alert) = dial(&server, tls).await?;
        let session = Self { channel, server, identity: credential.identity.clone(), alert };
        if !credential.renewal_due(now) {
            return Ok((session, Renewal::NotDue));
        }
        let renewal = match session.renew(store, credential).await {
            Ok(()) => Renewal::Done,
            // A certificate that the controller does not take cannot be used for the call itself either.
            Err(failure @ Failure::CertificateRefused { .. }) => return Err(failure),
            Err(failure) => Renewal::Failed(failure),
        };
        Ok((session, renewal))
    }

    async fn renew(&self, store: &Store, old: Credential) -> Result<(), Failure> {
        let (private_key_pem, csr_pem) = key_and_request()?;
        let now = Timestamp::now();
        let mut client = EnrollServiceClient::new(self.channel.clone());
        let call = client.renew(RenewRequest { csr_pem });
        let renewed = self.finish(Call::Renew, limits::CONNECT_TIMEOUT, call).await?;
        store.save(&Credential {
            ca_pem: renewed.ca_pem,
            certificate_pem: renewed.certificate_pem,
            private_key_pem,
            issued_unix_seconds: now.as_second(),
            expires_unix_seconds: renewed.not_after_unix_seconds,
            ..old
        })
    }

    /// Waits for a call, at most so long, and says what went wrong.
    pub(crate) async fn finish<T>(
        &self,
        call: Call,
        at_most: std::time::Duration,
        answer: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    ) -> Result<T, Failure> {
        match timeout(at_most, answer).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(self.failed(call, status)),
            Err(_) => Err(Failure::Deadline { call, server: self.server.clone(), after: at_most }),
        }
    }

    /// A status as a failure; an alert of TLS on this connection explains it better.
    pub(crate) fn failed(&self, call: Call, status: tonic::Status) -> Failure {
        let (server, identity) = (self.server.clone(), self.identity.clone());
        match self.alert.get() {
            Some(alert) => Failure::CertificateRefused { server, identity, source: alert.clone() },
            None => Failure::Status { call, server, identity, source: Box::new(status) },
        }
    }
}

/// Trades a token for a credential.
pub(crate) async fn enrol(server: &str, token: &JoinToken) -> Result<Credential, Failure> {
    let untrusted = |source| Failure::Untrusted { server: server.to_owned(), source };
    let (private_key_pem, csr_pem) = key_and_request()?;
    let (channel, alert) = dial(server, pin::anonymous(token.ca_sha256).map_err(untrusted)?).await?;
    let session = Session { channel, server: server.to_owned(), identity: "nobody".to_owned(), alert };
    let mut client = EnrollServiceClient::new(session.channel.clone());
    let now = Timestamp::now();
    let call = client.enroll(EnrollRequest { token: token.text.clone(), csr_pem });
    let EnrollResponse { certificate_pem, ca_pem, identity, not_after_unix_seconds } =
        session.finish(Call::Enroll, limits::CONNECT_TIMEOUT, call).await?;
    let identity = clean(&identity);
    if !identity.contains("/role/") {
        return Err(Failure::NotAPerson { identity });
    }
    Ok(Credential {
        server: server.to_owned(),
        identity,
        ca_pem,
        certificate_pem,
        private_key_pem,
        issued_unix_seconds: now.as_second(),
        expires_unix_seconds: not_after_unix_seconds,
    })
}

/// A fresh P-256 key and a request for it; the controller ignores the names in it.
fn key_and_request() -> Result<(String, String), Failure> {
    let made = || {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let request = rcgen::CertificateParams::default().serialize_request(&key)?.pem()?;
        Ok((key.serialize_pem(), request))
    };
    made().map_err(|source| Failure::MakeKey { source })
}

/// Host and port of `HOST:PORT` or `[V6]:PORT`.
fn host_and_port(server: &str) -> Result<(&str, u16), Failure> {
    let malformed = || Failure::MalformedServer { found: clean(server) };
    let (host, port) = server.rsplit_once(':').ok_or_else(malformed)?;
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if bare.is_none() && host.contains(':') {
        return Err(malformed());
    }
    Ok((bare.unwrap_or(host), port.parse().map_err(|_| malformed())?))
}

async fn dial(server: &str, tls: ClientConfig) -> Result<(Channel, Alert), Failure> {
    let (host, port) = host_and_port(server)?;
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| Failure::MalformedServer { found: clean(server) })?;
    let stream = timeout(limits::CONNECT_TIMEOUT, handshake(host, port, name, tls))
        .await
        .map_err(|_| Failure::ConnectTimeout { server: server.to_owned() })?
        .map_err(|source| not_connected(server, source))?;
    let alert = Alert::default();
    let mut once = Some(TokioIo::new(Recorded { stream, alert: Arc::clone(&alert) }));
    let connector = tower::service_fn(move |_| {
        let stream = once.take();
        async move { stream.ok_or_else(|| io::Error::new(io::ErrorKind::NotConnected, "the connection is lost")) }
    });
    let transport = |source| Failure::Transport { server: server.to_owned(), source };
    let channel = Endpoint::from_shared(format!("http://{server}"))
        .map_err(transport)?
        .http2_keep_alive_interval(limits::KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(limits::KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .connect_with_connector(connector)
        .await
        .map_err(transport)?;
    Ok((channel, alert))
}

async fn handshake(
    host: &str,
    port: u16,
    name: ServerName<'static>,
    tls: ClientConfig,
) -> io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect((host, port)).await?;
    tcp.set_nodelay(true)?;
    TlsConnector::from(Arc::new(tls)).connect(name, tcp).await
}

/// rustls speaks through `io::Error`; what it said decides which failure this is.
fn not_connected(server: &str, error: io::Error) -> Failure {
    let server = server.to_owned();
    match tls_error(&error) {
        Some(source) => Failure::Untrusted { server, source },
        None => Failure::Connect { server, source: error },
    }
}

fn tls_error(error: &io::Error) -> Option<TlsError> {
    error.get_ref()?.downcast_ref::<TlsError>().cloned()
}

/// The alert that ended a connection.
type Alert = Arc<OnceLock<TlsError>>;

/// A connection that remembers the alert it died of.
struct Recorded {
    stream: TlsStream<TcpStream>,
    alert: Alert,
}

impl Recorded {
    fn note<T>(&self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &polled
            && let Some(alert @ TlsError::AlertReceived(_)) = tls_error(error)
        {
            let _ = self.alert.set(alert);
        }
        polled
    }
}

impl AsyncRead for Recorded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(cx, into);
        self.note(polled)
    }
}

impl AsyncWrite for Recorded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, from);
        self.note(polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.note(polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.note(polled)
    }
}
