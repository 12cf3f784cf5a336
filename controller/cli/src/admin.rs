//! The calls, one function each.
//!
//! Requests are made and answers taken here; what comes back is [`crate::shape`]. Nothing is retried here: whoever
//! calls knows whether a repetition is safe and what to tell the person meanwhile. The role each call needs is the
//! one that the service definition documents, named so that a denial can say what to ask for.

mod control;

use std::{collections::BTreeMap, fmt, time::Duration};

use ferry_proto::admin::v1::{
    self as pb, admin_service_client::AdminServiceClient, create_token_request::Subject,
    start_migration_response::Result as Started,
};
use jiff::Timestamp;
use tonic::{Streaming, transport::Channel};

use crate::{error::Failure, limits, session::Session, shape, wire};

/// Which call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// Trade a token for a certificate.
    Enroll,
    /// A new certificate for the old.
    Renew,
    /// Versions.
    Version,
    /// A join token.
    CreateToken,
    /// Clusters.
    Clusters,
    /// The ledger.
    Volumes,
    /// A plan.
    Plan,
    /// Run a plan.
    Start,
    /// Migrations.
    Migrations,
    /// Follow a migration.
    Watch,
    /// Stop at the next safe point.
    Pause,
    /// Go on.
    Resume,
    /// Give back.
    Rollback,
    /// Attest a node.
    Attest,
    /// End it in the source.
    Finish,
    /// The audit log.
    Audit,
    /// Set a storage domain, or a mapping.
    SetStorage,
    /// Storage domains and mappings.
    Storage,
    /// Probe the storage between two clusters.
    Probe,
}

impl Call {
    /// The least role that may make it.
    pub(crate) fn role(self) -> &'static str {
        match self {
            Self::CreateToken | Self::SetStorage | Self::Attest => "admin",
            Self::Start | Self::Pause | Self::Resume | Self::Rollback | Self::Finish | Self::Probe => {
                "operator"
            }
            _ => "viewer",
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enroll => "login",
            Self::Renew => "renewing the certificate",
            Self::Version => "asking the controller's version",
            Self::CreateToken => "making a token",
            Self::Clusters => "listing clusters",
            Self::Volumes => "listing volumes",
            Self::Plan => "planning",
            Self::Start => "starting the migration",
            Self::Migrations => "listing migrations",
            Self::Watch => "asking about the migration",
            Self::Pause => "pausing the migration",
            Self::Resume => "resuming the migration",
            Self::Rollback => "rolling the migration back",
            Self::Attest => "attesting the node",
            Self::Finish => "finishing the migration",
            Self::Audit => "reading the audit log",
            Self::SetStorage => "changing what is known of storage",
            Self::Storage => "asking about storage",
            Self::Probe => "probing the storage",
        })
    }
}

/// Who a token is for.
pub(crate) enum Holder {
    /// A cluster's agent.
    Cluster(String),
    /// A person or script.
    Role {
        /// viewer, operator or admin.
        role: String,
        /// Name.
        name: String,
    },
}

/// What to plan.
pub(crate) struct Move {
    /// Namespace.
    pub(crate) namespace: String,
    /// StatefulSet.
    pub(crate) workload: String,
    /// From; empty: wherever it runs.
    pub(crate) from: String,
    /// To.
    pub(crate) to: String,
    /// Order.
    pub(crate) order: shape::Order,
    /// Only these ordinals; none for all.
    pub(crate) ordinals: Vec<u32>,
    /// StorageClasses of the target by the source's.
    pub(crate) storage_classes: BTreeMap<String, String>,
    /// Deadlines by step, in milliseconds.
    pub(crate) deadlines: BTreeMap<u32, u64>,
    /// What follows when a newcomer is late.
    pub(crate) on_failure: shape::OnFailure,
}

/// The admin service on one connection.
pub(crate) struct Admin {
    session: Session,
    client: AdminServiceClient<Channel>,
    at_most: Duration,
}

impl Admin {
    /// On this connection; each call takes at most so long.
    pub(crate) fn new(session: Session, at_most: Duration) -> Self {
        let client =
            AdminServiceClient::new(session.channel.clone()).max_decoding_message_size(limits::MESSAGE_BYTES);
        Self { session, client, at_most }
    }

    /// Versions.
    pub(crate) async fn version(&mut self) -> Result<shape::Server, Failure> {
        let call = self.client.get_version(pb::GetVersionRequest {});
        let answer = self.session.finish(Call::Version, self.at_most, call).await?;
        Ok(shape::Server {
            address: self.session.server.clone(),
            version: wire::clean(&answer.version),
            identity: wire::clean(&answer.identity),
            trust_domain: wire::clean(&answer.trust_domain),
        })
    }

    /// A token that lives so long; zero is the controller's default.
    pub(crate) async fn create_token(
        &mut self,
        holder: Holder,
        ttl_seconds: u32,
    ) -> Result<shape::Token, Failure> {
        let subject = Some(match holder {
            Holder::Cluster(name) => Subject::Cluster(name),
            Holder::Role { role, name } => Subject::Role(pb::RoleSubject { role, name }),
        });
        let call = self.client.create_token(pb::CreateTokenRequest { subject, ttl_seconds });
        let answer = self.session.finish(Call::CreateToken, self.at_most, call).await?;
        let expires_at = Timestamp::from_millisecond(answer.expires_unix_ms).map_err(|_| {
            Failure::NotUnderstood { what: "expiry of the token", found: answer.expires_unix_ms.to_string() }
        })?;
        Ok(shape::Token { token: wire::clean(&answer.token), expires_at })
    }

    /// Clusters, by name.
    pub(crate) async fn clusters(&mut self) -> Result<Vec<shape::Cluster>, Failure> {
        let call = self.client.list_clusters(pb::ListClustersRequest {});
        let answer = self.session.finish(Call::Clusters, self.at_most, call).await?;
        Ok(answer.clusters.into_iter().map(wire::cluster).collect())
    }

    /// Volumes; an empty name means any.
    pub(crate) async fn volumes(
        &mut self,
        namespace: String,
        workload: String,
        cluster: String,
    ) -> Result<Vec<shape::Volume>, Failure> {
        let call = self.client.list_volumes(pb::ListVolumesRequest { namespace, workload, cluster });
        let answer = self.session.finish(Call::Volumes, self.at_most, call).await?;
        Ok(answer.volumes.into_iter().map(wire::volume).collect())
    }

    /// A plan, which may be refused.
    pub(crate) async fn plan(&mut self, what: Move) -> Result<shape::Plan, Failure> {
        let request = pb::CreatePlanRequest {
            namespace: what.namespace,
            workload: what.workload,
            from: what.from,
            to: what.to,
            order: wire::order_of(what.order).into(),
            ordinals: what.ordinals,
            on_failure: wire::on_failure_of(what.on_failure).into(),
            storage_classes: what.storage_classes.into_iter().collect(),
            deadlines: what
                .deadlines
                .into_iter()
                .map(|(step, deadline_ms)| pb::StepDeadline { step, step_name: String::new(), deadline_ms })
                .collect(),
        };
        let call = self.client.create_plan(request);
        let answer = self.session.finish(Call::Plan, self.at_most, call).await?;
        wire::plan(answer.plan.ok_or_else(|| absent("plan"))?)
    }

    /// Runs the plan with this hash; asked again, it finds the migration that runs already.
    pub(crate) async fn start(&mut self, plan_hash: String) -> Result<shape::Migration, Failure> {
        let call = self.client.start_migration(pb::StartMigrationRequest { plan_hash });
        let answer = self.session.finish(Call::Start, self.at_most, call).await?;
        match answer.result {
            Some(Started::Migration(migration)) => wire::migration(migration),
            Some(Started::Rejection(no)) => Err(rejected(Call::Start, no)),
            None => Err(absent("result")),
        }
    }

    /// Migrations, newest first; an empty name means any.
    pub(crate) async fn migrations(
        &mut self,
        namespace: String,
        workload: String,
    ) -> Result<Vec<shape::Migration>, Failure> {
        let call = self.client.list_migrations(pb::ListMigrationsRequest { namespace, workload });
        let answer = self.session.finish(Call::Migrations, self.at_most, call).await?;
        answer.migrations.into_iter().map(wire::migration).collect()
    }

    /// One migration, or all of them when the id is empty, now and whenever it changes.
    pub(crate) async fn watch(&mut self, migration: String) -> Result<Changes, Failure> {
        let call = self.client.watch(pb::WatchRequest { migration });
        let stream = self.session.finish(Call::Watch, self.at_most, call).await?;
        Ok(Changes { stream, session: self.session.clone() })
    }
}

/// A running watch.
pub(crate) struct Changes {
    stream: Streaming<pb::WatchResponse>,
    session: Session,
}

impl Changes {
    /// The next state of a migration; none when the controller has ended the watch.
    pub(crate) async fn next(&mut self) -> Result<Option<shape::Migration>, Failure> {
        match self.stream.message().await {
            Ok(Some(answer)) => {
                wire::migration(answer.migration.ok_or_else(|| absent("migration"))?).map(Some)
            }
            Ok(None) => Ok(None),
            Err(status) => Err(self.session.failed(Call::Watch, status)),
        }
    }
}

/// The controller understood, and said no.
fn rejected(call: Call, no: pb::Rejection) -> Failure {
    Failure::Rejected {
        call,
        code: wire::clean(&no.code),
        message: wire::clean(&no.message),
        transient: no.transient,
    }
}

fn absent(what: &'static str) -> Failure {
    Failure::NotUnderstood { what, found: "(nothing)".to_owned() }
}
