//! Join tokens: `ferry1.<base64url(16 byte id || 32 byte secret)>.<hex SHA-256 of the CA certificate>`.
//!
//! Whoever holds one may become somebody, once. The controller keeps `SHA-256(id || secret)` and finds the token by
//! it: the comparison is a lookup of a hash of 256 random bits, so its timing tells nothing about any secret. The
//! last part is for the holder, who pins the CA with it before it has any other reason to trust the controller.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use crate::limits;

/// Version of the text form.
const PREFIX: &str = "ferry1";
const SECRET_BYTES: usize = 48;

/// A join token in clear: shown once, never kept.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    secret: [u8; SECRET_BYTES],
    ca_sha256: [u8; 32],
}

/// Why a text is no token.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not the form.
    #[error(
        "this is not a join token: expected ferry1.<64 characters>.<64 hexadecimal digits>; copy the whole token as \
         it was printed, or make another with `ferry token create`"
    )]
    Malformed,
    /// Another controller's.
    #[error(
        "this join token is for another controller: it names the CA {token}, this controller's CA is {ours}; make a \
         token here with `ferry token create`"
    )]
    OtherAuthority {
        /// SHA-256 in the token, hexadecimal.
        token: String,
        /// SHA-256 of our CA, hexadecimal.
        ours: String,
    },
}

impl JoinToken {
    /// A new token from the operating system's randomness, for the CA with this SHA-256.
    #[must_use]
    pub fn generate(ca_sha256: [u8; 32]) -> Self {
        let mut secret = [0; SECRET_BYTES];
        rand::fill(&mut secret);
        Self { secret, ca_sha256 }
    }

    /// Reads a token's text and refuses one that was made for another CA.
    pub fn parse(text: &str, ca_sha256: &[u8; 32]) -> Result<Self, Error> {
        if text.len() > limits::MAX_TOKEN_BYTES {
            return Err(Error::Malformed);
        }
        let mut parts = text.trim().split('.');
        let (Some(PREFIX), Some(secret), Some(ca), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Error::Malformed);
        };
        let secret = URL_SAFE_NO_PAD.decode(secret).map_err(|_| Error::Malformed)?;
        let secret: [u8; SECRET_BYTES] = secret.try_into().map_err(|_| Error::Malformed)?;
        let ours = hex(ca_sha256);
        if ca.len() != ours.len() || !ca.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Error::Malformed);
        }
        if !ca.eq_ignore_ascii_case(&ours) {
            return Err(Error::OtherAuthority { token: ca.to_owned(), ours });
        }
        Ok(Self { secret, ca_sha256: *ca_sha256 })
    }

    /// What is kept: SHA-256 of id and secret.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.secret).into()
    }

    /// The text form, the only place where the secret is written out.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{PREFIX}.{}.{}", URL_SAFE_NO_PAD.encode(self.secret), hex(&self.ca_sha256))
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinToken(..)")
    }
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
