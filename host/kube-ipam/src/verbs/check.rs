//! CHECK: is what an earlier ADD answered still so? It never repairs, and costs one read.

use std::net::IpAddr;

use super::Error;
use ipam::{Attachment, Claim, RangeSets};
use store::Store;

/// Every address of `prevResult` that belongs to this network must be held by this attachment. Addresses outside its
/// subnets are somebody else's: another plugin of the chain may have added them.
pub async fn check(
    attachment: &Attachment,
    previous: &[IpAddr],
    range_sets: &RangeSets,
    store: &Store,
) -> Result<(), Error> {
    let claim = store.held_by(attachment).await?;
    let held = |address| claim.iter().flat_map(Claim::addresses).any(|held| held == address);
    let ours = previous.iter().copied().filter(|&address| range_sets.is_inside(address));
    let missing: Vec<IpAddr> = ours.filter(|&address| !held(address)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let ceded = claim.map(|claim| claim.ceded).unwrap_or_default();
    let ceded = ceded.into_iter().filter(|ceded| missing.contains(&ceded.assignment.address)).collect();
    Err(Error::NotHeld { attachment: attachment.clone().into(), addresses: missing, ceded })
}
