//! CHECK: whether the result of an earlier ADD still holds. It never repairs anything, and costs one read.

use std::net::IpAddr;

use super::Error;
use ipam::{Attachment, Claim, RangeSets};
use store::Store;

/// Every address of `prevResult` inside this network's subnets must be held by this attachment. Another plugin of the chain
/// may have added addresses outside of them.
pub async fn check(
    attachment: &Attachment,
    previous: &[IpAddr],
    range_sets: &RangeSets,
    store: &Store,
) -> Result<(), Error> {
    let claim = store.held_by(attachment).await?;
    let held: Vec<IpAddr> = claim.iter().flat_map(Claim::addresses).collect();
    let mut missing = Vec::new();
    for address in previous {
        if range_sets.is_inside(*address) && !held.contains(address) {
            missing.push(*address);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    // The error says where a ceded address went: it is not lost, and comes back.
    let mut ceded = claim.map(|claim| claim.ceded).unwrap_or_default();
    ceded.retain(|ceded| missing.contains(&ceded.assignment.address));
    Err(Error::NotHeld { attachment: attachment.clone().into(), addresses: missing, ceded })
}
