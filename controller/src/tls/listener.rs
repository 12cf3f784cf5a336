//! Accepting connections: caps, handshake deadline, and who is there, before any HTTP is spoken.
//!
//! tonic's own TLS has no handshake deadline, no cap on connections and no reload, so accepting is ours; the HTTP/2
//! that follows is tonic's server, with its limits set in `serve`. A handshake runs in a task of its own: a slow peer
//! delays nobody, and the number of unfinished ones is bounded apart from the number of connections.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::SystemTime,
};

use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Sleep, sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tonic::transport::server::Connected;

use super::peer::{Peer, PeerInfo};
use crate::limits;

/// A bound socket that yields authenticated connections.
pub struct Listener {
    socket: TcpListener,
    acceptor: TlsAcceptor,
    trust_domain: Arc<str>,
    /// Places for connections without an identity.
    strangers: Arc<Semaphore>,
}

/// A connection after its handshake. It gives its place back when it is dropped.
pub struct Connection {
    stream: TlsStream<TcpStream>,
    info: PeerInfo,
    /// When an anonymous connection has lived long enough: it may enrol, not stay.
    end: Option<Pin<Box<Sleep>>>,
    _stranger: Option<OwnedSemaphorePermit>,
    _place: OwnedSemaphorePermit,
}

impl Listener {
    /// Binds `address`.
    pub async fn bind(address: SocketAddr, config: ServerConfig, trust_domain: &str) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let strangers = Arc::new(Semaphore::new(limits::MAX_STRANGERS));
        Ok(Self { socket, acceptor, trust_domain: trust_domain.into(), strangers })
    }

    /// Where it listens, with the port that the system chose.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Accepts until the receiver is dropped; finished handshakes come out of it.
    pub fn connections(self) -> mpsc::Receiver<io::Result<Connection>> {
        let (ready, connections) = mpsc::channel(1);
        tokio::spawn(self.accept(ready));
        connections
    }

    async fn accept(self, ready: mpsc::Sender<io::Result<Connection>>) {
        let places = Arc::new(Semaphore::new(limits::MAX_CONNECTIONS));
        let handshakes = Arc::new(Semaphore::new(limits::MAX_HANDSHAKES));
        loop {
            // Without a free place nothing is accepted: peers wait in the kernel's bounded backlog.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let Ok(handshake) = Arc::clone(&handshakes).acquire_owned().await else { return };
            let accepted = tokio::select! {
                () = ready.closed() => return,
                accepted = self.socket.accept() => accepted,
            };
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection; waiting a moment");
                    tokio::time::sleep(limits::ACCEPT_RETRY).await;
                    continue;
                }
            };
            let (acceptor, ready) = (self.acceptor.clone(), ready.clone());
            let (trust_domain, strangers) = (Arc::clone(&self.trust_domain), Arc::clone(&self.strangers));
            tokio::spawn(async move {
                let shaken = shake(acceptor, stream, address, &trust_domain).await;
                let connection = shaken.and_then(|(stream, info)| admit(stream, info, strangers, place));
                drop(handshake);
                if let Some(connection) = connection {
                    // The server is gone only when the process ends.
                    let _gone = ready.send(Ok(connection)).await;
                }
            });
        }
    }
}

/// Finishes one handshake in time, or says in the log why not.
async fn shake(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    address: SocketAddr,
    trust_domain: &str,
) -> Option<(TlsStream<TcpStream>, PeerInfo)> {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%address, %error, "cannot set TCP_NODELAY");
    }
    let stream = match timeout(limits::HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::info!(%address, %error, "TLS handshake failed");
            return None;
        }
        Err(_) => {
            tracing::info!(%address, "TLS handshake took too long");
            return None;
        }
    };
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let peer =
        certificate.map_or(Peer::Anonymous, |certificate| Peer::of_certificate(certificate, trust_domain));
    Some((stream, PeerInfo { address, peer }))
}

/// Gives a connection its place; one without an identity gets one of a few, for a while.
fn admit(
    stream: TlsStream<TcpStream>,
    info: PeerInfo,
    strangers: Arc<Semaphore>,
    place: OwnedSemaphorePermit,
) -> Option<Connection> {
    let (mut end, mut stranger) = (None, None);
    // An expired certificate is worth a word, not a place for good.
    if !matches!(&info.peer, Peer::Certified { not_after, .. } if *not_after > SystemTime::now()) {
        let Ok(permit) = strangers.try_acquire_owned() else {
            tracing::warn!(address = %info.address, "too many connections without an identity");
            return None;
        };
        stranger = Some(permit);
        end = Some(Box::pin(sleep(limits::ANONYMOUS_LIFETIME)));
    }
    Some(Connection { stream, info, end, _stranger: stranger, _place: place })
}

impl Connected for Connection {
    type ConnectInfo = PeerInfo;

    fn connect_info(&self) -> PeerInfo {
        self.info.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.end.as_mut().is_some_and(|end| end.as_mut().poll(context).is_ready()) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
