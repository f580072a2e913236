//! A range that is exhausted after a reboot: what its containers held before nobody has released yet, and the error says so.

use jiff::Timestamp;

use crate::config::Base;
use crate::containers;
use crate::verbs::{Deadline, Error, Waited};
use ipam::Refusal;
use limits::JUDGED_BY_BOOT;
use store::Store;

/// Claims of this node that are older than the machine's boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OlderThanBoot {
    /// How many there are.
    pub count: usize,
    /// Whether there are claims that nobody looked at.
    pub is_least: bool,
    /// When the machine was started.
    pub booted: Timestamp,
}

/// The error of an ADD, with what there is to say of a reboot. Asked of the store only where an ADD has failed already, and
/// whatever goes wrong with that leaves the error as it was.
pub(super) async fn explain(error: Error, base: &Base, store: &Store, deadline: &Deadline) -> Error {
    let Error::Refused { refusal: refusal @ Refusal::Exhausted(_) } = error else { return error };
    match deadline.bound(Waited::Store, older_than_boot(base, store)).await {
        Ok(Some(older)) => Error::Exhausted { refusal, older },
        Ok(None) => Error::Refused { refusal },
        Err(error) => {
            tracing::debug!(%error, "cannot tell how many claims are older than the boot");
            Error::Refused { refusal }
        }
    }
}

async fn older_than_boot(base: &Base, store: &Store) -> Result<Option<OlderThanBoot>, Error> {
    let Some(booted) = containers::booted().and_then(|booted| Timestamp::try_from(booted).ok()) else {
        return Ok(None);
    };
    let Base { node, machine, network, .. } = base;
    let (count, is_least) = store.count_older(node, machine, network, booted, JUDGED_BY_BOOT).await?;
    Ok((count > 0).then_some(OlderThanBoot { count, is_least, booted }))
}
