//! Reclaim: releasing what no DEL will ever release.

use jiff::Timestamp;

use super::Store;
use super::error::StoreError;
use super::ordered::{Commit, OrderedMap};
use super::record::Seen;
use super::release::Fence;
use ipam::Claim;

/// A claim as it stood when somebody looked at it to judge it.
#[derive(Clone, Debug)]
pub struct Standing(Seen<Claim>);

impl Standing {
    pub fn claim(&self) -> &Claim {
        &self.0.record
    }
}

impl Store {
    /// Every claim of a network. One that cannot be read is logged and left out: nobody can judge it.
    pub async fn claims(&self, network: &str) -> Result<Vec<Standing>, StoreError> {
        let mut claims = self.all_claims().await?;
        claims.retain(|standing| standing.claim().attachment.network == network);
        Ok(claims)
    }

    /// Every claim of the domain, whatever its network.
    pub async fn all_claims(&self) -> Result<Vec<Standing>, StoreError> {
        let entries = self.scan_all(self.keys.attachments(), false).await?;
        let readable = entries.into_iter().filter_map(|entry| Seen::<Claim>::readable(&self.keys, entry));
        Ok(readable.map(Standing).collect())
    }

    /// Release a claim if it is, to the byte, the one that was judged. Whether it was.
    ///
    /// Addresses that somebody else holds by now stay theirs, as with any release.
    pub async fn reclaim(&self, judged: &Standing, now: Timestamp) -> Result<bool, StoreError> {
        // It may be weeks old, of an earlier version, or mended by hand: compared as it is, at the price of a read.
        let mut view = self.map.view().await?;
        let ending = self.ending_of(&mut view, judged.0.clone(), Fence::Read, Vec::new()).await?;
        // Nobody should keep reading the past while waiting for the turn to write.
        drop(view);
        Ok(self.commit_release(&ending, now).await? != Commit::Lost)
    }
}
