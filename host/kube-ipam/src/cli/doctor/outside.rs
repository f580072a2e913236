//! Addresses that the network's pods hold outside today's ranges: the configuration was changed while they ran.

use super::{Check, Verdict};
use crate::cli::list;
use crate::cli::network::Opened;
use ipam::{Allocation, RangeSets};
use store::Filter;

/// Nothing where all of them are inside. They are held as well as any other, but no ADD gives one out again, and they do
/// not count as part of a range.
pub(super) async fn outside(opened: &Opened, range_sets: &RangeSets) -> Option<Check> {
    let name = "ranges";
    let filter = Filter { network: Some(opened.base.network.clone()), ..Filter::default() };
    let held = match list::all_of(&opened.store, &filter).await {
        Ok(held) => held,
        Err(error) => return Some(Check { verdict: Verdict::Warning, ..Check::failed(name, &error) }),
    };
    let outside: Vec<&Allocation> = held.iter().filter(|held| !range_sets.is_inside(held.address)).collect();
    let example = outside.first()?;
    let whose = match &example.pod {
        Some(pod) => format!("pod {pod}"),
        None => format!("container {}", example.attachment.container),
    };
    let counted = match outside.len() {
        1 => "1 address is".to_owned(),
        count => format!("{count} addresses are"),
    };
    Some(Check {
        name,
        verdict: Verdict::Warning,
        detail: format!(
            "{counted} held outside the subnets of the network (for example {} by {whose})",
            example.address
        ),
        hint: Some(
            "they stay with their pods until those are deleted; where the subnet was not meant to change, put it back"
                .to_owned(),
        ),
    })
}
