//! What fills ranges that have no address left: for the error of an ADD that found none.

use jiff::Timestamp;

use super::Store;
use super::error::StoreError;
use super::occupancy::Occupancy;
use super::ordered::KeyRange;
use super::record::{Hold, Seen};
use ipam::RangeSets;

/// How full one range set is, and when the first address of it that is on hold is free again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fullness {
    pub occupancy: Occupancy,
    /// Unknown where none is on hold, or where those of other ranges end before it.
    pub first_free: Option<Timestamp>,
}

impl Store {
    /// How full each range set is. The holds that end next are read in one page, and only where some address is on hold.
    pub async fn fullness(&self, range_sets: &RangeSets, now: Timestamp) -> Result<Vec<Fullness>, StoreError> {
        let occupancies = self.occupancy(range_sets, now).await?;
        let mut next_to_end = Vec::new();
        if occupancies.iter().any(|occupancy| occupancy.kept > 0) {
            next_to_end = self.next_to_end(now).await?;
        }
        let mut all = Vec::with_capacity(occupancies.len());
        for (occupancy, set) in occupancies.into_iter().zip(range_sets.iter()) {
            let is_of_set = |hold: &&Hold| set.offered().any(|span| span.contains(hold.address));
            let ends = next_to_end.iter().filter(|hold| hold.reservation.is_none());
            let first_free = ends.filter(is_of_set).map(|hold| hold.until).min();
            all.push(Fullness { occupancy, first_free });
        }
        Ok(all)
    }

    /// The first holds that stand now, in the order in which they end.
    async fn next_to_end(&self, now: Timestamp) -> Result<Vec<Hold>, StoreError> {
        let over = self.keys.expired(now);
        let standing = KeyRange { from: over.to, to: self.keys.expired(Timestamp::MAX).to };
        let mut batch = self.batch();
        let ticket = batch.scan(standing, limits::store::PAGE);
        let page = self.read_now(batch).await?.scan(ticket);
        let mut holds = Vec::with_capacity(page.entries.len());
        for entry in page.entries {
            let hold = Seen::<Hold>::readable(&self.keys, entry).map(|seen| seen.record);
            holds.extend(hold.filter(|hold| hold.is_standing(now)));
        }
        Ok(holds)
    }
}
