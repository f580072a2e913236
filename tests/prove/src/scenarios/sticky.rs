//! A pod that is away finds its address again, until its time is over.

use std::net::IpAddr;
use std::rc::Rc;

use serde_json::json;

use super::{Cast, Scenario, offer, play, ranges};
use crate::clock;
use crate::scene::{PodRequest, PodSpec, Site, pause};
use crate::sim::{Fault, broken, with};

struct Sticky {
    site: Site,
    /// The pod's container, another pod's, and the pod's next one.
    first: PodRequest,
    other: PodRequest,
    second: PodRequest,
}

const OWN: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

pub(super) fn scenario() -> Scenario {
    let mut ipam = ranges(2, 4);
    ipam["policy"] = json!({"settings": {"pods": "all", "keep": "1h", "strategy": "lowest"}});
    let site = Site::new("blue", "node-1", ipam, Some("sticky"));
    let pod = |name| Some(PodSpec { name, ..PodSpec::default() });
    let (first, other) = (site.asking("c1", pod("web-0")), site.asking("c2", pod("db-0")));
    let second = site.asking("c3", pod("web-0"));
    let cast = Cast::new(Sticky { site, first, other, second });
    Scenario {
        name: "sticky",
        what: "DEL, the end of a hold, an ADD of the pod that had it and of another, GC",
        possible: Fault::OF_STORE.to_vec(),
        begin: cast.piece(|cast: Rc<Sticky>| async move {
            offer(2, 4);
            cast.site.add(&cast.first).await;
        }),
        processes: cast.processes(vec![
            play(|cast: Rc<Sticky>| async move {
                cast.site.del_until_done("c1").await;
                pause().await;
                come_back(&cast).await;
            }),
            play(|cast: Rc<Sticky>| async move {
                let told = cast.site.add(&cast.other).await;
                if told.is_none() {
                    cast.site.del_until_done("c2").await;
                }
                // A store that is full frees an address without a hold.
                let is_well = with(|state| !state.judge.has_time_passed && state.disturbed.is_empty());
                if told == Some(OWN) && is_well {
                    broken(|| "another pod was told an address that is on hold".to_owned());
                }
            }),
            play(|cast: Rc<Sticky>| async move {
                pause().await;
                with(|state| state.judge.has_time_passed = true);
                clock::jump(2 * 3_600_000);
                cast.site.gc(&["c1", "c2", "c3"]).await;
            }),
        ]),
        end: cast.piece(|cast: Rc<Sticky>| async move {
            let all = [&cast.first, &cast.other, &cast.second];
            cast.site.judge_end(&all).await;
            cast.site.judge_emptiness(&all).await;
        }),
    }
}

/// The pod is back, and has its own address as long as that is on hold.
async fn come_back(cast: &Sticky) {
    let told = cast.site.add(&cast.second).await;
    let (passed, is_disturbed) = with(|state| (state.judge.has_time_passed, !state.disturbed.is_empty()));
    match told {
        None => cast.site.del_until_done("c3").await,
        Some(told) if told != OWN && !passed && !is_disturbed => {
            broken(|| format!("the pod came back in time and was told {told} instead of {OWN}"));
        }
        Some(_) => {}
    }
}
