//! Tables as kubectl prints them: uppercase headers, three spaces between columns, no borders, no trailing blanks.
//!
//! Pure functions from shapes and a time to text. A colour never carries meaning alone: what is red says so in words
//! too. Colour is laid over whole lines after the columns are aligned, so that it cannot disturb the alignment. An
//! empty cell is shown as `<none>` where kubectl would, and left empty where the message is usually empty.

mod control;

use comfy_table::{ContentArrangement, Table, presets};
use jiff::Timestamp;

use crate::{
    checks::version_skew,
    duration::{age, between_ms, elapsed},
    shape::{Cluster, Migration, Ordinal, Phase, Plan, Version, Volume},
    steps,
    terminal::{BAD, FAINT, GOOD, Paint, WARN},
};

pub(crate) use control::{audit, events, history, storage_domains, storage_maps};

/// Steps with a column of their own in the closing summary: as many as 80 columns of terminal hold.
const SHOWN_STEPS: usize = 6;
/// A step that took less, over all replicas, has none.
const SHOWN_MS: i64 = 100;

/// Aligned lines without line breaks, the header first.
fn lines<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> impl Iterator<Item = String> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header).add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 3));
    }
    table.trim_fmt().split('\n').map(str::to_owned).collect::<Vec<_>>().into_iter()
}

fn joined(lines: impl Iterator<Item = String>) -> String {
    lines.fold(String::new(), |text, line| text + &line + "\n")
}

fn or_none(text: &str) -> String {
    if text.is_empty() { "<none>".to_owned() } else { text.to_owned() }
}

/// `ferry clusters`; agents of another version than the controller's are marked, if that is known.
pub(crate) fn clusters(
    clusters: &[Cluster],
    server_version: Option<&str>,
    now: Timestamp,
    paint: Paint,
) -> String {
    let skew = |cluster| server_version.and_then(|version| version_skew(cluster, version));
    let rows = clusters.iter().map(|cluster| {
        let seen = cluster.last_seen_at.map_or_else(|| "never".to_owned(), |at| age(at, now) + " ago");
        [
            cluster.name.clone(),
            status(cluster).to_owned(),
            or_none(&cluster.kubernetes_version),
            or_none(&cluster.agent_version),
            format!("{}/{}", cluster.nodes_ready, cluster.nodes),
            cluster.workloads.to_string(),
            cluster.volumes.to_string(),
            seen,
            match skew(cluster) {
                Some(skew) if cluster.message.is_empty() => skew,
                Some(skew) => format!("{}; {skew}", cluster.message),
                None => cluster.message.clone(),
            },
        ]
    });
    let header =
        ["NAME", "STATUS", "KUBERNETES", "AGENT", "NODES", "STATEFULSETS", "VOLUMES", "LAST SEEN", "MESSAGE"];
    let mut lines = lines(header, rows);
    let head = lines.next().into_iter();
    joined(head.chain(lines.zip(clusters).map(|(line, cluster)| match status(cluster) {
        "Attached" if skew(cluster).is_none() => line,
        "Attached" | "Detached" => paint.text(WARN, &line),
        _ => paint.text(BAD, &line),
    })))
}

fn status(cluster: &Cluster) -> &'static str {
    match (cluster.attached, cluster.api_server_ok) {
        (true, true) => "Attached",
        (true, false) => "NoAPIServer",
        (false, _) => "Detached",
    }
}

/// `ferry volumes`.
pub(crate) fn volumes(volumes: &[Volume], paint: Paint) -> String {
    let rows = volumes.iter().map(|volume| {
        [
            volume.namespace.clone(),
            volume.workload.clone(),
            volume.ordinal.to_string(),
            or_none(&volume.claim),
            or_none(&volume.cluster),
            volume.state.clone(),
            volume.epoch.to_string(),
            volume.domain.clone(),
            volume.driver.clone(),
            volume.handle.clone(),
            volume.message.clone(),
        ]
    });
    let header = [
        "NAMESPACE",
        "STATEFULSET",
        "ORDINAL",
        "CLAIM",
        "CLUSTER",
        "STATE",
        "EPOCH",
        "DOMAIN",
        "DRIVER",
        "HANDLE",
        "MESSAGE",
    ];
    let mut lines = lines(header, rows);
    let head = lines.next().into_iter();
    joined(head.chain(lines.zip(volumes).map(|(line, volume)| match volume.state.as_str() {
        "conflict" => paint.text(BAD, &line),
        "missing" => paint.text(WARN, &line),
        _ => line,
    })))
}

/// `ferry get`.
pub(crate) fn migrations(migrations: &[Migration], now: Timestamp, paint: Paint) -> String {
    let rows = migrations.iter().map(|migration| {
        let took =
            migration.started_at.map_or_else(String::new, |at| age(at, migration.ended_at.unwrap_or(now)));
        [
            migration.id.clone(),
            migration.namespace.clone(),
            migration.workload.clone(),
            migration.from.clone(),
            migration.to.clone(),
            stands(migration),
            format!("{}/{}", migration.moved(), migration.ordinals.len()),
            took,
            migration.started_at.map_or_else(String::new, |at| age(at, now)),
        ]
    });
    let header = ["ID", "NAMESPACE", "STATEFULSET", "FROM", "TO", "PHASE", "MOVED", "DURATION", "AGE"];
    let mut lines = lines(header, rows);
    let head = lines.next().into_iter();
    joined(head.chain(lines.zip(migrations).map(|(line, migration)| match migration.phase {
        Phase::Paused => paint.text(WARN, &line),
        Phase::Refused => paint.text(BAD, &line),
        Phase::RolledBack => paint.text(WARN, &line),
        Phase::Preparing | Phase::Running | Phase::Completed => line,
    })))
}

/// The PHASE column: what is not known is neither well nor ill, and is shown.
pub(crate) fn stands(migration: &Migration) -> String {
    let unknown = if migration.unknown.is_empty() { "" } else { " (unknown)" };
    format!("{}{unknown}", phase(migration.phase))
}

/// A phase in words.
pub(crate) fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Preparing => "Preparing",
        Phase::Running => "Running",
        Phase::Completed => "Completed",
        Phase::Paused => "Paused",
        Phase::Refused => "Refused",
        Phase::RolledBack => "RolledBack",
    }
}

/// `ferry get ID`: its ordinals.
pub(crate) fn ordinals(migration: &Migration, now: Timestamp, paint: Paint) -> String {
    let rows = migration.ordinals.iter().map(|ordinal| {
        let step = match (ordinal.ended_at, ordinal.step) {
            (Some(_), _) | (None, steps::DONE) => "done".to_owned(),
            (None, 0) => "waiting".to_owned(),
            (None, step) => format!("{} ({step}/{})", ordinal.step_name, steps::LAST),
        };
        let took = ordinal
            .started_at
            .map_or_else(String::new, |at| elapsed(between_ms(at, ordinal.ended_at.unwrap_or(now))));
        [format!("{}-{}", migration.workload, ordinal.ordinal), step, took, ordinal.message.clone()]
    });
    let mut lines = lines(["REPLICA", "STEP", "DURATION", "MESSAGE"], rows);
    let head = lines.next().into_iter();
    joined(head.chain(lines.zip(&migration.ordinals).map(|(line, ordinal)| {
        let style = if ordinal.ended_at.is_some() { GOOD } else { FAINT };
        if ordinal.ended_at.is_some() || ordinal.step == 0 { paint.text(style, &line) } else { line }
    })))
}

/// How long each step of each ordinal took, at the end of a migration: the steps that took longest have a column, the
/// others share one.
pub(crate) fn step_times(migration: &Migration) -> String {
    let took = |ordinal: &Ordinal, number: u32| -> Option<i64> {
        let step = ordinal.steps.iter().find(|step| step.step == number)?;
        Some(between_ms(step.started_at?, step.ended_at?))
    };
    let all = |step: &u32| migration.ordinals.iter().filter_map(|ordinal| took(ordinal, *step)).sum::<i64>();
    let mut shown: Vec<u32> = (1..=steps::LAST).filter(|step| all(step) >= SHOWN_MS).collect();
    shown.sort_by_key(|step| std::cmp::Reverse(all(step)));
    shown.truncate(SHOWN_STEPS);
    shown.sort_unstable();
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    let head = ["REPLICA".to_owned(), "TOTAL".to_owned()].into_iter();
    table.set_header(
        head.chain(shown.iter().map(|step| steps::name(*step).to_uppercase())).chain(["OTHER".to_owned()]),
    );
    let cell = |ms: Option<i64>| ms.map_or_else(|| "-".to_owned(), elapsed);
    for ordinal in &migration.ordinals {
        let total = ordinal.started_at.zip(ordinal.ended_at).map(|(from, to)| between_ms(from, to));
        let times: Vec<Option<i64>> = shown.iter().map(|step| took(ordinal, *step)).collect();
        let other = total.map(|total| (total - times.iter().flatten().sum::<i64>()).max(0));
        let cells = [format!("{}-{}", migration.workload, ordinal.ordinal), cell(total)].into_iter();
        table.add_row(cells.chain(times.into_iter().map(cell)).chain([cell(other)]));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 3));
    }
    table.trim_fmt() + "\n"
}

/// Volumes of a plan.
pub(crate) fn planned_volumes(plan: &Plan) -> String {
    joined(lines(
        ["ORDINAL", "CLAIM", "PERSISTENTVOLUME", "DRIVER", "HANDLE"],
        plan.volumes.iter().map(|volume| {
            [
                volume.ordinal.to_string(),
                volume.claim.clone(),
                volume.pv.clone(),
                volume.driver.clone(),
                volume.handle.clone(),
            ]
        }),
    ))
}

/// `ferry version`.
pub(crate) fn version(version: &Version) -> String {
    let mut text = format!("Client version:  {}\n", version.client);
    if let Some(server) = &version.server {
        text.push_str(&format!(
            "Server version:  {} at {}\nIdentity:        {}\nTrust domain:    {}\n",
            server.version, server.address, server.identity, server.trust_domain
        ));
    }
    text
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
