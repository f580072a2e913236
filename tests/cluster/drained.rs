//! A node is drained, as for its maintenance.

use crate::objects::{Workload, to_an_absent_image};
use crate::scene::Scene;

const ADDRESS: &str = "10.188.0.221";

pub(crate) fn the_address_moves_to_the_other_node(scene: &mut Scene<'_>) {
    scene.apply(&Workload::deployment("api").fixed(ADDRESS));
    let old = scene.wait_for_another("api", None, ADDRESS);
    drain(scene, &old.node);
    let new = scene.wait_for_another("api", Some(&old), ADDRESS);
    assert_ne!(old.node, new.node);
    scene.step("from the drain until the new pod is Running on the other node");
    scene.cluster.kubectl(&["uncordon", &old.node]);
}

/// A new version holds the address and never starts; the old pod beside it is evicted, and its ReplicaSet makes another
/// of the old version. That is no reason to take the address from the newer one.
pub(crate) fn a_pod_of_the_old_revision_does_not_take_the_address_back(scene: &mut Scene<'_>) {
    scene.cluster.census().let_share("drained-old-revision/api-");
    scene.apply(&Workload::deployment("api").fixed(ADDRESS).annotated("kube-ipam.hand-over", "rolling-update"));
    let old = scene.wait_for_another("api", None, ADDRESS);
    // The new pod goes to the other node.
    scene.cluster.kubectl(&["cordon", &old.node]);
    scene.kubectl(&["set", "image", "deployment/api", &to_an_absent_image()]);
    let new = scene.wait("the new pod's sandbox", || scene.living("api").into_iter().find(|living| *living != old));
    scene.step("the new version has the address and does not start");

    drain(scene, &old.node);
    scene.wait("the end of the old pod", || (!scene.living("api").contains(&old)).then_some(()));
    scene.wait_for_refusal("api", &[ADDRESS, &new.pod]);
    assert_eq!(scene.living("api"), std::slice::from_ref(&new), "{}", scene.situation());
    scene.step("the pod of the old revision that was made again is refused");

    // Now the old revision is the newest one: its pod may take over from the other, which allows it and ends.
    scene.kubectl(&["rollout", "undo", "deployment/api"]);
    let last = scene.wait_for_another("api", Some(&new), ADDRESS);
    scene.wait("the end of the other version", || (scene.living("api") == [last.clone()]).then_some(()));
    scene.cluster.census().settle();
    scene.assert_nobody_else_gets(&last);
    scene.step("undone: it has the address, and nobody else gets it");
    scene.cluster.kubectl(&["uncordon", &old.node]);
}

fn drain(scene: &Scene<'_>, node: &str) {
    scene.cluster.kubectl(&["drain", node, "--ignore-daemonsets", "--force", "--timeout=60s"]);
}
