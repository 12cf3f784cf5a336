//! Pause and rollback, asked for in each of the steps before the point of no return.
//!
//! An agent is kept at the beginning of the step by its hold point, so that what is asked lands in the step. Steps 1
//! and 4 change nothing that an agent sees: 1 lies before the hold of step 2, 4 between 3 and the hold of step 5. After
//! a rollback of everything both clusters hold what they held before, but for what ARCHITECTURE.md says stays; the
//! writer's count at the end proves that what was written in the target came back with the disk.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use ferry_tests::app::crossing::Crossing;
use ferry_tests::app::etcd::Etcd;
use ferry_tests::world::{Cluster, Wait};
use futures::FutureExt as _;
use serde_json::Value;

use crate::Case;
use crate::kill::Hold;
use crate::stage::Stage;

pub(crate) const CASES: &[(&str, Case)] = &[
    ("control::rollback_in_each_step", |stage| rollbacks(stage).boxed_local()),
    ("control::pause_in_each_step", |stage| pauses(stage).boxed_local()),
    ("control::a_pause_stops_between_ordinals_and_a_finish_ends_it", |stage| between(stage).boxed_local()),
    ("control::a_part_moves_and_the_rest_follows_later", |stage| parts(stage).boxed_local()),
];

/// Time for a migration to come to rest after what was asked.
const RESTED: Duration = Duration::from_secs(120);

const STEPS: [&str; 10] = ["prepare", "2", "3", "5", "6", "7", "8", "9", "10", "11"];

/// What a rollback has to give back, by kind.
const KINDS: [&str; 7] = [
    "statefulsets",
    "persistentvolumeclaims",
    "services",
    "configmaps",
    "serviceaccounts",
    "poddisruptionbudgets",
    "endpointslices",
];

/// Annotations that a claim which was made again does not have (handoff.md, H8), and the fence's.
const NOT_GIVEN_BACK: [&str; 4] = [
    "pv.kubernetes.io/bind-completed",
    "pv.kubernetes.io/bound-by-controller",
    "volume.kubernetes.io/selected-node",
    "ferry.dev/epoch",
];

async fn rollbacks(stage: &Stage) -> Result<()> {
    let etcd = single("rollback");
    let crossing = Crossing::begin(&stage.world, "east", &etcd).await?;
    let before = both(stage, &etcd).await?;
    let mut table = Vec::new();
    for step in STEPS {
        let began = Instant::now();
        let id = held_in(stage, &etcd, "west", step).await?;
        let cell = async {
            ferry(stage, &["rollback", &id, "--all"]).await?;
            id.lift()?;
            rests(stage, &id, "rolled-back").await?;
            pod_is_ready(stage.world.cluster("east")?, &etcd).await?;
            same(&before, &both(stage, &etcd).await?)
        };
        cell.await.with_context(|| format!("rolled back in step {step}"))?;
        table.push((step, began.elapsed()));
    }
    print("rolled back, everything as before", &table);
    let west = stage.world.cluster("west")?;
    let claims = ["-n", &etcd.namespace, "get", "pvc", "-o", "jsonpath={.items[*].spec.volumeName}"];
    let left = west.kubectl(&claims).await?;
    ensure!(left == "ferry.dev/TOMBSTONE", "west has claims of {left:?}, expected the tombstone that stays");
    let outcome = crossing.end().await?;
    ensure!(outcome.is_clean(), "not clean: {outcome:#?}");
    Ok(())
}

async fn pauses(stage: &Stage) -> Result<()> {
    let etcd = single("pause");
    let crossing = Crossing::begin(&stage.world, "east", &etcd).await?;
    let mut sides = ("east", "west");
    let mut table = Vec::new();
    for step in STEPS {
        let began = Instant::now();
        let id = held_in(stage, &etcd, sides.1, step).await?;
        let cell = async {
            let told = ferry(stage, &["pause", &id]).await?;
            id.lift()?;
            // Once the replica is stopped, the nearest safe place is the end of its handoff, here the migration's.
            if matches!(step, "prepare" | "2" | "3") {
                let stopped = rests(stage, &id, "paused").await?;
                let message = stopped["message"].as_str().unwrap_or_default();
                ensure!(message.contains("resume with: ferry resume"), "it says {message:?}");
                pod_is_ready(stage.world.cluster(sides.0)?, &etcd).await?;
                let again = stage.ferry.cli().run(&["pause", &id]).await?;
                ensure!(again.code == 3, "a pause while paused ended with {}: {}", again.code, again.stderr);
                ferry(stage, &["resume", &id]).await?;
            } else {
                ensure!(told.contains("after ordinal 0"), "it says {told:?}");
            }
            rests(stage, &id, "completed").await
        };
        cell.await.with_context(|| format!("paused in step {step}"))?;
        table.push((step, began.elapsed()));
        sides = (sides.1, sides.0);
    }
    print("paused, resumed, completed", &table);
    let outcome = crossing.end().await?;
    ensure!(outcome.is_clean(), "not clean: {outcome:#?}");
    Ok(())
}

async fn between(stage: &Stage) -> Result<()> {
    let etcd = Etcd { namespace: "between".into(), name: "trio".into(), ..Etcd::default() };
    let crossing = Crossing::begin(&stage.world, "east", &etcd).await?;
    let id = held_in(stage, &etcd, "west", "6").await?;
    ferry(stage, &["pause", &id]).await?;
    id.lift()?;
    let paused = rests(stage, &id, "paused").await?;
    ensure!(paused["message"].as_str().is_some_and(|it| it.contains("ordinal 1")), "{}", paused["message"]);
    for (cluster, pods) in [("east", "trio-0 trio-1"), ("west", "trio-2")] {
        let listed = stage.world.cluster(cluster)?.kubectl(&names(&etcd, "pods")).await?;
        ensure!(listed == pods, "{cluster} runs {listed:?}, expected {pods:?}");
    }
    ferry(stage, &["resume", &id]).await?;
    rests(stage, &id, "completed").await?;
    let over = stage.ferry.cli().run(&["rollback", &id, "--all"]).await?;
    ensure!(over.code == 3 && over.stderr.contains("reverse migration"), "{}: {}", over.code, over.stderr);
    ferry(stage, &["finish", &id]).await?;
    ferry(stage, &["finish", &id, "--accept"]).await?;
    for kind in ["statefulsets", "persistentvolumeclaims", "pods"] {
        let left = stage.world.cluster("east")?.kubectl(&names(&etcd, kind)).await?;
        ensure!(left.is_empty(), "east still has {kind} {left}");
    }
    let outcome = crossing.end().await?;
    ensure!(outcome.is_clean() && outcome.handoffs == 3, "not clean: {outcome:#?}");
    Ok(())
}

async fn parts(stage: &Stage) -> Result<()> {
    let etcd = Etcd { namespace: "parts".into(), name: "trio".into(), ..Etcd::default() };
    let crossing = Crossing::begin(&stage.world, "east", &etcd).await?;
    let set = format!("statefulset/{}", etcd.name);
    let order = ["--from", "east", "--to", "west", "--order", "lowest-first"];
    let migrate = [&["migrate", "-n", &etcd.namespace, &set, "--yes"][..], &order].concat();
    ferry(stage, &[&migrate[..], &["--ordinals", "0"]].concat()).await?;
    // The rest is taken back before any of it moved: the part that the first migration moved is not touched.
    let hold = Hold::set(stage.ferry.hold_dir().join("step-2"))?;
    ferry(stage, &[&migrate[..], &["--detach"]].concat()).await?;
    hold.reached(stage).await?;
    let rest = newest(stage, &etcd).await?;
    ferry(stage, &["rollback", &rest, "--all"]).await?;
    hold.lift()?;
    rests(stage, &rest, "rolled-back").await?;
    let slice =
        ["-n", &etcd.namespace, "get", &set, "-o", "jsonpath={.spec.ordinals.start}+{.spec.replicas}"];
    for (cluster, expected, pods) in [("east", "1+2", "trio-1 trio-2"), ("west", "0+1", "trio-0")] {
        let cluster = stage.world.cluster(cluster)?;
        let (found, listed) = (cluster.kubectl(&slice).await?, cluster.kubectl(&names(&etcd, "pods")).await?);
        ensure!(found == expected && listed == pods, "{}: {found}, pods {listed:?}", cluster.name());
    }
    ferry(stage, &migrate).await?;
    for (cluster, pods) in [("east", ""), ("west", "trio-0 trio-1 trio-2")] {
        let listed = stage.world.cluster(cluster)?.kubectl(&names(&etcd, "pods")).await?;
        ensure!(listed == pods, "{cluster} runs {listed:?}, expected {pods:?}");
    }
    let last = newest(stage, &etcd).await?;
    ferry(stage, &["finish", &last, "--accept"]).await?;
    let left = stage.world.cluster("east")?.kubectl(&names(&etcd, "persistentvolumeclaims")).await?;
    ensure!(left.is_empty(), "tombstones of the first part stay in east: {left}");
    let outcome = crossing.end().await?;
    ensure!(outcome.is_clean() && outcome.handoffs == 3, "not clean: {outcome:#?}");
    Ok(())
}

fn single(namespace: &str) -> Etcd {
    Etcd { namespace: namespace.into(), name: "single".into(), replicas: 1, ..Etcd::default() }
}

/// A migration that is kept in a step.
struct Held {
    id: String,
    hold: Hold,
}

impl std::ops::Deref for Held {
    type Target = String;

    fn deref(&self) -> &String {
        &self.id
    }
}

impl Held {
    fn lift(&self) -> Result<()> {
        self.hold.lift()
    }
}

async fn held_in(stage: &Stage, etcd: &Etcd, to: &str, step: &str) -> Result<Held> {
    let hold = Hold::set(stage.ferry.hold_dir().join(format!("step-{step}")))?;
    let set = format!("statefulset/{}", etcd.name);
    ferry(stage, &["migrate", "-n", &etcd.namespace, &set, "--to", to, "--yes", "--detach"]).await?;
    hold.reached(stage).await?;
    Ok(Held { id: newest(stage, etcd).await?, hold })
}

/// The latest migration of the workload.
pub(crate) async fn newest(stage: &Stage, etcd: &Etcd) -> Result<String> {
    let listed = stage.ferry.cli().run(&["get", "-n", &etcd.namespace, "-o", "json"]).await?.success()?;
    Ok(listed.json()?["items"][0]["id"].as_str().context("no migration")?.to_owned())
}

async fn ferry(stage: &Stage, arguments: &[&str]) -> Result<String> {
    let output = stage.ferry.cli().run(arguments).await?.success()?;
    Ok(format!("{}{}", output.stdout, output.stderr))
}

/// Waits for a migration to rest in that phase.
pub(crate) async fn rests(stage: &Stage, id: &str, phase: &str) -> Result<Value> {
    Wait::new(format!("{id} to be {phase}"), RESTED)
        .on(stage.ferry.controller())
        .until(async || {
            let shown = stage.ferry.cli().run(&["get", id, "-o", "json"]).await?.success()?.json()?;
            if shown["phase"] == phase { Ok(Some(shown)) } else { bail!("{shown}") }
        })
        .await
}

async fn pod_is_ready(cluster: &Cluster, etcd: &Etcd) -> Result<()> {
    let pod = format!("pod/{}", etcd.pod(0));
    let wait = ["wait", "-n", &etcd.namespace, &pod, "--for=condition=Ready", "--timeout=30s"];
    cluster.kubectl(&wait).await.map(|_| ())
}

/// The arguments that list the names of one kind in the workload's namespace.
pub(crate) fn names<'a>(etcd: &'a Etcd, kind: &'a str) -> [&'a str; 6] {
    ["get", kind, "-n", &etcd.namespace, "-o", "jsonpath={.items[*].metadata.name}"]
}

type Objects = BTreeMap<String, Value>;

/// What each cluster holds of the workload, without what no rollback can give back.
async fn both(stage: &Stage, etcd: &Etcd) -> Result<Objects> {
    let mut objects = Objects::new();
    for name in ["east", "west"] {
        let cluster = stage.world.cluster(name)?;
        let kinds = KINDS.join(",");
        let inside = cluster.kubectl(&["get", &kinds, "-n", &etcd.namespace, "-o", "json"]).await?;
        let volumes = cluster.kubectl(&["get", "persistentvolumes", "-o", "json"]).await?;
        for list in [inside, volumes] {
            let list: Value = serde_json::from_str(&list)?;
            for item in list["items"].as_array().context("no list")? {
                let of_another = item["spec"]["claimRef"]["namespace"]
                    .as_str()
                    .is_some_and(|namespace| namespace != etcd.namespace);
                if let Some((key, object)) = comparable(item).filter(|_| !of_another) {
                    objects.insert(format!("{name} {key}"), object);
                }
            }
        }
    }
    Ok(objects)
}

fn comparable(item: &Value) -> Option<(String, Value)> {
    let (kind, name) = (item["kind"].as_str()?, item["metadata"]["name"].as_str()?);
    // Made by the cluster itself, or kept as the fence (handoff.md section 6): also where the ordinal was on its way.
    let mirrors_pods = kind == "EndpointSlice"
        && item["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"]
            == "endpointslice-controller.k8s.io";
    let stays = item["metadata"]["annotations"]["ferry.dev/stays"] == "true";
    if stays
        || name == "kube-root-ca.crt"
        || name == "default"
        || name.starts_with("ferry-epochs-")
        || mirrors_pods
    {
        return None;
    }
    let mut object = item.clone();
    object.as_object_mut()?.remove("status");
    for field in ["uid", "resourceVersion", "generation", "creationTimestamp", "managedFields"] {
        object["metadata"].as_object_mut()?.remove(field);
    }
    if let Some(annotations) = object["metadata"]["annotations"].as_object_mut() {
        annotations.retain(|name, _| !NOT_GIVEN_BACK.contains(&name.as_str()));
        if annotations.is_empty() {
            object["metadata"].as_object_mut()?.remove("annotations");
        }
    }
    // A set: the provisioner puts its own back, as the last.
    if let Some(finalizers) = object["metadata"]["finalizers"].as_array_mut() {
        finalizers.sort_by_key(Value::to_string);
    }
    for owner in object["metadata"]["ownerReferences"].as_array_mut().into_iter().flatten() {
        owner.as_object_mut()?.remove("uid");
    }
    if let Some(claim) = object["spec"]["claimRef"].as_object_mut() {
        claim.remove("uid");
        claim.remove("resourceVersion");
    }
    Some((format!("{kind}/{name}"), object))
}

fn same(before: &Objects, after: &Objects) -> Result<()> {
    let mut differences = Vec::new();
    for key in before.keys().chain(after.keys().filter(|key| !before.contains_key(*key))) {
        match (before.get(key), after.get(key)) {
            (Some(was), Some(is)) if was == is => {}
            (was, is) => differences.push(format!("{key}\n  was {}\n  is  {}", text(was), text(is))),
        }
    }
    ensure!(differences.is_empty(), "not as before:\n{}", differences.join("\n"));
    Ok(())
}

fn text(object: Option<&Value>) -> String {
    object.map_or_else(|| "not there".to_owned(), Value::to_string)
}

fn print(what: &str, table: &[(&str, Duration)]) {
    println!("\n{what} (seconds)");
    for (step, took) in table {
        println!("{step:>8}  {:>5.1}", took.as_secs_f64());
    }
}
