//! A plan, explained: what moves, what speaks against it, in which order, what will be written where.
//!
//! Pure text. The hash comes last, with the command that runs exactly this plan: whoever approves has read what it
//! stands for. Findings name what was found, what was expected and what to do; refusals come first and all of them
//! are shown, because a person who repairs one thing at a time plans as many times as there are faults.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
};

use jiff::Timestamp;

use crate::{
    describe,
    duration::{age, between_ms},
    shape::{Finding, OnFailure, Order, Plan, Severity, rfc3339},
    table,
    terminal::{BAD, FAINT, GOOD, Paint, TITLE, WARN},
};

/// Replica names shown of a large set, at either end.
const NAMES_SHOWN: usize = 12;

/// Everything, with the next command.
pub(crate) fn whole(plan: &Plan, now: Timestamp, program: &str, paint: Paint) -> String {
    render(|text| {
        head(text, plan, paint)?;
        findings(text, plan, paint)?;
        volumes(text, plan, paint)?;
        writes(text, plan, paint)?;
        verdict(text, plan, now, program, paint)
    })
}

/// What a person needs to say yes or no: what moves, how, and what was found.
pub(crate) fn summary(plan: &Plan, paint: Paint) -> String {
    render(|text| {
        head(text, plan, paint)?;
        findings(text, plan, paint)?;
        if let Some(hash) = &plan.hash {
            writeln!(
                text,
                "\nPlan {hash}: {}, {}.",
                count(plan.volumes.len(), "volume"),
                count(plan.writes.len(), "API write")
            )?;
        }
        Ok(())
    })
}

/// Writing to a string does not fail; the result is for `?`.
fn render(write: impl FnOnce(&mut String) -> fmt::Result) -> String {
    let mut text = String::new();
    let _ = write(&mut text);
    text
}

fn count(n: usize, what: &str) -> String {
    match n {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}

fn order(order: Order) -> &'static str {
    match order {
        Order::HighestFirst => "highest ordinal first",
        Order::LowestFirst => "lowest ordinal first",
    }
}

fn head(text: &mut String, plan: &Plan, paint: Paint) -> fmt::Result {
    let title = format!(
        "Move StatefulSet {}/{} from {} to {}",
        plan.namespace,
        plan.workload,
        if plan.from.is_empty() { "(unknown)" } else { &plan.from },
        plan.to
    );
    writeln!(text, "{}", paint.text(TITLE, &title))?;
    writeln!(text)?;
    if plan.ordinals.is_empty() {
        return writeln!(text, "  Replicas  none found");
    }
    writeln!(text, "  Replicas  {}", names(plan))?;
    writeln!(text, "  Order     {}, one at a time", order(plan.order))?;
    writeln!(text, "  Budget    at most {} unavailable at any time, over both clusters", plan.budget)?;
    writeln!(text, "  Volumes   {}, moved with their replicas; no data is copied", plan.volumes.len())?;
    if !plan.storage_classes.is_empty() {
        let classes: Vec<String> = plan
            .storage_classes
            .iter()
            .map(|(source, target)| format!("{source} becomes {target}"))
            .collect();
        writeln!(text, "  Classes   {}", classes.join(", "))?;
    }
    if !plan.deadlines.is_empty() {
        writeln!(text, "  Deadlines {}", describe::deadlines(&plan.deadlines))?;
    }
    if plan.on_failure == OnFailure::Rollback {
        writeln!(text, "  Late      {}", describe::GIVEN_BACK)?;
    }
    Ok(())
}

fn names(plan: &Plan) -> String {
    let name = |ordinal: &u32| format!("{}-{ordinal}", plan.workload);
    let all: Vec<String> = plan.ordinals.iter().map(name).collect();
    if all.len() <= 2 * NAMES_SHOWN {
        return all.join(", ");
    }
    let (first, last) = (&all[..NAMES_SHOWN], &all[all.len() - NAMES_SHOWN..]);
    format!("{}, … , {} ({} in all)", first.join(", "), last.join(", "), all.len())
}

fn findings(text: &mut String, plan: &Plan, paint: Paint) -> fmt::Result {
    let of = |severity| plan.findings.iter().filter(|finding| finding.severity == severity).count();
    let title = format!(
        "Findings: {}, {}, {}",
        count(of(Severity::Refuse), "refusal"),
        count(of(Severity::Warn), "warning"),
        count(of(Severity::Note), "note")
    );
    writeln!(text, "\n{}", paint.text(TITLE, &title))?;
    plan.findings.iter().try_for_each(|found| finding(text, found, paint))
}

fn finding(text: &mut String, finding: &Finding, paint: Paint) -> fmt::Result {
    let (style, label) = match finding.severity {
        Severity::Refuse => (BAD, "REFUSED"),
        Severity::Warn => (WARN, "WARNING"),
        Severity::Note => (FAINT, "NOTE"),
    };
    let place = if finding.cluster.is_empty() { String::new() } else { format!(" in {}", finding.cluster) };
    // A code that begins with its check says both.
    let code = match finding.code.strip_prefix(&finding.check) {
        Some(rest) if rest.starts_with('-') => finding.code.clone(),
        _ => format!("{} {}", finding.check, finding.code),
    };
    writeln!(text, "\n  {}  {code}: {}{place}", paint.text(style, label), finding.subject)?;
    let parts = [("found", &finding.found), ("expected", &finding.expected), ("to do", &finding.remedy)];
    for (label, part) in parts.into_iter().filter(|(_, part)| !part.is_empty()) {
        writeln!(text, "    {label:<9} {part}")?;
    }
    Ok(())
}

fn volumes(text: &mut String, plan: &Plan, paint: Paint) -> fmt::Result {
    if plan.volumes.is_empty() {
        return Ok(());
    }
    writeln!(text, "\n{}", paint.text(TITLE, "Volumes"))?;
    table::planned_volumes(plan).lines().try_for_each(|line| writeln!(text, "  {line}"))
}

/// By cluster; the number is the write's place among all of them, so that the order can still be read.
fn writes(text: &mut String, plan: &Plan, paint: Paint) -> fmt::Result {
    let mut by_cluster: BTreeMap<&str, Vec<(usize, &str)>> = BTreeMap::new();
    for (index, write) in plan.writes.iter().enumerate() {
        by_cluster.entry(&write.cluster).or_default().push((index + 1, &write.write));
    }
    if by_cluster.is_empty() {
        return Ok(());
    }
    let width = plan.writes.len().to_string().len();
    writeln!(text, "\n{}", paint.text(TITLE, "API writes, numbered in their order over both clusters"))?;
    for (cluster, writes) in by_cluster {
        writeln!(text, "  {cluster}")?;
        for (number, write) in writes {
            writeln!(text, "    {number:>width$}  {write}")?;
        }
    }
    Ok(())
}

fn verdict(text: &mut String, plan: &Plan, now: Timestamp, program: &str, paint: Paint) -> fmt::Result {
    let refusals = plan.refusals();
    let Some(hash) = plan.hash.as_ref().filter(|_| refusals == 0) else {
        let no = format!("Refused: {}.", count(refusals, "finding"));
        return writeln!(text, "\n{} Nothing was changed in any cluster.", paint.text(BAD, &no));
    };
    write!(text, "\n{} Nothing was changed yet.", paint.text(GOOD, "This plan can run."))?;
    if let Some(end) = plan.expires_at {
        let left = if between_ms(now, end) > 0 { format!(" (in {})", age(now, end)) } else { String::new() };
        write!(text, " It may be started until {}{left}.", rfc3339(end))?;
    }
    writeln!(text, "\nPlan hash {hash}\n\nTo run exactly this:\n")?;
    writeln!(text, "  {}", command(plan, hash, program))
}

fn command(plan: &Plan, hash: &str, program: &str) -> String {
    let order = match plan.order {
        Order::HighestFirst => "",
        Order::LowestFirst => " --order lowest-first",
    };
    format!(
        "{program} migrate statefulset/{} -n {} --to {}{order} --plan {hash}",
        plan.workload, plan.namespace, plan.to
    )
}

#[cfg(test)]
#[path = "explain_plan_tests.rs"]
mod tests;
