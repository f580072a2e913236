//! Two ADDs, a DEL and a GC in a range with room for fewer than ask; and a container that takes the place of another.

use std::rc::Rc;

use super::{Cast, Scenario, offer, play, ranges, site};
use crate::scene::{PodRequest, PodSpec, Site, pause};
use crate::sim::{Fault, with};

/// Another interface of a container, whose DEL was lost.
const FORGOTTEN: &str = "c1@eth1";

struct Churn {
    site: Site,
    containers: [PodRequest; 4],
}

/// c0 is deleted and an interface of c1 was forgotten, while c1 and c2 ask for the one address that is free and the two that become so.
pub(super) fn scenario() -> Scenario {
    let site = site(ranges(2, 4));
    let containers = ["c0", FORGOTTEN, "c1", "c2"].map(|container| site.asking(container, None));
    let cast = Cast::new(Churn { site, containers });
    Scenario {
        name: "churn",
        what: "ADD, ADD, DEL and GC in a range with room for fewer",
        possible: Fault::OF_STORE.to_vec(),
        begin: cast.piece(|cast: Rc<Churn>| async move {
            offer(2, 4);
            cast.site.add(&cast.containers[0]).await;
            cast.site.add(&cast.containers[1]).await;
            with(|state| state.judge.ends(FORGOTTEN));
        }),
        processes: cast.processes(vec![
            play(|cast: Rc<Churn>| async move { live(&cast.site, &cast.containers[2]).await }),
            play(|cast: Rc<Churn>| async move { live(&cast.site, &cast.containers[3]).await }),
            play(|cast: Rc<Churn>| async move { cast.site.del_until_done("c0").await }),
            play(|cast: Rc<Churn>| async move {
                pause().await;
                cast.site.gc(&["c0", FORGOTTEN, "c1", "c2"]).await;
            }),
        ]),
        end: cast.piece(|cast: Rc<Churn>| async move {
            let all: Vec<&PodRequest> = cast.containers.iter().collect();
            cast.site.judge_end(&all).await;
            cast.site.judge_emptiness(&all).await;
        }),
    }
}

/// ADD, until it is given up: then its DEL.
pub(super) async fn live(site: &Site, asking: &PodRequest) {
    if site.add(asking).await.is_none() {
        pause().await;
        site.del_until_done(&asking.container).await;
    }
}

/// A pod's second container asks while the DEL of the first is late, and the runtime repeats an ADD of its own.
pub(super) fn restart() -> Scenario {
    let site = site(ranges(2, 4));
    let pod = PodSpec { name: "web-0", uid: Some("00000000-0000-4000-8000-000000000001"), ..PodSpec::default() };
    let containers = [
        site.asking("c1", Some(pod.clone())),
        site.asking("c2", Some(pod)),
        site.asking("c3", None),
        site.asking("c4", None),
    ];
    let cast = Cast::new(Churn { site, containers });
    Scenario {
        name: "restart",
        what: "a pod's next container, the late DEL of the former, an ADD twice at once",
        possible: Fault::OF_STORE.to_vec(),
        begin: cast.piece(|cast: Rc<Churn>| async move {
            offer(2, 4);
            cast.site.add(&cast.containers[0]).await;
            with(|state| state.judge.ends("c1"));
        }),
        processes: cast.processes(vec![
            play(|cast: Rc<Churn>| async move { live(&cast.site, &cast.containers[1]).await }),
            play(|cast: Rc<Churn>| async move { cast.site.del_until_done("c1").await }),
            play(|cast: Rc<Churn>| async move {
                cast.site.add(&cast.containers[2]).await;
            }),
            play(|cast: Rc<Churn>| async move {
                // A runtime that has given up waiting for the first.
                cast.site.add(&cast.containers[2]).await;
                pause().await;
                cast.site.add(&cast.containers[3]).await;
            }),
        ]),
        end: cast.piece(|cast: Rc<Churn>| async move {
            let all: Vec<&PodRequest> = cast.containers.iter().collect();
            cast.site.judge_end(&all).await;
            cast.site.judge_emptiness(&all).await;
        }),
    }
}
