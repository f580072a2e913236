//! `exclude`, of the network and of single ranges: what is never handed out.

use super::error::Error;
use super::field::{Held, at_most};
use super::ranges::PlacedRange;
use cni::netconf::Ipam;
use ipam::address::{parse_address, parse_subnet};
use ipam::range::network_of;
use ipam::{Prefix, Range, Span};

pub(super) const PATH: &str = "ipam.exclude";

const EXPECTED: &str = "a subnet in CIDR form, an address, or a range such as 10.188.0.10-10.188.0.20";

/// Everything that is excluded, as the subnets it is made of: that is how policies are told.
pub(super) fn read<'a>(
    ipam: &Ipam,
    ranges: impl Iterator<Item = &'a PlacedRange> + Clone,
) -> Result<Vec<Prefix>, Error> {
    let mut excluded = Vec::new();
    if let Some(exclude) = &ipam.exclude {
        excluded.extend(spans(PATH, &exclude.read(PATH)?)?);
    }
    for range in ranges.clone().filter(|range| !range.exclude.is_empty()) {
        let others = ranges.clone().filter(|other| !std::ptr::eq(*other, range));
        excluded.extend(of_one_range(range, others)?);
    }
    let subnets: Vec<Prefix> = excluded.iter().flat_map(Span::subnets).collect();
    at_most(&format!("{PATH}, cut into subnets,"), subnets.len(), limits::EXCLUDED)?;
    Ok(subnets)
}

/// What one range excludes holds for its whole subnet, where pods may name addresses beyond the range; but not for what
/// another range of the same subnet offers.
fn of_one_range<'a>(range: &PlacedRange, others: impl Iterator<Item = &'a PlacedRange>) -> Result<Vec<Span>, Error> {
    let path = format!("{}.exclude", range.path);
    let subnet = network_of(range.spec.subnet);
    at_most(&path, range.exclude.len(), limits::EXCLUDED)?;
    let mut excluded = Vec::new();
    for held in Held::entries(&path, &range.exclude) {
        let Some(part) = subnet.span().intersection(&span(&held)?) else {
            return Err(held.wrong(format!("a part of the subnet {subnet}, which this range is of")));
        };
        excluded.push(part);
    }
    for other in others {
        // A range that cannot be used offers nothing, and is an error of its own.
        let Ok(other) = Range::new(&other.spec) else { continue };
        excluded = excluded.iter().flat_map(|part| part.without(&other.span())).collect();
    }
    Ok(excluded)
}

fn spans(path: &str, written: &[String]) -> Result<Vec<Span>, Error> {
    at_most(path, written.len(), limits::EXCLUDED)?;
    Held::entries(path, written).map(|held| span(&held)).collect()
}

/// The addresses that one entry of a list excludes.
pub(super) fn span(held: &Held<'_>) -> Result<Span, Error> {
    let span = match held.text.split_once('-') {
        Some((first, last)) => match (parse_address(first.trim()), parse_address(last.trim())) {
            (Some(first), Some(last)) => Span::new(first, last),
            _ => None,
        },
        None => parse_subnet(held.text).map(|subnet| network_of(subnet).span()),
    };
    span.ok_or_else(|| held.wrong(EXPECTED))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::config::Network;
    use cni::{Fail, NetConf};

    fn read(ipam: Value) -> Result<Vec<Vec<String>>, String> {
        let netconf = json!({"cniVersion": "1.1.0", "name": "n", "ipam": ipam}).to_string();
        let sets = Network::range_sets(&NetConf::parse(netconf.as_bytes()).unwrap());
        let sets = sets.map_err(|error| error.message())?;
        Ok(sets.iter().map(|set| set.offered().map(|span| span.to_string()).collect()).collect())
    }

    #[test]
    fn spans_are_left_out_as_subnets_are() {
        let exclude = json!(["10.0.0.10-10.0.0.19", "10.0.0.64/28", "10.0.0.100", "fd00::2 - fd00::ffff"]);
        let ipam = json!({"subnet": "10.0.0.0/24", "ranges": [[{"subnet": "fd00::/112"}]], "exclude": exclude});
        let v4 = ["10.0.0.2-10.0.0.9", "10.0.0.20-10.0.0.63", "10.0.0.80-10.0.0.99", "10.0.0.101-10.0.0.254"];
        let error = read(ipam.clone()).unwrap_err();
        assert!(
            error.ends_with("every usable address of the range fd00::2-fd00::ffff of subnet fd00::/112 is excluded"),
            "{error}"
        );
        let mut ipam = ipam;
        ipam["exclude"][3] = json!("fd00::3-fd00::ffff");
        assert_eq!(read(ipam).unwrap(), [&v4[..], &["fd00::2"]]);
    }

    #[test]
    fn what_a_range_excludes_holds_for_its_subnet_and_not_for_its_neighbours() {
        let low = json!({"subnet": "10.0.0.0/24", "rangeEnd": "10.0.0.99", "exclude": ["10.0.0.90-10.0.0.149"]});
        let high = json!({"subnet": "10.0.0.0/24", "rangeStart": "10.0.0.120", "rangeEnd": "10.0.0.200"});
        let offered = read(json!({"ranges": [[low, high], [{"subnet": "10.0.1.0/24"}]]})).unwrap();
        assert_eq!(offered, [&["10.0.0.2-10.0.0.89", "10.0.0.120-10.0.0.200"][..], &["10.0.1.2-10.0.1.254"]]);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_path() {
        let of_range = |exclude: &str| {
            read(json!({"ranges": [[{"subnet": "10.0.0.0/24", "exclude": ["10.0.0.9", exclude]}]]})).unwrap_err()
        };
        let path = "ipam.ranges[0][0].exclude[1]";
        assert_eq!(
            of_range("10.0.1.0/24"),
            format!("{path} is \"10.0.1.0/24\": expected a part of the subnet 10.0.0.0/24, which this range is of")
        );
        for wrong in ["nowhere", "10.0.0.9-10.0.0.8", "10.0.0.9-fd00::1", "10.0.0.9-", "", "10.0.0.0/24-10.0.0.9"] {
            let error = of_range(wrong);
            assert_eq!(error, format!("{path} is {wrong:?}: expected {}", super::EXPECTED));
        }
        let cut = read(json!({"subnet": "fd00::/8", "exclude": vec!["fd00::1-fdff:ffff::fffe"; 100]})).unwrap_err();
        assert!(cut.starts_with("ipam.exclude, cut into subnets, has ") && cut.ends_with("at most 1024"), "{cut}");
    }
}
