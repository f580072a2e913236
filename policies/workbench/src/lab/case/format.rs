//! A case as it is written: every key, with no judgement beyond what contradicts itself.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::expect::Refused;
use super::words::{Address, Lapse, Many, OwnerPath, PodPath, Span};
use ipam::Kind;

/// A situation and what happens in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a case")]
pub struct Case {
    /// What it shows, in one line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// The network's name; `lab` unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// As `ipam` in a network's configuration.
    pub network: Map<String, Value>,
    /// `policy.settings`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Map<String, Value>>,
    /// The module, relative to the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<PathBuf>,
    /// What others hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<Held>,
    /// What nobody holds but is kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<Kept>,
    /// The address of each range set that was claimed last, if any.
    #[serde(rename = "lastClaimed", default, skip_serializing_if = "Option::is_none")]
    pub last_claimed: Option<Many<IpAddr>>,
    /// In order.
    pub steps: Vec<Step>,
}

/// Addresses that somebody else holds.
#[derive(Clone, Debug, Serialize)]
pub struct Held {
    /// Which.
    pub address: Span,
    /// The pod that holds them; nobody knows unless told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<PodPath>,
    /// `eth0` unless told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// A dynamic one was claimed last: the search for the next goes on behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
}

/// An address that is kept for an identity.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an address that is kept")]
pub struct Kept {
    /// Which.
    pub address: IpAddr,
    /// For whom.
    pub identity: String,
    /// For how long from the beginning.
    #[serde(rename = "for")]
    pub lapse: Lapse,
}

/// One thing that happens.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a step")]
pub struct Step {
    /// Somebody asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocate: Option<CaseRequester>,
    /// Several ask at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contend: Option<Vec<CaseRequester>>,
    /// A container gives back what it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// Time passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advance: Option<Lapse>,
    /// What comes of asking; without it, it succeeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expected>,
}

/// Who asks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", expecting = "who asks")]
pub struct CaseRequester {
    /// `NAMESPACE/NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodPath>,
    /// The pod's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// The pod's; without a pod, what the runtime tells of a container.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The pod's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// `KIND/NAME` of the pod's controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<OwnerPath>,
    /// Of the pod's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Metadata>,
    /// The Kubernetes node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Of the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_metadata: Option<Metadata>,
    /// `c1`, `c2` and so on unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// `eth0` unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// Addresses the runtime asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested: Option<Many<IpAddr>>,
}

/// Labels and annotations.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "labels and annotations")]
pub struct Metadata {
    /// `metadata.labels`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// `metadata.annotations`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What comes of a step.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Expected {
    /// Of the one who asks; of several, with the key `all` only.
    One(Box<Expectation>),
    /// Of each who asks, in order.
    Each(Vec<Expectation>),
}

/// What comes of asking. Everything that is written has to be so.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", expecting = "an expectation")]
pub struct Expectation {
    /// Exactly these, in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Many<Address>>,
    /// Of these addresses, in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateways: Option<Many<IpAddr>>,
    /// Where every address of the same family lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inside: Option<Many<Span>>,
    /// Where no address lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside: Option<Many<Span>>,
    /// Of every address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// Of every address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<ExpectedHold>,
    /// Another container that had, or has, the same addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_as: Option<String>,
    /// Of all proposals, in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposals: Option<Many<Many<IpAddr>>>,
    /// No address, for this reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
    /// Parts of what whoever looks after the pod is told; an empty one: that they are told something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub says: Option<Many<String>>,
    /// Parts of what the policy writes to its log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Many<String>>,
    /// The most that one run takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u64>,
    /// What comes of each of several who ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all: Option<Box<Self>>,
}

/// For whom an address is kept after its release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ExpectedHold {
    /// For nobody: `none`.
    None(Nobody),
    /// What is written has to be so.
    Some(HoldParts),
}

/// The word `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Nobody {
    /// `none`
    None,
}

/// Parts of a hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a hold")]
pub struct HoldParts {
    /// For whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// For how long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
}

impl Held {
    /// Whether one attachment of a pod holds both.
    pub(super) fn is_of_same_holder(&self, other: &Self) -> bool {
        self.by.is_some() && (&self.by, &self.interface, self.kind) == (&other.by, &other.interface, other.kind)
    }

    pub(super) fn by_nobody(address: Span) -> Self {
        Self { address, by: None, interface: None, kind: None }
    }
}

impl<'de> Deserialize<'de> for Held {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Word;

        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Written {
            address: Span,
            by: Option<PodPath>,
            interface: Option<String>,
            kind: Option<Kind>,
        }

        impl<'de> Visitor<'de> for Word {
            type Value = Held;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("addresses, or { address: …, by: NAMESPACE/NAME }")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Held, E> {
                text.parse().map(Held::by_nobody).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Held, A::Error> {
                let Written { address, by, interface, kind } = Written::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Held { address, by, interface, kind })
            }
        }

        deserializer.deserialize_any(Word)
    }
}

impl<'de> Deserialize<'de> for Expected {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Word;

        impl<'de> Visitor<'de> for Word {
            type Value = Expected;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an expectation, or a list of them for `contend`")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Expected, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(Expected::Each)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Expected, A::Error> {
                Expectation::deserialize(MapAccessDeserializer::new(map)).map(|one| Expected::One(Box::new(one)))
            }
        }

        deserializer.deserialize_any(Word)
    }
}

impl<'de> Deserialize<'de> for ExpectedHold {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Word;

        impl<'de> Visitor<'de> for Word {
            type Value = ExpectedHold;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("none, or { identity: …, seconds: … }")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<ExpectedHold, E> {
                match text {
                    "none" => Ok(ExpectedHold::None(Nobody::None)),
                    other => Err(E::invalid_value(serde::de::Unexpected::Str(other), &self)),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ExpectedHold, A::Error> {
                HoldParts::deserialize(MapAccessDeserializer::new(map)).map(ExpectedHold::Some)
            }
        }

        deserializer.deserialize_any(Word)
    }
}
