//! The protocol: what a runtime says (environment and configuration) and what it is answered.
//!
//! Everything here mirrors the CNI specification, versions 0.1.0 to 1.1.0, and is read without side effects. What the
//! configuration *means* is the business of `config`.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod args;
pub mod attachments;
pub mod decode;
pub mod environment;
pub mod error;
pub mod failure;
pub mod netconf;
pub mod path_or;
pub mod respond;
pub mod result;
pub mod syntax;
pub mod unread;
pub mod version;
pub mod written;

pub use args::Args;
pub use attachments::ValidAttachments;
pub use decode::IgnoredKey;
pub use environment::{Call, Container, Verb};
pub use error::Error;
pub use failure::{Fail, Failure, code};
pub use netconf::NetConf;
pub use path_or::PathOr;
pub use respond::{Response, respond};
pub use result::{Dns, Ip, Route, Success};
pub use unread::Unread;
pub use version::Version;
pub use written::{Stated, Text};

/// What a container ID and a network name look like in every version of the specification.
pub const NAME: &str = "a letter or digit, then letters, digits, '_', '.' and '-', at most 256 bytes";

/// Whether a text matches `^[a-zA-Z0-9][a-zA-Z0-9_.\-]*$`. The store's keys rely on it: no slash, nothing empty.
pub fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
        && text.len() <= limits::NAME_BYTES
}
