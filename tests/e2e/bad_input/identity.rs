//! Tokens and certificates that are wrong, used up, or too old.
//!
//! Each is tried as a person would (`ferry login`) and, where an agent meets it too, as an agent. After a failure nobody
//! is logged in, and who was logged in before still is. Nothing here turns a clock: a token and certificates with the
//! shortest lives that the controller makes are left until they are over. The token takes a minute, so the first case
//! that needs one makes it and the last one looks at it.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use ferry_tests::ferry::{ADDRESS, Cli};
use ferry_tests::world::Wait;

use super::expect;
use super::spare::{Spare, folder, run, text};
use crate::stage::Stage;

/// Ports of the spare controllers of this file.
const FOREIGN: u16 = 7451;
const SHORT_LIVED: u16 = 7452;
/// Life of the token that is left to expire: the shortest that the controller makes.
const TOKEN_LIFE: Duration = Duration::from_secs(60);
/// Life of the certificates that are left to expire: the shortest that the controller makes.
const CERTIFICATE_LIFE: Duration = Duration::from_secs(10);

/// A token and when it was made. The first case of this file makes it, the last one finds it expired.
static DOOMED: OnceLock<(String, Instant)> = OnceLock::new();

/// A token of the world's controller for a viewer.
async fn token(stage: &Stage, name: &str, more: &[&str]) -> Result<String> {
    let arguments = [&["token", "create", "role", "viewer", name], more].concat();
    let made = stage.ferry.cli().run(&arguments).await?.success()?;
    Ok(made.stdout.trim().to_owned())
}

async fn doomed(stage: &Stage) -> Result<(String, Instant)> {
    if let Some(made) = DOOMED.get() {
        return Ok(made.clone());
    }
    let made = (token(stage, "late", &["--ttl", "60s"]).await?, Instant::now());
    Ok(DOOMED.get_or_init(|| made).clone())
}

/// A person who has not logged in yet.
fn stranger(stage: &Stage, name: &str) -> Result<Cli> {
    let config = folder(&stage.world, name);
    ensure!(!config.exists(), "{} is used already", config.display());
    Ok(Cli::new(ferry_tests::ferry::program("ferry")?, config))
}

/// After a login that failed nobody is logged in.
async fn still_a_stranger(cli: &Cli) -> Result<()> {
    expect(&cli.run(&["clusters"]).await?, 4, &["not logged in", "ferry login --server"])
}

/// Something else, another controller's, and one with a wrong secret; for a person and for an agent.
pub(super) async fn wrong_token(stage: &Stage) -> Result<()> {
    doomed(stage).await?;
    let cli = stranger(stage, "wrong-token")?;
    let login = async |token: &str| cli.run(&["login", "--server", ADDRESS, token]).await;
    expect(
        &login("open-sesame").await?,
        4,
        &["not a join token", "found", "expected", "copy the whole token"],
    )?;

    let foreign = Spare::begin(folder(&stage.world, "foreign"), FOREIGN, &[]).await?;
    let made = foreign.admin().await?.run(&["token", "create", "role", "viewer", "v"]).await?.success()?;
    expect(&login(made.stdout.trim()).await?, 4, &["is not trusted", "another controller", ADDRESS])?;

    let forged = forge(&token(stage, "forged", &[]).await?)?;
    expect(&login(&forged).await?, 4, &["no such token is known here", "ferry token create"])?;
    still_a_stranger(&cli).await?;

    let state = text(&folder(&stage.world, "wrong-token-agent"));
    let kubeconfig = text(stage.world.cluster("east")?.kubeconfig());
    let agent = async |token: &str| {
        let place = ["--controller", ADDRESS, "--state", &state, "--kubeconfig", &kubeconfig];
        run(&stage.world, "ferry-agent", &[place.as_slice(), &["--token", token]].concat()).await
    };
    expect(&agent("open-sesame").await?, 1, &["join token"])?;
    expect(&agent(&forged).await?, 1, &["no such token is known here", "ferry token create"])
}

/// A token with another secret: the controller's fingerprint is right, so it is the controller that refuses.
fn forge(token: &str) -> Result<String> {
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    let secret = parts.get_mut(1).context("a token of one part")?;
    let first = if secret.starts_with('A') { "B" } else { "A" };
    secret.replace_range(..1, first);
    Ok(parts.join("."))
}

/// A token works once; the second one who tries is told so, the first one stays logged in.
pub(super) async fn used_twice(stage: &Stage) -> Result<()> {
    let token = token(stage, "once", &[]).await?;
    let (first, second) = (stranger(stage, "first")?, stranger(stage, "second")?);
    let login = ["login", "--server", ADDRESS, &token];
    first.run(&login).await?.success()?;
    expect(&second.run(&login).await?, 4, &["used", "ferry token create"])?;
    still_a_stranger(&second).await?;
    first.run(&["clusters"]).await?.success().map(drop)
}

/// A token that was left lying.
pub(super) async fn expired_token(stage: &Stage) -> Result<()> {
    let (token, made) = doomed(stage).await?;
    tokio::time::sleep_until((made + TOKEN_LIFE + Duration::from_secs(1)).into()).await;
    let cli = stranger(stage, "late")?;
    expect(&cli.run(&["login", "--server", ADDRESS, &token]).await?, 4, &["expired", "ferry token create"])?;
    still_a_stranger(&cli).await
}

/// A person and an agent who were away for longer than their certificates live, and the way back for both.
pub(super) async fn expired_certificates(stage: &Stage) -> Result<()> {
    let folder = folder(&stage.world, "expired");
    let life = format!("{}s", CERTIFICATE_LIFE.as_secs());
    let mut spare = Spare::begin(folder.clone(), SHORT_LIVED, &["--cert-ttl", &life]).await?;
    let admin = spare.admin().await?;
    let made = admin.run(&["token", "create", "cluster", "away"]).await?.success()?;
    let (state, kubeconfig) = (text(&folder.join("agent")), text(stage.world.cluster("east")?.kubeconfig()));
    let start = ["--controller", &spare.address, "--state", &state, "--kubeconfig", &kubeconfig];
    let with_token = [start.as_slice(), &["--token", made.stdout.trim()]].concat();
    let agent = stage.world.process("bad-input/agent-away");
    agent.launch(&ferry_tests::world::Spec::new(&ferry_tests::ferry::program("ferry-agent")?, with_token))?;
    Wait::new("the agent to be attached", Duration::from_secs(10))
        .on(&agent)
        .until(async || {
            let listed = admin.run(&["clusters", "-o", "json"]).await?.success()?;
            Ok(listed.is_attached("away")?.then_some(()))
        })
        .await?;
    agent.kill()?;
    tokio::time::sleep(CERTIFICATE_LIFE + Duration::from_secs(1)).await;

    let expired = run(&stage.world, "ferry-agent", &start).await?;
    expect(&expired, 1, &["cluster/away", "expired at", "ferry token create"])?;
    let expired = admin.run(&["clusters"]).await?;
    expect(&expired, 4, &["the certificate of", "has expired", "valid until", "ferry login --server"])?;

    spare.stop().await?;
    let made =
        run(&stage.world, "ferry-controller", &["admin-token", "--data", &text(&spare.data())]).await?;
    let made = made.success()?;
    let token = made.stdout.split_whitespace().last().context("no token")?.to_owned();
    spare.start().await?;
    admin.run(&["login", "--server", &spare.address, &token]).await?.success()?;
    let listed = admin.run(&["clusters", "-o", "json"]).await?.success()?;
    ensure!(!listed.is_attached("away")? && listed.stdout.contains("away"), "the ledger was lost: {listed}");
    Ok(())
}
