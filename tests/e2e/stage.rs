//! What every case stands on: the world with Ferry installed, and the few sentences that cases share.
//!
//! One stage is set for all cases, since a world takes longer to bring up than most cases to run. A case leaves it as
//! it found it: agents attached, no migration under way; objects stay in the case's own namespace and end with the
//! world.

use std::path::Path;

use anyhow::{Result, ensure};
use ferry_tests::app::crossing::Outcome;
use ferry_tests::app::etcd::Etcd;
use ferry_tests::ferry::{Ferry, Output};
use ferry_tests::world::{Config, World};

/// The world and the installation.
pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) ferry: Ferry,
}

impl Stage {
    pub(crate) async fn set(config: Config, dir: &Path) -> Result<Self> {
        let world = World::up(dir, &config).await?;
        let ferry = Ferry::install(&world).await?;
        Ok(Self { world, ferry })
    }

    /// `ferry migrate` to its end.
    pub(crate) async fn migrate(&self, etcd: &Etcd, to: &str, order: &str) -> Result<Output> {
        let set = format!("statefulset/{}", etcd.name);
        let arguments =
            ["migrate", "-n", &etcd.namespace, &set, "--to", to, "--order", order, "--yes", "-o", "json"];
        self.ferry.cli().run(&arguments).await?.success()
    }
}

/// Nothing lost, nothing broken, and as many handoffs as were asked for.
pub(crate) fn assert_clean(outcome: &Outcome, handoffs: usize) -> Result<()> {
    ensure!(outcome.is_clean(), "the crossing was not clean: {outcome:#?}");
    ensure!(outcome.handoffs == handoffs, "{} handoffs seen, expected {handoffs}", outcome.handoffs);
    ensure!(outcome.writes_acknowledged > 0, "the writer wrote nothing");
    Ok(())
}
