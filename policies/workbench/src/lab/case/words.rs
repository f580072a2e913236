//! The single words of a case, from text to types that cannot be wrong.

use std::fmt;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use ipnetwork::IpNetwork;
use jiff::SignedDuration;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use ipam::address::{canonical, parse_address, parse_subnet};
use ipam::{self, Owner, PodName};

/// One value, or a list of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Many<T>(pub Vec<T>);

/// `10.0.0.2-10.0.0.9`, `10.0.0.0/28` or `10.0.0.7`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Span {
    /// What it covers.
    pub span: ipam::Span,
    subnet: Option<IpNetwork>,
}

/// `10.0.0.7` or `10.0.0.7/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Address {
    /// The address.
    pub address: IpAddr,
    /// Only compared where it is written.
    pub prefix_length: Option<u8>,
}

/// `NAMESPACE/NAME` of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PodPath(pub PodName);

/// `KIND/NAME` of a controller.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct OwnerPath(pub Owner);

/// How much time passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Lapse(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let subnet = text.contains('/').then(|| parse_subnet(text)).flatten();
        let span = match subnet {
            Some(subnet) => Some(ipam::Span::of_subnet(subnet)),
            None => text.parse().ok(),
        };
        let wrong =
            || format!("{text:?} is not a valid range: expected an address, FIRST-LAST or a subnet in CIDR form");
        span.map(|span| Self { span, subnet }).ok_or_else(wrong)
    }
}

impl From<ipam::Span> for Span {
    fn from(span: ipam::Span) -> Self {
        Self { span, subnet: None }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.subnet {
            Some(subnet) => write!(f, "{}/{}", subnet.network(), subnet.prefix()),
            None => write!(f, "{}", self.span),
        }
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = match text.split_once('/') {
            None => parse_address(text).map(|address| (address, None)),
            Some((address, length)) => {
                let both = address.parse().ok().zip(length.parse().ok());
                both.and_then(|(address, length)| canonical(address, length)).map(|(one, length)| (one, Some(length)))
            }
        };
        let wrong = || format!("{text:?} is no address: expected for example 10.0.0.7 or 10.0.0.7/24");
        let (address, prefix_length) = parsed.ok_or_else(wrong)?;
        Ok(Self { address, prefix_length })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)?;
        self.prefix_length.map_or(Ok(()), |length| write!(f, "/{length}"))
    }
}

impl FromStr for PodPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (namespace, name) = halves(text, "NAMESPACE/NAME")?;
        Ok(Self(PodName { namespace, name, uid: None, cluster: None }))
    }
}

impl fmt::Display for PodPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for OwnerPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, name) = halves(text, "KIND/NAME, for example StatefulSet/web")?;
        Ok(Self(Owner { kind, name }))
    }
}

impl fmt::Display for OwnerPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0.kind, self.0.name)
    }
}

impl FromStr for Lapse {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.parse::<SignedDuration>().ok().and_then(|lapse| Duration::try_from(lapse).ok());
        parsed.map(Self).ok_or_else(|| format!("{text:?} is no duration: expected for example 30s, 90m or 24h"))
    }
}

impl fmt::Display for Lapse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", SignedDuration::try_from(self.0).unwrap_or(SignedDuration::MAX))
    }
}

fn halves(text: &str, expected: &str) -> Result<(String, String), String> {
    match text.split_once('/') {
        Some((one, two)) if !one.is_empty() && !two.is_empty() => Ok((one.to_owned(), two.to_owned())),
        _ => Err(format!("{text:?}: expected {expected}")),
    }
}

/// Read from a text, written as one.
macro_rules! textual {
    ($($word:ty),*) => {$(
        impl TryFrom<String> for $word {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }

        impl Serialize for $word {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )*};
}

textual!(Span, Address, PodPath, OwnerPath, Lapse);

impl<T: Serialize> Serialize for Many<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => one.serialize(serializer),
            many => many.serialize(serializer),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Many<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrMany(PhantomData))
    }
}

struct OneOrMany<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrMany<T> {
    type Value = Many<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one or a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(Many)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|one| Many(vec![one]))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        T::deserialize(text.into_deserializer()).map(|one| Many(vec![one]))
    }
}
