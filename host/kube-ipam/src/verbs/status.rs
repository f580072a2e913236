//! STATUS: could an ADD work? Silence when it could. Runtimes poll this: it is bounded and changes nothing.

use super::load::load_whoever_decides;
use super::{Deadline, Error, elsewhere};
use crate::config::{Base, Network};
use limits::{self, Limits};
use store::{Search, Store};

/// The policy loads and takes its settings, the store could be written, and no other books of the network are in the way.
///
/// Whether the ranges have room is not asked. Runtimes make "no" to a node that is not ready, and a range that is full on
/// etcd would make that of every node, although running pods, fixed addresses and returning pods are served: the ADD that
/// finds no address says so, and `doctor` and `usage` do. Nor is anything else read that grows with what is held.
pub async fn status(base: &Base, network: &Network, store: &Store, deadline: &Deadline) -> Result<(), Error> {
    let not_ready = |cause| not_ready(base, cause);
    load_whoever_decides(network, hurried(network.policy.limits), deadline).map_err(not_ready)?;
    store.ping().await.map_err(Error::from).map_err(not_ready)?;
    elsewhere::refuse_earlier_stores(base, deadline).await.map_err(not_ready)?;
    let glance = Search::Glance { node: &base.node, machine: &base.machine, range_sets: &network.range_sets };
    let registered = store.check_registration(&base.network, &network.range_sets, glance).await;
    registered.map_err(Error::from).map_err(not_ready)?;
    warn_of_predecessor(base, store).await;
    Ok(())
}

/// A module that nobody compiled yet is compiled here, too: where STATUS fails, no ADD would come to do it. One that takes
/// its time is for `kube-ipam policy install`.
fn hurried(limits: Limits) -> Limits {
    Limits { compile_seconds: limits.compile_seconds.min(limits::STATUS_COMPILE), ..limits }
}

/// What STATUS answers where an ADD could not work.
pub(crate) fn not_ready(base: &Base, cause: Error) -> Error {
    Error::NotReady { network: base.network.clone(), cause: Box::new(cause) }
}

/// Addresses that kube-ipam 0.x gave out and nobody imported would be given out again. An ADD could work all the same,
/// and so it could where etcd does not let us read those keys.
async fn warn_of_predecessor(base: &Base, store: &Store) {
    if store.has_predecessor_bookings(&base.network).await.unwrap_or_default() {
        tracing::warn!(
            "kube-ipam 0.x has given out addresses of this network that are not imported: \
             run kube-ipam import --from kube-ipam-v0"
        );
    }
}
