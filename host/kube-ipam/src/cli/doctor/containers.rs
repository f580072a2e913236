//! Whether the store knows the containers that run on this node.

use super::check::{Check, Verdict};
use crate::cli::cache::CacheArgs;
use crate::cli::fsck::{Compared, compare};
use crate::cli::network::Opened;
use crate::cli::output::counted;
use cni::Fail;

/// A container that the store does not know is bad: its address may be given to another. A claim without a container only
/// costs an address. No check where no runtime has used libcni.
pub(super) async fn containers(opened: &Opened, cache: &CacheArgs) -> Option<Check> {
    let name = "containers";
    let containers = match cache.read() {
        Ok(containers) => containers,
        Err(error) => {
            let hint = Some("run it as root".to_owned());
            return Some(Check { name, verdict: Verdict::Warning, detail: error.message(), hint });
        }
    };
    if !containers.is_known() {
        return None;
    }
    let Compared { findings, living, unknown, .. } = match compare(opened, &containers).await {
        Ok(compared) => compared,
        Err(error) => return Some(Check { verdict: Verdict::Warning, ..Check::failed(name, &error) }),
    };
    let cached = format!("{} in libcni's cache", counted(living, "container"));
    if findings.is_empty() {
        return Some(Check::good(name, format!("{cached}, all in the store")));
    }
    let (verdict, detail) = if unknown == 0 {
        let others = counted(findings.len(), "finding");
        (Verdict::Warning, format!("{cached}, all in the store; {others} about others"))
    } else {
        let risk = "their addresses may be given out again";
        (Verdict::Bad, format!("{cached}, the store does not know {unknown} of them: {risk}"))
    };
    Some(Check { name, verdict, detail, hint: Some(format!("`{}` shows them", opened.command("fsck --containers"))) })
}
