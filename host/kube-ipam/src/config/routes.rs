//! The routes a pod gets.

use super::error::Error;
use super::field::{self, given};
use cni::result::RouteAttributes;
use cni::{NetConf, Route, netconf};

pub(super) fn read(netconf: &NetConf) -> Result<Vec<Route>, Error> {
    let Some(routes) = &netconf.ipam()?.routes else { return Ok(Vec::new()) };
    netconf.part(routes, "ipam.routes")?.iter().enumerate().map(|(nth, route)| check(nth, route)).collect()
}

fn check(nth: usize, route: &netconf::Route) -> Result<Route, Error> {
    let gw = given(route.gw.as_ref()).map(|gw| field::address(&format!("ipam.routes[{nth}].gw"), gw));
    let &netconf::Route { mtu, advmss, priority, table, scope, .. } = route;
    Ok(Route {
        dst: field::subnet(&format!("ipam.routes[{nth}].dst"), &route.dst)?,
        gw: gw.transpose()?,
        attributes: RouteAttributes { mtu, advmss, priority, table, scope },
    })
}
