//! STATUS: whether an ADD could work. Runtimes poll this, so it takes limited time and changes nothing.

use jiff::Timestamp;

use super::load::load_whoever_decides;
use super::{Deadline, Error, Waited, elsewhere};
use crate::config::{Base, Network};
use engine::Policy;
use store::{Search, Store};

/// Succeeds if the policy loads and accepts its settings, the store can be reached, and the network has no addresses
/// elsewhere.
///
/// Whether the ranges have free addresses is not asked. Runtimes report a node as not ready where STATUS fails, and a range
/// that is full on etcd would do that to every node, although running pods, fixed addresses and returning pods are served.
/// The ADD that finds no address says so, and so do `doctor` and `usage`. Nor is anything else read that grows with the
/// number of addresses in use.
pub async fn status(base: &Base, network: &Network, store: &Store, deadline: &Deadline) -> Result<(), Error> {
    let not_ready = |cause| not_ready(base, cause);
    load_shortly(network, deadline).map_err(not_ready)?;
    store.ping().await.map_err(Error::from).map_err(not_ready)?;
    let (node, machine, range_sets) = (&base.node, &base.machine, &network.range_sets);
    let glance = Search::Glance { node, machine, range_sets, now: Timestamp::now() };
    elsewhere::search_earlier_stores(base, glance, deadline).await.map_err(not_ready)?;
    let registered = store.check_registration(&base.network, range_sets, glance).await;
    registered.map_err(Error::from).map_err(not_ready)?;
    warn_of_predecessor(base, store).await;
    Ok(())
}

/// Loads the policy, waiting for a compiler only as long as a runtime waits for an answer. A module that was never compiled is
/// compiled here, too: where STATUS fails, no ADD would come to do it. Its compiler goes on after that, and the next
/// STATUS says for how long, or finds the module ready.
fn load_shortly(network: &Network, deadline: &Deadline) -> Result<Policy, Error> {
    let shortly = Deadline::after(deadline.left().min(limits::STATUS_COMPILE));
    match load_whoever_decides(network, network.policy.limits, &shortly) {
        Err(Error::Late { waited, .. }) => Err(match &waited {
            Waited::Compiler { module, .. } | Waited::OtherCompiler { module, .. } => {
                Error::Compiling { module: module.clone(), waited }
            }
            _ => deadline.passed(waited),
        }),
        loaded => loaded,
    }
}

/// The error of STATUS where an ADD could not work.
pub(crate) fn not_ready(base: &Base, cause: Error) -> Error {
    Error::NotReady { network: base.network.clone(), cause: Box::new(cause) }
}

/// Warns of addresses that kube-ipam 0.x gave out and that are not imported: they would be given out again. This is no error,
/// because an ADD works all the same; so it does where etcd does not let us read those keys.
async fn warn_of_predecessor(base: &Base, store: &Store) {
    if store.has_predecessor_bookings(&base.network).await.unwrap_or_default() {
        tracing::warn!(
            "kube-ipam 0.x has given out addresses of this network that are not imported: \
             run kube-ipam import --from kube-ipam-v0"
        );
    }
}
