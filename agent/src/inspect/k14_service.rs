//! K14, the part that every migration needs: the Service that gives the replicas their names.
//!
//! Peers and clients find a replica as `<pod>.<service>`; the mirror (network.md) keeps that name alive in both
//! clusters, through the governing Service. Without the Service there is nothing to mirror into. Routes, policies and
//! resolvers between the clusters are judged elsewhere; this looks at the one object.

use ferry_proto::agent::v1::Finding;

use super::{
    describe,
    facts::Source,
    finding::{note, refuse, warn},
};

/// Name of the governing Service; nothing if the StatefulSet names none.
pub(crate) fn governing(facts: &Source) -> Option<&str> {
    let spec = facts.set.object.spec.as_ref()?;
    spec.service_name.as_deref().filter(|name| !name.is_empty())
}

/// Checks the source.
pub(crate) fn check(facts: &Source) -> Vec<Finding> {
    let Some(name) = governing(facts) else {
        return vec![note(
            "K14-no-service",
            format!("StatefulSet/{}", facts.shape.name),
            "no spec.serviceName: the replicas have no names in DNS",
            "a governing Service, if peers or clients use such names",
            "Nothing, if nobody uses them: endpoints are then not mirrored and not waited for.",
        )];
    };
    let subject = format!("Service/{name}");
    let found = facts.services.iter().find(|service| service.object.metadata.name.as_deref() == Some(name));
    let Some(service) = found else {
        return vec![refuse(
            "K14-service-missing",
            subject,
            format!(
                "no such Service, but StatefulSet {} names it as its governing Service",
                facts.shape.name
            ),
            "the Service: it travels, and the other cluster's replicas are reached through it",
            "Create the headless Service in the source, and plan again.",
        )];
    };
    let mut findings: Vec<_> = unreadable_ttl(facts).into_iter().collect();
    let address = service.object.spec.as_ref().and_then(|spec| spec.cluster_ip.as_deref());
    if address != Some("None") {
        findings.push(warn(
            "K14-service-not-headless",
            subject,
            format!("clusterIP {}", address.unwrap_or("unset")),
            "None: only a headless Service gives each replica a name",
            "Check how peers and clients find the replicas; a new headless Service needs a new StatefulSet.",
        ));
    }
    findings
}

fn unreadable_ttl(facts: &Source) -> Option<Finding> {
    let text = describe::dns_ttl(facts)?.err()?;
    Some(refuse(
        "K14-dns-ttl-unreadable",
        format!("StatefulSet/{}", facts.shape.name),
        format!("annotation {} {text:?}", describe::DNS_TTL),
        "a number of seconds, for example 5",
        "Write the longest time for which a resolver may keep an answer, or remove the annotation.",
    ))
}

#[cfg(test)]
#[path = "k14_service_tests.rs"]
mod tests;
