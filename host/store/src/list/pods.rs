//! The claims of a pod, by the index of pods. Its keys begin with the pod's cluster, and whoever asks for
//! "namespace/name" means the pods of this name in every cluster: so the clusters are found out first.

use std::collections::BTreeSet;

use crate::Store;
use crate::error::StoreError;
use crate::keys::{Named, gaps_between};
use crate::map::MapView;
use crate::nearby::aligned;
use crate::ordered::{Entry, Page, Read, View};
use crate::record::Seen;
use ipam::{Allocation, Attachment};
use limits::store::PAGE;

/// So many records tell which clusters are likely.
const AROUND_CURSOR: usize = 16;

impl Store {
    /// The claims that the index names for a pod: of each interface in each network and cluster, the newest.
    pub(super) async fn claims_of_pod(
        &self,
        view: &mut MapView,
        namespace: &str,
        name: &str,
    ) -> Result<Vec<Entry>, StoreError> {
        let mut reads = Vec::new();
        for cluster in self.clusters(view).await? {
            reads.push(Read::scan(self.keys.interfaces_of(&cluster, namespace, name), PAGE));
        }
        let mut claims = Vec::new();
        for entry in view.read(&reads).await?.into_iter().flat_map(|page| page.entries) {
            if let Some(Named::Pod { interface, network, .. }) = self.keys.named(&entry.key) {
                let container = String::from_utf8_lossy(&entry.value).into_owned();
                claims.push(Read::Get(self.keys.attachment(&Attachment { network, container, interface })));
            }
        }
        if claims.is_empty() {
            return Ok(Vec::new());
        }
        Ok(view.read(&claims).await?.into_iter().filter_map(Page::into_entry).collect())
    }

    /// The clusters that have pods here.
    ///
    /// A glance at the whole index would tell the first of them, but etcd walks all keys of a range that it is asked about.
    /// So it is asked about what lies between the clusters that are likely, none of which has to be: as a rule there is
    /// nothing between them, and nothing to walk.
    async fn clusters(&self, view: &mut MapView) -> Result<BTreeSet<String>, StoreError> {
        let mut known = self.likely_clusters(view).await?;
        loop {
            let between = gaps_between(self.keys.pods(), known.iter().map(|cluster| self.keys.pods_of(cluster)));
            let reads: Vec<Read> = between.into_iter().map(|range| Read::keys(range, 1)).collect();
            let count = known.len();
            for entry in view.read(&reads).await?.into_iter().flat_map(|page| page.entries) {
                known.extend(self.keys.cluster_in(&entry.key));
            }
            // Either nobody else is there, or a key that is none of ours: it leads nowhere.
            if known.len() == count {
                return Ok(known);
            }
        }
    }

    /// No cluster, and those of pods around the address that was claimed last: its own pod may be gone.
    async fn likely_clusters(&self, view: &mut MapView) -> Result<BTreeSet<String>, StoreError> {
        let mut likely = BTreeSet::from([String::new()]);
        let mut reads = Vec::new();
        let cursors = view.read(&[Read::scan(self.keys.cursors(), PAGE)]).await?;
        for entry in cursors.into_iter().flat_map(|page| page.entries) {
            let address = std::str::from_utf8(&entry.value).ok().and_then(|text| text.parse().ok());
            reads.extend(address.map(|address| Read::scan(self.keys.addresses_in(aligned(address, 8)), AROUND_CURSOR)));
        }
        if !reads.is_empty() {
            for entry in view.read(&reads).await?.into_iter().flat_map(|page| page.entries) {
                let held = Seen::<Allocation>::parse(&self.keys, entry).ok();
                likely.extend(held.and_then(|held| held.record.pod?.cluster));
            }
        }
        Ok(likely)
    }
}
