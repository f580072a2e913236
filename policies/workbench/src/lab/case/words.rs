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
use ipam::range::network_of;
use ipam::{self, Owner, PodName};

/// One value, or a list of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Many<T>(pub Vec<T>);

/// Addresses, written as `10.0.0.2-10.0.0.9`, `10.0.0.0/28` or `10.0.0.7`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Span {
    pub span: ipam::Span,
    /// Kept where it was written so, because it is to be written so again.
    subnet: Option<IpNetwork>,
}

/// An address, written as `10.0.0.7` or `10.0.0.7/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Address {
    pub address: IpAddr,
    /// Absent where it is not written, and then not compared.
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
        if text.contains('/')
            && let Some(subnet) = parse_subnet(text)
        {
            return Ok(Self { span: network_of(subnet).span(), subnet: Some(subnet) });
        }
        match text.parse() {
            Ok(span) => Ok(Self { span, subnet: None }),
            Err(_) => {
                Err(format!("{text:?} is not a valid range: expected an address, FIRST-LAST or a subnet in CIDR form"))
            }
        }
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
            None => parse_address(text).map(|address| Self { address, prefix_length: None }),
            Some((address, length)) => Self::with_length(address, length),
        };
        parsed.ok_or_else(|| format!("{text:?} is not an address: expected for example 10.0.0.7 or 10.0.0.7/24"))
    }
}

impl Address {
    fn with_length(address: &str, length: &str) -> Option<Self> {
        let (address, length) = canonical(address.parse().ok()?, length.parse().ok()?)?;
        Some(Self { address, prefix_length: Some(length) })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)?;
        match self.prefix_length {
            Some(length) => write!(f, "/{length}"),
            None => Ok(()),
        }
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
        parsed.map(Self).ok_or_else(|| format!("{text:?} is not a duration: expected for example 30s, 90m or 24h"))
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

/// Implements serde for types that are read from a text by `FromStr` and written as one by `Display`.
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
