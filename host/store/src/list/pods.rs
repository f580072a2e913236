//! The claims of a pod, by the index of pods. An operator who asks for "namespace/name" means the pods of this name in every
//! cluster, and finds them under one digest.

use crate::Store;
use crate::error::StoreError;
use crate::keys::Named;
use crate::map::MapView;
use crate::ordered::Entry;
use ipam::Attachment;
use limits::store::PAGE;

impl Store {
    /// The claims that the index names for a pod: of each interface in each network and cluster, the newest. Two names may
    /// have one digest: whoever asks compares the pods.
    pub(super) async fn claims_of_pod(
        &self,
        view: &mut MapView,
        namespace: &str,
        name: &str,
    ) -> Result<Vec<Entry>, StoreError> {
        let mut index = self.batch();
        let scan = index.scan(self.keys.pods_named(namespace, name), PAGE);
        let indexed = index.read(view).await?.scan(scan);
        let mut batch = self.batch();
        let mut claims = Vec::new();
        for entry in indexed.entries {
            if let Some(Named::Pod { interface, network, .. }) = self.keys.named(&entry.key) {
                let container = String::from_utf8_lossy(&entry.value).into_owned();
                claims.push(batch.claim(&Attachment { network, container, interface }));
            }
        }
        let mut answers = batch.read(view).await?;
        Ok(claims.into_iter().filter_map(|claim| answers.entry(claim)).collect())
    }
}
