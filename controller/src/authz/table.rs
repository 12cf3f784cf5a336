//! The table, and the decision as a pure function of path, peer and time.
//!
//! Pure so that every row can be tried with every identity without a connection. The order of reasons matters: an
//! expired certificate is named as such before it is asked what it may do, and a caller that showed none learns
//! nothing about which calls exist.

use std::time::SystemTime;

use crate::{
    clock,
    identity::spiffe::{Identity, Role, Subject},
    tls::Peer,
};

/// Who may call an RPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Everybody: the request carries its own proof.
    Anonymous,
    /// Any cluster or role.
    Certified,
    /// A cluster's agent, about its own cluster.
    Cluster,
    /// This role or a stronger one.
    AtLeast(Role),
}

const TABLE: &[(&str, Who)] = &[
    ("/ferry.agent.v1.AgentService/Attach", Who::Cluster),
    ("/ferry.enroll.v1.EnrollService/Enroll", Who::Anonymous),
    ("/grpc.health.v1.Health/Check", Who::AtLeast(Role::Viewer)),
    ("/grpc.health.v1.Health/Watch", Who::AtLeast(Role::Viewer)),
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Who::AtLeast(Role::Viewer)),
    ("/ferry.enroll.v1.EnrollService/Renew", Who::Certified),
    ("/ferry.admin.v1.AdminService/GetVersion", Who::AtLeast(Role::Viewer)),
    ("/ferry.admin.v1.AdminService/CreateToken", Who::AtLeast(Role::Admin)),
    ("/ferry.admin.v1.AdminService/ListClusters", Who::AtLeast(Role::Viewer)),
    ("/ferry.admin.v1.AdminService/ListVolumes", Who::AtLeast(Role::Viewer)),
    ("/ferry.admin.v1.AdminService/CreatePlan", Who::AtLeast(Role::Viewer)),
    ("/ferry.admin.v1.AdminService/StartMigration", Who::AtLeast(Role::Operator)),
    ("/ferry.admin.v1.AdminService/ListMigrations", Who::AtLeast(Role::Viewer)),
    ("/ferry.admin.v1.AdminService/Watch", Who::AtLeast(Role::Viewer)),
    ("/ferry.admin.v1.AdminService/PauseMigration", Who::AtLeast(Role::Operator)),
    ("/ferry.admin.v1.AdminService/ResumeMigration", Who::AtLeast(Role::Operator)),
    ("/ferry.admin.v1.AdminService/RollbackMigration", Who::AtLeast(Role::Operator)),
    ("/ferry.admin.v1.AdminService/AttestFenced", Who::AtLeast(Role::Admin)),
    ("/ferry.admin.v1.AdminService/FinishMigration", Who::AtLeast(Role::Operator)),
    ("/ferry.admin.v1.AdminService/ListAudit", Who::AtLeast(Role::Viewer)),
    ("/ferry.admin.v1.AdminService/SetStorageDomain", Who::AtLeast(Role::Admin)),
    ("/ferry.admin.v1.AdminService/ListStorageDomains", Who::AtLeast(Role::Viewer)),
    ("/ferry.admin.v1.AdminService/AddStorageMap", Who::AtLeast(Role::Admin)),
    ("/ferry.admin.v1.AdminService/RemoveStorageMap", Who::AtLeast(Role::Admin)),
    ("/ferry.admin.v1.AdminService/ListStorageMaps", Who::AtLeast(Role::Viewer)),
    ("/ferry.admin.v1.AdminService/ProbeStorage", Who::AtLeast(Role::Operator)),
];

/// Every row: path and who may call it.
pub fn rows() -> impl Iterator<Item = (&'static str, Who)> {
    TABLE.iter().copied()
}

/// Why a call is denied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// No certificate.
    #[error(
        "this call needs a client certificate and none was shown: log in with `ferry login`, or start the agent with \
         a join token"
    )]
    Anonymous,
    /// Its validity is over.
    #[error(
        "the certificate of {identity} expired at {at}: join again with a new token from `ferry token create`"
    )]
    Expired {
        /// Whose.
        identity: Box<Identity>,
        /// End of validity, RFC 3339.
        at: String,
    },
    /// Nobody's certificate.
    #[error("the certificate shown is nobody's here: {reason}")]
    Unrecognised {
        /// Why.
        reason: String,
    },
    /// Somebody else's call.
    #[error("{identity} may not call {path}: it takes {needed}")]
    Forbidden {
        /// Who asked.
        identity: Box<Identity>,
        /// For what.
        path: String,
        /// Who may.
        needed: String,
    },
    /// No such call.
    #[error("this controller knows no call {path}: are both sides of the same version?")]
    Unknown {
        /// The path.
        path: String,
    },
}

/// Decides: the caller's identity if the call may proceed (`None`: anonymously), else why not.
pub fn authorize(path: &str, peer: &Peer, now: SystemTime) -> Result<Option<Identity>, Denial> {
    let who = TABLE.iter().find(|(row, _)| *row == path).map(|(_, who)| *who);
    let valid = valid(peer, now);
    if who == Some(Who::Anonymous) {
        return Ok(valid.ok().cloned());
    }
    let identity = valid?;
    let Some(who) = who else {
        return Err(Denial::Unknown {
            path: path.chars().take(crate::limits::MAX_SUBDOMAIN_CHARS).collect(),
        });
    };
    if allowed(who, &identity.subject) {
        return Ok(Some(identity.clone()));
    }
    Err(Denial::Forbidden {
        identity: Box::new(identity.clone()),
        path: path.to_owned(),
        needed: describe(who),
    })
}

fn valid(peer: &Peer, now: SystemTime) -> Result<&Identity, Denial> {
    match peer {
        Peer::Anonymous => Err(Denial::Anonymous),
        Peer::Unrecognised { reason } => Err(Denial::Unrecognised { reason: reason.clone() }),
        Peer::Certified { identity, not_after } if now > *not_after => {
            Err(Denial::Expired { identity: Box::new(identity.clone()), at: clock::written(*not_after) })
        }
        Peer::Certified { identity, .. } => Ok(identity),
    }
}

fn allowed(who: Who, subject: &Subject) -> bool {
    match (who, subject) {
        // The controller's own certificate is for answering, never for calling.
        (_, Subject::Controller) => false,
        (Who::Anonymous | Who::Certified, _) | (Who::Cluster, Subject::Cluster(_)) => true,
        (Who::AtLeast(least), Subject::Role { role, .. }) => *role >= least,
        (Who::Cluster, Subject::Role { .. }) | (Who::AtLeast(_), Subject::Cluster(_)) => false,
    }
}

fn describe(who: Who) -> String {
    match who {
        Who::Anonymous => "nobody in particular".to_owned(),
        Who::Certified => "a cluster or a role".to_owned(),
        Who::Cluster => "a cluster's agent".to_owned(),
        Who::AtLeast(Role::Admin) => "the role admin".to_owned(),
        Who::AtLeast(role) => format!("the role {} or a stronger one", role.as_str()),
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
