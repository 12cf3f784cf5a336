//! Being connected to the controller as somebody: login, connection, renewal.
//!
//! One [`Session`] is one TLS connection; when it breaks it is not mended behind the caller's back, because whoever
//! watches a migration has to say so. The connection is dialled here rather than by tonic, so that a refused port, an
//! unknown authority and a certificate that the controller does not take are told apart. In TLS 1.3 the last of these
//! arrives after the handshake, as an alert, which is lost if we write before we read: so the server's first bytes
//! (it speaks first in HTTP/2) are awaited, and put back before the rest. Renewal is a new key each time; the old
//! pair is valid until the new one is on disk.

use std::{io, sync::Arc};

use ferry_proto::enroll::v1::{
    EnrollRequest, EnrollResponse, RenewRequest, enroll_service_client::EnrollServiceClient,
};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use rustls::{AlertDescription, ClientConfig, Error as TlsError};
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};

use crate::{
    admin::Call,
    config::{Credential, Store},
    error::{Exit, Failure},
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
        let channel = dial(&server, &credential.identity, tls).await?;
        let session = Self { channel, server, identity: credential.identity.clone() };
        if !credential.renewal_due(now) {
            return Ok((session, Renewal::NotDue));
        }
        let renewal = match session.renew(store, credential).await {
            Ok(()) => Renewal::Done,
            // What the controller does not renew, it does not take for the call itself either.
            Err(failure) if failure.exit() == Exit::Identity => return Err(failure),
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

    /// A status as a failure.
    pub(crate) fn failed(&self, call: Call, status: tonic::Status) -> Failure {
        let (server, identity) = (self.server.clone(), self.identity.clone());
        Failure::Status { call, server, identity, source: Box::new(status) }
    }
}

/// Trades a token for a credential.
pub(crate) async fn enrol(server: &str, token: &JoinToken) -> Result<Credential, Failure> {
    let untrusted = |source| Failure::Untrusted { server: server.to_owned(), source };
    let (private_key_pem, csr_pem) = key_and_request()?;
    let nobody = "nobody";
    let channel = dial(server, nobody, pin::anonymous(token.ca_sha256).map_err(untrusted)?).await?;
    let session = Session { channel, server: server.to_owned(), identity: nobody.to_owned() };
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

async fn dial(server: &str, identity: &str, tls: ClientConfig) -> Result<Channel, Failure> {
    let (host, port) = host_and_port(server)?;
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| Failure::MalformedServer { found: clean(server) })?;
    let stream = timeout(limits::CONNECT_TIMEOUT, connect(host, port, name, tls))
        .await
        .map_err(|_| Failure::ConnectTimeout { server: server.to_owned() })?
        .map_err(|error| not_connected(server, identity, error))?;
    let mut once = Some(TokioIo::new(stream));
    let connector = tower::service_fn(move |_| {
        let stream = once.take();
        async move { stream.ok_or_else(|| io::Error::new(io::ErrorKind::NotConnected, "the connection is lost")) }
    });
    let transport = |source| Failure::Transport { server: server.to_owned(), source };
    Endpoint::from_shared(format!("http://{server}"))
        .map_err(transport)?
        .http2_keep_alive_interval(limits::KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(limits::KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .connect_with_connector(connector)
        .await
        .map_err(transport)
}

/// TCP, TLS, and the server's first bytes. One that does not speak first within a moment is listened to later.
async fn connect(
    host: &str,
    port: u16,
    name: ServerName<'static>,
    tls: ClientConfig,
) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + use<>> {
    let tcp = TcpStream::connect((host, port)).await?;
    tcp.set_nodelay(true)?;
    let mut stream = TlsConnector::from(Arc::new(tls)).connect(name, tcp).await?;
    let mut first = vec![0; limits::GREETING_BYTES];
    let heard = match timeout(limits::GREETING_TIMEOUT, stream.read(&mut first)).await {
        Ok(Ok(0)) => return Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(heard) => heard?,
        Err(_) => 0,
    };
    first.truncate(heard);
    let (reader, writer) = tokio::io::split(stream);
    Ok(tokio::io::join(io::Cursor::new(first).chain(reader), writer))
}

/// rustls speaks through `io::Error`; what it said decides which failure this is. An alert about our certificate is
/// the server's word; anything else is ours about the server.
fn not_connected(server: &str, identity: &str, error: io::Error) -> Failure {
    let (server, identity) = (server.to_owned(), identity.to_owned());
    match error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>()).cloned() {
        Some(TlsError::AlertReceived(alert)) if is_about_certificate(alert) => {
            Failure::CertificateRefused { server, identity, source: TlsError::AlertReceived(alert) }
        }
        Some(source) => Failure::Untrusted { server, source },
        None => Failure::Connect { server, source: error },
    }
}

fn is_about_certificate(alert: AlertDescription) -> bool {
    use AlertDescription as Alert;
    matches!(
        alert,
        Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError
            | Alert::CertificateRequired
    )
}
