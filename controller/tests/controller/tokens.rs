//! Join tokens and credentials: once, for the right controller, and only with a sound request.
//!
//! Each wrong token has its own words, because the person who holds it must know whether to copy it again, to ask for
//! another, or to ask another controller. What a token buys is read from the certificate, not from the response. The
//! handshake's own refusals (another CA, an older TLS) are here as well.

use anyhow::{Context, Result};
use ferry_controller::identity::token::hex;
use ferry_proto::{
    admin::v1::GetVersionRequest,
    enroll::v1::{RenewRequest, enroll_service_client::EnrollServiceClient},
};
use rcgen::KeyPair;
use rustls::version::{TLS12, TLS13};
use sha2::{Digest, Sha256};
use tonic::Code;

use crate::{
    client::{Credential, Server, World, cluster, request, role, token_for},
    process::BINARY,
};

#[tokio::test]
async fn a_token_works_once() -> Result<()> {
    let world = World::new().await?;
    let mut admin = world.server.admin(&world.admin).await?;
    let token = admin.create_token(token_for(cluster("east"))).await?.into_inner().token;
    let key = KeyPair::generate()?;
    let response = world.server.try_enroll(&token, &request(&key)?).await??;
    assert_eq!(response.identity, "spiffe://ferry.local/cluster/east");
    assert!(response.ca_pem.contains("BEGIN CERTIFICATE") && !response.ca_pem.contains("PRIVATE"));
    let status = world.server.try_enroll(&token, &request(&key)?).await?.err().context("used twice")?;
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(status.message().contains("used"), "{status}");
    Ok(())
}

#[tokio::test]
async fn a_hundred_at_once_get_one_certificate() -> Result<()> {
    let world = World::new().await?;
    let mut admin = world.server.admin(&world.admin).await?;
    let token = admin.create_token(token_for(cluster("east"))).await?.into_inner().token;
    let csr = request(&KeyPair::generate()?)?;
    let tries = (0..100).map(|_| world.server.try_enroll(&token, &csr));
    let results = futures::future::try_join_all(tries).await?;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    Ok(())
}

#[tokio::test]
async fn a_bad_request_does_not_use_the_token_up() -> Result<()> {
    let world = World::new().await?;
    let mut admin = world.server.admin(&world.admin).await?;
    let token = admin.create_token(token_for(cluster("east"))).await?.into_inner().token;
    let status = world.server.try_enroll(&token, "hello").await?.err().context("refused")?;
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    world.server.enroll(&token).await?;
    Ok(())
}

#[tokio::test]
async fn wrong_tokens_are_told_apart() -> Result<()> {
    let (world, other) = (World::new().await?, World::new().await?);
    let csr = request(&KeyPair::generate()?)?;
    let foreign = {
        let mut admin = other.server.admin(&other.admin).await?;
        admin.create_token(token_for(cluster("east"))).await?.into_inner().token
    };
    let mut admin = world.server.admin(&world.admin).await?;
    let good = admin.create_token(token_for(cluster("east"))).await?.into_inner().token;
    let unknown = good.replacen(&good[7..11], if &good[7..11] == "AAAA" { "BBBB" } else { "AAAA" }, 1);
    for (token, reason) in
        [("nonsense", "not a join token"), (&foreign, "for another controller"), (&unknown, "token")]
    {
        let status = world.server.try_enroll(token, &csr).await?.err().context("refused")?;
        assert_eq!(status.code(), Code::Unauthenticated, "{status}");
        assert!(status.message().contains(reason), "{status}");
    }
    Ok(())
}

#[tokio::test]
async fn odd_subjects_and_times_are_refused() -> Result<()> {
    let world = World::new().await?;
    let mut admin = world.server.admin(&world.admin).await?;
    let mut requests = vec![
        token_for(cluster("")),
        token_for(cluster("East")),
        token_for(cluster("a/b")),
        token_for(role("root")),
        token_for(role("")),
    ];
    for ttl_seconds in [1, 59, 604_801, u32::MAX] {
        let mut request = token_for(cluster("east"));
        request.ttl_seconds = ttl_seconds;
        requests.push(request);
    }
    requests.push(Default::default());
    for request in requests {
        let status = admin.create_token(request.clone()).await.err().context("refused")?;
        assert_eq!(status.code(), Code::InvalidArgument, "{request:?}: {status}");
    }
    Ok(())
}

#[tokio::test]
async fn a_certificate_is_renewed_for_the_same_identity() -> Result<()> {
    let world = World::new().await?;
    let east = world.server.join(&world.admin, cluster("east")).await?;
    let mut client = EnrollServiceClient::new(world.server.channel(Some(&east)).await?);
    let key = KeyPair::generate()?;
    let response = client.renew(RenewRequest { csr_pem: request(&key)? }).await?.into_inner();
    let certificate = rustls_pki_types::pem::PemObject::from_pem_slice(response.certificate_pem.as_bytes())?;
    let renewed = Credential { certificate, key };
    let (_, parsed) = x509_parser::parse_x509_certificate(&renewed.certificate)?;
    let identity = ferry_controller::identity::spiffe::Identity::of_certificate(&parsed, "ferry.local")?;
    assert_eq!(identity.to_string(), "spiffe://ferry.local/cluster/east");
    world.server.channel(Some(&renewed)).await?;
    Ok(())
}

#[tokio::test]
async fn a_stopped_controller_gives_an_admin_a_new_way_in() -> Result<()> {
    let World { controller, server, admin: _, data } = World::new().await?;
    let make = || {
        let mut command = std::process::Command::new(BINARY);
        command.args(["admin-token", "--data"]).arg(data.path()).args(["--name", "second"]).output()
    };
    let refused = make()?;
    assert_eq!(refused.status.code(), Some(1), "the controller runs");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("in use by another controller"));
    let address = controller.address;
    controller.terminate()?;
    let said = String::from_utf8(make()?.stdout)?;
    let token = said.trim().rsplit(' ').next().context("token")?;
    let _controller = data.start_at(address)?;
    let second = server.enroll(token).await?;
    let mut admin = server.admin(&second).await?;
    let version = admin.get_version(GetVersionRequest {}).await?.into_inner();
    assert_eq!(version.identity, "spiffe://ferry.local/role/admin/second");
    Ok(())
}

#[tokio::test]
async fn the_server_shows_the_ca_that_tokens_pin() -> Result<()> {
    let world = World::new().await?;
    let connection = world.server.tls(None, &TLS13).await?;
    let chain = connection.get_ref().1.peer_certificates().context("chain")?;
    assert_eq!(chain.len(), 2, "leaf and CA");
    let mut admin = world.server.admin(&world.admin).await?;
    let token = admin.create_token(token_for(cluster("east"))).await?.into_inner().token;
    assert!(token.ends_with(&format!(".{}", hex(&Sha256::digest(&chain[1])))));
    Ok(())
}

#[tokio::test]
async fn only_our_ca_and_only_tls_1_3() -> Result<()> {
    let (world, other) = (World::new().await?, World::new().await?);
    assert!(world.server.tls(None, &TLS12).await.is_err(), "TLS 1.2 was spoken");
    // In TLS 1.3 the client learns of a refused certificate with the first answer.
    let foreign = &other.admin;
    let refused = match world.server.admin(foreign).await {
        Err(_) => true,
        Ok(mut admin) => admin.get_version(GetVersionRequest {}).await.is_err(),
    };
    assert!(refused, "another CA's certificate was believed");
    let mistaken = Server::new(&other.data, &world.controller)?;
    assert!(mistaken.channel(None).await.is_err(), "the client believed another CA");
    Ok(())
}
