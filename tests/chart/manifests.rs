//! The plain manifests, for those who install without Helm.
//!
//! What runs is rendered from the charts; the agent's roles are the other way round: the chart reads them from
//! `deploy/agent`. So neither can say something that the other does not. An API server takes all of them as they are
//! in a namespace that enforces PodSecurity `restricted`, and what the charts render with other values.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use ferry_tests::ferry::helm::{Helm, NAMESPACE, chart};
use ferry_tests::ferry::pods::{AGENT, CONTROLLER, make_namespace};
use ferry_tests::world::World;

const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy");
/// Lines that say by whom an object was made; a plain manifest was made by nobody.
const HELMS_OWN: [&str; 3] = ["helm.sh/chart:", "app.kubernetes.io/managed-by: Helm", "# Source:"];

/// A manifest that is rendered from a chart.
struct Rendered {
    file: &'static str,
    chart: &'static str,
    values: &'static [&'static str],
    /// Of the chart's templates; all of them if empty.
    templates: &'static [&'static str],
}

const RENDERED: &[Rendered] = &[
    Rendered {
        file: "controller/controller.yaml",
        chart: CONTROLLER,
        values: &["sans={ferry.example.org}"],
        templates: &[],
    },
    Rendered {
        file: "agent/agent.yaml",
        chart: AGENT,
        values: &["controller=ferry.example.org:7443"],
        templates: &["templates/identity.yaml", "templates/deployment.yaml", "templates/networkpolicy.yaml"],
    },
];

/// Values of which the API server must take what comes of them.
const VARIANTS: &[(&str, &[&str])] = &[
    (
        CONTROLLER,
        &[
            "sans={a.example.org,10.0.0.1}",
            "ca.existingSecret=own",
            "service.type=NodePort",
            "service.nodePort=30743",
        ],
    ),
    (
        CONTROLLER,
        &[
            "persistence.storageClass=-",
            "nodeSelector.disk=fast",
            "extraArgs={--cert-ttl=1h}",
            "service.type=ClusterIP",
        ],
    ),
    (
        AGENT,
        &[
            "controller=[fd00::1]:7443",
            "join.token=x",
            "rbac.namespaces={default}",
            "rbac.secrets=true",
            "podCIDRs={10.0.0.0/16,fd00::/48}",
            "networkPolicy.peers={10.1.0.0/16}",
        ],
    ),
    (AGENT, &["controller=a.example.org:7443", "join.existingSecret=own", "networkPolicy.enabled=false"]),
];

/// Every rendered manifest is what its chart renders now; with `UPDATE=1` it becomes that.
pub(crate) async fn equal(world: &World) -> Result<()> {
    let helm = Helm::of(world)?;
    for manifest in RENDERED {
        let expected = manifest.render(&helm).await?;
        let path = Path::new(DEPLOY).join(manifest.file);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &expected).with_context(|| format!("cannot write {}", path.display()))?;
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        ensure!(
            found == expected,
            "deploy/{} is not what the chart renders: run `UPDATE=1 make test-chart ARGS=plain`",
            manifest.file
        );
    }
    Ok(())
}

/// A dry run by the API server takes them.
pub(crate) async fn accepted(world: &World) -> Result<()> {
    let cluster = world.cluster("east")?;
    make_namespace(cluster).await?;
    let apply = ["apply", "--dry-run=server", "-f"];
    for folder in ["controller", "agent"] {
        let folder = PathBuf::from(DEPLOY).join(folder).display().to_string();
        let said = cluster.kubectl(&[&apply[..], &[&folder]].concat()).await?;
        ensure!(said.contains("(server dry run)"), "{said}");
    }
    let helm = Helm::of(world)?;
    for (name, values) in VARIANTS {
        let folder = chart(name);
        let mut words = vec!["template", name, folder.as_str(), "--namespace", NAMESPACE];
        words.extend(values.iter().flat_map(|value| ["--set", value]));
        let rendered = helm.run(&words).await?;
        cluster
            .kubectl_with_input(&[&apply[..], &["-"]].concat(), &rendered)
            .await
            .with_context(|| format!("{name} with {values:?}"))?;
    }
    Ok(())
}

impl Rendered {
    async fn render(&self, helm: &Helm) -> Result<String> {
        let folder = chart(self.chart);
        let mut words = vec!["template", self.chart, folder.as_str(), "--namespace", NAMESPACE];
        words.extend(self.values.iter().flat_map(|value| ["--set", value]));
        words.extend(self.templates.iter().flat_map(|template| ["--show-only", template]));
        let rendered = helm.run(&words).await?;
        let kept = rendered.lines().filter(|line| {
            !line.trim().is_empty() && !HELMS_OWN.iter().any(|own| line.trim_start().starts_with(own))
        });
        let mut text = format!(
            "# What deploy/charts/{} renders, for an installation without Helm; `UPDATE=1 make test-chart` writes it.\n",
            self.chart
        );
        for line in kept {
            text.push_str(line.trim_end());
            text.push('\n');
        }
        Ok(text)
    }
}
