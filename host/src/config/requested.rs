//! The addresses a runtime asks for. It has three ways to say so.

use std::net::IpAddr;

use super::error::Error;
use super::field::{self, wrong};
use crate::cni::netconf::RuntimeConfig;
use crate::cni::{Args, NetConf, args};
use crate::limits;

/// `args.cni.ips` beats `IP` in `CNI_ARGS`; `runtimeConfig.ips` comes on top. Some callers say the same thing twice.
pub(super) fn read(netconf: &NetConf, runtime: &RuntimeConfig, args: &Args) -> Result<Vec<IpAddr>, Error> {
    let conventional = netconf.conventional_args()?.ips.unwrap_or_default();
    let mut requested = match conventional.as_slice() {
        [] => args.addresses.clone(),
        given => parse("args.cni.ips", given)?,
    };
    requested.extend(parse("runtimeConfig.ips", runtime.ips.as_deref().unwrap_or_default())?);
    field::at_most("the list of requested addresses", requested.len(), limits::REQUESTED)?;
    Ok(without_duplicates(requested))
}

fn parse(path: &str, given: &[String]) -> Result<Vec<IpAddr>, Error> {
    let expected = "an address, with or without /prefix";
    let entry = |(nth, held): (usize, &String)| {
        args::address(held).ok_or_else(|| wrong(&format!("{path}[{nth}]"), held, expected))
    };
    given.iter().enumerate().map(entry).collect()
}

fn without_duplicates(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let mut unique = Vec::with_capacity(addresses.len());
    for address in addresses {
        if !unique.contains(&address) {
            unique.push(address);
        }
    }
    unique
}
