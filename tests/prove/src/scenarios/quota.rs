//! Three pods of a namespace that may have two addresses.

use std::rc::Rc;

use serde_json::json;

use super::{Cast, Scenario, offer, play, ranges};
use crate::scene::{PodRequest, PodSpec, Site};
use crate::sim::{Fault, broken, with};
use ipam::Refusal;
use kube_ipam::verbs::Error;

struct Quota {
    site: Site,
    containers: [PodRequest; 3],
}

fn may_refuse(error: &Error) -> bool {
    matches!(error, Error::Refused { refusal: Refusal::Denied(_) })
}

pub(super) fn scenario() -> Scenario {
    let mut ipam = ranges(2, 7);
    ipam["policy"] = json!({"settings": {"namespaces": {"shop": 2}}});
    let site = Site::new("blue", "node-1", ipam, Some("quota")).that_may_refuse(may_refuse);
    let names = [("c1", "web-1"), ("c2", "web-2"), ("c3", "web-3")];
    let containers =
        names.map(|(container, name)| site.asking(container, Some(PodSpec { name, ..PodSpec::default() })));
    let cast = Cast::new(Quota { site, containers });
    Scenario {
        name: "quota",
        what: "three ADDs under a quota of two",
        possible: Fault::OF_STORE.to_vec(),
        begin: cast.piece(|_: Rc<Quota>| async move {
            offer(2, 7);
            with(|state| state.judge.most = Some(2));
        }),
        processes: cast.processes(vec![
            play(|cast: Rc<Quota>| async move { super::churn::live(&cast.site, &cast.containers[0]).await }),
            play(|cast: Rc<Quota>| async move { super::churn::live(&cast.site, &cast.containers[1]).await }),
            play(|cast: Rc<Quota>| async move { super::churn::live(&cast.site, &cast.containers[2]).await }),
        ]),
        end: cast.piece(|cast: Rc<Quota>| async move {
            let all: Vec<&PodRequest> = cast.containers.iter().collect();
            let (living, is_disturbed) = with(|state| (state.judge.living.len(), !state.disturbed.is_empty()));
            if !is_disturbed && living != 2 {
                broken(|| format!("{living} of three pods have an address, and the quota is two"));
            }
            cast.site.judge_end(&all).await;
            cast.site.judge_emptiness(&all).await;
        }),
    }
}
