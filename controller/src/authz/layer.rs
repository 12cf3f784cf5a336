//! The table as a tower layer: in front of every service, behind the listener.
//!
//! It reads the connection's [`PeerInfo`], which the listener put into the request's extensions, and hands the
//! caller's identity on as [`Caller`]. Without a `PeerInfo` (a service mounted on some other listener) everybody is
//! anonymous: default deny holds by construction.

use std::{
    task::{Context, Poll},
    time::SystemTime,
};

use futures::future::{Either, Ready, ready};
use tonic::{
    Status,
    body::Body,
    codegen::http::{Request, Response},
};
use tower::{Layer, Service};

use super::table::{Denial, authorize};
use crate::{
    identity::spiffe::Identity,
    tls::{Peer, PeerInfo},
};

/// Who makes a call that was let through; absent on an anonymous one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller(pub Identity);

/// Puts the table in front of a service.
#[derive(Clone, Copy, Debug, Default)]
pub struct AuthorizeLayer;

impl<S> Layer<S> for AuthorizeLayer {
    type Service = Authorize<S>;

    fn layer(&self, inner: S) -> Authorize<S> {
        Authorize { inner }
    }
}

/// A service with the table in front of it.
#[derive(Clone, Debug)]
pub struct Authorize<S> {
    inner: S,
}

impl<S, B> Service<Request<B>> for Authorize<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<Response<Body>, S::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let info = request.extensions().get::<PeerInfo>();
        let peer = info.map_or(&Peer::Anonymous, |info| &info.peer);
        match authorize(request.uri().path(), peer, SystemTime::now()) {
            Ok(caller) => {
                if let Some(identity) = caller {
                    request.extensions_mut().insert(Caller(identity));
                }
                Either::Left(self.inner.call(request))
            }
            Err(denial) => {
                let address = info.map(|info| info.address);
                tracing::info!(?address, path = request.uri().path(), %denial, "denied a call");
                Either::Right(ready(Ok(status(&denial).into_http())))
            }
        }
    }
}

fn status(denial: &Denial) -> Status {
    match denial {
        Denial::Anonymous | Denial::Expired { .. } | Denial::Unrecognised { .. } => {
            Status::unauthenticated(denial.to_string())
        }
        Denial::Forbidden { .. } => Status::permission_denied(denial.to_string()),
        Denial::Unknown { .. } => Status::unimplemented(denial.to_string()),
    }
}
