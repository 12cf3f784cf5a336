//! Processes that are stopped between their check and their write, and go on when what they did was taken back.
//!
//! A command is stopped right before its write of one number, as SIGSTOP would stop its process: whatever it had to look
//! at it has seen. Another process of the same agent then takes the command back, or ends it and begins what comes next,
//! with a higher epoch or a later number, to its end. Then the first one goes on. Its write must fail at the API server,
//! or be one of those that `harmless` names with the reason; whatever it tries afterwards must change nothing: both
//! clusters' objects are as the later commands left them, uids and epochs included.
//!
//! A script holds one command after the other on one workload, each at the same number of a write.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use ferry_agent::outcome::{Evidence, Stop};
use tokio::task::JoinHandle;

use super::harmless;
use crate::{
    cases,
    clusters::Clusters,
    journey::{Journey, Verb, ordinals},
    proxy::{Fault, Proxy},
    snapshot::{self, Marks, Snapshot},
    witness,
    workload::{self, Shape},
};

/// Time for a command that is stopped meanwhile.
const HELD: Duration = Duration::from_secs(240);

/// One part of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    /// The command, to its end.
    Do(Verb),
    /// The handoff begins.
    Begin,
    /// It is about to be taken back.
    Withdraw,
    /// The command, stopped before its write of the run's number; one that has fewer ends.
    Hold(Verb),
    /// Every stopped process goes on. After writes that passed, these commands make the clusters as they were.
    Free(&'static [Move]),
    /// The next migration of the same workload.
    Next,
    /// The migration back, once everything has arrived.
    Turn,
}

use Move::{Begin, Do, Free, Hold, Next, Turn, Withdraw};
use Verb::{
    Accept, Adopt, EndSource, EndTarget, Fence, Finish, HoldSource, HoldTarget, PrepareSource, PrepareTarget,
    Reclaim, Release, Retire, SettleSource, SettleTarget, UnprepareSource, UnprepareTarget,
};

/// Every script, with a name. In one of them the held commands are at their places.
pub(crate) static SCRIPTS: [(&str, &[Move]); 5] = [
    (
        "prepared",
        &[
            Hold(PrepareSource),
            Do(UnprepareSource),
            Free(&[Do(UnprepareSource)]),
            Do(PrepareSource),
            Hold(PrepareTarget),
            Do(UnprepareTarget),
            Do(UnprepareSource),
            Free(&[Do(UnprepareTarget)]),
        ],
    ),
    (
        "held",
        &[
            Do(PrepareSource),
            Do(PrepareTarget),
            Begin,
            Hold(HoldSource),
            Withdraw,
            Do(Fence),
            Do(Reclaim),
            Do(UnprepareTarget),
            Do(UnprepareSource),
            Free(&[Do(UnprepareSource)]),
            Do(PrepareSource),
            Do(PrepareTarget),
            Begin,
            Do(HoldSource),
            Hold(HoldTarget),
            Withdraw,
            Do(Fence),
            Do(Reclaim),
            Do(UnprepareTarget),
            Do(UnprepareSource),
            Free(&[]),
        ],
    ),
    (
        "handed",
        &[
            Do(PrepareSource),
            Do(PrepareTarget),
            Begin,
            Do(HoldSource),
            Do(HoldTarget),
            Hold(Release),
            Withdraw,
            Do(Reclaim),
            Free(&[]),
            Begin,
            Do(HoldSource),
            Do(HoldTarget),
            Do(Release),
            Hold(Adopt),
            Withdraw,
            Do(Fence),
            Do(Reclaim),
            Free(&[Begin, Do(HoldTarget)]),
            Begin,
            Do(HoldSource),
            Do(HoldTarget),
            Do(Release),
            Do(Adopt),
            Withdraw,
            Hold(Fence),
            Do(Fence),
            Do(Reclaim),
            Begin,
            Do(HoldSource),
            Do(HoldTarget),
            Do(Release),
            Do(Adopt),
            Free(&[]),
            Withdraw,
            Do(Fence),
            Hold(Reclaim),
            Do(Reclaim),
            Begin,
            Do(HoldSource),
            Do(HoldTarget),
            Do(Release),
            Do(Adopt),
            Free(&[]),
        ],
    ),
    (
        "unprepared",
        &[
            Do(PrepareSource),
            Do(PrepareTarget),
            Hold(UnprepareTarget),
            Do(UnprepareTarget),
            Hold(UnprepareSource),
            Do(UnprepareSource),
            Next,
            Do(PrepareSource),
            Do(PrepareTarget),
            Free(&[]),
        ],
    ),
    (
        "ended",
        &[
            Do(PrepareSource),
            Do(PrepareTarget),
            Begin,
            Do(HoldSource),
            Do(HoldTarget),
            Do(Release),
            Do(Adopt),
            Hold(Retire),
            Do(Retire),
            Hold(SettleSource),
            Do(SettleSource),
            Hold(SettleTarget),
            Do(SettleTarget),
            Hold(EndSource),
            Do(EndSource),
            Hold(EndTarget),
            Do(EndTarget),
            Hold(Finish),
            Do(Finish),
            Hold(Accept),
            Do(Accept),
            Turn,
            Do(PrepareSource),
            Do(PrepareTarget),
            Begin,
            Do(HoldSource),
            Do(HoldTarget),
            Do(Release),
            Do(Adopt),
            Free(&[]),
        ],
    ),
];

/// A process that was stopped.
struct Held {
    verb: Verb,
    proxy: Proxy,
    task: JoinHandle<Result<Evidence, Stop>>,
}

/// What became of a held write.
#[derive(Clone, Debug)]
pub(crate) struct Late {
    /// The command.
    pub(crate) verb: Verb,
    /// The write.
    pub(crate) write: String,
    /// What the API server answered.
    pub(crate) status: u16,
}

struct Run<'a> {
    clusters: &'a Clusters,
    number: usize,
    journey: Journey,
    held: Vec<Held>,
    late: Vec<Late>,
}

/// Goes through the script of that name; each of its held commands is stopped before its write of that number.
pub(crate) async fn run(
    clusters: &Clusters,
    (name, script): (&str, &[Move]),
    number: usize,
) -> Result<Vec<Late>> {
    let namespace = format!("stopped-{name}-{number}");
    let shape = Shape { replicas: 1, parallel: number.is_multiple_of(2) };
    let journey = cases::planned(clusters, &namespace, shape).await?;
    let mut run = Run { clusters, number, journey, held: Vec::new(), late: Vec::new() };
    for (at, part) in script.iter().enumerate() {
        run.part(*part).await.with_context(|| format!("{namespace}: part {at}, {part:?}"))?;
    }
    cases::clear(clusters, &namespace).await?;
    Ok(run.late)
}

impl Run<'_> {
    async fn part(&mut self, part: Move) -> Result<()> {
        match part {
            Do(verb) => cases::step(self.clusters, &mut self.journey, verb).await.map(drop),
            Begin => {
                let slice = self.journey.slices[&self.journey.source];
                self.journey.begin(ordinals(slice).end - 1);
                Ok(())
            }
            Withdraw => {
                self.journey.withdraw();
                Ok(())
            }
            Hold(verb) => self.hold(verb).await,
            Free(repair) => self.free(repair).await,
            Next => {
                self.journey.migration.push_str("-next");
                Ok(())
            }
            Turn => {
                self.journey = self.journey.reversed(self.clusters).await?;
                Ok(())
            }
        }
    }

    async fn hold(&mut self, verb: Verb) -> Result<()> {
        let (proxy, journey) = (Proxy::at(self.number, Fault::Stopped), self.journey.clone());
        let client = self.clusters.through(journey.cluster(verb), &proxy);
        let mut task = tokio::spawn(async move { journey.carry_out_within(client, verb, HELD).await });
        // It was sent, and has its number.
        self.journey.accepted += 1;
        tokio::select! {
            ended = &mut task => {
                ended?.map_err(|stop| anyhow!("not stopped, and yet: {stop:?}"))?;
            }
            () = proxy.reached() => self.held.push(Held { verb, proxy, task }),
        }
        Ok(())
    }

    /// Lets every stopped process go on to its end, and compares.
    async fn free(&mut self, repair: &'static [Move]) -> Result<()> {
        if self.held.is_empty() {
            return Ok(());
        }
        let rest = Rest::of(self.clusters, &self.journey.namespace).await?;
        for Held { verb, proxy, task } in std::mem::take(&mut self.held) {
            proxy.go_on();
            proxy.landed().await;
            let ended = task.await?;
            let writes = proxy.writes();
            let held = writes.iter().find(|write| write.is_struck).context("no write was held")?;
            let status = held.status.context("the held write has no answer")?;
            let passed = (200..300).contains(&status);
            let faults = proxy.faults();
            ensure!(faults.is_empty(), "{}", faults.join("; "));
            let later = writes.iter().skip_while(|write| !write.is_struck).skip(1);
            let later = later.filter(|write| write.status.is_some_and(|status| status < 300));
            let name = held.name.replace(&self.journey.namespace, "NAMESPACE");
            let what = format!("{verb:?}, write {} ({name}), answered {status}", self.number);
            if let Some(later) = later.into_iter().next().filter(|_| !passed) {
                bail!("{what}: it went on and changed the clusters: {}; it ended with {ended:?}", later.name);
            }
            ensure!(
                !passed || harmless::reason(verb, &held.name).is_some(),
                "{what}: it passed, and nothing says why that does no harm; the command ended with {ended:?}"
            );
            ensure!(passed || matches!(status, 404 | 409 | 422), "{what}: expected 404, 409 or 422");
            stale(verb, ended).with_context(|| what.clone())?;
            if passed {
                for part in repair {
                    Box::pin(self.part(*part)).await.context("making good what passed late")?;
                }
            }
            self.late.push(Late { verb, write: name, status });
            witness::look(self.clusters, &self.journey, false).await?;
            let is_as_it_was = if passed {
                rest.is_alike(self.clusters, &self.journey.namespace, harmless::kept(verb, &held.name)).await
            } else {
                rest.is_same(self.clusters, &self.journey.namespace).await
            };
            is_as_it_was.with_context(|| what)?;
        }
        Ok(())
    }
}

/// Both clusters when their own controllers are done with them.
pub(crate) struct Rest {
    /// The very objects.
    exact: BTreeMap<String, Snapshot>,
    /// What they have in common with what another command leaves.
    common: BTreeMap<String, Snapshot>,
}

impl Rest {
    /// As they are now.
    pub(crate) async fn of(clusters: &Clusters, namespace: &str) -> Result<Self> {
        let mut last = None;
        let exact = workload::until("the objects to rest", async || {
            let found = objects(clusters, namespace, Marks::Exact).await?;
            let is_same = last.as_ref() == Some(&found);
            last = Some(found.clone());
            Ok(is_same.then_some(found))
        });
        Ok(Self { exact: exact.await?, common: objects(clusters, namespace, Marks::Ignored).await? })
    }

    /// The very objects are there.
    pub(crate) async fn is_same(&self, clusters: &Clusters, namespace: &str) -> Result<()> {
        same(clusters, namespace, Marks::Exact, &self.exact, None).await
    }

    /// The same is there, but for what each command marks, and for one object.
    async fn is_alike(&self, clusters: &Clusters, namespace: &str, kept: Option<String>) -> Result<()> {
        same(clusters, namespace, Marks::Ignored, &self.common, kept).await
    }
}

async fn same(
    clusters: &Clusters,
    namespace: &str,
    marks: Marks,
    expected: &BTreeMap<String, Snapshot>,
    kept: Option<String>,
) -> Result<()> {
    let without = |snapshot: &Snapshot| {
        let mut snapshot = snapshot.clone();
        snapshot.retain(|name, _| Some(name) != kept.as_ref());
        snapshot
    };
    workload::until("the clusters to be as before the stopped process went on", async || {
        let found = objects(clusters, namespace, marks).await?;
        for (cluster, expected) in expected {
            if let Some(difference) = snapshot::difference(&without(expected), &without(&found[cluster])) {
                bail!("cluster {cluster}: {difference}");
            }
        }
        Ok(Some(()))
    })
    .await
}

async fn objects(clusters: &Clusters, namespace: &str, marks: Marks) -> Result<BTreeMap<String, Snapshot>> {
    let mut objects = BTreeMap::new();
    for cluster in clusters.names() {
        let snapshot = snapshot::take(&clusters.client(cluster), namespace, marks).await?;
        objects.insert(cluster.clone(), snapshot);
    }
    Ok(objects)
}

/// A command of the past is refused, or at least claims nothing; the end alone may come late, for it finds the name
/// taken and leaves it.
fn stale(verb: Verb, ended: Result<Evidence, Stop>) -> Result<()> {
    match (verb, ended) {
        (_, Err(_)) => Ok(()),
        (Verb::Finish | Verb::Accept, Ok(Evidence::Finished(finished)))
            if !finished.recreated_by.is_empty() =>
        {
            Ok(())
        }
        (_, other) => Err(anyhow!("expected that it is of the past, found {other:?}")),
    }
}
