//! The addresses a runtime asks for. It has three ways to say so.

use std::net::IpAddr;

use super::error::Error;
use super::field::{self, wrong};
use crate::cni::netconf::{Ipam, RuntimeConfig};
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

/// `ipam.args` is anybody's, but what looks like a request there is one, and nobody reads it.
pub(super) fn refuse_inside(ipam: &Ipam) -> Result<(), Error> {
    let Some(args) = &ipam.args else { return Ok(()) };
    let path = "ipam.args.cni".to_owned();
    match args.read("ipam.args")?.get("cni") {
        Some(_) => Err(Error::Misplaced {
            path,
            which: "inside ipam",
            hint: "ask for addresses beside ipam: \"args\": {\"cni\": {\"ips\": [\"10.188.0.9\"]}}".to_owned(),
        }),
        None => Ok(()),
    }
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
