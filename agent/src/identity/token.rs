//! A join token: `ferry1.<base64url(16 byte id || 32 byte secret)>.<hex sha256 of the authority's DER>`.
//!
//! It carries two things: a secret that the controller takes once, and the hash by which the agent knows the
//! controller's certificate authority before it has ever spoken to it. The text is a secret: `Debug` does not
//! show it. It is needed for enrolment only; from then on the certificate speaks, and the token may be
//! forgotten.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

/// Bytes of the id and the secret together.
const SECRET_BYTES: usize = 48;

/// A join token.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    text: String,
    ca_sha256: [u8; 32],
}

/// Why a text is no join token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not three parts.
    #[error("expected three parts separated by dots, `ferry1.….…`; copy the token whole, as it was printed")]
    Shape,
    /// Another version.
    #[error("expected it to begin with `ferry1.`; use an agent of the controller's version")]
    Version,
    /// The middle part.
    #[error(
        "its second part is not {SECRET_BYTES} bytes in base64url; copy the token whole, as it was printed"
    )]
    Secret,
    /// The last part.
    #[error("its third part is not a SHA-256 in hexadecimal; copy the token whole, as it was printed")]
    Hash,
}

impl JoinToken {
    /// The token, whole, for the controller.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// SHA-256 of the certificate authority's DER.
    pub fn ca_sha256(&self) -> &[u8; 32] {
        &self.ca_sha256
    }

    /// Whether the authority that it pins is one that `material` trusts.
    pub fn is_of(&self, material: &super::Material) -> bool {
        material.roots().is_ok_and(|roots| roots.iter().any(|root| self.pins(root)))
    }

    /// Whether `certificate` (DER) is the authority that it pins.
    pub fn pins(&self, certificate: &[u8]) -> bool {
        self.ca_sha256[..] == Sha256::digest(certificate)[..]
    }
}

impl FromStr for JoinToken {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let mut parts = text.split('.');
        let (Some(version), Some(secret), Some(hash), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Error::Shape);
        };
        if version != "ferry1" {
            return Err(Error::Version);
        }
        let secret = URL_SAFE_NO_PAD.decode(secret).map_err(|_| Error::Secret)?;
        if secret.len() != SECRET_BYTES {
            return Err(Error::Secret);
        }
        let ca_sha256 = unhex(hash).ok_or(Error::Hash)?;
        Ok(Self { text: text.to_owned(), ca_sha256 })
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinToken(…)")
    }
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
