//! Counting: how a rule lets somebody have so many addresses and not one more.
//!
//! Whoever may have N addresses draws each with a slot of a list of their own, numbered below N. A slot is claimed and
//! released in the transactions that claim and release its address, and only one claim takes it: there is no moment
//! at which a count could be out of date.

use crate::draw::hash;
use crate::pool::Pool;
use crate::proposal::{Assignment, Proposal, Slot};
use crate::request::Request;

/// The largest limit: of longer lists the pool does not tell all that is taken.
pub const MOST_SLOTS: u32 = 8_192;

/// Slots of a list that one request may take now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slots {
    name: String,
    free: Vec<u32>,
    taken: Option<usize>,
}

impl Slots {
    /// Ask for so many free slots of a list of which at most `limit` may be taken, at most [`MOST_SLOTS`]. Contenders begin at
    /// different ones, and each finds some without being told of all that are taken.
    pub fn of(name: impl Into<String>, limit: u32, wanted: usize, request: &Request, pool: &dyn Pool) -> Self {
        let (name, limit) = (name.into(), limit.min(MOST_SLOTS));
        let start = hash(&[request.container_id.as_bytes(), &request.attempt.to_le_bytes()]) as usize;
        let near = start.checked_rem(limit as usize).unwrap_or(0) as u32;
        let count = u32::try_from(wanted).unwrap_or(MOST_SLOTS);
        if let Some(free) = pool.free_slots(&name, limit, near, count) {
            // Fewer than were asked for are all there are, and all others below the limit are taken.
            let taken = if free.len() < wanted { Some(limit as usize - free.len()) } else { None };
            return Self { name, free, taken };
        }
        // More were taken once than may be now: what that leaves depends on where each of them is.
        let taken = pool.taken_slots(&name);
        let mut free: Vec<u32> = (0..below(limit, &taken)).collect();
        free.retain(|number| taken.binary_search(number).is_err());
        let start = start.checked_rem(free.len()).unwrap_or(0);
        free.rotate_left(start);
        Self { name, free, taken: Some(taken.len()) }
    }

    /// How many are taken; `None` where so many are free that nobody had to count.
    pub fn taken(&self) -> Option<usize> {
        self.taken
    }

    /// Some that may be taken, as many as were asked for if there are so many, in the order in which to try them.
    pub fn free(&self) -> &[u32] {
        &self.free
    }

    /// Give each address that `counts` a free slot: in every proposal others as far as they go round, and never one
    /// twice in a proposal. Without as many free slots as addresses of one proposal nothing happens: ask before.
    pub fn number(&self, proposals: &mut [Proposal], counts: impl Fn(&Assignment) -> bool) {
        let mut next = 0;
        for proposal in proposals {
            let counted: Vec<&mut Assignment> = proposal.iter_mut().filter(|assignment| counts(assignment)).collect();
            // Two addresses of one proposal cannot take the same slot: half of it numbered would be worse than nothing.
            if counted.len() > self.free.len() {
                return;
            }
            for assignment in counted {
                assignment.slot = Some(Slot { name: self.name.clone(), number: self.free[next] });
                // Not from the start for each proposal: whoever lost its slot needs another one in the next.
                next = (next + 1) % self.free.len();
            }
        }
    }
}

/// Below which number slots may be taken: the largest M at which M, and all that is taken from M on, are not more than
/// the limit. Above the limit there is something only after it was lowered. Whatever contenders see, none of them takes
/// a slot that would be too many: releases can only move M up, and claims below M do not move it at all.
fn below(limit: u32, taken: &[u32]) -> u32 {
    for number in (1..=limit).rev() {
        let taken_above = taken.len() - taken.partition_point(|&taken| taken < number);
        if number as usize + taken_above <= limit as usize {
            return number;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{PoolDouble, request};

    #[test]
    fn no_more_than_the_limit_are_ever_taken() {
        for (limit, taken, free) in [
            (3, vec![], vec![0, 1, 2]),
            (3, vec![1], vec![0, 2]),
            (3, vec![0, 1, 2], vec![]),
            (0, vec![], vec![]),
            (5, vec![3, 4, 7, 8], vec![0]),
            (5, vec![7, 8], vec![0, 1, 2]),
            (2, vec![0, 5, 9], vec![]),
            (4, vec![0, 5, 9], vec![1]),
        ] {
            let mut found = slots(limit, &taken).free().to_vec();
            found.sort_unstable();
            assert_eq!(found, free, "{limit} {taken:?}");
        }
    }

    /// Every order of claims and releases by contenders that may each act on an older view.
    #[test]
    fn stale_views_do_not_add_up() {
        for limit in 0..5_u32 {
            for before in 0..(1_u32 << 7) {
                let taken: Vec<u32> = (0..7).filter(|bit| before & (1 << bit) != 0).collect();
                let old = below(limit, &taken);
                for released in 0..taken.len() {
                    let mut fewer = taken.clone();
                    fewer.remove(released);
                    let new = below(limit, &fewer);
                    assert!(old <= new, "a release takes no slot away: {limit} {taken:?}");
                    let all: Vec<u32> = (0..7).filter(|number| *number < new || fewer.contains(number)).collect();
                    assert!(all.len() <= (limit as usize).max(fewer.len()), "{limit} {fewer:?}");
                }
            }
        }
    }

    #[test]
    fn nobody_counts_what_is_taken_where_enough_is_free() {
        let taken: Vec<u32> = (0..4_000).collect();
        let pool = PoolDouble::default().taking("list", taken.iter().copied());
        let request = request(&["10.0.0.0/24"]);
        let slots = Slots::of("list", 4_096, 4, &request, &pool);
        assert_eq!((slots.free().len(), slots.taken()), (4, None));
        assert!(slots.free().iter().all(|number| (4_000..4_096).contains(number)));
        assert_eq!(Slots::of("list", 4_003, 4, &request, &pool).taken(), Some(4_000));
        assert_eq!(Slots::of("list", 4_000, 4, &request, &pool).taken(), Some(4_000));
        assert_eq!(Slots::of("list", 3_000, 4, &request, &pool).taken(), Some(4_000));
    }

    #[test]
    fn each_proposal_has_slots_of_its_own_and_none_twice() {
        let request = request(&["10.0.0.0/24"]);
        let range = &request.range_sets[0][0];
        let assignment = |last| Assignment::dynamic([10, 0, 0, last].into(), range);
        let mut proposals: Vec<Proposal> = (2..6).map(|last| vec![assignment(last), assignment(last + 50)]).collect();
        slots(3, &[]).number(&mut proposals, |_| true);
        let numbers: Vec<Vec<u32>> = proposals
            .iter()
            .map(|proposal| proposal.iter().map(|one| one.slot.as_ref().unwrap().number).collect())
            .collect();
        assert!(numbers.iter().all(|pair| pair[0] != pair[1]), "{numbers:?}");
        let distinct: std::collections::BTreeSet<_> = numbers[..3].iter().collect();
        assert_eq!(distinct.len(), 3, "{numbers:?}");
    }

    fn slots(limit: u32, taken: &[u32]) -> Slots {
        let pool = PoolDouble::default().taking("list", taken.iter().copied());
        Slots::of("list", limit, 8, &request(&["10.0.0.0/24"]), &pool)
    }
}
