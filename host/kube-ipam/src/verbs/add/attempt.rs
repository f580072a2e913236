//! One attempt of an ADD: decide on what was seen, and commit.

use tracing::{Instrument, info_span};

use super::answer::whole;
use super::context::AddContext;
use super::decide::{Decided, Deciders};
use super::hand_over::Way;
use crate::config::Network;
use crate::journal::history::{self, What};
use crate::verbs::{Deadline, Error, OUTCOME, address_list};
use cni::args::Requested;
use cni::result::check_room;
use ipam::{Claim, Kind, Proposal, Refusal, Snapshot};
use store::{Claimed, Look, Store};

/// How one attempt ended.
#[allow(clippy::large_enum_variant, reason = "one per invocation")]
pub enum Attempt {
    /// The attachment holds this now.
    Won(Claim),
    /// Others were faster at each of these.
    Lost(Vec<Proposal>),
}

impl AddContext<'_> {
    /// Decide on what was seen, and commit.
    pub async fn attempt(
        &self,
        deciders: &mut Deciders<'_>,
        store: &Store,
        mut look: Look,
        deadline: &Deadline,
        attempt: u32,
    ) -> Result<Attempt, Error> {
        let Decided { proposals, policy } = self.propose(deciders, &mut look, deadline, attempt).await?;
        let handed_over = match self.hand_overs.way(&proposals, &look).await? {
            Way::Open(handed_over) => handed_over,
            Way::Barred(leaving) => {
                // Nobody should keep reading the past while waiting.
                drop(look);
                self.hand_overs.wait(&leaving, store).await?;
                return Ok(Attempt::Lost(proposals));
            }
        };
        // A policy runs without a pause, in which nobody could notice that the time is over. Nothing is claimed for a runtime
        // that has stopped listening: only its DEL would give it back.
        deadline.check()?;
        let previous = look.previous.clone();
        let claim = store.claim(look, &proposals, Some(policy), &handed_over);
        match claim.instrument(info_span!("commit", attempt)).await? {
            Claimed::Done(claim) => {
                let claim = whole(claim)?;
                note_claimed(&claim, previous.as_ref(), &self.base.domain);
                tracing::info!(target: OUTCOME, addresses = address_list(&claim), "claimed");
                Ok(Attempt::Won(claim))
            }
            Claimed::Lost => Ok(Attempt::Lost(proposals)),
        }
    }

    /// Proposals with which the pod could go on, and who made them.
    async fn propose(
        &self,
        deciders: &mut Deciders<'_>,
        look: &mut Look,
        deadline: &Deadline,
        attempt: u32,
    ) -> Result<Decided, Error> {
        // First, for it turns what a namesake held into what the policy is told was the pod's own before.
        if self.metadata.confirmed {
            Box::pin(look.succeed()).await?;
        }
        let request = self.request(look, attempt);
        let decided = deciders.decide(request, look, deadline).instrument(info_span!("decide", attempt)).await;
        let is_exhausted = matches!(&decided, Err(Error::Refused { refusal: Refusal::Exhausted(_) }));
        // Where a policy is tried, full ranges are what it is tried on, and there is no log.
        if is_exhausted && self.base.log.file.is_some() {
            warn_of_full(&look.snapshot);
        }
        let mut decided = decided?;
        dress_as_requested(&mut decided.proposals, self.network)?;
        // Before the claim: an address that the result's version has no room for would be held by a pod that was never told.
        for proposal in &decided.proposals {
            check_room(self.base.version, proposal.iter().map(|assignment| assignment.address))?;
        }
        self.note_why(&mut decided.proposals, look);
        Ok(decided)
    }
}

/// Tell the history of a claim, and of the one that it ended.
fn note_claimed(claim: &Claim, previous: Option<&Claim>, domain: &str) {
    if let Some(previous) = previous {
        history::note(What::Replaced, domain, previous, claim.since);
    }
    history::note(What::Claimed, domain, claim, claim.since);
}

/// Name the range sets that have no address left, where the policy has asked how full they are: nobody is asked for this.
fn warn_of_full(snapshot: &Snapshot) {
    for range_set in 0..snapshot.range_sets().len() {
        if let Ok(Some(usage)) = snapshot.usage(range_set)
            && usage.is_full()
        {
            tracing::warn!(
                range_set,
                size = usage.size,
                held = usage.held,
                "a range set is full: new pods get no address; pods that hold one, or for which one is on hold, still do"
            );
        }
    }
}

/// A policy is told the addresses that the runtime asks for, not their prefixes. Where it shows one as its range does, and the
/// runtime gave another prefix, that one counts.
fn dress_as_requested(proposals: &mut [Proposal], network: &Network) -> Result<(), Error> {
    for &Requested { address, prefix_length } in &network.requested {
        let range = network.range_sets.iter().find_map(|set| set.range_of(address));
        let (Some(prefix_length), Some(range)) = (prefix_length, range) else { continue };
        let own = range.subnet().length();
        for assignment in proposals.iter_mut().flatten().filter(|one| one.address == address) {
            if assignment.kind != Kind::Fixed || prefix_length == own || prefix_length == assignment.prefix_length {
                continue;
            }
            if assignment.prefix_length != own {
                let length = assignment.prefix_length;
                tracing::warn!(%address, length, "ignoring the prefix /{prefix_length} that the runtime asks for");
                continue;
            }
            assignment.prefix_length = prefix_length;
            if let Some(misfit) = range.misfit(assignment) {
                return Err(Error::RequestedPrefix { address, prefix_length, misfit });
            }
        }
    }
    Ok(())
}
