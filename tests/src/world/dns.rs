//! Asking a cluster's DNS server, as a client in that cluster would, without a cache in between.
//!
//! Clients of a moved replica follow it by name, in every cluster that imports its Service. So tests must be
//! able to ask each cluster's own server, from outside of its pods, and see what it says at this moment: the
//! records live one second, and a resolver that remembers would hide what is to be seen.

use std::net::IpAddr;

use anyhow::{Context, Result};
use hickory_resolver::{
    TokioResolver,
    config::{NameServerConfig, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
};

use super::Cluster;

impl Cluster {
    /// The addresses that this cluster's DNS gives for `name`, such as `web.shop.svc.cluster.local`, in order;
    /// a name that does not exist is an error.
    pub async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>> {
        let server = NameServerConfig::udp_and_tcp(self.dns().ip());
        let config = ResolverConfig::from_name_servers(vec![server]);
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        builder.options_mut().cache_size = 0;
        let answer = builder.build()?.lookup_ip(format!("{name}.")).await;
        let answer = answer.with_context(|| format!("the DNS of {} has no {name}", self.name()))?;
        let mut addresses: Vec<IpAddr> = answer.iter().collect();
        addresses.sort();
        Ok(addresses)
    }
}
