//! A case as it is written: every key and its type. What contradicts itself is refused in `settle`.

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
    /// What the case shows, in one line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// The network's name; `lab` where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The `ipam` section of a network's configuration.
    pub network: Map<String, Value>,
    /// `policy.settings` of the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Map<String, Value>>,
    /// The module's file, relative to the case's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<PathBuf>,
    /// What others hold before the first step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<Held>,
    /// What is kept for an identity before the first step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<Kept>,
    /// The address of each range set that was claimed last, if any.
    #[serde(rename = "lastClaimed", default, skip_serializing_if = "Option::is_none")]
    pub last_claimed: Option<Many<IpAddr>>,
    pub steps: Vec<Step>,
}

/// Addresses that others hold.
#[derive(Clone, Debug, Serialize)]
pub struct Held {
    pub address: Span,
    /// The pod that holds them; absent where it does not matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<PodPath>,
    /// The pod's interface; `eth0` where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// Dynamic ones count as claimed last: the search for the next address goes on behind them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
}

/// An address that is kept for an identity.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an address that is kept")]
pub struct Kept {
    pub address: IpAddr,
    pub identity: String,
    /// How long it is kept from the beginning of the case on.
    #[serde(rename = "for")]
    pub lapse: Lapse,
}

/// One thing that happens, under the one key that is present; and what is expected of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a step")]
pub struct Step {
    /// One requester asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocate: Option<CaseRequester>,
    /// Several requesters ask at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contend: Option<Vec<CaseRequester>>,
    /// The container of this name releases what it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// So much time passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advance: Option<Lapse>,
    /// What is expected of `allocate` or `contend`; an address where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expected>,
}

/// A requester as an author writes it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", expecting = "who asks")]
pub struct CaseRequester {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodPath>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// The pod's annotations; without a pod, those that a runtime passes for a container.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The pod's controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<OwnerPath>,
    /// Labels and annotations of the pod's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Metadata>,
    /// The name of the Kubernetes node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_metadata: Option<Metadata>,
    /// The container's ID; `c1`, `c2` and so on where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// The interface; `eth0` where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// Addresses that the runtime asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested: Option<Many<IpAddr>>,
}

/// The `metadata` of a namespace or a node.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "labels and annotations")]
pub struct Metadata {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What is expected of a step.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Expected {
    /// For the requester of `allocate`; for those of `contend`, only with the key `all`.
    One(Box<Expectation>),
    /// For each requester of `contend`, in order.
    Each(Vec<Expectation>),
}

/// What is expected for one requester. Every key that is present has to be met.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", expecting = "an expectation")]
pub struct Expectation {
    /// It gets exactly these addresses, in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Many<Address>>,
    /// These are the gateways of its addresses, in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateways: Option<Many<IpAddr>>,
    /// Every address lies in one of the spans of its family.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inside: Option<Many<Span>>,
    /// No address lies in any of these spans.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside: Option<Many<Span>>,
    /// Every address is of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// Every address will be kept so after its release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<ExpectedHold>,
    /// The container of this name had, or has, the same addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_as: Option<String>,
    /// These are the addresses of all proposals, in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposals: Option<Many<Many<IpAddr>>>,
    /// It gets no address, for this reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
    /// These are parts of what the pod's operator is told. An empty part asks that something be told at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub says: Option<Many<String>>,
    /// These are parts of what the policy writes to its log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Many<String>>,
    /// No run takes more fuel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u64>,
    /// Each of several requesters meets this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all: Option<Box<Self>>,
}

/// How an address is to be kept after its release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ExpectedHold {
    /// It is not kept; written as `none`.
    None(Nobody),
    /// It is kept, and the parts that are written are so.
    Some(HoldParts),
}

/// A type for the word `none`, which serde would otherwise read as any word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Nobody {
    None,
}

/// The parts of a hold that are expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a hold")]
pub struct HoldParts {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
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
