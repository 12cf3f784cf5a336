//! `ferry watch`: follows one migration to its end, or all of them without end.

use crate::{args::Watch, error::Failure, follow, run::Context};

pub(crate) async fn run(context: &Context, args: Watch) -> Result<(), Failure> {
    let mut interrupt = follow::interrupt()?;
    follow::follow(context, args.id, None, &mut interrupt).await
}
