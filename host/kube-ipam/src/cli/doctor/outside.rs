//! Addresses of the network's pods outside its subnets: the configuration was changed while the pods ran.

use super::check::{Check, Verdict};
use crate::cli::list;
use crate::cli::network::Opened;
use crate::verbs;
use ipam::{Allocation, RangeSets};
use store::AllocationFilter;

/// Such addresses are held like any other, but no ADD gives one out again, and `usage` does not count them. No check where
/// there are none.
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

/// How many there are, and the first of them. Only what lies outside the subnets is read, where as a rule there is nothing.
async fn count_outside(opened: &Opened, range_sets: &RangeSets) -> Result<Option<(usize, Allocation)>, verbs::Error> {
    let filter = AllocationFilter { network: Some(opened.base.network.clone()), ..AllocationFilter::default() };
    list::count_rest(opened.store.search_spans(&filter, &range_sets.outside())).await
}
