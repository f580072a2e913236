//! What the plugin and the commands run on: the store of a network, and the one thread of a process.

use std::mem::ManuallyDrop;

use crate::config::{self, Base};
use crate::verbs::{Deadline, Error};
use cni::NetConf;
use store::Store;

/// The store of a network. Without a deadline it waits for a turn to write as long as it takes, which is for commands.
pub(crate) fn open(base: &Base, netconf: &NetConf, deadline: Option<Deadline>) -> Store {
    // A cool-down that cannot be read must not keep a DEL from releasing. An ADD reports it.
    let cooldown = config::network::cooldown(netconf).unwrap_or_default();
    let store = Store::configured(&base.store, &base.domain, deadline.map(|deadline| deadline.at()));
    store.with_cooldown(cooldown).with_registry(base.domain_given)
}

/// Runs the one task of this process on its one thread. The process ends soon after, so the event loop is not dropped.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::Defect { message: format!("no event loop: {error}") })?;
    ManuallyDrop::new(runtime).block_on(work)
}
