//! Addresses, spans of them and subnets, and the arithmetic between them; 128 bits serve both families, so that an IPv6 /64
//! is nothing special.
//!
//! The host and the modules of policies share this crate: what is the broadcast address for a policy is one for the host,
//! which checks what the policy proposes. Every module carries it, so it has no dependencies and needs no operating system.
//!
//! ```text
//!  number     0 …………… 2^32-1 or 2^128-1     an address; order and distance are made of it
//!  Span       first ════════ last           both ends included, one family, at least one address
//!  Prefix     network ══════ broadcast      a span of 2^n addresses that begins at a multiple of 2^n
//! ```
//!
//! Four rules hold everywhere:
//!
//! - **Ends are included.** A span from 10.0.0.2 to 10.0.0.4 has three addresses. `above` and `below` leave out the address
//!   they are given, `starting_at` includes its position.
//! - **Nothing wraps around.** After 255.255.255.255 and before `::` there is `None`. The one number too large for 128 bits,
//!   how many addresses IPv6 has, is given as the largest.
//! - **IPv4 comes before IPv6.** Spans and addresses of two families can be compared; they never overlap.
//! - **IPv4 that is written as IPv6 is IPv4.** `::ffff:10.0.0.1` (RFC 4291 §2.5.5.2) is turned into 10.0.0.1 where a text is
//!   read. A value that was made in another way is taken as what it is.
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

extern crate alloc;

mod family;
mod misfit;
mod prefix;
mod span;
mod text;
mod unusable;

pub use family::{Family, number, successor};
pub use misfit::Misfit;
pub use prefix::Prefix;
pub use span::{Span, without};
pub use text::{SpanError, canonical, parse_address, parse_length, parse_with_length};
pub use unusable::Unusable;
