//! Renews the certificate at two thirds of its life, with a new key each time.
//!
//! A failed renewal is tried again until the certificate is over; the stream to the controller goes on
//! meanwhile. The new pair is kept before it is used. Connections that stand are not touched: the next one is
//! made with it. Who the agent is does not change: the controller takes the name from the channel, not from
//! the request.

use std::time::Duration;

use ferry_proto::enroll::v1::{RenewRequest, enroll_service_client::EnrollServiceClient};
use tokio::sync::watch;

use super::{
    Error, Identity, Material,
    channel::{self, Address},
    enroll, error,
    keep::Keep,
    tls, unix_now,
};
use crate::{limits, outcome::chain};

/// Renews for ever; sends each new identity into `current`. Ends when the certificate is over.
///
/// # Errors
/// [`Error::Expired`].
pub async fn keep_valid(controller: Address, keep: Keep, current: watch::Sender<Identity>) -> Error {
    loop {
        let identity = current.borrow().clone();
        let now = unix_now();
        if identity.is_expired(now) {
            return Error::Expired { identity: identity.uri, at: error::moment(identity.not_after) };
        }
        let due = identity.renewal_in(now);
        if !due.is_zero() {
            tokio::time::sleep(due.min(limits::RENEWAL_LOOK)).await;
            continue;
        }
        match renew(&controller, &identity, &keep).await {
            Ok(renewed) => {
                tracing::info!(until = %error::moment(renewed.not_after), "certificate renewed");
                current.send_replace(renewed);
                tokio::time::sleep(limits::RENEWAL_RETRY_LEAST).await;
            }
            Err(error) => {
                let left = u64::try_from(identity.not_after.saturating_sub(now)).unwrap_or(0);
                tracing::warn!(
                    error = chain(&error),
                    seconds_left = left,
                    "certificate not renewed; tried again"
                );
                let pause =
                    Duration::from_secs(left / 20).clamp(limits::RENEWAL_RETRY_LEAST, limits::RENEWAL_LOOK);
                tokio::time::sleep(pause).await;
            }
        }
    }
}

async fn renew(controller: &Address, identity: &Identity, keep: &Keep) -> Result<Identity, Error> {
    let (key_pem, csr_pem) = enroll::request()?;
    let channel = channel::connect(controller, tls::mutual(identity)?).await?;
    let mut client = EnrollServiceClient::new(channel);
    let answer = tokio::time::timeout(limits::CALL_TIMEOUT, client.renew(RenewRequest { csr_pem })).await;
    let response = answer
        .map_err(|_| Error::Silent {
            controller: controller.to_string(),
            seconds: limits::CALL_TIMEOUT.as_secs(),
        })?
        .map_err(|status| Error::Refused { controller: controller.to_string(), status: Box::new(status) })?
        .into_inner();
    let material = Material {
        key_pem,
        certificate_pem: response.certificate_pem,
        ca_pem: response.ca_pem,
        received: unix_now(),
    };
    let renewed = Identity::from_material(material, keep.path())?;
    if renewed.uri != identity.uri {
        return Err(Error::Damaged { path: keep.path().into(), what: "the renewed certificate's identity" });
    }
    keep.save(&renewed).await?;
    Ok(renewed)
}
