//! Many pods at once.

use std::collections::BTreeSet;

use kube_ipam_tests::cluster::Living;

use crate::objects::Workload;
use crate::scene::Scene;

const POOL: &str = "10.188.0.230-10.188.0.239";

/// All different, so many of them.
fn distinct(pods: &[Living]) -> BTreeSet<String> {
    let all: BTreeSet<String> = pods.iter().flat_map(|pod| pod.addresses.clone()).collect();
    assert_eq!(all.len(), pods.len(), "{pods:?}");
    all
}

pub(crate) fn twelve_replicas_over_a_pool_of_ten(scene: &mut Scene<'_>) {
    scene.apply(&Workload::deployment("web").replicas(12).annotated("kube-ipam.ip-pool", POOL));
    let ten = scene.wait_for("web", 10);
    let expected: BTreeSet<String> = (230..240).map(|last| format!("10.188.0.{last}")).collect();
    assert_eq!(distinct(&ten), expected);
    let nodes: BTreeSet<&str> = ten.iter().map(|pod| pod.node.as_str()).collect();
    assert_eq!(nodes.len(), 2, "the pods are on both nodes");
    let refused = scene.wait("two pods that are refused", || {
        let refused: BTreeSet<String> = refused_pods(scene).into_iter().collect();
        (refused.len() == 2).then_some(refused)
    });
    scene.step("ten are Running on both nodes, two are refused");

    let gone = &ten[0];
    scene.kubectl(&["delete", "pod", gone.pod.rsplit('/').next().unwrap(), "--wait=false"]);
    scene.wait("another pod with the address of the deleted one", || {
        scene.living("web").into_iter().find(|pod| pod.addresses == gone.addresses && pod.pod != gone.pod)
    });
    assert_eq!(distinct(&scene.wait_for("web", 10)), expected);
    println!("            refused at first: {refused:?}");
    scene.step("one of the ten is deleted: its address is the next one's");
}

/// Those that still wait, by the names of their pods.
fn refused_pods(scene: &Scene<'_>) -> Vec<String> {
    let mut refused = Vec::new();
    for event in scene.list("events") {
        let message = event["message"].as_str().unwrap_or_default();
        if event["reason"] == "FailedCreatePodSandBox" && message.contains("10.188.0.230") {
            refused.push(event["involvedObject"]["name"].as_str().unwrap_or_default().to_owned());
        }
    }
    refused.retain(|name| scene.living(name).is_empty());
    refused
}

pub(crate) fn sixty_pods_at_once(scene: &mut Scene<'_>) {
    const PODS: usize = 60;
    scene.apply(&Workload::deployment("crowd").replicas(60));
    distinct(&scene.wait_for("crowd", PODS));
    scene.step("sixty pods are Running");

    scene.kubectl(&["delete", "deployment", "crowd", "--wait=false"]);
    scene.wait("the end of all", || scene.living("crowd").is_empty().then_some(()));
    scene.step("all have gone");
}
