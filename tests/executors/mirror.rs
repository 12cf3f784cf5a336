//! Mirrors of the other cluster's endpoints, as a step like others.
//!
//! The agent writes them without a command, tries again by itself, and confirms each when the API server has all of it.
//! Here one is written and awaited, so that its writes can be struck like those of commands. What its EndpointSlices mean
//! to resolvers is for the end-to-end tests.

use std::time::Duration;

use ferry_agent::{
    context::Context,
    endpoints::mirror::Mirrors,
    outcome::{Evidence, Stop},
};
use ferry_proto::agent::v1::{Endpoint, GovernedService, Mirror, Settled};

use crate::{
    journey::{Journey, Verb},
    workload,
};

/// Address of a replica elsewhere.
const ADDRESS: &str = "10.99.0.7";

/// The endpoints that the other cluster has of the workload, or none any more; nothing for a command.
pub(crate) fn of(journey: &Journey, verb: Verb) -> Option<Mirror> {
    let endpoints = match verb {
        Verb::Mirror => vec![Endpoint {
            address: ADDRESS.to_owned(),
            hostname: format!("{}-{}", workload::NAME, journey.ordinal),
            ready: true,
            serving: true,
            ..Endpoint::default()
        }],
        Verb::Unmirror => Vec::new(),
        _ => return None,
    };
    Some(Mirror {
        namespace: journey.namespace.clone(),
        service: workload::NAME.to_owned(),
        origin: journey.source.clone(),
        revision: 1,
        endpoints,
        ports: Vec::new(),
        address_type: "IPv4".to_owned(),
        origin_pod_cidrs: vec![format!("{ADDRESS}/32")],
        origin_instance_id: "1".to_owned(),
    })
}

/// Writes a mirror as the agent does. It has no outcome of its own: a settlement, which says as little, stands for it.
pub(crate) async fn write(ctx: &Context, mirror: Mirror, time: Duration) -> Result<Evidence, Stop> {
    let mirrors = Mirrors::new(ctx.client.clone(), ctx.cluster.clone());
    let (namespace, service) = (mirror.namespace.clone(), mirror.service.clone());
    mirrors.govern(&[GovernedService { namespace, service }]);
    mirrors.submit(mirror);
    let written = async { while !mirrors.next_answer().await.error.is_empty() {} };
    match tokio::time::timeout(time, written).await {
        Ok(()) => Ok(Evidence::Settled(Settled {})),
        Err(_) => Err(Stop::unknown("the mirror was not written in time")),
    }
}
