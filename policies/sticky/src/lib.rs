//! A pod's address stays its own while the pod is away: a StatefulSet's pod finds it again after a delete, a reschedule
//! or a scale down and up. And where the site says so, pod `NAME-n` gets the n-th address from a base on.
//!
//! What a pod names itself, and where other addresses come from, is as under `range-fixed`. The memory is the host's:
//! an assignment says for whom its address is kept after the release, and the next request asks what that is.

use kube_ipam_policy::annotations::{GATEWAY, IP, IP_POOL, NETMASK};
use kube_ipam_policy::{Description, Draw, Policy, Pool, Proposal, Refusal, Request, Wish};

mod keep;
mod keeping;
mod ordinal;
mod settings;

pub use keep::Keep;
use keeping::Keeping;
pub use settings::{Bases, Pods, Settings, StatefulSet};

#[derive(Debug)]
pub struct Sticky;

impl Policy for Sticky {
    type Settings = Settings;

    fn describe() -> Description {
        Description {
            name: "sticky",
            version: env!("CARGO_PKG_VERSION"),
            summary: "A StatefulSet's pod keeps its address while it is away, and can have the n-th one after a base",
            settings_schema: include_str!("../settings.schema.json"),
        }
    }

    fn annotations() -> &'static [&'static str] {
        &[IP, IP_POOL, NETMASK, GATEWAY, keeping::STICKY, keeping::STICKY_KEEP, ordinal::ORDINAL_BASE]
    }

    fn allocate(request: &Request, settings: &Settings, pool: &dyn Pool) -> Result<Vec<Proposal>, Refusal> {
        let keeping = Keeping::read(request, settings)?;
        let wish = match ordinal::wish(request, settings)? {
            Some(nth) => nth,
            None => Wish::read(request)?,
        };
        let mut draws = Draw::of_wish(&wish, settings.strategy)?;
        if let Some(keeping) = &keeping {
            keeping.find(&mut draws, pool);
        }
        let mut proposals = kube_ipam_policy::propose(&wish, &draws, settings.proposals, pool)?;
        if let Some(keeping) = &keeping {
            for assignment in proposals.iter_mut().flatten() {
                keeping.mark(assignment);
            }
        }
        Ok(proposals)
    }
}

kube_ipam_policy::export!(Sticky);
