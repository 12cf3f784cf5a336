//! Join tokens, as far as the one who redeems them looks into them.
//!
//! `ferry1.<base64url(16 byte id, 32 byte secret)>.<SHA-256 of the CA certificate's DER, hexadecimal>`. The last part
//! is why nothing but the token has to be carried from the admin to the newcomer: it names the one CA to trust
//! during enrolment (see [`crate::pin`]). The secret is opaque here and is sent whole to the controller.

use std::io::Read;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use crate::{error::Failure, limits::TOKEN_BYTES};

/// A token of the right form.
pub(crate) struct JoinToken {
    /// The whole of it.
    pub(crate) text: String,
    /// The CA to trust.
    pub(crate) ca_sha256: [u8; 32],
}

impl JoinToken {
    /// Checks the form.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let bad = |found: &str| Failure::MalformedToken { found: found.to_owned() };
        let text = text.trim();
        if text.is_empty() {
            return Err(bad("nothing"));
        }
        let rest =
            text.strip_prefix("ferry1.").ok_or_else(|| bad("text that does not begin with `ferry1.`"))?;
        let (secret, fingerprint) =
            rest.split_once('.').ok_or_else(|| bad("no fingerprint at its end: it is cut off"))?;
        match BASE64_URL_SAFE_NO_PAD.decode(secret) {
            Ok(bytes) if bytes.len() == 48 => {}
            Ok(bytes) => return Err(bad(&format!("a secret of {} bytes instead of 48", bytes.len()))),
            Err(error) => return Err(bad(&format!("a secret that is not base64url: {error}"))),
        }
        let ca_sha256 = unhex(fingerprint).ok_or_else(|| {
            bad(&format!(
                "a fingerprint of {} characters instead of 64 hexadecimal digits",
                fingerprint.len()
            ))
        })?;
        Ok(Self { text: text.to_owned(), ca_sha256 })
    }

    /// From standard input, up to a bound.
    pub(crate) fn from_stdin() -> Result<Self, Failure> {
        let mut text = String::new();
        std::io::stdin()
            .lock()
            .take(TOKEN_BYTES)
            .read_to_string(&mut text)
            .map_err(|source| Failure::ReadToken { source })?;
        Self::parse(&text)
    }
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.bytes().all(|c| c.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
