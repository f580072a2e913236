//! Addresses that the network's pods hold outside today's ranges: the configuration was changed while they ran.

use super::{Check, Verdict};
use crate::cli::list;
use crate::cli::network::Opened;
use crate::verbs;
use ipam::{Allocation, RangeSets};
use store::AllocationFilter;

/// Nothing where all of them are inside. They are held as well as any other, but no ADD gives one out again, and they do
/// not count as part of a range.
pub(super) async fn outside(opened: &Opened, range_sets: &RangeSets) -> Option<Check> {
    let name = "ranges";
    let (count, example) = match count_outside(opened, range_sets).await {
        Ok(found) => found?,
        Err(error) => return Some(Check { verdict: Verdict::Warning, ..Check::failed(name, &error) }),
    };
    let whose = match &example.pod {
        Some(pod) => format!("pod {pod}"),
        None => format!("container {}", example.attachment.container),
    };
    let counted = match count {
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

/// How many there are, and the first of them. Read is only what lies outside of the subnets, where as a rule nothing does.
async fn count_outside(opened: &Opened, range_sets: &RangeSets) -> Result<Option<(usize, Allocation)>, verbs::Error> {
    let filter = AllocationFilter { network: Some(opened.base.network.clone()), ..AllocationFilter::default() };
    let mut pages = opened.store.search_spans(&filter, &range_sets.outside());
    let (mut count, mut example) = (0, None);
    while let Some(held) = list::next_page(&mut pages).await? {
        count += held.len();
        example = example.or(held.into_iter().next());
    }
    Ok(example.map(|example| (count, example)))
}
