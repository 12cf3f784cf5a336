//! The plain HTTP listener: `/metrics`, `/healthz`, `/readyz`.
//!
//! Without TLS and without names, as scrapers and kubelets expect it: what is said here is numbers and states, no
//! secret and no content, and it is bound to where the operator says. One request a connection, a bounded number of
//! connections, a bounded time for each. `/healthz` says that the process answers at all; `/readyz` that it can do its
//! work now, or in words why not.

use std::{convert::Infallible, future::Future, io, net::SocketAddr, sync::Arc};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};

use crate::{exposition, limits};

/// What is asked here, answered by the program.
pub trait Watched: Send + Sync + 'static {
    /// Whether it can do its work now; if not, why.
    fn ready(&self) -> impl Future<Output = Result<(), String>> + Send;

    /// Its metrics, as [`exposition::Exposition::text`] writes them.
    fn metrics(&self) -> impl Future<Output = String> + Send;
}

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen on {address} for metrics and health: {source}. Give another address with --metrics-listen, or end \
     what listens there"
)]
pub struct Error {
    /// Where.
    pub address: SocketAddr,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// A bound socket.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    /// Where it listens: the port is known even if 0 was asked for.
    pub address: SocketAddr,
}

impl Listener {
    /// Listens on `address`.
    ///
    /// # Errors
    /// The port is taken, or the address is not of this machine.
    pub async fn bind(address: SocketAddr) -> Result<Self, Error> {
        let bound = async {
            let socket = TcpListener::bind(address).await?;
            let address = socket.local_addr()?;
            Ok(Self { socket, address })
        };
        bound.await.map_err(|source| Error { address, source })
    }

    /// Answers, for ever.
    pub async fn serve<W: Watched>(self, watched: Arc<W>) -> Infallible {
        let places = Arc::new(Semaphore::new(limits::CONNECTIONS));
        loop {
            let place = Arc::clone(&places).acquire_owned().await;
            match self.socket.accept().await {
                Ok((stream, _)) => {
                    let watched = Arc::clone(&watched);
                    tokio::spawn(async move {
                        // Whatever ends a connection concerns its peer only.
                        let _over = timeout(limits::ANSWER_TIMEOUT, converse(stream, watched)).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection for metrics; waiting a moment");
                    sleep(limits::ACCEPT_RETRY).await;
                }
            }
        }
    }
}

async fn converse<W: Watched>(stream: TcpStream, watched: Arc<W>) -> Result<(), hyper::Error> {
    let service = service_fn(|request| {
        let watched = Arc::clone(&watched);
        async move { Ok::<_, Infallible>(answer(&request, &*watched).await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::ANSWER_TIMEOUT)
        .max_buf_size(limits::REQUEST_HEAD_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

async fn answer(request: &Request<Incoming>, watched: &impl Watched) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n".to_owned());
    }
    match request.uri().path() {
        "/metrics" => {
            let mut response = text(StatusCode::OK, watched.metrics().await);
            let kind = HeaderValue::from_static(exposition::CONTENT_TYPE);
            response.headers_mut().insert(CONTENT_TYPE, kind);
            response
        }
        "/healthz" => text(StatusCode::OK, "ok\n".to_owned()),
        "/readyz" => match watched.ready().await {
            Ok(()) => text(StatusCode::OK, "ok\n".to_owned()),
            Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
        },
        _ => text(StatusCode::NOT_FOUND, "here are /metrics, /healthz and /readyz\n".to_owned()),
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

#[cfg(test)]
#[path = "listen_tests.rs"]
mod tests;
