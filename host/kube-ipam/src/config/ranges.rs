//! The range sets: `subnet` at the top, then `ranges`, then those the runtime adds.

use super::error::Error;
use super::exclude;
use super::field::{self, given, read_text};
use cni::netconf::{self, Ipam, RuntimeConfig};
use cni::{NetConf, Text, result};
use ipam::{Range, RangeError, RangeSets, RangeSpec};

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
    field::at_most("ipam.ranges", sets.iter().map(|set| set.ranges.len()).sum(), limits::RANGES)?;
    for PlacedRange { path, spec, .. } in sets.iter().flat_map(|set| &set.ranges) {
        Range::new(spec).map_err(|source| Error::Range { path: path.clone(), source })?;
    }
    let specs = sets.iter().map(|set| set.ranges.iter().map(|range| range.spec.clone()).collect()).collect();
    let checked = RangeSets::new(specs, &exclude::read(ipam, sets.iter().flat_map(|set| &set.ranges))?);
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
        sets.extend(nested("ipam.ranges", &netconf.part(ranges, "ipam.ranges")?)?);
    }
    if let Some(ranges) = &runtime.ip_ranges {
        sets.extend(nested("runtimeConfig.ipRanges", ranges)?);
    }
    Ok(sets)
}

/// The other fields at the top are fields of `subnet`; without it they mean nothing.
fn top(ipam: &Ipam) -> Result<Option<PlacedSet>, Error> {
    let path = "ipam.subnet";
    let Some(subnet) = read_text(ipam.subnet.as_ref(), path)? else { return Ok(None) };
    let owned = |field: &Option<Text>, path: &str| read_text(field.as_ref(), path).map(|text| text.map(str::to_owned));
    let range = netconf::Range {
        subnet: subnet.to_owned(),
        range_start: owned(&ipam.range_start, "ipam.rangeStart")?,
        range_end: owned(&ipam.range_end, "ipam.rangeEnd")?,
        gateway: owned(&ipam.gateway, "ipam.gateway")?,
        fixed_start: owned(&ipam.fixed_start, "ipam.fixedStart")?,
        fixed_end: owned(&ipam.fixed_end, "ipam.fixedEnd")?,
        exclude: None, // that of the whole network
    };
    let range = PlacedRange { path: path.to_owned(), spec: spec("ipam", &range)?, exclude: Vec::new() };
    Ok(Some(PlacedSet { path: path.to_owned(), ranges: vec![range] }))
}

/// An ADD that passed over them would give out other addresses, or name another gateway, than somebody wrote.
pub(super) fn refuse_without_subnet(ipam: &Ipam) -> Result<(), Error> {
    if read_text(ipam.subnet.as_ref(), "ipam.subnet")?.is_some() {
        return Ok(());
    }
    let fields = [
        ("rangeStart", &ipam.range_start),
        ("rangeEnd", &ipam.range_end),
        ("gateway", &ipam.gateway),
        ("fixedStart", &ipam.fixed_start),
        ("fixedEnd", &ipam.fixed_end),
    ];
    for (key, field) in fields {
        let path = format!("ipam.{key}");
        if read_text(field.as_ref(), &path)?.is_some() {
            let hint = format!("write {key} into the range that it is meant for, beside its subnet in ipam.ranges");
            return Err(Error::Misplaced { path, which: "without ipam.subnet", hint });
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
    let address = |key: &str, held: &Option<String>| {
        given(held.as_ref()).map(|held| field::address(&format!("{path}.{key}"), held)).transpose()
    };
    let gateway = given(range.gateway.as_ref()).map(|held| field::gateway(&format!("{path}.gateway"), held));
    Ok(RangeSpec {
        subnet: field::subnet(&format!("{path}.subnet"), &range.subnet)?,
        first: address("rangeStart", &range.range_start)?,
        last: address("rangeEnd", &range.range_end)?,
        gateway: gateway.transpose()?.unwrap_or_default(),
        fixed_first: address("fixedStart", &range.fixed_start)?,
        fixed_last: address("fixedEnd", &range.fixed_end)?,
    })
}

/// The field to look at for an error that concerns more than one range.
fn culprit(sets: &[PlacedSet], error: &RangeError) -> String {
    let ranges = || sets.iter().flat_map(|set| &set.ranges);
    let spanning = |span| ranges().rfind(|range| Range::new(&range.spec).is_ok_and(|range| range.span() == span));
    let range = match error {
        RangeError::Excluded { span, .. } => {
            let own = spanning(*span).filter(|range| !range.exclude.is_empty());
            return own.map_or("ipam.exclude".to_owned(), |range| format!("{}.exclude", range.path));
        }
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
