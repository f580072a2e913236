//! The claims of a pod, by the index of pods. Its keys begin with the pod's cluster, and an operator who asks for
//! "namespace/name" means the pods of this name in every cluster: so the clusters are found out first.

use std::collections::BTreeSet;

use crate::Store;
use crate::error::StoreError;
use crate::keys::{Named, gaps_between};
use crate::map::MapView;
use crate::nearby::aligned;
use crate::ordered::Entry;
use crate::record::{Seen, address_in_value};
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
        let mut index = self.batch();
        let mut scans = Vec::new();
        for cluster in self.find_clusters(view).await? {
            scans.push(index.scan(self.keys.interfaces_of(&cluster, namespace, name), PAGE));
        }
        let mut indexed = index.read(view).await?;
        let mut batch = self.batch();
        let mut claims = Vec::new();
        for entry in scans.into_iter().flat_map(|scan| indexed.scan(scan).entries) {
            if let Some(Named::Pod { interface, network, .. }) = self.keys.named(&entry.key) {
                let container = String::from_utf8_lossy(&entry.value).into_owned();
                claims.push(batch.claim(&Attachment { network, container, interface }));
            }
        }
        let mut answers = batch.read(view).await?;
        Ok(claims.into_iter().filter_map(|claim| answers.entry(claim)).collect())
    }

    /// The clusters that have pods here.
    ///
    /// A glance at the whole index would tell the first of them, but etcd walks all keys of a range that it is asked about.
    /// So it is asked about what lies between the clusters that are likely, none of which has to be: as a rule there is
    /// nothing between them, and nothing to walk.
    async fn find_clusters(&self, view: &mut MapView) -> Result<BTreeSet<String>, StoreError> {
        let mut known = self.likely_clusters(view).await?;
        let between = gaps_between(self.keys.pods(), known.iter().map(|cluster| self.keys.pods_of(cluster)));
        let others = self.names_in(view, between, |key| {
            let cluster = self.keys.cluster_in(key)?;
            let all = self.keys.pods_of(&cluster);
            Some((cluster, all))
        });
        known.extend(others.await?);
        Ok(known)
    }

    /// The empty name, of pods whose cluster is not known, and the clusters of pods around the address that was claimed
    /// last: its own pod may be gone.
    async fn likely_clusters(&self, view: &mut MapView) -> Result<BTreeSet<String>, StoreError> {
        let mut batch = self.batch();
        let scan = batch.scan(self.keys.cursors(), PAGE);
        let cursors = batch.read(view).await?.scan(scan).entries;
        let mut around = self.batch();
        let mut windows = Vec::with_capacity(cursors.len());
        for cursor in cursors {
            if let Some(address) = address_in_value(&cursor.value) {
                windows.push(around.scan(self.keys.addresses_in(aligned(address, 8)), AROUND_CURSOR));
            }
        }
        let mut answers = around.read(view).await?;
        let mut likely = BTreeSet::from([String::new()]);
        for window in windows {
            for entry in answers.scan(window).entries {
                if let Ok(held) = Seen::<Allocation>::parse(&self.keys, entry) {
                    likely.extend(held.record.pod.and_then(|pod| pod.cluster));
                }
            }
        }
        Ok(likely)
    }
}
