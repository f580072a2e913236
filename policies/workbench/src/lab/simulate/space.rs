//! The addresses that a range set offers, numbered: they have places 0, 1, 2…, whatever lies between them.

use std::net::IpAddr;

use ipam::address::number;
use ipam::{Family, RangeSet, Span};

/// The addresses that a range set offers.
pub(in crate::lab) struct Space {
    family: Family,
    spans: Vec<Span>,
}

impl Space {
    pub(in crate::lab) fn of(set: &RangeSet) -> Self {
        Self { family: set.family(), spans: set.offered().collect() }
    }

    pub(in crate::lab) fn size(&self) -> u128 {
        self.spans.iter().map(Span::size).fold(0, u128::saturating_add)
    }

    /// The place of an address, if the range set offers it.
    pub(in crate::lab) fn place(&self, address: IpAddr) -> Option<u128> {
        let mut before = 0;
        for span in &self.spans {
            if span.contains(address) {
                return Some(before + (number(address) - number(span.first())));
            }
            before += span.size();
        }
        None
    }

    /// The address of a place; the last one beyond the end.
    pub(in crate::lab) fn address(&self, mut place: u128) -> IpAddr {
        for span in &self.spans {
            if place < span.size() {
                return self.family.address(number(span.first()) + place);
            }
            place -= span.size();
        }
        self.spans.last().map_or(self.family.address(0), Span::last)
    }

    /// The first place and the length of each stretch of neighbouring addresses.
    pub(in crate::lab) fn stretches(&self) -> Vec<(u128, u128)> {
        let mut stretches = Vec::new();
        let mut first = 0;
        for span in &self.spans {
            stretches.push((first, span.size()));
            first += span.size();
        }
        stretches
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipam::{RangeSets, RangeSpec};

    #[test]
    fn places_leave_out_what_is_not_offered() {
        let spec = RangeSpec::of_subnet("10.0.0.0/28".parse().unwrap());
        let sets = RangeSets::new(vec![vec![spec]], &["10.0.0.4/30".parse().unwrap()]).unwrap();
        let space = Space::of(sets.get(0).unwrap());
        assert_eq!(space.stretches(), [(0, 2), (2, 7)]);
        for (place, address) in [(0, "10.0.0.2"), (1, "10.0.0.3"), (2, "10.0.0.8"), (8, "10.0.0.14")] {
            assert_eq!(space.place(address.parse().unwrap()), Some(place));
            assert_eq!(space.address(place).to_string(), address);
        }
        assert_eq!(space.place("10.0.0.5".parse().unwrap()), None);
    }
}
