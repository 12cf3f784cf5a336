//! `ferry login`: a join token becomes a credential on this machine.
//!
//! The server has to be named once, here, and is kept with the credential. An older credential is replaced only when
//! the new one is whole; a token that turns out to be an agent's is used up, which is said, and changes nothing here.
//! How a token is redeemed is [`crate::session`]'s business, and how the credential is kept [`crate::config`]'s.

use crate::{args::Login, error::Failure, run::Context, session, shape::rfc3339, terminal, token::JoinToken};

pub(crate) async fn run(context: &Context, args: &Login) -> Result<(), Failure> {
    let server = match &context.global.server {
        Some(server) => server.clone(),
        None => context.store.load().map_err(|_| Failure::NoServer)?.server,
    };
    let token = if args.token == "-" { JoinToken::from_stdin()? } else { JoinToken::parse(&args.token)? };
    let credential = session::enrol(&server, &token).await?;
    context.store.save(&credential)?;
    let until =
        jiff::Timestamp::from_second(credential.expires_unix_seconds).map(rfc3339).unwrap_or_default();
    if context.is_json() {
        let shown = serde_json::json!({
            "server": credential.server, "identity": credential.identity, "expiresAt": until,
        });
        return terminal::json(&shown, false);
    }
    context.note(&format!("Logged in to {server} as {}.", credential.identity));
    context.note(&format!(
        "The certificate is valid until {until} and renews itself while it is used; it is kept in {}.",
        context.store.path().display()
    ));
    Ok(())
}
