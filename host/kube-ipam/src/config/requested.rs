//! The addresses a runtime asks for. It has three ways to say so.

use super::error::Error;
use super::field::{Held, at_most, wrong};
use cni::args::Requested;
use cni::netconf::RuntimeConfig;
use cni::{Args, NetConf};

/// What errors call all of them together.
pub(super) const ALL: &str = "the list of requested addresses";

/// `args.cni.ips` beats `IP` in `CNI_ARGS`; `runtimeConfig.ips` comes on top. Some callers say the same thing twice.
pub(super) fn read(netconf: &NetConf, runtime: &RuntimeConfig, args: &Args) -> Result<Vec<Requested>, Error> {
    let mut misplaced = None;
    let conventional = netconf.conventional_args(|path| misplaced = misplaced.take().or(Some(path)))?;
    if let Some(path) = misplaced {
        return Err(Error::MisplacedRequest { path });
    }
    let conventional = conventional.ips.unwrap_or_default();
    let mut requested = match conventional.as_slice() {
        [] => args.addresses.clone(),
        given => parse("args.cni.ips", given)?,
    };
    for asked in &args.addresses {
        if !requested.iter().any(|one| one.address == asked.address) {
            tracing::warn!(%asked, "IP in CNI_ARGS is ignored: args.cni.ips names other addresses and takes \
                precedence");
            break;
        }
    }
    requested.extend(parse("runtimeConfig.ips", runtime.ips.as_deref().unwrap_or_default())?);
    at_most(ALL, requested.len(), limits::REQUESTED)?;
    without_duplicates(requested)
}

fn parse(path: &str, given: &[String]) -> Result<Vec<Requested>, Error> {
    let mut requested = Vec::with_capacity(given.len());
    for held in Held::entries(path, given) {
        let Some(one) = Requested::parse(held.text) else {
            return Err(held.wrong("an address, with or without /prefix"));
        };
        requested.push(one);
    }
    Ok(requested)
}

/// Of an address that is asked for twice, the prefix may be given once.
fn without_duplicates(requested: Vec<Requested>) -> Result<Vec<Requested>, Error> {
    let mut unique: Vec<Requested> = Vec::with_capacity(requested.len());
    for one in requested {
        let Some(known) = unique.iter_mut().find(|known| known.address == one.address) else {
            unique.push(one);
            continue;
        };
        match (known.prefix_length, one.prefix_length) {
            (Some(length), Some(other)) if length != other => {
                return Err(wrong(ALL, format!("{known}, {one}"), "one prefix for each address"));
            }
            _ => known.prefix_length = known.prefix_length.or(one.prefix_length),
        }
    }
    Ok(unique)
}
