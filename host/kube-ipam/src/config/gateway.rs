//! A range without a gateway, beside a main plugin that cannot do without one.
//!
//! The main plugin hands us its whole configuration, so that this can be said before an address is claimed. Of the CNI
//! project's plugins `macvlan`, `ipvlan` and `bridge` without `isGateway` do well without a gateway; routes that name no
//! next hop go out of the interface then.

use super::error::Error;
use cni::NetConf;
use ipam::{RangeSet, RangeSets};

/// A main plugin that every subnet must have a gateway for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GatewayUser {
    /// `bridge` that is the pods' gateway: where it is told of none it takes the address after the subnet's first one,
    /// and asks nobody.
    Bridge,
    /// `ptp`: it routes everything through the gateway, and fails without one.
    PointToPoint,
}

impl GatewayUser {
    fn of(netconf: &NetConf) -> Option<Self> {
        match netconf.main_plugin()? {
            "bridge" if netconf.is_pods_gateway() => Some(Self::Bridge),
            "ptp" => Some(Self::PointToPoint),
            _ => None,
        }
    }
}

/// Refuse a range without a gateway where the main plugin would fail, or would take an address that is a pod's.
pub(super) fn check(netconf: &NetConf, range_sets: &RangeSets) -> Result<(), Error> {
    // Nearly every range has one: then nobody asks for the main plugin.
    let lacking = range_sets.iter().flat_map(RangeSet::ranges).find(|range| range.gateway().is_none());
    let Some(range) = lacking else { return Ok(()) };
    match GatewayUser::of(netconf) {
        Some(user) => Err(Error::GatewayNeeded { subnet: range.subnet(), user }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_needs_a_gateway() {
        let user =
            |rest: &str| GatewayUser::of(&NetConf::parse(format!("{{\"name\": \"n\"{rest}}}").as_bytes()).unwrap());
        let (bridge, ptp) = (Some(GatewayUser::Bridge), Some(GatewayUser::PointToPoint));
        for (rest, expected) in [
            ("", None),
            (r#", "type": "ptp""#, ptp),
            (r#", "type": "macvlan", "isGateway": true"#, None),
            (r#", "type": "bridge""#, None),
            (r#", "type": "bridge", "isGateway": false"#, None),
            (r#", "type": "bridge", "isGateway": true"#, bridge),
            (r#", "type": "bridge", "isGateway": false, "isDefaultGateway": true"#, bridge),
            // Of the wrong type: bridge itself refuses them, and no DEL shall stumble over them here.
            (r#", "type": "bridge", "isGateway": "true""#, None),
            (r#", "type": 7, "isGateway": {}"#, None),
        ] {
            assert_eq!(user(rest), expected, "{rest}");
        }
    }
}
