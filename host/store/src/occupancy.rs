//! How full the range sets are, in the operator's words: held, kept, free.

use jiff::Timestamp;
use serde::Serialize;

use super::Store;
use super::error::StoreError;
use super::reading::Reading;
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
    /// How full each range set is at one moment. What is held is counted, not listed; what is kept is read page by
    /// page, because a hold that is over looks like one that is not until its record is read.
    pub async fn occupancy(&self, range_sets: &RangeSets, now: Timestamp) -> Result<Vec<Occupancy>, StoreError> {
        let counted = self.at_one_moment(async |view| {
            let mut reading = Reading::new(view, self.keys.clone(), now);
            let held = reading.count_held(range_sets.iter()).await?;
            Ok((held, reading.scan_all(self.keys.holds(), false).await?))
        });
        let (held, kept) = counted.await?;
        let kept = kept.into_iter().filter_map(|entry| Seen::<Hold>::readable(&self.keys, entry));
        let kept: Vec<Hold> = kept.map(|seen| seen.record).filter(|kept| kept.is_standing(now)).collect();
        Ok(range_sets.iter().zip(held).map(|(set, held)| occupancy(set, held, &kept)).collect())
    }
}

fn occupancy(set: &RangeSet, held: u64, kept: &[Hold]) -> Occupancy {
    let offered = |kept: &&Hold| set.offered().any(|span| span.contains(kept.address));
    let kept = kept.iter().filter(offered).count() as u64;
    let free = set.size().saturating_sub(u128::from(held) + u128::from(kept));
    Occupancy { size: set.size(), held, kept, free }
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
