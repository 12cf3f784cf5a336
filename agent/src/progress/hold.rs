//! Points at which a test holds the agent, to kill it there.
//!
//! With the cargo feature `hold-points` and the environment variable `FERRY_HOLD_DIR`: if the file `step-<N>` exists
//! in that directory when step N begins, `step-<N>.reached` is written beside it and the step waits until `step-<N>`
//! is removed. N is 5 to 12, or `prepare` for preparation; the undo of step N has `undo-<N>` instead. An executor also
//! waits right before a write, when everything it looks at has been looked at: `write-<verb>-<resource>`, such as
//! `write-changing-statefulsets`. Without the feature these functions do nothing, and are all that is left of it.

/// Holds before a mirror is written, as step 11, while an ordinal is with the target ([`handed_over`]): before that
/// mirrors are written too, and are no step.
pub async fn at_mirror() {
    #[cfg(feature = "hold-points")]
    if held::HANDED_OVER.load(std::sync::atomic::Ordering::Relaxed) {
        held::at("11").await;
    }
}

/// Whether an ordinal is with the target now, as far as this process can tell: from the end of the release, or the
/// beginning of the adoption, until it is retired or the next migration is prepared.
pub fn handed_over(now: bool) {
    #[cfg(feature = "hold-points")]
    held::HANDED_OVER.store(now, std::sync::atomic::Ordering::Relaxed);
    #[cfg(not(feature = "hold-points"))]
    let _ = now;
}

/// Holds at the beginning of `step`; 0 is preparation.
pub async fn at_step(step: u32) {
    #[cfg(feature = "hold-points")]
    held::at(&if step == 0 { "prepare".to_owned() } else { step.to_string() }).await;
    #[cfg(not(feature = "hold-points"))]
    let _ = step;
}

/// Holds at the beginning of the undo of `step`; 0 is preparation.
pub async fn at_undo(step: u32) {
    #[cfg(feature = "hold-points")]
    held::at_point(&if step == 0 { "undo-prepare".to_owned() } else { format!("undo-{step}") }).await;
    #[cfg(not(feature = "hold-points"))]
    let _ = step;
}

/// Holds right before a write; `verb` is `creating`, `replacing`, `changing` or `deleting`, `resource` as in paths.
pub async fn at_write(verb: &str, resource: &str) {
    #[cfg(feature = "hold-points")]
    held::at_point(&format!("write-{verb}-{resource}")).await;
    #[cfg(not(feature = "hold-points"))]
    let _ = (verb, resource);
}

#[cfg(feature = "hold-points")]
mod held {
    use std::{path::PathBuf, sync::atomic::AtomicBool};

    use crate::limits;

    pub(super) static HANDED_OVER: AtomicBool = AtomicBool::new(false);

    pub(super) async fn at(step: &str) {
        at_point(&format!("step-{step}")).await;
    }

    pub(super) async fn at_point(name: &str) {
        let Some(dir) = std::env::var_os("FERRY_HOLD_DIR").map(PathBuf::from) else { return };
        let point = dir.join(name);
        if !point.exists() {
            return;
        }
        let reached = dir.join(format!("{name}.reached"));
        if let Err(error) = std::fs::write(&reached, b"") {
            tracing::warn!(path = %reached.display(), %error, "cannot say that a hold point is reached");
        }
        while point.exists() {
            tokio::time::sleep(limits::HOLD_POLL).await;
        }
    }
}
