//! The migrations that are struck: one after the other, to the other cluster each time.
//!
//! Each is started as an operator does, as often as it takes while the controller is away, gets a few blows at random
//! moments, and has to end by itself afterwards. What the command cannot say at the moment is asked again.
//!
//! A plan that is refused while an API server is away is asked for again; a migration that began has to complete.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use ferry_tests::app::crossing::Crossing;
use ferry_tests::app::etcd::Etcd;
use ferry_tests::ferry::{ADDRESS, Ferry};
use ferry_tests::world::{Config, World};
use rand::{RngExt as _, rngs::StdRng};
use serde::Serialize;
use serde_json::Value;

use crate::blow::{self, Blow};
use crate::link::Link;
use crate::report::Report;

/// Time for a migration to be accepted while things are struck, and to end after its last blow.
const ACCEPTED: Duration = Duration::from_secs(120);
const ENDED: Duration = Duration::from_secs(300);
/// Blows for one migration at most, and the longest pause before each.
const BLOWS: usize = 8;
const PAUSE: Duration = Duration::from_secs(4);
/// Between two questions.
const ASK: Duration = Duration::from_millis(250);

/// A database on its way, with everything that is needed to strike at it.
pub(crate) struct Journey {
    world: World,
    ferry: Ferry,
    links: Vec<(String, Link)>,
    etcd: Etcd,
    crossing: Crossing,
    blows: Vec<Blow>,
    migrations: Vec<Migration>,
}

/// How one migration ended.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Migration {
    pub(crate) id: String,
    pub(crate) to: String,
    pub(crate) phase: String,
    pub(crate) blows: usize,
    pub(crate) seconds: u64,
}

/// A migration as `ferry get` shows it.
struct Seen {
    id: String,
    to: String,
    phase: String,
    message: String,
}

impl Seen {
    fn has_ended(&self) -> bool {
        matches!(self.phase.as_str(), "completed" | "refused" | "rolled-back")
    }
}

impl Journey {
    /// Brings up the clusters, Ferry with links that can be cut, and the database.
    pub(crate) async fn begin(dir: &Path, config: &Config) -> Result<Self> {
        let world = World::up(dir, config).await?;
        let ferry = Ferry::install(&world).await?;
        let mut links = Vec::new();
        for cluster in world.clusters() {
            let link = Link::open(ADDRESS).await?;
            reroute(&ferry, cluster.name(), &link.address())?;
            ferry.attached(cluster.name()).await?;
            links.push((cluster.name().to_owned(), link));
        }
        let etcd = Etcd::default();
        let crossing = Crossing::begin(&world, "east", &etcd).await?;
        Ok(Self { world, ferry, links, etcd, crossing, blows: Vec::new(), migrations: Vec::new() })
    }

    /// Migrates back and forth until `wanted` blows have fallen and the last migration has ended.
    pub(crate) async fn go(&mut self, rng: &mut StdRng, wanted: usize) -> Result<()> {
        let mut sides = ("east", "west");
        while self.blows.len() < wanted {
            let began = Instant::now();
            let id = self.start(sides.1).await.with_context(|| format!("to {}", sides.1))?;
            let before = self.blows.len();
            let ended = self.struck(rng, &id, wanted).await;
            let ended = ended.with_context(|| format!("migration {id} to {}", sides.1))?;
            let blows = self.blows.len() - before;
            let seconds = began.elapsed().as_secs();
            println!("chaos: {id} to {} {} after {blows} blows, {seconds} s", ended.to, ended.phase);
            let Seen { id, to, phase, .. } = ended;
            if phase == "completed" {
                sides = (sides.1, sides.0);
            }
            self.migrations.push(Migration { id, to, phase, blows, seconds });
        }
        Ok(())
    }

    /// Strikes at one migration until it has ended; how it did.
    async fn struck(&mut self, rng: &mut StdRng, id: &str, wanted: usize) -> Result<Seen> {
        let most = (self.blows.len() + BLOWS).min(wanted);
        while self.blows.len() < most {
            tokio::time::sleep(PAUSE.mul_f64(rng.random_range(0.0..1.0))).await;
            if let Ok(Some(seen)) = self.seen(id).await
                && seen.has_ended()
            {
                return Ok(seen);
            }
            let blow = blow::strike(&self.world, &self.ferry, &self.links, rng).await?;
            println!("chaos: {:>3} {blow}", self.blows.len() + 1);
            self.blows.push(blow);
        }
        let last = Instant::now();
        loop {
            let seen = self.seen(id).await;
            match &seen {
                Ok(Some(seen)) if seen.has_ended() => {}
                _ if last.elapsed() < ENDED => {
                    tokio::time::sleep(ASK).await;
                    continue;
                }
                Ok(Some(seen)) => {
                    bail!("not ended {ENDED:?} after the last blow: {}: {}", seen.phase, seen.message)
                }
                _ => {}
            }
            return seen?.context("the migration is not listed");
        }
    }

    /// Starts a migration, again until it is accepted; its id.
    async fn start(&self, to: &str) -> Result<String> {
        let began = Instant::now();
        let known = self.listed().await.unwrap_or_default().first().map(|seen| seen.id.clone());
        let set = format!("statefulset/{}", self.etcd.name);
        let arguments = ["migrate", "-n", &self.etcd.namespace, &set, "--to", to, "--yes", "--detach"];
        loop {
            let said = self.ferry.cli().run(&arguments).await?;
            // The answer may be lost where the migration is not.
            if let Ok(listed) = self.listed().await
                && let Some(newest) = listed.into_iter().next()
                && Some(&newest.id) != known.as_ref()
                && newest.to == to
                && newest.phase != "refused"
            {
                return Ok(newest.id);
            }
            if began.elapsed() > ACCEPTED {
                bail!("not accepted within {ACCEPTED:?}: {said}");
            }
            tokio::time::sleep(ASK).await;
        }
    }

    async fn seen(&self, id: &str) -> Result<Option<Seen>> {
        Ok(self.listed().await?.into_iter().find(|seen| seen.id == id))
    }

    /// The migrations, the newest first.
    async fn listed(&self) -> Result<Vec<Seen>> {
        let listed = self.ferry.cli().run(&["get", "-n", &self.etcd.namespace, "-o", "json"]).await?;
        let listed = listed.success()?.json()?;
        let items = listed["items"].as_array().context("no list of migrations")?;
        let text = |item: &Value, field: &str| item[field].as_str().unwrap_or_default().to_owned();
        Ok(items
            .iter()
            .map(|item| Seen {
                id: text(item, "id"),
                to: text(item, "to"),
                phase: text(item, "phase"),
                message: text(item, "message"),
            })
            .collect())
    }

    /// Stops the writer and the observer, and says what came of it all.
    pub(crate) async fn end(self, seed: u64, began: Instant, went: Result<()>) -> Result<Report> {
        let mut outcome = self.crossing.end().await?;
        outcome.seconds = began.elapsed().as_secs();
        let handoffs = self.migrations.iter().filter(|migration| migration.phase == "completed").count()
            * self.etcd.replicas as usize;
        let failure = went.err().map(|failure| format!("{failure:#}"));
        Ok(Report::new(seed, self.blows, self.migrations, handoffs, outcome, failure))
    }
}

/// Makes an agent dial the link instead of the controller.
fn reroute(ferry: &Ferry, cluster: &str, address: &str) -> Result<()> {
    let agent = ferry.agent(cluster)?;
    let mut spec = agent.spec()?;
    let place = spec.command.iter().position(|argument| argument == "--controller");
    let place = place.context("an agent without --controller")?;
    address.clone_into(&mut spec.command[place + 1]);
    agent.kill()?;
    agent.launch(&spec)
}
