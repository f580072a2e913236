//! For whom addresses are kept, for how long, and which of them the pod gets again.

use std::net::IpAddr;

use kube_ipam_policy::annotations::Annotation;
use kube_ipam_policy::{Assignment, Draw, Family, Hold, Holder, Kind, Pod, Pool, Refusal, Request, Span, list, log};

use crate::keep::EXPECTED;
use crate::ordinal::{ORDINAL_BASE, STATEFUL_SET};
use crate::{Keep, Pods, Settings};

/// Whether the pod is sticky: `"true"` or `"false"`.
pub(crate) const STICKY: &str = "kube-ipam.sticky";
/// For how long, in place of the setting.
pub(crate) const STICKY_KEEP: &str = "kube-ipam.sticky-keep";

/// A pod with a name, and so with an identity.
pub(crate) struct Keeping<'a> {
    request: &'a Request,
    pod: &'a Pod,
    /// Absent when the pod is not sticky.
    keep: Option<Keep>,
}

impl<'a> Keeping<'a> {
    /// `None` for an attachment without a pod: nobody would come back, and what asks for it is refused.
    pub(crate) fn read(request: &'a Request, settings: &Settings) -> Result<Option<Self>, Refusal> {
        let Some(pod) = &request.pod else {
            for base in [STICKY, STICKY_KEEP, ORDINAL_BASE] {
                let annotation = Annotation::find(request, base);
                if let Some(annotation) = annotation.filter(|annotation| annotation.value() != "false") {
                    return Err(annotation.invalid("it is for a pod that comes back, and the runtime named no pod"));
                }
            }
            return Ok(None);
        };
        let sticky = is_sticky(request, pod, settings.pods)?;
        let keep = match Annotation::find(request, STICKY_KEEP) {
            None => settings.keep,
            Some(annotation) => {
                if !sticky {
                    log::warn(&format!("{annotation} has no effect: the pod is not sticky"));
                }
                let keep: Keep = annotation.value().parse().map_err(|_| annotation.invalid(EXPECTED))?;
                if keep > settings.most() {
                    let most = format!("expected at most {} (policy.settings.keepMost)", settings.most());
                    return Err(annotation.invalid(&most));
                }
                keep
            }
        };
        Ok(Some(Self { request, pod, keep: sticky.then_some(keep) }))
    }

    /// Give each draw the address that is the pod's already: what its older attachment holds, or else what is kept
    /// for it. All of it is one question: which range set an address is for, its place in the ranges says.
    pub(crate) fn find(&self, draws: &mut [Draw], pool: &dyn Pool) {
        if self.keep.is_none() || draws.is_empty() {
            return;
        }
        let kept = pool.held_for(&self.identity());
        for address in self.request.previous.iter().copied().chain(kept) {
            let Pod { namespace, name, .. } = self.pod;
            if let Some(why) = self.lost(address, draws, pool) {
                log::warn(&format!("{address} was kept for pod {namespace}/{name} but {why}: it gets another one"));
            } else if let Some(draw) = draws.iter_mut().find(|draw| draw.ring.contains(address)) {
                draw.kept.get_or_insert(address);
            }
        }
    }

    /// Keep the address after its release. An assignment by name carries the identity of any pod, for no time: what
    /// was kept for the pod before it opted out does not stand in its own way.
    pub(crate) fn mark(&self, assignment: &mut Assignment) {
        let by_name = (assignment.kind == Kind::Fixed).then_some(0);
        let seconds = self.keep.map(Keep::seconds).or(by_name);
        assignment.hold = seconds.map(|seconds| Hold { identity: self.identity(), seconds });
    }

    /// No part of it contains a slash. Without the range set: its index changes with the configuration.
    fn identity(&self) -> String {
        let Pod { namespace, name, .. } = self.pod;
        format!("{}/{namespace}/{name}/{}", self.request.network, self.request.interface_name)
    }

    /// Why the pod cannot have an address any more; of a family that is not drawn none is missed. Who holds it is
    /// asked only once a race was lost: before that the claim itself finds out, and the question would cost every
    /// return a read.
    fn lost(&self, address: IpAddr, draws: &[Draw], pool: &dyn Pool) -> Option<String> {
        let spans = draws.iter().flat_map(|draw| draw.ring.spans());
        let drawn: Vec<&Span> = spans.filter(|span| span.family() == Family::of(address)).collect();
        if drawn.is_empty() {
            return None;
        }
        if let Some(why) = self.request.range_sets.unusable(address) {
            return Some(why.to_string());
        }
        if !drawn.iter().any(|span| span.contains(address)) {
            return Some(format!("is not one of {}", list(drawn)));
        }
        if self.request.attempt == 0 || self.request.previous.contains(&address) {
            return None;
        }
        match pool.holder_of(address)? {
            Holder::Hold(identity) if identity == self.identity() => None,
            Holder::Hold(identity) => Some(format!("is kept for {identity} by now")),
            Holder::Attachment(held) => Some(match held.pod {
                Some((namespace, name)) => format!("is held by pod {namespace}/{name} by now"),
                None => format!("is held by container {} by now", held.container_id),
            }),
        }
    }
}

/// An annotation the site's rule does not look at is said to have no effect: a pod with a random name never comes
/// back, and what was kept for it would be missing elsewhere.
fn is_sticky(request: &Request, pod: &Pod, pods: Pods) -> Result<bool, Refusal> {
    let annotation = Annotation::find(request, STICKY);
    let asked = match annotation.as_ref().map(|annotation| (annotation, annotation.value())) {
        None => None,
        Some((_, "true")) => Some(true),
        Some((_, "false")) => return Ok(false),
        Some((annotation, _)) => return Err(annotation.invalid("expected \"true\" or \"false\"")),
    };
    let sticky = match (pods, &pod.owner) {
        (Pods::All, _) => true,
        (Pods::StatefulSet, Some(owner)) => owner.kind == STATEFUL_SET,
        (Pods::StatefulSet, None) | (Pods::Annotated, _) => asked == Some(true),
    };
    if let (Some(annotation), Some(owner), false) = (&annotation, &pod.owner, sticky) {
        log::warn(&format!(
            "{annotation} has no effect: the pod is one of {} {}, and policy.settings.pods is \"statefulset\"",
            owner.kind, owner.name
        ));
    }
    Ok(sticky)
}
