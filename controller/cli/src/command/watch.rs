//! `ferry watch`: follows one migration to its end, or all of them without end.
//!
//! The same display and the same exit codes as `ferry migrate` after its start, for whoever comes later, on another
//! machine, or after Ctrl-C. It needs the role viewer only. Nothing here can start or stop a migration; following itself
//! is in [`crate::follow`].

use crate::{args::Watch, error::Failure, follow, run::Context};

pub(crate) async fn run(context: &Context, args: Watch) -> Result<(), Failure> {
    let mut interrupt = follow::interrupt()?;
    follow::follow(context, args.id, None, &mut interrupt).await
}
