//! The range sets: `subnet` at the top, then `ranges`, then those the runtime adds.

use ipnetwork::IpNetwork;

use super::error::Error;
use super::field::{self, given, read_text};
use crate::cni::netconf::{self, Ipam, RuntimeConfig};
use crate::cni::{NetConf, result};
use crate::ipam::{Range, RangeError, RangeSets, RangeSpec};
use crate::limits;

/// A range set with the field it comes from.
pub(super) struct PlacedSet {
    path: String,
    pub(super) ranges: Vec<PlacedRange>,
}

/// A range with the field it comes from.
pub(super) struct PlacedRange {
    pub(super) path: String,
    pub(super) spec: RangeSpec,
}

/// All range sets of a network, checked one by one and against each other.
pub(super) fn read(netconf: &NetConf, runtime: &RuntimeConfig) -> Result<RangeSets, Error> {
    let ipam = netconf.ipam()?;
    let sets = placed(netconf, runtime)?;
    if sets.is_empty() {
        return Err(Error::NoRange { network: netconf.network()?.to_owned() });
    }
    field::at_most("ipam.ranges", sets.iter().map(|set| set.ranges.len()).sum(), limits::RANGES)?;
    for PlacedRange { path, spec } in sets.iter().flat_map(|set| &set.ranges) {
        Range::new(spec).map_err(|source| Error::Range { path: path.clone(), source })?;
    }
    let specs = sets.iter().map(|set| set.ranges.iter().map(|range| range.spec.clone()).collect()).collect();
    let checked = RangeSets::new(specs, &excluded(ipam)?);
    let checked = checked.map_err(|source| Error::Range { path: culprit(&sets, &source), source })?;

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
        sets.extend(nested("ipam.ranges", &ranges.read("ipam.ranges")?)?);
    }
    if let Some(ranges) = &runtime.ip_ranges {
        sets.extend(nested("runtimeConfig.ipRanges", ranges)?);
    }
    Ok(sets)
}

/// The other fields at the top mean nothing without `subnet`, as in host-local.
fn top(ipam: &Ipam) -> Result<Option<PlacedSet>, Error> {
    let path = "ipam.subnet";
    let Some(subnet) = read_text(ipam.subnet.as_ref(), path)? else { return Ok(None) };
    let range = netconf::Range {
        subnet,
        range_start: read_text(ipam.range_start.as_ref(), "ipam.rangeStart")?,
        range_end: read_text(ipam.range_end.as_ref(), "ipam.rangeEnd")?,
        gateway: read_text(ipam.gateway.as_ref(), "ipam.gateway")?,
        fixed_start: read_text(ipam.fixed_start.as_ref(), "ipam.fixedStart")?,
        fixed_end: read_text(ipam.fixed_end.as_ref(), "ipam.fixedEnd")?,
    };
    let range = PlacedRange { path: path.to_owned(), spec: spec("ipam", &range)? };
    Ok(Some(PlacedSet { path: path.to_owned(), ranges: vec![range] }))
}

fn nested(path: &str, sets: &[Vec<netconf::Range>]) -> Result<Vec<PlacedSet>, Error> {
    let set = |(nth, ranges): (usize, &Vec<netconf::Range>)| {
        let path = format!("{path}[{nth}]");
        let range = |(nth, range)| {
            let path = format!("{path}[{nth}]");
            spec(&path, range).map(|spec| PlacedRange { path, spec })
        };
        let ranges = ranges.iter().enumerate().map(range).collect::<Result<_, _>>()?;
        Ok(PlacedSet { path, ranges })
    };
    sets.iter().enumerate().map(set).collect()
}

fn spec(path: &str, range: &netconf::Range) -> Result<RangeSpec, Error> {
    let address = |key: &str, held: &Option<String>| {
        given(held.as_ref()).map(|held| field::address(&format!("{path}.{key}"), held)).transpose()
    };
    Ok(RangeSpec {
        subnet: field::subnet(&format!("{path}.subnet"), &range.subnet)?,
        first: address("rangeStart", &range.range_start)?,
        last: address("rangeEnd", &range.range_end)?,
        gateway: address("gateway", &range.gateway)?,
        fixed_first: address("fixedStart", &range.fixed_start)?,
        fixed_last: address("fixedEnd", &range.fixed_end)?,
    })
}

fn excluded(ipam: &Ipam) -> Result<Vec<IpNetwork>, Error> {
    let Some(exclude) = &ipam.exclude else { return Ok(Vec::new()) };
    let exclude = exclude.read("ipam.exclude")?;
    field::at_most("ipam.exclude", exclude.len(), limits::EXCLUDED)?;
    let parse = |(nth, held): (usize, &String)| field::subnet_or_address(&format!("ipam.exclude[{nth}]"), held);
    exclude.iter().enumerate().map(parse).collect()
}

/// The field to look at for an error that concerns more than one range.
fn culprit(sets: &[PlacedSet], error: &RangeError) -> String {
    let ranges = || sets.iter().flat_map(|set| &set.ranges);
    let spanning = |span| ranges().rfind(|range| Range::new(&range.spec).is_ok_and(|range| range.span() == span));
    let range = match error {
        RangeError::Empty { span, .. } => spanning(*span),
        RangeError::Overlap { two, .. } => spanning(*two),
        _ => None,
    };
    let set = match error {
        RangeError::EmptySet { set } | RangeError::MixedFamilies { set, .. } => sets.get(*set),
        _ => None,
    };
    let path = range.map(|range| &range.path).or(set.map(|set| &set.path));
    path.cloned().unwrap_or_else(|| "ipam.ranges".to_owned())
}
