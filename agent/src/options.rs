//! The command line, and the environment variables that stand in for it.
//!
//! Options say where things are: the controller, the directory that keeps the identity, the cluster. What the
//! agent does is not configured here: that is the controller's to command. A value is checked while it is
//! read, so that a mistake is told before anything is dialled.

use std::{net::SocketAddr, path::PathBuf};

use clap::Parser;
pub use ferry_telemetry::logs::Format as LogFormat;
use ferry_telemetry::trace::Endpoint;
use ipnet::IpNet;

use crate::identity::{self, channel::Address, token::JoinToken};

/// Reports one Kubernetes cluster to a Ferry controller and carries out its commands there.
#[derive(Parser, Debug)]
#[command(name = "ferry-agent", version)]
pub struct Options {
    /// The controller, HOST:PORT.
    #[arg(long, env = "FERRY_CONTROLLER")]
    pub controller: Address,
    /// Directory that keeps the key and the certificate.
    #[arg(long, env = "FERRY_STATE", required_unless_present = "state_secret")]
    pub state: Option<PathBuf>,
    /// Instead of a directory: a Secret, in the namespace of the agent's account, that exists and may be empty.
    #[arg(long, value_name = "NAME", conflicts_with = "state")]
    pub state_secret: Option<String>,
    /// Join token; needed once. Prefer --token-file: arguments can be seen by other users of the machine.
    #[arg(long, env = "FERRY_TOKEN", hide_env_values = true, conflicts_with = "token_file")]
    pub token: Option<String>,
    /// File with the join token; needed once.
    #[arg(long)]
    pub token_file: Option<PathBuf>,
    /// Credentials for the cluster; default: $KUBECONFIG, then the pod's service account.
    #[arg(long)]
    pub kubeconfig: Option<PathBuf>,
    /// Context in the kubeconfig; default: its current one.
    #[arg(long, requires = "kubeconfig")]
    pub context: Option<String>,
    /// Pod networks of this cluster, CIDR notation, separated by commas; default: those of the nodes.
    #[arg(long, value_delimiter = ',')]
    pub pod_cidrs: Vec<IpNet>,
    /// How logs are written to standard error.
    #[arg(long, value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// Where /metrics, /healthz and /readyz are served over plain HTTP; nowhere unless given.
    #[arg(long, env = "FERRY_METRICS_LISTEN", value_name = "ADDR")]
    pub metrics_listen: Option<SocketAddr>,
    /// Collector that spans are sent to, OTLP over gRPC: http://HOST:PORT; none are unless given.
    #[arg(long, env = "FERRY_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<Endpoint>,
}

impl Options {
    /// The join token, if one was given. A file that is gone is no token: it may have been removed after enrolment.
    ///
    /// # Errors
    /// [`identity::Error::TokenFile`], [`identity::Error::Token`].
    pub fn join_token(&self) -> Result<Option<JoinToken>, identity::Error> {
        let text = match (&self.token, &self.token_file) {
            (Some(text), _) => text.clone(),
            (None, Some(path)) => match std::fs::read_to_string(path) {
                Ok(text) => text,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                Err(source) => return Err(identity::Error::TokenFile { path: path.clone(), source }),
            },
            (None, None) => return Ok(None),
        };
        Ok(Some(text.parse()?))
    }
}
