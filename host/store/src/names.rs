//! The names that keys begin with, found without reading what lies behind them: clusters in the index of pods, domains in a
//! map.
//!
//! ```text
//!   gap   ├ a/… a/… a/… ┼ %zz/x ┼ b/… b/… ┤
//!          ▲ first key: a
//!                        ▲ behind all of a: not ours, so only this key is passed over
//!                                ▲ b
//! ```

use std::collections::BTreeSet;

use super::Store;
use super::error::StoreError;
use super::map::MapView;
use super::ordered::KeyRange;
use super::pages::key_after;
use limits::store::PAGE;

impl Store {
    /// Every name in these gaps. `named` tells the name of a key, with the range of all keys of that name. One short read of
    /// each gap for each name, however many keys have it.
    pub(crate) async fn names_in(
        &self,
        view: &mut MapView,
        mut gaps: Vec<KeyRange>,
        named: impl Fn(&str) -> Option<(String, KeyRange)>,
    ) -> Result<BTreeSet<String>, StoreError> {
        let mut names = BTreeSet::new();
        let mut limit = 1;
        while !gaps.is_empty() {
            let mut batch = self.batch();
            let scans: Vec<_> = gaps.iter().map(|gap| batch.first_keys(gap.clone(), limit)).collect();
            let mut answers = batch.read(view).await?;
            let mut rest = Vec::new();
            for (gap, scan) in gaps.into_iter().zip(scans) {
                let mut from = None;
                for entry in answers.scan(scan).entries {
                    if let Some((name, all)) = named(&entry.key) {
                        names.insert(name);
                        from = Some(all.to);
                        continue;
                    }
                    // Where one key is not ours there may be thousands: they are not passed over one at a time.
                    limit = (limit * 2).min(PAGE);
                    from = Some(key_after(&entry.key));
                }
                // A gap without a key has nothing to go on behind.
                if let Some(from) = from
                    && from < gap.to
                {
                    rest.push(KeyRange { from, to: gap.to });
                }
            }
            gaps = rest;
        }
        Ok(names)
    }
}
