//! K14, identity (H28): what a replica is known by may belong to its cluster and not to it.
//!
//! A cloud's role is bound to the ServiceAccount as one cluster's token issuer signs it; a token with an audience of its
//! own is checked against that issuer somewhere; a certificate may carry the cluster's name. None of it travels. The
//! plan lists what it finds, so that a person has the other side prepared before the first replica arrives. Certificates
//! are judged by what cert-manager writes on the Secret's metadata: what is inside a Secret is never read.

use ferry_proto::agent::v1::Finding;
use k8s_openapi::api::core::v1::PodSpec;

use super::{
    facts::Source,
    finding::{note, warn},
    read::Optional,
};

/// Annotations of ServiceAccounts that bind them to a cloud's identity, and the cloud.
const CLOUDS: [(&str, &str); 6] = [
    ("eks.amazonaws.com/role-arn", "AWS"),
    ("iam.gke.io/gcp-service-account", "Google Cloud"),
    ("azure.workload.identity/client-id", "Azure"),
    ("pod-identity.alibabacloud.com/role-name", "Alibaba Cloud"),
    ("iam.cloud.ibm.com/trusted-profile", "IBM Cloud"),
    ("vault.hashicorp.com/alias-metadata-env", "Vault"),
];
/// CSI drivers that issue identities into pods.
const ISSUERS: [&str; 3] = ["csi.spiffe.io", "csi.cert-manager.io", "secrets-store.csi.k8s.io"];
/// What cert-manager writes on the Secrets that it issues.
const NAMES: [&str; 3] =
    ["cert-manager.io/alt-names", "cert-manager.io/common-name", "cert-manager.io/uri-sans"];

/// Checks the source.
pub(crate) fn check(facts: &Source) -> Vec<Finding> {
    let mut findings = accounts(facts);
    let template = facts.set.object.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    findings.extend(template.into_iter().flat_map(|pod| tokens(pod, &facts.shape.name)));
    for (name, annotations) in &facts.secrets {
        findings.extend(certificate(facts, name, annotations));
    }
    findings
}

fn accounts(facts: &Source) -> Vec<Finding> {
    let Some(account) = &facts.service_account else {
        return Vec::new();
    };
    let metadata = &account.object.metadata;
    let all = metadata.annotations.as_ref();
    let bound = CLOUDS.iter().filter_map(|(key, cloud)| Some((key, cloud, all?.get(*key)?)));
    bound
        .map(|(key, cloud, value)| {
            warn(
                "K14-identity-cloud",
                format!("ServiceAccount/{}", metadata.name.as_deref().unwrap_or_default()),
                format!("bound to an identity of {cloud}: {key}={value}"),
                "an identity that also trusts the target's token issuer",
                format!(
                    "Let {value} trust the target cluster's issuer before the first replica arrives there."
                ),
            )
        })
        .collect()
}

fn tokens(pod: &PodSpec, set: &str) -> Vec<Finding> {
    let subject = format!("StatefulSet/{set}");
    let mut findings = Vec::new();
    for volume in pod.volumes.iter().flatten() {
        let sources = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
        for token in sources.filter_map(|source| source.service_account_token.as_ref()) {
            let Some(audience) = token.audience.as_deref().filter(|text| !text.is_empty()) else { continue };
            findings.push(note(
                "K14-identity-token",
                &subject,
                format!("volume {} is a token for {audience}, signed by this cluster's issuer", volume.name),
                format!("{audience} to accept the target cluster's issuer as well"),
                "Add the target's issuer where the token is checked (kubectl get --raw /.well-known/openid-configuration).",
            ));
        }
        if let Some(csi) = volume.csi.as_ref().filter(|csi| ISSUERS.contains(&csi.driver.as_str())) {
            findings.push(note(
                "K14-identity-issued",
                &subject,
                format!("volume {} is issued to each pod by {}", volume.name, csi.driver),
                "an issuer in the target whose identities the other replicas trust",
                format!("Install {} in the target, with the same trust as in the source.", csi.driver),
            ));
        }
    }
    findings
}

/// A certificate that carries the cluster's own name.
fn certificate(facts: &Source, name: &str, annotations: &Optional<(String, String)>) -> Option<Finding> {
    if let Optional::Denied(said) = annotations {
        return Some(note(
            "K14-identity-unreadable",
            format!("Secret/{name}"),
            format!("the agent may not look at its metadata: {said}"),
            "that no certificate in it is for names of this cluster",
            "Make sure yourself, or let the agent get Secrets (it never reads what is inside).",
        ));
    }
    let all = annotations.known().iter().filter(|(key, _)| NAMES.contains(&key.as_str()));
    let names = all.flat_map(|(_, text)| text.split(','));
    let own = |text: &&str| {
        let parts = text.split(['.', '-', '/', ':']);
        parts.into_iter().any(|part| part.eq_ignore_ascii_case(&facts.cluster))
    };
    let named: Vec<&str> = names.filter(own).collect();
    (!named.is_empty()).then(|| {
        warn(
            "K14-identity-certificate",
            format!("Secret/{name}"),
            format!("its certificate is for names of this cluster: {}", named.join(", ")),
            "a certificate that is good in the target as well",
            "Issue one for the target's names; Secrets never travel, the target needs its own anyway.",
        )
    })
}

#[cfg(test)]
#[path = "k14_identity_tests.rs"]
mod tests;
