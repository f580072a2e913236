//! How full the range sets are, in the operator's words: held, kept, free.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::Store;
use super::error::StoreError;
use super::map::MapView;
use super::ordered::{Read, View};
use super::pages::Pages;
use super::record::{Hold, Seen};
use ipam::{RangeSet, RangeSets};

/// The addresses of one range set. `held + kept + free = size`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Occupancy {
    /// What the range set offers.
    pub size: u128,
    /// Held by attachments.
    pub held: u64,
    /// Held by nobody, but kept for somebody or cooling down.
    pub kept: u64,
    /// What a pod that comes now could get.
    pub free: u128,
}

impl Occupancy {
    /// How much of it a pod that comes now cannot get, from 0 to 100. Only a range set without a free address is at
    /// 100.
    pub fn percent(&self) -> u8 {
        let taken = u128::from(self.held) + u128::from(self.kept);
        let percent = taken.saturating_mul(100).checked_div(self.size).unwrap_or(100);
        u8::try_from(percent.min(100)).unwrap_or(100)
    }
}

impl Store {
    /// How full each range set is at one moment. What is held and kept is counted, not read; only what is over and waits
    /// to be replaced is, by the index of when holds end.
    pub async fn occupancy(&self, range_sets: &RangeSets, now: Timestamp) -> Result<Vec<Occupancy>, StoreError> {
        let mut reads = Vec::new();
        for span in range_sets.iter().flat_map(RangeSet::offered) {
            reads.extend([Read::Count(self.keys.addresses_in(span)), Read::Count(self.keys.holds_in(span))]);
        }
        self.at_one_moment(async |mut view| {
            let mut counts = view.read(&reads).await?.into_iter().map(|page| page.count);
            let over = self.over(&mut view, now).await?;
            let mut occupancies = Vec::with_capacity(range_sets.len());
            for set in range_sets.iter() {
                let (mut held, mut kept) = (0, 0_u64);
                for span in set.offered() {
                    held += counts.next().unwrap_or_default();
                    let over = over.iter().filter(|address| span.contains(**address)).count() as u64;
                    kept += counts.next().unwrap_or_default().saturating_sub(over);
                }
                let free = set.size().saturating_sub(u128::from(held) + u128::from(kept));
                occupancies.push(Occupancy { size: set.size(), held, kept, free });
            }
            Ok(occupancies)
        })
        .await
    }

    /// The addresses whose hold is over, although its record is still there. There are few where pods come and go: each
    /// claim and each release removes some.
    async fn over(&self, view: &mut MapView, now: Timestamp) -> Result<Vec<IpAddr>, StoreError> {
        // The index counts by whole seconds, and rounds up: what ends within this one is there under the next.
        let mut pages = Pages::of(self.keys.expired(now.checked_add(SignedDuration::from_secs(1)).unwrap_or(now)));
        let mut over = Vec::new();
        while let Some(page) = pages.next(view).await? {
            let records = page.into_iter().filter_map(|entry| Seen::<Hold>::readable(&self.keys, entry));
            over.extend(records.filter(|seen| !seen.record.is_standing(now)).map(|seen| seen.record.address));
        }
        Ok(over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_reaches_a_hundred_only_when_nothing_is_free() {
        let percent = |size, held, kept| Occupancy { size, held, kept, free: 0 }.percent();
        assert_eq!(percent(253, 252, 0), 99);
        assert_eq!(percent(253, 250, 3), 100);
        assert_eq!(percent(u128::MAX, u64::MAX, 0), 0);
        assert_eq!(percent(1, 2, 0), 100, "addresses outside of what is offered now");
    }
}
