//! Exclusions that exclude nothing, or more than was written.

use super::{Doubt, WrittenRange};
use crate::config::field;
use cni::netconf::Ipam;
use ipam::Span;
use ipam::range::network_of;

pub(super) fn doubts(ipam: &Ipam, ranges: &[WrittenRange]) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    // What a range excludes outside of its own subnet is an error.
    for range in ranges {
        for (nth, held) in range.exclude.iter().enumerate() {
            doubts.extend(host_bits(&format!("{}.exclude[{nth}]", range.path), held));
        }
    }
    let Some(exclude) = &ipam.exclude else { return doubts };
    for (nth, held) in exclude.read("ipam.exclude").unwrap_or_default().iter().enumerate() {
        let field = format!("ipam.exclude[{nth}]");
        // What is no exclusion at all is an error.
        let Some(excluded) = span(&field, held) else { continue };
        doubts.extend(host_bits(&field, held));
        if let Some(why) = excludes_nothing(&excluded, ranges) {
            let message = format!("{field} is {held}, which excludes nothing: {why}");
            doubts.push(Doubt::new(message, "exclude a part of a subnet of this network, or remove the entry"));
        }
    }
    doubts
}

fn span(field: &str, held: &str) -> Option<Span> {
    match held.split_once('-') {
        Some((first, last)) => {
            Span::new(field::address(field, first.trim()).ok()?, field::address(field, last.trim()).ok()?)
        }
        None => Some(network_of(field::subnet_or_address(field, held).ok()?).span()),
    }
}

fn host_bits(field: &str, held: &str) -> Option<Doubt> {
    let written = field::subnet_or_address(field, held).ok()?;
    let (meant, address) = (network_of(written), written.ip());
    if address == meant.address() {
        return None;
    }
    let message = format!("{field} is {held}, which has host bits: all of {meant} is excluded");
    Some(Doubt::new(message, format!("write {meant}, or {address} for that address alone")))
}

/// Why no range is any smaller for it. A part beyond `rangeEnd` still counts: pods may name addresses there.
fn excludes_nothing(excluded: &Span, ranges: &[WrittenRange]) -> Option<String> {
    let family = excluded.family();
    let mut subnets = Vec::new();
    for range in ranges {
        let subnet = network_of(range.subnet);
        if excluded.overlaps(&subnet.span()) {
            return None;
        }
        if subnet.family() == family {
            subnets.push(subnet.to_string());
        }
    }
    match subnets.as_slice() {
        // Nothing is known of ranges that cannot be read.
        [] if ranges.is_empty() => None,
        [] => Some(format!("the network has no {family} range")),
        subnets => Some(format!("it is outside {}", subnets.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::doubts_of;

    #[test]
    fn what_excludes_nothing_is_told_with_the_reason() {
        let exclude = json!(["10.0.0.9", "10.9.0.0/24", "fd00::7", "10.0.0.64/26", "10.0.0.0/16", "10.0.0.70/30"]);
        let ipam = json!({"subnet": "10.0.0.0/24", "ranges": [[{"subnet": "10.1.0.0/24"}]], "exclude": exclude});
        let expected = [
            "ipam.exclude[1] is 10.9.0.0/24, which excludes nothing: it is outside 10.0.0.0/24, 10.1.0.0/24",
            "ipam.exclude[2] is fd00::7, which excludes nothing: the network has no IPv6 range",
            "ipam.exclude[5] is 10.0.0.70/30, which has host bits: all of 10.0.0.68/30 is excluded",
        ];
        assert_eq!(doubts_of(ipam), expected);
    }

    #[test]
    fn what_a_range_excludes_may_have_host_bits_too() {
        let range = json!({"subnet": "10.0.0.0/24", "exclude": ["10.0.0.64/26", "10.0.0.70/30"]});
        let told = "ipam.ranges[0][0].exclude[1] is 10.0.0.70/30, which has host bits: all of 10.0.0.68/30 is excluded";
        assert_eq!(doubts_of(json!({"ranges": [[range]]})), [told]);
    }

    #[test]
    fn exclusions_are_not_doubted_where_the_ranges_cannot_be_read() {
        assert_eq!(doubts_of(json!({"subnet": "10.0.0.0", "exclude": ["10.9.0.0/24"]})), [""; 0]);
    }
}
