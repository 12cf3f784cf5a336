//! Join tokens on their way to the core: made here, kept there as a hash.
//!
//! Subject and time to live are checked before anything is made. The token's text exists in the response and nowhere
//! else: the core, the journal and the log see its hash or its subject. Redeeming is the core's decision too, so that
//! of two requests with one token exactly one is told yes, and after a restart neither is told yes again.

use ferry_core::{
    ClusterName, Millis, Reply, TokenHash, input::Request as Ask, tokens::Subject as CoreSubject,
};
use ferry_proto::admin::v1::{RoleSubject, create_token_request::Subject as WireSubject};

use crate::{
    clock,
    event_loop::Handle,
    identity::{
        authority::Authority,
        spiffe::{self, Role, Subject},
        token::{self, JoinToken},
    },
    limits,
    status::Failure,
    wire,
};

/// Who a token is asked for.
pub(super) fn requested_subject(from: Option<WireSubject>) -> Result<Subject, Failure> {
    match from {
        Some(WireSubject::Cluster(name)) => Ok(Subject::Cluster(spiffe::label(&name)?.to_owned())),
        Some(WireSubject::Role(RoleSubject { role, name })) => {
            Ok(Subject::Role { role: role.parse::<Role>()?, name: spiffe::label(&name)?.to_owned() })
        }
        None => Err(wire::Error::Missing { field: "subject" }.into()),
    }
}

/// Makes a token for `subject`; its hash is durable when this returns. 0 seconds is the default time to live. `by` is
/// for the audit log: the identity of who asks, or `local` for whoever can read the data directory.
pub async fn create(
    handle: &Handle,
    authority: &Authority,
    subject: Subject,
    ttl_seconds: u32,
    by: &str,
) -> Result<(JoinToken, Millis), Failure> {
    let (least, most) = (limits::MIN_TOKEN_TTL_SECONDS, limits::MAX_TOKEN_TTL_SECONDS);
    let ttl = if ttl_seconds == 0 { limits::DEFAULT_TOKEN_TTL_SECONDS } else { ttl_seconds };
    if !(least..=most).contains(&ttl) {
        return Err(Failure::TokenTtl { found: ttl_seconds, least, most });
    }
    let subject = match subject {
        Subject::Cluster(name) => CoreSubject::Cluster(ClusterName(name)),
        Subject::Role { role, name } => CoreSubject::Role { role: role.as_str().to_owned(), name },
        Subject::Controller => return Err(Failure::Contradiction),
    };
    let token = JoinToken::generate(authority.sha256());
    let expires_at = clock::now().plus(u64::from(ttl) * 1_000);
    let ask = Ask::CreateToken { hash: hash(&token), subject, expires_at, by: by.to_owned() };
    match handle.ask(ask, limits::REQUEST_TIMEOUT).await? {
        Reply::TokenCreated => Ok((token, expires_at)),
        Reply::Rejected(rejection) => Err(rejection.into()),
        _ => Err(Failure::Contradiction),
    }
}

/// Uses a token up; whose it was.
pub(super) async fn redeem(handle: &Handle, token: &JoinToken) -> Result<Subject, Failure> {
    match handle.ask(Ask::RedeemToken { hash: hash(token) }, limits::REQUEST_TIMEOUT).await? {
        Reply::TokenRedeemed(kept) => subject(kept),
        Reply::Rejected(rejection) => Err(rejection.into()),
        _ => Err(Failure::Contradiction),
    }
}

/// A subject that the core kept, as an identity's.
fn subject(kept: CoreSubject) -> Result<Subject, Failure> {
    match kept {
        CoreSubject::Cluster(name) => Ok(Subject::Cluster(name.0)),
        CoreSubject::Role { role, name } => Ok(Subject::Role { role: role.parse()?, name }),
    }
}

fn hash(token: &JoinToken) -> TokenHash {
    TokenHash(token::hex(&token.hash()))
}
