//! What pods ask for and nodes give: amounts of resources by name, in thousandths of their unit.
//!
//! The effective request of a pod is the scheduler's (k8s.io/component-helpers `resource.PodRequests`): the sum of its
//! containers and sidecars or the largest init container with the sidecars before it, whichever is more, plus the
//! RuntimeClass's overhead; what a pod asks for as a whole replaces the sum. A text that is no quantity counts as
//! nothing: the API server lets none through. Who fits where is decided in [`super::k08_room`].

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Container, PodSpec, ResourceRequirements},
    apimachinery::pkg::api::resource::Quantity,
};

use crate::inventory::quantity;

/// Thousandths by name of the resource.
pub(crate) type Amounts = BTreeMap<String, u128>;
/// Which half of a container's resources.
type Half = fn(&ResourceRequirements) -> Option<&BTreeMap<String, Quantity>>;

/// Quantities as amounts.
pub(crate) fn of(quantities: Option<&BTreeMap<String, Quantity>>) -> Amounts {
    let all = quantities.into_iter().flatten();
    all.map(|(name, text)| (name.clone(), quantity::thousandths(&text.0).unwrap_or(0))).collect()
}

/// What the scheduler counts for `pod`.
pub(crate) fn requests(pod: &PodSpec) -> Amounts {
    total(pod, |resources| resources.requests.as_ref())
}

/// The sum of its limits, as a quota counts them.
pub(crate) fn limits(pod: &PodSpec) -> Amounts {
    total(pod, |resources| resources.limits.as_ref())
}

fn total(pod: &PodSpec, half: Half) -> Amounts {
    let of_container = |container: &Container| of(container.resources.as_ref().and_then(half));
    let mut running = Amounts::new();
    for container in &pod.containers {
        add(&mut running, &of_container(container));
    }
    let (mut sidecars, mut starting) = (Amounts::new(), Amounts::new());
    for container in pod.init_containers.iter().flatten() {
        let own = of_container(container);
        let mut now = sidecars.clone();
        add(&mut now, &own);
        raise(&mut starting, &now);
        if container.restart_policy.as_deref() == Some("Always") {
            sidecars = now;
        }
    }
    add(&mut running, &sidecars);
    raise(&mut running, &starting);
    running.extend(of(pod.resources.as_ref().and_then(half)));
    add(&mut running, &of(pod.overhead.as_ref()));
    running
}

/// Adds `more` to `to`.
pub(crate) fn add(to: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        *to.entry(name.clone()).or_default() += amount;
    }
}

/// Takes `less` from `from`; nothing goes below nothing.
pub(crate) fn take(from: &mut Amounts, less: &Amounts) {
    for (name, amount) in less {
        let left = from.entry(name.clone()).or_default();
        *left = left.saturating_sub(*amount);
    }
}

fn raise(to: &mut Amounts, least: &Amounts) {
    for (name, amount) in least {
        let known = to.entry(name.clone()).or_default();
        *known = (*known).max(*amount);
    }
}

/// Each resource of which `asked` is more than `free`: how much is asked and how much there is.
pub(crate) fn lacking(asked: &Amounts, free: &Amounts) -> Vec<String> {
    let short = asked.iter().filter_map(|(name, amount)| {
        let left = free.get(name).copied().unwrap_or(0);
        (*amount > left).then(|| format!("{name}: {} asked, {} left", text(name, *amount), text(name, left)))
    });
    short.collect()
}

/// An amount as people write it.
pub(crate) fn text(name: &str, amount: u128) -> String {
    let name = name.trim_start_matches("requests.").trim_start_matches("limits.");
    if name == "cpu" {
        return if amount.is_multiple_of(1_000) {
            (amount / 1_000).to_string()
        } else {
            format!("{amount}m")
        };
    }
    let whole = amount.div_ceil(1_000);
    let is_bytes = name.ends_with("memory") || name.ends_with("storage") || name.starts_with("hugepages-");
    for (unit, shift) in [("Gi", 30), ("Mi", 20), ("Ki", 10)] {
        if is_bytes && whole > 0 && whole.is_multiple_of(1 << shift) {
            return format!("{}{unit}", whole >> shift);
        }
    }
    whole.to_string()
}

#[cfg(test)]
#[path = "amounts_tests.rs"]
mod tests;
