//! Addresses as numbers, spans of them and subnets: what the host means by each, for it has the same code.

pub use addresses::{Family, Prefix, Span, SpanError, number, parse_address as parse, parse_with_length, without};
