//! How full the range sets are, in the operator's words: held, kept (on hold), reserved, free.

use std::collections::BTreeSet;
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::Store;
use super::error::StoreError;
use super::map::MapView;
use super::pages::Pages;
use super::record::{Hold, Seen};
use ipam::RangeSets;

/// The addresses of one range set. `held + kept + reserved + free = size`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Occupancy {
    /// How many addresses the range set offers.
    pub size: u128,
    pub held: u64,
    /// Addresses on hold, for an identity or to cool down.
    pub kept: u64,
    /// Addresses that an operator has taken out of circulation.
    pub reserved: u64,
    /// Addresses that a pod that comes now could get.
    pub free: u128,
}

impl Occupancy {
    /// How much of it a pod that comes now cannot get, from 0 to 100. Only a range set without a free address is at
    /// 100.
    pub fn percent(&self) -> u8 {
        let taken = u128::from(self.held) + u128::from(self.kept) + u128::from(self.reserved);
        let percent = taken.saturating_mul(100).checked_div(self.size).unwrap_or(100);
        u8::try_from(percent.min(100)).unwrap_or(100)
    }
}

impl Store {
    /// How full each range set is at one moment. Allocations and holds are counted, not read; only holds that are over and
    /// wait to be replaced are, by the index of when holds end.
    pub async fn occupancy(&self, range_sets: &RangeSets, now: Timestamp) -> Result<Vec<Occupancy>, StoreError> {
        self.at_one_moment(async |mut view| {
            let mut batch = self.batch();
            let mut counted = Vec::with_capacity(range_sets.len());
            for set in range_sets.iter() {
                let mut spans = Vec::new();
                for span in set.offered() {
                    let reserved = batch.count(self.keys.reservations_in(span));
                    spans.push((span, batch.count_held(span), batch.count(self.keys.holds_in(span)), reserved));
                }
                counted.push((set, spans));
            }
            let mut answers = batch.read(&mut view).await?;
            let over = self.read_over(&mut view, now).await?;
            let mut occupancies = Vec::with_capacity(range_sets.len());
            for (set, spans) in counted {
                let (mut held, mut kept, mut reserved) = (0, 0_u64, 0);
                for (span, allocations, holds, reservations) in spans {
                    held += answers.count(allocations);
                    // The record of a hold that is over is counted, although it keeps the address from nobody.
                    let over = over.iter().filter(|address| span.contains(**address)).count() as u64;
                    let out_of_circulation = answers.count(reservations);
                    kept += answers.count(holds).saturating_sub(over + out_of_circulation);
                    reserved += out_of_circulation;
                }
                let free = set.size().saturating_sub(u128::from(held) + u128::from(kept) + u128::from(reserved));
                occupancies.push(Occupancy { size: set.size(), held, kept, reserved, free });
            }
            Ok(occupancies)
        })
        .await
    }

    /// The addresses whose hold is over, although its record is still there. There are few where pods come and go: each
    /// claim and each release removes some.
    async fn read_over(&self, view: &mut MapView, now: Timestamp) -> Result<BTreeSet<IpAddr>, StoreError> {
        // The index counts by whole seconds, and rounds up: what ends within this one is there under the next.
        let mut pages = Pages::of(self.keys.expired(now.checked_add(SignedDuration::from_secs(1)).unwrap_or(now)));
        // An address once, however many entries of the index it has.
        let mut over = BTreeSet::new();
        while let Some(page) = pages.next(view).await? {
            let mut batch = self.batch();
            let mut holds = Vec::with_capacity(page.len());
            for entry in page {
                if let Some(Seen { record: ended, .. }) = Seen::<Hold>::readable(&self.keys, entry) {
                    holds.push(batch.hold(ended.address));
                }
            }
            // The index may be stale: what keeps an address is the hold's own record.
            let mut answers = batch.read(view).await?;
            for ticket in holds {
                if let Some(Seen { record: hold, .. }) = answers.readable(ticket)
                    && !hold.is_standing(now)
                {
                    over.insert(hold.address);
                }
            }
        }
        Ok(over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_reaches_a_hundred_only_when_nothing_is_free() {
        let percent = |size, held, kept| Occupancy { size, held, kept, reserved: 0, free: 0 }.percent();
        assert_eq!(percent(253, 252, 0), 99);
        assert_eq!(percent(253, 250, 3), 100);
        assert_eq!(percent(u128::MAX, u64::MAX, 0), 0);
        assert_eq!(percent(1, 2, 0), 100, "addresses outside of what is offered now");
    }
}
