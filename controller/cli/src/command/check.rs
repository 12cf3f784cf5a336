//! `ferry check`: what works and what does not, from this machine to the clusters.
//!
//! Facts are gathered here, one after the other, and judged in [`crate::checks`]. A fault ends nothing but what depends on it:
//! without a credential the controller cannot be asked, without the controller nothing is known of the clusters; everything
//! else is checked whatever was found before.

use std::time::Instant;

use jiff::Timestamp;

use crate::{
    checks,
    error::Failure,
    run::Context,
    shape::{Check, CheckReport, Verdict},
    terminal,
};

pub(crate) async fn run(context: &Context) -> Result<(), Failure> {
    let checks = gather(context).await;
    let failed = checks.iter().filter(|check| check.verdict == Verdict::Fail).count();
    let report = CheckReport { ok: failed == 0, checks };
    if context.is_json() {
        terminal::json(&report, false)?;
    } else {
        terminal::out(&checks::text(&report, context.terminal.paint_out()))?;
    }
    if report.ok { Ok(()) } else { Err(Failure::ChecksFailed { failed }) }
}

async fn gather(context: &Context) -> Vec<Check> {
    let program = context.program;
    let mut checks = Vec::new();
    match context.store.load() {
        Ok(credential) => checks.extend(checks::client(&credential, Timestamp::now(), program)),
        Err(failure) => {
            checks.push(checks::failed("client", "logged-in", "a credential is there", &failure, program));
            return checks;
        }
    }
    let begin = Instant::now();
    let asked = async {
        let mut admin = context.admin().await?;
        let server = admin.version().await?;
        Ok::<_, Failure>((admin, server))
    };
    let (mut admin, server) = match asked.await {
        Ok(answered) => answered,
        Err(failure) => {
            let what = "the controller answers";
            checks.push(checks::failed("controller", "controller-answers", what, &failure, program));
            return checks;
        }
    };
    checks.extend(checks::controller(&server, begin.elapsed(), env!("CARGO_PKG_VERSION")));
    match admin.clusters().await {
        Ok(clusters) => checks.extend(checks::clusters(&clusters, &server.version, program)),
        Err(failure) => {
            checks.push(checks::failed(
                "clusters",
                "clusters-known",
                "clusters can be listed",
                &failure,
                program,
            ));
        }
    }
    match admin.migrations(String::new(), String::new()).await {
        Ok(migrations) => checks.extend(checks::migrations(&migrations, program)),
        Err(failure) => {
            let what = "migrations can be listed";
            checks.push(checks::failed("migrations", "migrations-known", what, &failure, program));
        }
    }
    checks
}
