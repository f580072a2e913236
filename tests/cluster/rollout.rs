//! A Deployment of one pod with a fixed address gets a new version.

use kube_ipam_tests::cluster::NEWER_IMAGE;
use serde_json::json;

use crate::objects::{Workload, to_an_absent_image};
use crate::scene::Scene;

const ADDRESS: &str = "10.188.0.220";

fn api() -> Workload {
    Workload::deployment("api").fixed(ADDRESS)
}

fn newer() -> String {
    format!("app={NEWER_IMAGE}")
}

/// The new pod is started beside the old one, which lives and has said nothing of a hand-over.
pub(crate) fn by_default_a_living_pod_keeps_its_address(scene: &mut Scene<'_>) {
    scene.apply(&api());
    let old = scene.wait_for_another("api", None, ADDRESS);
    scene.kubectl(&["set", "image", "deployment/api", &newer()]);
    let refusal = scene.wait_for_refusal("api", &[ADDRESS, &old.pod]);
    println!("            {refusal}");
    // What the author of the Deployment can do about it.
    for choice in ["Recreate", "maxSurge", "kube-ipam.hand-over"] {
        assert!(refusal.contains(choice), "the refusal does not name {choice}: {refusal}");
    }
    scene.assert_untouched(&old);
    scene.step("the new pod is refused, the old one is untouched");

    scene.kubectl(&["rollout", "undo", "deployment/api"]);
    scene.wait("the end of the new pod", || (scene.list("pods").len() == 1).then_some(()));
    scene.assert_nobody_else_gets(&old);
    scene.step("undone: the old pod has its address, and nobody else gets it");
}

pub(crate) fn recreate_hands_the_address_on(scene: &mut Scene<'_>) {
    let strategy = json!({"type": "Recreate"});
    rolled_out(scene, &api().spec("strategy", strategy));
}

pub(crate) fn without_a_surge_the_address_is_handed_on(scene: &mut Scene<'_>) {
    let strategy = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}});
    rolled_out(scene, &api().spec("strategy", strategy));
}

fn rolled_out(scene: &mut Scene<'_>, workload: &Workload) {
    scene.apply(workload);
    let old = scene.wait_for_another("api", None, ADDRESS);
    scene.kubectl(&["set", "image", "deployment/api", &newer()]);
    scene.wait_for_another("api", Some(&old), ADDRESS);
    scene.step("from the new image until the new pod is Running with the same address");
}

pub(crate) fn the_annotation_hands_the_address_over(scene: &mut Scene<'_>) {
    scene.cluster.census().let_share("rollout-annotated/api-");
    scene.apply(&api().annotated("kube-ipam.hand-over", "rolling-update"));
    let old = scene.wait_for_another("api", None, ADDRESS);
    scene.kubectl(&["set", "image", "deployment/api", &newer()]);
    let new = scene.wait_for_another("api", Some(&old), ADDRESS);
    scene.step("from the new image until the new pod is Running with the same address");

    scene.wait("the end of the old pod", || (!scene.living("api").contains(&old)).then_some(()));
    scene.cluster.census().settle();
    scene.assert_untouched(&new);
    scene.assert_nobody_else_gets(&new);
    scene.step("the old pod has gone, the new one has the address alone");
}

/// The new version never starts, so that the old pod lives beside it; then it is taken back.
pub(crate) fn undone_half_way_the_old_pod_has_the_address(scene: &mut Scene<'_>) {
    scene.cluster.census().let_share("rollout-undone/api-");
    scene.apply(&api().annotated("kube-ipam.hand-over", "rolling-update"));
    let old = scene.wait_for_another("api", None, ADDRESS);
    scene.kubectl(&["set", "image", "deployment/api", &to_an_absent_image()]);
    scene.wait("the new pod's sandbox", || scene.living("api").into_iter().find(|living| *living != old));
    scene.assert_untouched(&old);
    scene.step("the new pod has taken the address over, the old one lives");

    scene.kubectl(&["rollout", "undo", "deployment/api"]);
    scene.wait("the end of the new pod", || (scene.living("api") == [old.clone()]).then_some(()));
    scene.cluster.census().settle();
    scene.assert_nobody_else_gets(&old);
    scene.step("undone: the old pod has its address, and nobody else gets it");
}
