//! One migration as whoever operates Ferry sees it: metrics, logs, traces, events.
//!
//! A real Prometheus scrapes controller and agents, a collector takes their spans, and afterwards their logs and the
//! events of both clusters are read. What is judged is whether one migration can be followed through all of them by
//! its id, wherever a step was taken.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ferry_tests::app::crossing::Crossing;
use ferry_tests::app::etcd::Etcd;
use ferry_tests::ferry::{CONTROLLER_METRICS, OTLP_ENDPOINT, agent_metrics};
use ferry_tests::otlp::{Collector, Span};
use ferry_tests::world::{Process, Spec, Wait};
use futures::FutureExt as _;
use serde_json::{Value, json};

use crate::Case;
use crate::stage::{Stage, assert_clean};

pub(crate) const CASES: &[(&str, Case)] =
    &[("observe::one_migration_in_metrics_logs_traces_and_events", |stage| followed(stage).boxed_local())];

/// Where Prometheus listens.
const PROMETHEUS: &str = "127.0.0.1:9090";
/// Time for a scrape, an export, an event.
const SOON: Duration = Duration::from_secs(30);
/// Steps that the agent of the source carries out, and the agent of the target.
const STEPS: [(&str, &[u32]); 2] = [("east", &[5, 6, 7, 8, 12]), ("west", &[9, 10])];

async fn followed(stage: &Stage) -> Result<()> {
    let collector = Collector::listen(OTLP_ENDPOINT.parse()?).await?;
    let prometheus = prometheus(stage)?;
    let etcd = Etcd { namespace: "observed".into(), ..Etcd::default() };
    let crossing = Crossing::begin(&stage.world, "east", &etcd).await?;
    let moved = stage.migrate(&etcd, "west", "highest-first").await;
    let outcome = crossing.end().await?;
    let moved = moved?;
    assert_clean(&outcome, etcd.replicas as usize)?;
    let last = moved.stdout.lines().last().context("ferry migrate printed nothing")?;
    let migration = serde_json::from_str::<Value>(last)?["id"].as_str().context("no id")?.to_owned();

    let scraped = in_metrics(stage, &prometheus, &etcd).await;
    prometheus.kill()?;
    scraped.context("metrics")?;
    in_logs(stage, &migration).context("logs")?;
    in_traces(&collector, &etcd, &migration).await.context("traces")?;
    in_events(stage, &etcd, &migration).await.context("events")
}

fn prometheus(stage: &Stage) -> Result<Process> {
    let dir = stage.world.dir().join("prometheus");
    std::fs::create_dir_all(&dir)?;
    let mut targets = vec![CONTROLLER_METRICS.to_owned()];
    for cluster in stage.world.clusters() {
        targets.push(agent_metrics(&stage.world, cluster.name())?);
    }
    let config = json!({
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [{"job_name": "ferry", "static_configs": [{"targets": targets}]}],
    });
    let file = dir.join("prometheus.json");
    std::fs::write(&file, config.to_string())?;
    let arguments = [
        format!("--config.file={}", file.display()),
        format!("--storage.tsdb.path={}", dir.join("data").display()),
        format!("--web.listen-address={PROMETHEUS}"),
    ];
    let process = stage.world.process("prometheus");
    process.launch(&Spec::new(stage.world.tools().program("prometheus")?, arguments))?;
    Ok(process)
}

/// What a query gives: the number for each instance.
async fn query(expression: &str) -> Result<BTreeMap<String, f64>> {
    let mut address = reqwest::Url::parse(&format!("http://{PROMETHEUS}/api/v1/query"))?;
    address.query_pairs_mut().append_pair("query", expression);
    let answer: Value = reqwest::get(address).await?.json().await?;
    let found = answer["data"]["result"].as_array().with_context(|| format!("{expression}: {answer}"))?;
    let number = |series: &Value| {
        let value = series["value"][1].as_str()?.parse().ok()?;
        Some((series["metric"]["instance"].as_str().unwrap_or_default().to_owned(), value))
    };
    Ok(found.iter().filter_map(number).collect())
}

async fn in_metrics(stage: &Stage, prometheus: &Process, etcd: &Etcd) -> Result<()> {
    let replicas = f64::from(etcd.replicas);
    let up = Wait::new("Prometheus to scrape controller and agents", SOON).on(prometheus);
    up.until(async || {
        let up = query("up").await?;
        Ok((up.len() == 3 && up.values().all(|up| *up == 1.0)).then_some(()))
    })
    .await?;
    let west = agent_metrics(&stage.world, "west")?;
    let expected = [
        ("ferry_controller_handoff_duration_seconds_count", CONTROLLER_METRICS),
        ("ferry_controller_step_duration_seconds_count{step=\"detach\"}", CONTROLLER_METRICS),
        ("ferry_controller_commands_total{verb=\"release\",outcome=\"evidence\"}", CONTROLLER_METRICS),
        ("ferry_agent_commands_total{verb=\"adopt\",outcome=\"evidence\"}", &west),
        ("ferry_agent_step_duration_seconds_count{step=\"10\"}", &west),
    ];
    for (expression, instance) in expected {
        let wait = Wait::new(format!("{expression} of {instance} to reach {replicas}"), SOON);
        wait.until(async || {
            let found = query(expression).await?.get(instance).copied();
            Ok(found.filter(|found| *found >= replicas))
        })
        .await?;
    }
    let conflicts = query("ferry_controller_volume_conflicts").await?;
    ensure!(conflicts.get(CONTROLLER_METRICS) == Some(&0.0), "conflicts: {conflicts:?}");
    Ok(())
}

/// The lines of a program's log that are JSON, which are all but what it prints for people.
fn lines(process: &Process) -> Result<Vec<Value>> {
    let log = std::fs::read_to_string(process.log_path())?;
    Ok(log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

fn in_logs(stage: &Stage, migration: &str) -> Result<()> {
    // A pod may be called like the migration: whole values, and the beginnings of commands' ids.
    let named = [format!("\"{migration}\""), format!("\"{migration}/")];
    let concerned = |process: &Process| -> Result<Vec<Value>> {
        let names = |line: &Value| named.iter().any(|name| line.to_string().contains(name));
        let lines: Vec<Value> = lines(process)?.into_iter().filter(names).collect();
        ensure!(!lines.is_empty(), "{} says nothing of {migration}", process.name());
        for line in &lines {
            ensure!(line["migration"] == migration, "no field migration: {line}");
            ensure!(line["workload"] == "observed/etcd", "no field workload: {line}");
            ensure!(line["command"].is_null() || line["cluster"].is_string(), "no field cluster: {line}");
            let in_handoff = line["step"].as_u64().is_some_and(|step| step > 0);
            let preparing =
                line["verb"].as_str().is_some_and(|verb| !["release", "adopt", "retire"].contains(&verb));
            ensure!(!in_handoff || preparing || line["ordinal"].is_u64(), "no field ordinal: {line}");
        }
        Ok(lines)
    };
    let controller = concerned(stage.ferry.controller())?;
    let sent = commands(&controller);
    for (cluster, steps) in STEPS {
        let agent = concerned(stage.ferry.agent(cluster)?)?;
        let taken: BTreeSet<u64> = agent.iter().filter_map(|line| line["step"].as_u64()).collect();
        for step in steps {
            ensure!(
                taken.contains(&u64::from(*step)),
                "the agent of {cluster} says nothing of step {step}: {taken:?}"
            );
        }
        ensure!(
            agent.iter().all(|line| line["cluster"] == cluster),
            "a line of {cluster} of another cluster"
        );
        let known = commands(&agent);
        ensure!(known.is_subset(&sent), "{cluster} carried out what was not sent: {known:?}, {sent:?}");
    }
    Ok(())
}

fn commands(lines: &[Value]) -> BTreeSet<String> {
    lines.iter().filter_map(|line| line["command"].as_str().map(str::to_owned)).collect()
}

async fn in_traces(collector: &Collector, etcd: &Etcd, migration: &str) -> Result<()> {
    let ours = || -> Vec<Span> {
        let spans = collector.spans().into_iter();
        spans
            .filter(|span| span.attributes.get("ferry.migration").is_some_and(|id| id == migration))
            .collect()
    };
    let whole = |spans: &[Span]| {
        let known: BTreeSet<&Vec<u8>> = spans.iter().map(|span| &span.id).collect();
        let orphan = spans.iter().find(|span| !span.parent.is_empty() && !known.contains(&span.parent));
        let roots = spans.iter().filter(|span| span.parent.is_empty()).count();
        roots == 1 && orphan.is_none()
    };
    let wait = Wait::new("the migration's spans to arrive, each with its parent", SOON);
    let spans = wait.until(async || Ok(Some(ours()).filter(|spans| whole(spans)))).await?;
    let traces: BTreeSet<&Vec<u8>> = spans.iter().map(|span| &span.trace).collect();
    ensure!(traces.len() == 1, "{} traces of one migration", traces.len());
    let services: BTreeSet<&str> = spans.iter().map(|span| span.service.as_str()).collect();
    let expected = ["ferry-agent east", "ferry-agent west", "ferry-controller ferry.local"];
    ensure!(services == BTreeSet::from(expected), "services: {services:?}");
    for ordinal in etcd.ordinals() {
        for (cluster, steps) in STEPS {
            for step in steps {
                let has = |span: &Span, name: &str, value: &str| {
                    span.attributes.get(name).is_some_and(|is| is == value)
                };
                let (ordinal, number) = (ordinal.to_string(), step.to_string());
                let span = spans.iter().find(|span| {
                    has(span, "ferry.ordinal", &ordinal)
                        && has(span, "ferry.step", &number)
                        && has(span, "ferry.cluster", cluster)
                });
                let span = span.with_context(|| format!("no span of step {step} of ordinal {ordinal}"))?;
                let evidence = span.attributes.get("ferry.evidence");
                ensure!(evidence.is_some_and(|said| !said.is_empty()), "no evidence: {span:?}");
                ensure!(span.times.0 <= span.times.1, "it ends before it begins: {span:?}");
            }
        }
    }
    Ok(())
}

async fn in_events(stage: &Stage, etcd: &Etcd, migration: &str) -> Result<()> {
    for (cluster, reason) in [("east", "HandoffReleased"), ("west", "HandoffAdopted")] {
        let cluster = stage.world.cluster(cluster)?;
        for kind in ["StatefulSet", "PersistentVolumeClaim"] {
            let wait =
                Wait::new(format!("{reason} of every ordinal on its {kind} in {}", cluster.name()), SOON);
            wait.until(async || {
                let get = ["-n", &etcd.namespace, "get", "events.events.k8s.io", "-o", "json"];
                let events: Value = serde_json::from_str(&cluster.kubectl(&get).await?)?;
                let events = events["items"].as_array().context("no list of events")?;
                let pods: BTreeSet<&str> = events
                    .iter()
                    .filter(|event| event["reason"] == reason && event["regarding"]["kind"] == kind)
                    .filter(|event| event["note"].as_str().is_some_and(|note| note.contains(migration)))
                    .filter_map(|event| event["related"]["name"].as_str())
                    .collect();
                Ok((pods.len() == etcd.replicas as usize).then_some(()))
            })
            .await?;
        }
    }
    Ok(())
}
