//! What the plugin and the commands run on: the store of a network, and the one thread of a process.

use std::cell::OnceCell;

use tokio::runtime::{Builder, Runtime};

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

thread_local! {
    /// A connection belongs to the loop that it was opened on: a command that reads, asks and then writes comes back to the
    /// same one. The process ends soon after, so it is never dropped.
    static EVENT_LOOP: OnceCell<&'static Runtime> = const { OnceCell::new() };
}

/// Runs one task after the other on the one thread of this process. A task fails with an error of its own kind.
pub(crate) fn block_on<T, E: From<Error>>(work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    event_loop()?.block_on(work)
}

fn event_loop() -> Result<&'static Runtime, Error> {
    EVENT_LOOP.with(|known| {
        if let Some(known) = known.get() {
            return Ok(*known);
        }
        let new = Builder::new_current_thread().enable_all().build();
        let new = new.map_err(|error| Error::Defect { message: format!("no event loop: {error}") })?;
        Ok(*known.get_or_init(|| Box::leak(Box::new(new))))
    })
}
