//! How the subject is written down in JSON: ranges in the words of the configuration, spans as `first-last`.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::str::FromStr;

use addresses::{Prefix, Span};
use ipnetwork::IpNetwork;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::address::{parse_address, parse_subnet, spans, successor};
use super::proposal::{Assignment, HoldTerms, Kind, Slot};
use super::range::{Gateway, Range, RangeError, RangeSpec, network_of};
use super::range_set::RangeSets;
use limits::RECORDED_HELD;

/// How a range says that it has no gateway.
const NONE: &str = "none";

/// The text of a gateway is neither an address nor `none`.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a gateway: expected an address, or \"none\"")]
pub struct NoGateway(String);

impl FromStr for Gateway {
    type Err = NoGateway;

    fn from_str(text: &str) -> Result<Self, NoGateway> {
        match text {
            NONE => Ok(Self::None),
            text => parse_address(text).map(Self::At).ok_or_else(|| NoGateway(text.to_owned())),
        }
    }
}

/// The gateway of a range; the caller leaves out the default.
pub(super) mod gateway {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(gateway: &Gateway, serializer: S) -> Result<S::Ok, S::Error> {
        match gateway {
            Gateway::Default => serializer.serialize_none(),
            Gateway::None => serializer.serialize_str(NONE),
            Gateway::At(address) => serializer.collect_str(address),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Gateway, D::Error> {
        match Option::<String>::deserialize(deserializer)? {
            Some(text) => text.parse().map_err(D::Error::custom),
            None => Ok(Gateway::Default),
        }
    }
}

/// Range sets as a configuration has them; what is read is checked as a configuration's are.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ranges {
    ranges: Vec<Vec<RangeSpec>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    exclude: Vec<Subnet>,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Subnet(#[serde(with = "subnet")] IpNetwork);

/// A subnet in CIDR form.
pub(super) mod subnet {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(subnet: &IpNetwork, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(subnet)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<IpNetwork, D::Error> {
        let text = String::deserialize(deserializer)?;
        // A bare address would silently be a subnet of one.
        let parsed = text.contains('/').then(|| parse_subnet(&text)).flatten();
        parsed.ok_or_else(|| D::Error::custom(format!("{text:?} is not a subnet in CIDR form, such as 10.188.0.0/16")))
    }
}

impl From<RangeSets> for Ranges {
    fn from(sets: RangeSets) -> Self {
        let ranges = sets.iter().map(|set| set.ranges().iter().map(RangeSpec::from).collect()).collect();
        Self { ranges, exclude: sets.excluded().iter().copied().map(written).map(Subnet).collect() }
    }
}

impl TryFrom<Ranges> for RangeSets {
    type Error = RangeError;

    fn try_from(written: Ranges) -> Result<Self, RangeError> {
        let excluded: Vec<Prefix> = written.exclude.into_iter().map(|Subnet(subnet)| network_of(subnet)).collect();
        Self::new(written.ranges, &excluded)
    }
}

fn written(subnet: Prefix) -> IpNetwork {
    // A length that the family does not have cannot be in one of these.
    IpNetwork::new(subnet.address(), subnet.length()).unwrap_or(subnet.address().into())
}

/// With every default filled in.
impl From<&Range> for RangeSpec {
    fn from(range: &Range) -> Self {
        Self {
            subnet: written(range.subnet()),
            first: Some(range.span().first()),
            last: Some(range.span().last()),
            gateway: range.gateway().map_or(Gateway::None, Gateway::At),
            fixed_first: range.fixed().map(|span| span.first()),
            fixed_last: range.fixed().map(|span| span.last()),
        }
    }
}

/// Proposals. The store's records spell an assignment in their own way.
pub(super) mod proposals {
    use super::*;
    use crate::Proposal;

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Written {
        address: IpAddr,
        prefix_length: u8,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gateway: Option<IpAddr>,
        kind: Kind,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hold: Option<HoldTerms>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        slot: Option<Slot>,
    }

    impl From<&Assignment> for Written {
        fn from(assignment: &Assignment) -> Self {
            // Why it is this one is found out after the decision.
            let Assignment { address, prefix_length, gateway, kind, hold, slot, why: _ } = assignment.clone();
            Self { address, prefix_length, gateway, kind, hold, slot }
        }
    }

    impl From<Written> for Assignment {
        fn from(written: Written) -> Self {
            let Written { address, prefix_length, gateway, kind, hold, slot } = written;
            Self { address, prefix_length, gateway, kind, hold, slot, why: None }
        }
    }

    pub(crate) fn serialize<S: Serializer>(proposals: &[Proposal], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(proposals.iter().map(|proposal| proposal.iter().map(Written::from).collect::<Vec<_>>()))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Proposal>, D::Error> {
        let written = Vec::<Vec<Written>>::deserialize(deserializer)?;
        Ok(written.into_iter().map(|proposal| proposal.into_iter().map(Assignment::from).collect()).collect())
    }
}

/// Addresses as the spans they fill: the hundreds that are held around a cursor are a few words.
pub(super) mod runs {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(held: &BTreeSet<IpAddr>, serializer: S) -> Result<S::Ok, S::Error> {
        let mut runs: Vec<Span> = Vec::new();
        for &address in held {
            match runs.last_mut() {
                Some(run) if successor(run.last()) == Some(address) => {
                    *run = Span::new(run.first(), address).unwrap_or(*run);
                }
                _ => runs.push(Span::single(address)),
            }
        }
        spans::serialize(&runs, serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<IpAddr>, D::Error> {
        let runs = spans::deserialize(deserializer)?;
        // Counted before one is made: a file of one line could otherwise ask for all of IPv6.
        let count = runs.iter().map(Span::size).fold(0, u128::saturating_add);
        if count > RECORDED_HELD {
            return Err(D::Error::custom(format!("{count} addresses are held: at most {RECORDED_HELD} are read")));
        }
        Ok(runs.iter().flat_map(|run| (0..run.size()).filter_map(move |position| run.nth(position))).collect())
    }
}
