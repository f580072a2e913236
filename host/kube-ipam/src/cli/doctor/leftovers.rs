//! Claims of this node that are older than the machine's boot: their containers are gone, and nobody released them.

use jiff::Timestamp;

use super::check::{Check, Verdict};
use crate::cli::network::Opened;
use crate::config::Base;
use crate::containers;
use limits::JUDGED_BY_BOOT;

/// No check where there are none, or where the node does not say when it booted.
pub(super) async fn leftovers(opened: &Opened) -> Option<Check> {
    let booted = containers::booted().and_then(|booted| Timestamp::try_from(booted).ok())?;
    let Base { node, machine, network, .. } = &opened.base;
    match opened.store.count_older(node, machine, network, booted, JUDGED_BY_BOOT).await {
        Ok((0, _)) => None,
        Ok((count, is_least)) => {
            let least = if is_least { "at least " } else { "" };
            Some(Check::warning(
                "leftovers",
                format!("{least}{count} claims of this node are older than its boot at {booted:.0}: their containers are gone"),
                Some(
                    "`kube-ipam fsck --containers --network NETWORK` shows them, each with the command that releases it; the \
                     runtime's GC releases all of them, `kube-ipam reclaim --network NETWORK` those of deleted pods"
                        .to_owned(),
                ),
            ))
        }
        Err(error) => Some(Check { verdict: Verdict::Warning, ..Check::failed("leftovers", &error.into()) }),
    }
}
