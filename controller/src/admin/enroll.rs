//! How somebody becomes somebody, and stays so: certificates for join tokens, and new ones for old ones.
//!
//! The certificate request is checked before the token is used up, so that a broken client does not lose its token.
//! The token is used up durably before anything is signed: two requests with one token get one certificate. If the
//! answer is lost on the way, the token is lost with it; a new one is cheap.

use std::{sync::Arc, time::SystemTime};

use ferry_proto::enroll::v1::{
    self as wire,
    enroll_service_server::{EnrollService, EnrollServiceServer},
};
use tonic::{Request, Response, Status};

use super::tokens;
use crate::{
    authz::Caller,
    clock,
    event_loop::Handle,
    identity::{authority::Authority, request, token::JoinToken},
    limits,
    status::Failure,
};

/// The enrolment service.
pub struct Enrolment {
    handle: Handle,
    authority: Arc<Authority>,
}

impl Enrolment {
    /// A service that signs with `authority`.
    #[must_use]
    pub const fn new(handle: Handle, authority: Arc<Authority>) -> Self {
        Self { handle, authority }
    }

    /// As a gRPC service with its bound on requests.
    #[must_use]
    pub fn service(self) -> EnrollServiceServer<Self> {
        EnrollServiceServer::new(self).max_decoding_message_size(limits::MAX_ADMIN_MESSAGE_BYTES)
    }
}

#[tonic::async_trait]
impl EnrollService for Enrolment {
    async fn enroll(
        &self,
        request: Request<wire::EnrollRequest>,
    ) -> Result<Response<wire::EnrollResponse>, Status> {
        let wire::EnrollRequest { token, csr_pem } = request.into_inner();
        let key = request::proven_key(&csr_pem).map_err(Failure::from)?;
        let token = JoinToken::parse(&token, &self.authority.sha256()).map_err(Failure::from)?;
        let subject = tokens::redeem(&self.handle, &token).await.inspect_err(|error| {
            tracing::warn!(%error, "refused a join token");
        })?;
        let issued =
            self.authority.issue_client(&key, subject.clone(), SystemTime::now()).map_err(Failure::from)?;
        let identity = self.authority.identity(subject).to_string();
        tracing::info!(%identity, "enrolled");
        Ok(Response::new(wire::EnrollResponse {
            certificate_pem: issued.pem,
            ca_pem: self.authority.pem().to_owned(),
            identity,
            not_after_unix_seconds: clock::unix_seconds(issued.not_after),
        }))
    }

    async fn renew(
        &self,
        request: Request<wire::RenewRequest>,
    ) -> Result<Response<wire::RenewResponse>, Status> {
        let Caller(identity) = request.extensions().get::<Caller>().cloned().ok_or(Failure::NoIdentity)?;
        let key = request::proven_key(&request.into_inner().csr_pem).map_err(Failure::from)?;
        tracing::info!(%identity, "renewed");
        let issued =
            self.authority.issue_client(&key, identity.subject, SystemTime::now()).map_err(Failure::from)?;
        Ok(Response::new(wire::RenewResponse {
            certificate_pem: issued.pem,
            ca_pem: self.authority.pem().to_owned(),
            not_after_unix_seconds: clock::unix_seconds(issued.not_after),
        }))
    }
}
