//! Why an attachment gets this address and not another, for those who ask later. The policy may have any reason; the host says
//! what it can see for itself.

use super::AddContext;
use super::annotations::OURS;
use ipam::address::parse_address;
use ipam::{Assignment, Proposal, Span, Why};
use store::Look;

/// What the names of annotations have in them that leave a choice: `kube-ipam.ip-pool`, and those of policies that follow it.
const POOL: &str = "pool";

impl AddContext<'_> {
    /// Note the reason of each proposed address, which the record keeps.
    pub(super) fn note_why(&self, proposals: &mut [Proposal], look: &Look) {
        for assignment in proposals.iter_mut().flatten() {
            assignment.why = self.why(assignment, look);
        }
    }

    fn why(&self, assignment: &Assignment, look: &Look) -> Option<Why> {
        let address = assignment.address;
        let mut is_in_pool = false;
        for (name, value) in self.metadata.annotations() {
            let Some(word) = name.strip_prefix(OURS) else { continue };
            let mut parts = value.split([',', ' ']).filter_map(parse_part);
            if !parts.any(|part| part.contains(address)) {
                continue;
            }
            if !word.contains(POOL) {
                return Some(Why::Annotation);
            }
            is_in_pool = true;
        }
        if self.network.requested.iter().any(|asked| asked.address == address) {
            return Some(Why::Request);
        }
        if look.previous.as_ref().is_some_and(|previous| previous.addresses().any(|held| held == address)) {
            return Some(Why::Previous);
        }
        if let Some(terms) = &assignment.hold
            && look.snapshot.held_for(&terms.identity).is_ok_and(|held| held.contains(&address))
        {
            return Some(Why::Hold);
        }
        is_in_pool.then_some(Why::Pool)
    }
}

/// An address, with or without the prefix that the pod is to see it in, or a span.
fn parse_part(text: &str) -> Option<Span> {
    let text = text.trim();
    text.parse().ok().or_else(|| parse_address(text.split('/').next()?).map(Span::single))
}
