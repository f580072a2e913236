//! A list of addresses, ranges and subnets in the settings.

use std::net::IpAddr;

use serde::{Deserialize, Deserializer, de};

use crate::address::{Span, without};

/// At least one span: `["10.1.0.0/26", "fd00:1::/64", "10.1.1.10-10.1.1.20", "10.1.2.7"]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<Text>")]
pub struct Spans(Vec<Span>);

impl Spans {
    /// In the order of the settings.
    pub fn iter(&self) -> impl Iterator<Item = &Span> {
        self.0.iter()
    }

    /// Whether the address is in one of them.
    pub fn has(&self, address: IpAddr) -> bool {
        self.iter().any(|span| span.contains(address))
    }

    /// Whether every address of the span is in one of them.
    pub fn covers(&self, span: &Span) -> bool {
        without(vec![*span], self.iter().copied()).is_empty()
    }
}

impl TryFrom<Vec<Text>> for Spans {
    type Error = &'static str;

    fn try_from(texts: Vec<Text>) -> Result<Self, Self::Error> {
        if texts.is_empty() {
            return Err("the list is empty: expected at least one address, range first-last or subnet address/length");
        }
        Ok(Self(texts.into_iter().map(|Text(span)| span).collect()))
    }
}

/// One entry of the list; decoded alone, so that an error names its index.
struct Text(Span);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|error| de::Error::custom(format_args!("{text:?}: {error}")))
    }
}
