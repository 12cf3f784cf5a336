//! One run of a course: every command meets the same fault, recovers, and is held against the run without faults.
//!
//! The run without faults is a run like every other, with nothing to compare to: its writes are the points that exist.
//! After each fault the command is sent again to a process that knows nothing, which must end with the same evidence and
//! leave the same objects; in between and afterwards no invariant may be broken, which the witness asks and, at each
//! deletion, the proxy's guard.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use ferry_agent::outcome::{Evidence, Stop};

use super::{
    course::{Act, Course},
    plain,
};
use crate::{
    cases,
    clusters::Clusters,
    journey::{Journey, Verb, ordinals},
    memory::Memory,
    proxy::{Fault, Plan, Proxy, Sight, Which},
    snapshot::{self, Marks},
    witness,
    workload::{self, Shape},
};

/// What one run does.
#[derive(Clone, Debug)]
pub(crate) struct Strike {
    /// In the name of its namespace: no two runs have the same.
    pub(crate) name: String,
    /// The fault at writes.
    pub(crate) write: Option<(Which, Fault)>,
    /// The fault of reads.
    pub(crate) sight: Sight,
}

/// What the run without faults did in one act.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    /// Its writes, in order.
    pub(crate) writes: Vec<String>,
    evidence: String,
    objects: BTreeMap<String, Vec<String>>,
}

/// What the run without faults did, by the number of the act.
pub(crate) type Reference = BTreeMap<usize, Expected>;

/// A fault that a command met.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hit {
    /// The course and the number of the act in it.
    pub(crate) place: (&'static str, usize),
    /// The command.
    pub(crate) verb: Verb,
    /// Its kind, in the report.
    pub(crate) fault: String,
    /// The write or the read, without what each run has of its own.
    pub(crate) name: String,
    /// The number of the write, counted from 1; 0 for a read.
    pub(crate) number: usize,
}

/// What came of a run.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// What was found where there was nothing to compare to.
    pub(crate) reference: Reference,
    /// The faults that were met and recovered from.
    pub(crate) hits: Vec<Hit>,
    /// Acts that ended before their write of the run's number came, with how many they made.
    pub(crate) shorter: Vec<((&'static str, usize), usize)>,
}

struct Run<'a> {
    clusters: &'a Clusters,
    course: &'a Course,
    strike: &'a Strike,
    reference: Option<&'a Reference>,
    journey: Journey,
    memory: Memory,
    outcome: Outcome,
}

/// Goes through `course`; without a reference it is the one without faults.
pub(crate) async fn run(
    clusters: &Clusters,
    course: &'static Course,
    strike: &Strike,
    reference: Option<&Reference>,
) -> Result<Outcome> {
    let namespace = format!("steps-{}-{}", course.name, strike.name);
    let journey = if course.replicas == 0 {
        Journey::of_probe(clusters, &namespace).await?
    } else {
        cases::planned(clusters, &namespace, Shape { replicas: course.replicas, parallel: false }).await?
    };
    let (memory, outcome) = (Memory::default(), Outcome::default());
    let mut run = Run { clusters, course, strike, reference, journey, memory, outcome };
    for (number, act) in course.acts.iter().enumerate() {
        run.act(number, *act).await.with_context(|| format!("{namespace}: {act:?}"))?;
        if run.is_over(number) {
            break;
        }
    }
    cases::clear(clusters, &namespace).await?;
    Ok(run.outcome)
}

impl Run<'_> {
    /// Whether no later act has a write of that number: what follows would only repeat what other runs show.
    fn is_over(&self, number: usize) -> bool {
        let Some((Which::Number(chosen), _)) = self.strike.write else { return false };
        let Some(reference) = self.reference else { return false };
        let is_back = !self.course.is_of_deaths;
        is_back && reference.iter().all(|(act, expected)| *act <= number || expected.writes.len() < chosen)
    }

    async fn act(&mut self, number: usize, act: Act) -> Result<()> {
        match act {
            Act::Begin => {
                let last = ordinals(self.journey.slices[&self.journey.source]).end - 1;
                self.journey.begin(last);
                return Ok(());
            }
            Act::Withdraw => {
                self.journey.withdraw();
                return Ok(());
            }
            Act::Plain(verb) => {
                let evidence = self.again(verb).await?;
                self.journey.accept(verb, evidence)?;
            }
            Act::Place(verb) | Act::Abandoned(verb) | Act::Undone(verb) => {
                self.place(number, act, verb).await?
            }
        }
        self.memory.turn();
        Ok(())
    }

    async fn place(&mut self, number: usize, act: Act, verb: Verb) -> Result<()> {
        let plan = Plan { strike: self.strike.write, sight: self.strike.sight, memory: self.memory.clone() };
        let proxy = Proxy::of(plan);
        let client = self.clusters.through(self.journey.cluster(verb), &proxy);
        let ended = tokio::select! {
            ended = self.journey.carry_out(client, verb) => Some(ended),
            () = proxy.reached() => None,
        };
        self.look(verb, &proxy).await?;
        let hits = self.hits(number, verb, &proxy);
        let is_struck = !hits.is_empty();
        if !is_struck && matches!((self.strike.write, &ended), (Some((Which::Number(_), _)), Some(Ok(_)))) {
            self.outcome.shorter.push(((self.course.name, number), proxy.writes().len()));
        }
        let evidence = match (act, ended) {
            (Act::Abandoned(_), None) => {
                self.outcome.hits.extend(hits);
                return Ok(());
            }
            (_, Some(ended)) if !is_struck || matches!(act, Act::Abandoned(_)) => clear(verb, ended)?,
            (_, ended) => {
                // What is left is told as it was read, and told again: an end that saw what was is no claim.
                let is_told = verb == Verb::Finish && matches!(self.strike.sight, Sight::Stale(_));
                if let Some(Ok(claimed)) = ended.as_ref().filter(|_| !is_told) {
                    self.compare_evidence(number, act, claimed).context("the command that met the fault")?;
                }
                self.memory.turn();
                self.again(verb).await.context("sent again")?
            }
        };
        self.compare_evidence(number, act, &evidence)?;
        self.journey.accept(verb, evidence.clone())?;
        if self.reference.is_none() {
            let names = proxy.writes().into_iter().map(|write| self.plain(&write.name)).collect();
            let evidence = plain::evidence(&self.journey, self.clusters.nodes(), &evidence);
            let objects = self.settled().await?;
            self.outcome.reference.insert(number, Expected { writes: names, evidence, objects });
        }
        self.compare_objects(number).await?;
        self.outcome.hits.extend(hits);
        Ok(())
    }

    /// The command without a fault, by a process that knows nothing.
    async fn again(&self, verb: Verb) -> Result<Evidence> {
        let proxy = Proxy::of(Plan { memory: self.memory.clone(), ..Plan::default() });
        let client = self.clusters.through(self.journey.cluster(verb), &proxy);
        let ended = self.journey.carry_out(client, verb).await;
        self.look(verb, &proxy).await?;
        clear(verb, ended)
    }

    /// No invariant is broken, and the process did nothing that none may do.
    async fn look(&self, verb: Verb, proxy: &Proxy) -> Result<()> {
        let faults = proxy.faults();
        ensure!(faults.is_empty(), "{}", faults.join("; "));
        if self.course.replicas == 0 {
            return Ok(());
        }
        let is_protected = verb > Verb::PrepareSource && verb < Verb::UnprepareSource;
        witness::look(self.clusters, &self.journey, is_protected).await
    }

    fn hits(&self, number: usize, verb: Verb, proxy: &Proxy) -> Vec<Hit> {
        let place = (self.course.name, number);
        let hit =
            |fault: String, name: &str, number| Hit { place, verb, fault, name: self.plain(name), number };
        if let Some((_, fault)) = self.strike.write {
            let writes = proxy.writes().into_iter().enumerate().filter(|(_, write)| write.is_struck);
            return writes.map(|(at, write)| hit(fault.name(), &write.name, at + 1)).collect();
        }
        let told: Vec<String> = match self.strike.sight {
            Sight::Clear => Vec::new(),
            Sight::Stale(None) => proxy.old(),
            Sight::Stale(Some(chosen)) => proxy.old().into_iter().skip(chosen - 1).take(1).collect(),
            Sight::StaleWatches | Sight::Unobserved => proxy.watches(),
        };
        told.iter().map(|name| hit(self.strike.sight.name().to_owned(), name, 0)).collect()
    }

    fn compare_evidence(&self, number: usize, act: Act, found: &Evidence) -> Result<()> {
        let Some(expected) = self.reference.and_then(|reference| reference.get(&number)) else {
            return Ok(());
        };
        // Two kinds say how far the command that they take back had come.
        if !matches!(act, Act::Place(_)) {
            return Ok(());
        }
        let found = plain::evidence(&self.journey, self.clusters.nodes(), found);
        match plain::difference(&expected.evidence, &found) {
            None => Ok(()),
            Some(difference) => bail!("other evidence than without a fault: {difference}"),
        }
    }

    async fn compare_objects(&self, number: usize) -> Result<()> {
        let Some(expected) = self.reference.and_then(|reference| reference.get(&number)) else {
            return Ok(());
        };
        let what = format!("{} to be as without a fault", self.journey.namespace);
        workload::until(&what, async || {
            let found = self.objects(self.journey_marks()).await?;
            for (cluster, expected) in &expected.objects {
                let (expected, found) = (expected.join("\n"), found[cluster].join("\n"));
                if let Some(difference) = plain::difference(&expected, &found) {
                    bail!("cluster {cluster}: {difference}");
                }
            }
            Ok(Some(()))
        })
        .await
    }

    /// The objects when the clusters' own controllers are done with them.
    async fn settled(&self) -> Result<BTreeMap<String, Vec<String>>> {
        let mut last = None;
        workload::until("the objects to rest", async || {
            let found = self.objects(self.journey_marks()).await?;
            let is_same = last.as_ref() == Some(&found);
            last = Some(found.clone());
            Ok(is_same.then_some(found))
        })
        .await
    }

    fn journey_marks(&self) -> Marks {
        // Where a command was abandoned, what it wrote last differs.
        if self.course.is_of_deaths { Marks::Ignored } else { Marks::Counted }
    }

    async fn objects(&self, marks: Marks) -> Result<BTreeMap<String, Vec<String>>> {
        let mut objects = BTreeMap::new();
        for cluster in self.clusters.names() {
            let snapshot =
                snapshot::take(&self.clusters.client(cluster), &self.journey.namespace, marks).await?;
            objects.insert(cluster.clone(), plain::objects(&self.journey, self.clusters.nodes(), &snapshot));
        }
        Ok(objects)
    }

    fn plain(&self, name: &str) -> String {
        plain::text(&self.journey, self.clusters.nodes(), name)
    }
}

fn clear(verb: Verb, ended: Result<Evidence, Stop>) -> Result<Evidence> {
    match ended {
        Ok(Evidence::Probed(probed)) if !probed.problem.is_empty() => {
            bail!("{verb:?} says {}", probed.problem)
        }
        ended => ended.map_err(|stop| anyhow!("{verb:?} ended with {stop:?}")),
    }
}
