//! Everything at one moment, also where etcd forgets moments.
//!
//! What is longer than a page is read in several answers at one revision, and etcd drops old revisions when it is
//! compacted. What was read by then is of no use without the rest: only reading from the beginning, at a newer revision,
//! tells how all records were at one moment. Reading takes seconds and compaction comes every few minutes, so the second
//! reading comes to its end.

use super::Store;
use super::error::StoreError;
use super::map::MapView;
use super::ordered::OrderedMap;
use limits::store::READ_AGAIN;

impl Store {
    /// Read at one moment; from the beginning, at a newer moment, where the former is forgotten before all is read.
    pub(super) async fn at_one_moment<T>(
        &self,
        read: impl AsyncFn(MapView) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut left = READ_AGAIN;
        loop {
            match read(self.map.view().await?).await {
                Err(StoreError::Compacted) if left > 0 => left -= 1,
                outcome => return outcome,
            }
            // What was read by now is thrown away: half of one moment and half of another is of none.
            tracing::warn!("etcd compacted its history while it was being read; reading again from the beginning");
        }
    }
}
