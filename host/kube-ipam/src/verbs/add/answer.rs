//! What the runtime is answered: what is held, as long as all of it is the attachment's own.

use crate::config::Network;
use crate::verbs::Error;
use cni::{Ip, Success};
use ipam::{Assignment, Claim, Family};

/// What an attachment holds, unless it ceded a part of it: it is not told again what another has now.
pub(super) fn whole(claim: Claim) -> Result<Claim, Error> {
    if claim.ceded.is_empty() {
        return Ok(claim);
    }
    Err(Error::Ceded { attachment: claim.attachment, ceded: claim.ceded })
}

/// Two plugins of one list ask for the same interface of the same container: to CNI that is one attachment, which would be
/// told the addresses of the first plugin for the second one, too. A runtime that merely repeats an ADD begins with the first
/// plugin, and without its result.
pub(super) fn refuse_second_plugin(claim: &Claim, network: &Network) -> Result<(), Error> {
    match claim.addresses().find(|address| network.given_before.contains(address)) {
        Some(address) => Err(Error::AskedTwice { attachment: claim.attachment.clone(), address }),
        None => Ok(()),
    }
}

/// The result of an ADD that holds these addresses.
pub(super) fn success(addresses: &[Assignment], network: &Network) -> Success {
    let mut routes = network.routes.clone();
    // Routes of a family that the pod left out would fail: it has no address to send from. Those of a family that the network
    // has no range of are somebody's intention, and stay.
    routes.retain(|route| !is_left_out(Family::of(route.dst.network()), addresses, network));
    Success { ips: addresses.iter().map(Ip::from).collect(), routes, dns: network.dns.clone() }
}

fn is_left_out(family: Family, addresses: &[Assignment], network: &Network) -> bool {
    let is_offered = network.range_sets.iter().any(|set| set.family() == family);
    let is_held = addresses.iter().any(|one| Family::of(one.address) == family);
    is_offered && !is_held
}
