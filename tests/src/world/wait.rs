//! Waiting for a condition: polled, bounded, and when it does not come, told with the logs of those to blame.
//!
//! A test that sleeps hides a race, and one that only times out hides its cause. So every wait names what it
//! waits for and which processes bring it about; when one of these has ended there is nothing to wait for any
//! more, and the wait fails at once with the end of that process's log.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};

use super::{limits, process::Process};

/// A wait that has not begun.
pub struct Wait {
    what: String,
    limit: Duration,
    blamed: Vec<Process>,
}

impl Wait {
    /// Waits for `what` (a noun phrase: it stands in the error) for `limit` at most.
    #[must_use]
    pub fn new(what: impl Into<String>, limit: Duration) -> Self {
        Self { what: what.into(), limit, blamed: Vec::new() }
    }

    /// Names a process without which the condition cannot come: the wait fails as soon as it has ended, and
    /// each failure shows the end of its log.
    #[must_use]
    pub fn on(mut self, process: &Process) -> Self {
        self.blamed.push(process.clone());
        self
    }

    /// Asks `check` until it gives a value. Its errors are taken for "not yet"; the last one is told at the end.
    pub async fn until<T>(self, mut check: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
        let begun = Instant::now();
        loop {
            let last = match tokio::time::timeout(self.limit, check()).await {
                Ok(Ok(Some(value))) => return Ok(value),
                Ok(Ok(None)) => None,
                Ok(Err(error)) => Some(error),
                Err(_) => Some(anyhow!("the question itself was not answered")),
            };
            let dead = self.blamed.iter().find(|process| !process.is_alive());
            if dead.is_some() || begun.elapsed() > self.limit {
                let why = dead.map_or_else(
                    || format!("not within {:?}", self.limit),
                    |process| format!("{} has ended", process.name()),
                );
                let error = last.map(|error| format!("; the last answer was: {error:#}")).unwrap_or_default();
                let logs: Vec<String> = dead
                    .map_or_else(|| self.blamed.iter().collect(), |one| vec![one])
                    .into_iter()
                    .map(Process::log_tail)
                    .collect();
                bail!("waited for {}: {why}{error}\n{}", self.what, logs.join("\n"));
            }
            tokio::time::sleep(limits::POLL).await;
        }
    }
}
