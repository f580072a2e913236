//! The routes a pod gets.

use super::error::Error;
use super::field::Held;
use cni::result::RouteAttributes;
use cni::{NetConf, Route, netconf};

const PATH: &str = "ipam.routes";

pub(super) fn read(netconf: &NetConf) -> Result<Vec<Route>, Error> {
    let Some(routes) = &netconf.ipam()?.routes else { return Ok(Vec::new()) };
    let mut checked = Vec::new();
    for (nth, route) in netconf.part(routes, PATH)?.iter().enumerate() {
        checked.push(check(&format!("{PATH}[{nth}]"), route)?);
    }
    Ok(checked)
}

fn check(path: &str, route: &netconf::Route) -> Result<Route, Error> {
    let &netconf::Route { mtu, advmss, priority, table, scope, .. } = route;
    let gw = Held::key(path, "gw", route.gw.as_ref());
    Ok(Route {
        dst: Held::new(format!("{path}.dst"), &route.dst).subnet()?,
        gw: gw.map(|held| held.address()).transpose()?,
        attributes: RouteAttributes { mtu, advmss, priority, table, scope },
    })
}
