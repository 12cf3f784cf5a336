//! Trades a join token for a certificate.
//!
//! The key is made here and never leaves; the request carries nothing but its public half, since the controller takes
//! the identity from the token. A controller that is not there yet is waited for with backoff: an agent is often
//! started first. A token that is wrong, used or over is an error at once.

use std::path::Path;

use ferry_proto::enroll::v1::{EnrollRequest, enroll_service_client::EnrollServiceClient};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};

use super::{
    Error, Identity, Material,
    channel::{self, Address},
    tls,
    token::JoinToken,
    unix_now,
};
use crate::{backoff::Backoff, limits, outcome::chain};

/// A new identity for `token`. `path` is where it will be kept, for messages.
///
/// # Errors
/// See [`Error`]; never one that [`Error::is_retryable`].
pub async fn enroll(controller: &Address, token: &JoinToken, path: &Path) -> Result<Identity, Error> {
    let mut backoff = Backoff::new();
    let (key_pem, csr_pem) = request()?;
    loop {
        match try_enroll(controller, token, &csr_pem).await {
            Ok((certificate_pem, ca_pem)) => {
                let key_pem = key_pem.clone();
                return Identity::from_material(
                    Material { key_pem, certificate_pem, ca_pem, received: unix_now() },
                    path,
                );
            }
            Err(error) if error.is_retryable() => {
                tracing::warn!(error = chain(&error), "not enrolled yet; tried again");
                backoff.pause().await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// A new key and a certificate request for it, both PEM.
///
/// # Errors
/// [`Error::Request`].
pub(super) fn request() -> Result<(String, String), Error> {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(Error::Request)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let csr = params.serialize_request(&key).and_then(|csr| csr.pem()).map_err(Error::Request)?;
    Ok((key.serialize_pem(), csr))
}

async fn try_enroll(
    controller: &Address,
    token: &JoinToken,
    csr_pem: &str,
) -> Result<(String, String), Error> {
    let channel = channel::connect(controller, tls::enrolling(token)?).await?;
    let mut client = EnrollServiceClient::new(channel);
    let request = EnrollRequest { token: token.text().to_owned(), csr_pem: csr_pem.to_owned() };
    let answer = tokio::time::timeout(limits::CALL_TIMEOUT, client.enroll(request)).await;
    let response = answer
        .map_err(|_| Error::Silent {
            controller: controller.to_string(),
            seconds: limits::CALL_TIMEOUT.as_secs(),
        })?
        .map_err(|status| Error::Refused { controller: controller.to_string(), status: Box::new(status) })?
        .into_inner();
    Ok((response.certificate_pem, response.ca_pem))
}
