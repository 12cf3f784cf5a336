//! The certificate of a finished migration, as text.
//!
//! It states what the source was found to hold of the workload at one moment: nothing but tombstones, or what is named. What is
//! left to do by hand is part of it. Whoever needs it for a program takes `-o json`.
//! Pure: from shapes to text. What is found at another moment, or by another tool, is not in it.

use std::fmt::{self, Write};

use crate::{
    shape::{Certificate, Migration, rfc3339},
    terminal::{BAD, GOOD, Paint, TITLE, WARN},
};

/// The whole certificate.
pub(crate) fn text(migration: &Migration, certificate: &Certificate, paint: Paint) -> String {
    let mut text = String::new();
    let _ = write(&mut text, migration, certificate, paint);
    text
}

fn write(text: &mut String, migration: &Migration, found: &Certificate, paint: Paint) -> fmt::Result {
    let what = format!("StatefulSet {}/{}", migration.namespace, migration.workload);
    let title = format!("{what} in {} after migration {} to {}", found.cluster, migration.id, migration.to);
    writeln!(text, "{}\n", paint.text(TITLE, &title))?;
    let gone = if found.stateful_set_gone { "gone".to_owned() } else { paint.text(BAD, "still there") };
    writeln!(text, "  {:<22} {gone}", "StatefulSet")?;
    if !found.recreated_by.is_empty() {
        writeln!(text, "  {:<22} {}", "made anew by", paint.text(BAD, &found.recreated_by))?;
    }
    for (kind, names) in [
        ("Pods", &found.pods),
        ("PersistentVolumeClaims", &found.claims),
        ("PersistentVolumes", &found.pvs),
        ("VolumeAttachments", &found.attachments),
    ] {
        let names = if names.is_empty() { "none".to_owned() } else { paint.text(BAD, &names.join(", ")) };
        writeln!(text, "  {kind:<22} {names}")?;
    }
    let tombstones =
        if found.tombstones.is_empty() { "none".to_owned() } else { found.tombstones.join(", ") };
    writeln!(text, "  {:<22} {tombstones}", "Tombstones")?;
    if let Some(at) = found.issued_at {
        writeln!(text, "  {:<22} {}", "looked at", rfc3339(at))?;
    }
    if !found.by_hand.is_empty() {
        writeln!(text, "\n{}", paint.text(TITLE, "Left to do by hand"))?;
        found.by_hand.iter().try_for_each(|line| writeln!(text, "  - {line}"))?;
    }
    let verdict = match (found.is_clean(), found.accepted) {
        (true, true) => paint.text(GOOD, &format!("{} holds nothing of it any more.", found.cluster)),
        (true, false) => paint.text(GOOD, &format!("{} holds nothing of it but tombstones.", found.cluster)),
        (false, _) => paint.text(WARN, &format!("{} still holds what is named above.", found.cluster)),
    };
    writeln!(text, "\n{verdict}")
}

#[cfg(test)]
#[path = "certificate_tests.rs"]
mod tests;
