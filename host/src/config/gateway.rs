//! A range without a gateway, beside a main plugin that cannot do without one.
//!
//! The main plugin hands us its whole configuration, so that this can be said before an address is claimed. Of the CNI
//! project's plugins `macvlan`, `ipvlan` and `bridge` without `isGateway` do well without a gateway; routes that name no
//! next hop go out of the interface then.

use super::error::Error;
use crate::cni::NetConf;
use crate::ipam::{RangeSet, RangeSets};

/// Refuse a range without a gateway where the main plugin would fail, or would take an address that is a pod's.
pub(super) fn check(netconf: &NetConf, range_sets: &RangeSets) -> Result<(), Error> {
    let Some(user) = netconf.gateway_user() else { return Ok(()) };
    let lacking = range_sets.iter().flat_map(RangeSet::ranges).find(|range| range.gateway().is_none());
    match lacking {
        Some(range) => Err(Error::GatewayNeeded { subnet: range.subnet(), user }),
        None => Ok(()),
    }
}
