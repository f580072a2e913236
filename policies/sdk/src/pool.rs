//! The questions a policy may ask of the ranges. All answers of one call come from one consistent snapshot.

use std::net::IpAddr;

use crate::address::Span;

/// Questions about the ranges. In a module the host answers them; in a native test,
/// [`PoolDouble`](crate::testing::PoolDouble) does, by the same contract.
pub trait Pool {
    /// The lowest free address of a range set above `after`, or from the start of the set without it. Skips gateways,
    /// network, broadcast and excluded addresses, but not the part kept for fixed addresses. Does not wrap around.
    fn next_free(&self, range_set: usize, after: Option<IpAddr>) -> Option<IpAddr>;

    /// The lowest free usable address of a span, anywhere in the configured subnets.
    fn next_free_within(&self, span: Span) -> Option<IpAddr>;

    /// Who holds an address; `None` when it is free.
    fn holder_of(&self, address: IpAddr) -> Option<Holder>;

    /// The dynamic address of a range set that was claimed last, by anybody.
    fn last_claimed(&self, range_set: usize) -> Option<IpAddr>;

    /// How full a range set is.
    fn usage(&self, range_set: usize) -> Usage;

    /// The addresses kept for an identity, in order.
    fn held_for(&self, identity: &str) -> Vec<IpAddr>;

    /// The taken slots of a list, lowest first, at most 8,192 of them; without those of an older attachment of the pod,
    /// which a claim gives back.
    fn taken_slots(&self, name: &str) -> Vec<u32>;

    /// Free slots of a list of which at most `limit` shall be taken: the first `count` below `limit`, counted from number
    /// `near` on and around; fewer where there are no more. `None` where a slot from `limit` on is taken, as after a limit was
    /// lowered: how many more may be taken then, [`taken_slots`](Self::taken_slots) tells.
    fn free_slots(&self, name: &str, limit: u32, near: u32, count: u32) -> Option<Vec<u32>> {
        let taken = self.taken_slots(name);
        if taken.last().is_some_and(|highest| *highest >= limit) {
            return None;
        }
        let near = near.checked_rem(limit).unwrap_or(0);
        let around = (near..limit).chain(0..near).filter(|number| taken.binary_search(number).is_err());
        Some(around.take(count as usize).collect())
    }
}

impl dyn Pool + '_ {
    /// The free addresses of a range set, lowest first: one question for each that is taken from the iterator.
    pub fn first_free(&self, range_set: usize) -> impl Iterator<Item = IpAddr> {
        let mut last = None;
        std::iter::from_fn(move || {
            last = Some(self.next_free(range_set, last)?);
            last
        })
    }
}

/// Who has an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// An attachment holds it.
    Attachment(AttachmentHolder),
    /// Nobody holds it, but it is kept for this identity.
    Hold(String),
}

/// An attachment that holds an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttachmentHolder {
    /// `CNI_CONTAINERID` of the container.
    pub container_id: String,
    /// The interface inside the pod.
    pub interface_name: String,
    /// The network's name in the CNI configuration.
    pub network: String,
    /// The Kubernetes node the pod runs on.
    pub node: String,
    /// Namespace and name of the pod, when the runtime named one.
    pub pod: Option<(String, String)>,
    /// Since when: RFC 3339, UTC.
    pub since: String,
}

/// How full a range set is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Usable addresses, capped at the largest 64-bit number.
    pub size: u64,
    /// How many of them attachments hold; those that are only kept do not count.
    pub held: u64,
}
