//! The way from an agent to the controller, which can be cut: a relay that stops to forward.
//!
//! What a cut looks like from both ends: connections stay open, nothing arrives, new ones are accepted by nobody that
//! answers. It ends as suddenly as it began, with what was under way still in the buffers. TLS goes through it from end
//! to end; the relay knows nothing of what it carries.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Bytes that are forwarded at once.
const CHUNK: usize = 16 * 1024;

/// A relay to the controller.
pub(crate) struct Link {
    address: SocketAddr,
    open: watch::Sender<bool>,
}

impl Link {
    /// Opens a way to `controller`.
    pub(crate) async fn open(controller: &'static str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("a relay's address")?;
        let address = listener.local_addr()?;
        let (open, state) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(relay(near, controller, state.clone()));
            }
        });
        Ok(Self { address, open })
    }

    /// Where an agent dials instead.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Cuts it, or joins it again.
    pub(crate) fn set(&self, open: bool) {
        self.open.send_replace(open);
    }
}

async fn relay(near: TcpStream, controller: &str, mut open: watch::Receiver<bool>) {
    if open.wait_for(|open| *open).await.is_err() {
        return;
    }
    let Ok(far) = TcpStream::connect(controller).await else { return };
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    tokio::select! {
        () = forward(near_read, far_write, open.clone()) => {}
        () = forward(far_read, near_write, open) => {}
    }
}

/// Forwards until one end closes.
async fn forward(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut open: watch::Receiver<bool>,
) {
    let mut chunk = vec![0; CHUNK];
    while let Ok(length @ 1..) = from.read(&mut chunk).await {
        if open.wait_for(|open| *open).await.is_err() || to.write_all(&chunk[..length]).await.is_err() {
            return;
        }
    }
}
