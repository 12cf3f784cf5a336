//! Becoming somebody, staying so, and every way in which that fails.
//!
//! Login with the CA pinned by the token, the credential on disk, renewal in the last third of its life; then tokens that
//! are cut off, used, unknown or meant for an agent, a controller of another CA, certificates that have expired or are not
//! taken, roles that do not suffice. Each failure is judged by its exit code, by what it says to do, and by what it left
//! behind, which is nothing.

use std::os::unix::fs::PermissionsExt;

use anyhow::Result;

use crate::{controller::Controller, runner::Person};

#[tokio::test]
async fn a_token_becomes_a_credential_once() -> Result<()> {
    let controller = Controller::start().await?;
    let (person, server) = (Person::new()?, controller.address.to_string());
    let token = controller.token("role/admin/admin");
    let login = person.run(&["login", "--server", &server, &token]).await?;
    assert_eq!((login.code, login.out.as_str()), (0, ""), "{login:?}");
    assert!(login.err.contains("as spiffe://ferry.local/role/admin/admin"), "{login:?}");
    assert_eq!(std::fs::metadata(person.config())?.permissions().mode() & 0o777, 0o600);

    let version = person.run(&["version", "-o", "json"]).await?;
    let shown: serde_json::Value = serde_json::from_str(&version.out)?;
    assert_eq!(shown["server"]["identity"], "spiffe://ferry.local/role/admin/admin");
    assert_eq!(shown["server"]["version"], "9.9.9");

    let other = Person::new()?;
    let again = other.run_with(&["login", "--server", &server, "-"], &token).await?;
    again.failed_with(4, &["this token was used before", "ferry token create role"]);
    assert!(!other.config().exists());
    Ok(())
}

#[tokio::test]
async fn the_token_may_come_from_standard_input() -> Result<()> {
    let controller = Controller::start().await?;
    let person = Person::new()?;
    let token = format!("{}\n", controller.token("role/viewer/eve"));
    let login = person.run_with(&["login", "--server", &controller.address.to_string(), "-"], &token).await?;
    assert_eq!(login.code, 0, "{login:?}");
    let again =
        person.run_with(&["login", "-"], &format!("{}\n", controller.token("role/viewer/eve"))).await?;
    assert_eq!(again.code, 0, "the server of the earlier login is kept: {again:?}");
    Ok(())
}

#[tokio::test]
async fn a_controller_of_another_ca_is_not_trusted() -> Result<()> {
    let (controller, other) = (Controller::start().await?, Controller::start().await?);
    let person = Person::new()?;
    let token = other.token("role/admin/admin");
    let server = controller.address.to_string();
    let login = person.run(&["login", "--server", &server, &token]).await?;
    login.failed_with(4, &["is not trusted", "unknown authority", "to do"]);
    assert_eq!(controller.calls("enroll"), 0, "the token was not shown to a stranger");
    assert!(!person.config().exists());

    let admin = Person::logged_in(&other, "role/admin/admin").await?;
    let elsewhere = admin.run(&["clusters", "--server", &server]).await?;
    elsewhere.failed_with(4, &["is not trusted", "unknown authority"]);
    Ok(())
}

#[tokio::test]
async fn bad_tokens_are_told_apart() -> Result<()> {
    let controller = Controller::start().await?;
    let (person, server) = (Person::new()?, controller.address.to_string());
    let token = controller.token("role/admin/admin");
    let cut = person.run(&["login", "--server", &server, &token[..50]]).await?;
    cut.failed_with(4, &["not a join token", "cut off"]);
    controller.book().tokens.clear();
    person.run(&["login", "--server", &server, &token]).await?.failed_with(4, &["no such token"]);
    let agents = controller.token("cluster/east");
    let login = person.run(&["login", "--server", &server, &agents]).await?;
    login.failed_with(4, &["for a cluster's agent", "spiffe://ferry.local/cluster/east", "used up"]);
    person.run(&["login", &token]).await?.failed_with(2, &["--server HOST:PORT"]);
    assert!(!person.config().exists());
    Ok(())
}

#[tokio::test]
async fn nobody_is_told_how_to_become_somebody() -> Result<()> {
    let person = Person::new()?;
    person.run(&["volumes"]).await?.failed_with(4, &["not logged in", "config.json", "ferry login --server"]);
    let kubectl = person.run_kubectl(&["volumes"]).await?;
    kubectl.failed_with(4, &["kubectl ferry login --server", "`kubectl ferry token create"]);
    let version = person.run(&["version"]).await?;
    version.failed_with(4, &["not logged in"]);
    assert!(version.out.starts_with("Client version:"), "{version:?}");
    assert_eq!(person.run(&["version", "--client"]).await?.code, 0);
    std::fs::write(person.config(), "{")?;
    person.run(&["volumes"]).await?.failed_with(1, &["is damaged"]);
    Ok(())
}

#[tokio::test]
async fn a_certificate_renews_itself_in_the_last_third_of_its_life() -> Result<()> {
    let controller = Controller::start().await?;
    let person = Person::logged_in(&controller, "role/viewer/eve").await?;
    assert_eq!(person.run(&["version"]).await?.code, 0);
    assert_eq!(controller.calls("renew"), 0);
    let old = person.field("certificatePem")?;
    person.edit("issuedUnixSeconds", 1_000.into())?;
    assert_eq!(person.run(&["version"]).await?.code, 0);
    assert_eq!(controller.calls("renew"), 1);
    assert_ne!(person.field("certificatePem")?, old);
    let version = person.run(&["version"]).await?;
    assert!(version.out.contains("spiffe://ferry.local/role/viewer/eve"), "{version:?}");
    assert_eq!(controller.calls("renew"), 1);
    Ok(())
}

#[tokio::test]
async fn expiry_is_said_before_and_after_dialling() -> Result<()> {
    let controller = Controller::start().await?;
    let person = Person::logged_in(&controller, "role/viewer/eve").await?;
    person.edit("expiresUnixSeconds", 1_700_000_000.into())?;
    let expired = person.run(&["clusters"]).await?;
    expired.failed_with(4, &["has expired", "2023-11-14T22:13:20.000Z", "login --server 127.0.0.1:"]);
    Ok(())
}

#[tokio::test]
async fn a_certificate_that_the_controller_does_not_take_is_named() -> Result<()> {
    let (controller, other) = (Controller::start().await?, Controller::start().await?);
    let person = Person::logged_in(&controller, "role/viewer/eve").await?;
    let stranger = Person::logged_in(&other, "role/viewer/eve").await?;
    for field in ["certificatePem", "privateKeyPem"] {
        person.edit(field, stranger.field(field)?)?;
    }
    let refused = person.run(&["clusters"]).await?;
    refused.failed_with(4, &["did not take the certificate of spiffe://ferry.local/role/viewer/eve"]);
    person.edit("privateKeyPem", "nothing".into())?;
    person.run(&["clusters"]).await?.failed_with(4, &["the credential in", "no private key in it"]);
    Ok(())
}

#[tokio::test]
async fn no_controller_is_said_at_once() -> Result<()> {
    let controller = Controller::start().await?;
    let person = Person::logged_in(&controller, "role/viewer/eve").await?;
    // Bound and never listened on: nobody else can have the port meanwhile.
    let silent = tokio::net::TcpSocket::new_v4()?;
    silent.bind("127.0.0.1:0".parse()?)?;
    person.edit("server", silent.local_addr()?.to_string().into())?;
    for command in [["clusters", "-o", "json"], ["watch", "-o", "json"], ["get", "-o", "json"]] {
        let lost = person.run(&command).await?;
        lost.failed_with(1, &["cannot reach the controller at 127.0.0.1:", "Connection refused"]);
    }
    person.run(&["clusters", "--server", "nonsense"]).await?.failed_with(2, &["nonsense", "HOST:PORT"]);
    Ok(())
}

#[tokio::test]
async fn a_denial_names_the_role_that_is_needed() -> Result<()> {
    let controller = Controller::start().await?;
    let viewer = Person::logged_in(&controller, "role/viewer/eve").await?;
    let denied = viewer.run(&["token", "create", "cluster", "east"]).await?;
    denied.failed_with(
        4,
        &["may not make tokens", "role admin", "you are spiffe://ferry.local/role/viewer/eve"],
    );
    assert_eq!(denied.out, "");
    Ok(())
}

#[tokio::test]
async fn the_token_stands_alone_on_standard_output() -> Result<()> {
    let controller = Controller::start().await?;
    let admin = Person::logged_in(&controller, "role/admin/admin").await?;
    let made = admin.run(&["token", "create", "role", "operator", "alice", "--ttl", "10m"]).await?;
    assert_eq!((made.code, made.out.as_str()), (0, "ferry1.secret.ca\n"), "{made:?}");
    assert!(made.err.contains("until 2026-09-21T14:23:20.000Z"), "{made:?}");
    assert!(made.err.contains("ferry login --server 127.0.0.1:"), "{made:?}");
    Ok(())
}
