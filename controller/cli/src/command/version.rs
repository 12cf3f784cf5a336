//! `ferry version`: both versions, and who we are to the controller.
//!
//! The client's version is printed even if the controller cannot be asked; that failure is then the command's. The
//! identity is the one that the controller sees, not the one on disk: this is the command by which somebody finds out why
//! another was denied.

use crate::{args::VersionArgs, error::Failure, run::Context, shape::Version, table, terminal};

pub(crate) async fn run(context: &Context, args: &VersionArgs) -> Result<(), Failure> {
    let client = env!("CARGO_PKG_VERSION").to_owned();
    let asked = if args.client { Ok(None) } else { server(context).await.map(Some) };
    let (server, failure) = match asked {
        Ok(server) => (server, None),
        Err(failure) => (None, Some(failure)),
    };
    let version = Version { client, server };
    if context.is_json() {
        terminal::json(&version, false)?;
    } else {
        terminal::out(&table::version(&version))?;
    }
    failure.map_or(Ok(()), Err)
}

async fn server(context: &Context) -> Result<crate::shape::Server, Failure> {
    context.admin().await?.version().await
}
