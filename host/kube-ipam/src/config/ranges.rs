//! The range sets: `subnet` at the top, then `ranges`, then those the runtime adds.

use std::net::IpAddr;

use super::error::Error;
use super::exclude;
use super::field::{Held, at_most};
use cni::netconf::{self, Ipam, RuntimeConfig};
use cni::{NetConf, Text, result};
use ipam::{Range, RangeError, RangeSets, RangeSpec, Span};

pub(super) const SUBNET: &str = "ipam.subnet";
const RANGES: &str = "ipam.ranges";

/// A range set with the field it comes from.
pub(super) struct PlacedSet {
    path: String,
    pub(super) ranges: Vec<PlacedRange>,
}

/// A range with the field it comes from.
pub(super) struct PlacedRange {
    pub(super) path: String,
    pub(super) spec: RangeSpec,
    /// Its own `exclude`, as written.
    pub(super) exclude: Vec<String>,
}

/// All range sets of a network, checked one by one and against each other.
pub(super) fn read(netconf: &NetConf, runtime: &RuntimeConfig) -> Result<RangeSets, Error> {
    let ipam = netconf.ipam()?;
    let sets = placed(netconf, runtime)?;
    if sets.is_empty() {
        return Err(Error::NoRange { network: netconf.network()?.to_owned() });
    }
    at_most(RANGES, sets.iter().map(|set| set.ranges.len()).sum(), limits::RANGES)?;
    for PlacedRange { path, spec, .. } in sets.iter().flat_map(|set| &set.ranges) {
        Range::new(spec).map_err(|error| Error::Range { path: path.clone(), source: Box::new(error) })?;
    }
    let mut specs = Vec::with_capacity(sets.len());
    for set in &sets {
        specs.push(set.ranges.iter().map(|range| range.spec.clone()).collect());
    }
    let excluded = exclude::read(ipam, sets.iter().flat_map(|set| &set.ranges))?;
    let checked = RangeSets::new(specs, &excluded)
        .map_err(|error| Error::Range { path: culprit(&sets, &error), source: Box::new(error) })?;

    // An attachment gets one address of each set: a version without room for that cannot use this network at all.
    let one_of_each = checked.iter().filter_map(|set| set.offered().next()).map(|span| span.first());
    result::check_room(netconf.version()?, one_of_each)?;
    Ok(checked)
}

/// The range sets as they are written, each value parsed and nothing checked yet.
pub(super) fn placed(netconf: &NetConf, runtime: &RuntimeConfig) -> Result<Vec<PlacedSet>, Error> {
    let ipam = netconf.ipam()?;
    let mut sets: Vec<PlacedSet> = top(ipam)?.into_iter().collect();
    if let Some(ranges) = &ipam.ranges {
        sets.extend(nested(RANGES, &netconf.part(ranges, RANGES)?)?);
    }
    if let Some(ranges) = &runtime.ip_ranges {
        sets.extend(nested("runtimeConfig.ipRanges", ranges)?);
    }
    Ok(sets)
}

/// The fields at the top that are fields of `subnet`; without it they mean nothing.
fn of_subnet(ipam: &Ipam) -> [(&'static str, Option<&Text>); 5] {
    [
        ("ipam.rangeStart", ipam.range_start.as_ref()),
        ("ipam.rangeEnd", ipam.range_end.as_ref()),
        ("ipam.gateway", ipam.gateway.as_ref()),
        ("ipam.fixedStart", ipam.fixed_start.as_ref()),
        ("ipam.fixedEnd", ipam.fixed_end.as_ref()),
    ]
}

fn top(ipam: &Ipam) -> Result<Option<PlacedSet>, Error> {
    let Some(subnet) = Held::read(SUBNET, ipam.subnet.as_ref())? else { return Ok(None) };
    let [range_start, range_end, gateway, fixed_start, fixed_end] = of_subnet(ipam).map(read_owned);
    let written = netconf::Range {
        subnet: subnet.text.to_owned(),
        range_start: range_start?,
        range_end: range_end?,
        gateway: gateway?,
        fixed_start: fixed_start?,
        fixed_end: fixed_end?,
        exclude: None, // that of the whole network
    };
    let range = PlacedRange { path: SUBNET.to_owned(), spec: spec("ipam", &written)?, exclude: Vec::new() };
    Ok(Some(PlacedSet { path: SUBNET.to_owned(), ranges: vec![range] }))
}

fn read_owned((path, field): (&str, Option<&Text>)) -> Result<Option<String>, Error> {
    Ok(Held::read(path, field)?.map(|held| held.text.to_owned()))
}

/// An ADD that passed over them would give out other addresses, or name another gateway, than somebody wrote.
pub(super) fn refuse_without_subnet(ipam: &Ipam) -> Result<(), Error> {
    if Held::read(SUBNET, ipam.subnet.as_ref())?.is_some() {
        return Ok(());
    }
    for (path, field) in of_subnet(ipam) {
        if Held::read(path, field)?.is_some() {
            let key = path.trim_start_matches("ipam.");
            let hint = format!("write {key} into the range that it is meant for, beside its subnet in ipam.ranges");
            return Err(Error::Misplaced { path: path.to_owned(), which: "without ipam.subnet", hint });
        }
    }
    Ok(())
}

fn nested(path: &str, sets: &[Vec<netconf::Range>]) -> Result<Vec<PlacedSet>, Error> {
    let mut placed = Vec::with_capacity(sets.len());
    for (nth, written) in sets.iter().enumerate() {
        let path = format!("{path}[{nth}]");
        let mut ranges = Vec::with_capacity(written.len());
        for (nth, range) in written.iter().enumerate() {
            let path = format!("{path}[{nth}]");
            let (spec, exclude) = (spec(&path, range)?, range.exclude.clone().unwrap_or_default());
            ranges.push(PlacedRange { path, spec, exclude });
        }
        placed.push(PlacedSet { path, ranges });
    }
    Ok(placed)
}

fn spec(path: &str, range: &netconf::Range) -> Result<RangeSpec, Error> {
    let gateway = Held::key(path, "gateway", range.gateway.as_ref());
    Ok(RangeSpec {
        subnet: Held::new(format!("{path}.subnet"), &range.subnet).subnet()?,
        first: address(path, "rangeStart", range.range_start.as_ref())?,
        last: address(path, "rangeEnd", range.range_end.as_ref())?,
        gateway: gateway.map(|held| held.gateway()).transpose()?.unwrap_or_default(),
        fixed_first: address(path, "fixedStart", range.fixed_start.as_ref())?,
        fixed_last: address(path, "fixedEnd", range.fixed_end.as_ref())?,
    })
}

fn address(path: &str, key: &str, field: Option<&String>) -> Result<Option<IpAddr>, Error> {
    Held::key(path, key, field).map(|held| held.address()).transpose()
}

/// The field to look at for an error that concerns more than one range.
fn culprit(sets: &[PlacedSet], error: &RangeError) -> String {
    let named = match error {
        RangeError::Excluded { span, .. } => match spanning(sets, *span).filter(|range| !range.exclude.is_empty()) {
            Some(range) => return format!("{}.exclude", range.path),
            None => return exclude::PATH.to_owned(),
        },
        RangeError::Empty { span, .. } => spanning(sets, *span).map(|range| &range.path),
        RangeError::Overlap { two, .. } => spanning(sets, *two).map(|range| &range.path),
        RangeError::EmptySet { set } | RangeError::MixedFamilies { set, .. } => sets.get(*set).map(|set| &set.path),
        _ => None,
    };
    named.cloned().unwrap_or_else(|| RANGES.to_owned())
}

/// The last of the ranges with this span: of two that are alike, the one that is too many.
fn spanning(sets: &[PlacedSet], span: Span) -> Option<&PlacedRange> {
    let mut ranges = sets.iter().flat_map(|set| &set.ranges);
    ranges.rfind(|range| Range::new(&range.spec).is_ok_and(|range| range.span() == span))
}
