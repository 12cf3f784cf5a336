//! Join tokens: single use, expiring, kept as a hash only.
//!
//! The token's text never reaches the core. A redeemed token is remembered until it would have expired, so that a
//! second use is told apart from an unknown token; expired ones are dropped whenever a token is made.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{ClusterName, TokenHash};
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
