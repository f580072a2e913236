//! Spans end to end as one ring of addresses, and the walk around it that finds free ones.

use std::net::IpAddr;

use crate::address::{Span, without};
use crate::pool::Pool;

/// Spans end to end: position 0 is the first address of the first span, and after the last comes the first again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ring {
    spans: Vec<Span>,
}

impl Ring {
    /// In the order of the spans; what an earlier span has, a later one does not repeat.
    pub fn new(spans: impl IntoIterator<Item = Span>) -> Self {
        let mut ring: Vec<Span> = Vec::new();
        // Where each lies in the ring, by their addresses. A pod may name a thousand addresses one by one: comparing each
        // with all before it would cost more fuel than a call has.
        let mut sorted: Vec<usize> = Vec::new();
        for span in spans {
            let place = sorted.partition_point(|&nth| ring[nth].first() < span.first());
            let near = sorted[place.saturating_sub(1)..].iter().map(|&nth| ring[nth]);
            let known: Vec<Span> = near.take_while(|known| known.first() <= span.last()).collect();
            for part in without(vec![span], known) {
                let place = sorted.partition_point(|&nth| ring[nth].first() < part.first());
                sorted.insert(place, ring.len());
                ring.push(part);
            }
        }
        Self { spans: ring }
    }

    /// The spans, none of which overlap.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// How many addresses, usable or not.
    pub fn size(&self) -> u128 {
        self.spans.iter().map(Span::size).fold(0, u128::saturating_add)
    }

    /// Whether it has no address at all.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Whether the address is on the ring.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.spans.iter().any(|span| span.contains(address))
    }

    /// The position that follows an address; of one that is not on the ring, the position of the lowest span above it,
    /// or 0.
    pub fn position_after(&self, address: IpAddr) -> u128 {
        if let Some(position) = self.position(address) {
            return position.saturating_add(1);
        }
        let above = self.spans.iter().map(Span::first).filter(|first| *first > address).min();
        above.and_then(|first| self.position(first)).unwrap_or(0)
    }

    /// The position of an address of the ring.
    pub fn position(&self, address: IpAddr) -> Option<u128> {
        let mut before: u128 = 0;
        for span in &self.spans {
            if let Some(position) = span.position(address) {
                return Some(before.saturating_add(position));
            }
            before = before.saturating_add(span.size());
        }
        None
    }

    /// The first free addresses from the start of the ring.
    pub fn first_free(&self, pool: &dyn Pool, count: usize) -> Vec<IpAddr> {
        self.free_from(pool, 0, count)
    }

    /// The free addresses that follow `last`, around the ring.
    pub fn round_robin(&self, pool: &dyn Pool, last: Option<IpAddr>, count: usize) -> Vec<IpAddr> {
        self.free_from(pool, last.map_or(0, |last| self.position_after(last)), count)
    }

    /// The free addresses from a position on (modulo the size), once around the ring: one question each.
    pub fn free_from(&self, pool: &dyn Pool, position: u128, count: usize) -> Vec<IpAddr> {
        let mut found = Vec::with_capacity(count);
        for span in self.turned_to(position) {
            let mut rest = Some(span);
            while let Some(span) = rest
                && found.len() < count
            {
                // One question for each address, and not one for the whole span: the pool does not tell what is held.
                let Some(free) = pool.next_free_within(span) else { break };
                found.push(free);
                rest = span.above(free);
            }
        }
        found
    }

    /// The spans of the ring from a position on; the span it falls into comes first with its upper part and last with
    /// its lower one.
    fn turned_to(&self, position: u128) -> Vec<Span> {
        // An empty ring has no remainder, and no span either.
        let mut offset = position.checked_rem(self.size()).unwrap_or(0);
        for (nth, span) in self.spans.iter().enumerate() {
            if let Some(upper) = span.starting_at(offset) {
                let (earlier, later) = (&self.spans[..nth], &self.spans[nth + 1..]);
                let lower = span.below(upper.first());
                return [upper].iter().chain(later).chain(earlier).copied().chain(lower).collect();
            }
            offset -= span.size();
        }
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::range::list;
    use crate::testing::{PoolDouble, range_sets};

    fn ring(spans: &str) -> Ring {
        Ring::new(spans.split_whitespace().map(|span| span.parse().unwrap()))
    }

    fn position_after(spans: &str, address: &str) -> u128 {
        ring(spans).position_after(address.parse().unwrap())
    }

    #[test]
    fn the_walk_goes_once_around() {
        let pool = PoolDouble::of(&range_sets(&["10.0.0.0/24"])).holding(["10.0.0.6"]);
        for (spans, position, count, expected) in [
            ("10.0.0.4-10.0.0.7", 0, 9, "10.0.0.4, 10.0.0.5, 10.0.0.7"),
            ("10.0.0.4-10.0.0.7", 1, 9, "10.0.0.5, 10.0.0.7, 10.0.0.4"),
            ("10.0.0.4-10.0.0.7", 2, 1, "10.0.0.7"),
            ("10.0.0.4-10.0.0.7", 5, 1, "10.0.0.5"),
            ("10.0.0.20-10.0.0.21 10.0.0.8-10.0.0.9", 1, 9, "10.0.0.21, 10.0.0.8, 10.0.0.9, 10.0.0.20"),
            ("10.0.0.20-10.0.0.21 10.0.0.8-10.0.0.9", 3, 9, "10.0.0.9, 10.0.0.20, 10.0.0.21, 10.0.0.8"),
            ("10.0.0.8 10.0.0.7-10.0.0.9", 0, 9, "10.0.0.8, 10.0.0.7, 10.0.0.9"),
            ("10.0.0.6", 0, 9, ""),
            ("", 7, 9, ""),
        ] {
            let found = ring(spans).free_from(&pool, position, count);
            assert_eq!(list(found), expected, "{spans} from {position}");
        }
    }

    #[test]
    fn what_follows_an_address() {
        assert_eq!(position_after("10.0.0.4-10.0.0.7", "10.0.0.5"), 2);
        assert_eq!(position_after("10.0.0.4-10.0.0.7", "10.0.0.2"), 0);
        assert_eq!(position_after("10.0.0.4-10.0.0.7", "10.0.0.9"), 0);
        assert_eq!(position_after("10.0.0.4-10.0.0.7 10.0.0.20-10.0.0.29", "10.0.0.9"), 4);
        assert_eq!(position_after("10.0.0.20-10.0.0.29 10.0.0.4-10.0.0.7", "10.0.0.2"), 10);
    }

    #[test]
    fn what_an_earlier_span_has_a_later_one_does_not_repeat() {
        for (spans, expected) in [
            ("10.0.0.9 10.0.0.4-10.0.0.20 10.0.0.1", "10.0.0.9, 10.0.0.4-10.0.0.8, 10.0.0.10-10.0.0.20, 10.0.0.1"),
            ("10.0.0.4-10.0.0.8 10.0.0.6 10.0.0.8-10.0.0.9", "10.0.0.4-10.0.0.8, 10.0.0.9"),
            ("10.0.0.4 10.0.0.8 10.0.0.3-10.0.0.9", "10.0.0.4, 10.0.0.8, 10.0.0.3, 10.0.0.5-10.0.0.7, 10.0.0.9"),
            (
                "fd00::5 10.0.0.5 fd00::/120 10.0.0.4-10.0.0.5",
                "fd00::5, 10.0.0.5, fd00::-fd00::4, fd00::6-fd00::ff, 10.0.0.4",
            ),
        ] {
            assert_eq!(list(ring(spans).spans()), expected, "{spans}");
        }
    }

    #[test]
    fn the_last_address_is_followed_by_the_first() {
        let pool = PoolDouble::of(&range_sets(&["10.0.0.0/24"]));
        let next = ring("10.0.0.4-10.0.0.7").round_robin(&pool, "10.0.0.7".parse().ok(), 1);
        assert_eq!(list(next), "10.0.0.4");
    }

    #[test]
    fn all_of_ipv6_is_a_ring_like_any_other() {
        let pool = PoolDouble::of(&range_sets(&["fd00::/64"]));
        let next = ring("fd00::/64").round_robin(&pool, "fd00::ffff:ffff:ffff:ffff".parse().ok(), 2);
        assert_eq!(list(next), "fd00::2, fd00::3");
    }
}
