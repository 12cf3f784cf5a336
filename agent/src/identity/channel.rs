//! The connection to the controller: TCP, TLS and HTTP/2, each with a bound.
//!
//! tonic's own TLS is not used (architecture.md, Identity): the connector here brings the stream, and with it
//! the words for what goes wrong in a handshake. A channel is made for one stream or one call and dropped with it, so
//! that a renewed certificate is used from the next connection on.

use std::{error::Error as StdError, fmt, io, str::FromStr, sync::Arc};

use hyper_util::rt::TokioIo;
use rustls::{AlertDescription, CertificateError, ClientConfig};
use rustls_pki_types::ServerName;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::{Channel, Endpoint, Uri};

use super::Error;
use crate::limits;

/// `HOST:PORT` of a controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || Error::Address(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().map_err(|_| wrong())?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        ServerName::try_from(host).map_err(|_| wrong())?;
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Why no connection came about.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// TCP.
    #[error("cannot reach it: check --controller, that the controller runs, and the network between")]
    Reach(#[source] io::Error),
    /// TLS.
    #[error("the TLS handshake failed: {hint}")]
    Handshake {
        /// What to do.
        hint: &'static str,
        /// What happened.
        #[source]
        source: io::Error,
    },
    /// While enrolling: not the authority of the join token.
    #[error(
        "the server does not have the certificate authority that the join token names. Check --controller, and make a \
         new token if the controller was set up anew"
    )]
    Authority,
    /// Too slow.
    #[error("no TLS connection within {} s", limits::CONNECT_TIMEOUT.as_secs())]
    Slow,
}

/// Connects.
///
/// # Errors
/// [`Error::Connect`], [`Error::Address`].
pub async fn connect(controller: &Address, config: ClientConfig) -> Result<Channel, Error> {
    let uri: Uri =
        format!("https://{controller}").parse().map_err(|_| Error::Address(controller.to_string()))?;
    let name =
        ServerName::try_from(controller.host.clone()).map_err(|_| Error::Address(controller.to_string()))?;
    let tls = TlsConnector::from(Arc::new(config));
    let address = controller.clone();
    let connector = tower::service_fn(move |_: Uri| {
        let (tls, name, address) = (tls.clone(), name.clone(), address.clone());
        async move {
            timeout(limits::CONNECT_TIMEOUT, handshake(tls, name, address))
                .await
                .unwrap_or(Err(ConnectError::Slow))
                .map(TokioIo::new)
        }
    });
    Endpoint::from(uri)
        .http2_keep_alive_interval(limits::KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(limits::KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .connect_with_connector(connector)
        .await
        .map_err(|source| Error::Connect { controller: controller.to_string(), source })
}

async fn handshake(
    tls: TlsConnector,
    name: ServerName<'static>,
    address: Address,
) -> Result<TlsStream<TcpStream>, ConnectError> {
    let tcp = TcpStream::connect((address.host.as_str(), address.port)).await.map_err(ConnectError::Reach)?;
    tcp.set_nodelay(true).map_err(ConnectError::Reach)?;
    tls.connect(name, tcp).await.map_err(|source| match tls_error(&source) {
        Some(rustls::Error::InvalidCertificate(CertificateError::Other(_))) => ConnectError::Authority,
        _ => ConnectError::Handshake { hint: hint(&source), source },
    })
}

/// Whether a connection may come about later without anybody's doing but the controller's.
pub(super) fn is_retryable(error: &tonic::transport::Error) -> bool {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        match error.downcast_ref() {
            Some(ConnectError::Handshake { source, .. }) => return tls_error(source).is_none(),
            Some(ConnectError::Authority) => return false,
            Some(ConnectError::Reach(_) | ConnectError::Slow) | None => cause = error.source(),
        }
    }
    true
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn hint(error: &io::Error) -> &'static str {
    match tls_error(error) {
        Some(rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        )) => {
            "the server's certificate is of an unknown authority. Check --controller; if the controller was set up \
             anew, start the agent with a new join token"
        }
        Some(rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => {
            "the server's certificate does not have the name in --controller. Use a name that it has, or start the \
             controller with --san for this one"
        }
        Some(rustls::Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        )) => "the server's certificate is not valid now. Check the clocks of both machines",
        Some(rustls::Error::AlertReceived(AlertDescription::ProtocolVersion)) => {
            "the server does not speak TLS 1.3"
        }
        Some(rustls::Error::AlertReceived(_)) => {
            "the server refused this agent's certificate. Start the agent with a new join token"
        }
        Some(_) => "the server does not speak as a controller does. Check --controller",
        None => "the connection broke",
    }
}

#[cfg(test)]
#[path = "channel_tests.rs"]
mod tests;
