//! A client of the controller: TLS 1.3 with the CA as its only root, with or without a credential.
//!
//! It reads the CA from the controller's data directory instead of pinning it by a token; that the server shows the
//! pinned CA has a test of its own. [`World`] is what most tests begin with: a controller after its first start and
//! the admin who took the first credential.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use ferry_proto::{
    admin::v1::{
        CreateTokenRequest, RoleSubject, admin_service_client::AdminServiceClient, create_token_request,
    },
    enroll::v1::{EnrollRequest, EnrollResponse, enroll_service_client::EnrollServiceClient},
};
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, KeyPair};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version::TLS13};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, pem::PemObject};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::{
    Status,
    transport::{Channel, Endpoint},
};

use crate::process::{Controller, DEADLINE, Data};

/// A certificate and its key.
pub(crate) struct Credential {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) key: KeyPair,
}

/// A way to one controller.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    ca: CertificateDer<'static>,
}

pub(crate) fn request(key: &KeyPair) -> Result<String> {
    Ok(CertificateParams::default().serialize_request(key)?.pem()?)
}

impl Server {
    pub(crate) fn new(data: &Data, controller: &Controller) -> Result<Self> {
        let ca = CertificateDer::from_pem_slice(data.ca()?.as_bytes())?;
        Ok(Self { address: controller.address, ca })
    }

    fn config(
        &self,
        credential: Option<&Credential>,
        version: &'static SupportedProtocolVersion,
    ) -> Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.clone())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])?
            .with_root_certificates(roots);
        let mut config = match credential {
            Some(Credential { certificate, key }) => {
                let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
                config.with_client_auth_cert(vec![certificate.clone()], key)?
            }
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }

    /// A bare TLS connection.
    pub(crate) async fn tls(
        &self,
        credential: Option<&Credential>,
        version: &'static SupportedProtocolVersion,
    ) -> Result<TlsStream<TcpStream>> {
        let connector = TlsConnector::from(Arc::new(self.config(credential, version)?));
        let stream = TcpStream::connect(self.address).await?;
        Ok(connector.connect(ServerName::IpAddress(self.address.ip().into()), stream).await?)
    }

    /// A gRPC channel.
    pub(crate) async fn channel(&self, credential: Option<&Credential>) -> Result<Channel> {
        let connector = TlsConnector::from(Arc::new(self.config(credential, &TLS13)?));
        let address = self.address;
        let connect = tower::service_fn(move |_| {
            let connector = connector.clone();
            async move {
                let stream = TcpStream::connect(address).await?;
                let name = ServerName::IpAddress(address.ip().into());
                connector.connect(name, stream).await.map(TokioIo::new)
            }
        });
        let endpoint = Endpoint::try_from(format!("https://{address}"))?.timeout(DEADLINE);
        Ok(endpoint.connect_with_connector(connect).await?)
    }

    /// Trades a token for a credential.
    pub(crate) async fn enroll(&self, token: &str) -> Result<Credential> {
        let key = KeyPair::generate()?;
        let response = self.try_enroll(token, &request(&key)?).await??;
        Ok(Credential {
            certificate: CertificateDer::from_pem_slice(response.certificate_pem.as_bytes())?,
            key,
        })
    }

    pub(crate) async fn try_enroll(&self, token: &str, csr: &str) -> Result<Result<EnrollResponse, Status>> {
        let mut client = EnrollServiceClient::new(self.channel(None).await?);
        let request = EnrollRequest { token: token.to_owned(), csr_pem: csr.to_owned() };
        Ok(client.enroll(request).await.map(tonic::Response::into_inner))
    }

    pub(crate) async fn admin(&self, credential: &Credential) -> Result<AdminServiceClient<Channel>> {
        Ok(AdminServiceClient::new(self.channel(Some(credential)).await?))
    }

    /// Makes a token with the credential of an admin and redeems it.
    pub(crate) async fn join(
        &self,
        admin: &Credential,
        subject: create_token_request::Subject,
    ) -> Result<Credential> {
        let mut client = self.admin(admin).await?;
        let token = client.create_token(token_for(subject)).await?.into_inner().token;
        self.enroll(&token).await
    }
}

pub(crate) fn token_for(subject: create_token_request::Subject) -> CreateTokenRequest {
    CreateTokenRequest { subject: Some(subject), ttl_seconds: 0 }
}

pub(crate) fn cluster(name: &str) -> create_token_request::Subject {
    create_token_request::Subject::Cluster(name.into())
}

pub(crate) fn role(role: &str) -> create_token_request::Subject {
    create_token_request::Subject::Role(RoleSubject { role: role.into(), name: "somebody".into() })
}

/// A controller that has just been started for the first time, and its admin.
pub(crate) struct World {
    pub(crate) controller: Controller,
    pub(crate) server: Server,
    pub(crate) admin: Credential,
    pub(crate) data: Data,
}

impl World {
    pub(crate) async fn new() -> Result<Self> {
        Self::with(&[]).await
    }

    pub(crate) async fn with(arguments: &[&str]) -> Result<Self> {
        let data = Data::new()?;
        let controller = data.start_with(arguments)?;
        let server = Server::new(&data, &controller)?;
        let admin = server.enroll(controller.first_token.as_ref().context("first token")?).await?;
        Ok(Self { controller, server, admin, data })
    }
}

/// Tries until it gives a value, at most [`DEADLINE`].
pub(crate) async fn eventually<T, F>(what: &str, mut attempt: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<Option<T>>>,
{
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while tokio::time::Instant::now() < deadline {
        if let Some(value) = attempt().await? {
            return Ok(value);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    anyhow::bail!("not within {} s: {what}", DEADLINE.as_secs())
}
