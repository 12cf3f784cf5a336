//! TLS both ways, version 1.3 only: what the controller shows, whom it believes, how connections come in.
//!
//! The server shows its leaf and the CA, so that a peer that enrols can pin the CA by the hash in its join token. A
//! client certificate is optional here, because enrolment has none yet; one that is shown must come from the CA.
//! Which call needs which identity is decided in `authz`, once, for all calls.

mod config;
mod credential;
mod listener;
mod peer;
mod verifier;

pub use config::{Error as ConfigError, server_config};
pub use credential::{Error as CredentialError, ServerCredential, renew_forever};
pub use listener::{Connection, Listener};
pub use peer::{Peer, PeerInfo};
