//! What an executor is given: the cluster, the command's facts, a deadline, and a way to say what it does.
//!
//! A [`Context`] carries no decision and no state between commands. Its watches only wake: whatever an
//! executor relies on it reads itself, without a resourceVersion, so that the API server answers from a quorum.
//! [`Context::read`] is the one place where a read is tried again; writes are not tried again here, because an
//! ambiguous write has to be looked at first (I8).

use std::{fmt, future::Future, time::Duration};

use tokio::time::Instant;

use crate::{
    executor::watches::Watches,
    limits,
    outcome::{Stop, classify, said},
    progress::Reporter,
};

/// What an executor or an inspection works with.
#[derive(Clone)]
pub struct Context {
    /// The cluster's API server.
    pub client: kube::Client,
    /// The name by which the controller knows this cluster.
    pub cluster: String,
    /// What the command says about itself.
    pub command: Facts,
    /// After this the outcome is unknown; `dispatch` enforces it.
    pub deadline: Instant,
    /// Where progress goes.
    pub progress: Reporter,
    /// What wakes its waits.
    pub watches: Watches,
}

/// A command without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// `<migration>/<ordinal or ->/<verb>/<n>`.
    pub id: String,
    /// Fencing number; 0 for commands that write nothing.
    pub epoch: u64,
    /// Restore generation of the ledger (H18).
    pub generation: u64,
    /// Namespace of the workload.
    pub namespace: String,
    /// Name of the workload's StatefulSet.
    pub workload: String,
    /// The migration's id; empty for inspections.
    pub migration: String,
}

impl Context {
    /// Time left until the deadline; zero when it has passed.
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// The same for a command that takes steps back.
    #[must_use]
    pub fn undoing(&self) -> Self {
        Self { progress: self.progress.undoing(), ..self.clone() }
    }

    /// Carries out `request`, a read, and tries again with backoff while the API server gives no clear answer.
    ///
    /// # Errors
    /// What the API server answered; unknown when the deadline passed first. `what` names the object read.
    pub async fn read<T, F, R>(&self, what: impl fmt::Display, mut request: F) -> Result<T, Stop>
    where
        F: FnMut() -> R,
        R: Future<Output = kube::Result<T>>,
    {
        let mut pause = limits::READ_RETRY_FIRST;
        loop {
            let patience = self.deadline.min(Instant::now() + limits::READ_TIMEOUT);
            let error = match tokio::time::timeout_at(patience, request()).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) if !classify(&error).is_retryable_read() => return Err(error.into()),
                Ok(Err(error)) => said(&error),
                Err(_) => "no answer".to_owned(),
            };
            if self.remaining() <= pause {
                return Err(Stop::unknown(format!(
                    "{what} could not be read before the command's deadline: {error}. Check the API server of cluster {}",
                    self.cluster
                )));
            }
            self.progress.waiting(self.progress.step(), format!("reading {what} again: {error}"));
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(limits::READ_RETRY_MOST);
        }
    }
}
