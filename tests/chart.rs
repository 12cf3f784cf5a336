//! The installation: the charts, the plain manifests, the images and the manifest of the kubectl plugin.
//!
//! One world of two clusters, in which Ferry is installed as pods as an operator would, moves a database, is upgraded
//! while it keeps its ledger and its identities, and is uninstalled. What needs no cluster (values that must be
//! refused, manifests that must be what the charts say) is asked first. `cargo test -p ferry-tests --test chart -- NAME`
//! runs the cases whose name contains NAME; with `UPDATE=1` the plain manifests are written anew.

#[path = "chart/lifecycle.rs"]
mod lifecycle;
#[path = "chart/manifests.rs"]
mod manifests;
#[path = "chart/plugin.rs"]
mod plugin;
#[path = "chart/values.rs"]
mod values;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use ferry_tests::build;
use ferry_tests::ferry::pods;
use ferry_tests::world::{self, Config, World};
use futures::future::LocalBoxFuture;
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;

type Case = fn(&World) -> LocalBoxFuture<'_, Result<()>>;

const CASES: &[(&str, Case)] = &[
    ("charts-are-well-formed", |world| Box::pin(values::well_formed(world))),
    ("bad-values-are-refused", |world| Box::pin(values::refused(world))),
    ("plain-manifests-are-what-the-charts-say", |world| Box::pin(manifests::equal(world))),
    ("the-api-server-accepts-every-manifest", |world| Box::pin(manifests::accepted(world))),
    ("krew-manifest-installs-the-plugin", |world| Box::pin(plugin::installs(world))),
    ("install-move-upgrade-uninstall", |world| Box::pin(lifecycle::run(world))),
];

fn main() -> Result<ExitCode> {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    if arguments.list {
        return Ok(libtest_mimic::run(&arguments, trials(None)).exit_code());
    }
    let tools = build::ensure(&world::kubernetes_release())?;
    let dir = world::enter()?;
    let runtime = Arc::new(Runtime::new()?);
    let world = runtime.block_on(World::up(&dir, &pods::with_images(Config::two_clusters(tools))?))?;
    Ok(libtest_mimic::run(&arguments, trials(Some((runtime, world)))).exit_code())
}

/// Every case; without a world only their names are of use.
fn trials(on: Option<(Arc<Runtime>, World)>) -> Vec<Trial> {
    let trial = |(name, case): &(&'static str, Case)| {
        let (case, on) = (*case, on.clone());
        Trial::test(*name, move || {
            let (runtime, world) = on.ok_or("no world: --list runs nothing")?;
            runtime.block_on(case(&world)).map_err(|failure| Failed::from(format!("{failure:?}")))
        })
    };
    CASES.iter().map(trial).collect()
}
