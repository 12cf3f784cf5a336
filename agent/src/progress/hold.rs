//! Points at which a test holds the agent, to kill it there.
//!
//! With the cargo feature `hold-points` and the environment variable `FERRY_HOLD_DIR`: if the file `step-<N>` exists
//! in that directory when step N begins, `step-<N>.reached` is written beside it and the step waits until `step-<N>`
//! is removed. N is 5 to 12, or `prepare` for preparation. Without the feature these functions do nothing, and are
//! all that is left of it.

/// Holds at the beginning of `step`; 0 is preparation.
pub async fn at_step(step: u32) {
    #[cfg(feature = "hold-points")]
    held::at(&if step == 0 { "prepare".to_owned() } else { step.to_string() }).await;
    #[cfg(not(feature = "hold-points"))]
    let _ = step;
}

#[cfg(feature = "hold-points")]
mod held {
    use std::path::PathBuf;

    use crate::limits;

    pub(super) async fn at(step: &str) {
        let Some(dir) = std::env::var_os("FERRY_HOLD_DIR").map(PathBuf::from) else { return };
        let point = dir.join(format!("step-{step}"));
        if !point.exists() {
            return;
        }
        let reached = dir.join(format!("step-{step}.reached"));
        if let Err(error) = std::fs::write(&reached, b"") {
            tracing::warn!(path = %reached.display(), %error, "cannot say that a hold point is reached");
        }
        while point.exists() {
            tokio::time::sleep(limits::HOLD_POLL).await;
        }
    }
}
