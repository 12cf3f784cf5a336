//! `ferry token create`: a join token, and what to do with it.
//!
//! The token stands alone on standard output, so that it can be piped to where it is needed without being seen; what it
//! is good for, until when, and the command that redeems it go to standard error. It is shown this once: the controller
//! keeps only its hash, and this command keeps nothing.

use crate::{
    admin::Holder,
    args::{TokenHolder, TokenVerb},
    error::Failure,
    run::Context,
    shape::rfc3339,
    terminal,
};

pub(crate) async fn run(context: &Context, verb: TokenVerb) -> Result<(), Failure> {
    let TokenVerb::Create(args) = verb;
    let session = context.connect().await?;
    let server = session.server.clone();
    let mut admin = crate::admin::Admin::new(session, context.global.timeout.0);
    let (holder, next) = match args.holder {
        TokenHolder::Cluster { name } => {
            let next =
                format!("give it to that cluster's agent: ferry-agent --controller {server} --token TOKEN …");
            (Holder::Cluster(name), next)
        }
        TokenHolder::Role { role, name } => {
            let next = format!("{name} logs in with it: {} login --server {server} TOKEN", context.program);
            (Holder::Role { role: role.name().to_owned(), name }, next)
        }
    };
    let ttl_seconds = u32::try_from(args.ttl.0.as_secs()).unwrap_or(u32::MAX);
    let token = admin.create_token(holder, ttl_seconds).await?;
    if context.is_json() {
        terminal::json(&token, false)?;
    } else {
        terminal::out(&format!("{}\n", token.token))?;
    }
    context.note(&format!("Works once, until {}; {next}", rfc3339(token.expires_at)));
    Ok(())
}
