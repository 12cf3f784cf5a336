//! Pauses between tries: doubling, jittered, bounded.
//!
//! Half of each pause is random, so that many agents of one controller do not come back at the same moment
//! when it starts again. The bounds are in `limits`. A pause is all that this gives: whether a try makes
//! sense is the caller's to know, and so is when to stop.

use std::time::Duration;

use crate::limits;

/// Pauses that grow from [`limits::BACKOFF_FIRST`] to [`limits::BACKOFF_MOST`].
#[derive(Debug, Clone)]
pub struct Backoff {
    next: Duration,
}

impl Backoff {
    /// Begins anew.
    pub fn new() -> Self {
        Self { next: limits::BACKOFF_FIRST }
    }

    /// Begins anew: what was tried has worked.
    pub fn reset(&mut self) {
        self.next = limits::BACKOFF_FIRST;
    }

    /// Waits.
    pub async fn pause(&mut self) {
        tokio::time::sleep(self.take()).await;
    }

    fn take(&mut self) -> Duration {
        let most = self.next;
        self.next = (most * 2).min(limits::BACKOFF_MOST);
        most.mul_f64(rand::random_range(0.5..=1.0))
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_bound_and_begin_anew() {
        let mut backoff = Backoff::new();
        assert!(backoff.take() <= limits::BACKOFF_FIRST);
        for _ in 0..20 {
            assert!(backoff.take() <= limits::BACKOFF_MOST);
        }
        assert!(backoff.take() >= limits::BACKOFF_MOST / 2);
        backoff.reset();
        assert!(backoff.take() <= limits::BACKOFF_FIRST);
    }
}
