//! Writes that pass although their command was taken back meanwhile, each with the reason why that does no harm.
//!
//! Most late writes fail at the API server: they name a version, a uid, or a name that is taken. A creation under a name
//! that is free again cannot, nor a policy that nobody else touches. Each kind of these stands here with what makes it
//! harmless; a late write that is not here fails the test. ARCHITECTURE.md names them too, under *Taking back*.

use crate::journey::Verb;

/// Why a write that passes late does no harm; nothing for one that must not pass.
pub(super) fn reason(verb: Verb, write: &str) -> Option<&'static str> {
    let (method, path) = write.split_once(' ')?;
    let kind = path.rsplit('/').next().unwrap_or_default();
    match (verb, method, kind) {
        (Verb::Adopt, "POST", "persistentvolumes") => Some(
            "reserved for the name of a claim under which a tombstone stands: never Bound, and forgotten by the next hold",
        ),
        (Verb::PrepareTarget, "POST", "persistentvolumeclaims") => Some(
            "a tombstone: it provisions nothing and holds no disk; it bears the migration's mark, by which it goes when \
             preparation is taken back again",
        ),
        (Verb::PrepareTarget, "POST", "statefulsets") => Some(
            "an empty slice: no pod and no claim comes of it; it bears the migration's mark, by which it goes when \
             preparation is taken back again, and a later migration refuses to take it over",
        ),
        (
            Verb::PrepareTarget,
            "POST",
            "configmaps" | "services" | "serviceaccounts" | "poddisruptionbudgets",
        ) => Some(
            "a copy of what the source has, which nothing uses; it bears the migration's mark, by which it goes when \
             preparation is taken back again",
        ),
        (Verb::PrepareSource, "POST", "configmaps") => Some(
            "the list of a guard that nothing binds: nothing is refused by it, and it goes with the next guard",
        ),
        (
            Verb::PrepareSource | Verb::PrepareTarget,
            "POST",
            "validatingadmissionpolicies" | "validatingadmissionpolicybindings",
        ) => Some(
            "rules without a list: nothing is refused by them, and they go when preparation is taken back again",
        ),
        (Verb::PrepareSource, "PATCH", _) if path.contains("/statefulsets/") => Some(
            "retention Retain, and the record of what it was: nothing is deleted by it, and taking preparation back once \
             more restores what the record says",
        ),
        (Verb::PrepareSource, "PATCH", _) if path.contains("/persistentvolumes/") => {
            Some("a reclaim policy Retain: it keeps a disk that nothing asked to keep")
        }
        (Verb::PrepareSource, "PATCH", _) if path.contains("/persistentvolumeclaims/") => Some(
            "a claim without the owner that the StatefulSet controller gives it again by its retention policy",
        ),
        (Verb::HoldSource | Verb::HoldTarget, "PATCH", _) if path.contains("/poddisruptionbudgets/") => Some(
            "a share of the budget: evictions wait, no replica is lost; the process puts back what was there when it has its \
             answer, otherwise the next hold or taking back once more does",
        ),
        _ => None,
    }
}

/// The object that a write which passed late may leave as it made it: a policy that keeps more than it has to.
pub(super) fn kept(verb: Verb, write: &str) -> Option<String> {
    let (path, name) = write.rsplit_once('/')?;
    let kinds =
        [("persistentvolumes", "PersistentVolume"), ("persistentvolumeclaims", "PersistentVolumeClaim")];
    let kind = kinds.into_iter().find(|(plural, _)| path.ends_with(plural) && verb == Verb::PrepareSource);
    kind.map(|(_, kind)| format!("{kind}/{name}"))
}
