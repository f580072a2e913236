//! Reclaim: the release of claims that no DEL will ever release.

use jiff::Timestamp;

use super::Store;
use super::error::StoreError;
use super::ordered::{Commit, OrderedMap};
use super::record::Seen;
use super::release::Fence;
use ipam::Claim;

/// A claim as it stood when somebody looked at it to judge it.
#[derive(Clone, Debug)]
pub struct StandingClaim(Seen<Claim>);

impl StandingClaim {
    pub fn claim(&self) -> &Claim {
        &self.0.record
    }
}

impl Store {
    /// Every claim of a network. One that cannot be read is logged and left out: nobody can judge it.
    pub async fn claims(&self, network: &str) -> Result<Vec<StandingClaim>, StoreError> {
        self.claims_where(|claim| claim.attachment.network == network).await
    }

    /// Every claim of the domain, whatever its network.
    pub async fn all_claims(&self) -> Result<Vec<StandingClaim>, StoreError> {
        self.claims_where(|_| true).await
    }

    /// The claims that a node and its machine made in a network, by the node's index: what it costs grows with the node.
    pub async fn claims_on(&self, node: &str, machine: &str, network: &str) -> Result<Vec<StandingClaim>, StoreError> {
        let attachments = self.attachments_on(node, machine, network).await?;
        self.at_one_moment(async |mut view| {
            let mut batch = self.batch();
            let tickets: Vec<_> = attachments.iter().map(|attachment| batch.claim(attachment)).collect();
            let mut answers = batch.read(&mut view).await?;
            Ok(tickets.into_iter().filter_map(|ticket| answers.readable(ticket)).map(StandingClaim).collect())
        })
        .await
    }

    async fn claims_where(&self, wanted: impl Fn(&Claim) -> bool) -> Result<Vec<StandingClaim>, StoreError> {
        self.at_one_moment(async |mut view| {
            let mut claims = Vec::new();
            let mut pages = self.pages(self.keys.attachments());
            while let Some(page) = pages.next(&mut view).await? {
                let readable = page.into_iter().filter_map(|entry| Seen::<Claim>::readable(&self.keys, entry));
                claims.extend(readable.filter(|seen| wanted(&seen.record)).map(StandingClaim));
            }
            Ok(claims)
        })
        .await
    }

    /// Release a claim if it is, to the byte, the one that was judged. False where it is not: nothing was written then.
    ///
    /// Addresses that somebody else holds by now stay theirs, as with any release.
    pub async fn reclaim(&self, judged: &StandingClaim, now: Timestamp) -> Result<bool, StoreError> {
        // It may be weeks old, of an earlier version, or edited by hand: compared as it is, at the price of a read.
        let mut view = self.map.view().await?;
        let ending = self.ending_of(&mut view, judged.0.clone(), Fence::Read, Vec::new()).await?;
        // Nobody should keep reading the past while waiting for the turn to write.
        drop(view);
        Ok(self.commit_release(&ending, now).await? != Commit::Lost)
    }
}
