//! Whether the store knows the containers that run on this node.

use super::super::CacheArgs;
use super::super::fsck::{Compared, compare};
use super::super::network::Opened;
use super::{Check, Verdict};
use cni::Fail;

/// Nothing where no runtime has used libcni. A container that the store does not know is one whose address may be given
/// to another; a claim without a container costs an address.
pub(super) async fn containers(opened: &Opened, cache: &CacheArgs) -> Option<Check> {
    let name = "containers";
    let containers = match cache.read() {
        Ok(containers) if !containers.is_known() => return None,
        Ok(containers) => containers,
        Err(error) => {
            let hint = Some("run it as root".to_owned());
            return Some(Check { name, verdict: Verdict::Warning, detail: error.message(), hint });
        }
    };
    let Compared { findings, living, unknown, .. } = match compare(opened, &containers).await {
        Ok(compared) => compared,
        Err(error) => return Some(Check { verdict: Verdict::Warning, ..Check::failed(name, &error) }),
    };
    let counted = match living {
        1 => "1 container in libcni's cache".to_owned(),
        count => format!("{count} containers in libcni's cache"),
    };
    if findings.is_empty() {
        return Some(Check::good(name, format!("{counted}, all in the store")));
    }
    let (verdict, detail) = match unknown {
        0 => (Verdict::Warning, format!("{counted}, all in the store; {} findings about others", findings.len())),
        count => (
            Verdict::Bad,
            format!("{counted}, the store does not know {count} of them: their addresses may be given out again"),
        ),
    };
    Some(Check { name, verdict, detail, hint: Some("`kube-ipam fsck --containers` shows them".to_owned()) })
}
