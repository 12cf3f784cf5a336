//! A scene of a refusal: one namespace, the smallest workload there is, and a plan of it that must change nothing.
//!
//! The workload is a container that does nothing, for what is refused is the world around it; by itself a plan of it
//! is accepted (a case of its own says so). So a refusal names exactly the faults that a scene adds: the codes are
//! compared as a whole, and a check that sees ghosts fails as much as one that is blind.
//!
//! "Changes nothing" is looked at, not believed: everything in the namespace, on both sides, is the same after the plan
//! as before, but for what Kubernetes itself goes on writing (status, resourceVersion).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use ferry_tests::ferry::Output;
use ferry_tests::world::{Cluster, Wait};
use serde_json::{Value, json};

use crate::stage::Stage;

/// Time for a scene's objects to be as they are meant to.
const SET: Duration = Duration::from_secs(60);
/// Name of each scene's StatefulSet.
pub(crate) const NAME: &str = "one";
/// What `ferry plan -o json` promises.
const PLAN_SCHEMA: &str = include_str!("../../../docs/schema/plan.json");
/// Node label that no node has: such a pod stays Pending, and nothing is pulled, attached or mounted.
pub(crate) const NOWHERE: &str = "ferry.test/nowhere";

/// What lies in a namespace and what its claims are bound to, without what changes by itself.
type Footprint = BTreeMap<String, Value>;

/// One namespace, in both clusters once it is needed there.
pub(crate) struct Scene<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) namespace: String,
}

impl<'a> Scene<'a> {
    /// A namespace in east.
    pub(crate) async fn set(stage: &'a Stage, name: &str) -> Result<Self> {
        let scene = Self { stage, namespace: format!("refusal-{name}") };
        scene.east()?.kubectl(&["create", "namespace", &scene.namespace]).await?;
        scene.east()?.wait_service_account(&scene.namespace).await?;
        Ok(scene)
    }

    pub(crate) fn east(&self) -> Result<&'a Cluster> {
        self.stage.world.cluster("east")
    }

    pub(crate) fn west(&self) -> Result<&'a Cluster> {
        self.stage.world.cluster("west")
    }

    /// The namespace in west too, with labels; the account that pods run as is waited for.
    pub(crate) async fn in_west(&self, labels: Value) -> Result<()> {
        let namespace = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace, "labels": labels},
        });
        create(self.west()?, None, &[namespace]).await?;
        self.west()?.wait_service_account(&self.namespace).await
    }

    /// Creates objects in one cluster, in the scene's namespace where they have one.
    pub(crate) async fn create(&self, cluster: &Cluster, objects: &[Value]) -> Result<()> {
        create(cluster, Some(&self.namespace), objects).await
    }

    /// Creates the workload in east and waits until all its replicas are available.
    pub(crate) async fn available(&self, set: Value) -> Result<()> {
        self.create(self.east()?, &[set]).await?;
        self.until("one replica available and its status current", async |scene| {
            let set = scene.get(&format!("statefulset/{NAME}")).await?;
            let status = &set["status"];
            let current = status["observedGeneration"] == set["metadata"]["generation"];
            Ok(current && status["availableReplicas"] == set["spec"]["replicas"])
        })
        .await
    }

    /// Waits until a condition holds.
    pub(crate) async fn until(&self, what: &str, check: impl AsyncFn(&Self) -> Result<bool>) -> Result<()> {
        let wait = Wait::new(format!("{what} in {}", self.namespace), SET);
        wait.until(async || Ok(check(self).await?.then_some(()))).await
    }

    /// One object of east, such as `pod/one-0`.
    pub(crate) async fn get(&self, object: &str) -> Result<Value> {
        let printed = self.east()?.kubectl(&["-n", &self.namespace, "get", object, "-o", "json"]).await?;
        Ok(serde_json::from_str(&printed)?)
    }

    /// `kubectl` in east, in the scene's namespace.
    pub(crate) async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.east()?.kubectl(&[&["-n", &self.namespace], arguments].concat()).await
    }

    /// A plan of the workload from east to west.
    pub(crate) async fn plan(&self, format: &str) -> Result<Output> {
        self.plan_with(&["-o", format]).await
    }

    /// The same, with more arguments.
    async fn plan_with(&self, more: &[&str]) -> Result<Output> {
        let set = format!("statefulset/{NAME}");
        let arguments = ["plan", "-n", &self.namespace, &set, "--from", "east", "--to", "west"];
        self.stage.ferry.cli().run(&[&arguments, more].concat()).await
    }

    /// The plan is accepted: no finding refuses.
    pub(crate) async fn accepted(&self) -> Result<()> {
        self.plan("json").await?.success().map(drop)
    }

    /// The plan with `more` arguments is accepted, and says each of `expected`, a code and its severity.
    pub(crate) async fn accepted_with(&self, more: &[&str], expected: &[(&str, &str)]) -> Result<()> {
        let output = self.plan_with(&[more, &["-o", "json"]].concat()).await?.success()?;
        let plan = output.json()?;
        let findings = plan["findings"].as_array().with_context(|| format!("no findings: {output}"))?;
        for (code, severity) in expected {
            let said = findings.iter().any(|one| one["code"] == *code && one["severity"] == *severity);
            ensure!(said, "no {severity} {code}: {output}");
        }
        Ok(())
    }

    /// The plan is refused with exactly the codes `expected`, each finding says what to do, and nothing has changed.
    pub(crate) async fn refused(&self, expected: &[&str]) -> Result<()> {
        self.refused_with(&[], expected).await
    }

    /// The same, with more arguments.
    pub(crate) async fn refused_with(&self, more: &[&str], expected: &[&str]) -> Result<()> {
        let before = self.footprints().await?;
        let output = self.plan_with(&[more, &["-o", "json"]].concat()).await?;
        let after = self.footprints().await?;
        ensure!(output.code == 3, "a refused plan ends with 3: {output}");
        let found = refusals(&output)?;
        let expected: BTreeSet<&str> = expected.iter().copied().collect();
        let codes: BTreeSet<&str> = found.iter().filter_map(|finding| finding["code"].as_str()).collect();
        ensure!(codes == expected, "refused with {codes:?}, expected {expected:?}: {output}");
        for finding in &found {
            for part in ["subject", "found", "expected", "remedy"] {
                ensure!(finding[part].as_str().is_some_and(|text| !text.is_empty()), "no {part}: {finding}");
            }
        }
        ensure!(before == after, "the plan changed something: {before:#?} became {after:#?}");
        Ok(())
    }

    /// Both clusters.
    async fn footprints(&self) -> Result<[Footprint; 2]> {
        Ok([self.footprint(self.east()?).await?, self.footprint(self.west()?).await?])
    }

    async fn footprint(&self, cluster: &Cluster) -> Result<Footprint> {
        let kinds = "statefulset,pod,pvc,service,configmap,serviceaccount,pdb";
        let mut objects = listed(cluster, &["-n", &self.namespace, "get", kinds, "-o", "json"]).await?;
        let volumes = listed(cluster, &["get", "pv", "-o", "json"]).await?;
        objects.extend(
            volumes
                .into_iter()
                .filter(|volume| volume["spec"]["claimRef"]["namespace"] == self.namespace.as_str()),
        );
        let named = objects.into_iter().map(|mut object| {
            let name = format!("{}/{}", object["kind"], object["metadata"]["name"]);
            if let Some(fields) = object.as_object_mut() {
                fields.remove("status");
            }
            if let Some(fields) = object["metadata"].as_object_mut() {
                fields.remove("resourceVersion");
            }
            (name, object)
        });
        Ok(named.collect())
    }

    /// Removes the namespaces; what runs in them ends in its own time.
    pub(crate) async fn strike(self) -> Result<()> {
        for cluster in self.stage.world.clusters() {
            let delete = ["delete", "namespace", &self.namespace, "--ignore-not-found", "--wait=false"];
            cluster.kubectl(&delete).await?;
        }
        Ok(())
    }
}

/// The smallest workload.
pub(crate) fn workload() -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": NAME},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": NAME}},
            "template": {
                "metadata": {"labels": {"app": NAME}},
                "spec": {
                    "terminationGracePeriodSeconds": 0,
                    "containers": [{"name": "idle", "image": "ferry.test/pause:1"}],
                },
            },
        },
    })
}

/// The smallest workload with disks of the array, one for each of `templates`.
pub(crate) fn workload_with_disks(templates: &[&str]) -> Value {
    let mut set = workload();
    let claim = |name: &&str| {
        json!({
            "metadata": {"name": name},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "array",
                "resources": {"requests": {"storage": "32Mi"}},
            },
        })
    };
    let mount = |name: &&str| json!({"name": name, "mountPath": format!("/{name}")});
    set["spec"]["volumeClaimTemplates"] = templates.iter().map(claim).collect();
    set["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] = templates.iter().map(mount).collect();
    set
}

/// A PodDisruptionBudget for the workload.
pub(crate) fn budget(name: &str, max_unavailable: u32) -> Value {
    json!({
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name},
        "spec": {"maxUnavailable": max_unavailable, "selector": {"matchLabels": {"app": NAME}}},
    })
}

/// The findings of a plan that refuse; the plan fits its published schema.
pub(crate) fn refusals(output: &Output) -> Result<Vec<Value>> {
    let plan = output.json()?;
    let schema = serde_json::from_str(PLAN_SCHEMA)?;
    jsonschema::validate(&schema, &plan).map_err(|error| anyhow!("{error} at {}", error.instance_path()))?;
    let findings = plan["findings"].as_array().with_context(|| format!("no findings: {output}"))?;
    Ok(findings.iter().filter(|finding| finding["severity"] == "refuse").cloned().collect())
}

/// Creates objects; `namespace` is for those that have one and do not say which.
pub(crate) async fn create(cluster: &Cluster, namespace: Option<&str>, objects: &[Value]) -> Result<()> {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    let inside: Vec<&str> = namespace.map(|name| vec!["-n", name]).unwrap_or_default();
    let arguments = [inside.as_slice(), &["create", "-f", "-"]].concat();
    cluster.kubectl_with_input(&arguments, &list.to_string()).await.map(drop)
}

async fn listed(cluster: &Cluster, arguments: &[&str]) -> Result<Vec<Value>> {
    let list: Value = serde_json::from_str(&cluster.kubectl(arguments).await?)?;
    Ok(list["items"].as_array().cloned().unwrap_or_default())
}
