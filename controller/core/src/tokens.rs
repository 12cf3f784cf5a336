//! Join tokens: single use, expiring, kept as a hash only.
//!
//! The token's text never reaches the core. A redeemed token is remembered until it would have expired, so that a
//! second use is told apart from an unknown token; expired ones are dropped whenever a token is made.
//! Who may make or redeem one is the shell's authorization table, not this.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{ClusterName, TokenHash};
use crate::rejection::Rejection;
use crate::time::Millis;

/// Who will hold the certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// The agent of a cluster.
    Cluster(ClusterName),
    /// A person or script.
    Role {
        /// viewer, operator or admin.
        role: String,
        /// Its name.
        name: String,
    },
}

/// One token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Who will hold the certificate.
    pub subject: Subject,
    /// From this moment on it is worth nothing.
    pub expires_at: Millis,
    /// When it was used up.
    pub redeemed_at: Option<Millis>,
}

/// All tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// How many were ever made: 0 says that nobody can have a credential yet.
    pub made: u64,
    /// Those that have not expired.
    pub by_hash: BTreeMap<TokenHash, Token>,
}

impl Tokens {
    pub(crate) fn add(&mut self, hash: &TokenHash, token: &Token, at: Millis) {
        self.by_hash.retain(|_, known| known.expires_at > at);
        self.by_hash.insert(hash.clone(), token.clone());
        self.made += 1;
    }

    pub(crate) fn redeem(&mut self, hash: &TokenHash, at: Millis) {
        if let Some(token) = self.by_hash.get_mut(hash) {
            token.redeemed_at = Some(at);
        }
    }

    /// Whom a token stands for, if it may be used now.
    ///
    /// # Errors
    /// Unknown, used, or expired.
    pub fn redeemable(&self, hash: &TokenHash, now: Millis) -> Result<&Subject, Rejection> {
        let Some(token) = self.by_hash.get(hash) else {
            return Err(Rejection::TokenUnknown(
                "no such token is known here: it was made by another controller, was cut when it was copied, \
                 or expired; ask for a new one (`ferry token create`)"
                    .to_owned(),
            ));
        };
        if token.redeemed_at.is_some() {
            return Err(Rejection::TokenUsed(
                "this token was used already; each can be used once: ask for a new one (`ferry token create`), \
                 and find out who used this one if it was not you"
                    .to_owned(),
            ));
        }
        if token.expires_at <= now {
            return Err(Rejection::TokenExpired(
                "this token has expired: ask for a new one (`ferry token create`)".to_owned(),
            ));
        }
        Ok(&token.subject)
    }
}
