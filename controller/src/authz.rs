//! Who may call what: one table for every RPC, default deny, applied before any service sees the request.
//!
//! The key is the request's path, the subject the identity of the connection's certificate; nothing in a message
//! changes either. A test holds the table against the wire's descriptors: an RPC without a row, or a row without an
//! RPC, fails the build. Revocation will be one more reason to deny, here.

mod layer;
mod table;

pub use layer::{Authorize, AuthorizeLayer, Caller};
pub use table::{Denial, Who, authorize, rows};
