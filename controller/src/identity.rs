//! Who somebody is: the private CA, join tokens, certificate requests, SPIFFE-style names.
//!
//! An identity comes from one of two places only: a join token at enrolment, the channel's certificate at renewal. A
//! certificate request contributes its public key and nothing else. What an identity may do is `authz`'s business;
//! which connection carries it is `tls`'s; which tokens are still good is the core's, in the journal.

pub mod authority;
pub mod files;
pub mod request;
pub mod spiffe;
pub mod token;
