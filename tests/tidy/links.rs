//! Every link between the repository's documents leads somewhere, down to the heading.
//!
//! Documents are read at night, by people who follow links; a page that was renamed or a section that was reworded
//! breaks them without a sound. A link to a path must name a file or a folder that is there, one with `#` a heading of
//! that document. Links that leave the repository are not asked for: the tests have no network.

use super::{
    house::{File, House},
    rules::{Planted, Rule},
};

/// Links of Markdown documents.
pub(crate) const LINKS: Rule = Rule {
    name: "links",
    check: links,
    planted: &[
        Planted { path: "docs/a.md", text: || "# A\n\n[there](nowhere.md)\n".to_owned(), line: 3 },
        Planted { path: "docs/a.md", text: || "# A thing\n\n[there](#no-such-thing)\n".to_owned(), line: 3 },
    ],
};

fn links(house: &House) -> Vec<String> {
    let documents = house.files.iter().filter(|file| file.path.ends_with(".md"));
    documents
        .flat_map(|file| file.lines().map(move |(number, line)| (file, number, line)))
        .flat_map(|(file, number, line)| {
            targets(line).filter_map(move |target| {
                let fault = fault(house, file, target)?;
                Some(file.violation(number, format!("the link {target} leads nowhere: {fault}")))
            })
        })
        .collect()
}

fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target)
}

fn fault(house: &House, file: &File, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, heading) = target.split_once('#').unwrap_or((target, ""));
    let path = if path.is_empty() { file.path.clone() } else { resolved(&file.path, path) };
    let folder = format!("{path}/");
    let found = house.files.iter().find(|other| other.path == path);
    if found.is_none() && !house.files.iter().any(|other| other.path.starts_with(&folder)) {
        return Some(format!("there is no {path}; write it, or take the link out"));
    }
    let is_there = heading.is_empty() || found.is_some_and(|other| headings(other).any(|one| one == heading));
    (!is_there).then(|| format!("{path} has no heading that is called {heading}; name one that it has"))
}

/// `path` as seen from the folder of `from`.
fn resolved(from: &str, path: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    parts.join("/")
}

/// How headings are addressed: lower case, dashes for spaces, no punctuation.
fn headings(file: &File) -> impl Iterator<Item = String> {
    file.text.lines().filter(|line| line.starts_with('#')).map(|line| {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}
