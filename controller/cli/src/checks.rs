//! The checks of `ferry check`, judged and shown in the manner of `linkerd check`.
//!
//! Pure functions from facts to checks, and from checks to text. Each check has a sentence that is true when it is as it
//! should be, a stable code for scripts, and where it is not, what was found and what to do. A warning is something that
//! works now; a failure is something that a migration would meet.

use std::{fmt::Write, time::Duration};

use jiff::Timestamp;

use crate::{
    config::Credential,
    duration::{age, between_ms, elapsed},
    error::Failure,
    explain::explain,
    limits,
    shape::{Check, CheckReport, Cluster, Migration, Phase, Server, Verdict},
    terminal::{BAD, FAINT, GOOD, Paint, TITLE, WARN},
};

fn check(group: &str, code: &str, what: impl Into<String>) -> Check {
    Check {
        group: group.to_owned(),
        code: code.to_owned(),
        verdict: Verdict::Ok,
        what: what.into(),
        found: String::new(),
        remedy: String::new(),
    }
}

impl Check {
    /// The same, found otherwise.
    fn but(self, verdict: Verdict, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict, found: found.into(), remedy: remedy.into(), ..self }
    }
}

/// A call that failed.
pub(crate) fn failed(group: &str, code: &str, what: &str, failure: &Failure, program: &str) -> Check {
    let explained = explain(failure, program);
    let found = if explained.found.is_empty() {
        failure.to_string()
    } else {
        format!("{failure}: {}", explained.found)
    };
    check(group, code, what).but(Verdict::Fail, found, explained.remedy)
}

/// This machine.
pub(crate) fn client(credential: &Credential, now: Timestamp, program: &str) -> Vec<Check> {
    let is = check(
        "client",
        "logged-in",
        format!("logged in to {} as {}", credential.server, credential.identity),
    );
    let end = Timestamp::from_second(credential.expires_unix_seconds).unwrap_or_default();
    let valid = if between_ms(now, end) > 0 {
        let left =
            format!("the certificate is valid for {} and renews itself while it is used", age(now, end));
        let valid = check("client", "certificate-valid", left);
        if credential.renewal_due(now) {
            let remedy = format!("any command renews it; if that fails, `{program} clusters` says why");
            valid.but(Verdict::Warn, "its renewal is due", remedy)
        } else {
            valid
        }
    } else {
        let remedy =
            format!("ask an admin for a token, then: {program} login --server {} TOKEN", credential.server);
        check("client", "certificate-valid", "the certificate is valid").but(
            Verdict::Fail,
            format!("it expired {} ago", age(end, now)),
            remedy,
        )
    };
    vec![is, valid]
}

/// The controller.
pub(crate) fn controller(server: &Server, took: Duration, client_version: &str) -> Vec<Check> {
    let ms = i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
    let answers = check(
        "controller",
        "controller-answers",
        format!("it answers at {} in {}", server.address, elapsed(ms)),
    );
    let answers = if took > limits::SLOW_ANSWER {
        answers.but(Verdict::Warn, "that is slow", "look at the controller's disk and at the network between")
    } else {
        answers
    };
    let known = check("controller", "identity-known", format!("it knows this caller as {}", server.identity));
    let version =
        check("controller", "client-version", format!("its version is this command's, {client_version}"));
    let version = if server.version == client_version {
        version
    } else {
        let found = format!("it is {}, this command {client_version}", server.version);
        version.but(Verdict::Warn, found, "bring this command to the controller's version")
    };
    vec![answers, known, version]
}

/// The clusters.
pub(crate) fn clusters(clusters: &[Cluster], server_version: &str, program: &str) -> Vec<Check> {
    if clusters.len() < 2 {
        let found = match clusters {
            [] => "none was ever attached".to_owned(),
            [one, ..] => format!("only {}", one.name),
        };
        let remedy = format!("make a token for an agent: {program} token create cluster NAME");
        let two = check("clusters", "two-clusters", "there are two clusters or more");
        let mut checks = vec![two.but(Verdict::Warn, found, remedy)];
        checks.extend(clusters.iter().flat_map(|cluster| of_cluster(cluster, server_version)));
        return checks;
    }
    clusters.iter().flat_map(|cluster| of_cluster(cluster, server_version)).collect()
}

fn of_cluster(cluster: &Cluster, server_version: &str) -> Vec<Check> {
    let group = format!("cluster {}", cluster.name);
    let attached = check(&group, "agent-attached", "its agent is attached");
    if !cluster.attached {
        let remedy = "see to its agent: kubectl -n ferry-system get pods, and its log";
        return vec![attached.but(Verdict::Fail, cluster.message.clone(), remedy)];
    }
    let version =
        check(&group, "agent-version", format!("its agent has the controller's version, {server_version}"));
    let version = match version_skew(cluster, server_version) {
        Some(found) => version.but(
            Verdict::Warn,
            found,
            "bring both to one version; the newer one first is the controller",
        ),
        None => version,
    };
    let api = check(&group, "api-server", format!("its API server answers ({})", cluster.kubernetes_version));
    let api = if cluster.api_server_ok {
        api
    } else {
        let found =
            if cluster.message.is_empty() { "it does not answer the agent" } else { &cluster.message };
        api.but(Verdict::Fail, found, "see to the cluster's control plane")
    };
    let lag = i64::try_from(cluster.watch_lag_ms).unwrap_or(i64::MAX);
    let fresh = check(&group, "watch-lag", format!("what the agent sees is fresh ({} old)", elapsed(lag)));
    let old = || format!("its oldest watch was heard of {} ago", elapsed(lag));
    let remedy = "look at the agent's log and at the load of the API server";
    let fresh = match cluster.watch_lag_ms {
        ms if ms > limits::LAG_FAILS_MS => fresh.but(Verdict::Fail, old(), remedy),
        ms if ms > limits::LAG_WARNS_MS => fresh.but(Verdict::Warn, old(), remedy),
        _ => fresh,
    };
    let nodes = check(&group, "nodes-ready", format!("its nodes are Ready ({})", cluster.nodes));
    let nodes = if cluster.nodes_ready == cluster.nodes && cluster.nodes > 0 {
        nodes
    } else {
        let found = format!("{} of {} are", cluster.nodes_ready, cluster.nodes);
        nodes.but(Verdict::Warn, found, "kubectl get nodes")
    };
    vec![attached, version, api, fresh, nodes]
}

/// What differs, if an agent's version is not the controller's.
pub(crate) fn version_skew(cluster: &Cluster, server_version: &str) -> Option<String> {
    let differs =
        cluster.attached && !cluster.agent_version.is_empty() && cluster.agent_version != server_version;
    differs.then(|| format!("its agent is {}, the controller {server_version}", cluster.agent_version))
}

/// Migrations that a person should look at.
pub(crate) fn migrations(migrations: &[Migration], program: &str) -> Vec<Check> {
    let running: Vec<&Migration> = migrations.iter().filter(|migration| !migration.ended()).collect();
    let held = running.iter().filter(|migration| migration.phase == Phase::Paused);
    let held: Vec<Check> = held
        .map(|migration| {
            check("migrations", "migration-runs", format!("{} goes on", migration.id)).but(
                Verdict::Warn,
                migration.message.clone(),
                format!("{program} describe {}", migration.id),
            )
        })
        .collect();
    if held.is_empty() {
        let what = match running.len() {
            0 => "none is running".to_owned(),
            n => format!("{n} running, none held up"),
        };
        return vec![check("migrations", "migration-runs", what)];
    }
    held
}

/// All of them, under their groups.
pub(crate) fn text(report: &CheckReport, paint: Paint) -> String {
    let mut text = String::new();
    let mut group = "";
    for check in &report.checks {
        if check.group != group {
            let before = if group.is_empty() { "" } else { "\n" };
            group = &check.group;
            let rule = "-".repeat(group.chars().count());
            let _ = writeln!(text, "{before}{}\n{}", paint.text(TITLE, group), paint.text(FAINT, &rule));
        }
        let (style, mark) = match check.verdict {
            Verdict::Ok => (GOOD, "√"),
            Verdict::Warn => (WARN, "‼"),
            Verdict::Fail => (BAD, "×"),
        };
        let _ = writeln!(text, "{} {}", paint.text(style, mark), check.what);
        for (label, part) in [("found", &check.found), ("to do", &check.remedy)] {
            if !part.is_empty() {
                let _ = writeln!(text, "    {label:<6} {part}");
            }
        }
    }
    let (style, mark) = if report.ok { (GOOD, "√") } else { (BAD, "×") };
    let _ = writeln!(text, "\nStatus check results are {}", paint.text(style, mark));
    text
}

#[cfg(test)]
#[path = "checks_tests.rs"]
mod tests;
