//! A share of the ranges: pods that get addresses of certain spans and of no others, by annotation neither.

use crate::address::Span;
use crate::draw::{Draw, ProposalCount, Strategy, propose};
use crate::pool::Pool;
use crate::proposal::{Proposal, Refusal};
use crate::range::list;
use crate::request::Request;
use crate::ring::Ring;
use crate::spans::Spans;
use crate::wish::Wish;

/// Who may use which spans.
#[derive(Clone, Debug)]
pub struct Share<'a> {
    /// For a refusal: `namespace "team-a"`.
    pub whom: String,
    /// Where the spans stand in the configuration: `policy.settings.namespaces.team-a`.
    pub setting: String,
    /// The spans that make up the share, at least one.
    pub spans: &'a Spans,
}

impl Share<'_> {
    /// What the pod or the runtime names, which has to be of the share, and dynamic addresses of the part of the share
    /// that each range set offers.
    pub fn propose(
        &self,
        request: &Request,
        strategy: Strategy,
        count: ProposalCount,
        pool: &dyn Pool,
    ) -> Result<Vec<Proposal>, Refusal> {
        let wish = Wish::read(request)?;
        self.refuse_foreign(&wish)?;
        let mut draws = Draw::of_choice(&wish);
        for range_set in wish.unnamed() {
            draws.push(self.draw(request, range_set, strategy)?);
        }
        propose(&wish, &draws, count, pool)
    }

    /// Of a pool that the pod names every part must be of the share: to pass over some of it would be to follow another
    /// annotation.
    fn refuse_foreign(&self, wish: &Wish<'_>) -> Result<(), Refusal> {
        let single = wish.fixed().iter().map(|assignment| Span::single(assignment.address));
        let mut named = single.chain(wish.choice().iter().copied());
        let Some(foreign) = named.find(|span| !self.spans.covers(span)) else { return Ok(()) };
        Err(Refusal::Denied(format!(
            "{}: {} may not use {foreign}, it has {} ({})",
            wish.origin(),
            self.whom,
            list(self.spans.iter()),
            self.setting
        )))
    }

    fn draw(&self, request: &Request, range_set: usize, strategy: Strategy) -> Result<Draw, Refusal> {
        let dynamic = request.range_sets.dynamic(range_set);
        // In the order of the ranges, then of the share: "the lowest" is meant of the network, not of the list.
        let own = dynamic.iter().flat_map(|offered| self.spans.iter().filter_map(|span| span.intersection(offered)));
        let ring = Ring::new(own);
        let (whom, network) = (&self.whom, &request.network);
        if ring.is_empty() {
            return Err(Refusal::Denied(format!(
                "{whom} has no addresses in range set {range_set} of network {network:?} ({}): add some to {}",
                list(dynamic),
                self.setting
            )));
        }
        Ok(Draw { ring, range_set: Some(range_set), strategy, whom: whom.clone(), kept: None })
    }
}
