//! Peers that mean no good: silent ones, ones that speak something else, ones that come in crowds.
//!
//! Each must cost the controller a bounded amount for a bounded time, and leave it serving others meanwhile: that is
//! what every test here ends with. Floods within a valid HTTP/2 connection are the HTTP library's to stop, with the
//! limits that `serve` sets.

use anyhow::Result;
use ferry_proto::admin::v1::GetVersionRequest;
use rustls::version::TLS13;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{client::World, process::DEADLINE};

async fn serves(world: &World) -> Result<()> {
    let mut admin = world.server.admin(&world.admin).await?;
    timeout(DEADLINE, admin.get_version(GetVersionRequest {})).await??;
    Ok(())
}

/// Waits until the other side has closed; what it said before.
async fn closed(stream: &mut (impl AsyncReadExt + Unpin)) -> Result<Vec<u8>> {
    let mut said = Vec::new();
    // A reset is an end too.
    let _reset = timeout(DEADLINE, stream.read_to_end(&mut said)).await?;
    Ok(said)
}

#[tokio::test]
async fn a_peer_that_never_begins_its_handshake_is_dropped() -> Result<()> {
    let world = World::new().await?;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(TcpStream::connect(world.server.address).await?);
    }
    serves(&world).await?;
    for stream in &mut silent {
        assert_eq!(closed(stream).await?, b"");
    }
    serves(&world).await
}

#[tokio::test]
async fn plain_http_and_noise_are_dropped_at_once() -> Result<()> {
    let world = World::new().await?;
    for words in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[0xff; 600]] {
        let mut stream = TcpStream::connect(world.server.address).await?;
        stream.write_all(words).await?;
        timeout(DEADLINE, closed(&mut stream)).await??;
    }
    serves(&world).await
}

#[tokio::test]
async fn noise_after_the_handshake_ends_the_connection() -> Result<()> {
    let world = World::new().await?;
    for words in [&b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"[..], &[0; 4_096]] {
        let mut stream = world.server.tls(None, &TLS13).await?;
        stream.write_all(words).await?;
        timeout(DEADLINE, closed(&mut stream)).await??;
    }
    serves(&world).await
}
