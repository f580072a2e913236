//! `policy.settings`.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use kube_ipam_policy::{ProposalCount, Strategy, address};
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::Keep;

/// `policy.settings` of the network's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Which pods are sticky.
    pub pods: Pods,
    /// For how long an address is kept, counted from its release.
    pub keep: Keep,
    /// The most a pod may ask for by annotation; `keep` where that is longer. A week where it is not given.
    #[serde(rename = "keepMost")]
    pub keep_most: Option<Keep>,
    /// What pod 0 of a StatefulSet gets.
    pub ordinals: BTreeMap<StatefulSet, Bases>,
    /// Where the search for a dynamic address starts.
    pub strategy: Strategy,
    /// How many proposals to bring.
    pub proposals: ProposalCount,
}

impl Settings {
    /// The most a pod may ask for by annotation.
    pub(crate) fn most(&self) -> Keep {
        self.keep_most.unwrap_or(Keep::WEEK).max(self.keep)
    }
}

/// Whose addresses are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pods {
    /// Pods whose controller is a StatefulSet; where no controller is told, those that say so by annotation.
    #[default]
    StatefulSet,
    /// Every pod that does not opt out.
    All,
    /// Pods that say so by annotation.
    Annotated,
}

/// A StatefulSet as the settings name it: `namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct StatefulSet(String);

impl TryFrom<String> for StatefulSet {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let name = text.split_once('/').filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty());
        match name {
            Some((_, name)) if !name.contains('/') => Ok(Self(text)),
            _ => Err(format!("{text:?}: expected a namespace and the name of a StatefulSet, such as shop/web")),
        }
    }
}

impl Borrow<str> for StatefulSet {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// At least one address, none of them twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bases(Vec<IpAddr>);

const EXPECTED: &str = "an address such as \"10.1.0.10\", or a list of such";

impl Bases {
    /// In the order of the settings.
    pub fn iter(&self) -> impl Iterator<Item = IpAddr> {
        self.0.iter().copied()
    }
}

impl<'de> Deserialize<'de> for Bases {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrSeveral)
    }
}

/// By hand: an untagged enum would neither name the entry nor say what was expected of it.
struct OneOrSeveral;

impl<'de> Visitor<'de> for OneOrSeveral {
    type Value = Bases;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Bases, E> {
        parse(text).map(|address| Bases(vec![address])).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Bases, A::Error> {
        let mut bases = Vec::new();
        while let Some(Base(address)) = list.next_element()? {
            if bases.contains(&address) {
                return Err(de::Error::custom(format_args!("{address} appears twice")));
            }
            bases.push(address);
        }
        if bases.is_empty() {
            return Err(de::Error::custom(format_args!("the list is empty: expected {EXPECTED}")));
        }
        Ok(Bases(bases))
    }
}

/// One entry of a list; decoded alone, so that an error names its index.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Base(IpAddr);

impl TryFrom<String> for Base {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse(&text).map(Self)
    }
}

fn parse(text: &str) -> Result<IpAddr, String> {
    address::parse(text).ok_or_else(|| format!("{text:?}: expected {EXPECTED}"))
}
