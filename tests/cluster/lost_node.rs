//! A node that the cluster loses sight of.

use kube_ipam_tests::cluster::{Living, Network, OUT_OF_SERVICE};
use serde_json::json;

use crate::objects::Workload;
use crate::scene::Scene;

const ADDRESS: &str = "10.188.0.223";
const LOST: &str = "node-2";
const OTHER: &str = "node-1";

fn on_the_node_to_be_lost(scene: &Scene<'_>) -> Living {
    scene.cluster.kubectl(&["cordon", OTHER]);
    scene.apply(&Workload::deployment("api").fixed(ADDRESS));
    let pod = scene.wait_for_another("api", None, ADDRESS);
    scene.cluster.kubectl(&["uncordon", OTHER]);
    assert_eq!(pod.node, LOST);
    pod
}

/// Its kubelet dies and its Node object is deleted, as by a cloud's controller: its pods live.
pub(crate) fn what_lives_on_it_keeps_its_address(scene: &mut Scene<'_>) {
    let pod = on_the_node_to_be_lost(scene);
    scene.step("a pod on the node");

    scene.cluster.node(LOST).kill_kubelet();
    scene.cluster.kubectl(&["delete", "node", LOST]);
    scene.assert_nobody_else_gets(&pod);
    scene.step("the kubelet is dead, the Node object deleted: its pod keeps its address");

    scene.cluster.node(LOST).start_kubelet();
    scene.cluster.wait_for_nodes();
    scene.assert_untouched(&pod);
    scene.assert_nobody_else_gets(&pod);
    scene.wait_for_another("api", None, ADDRESS);
    scene.step("registered again: the same pod with its address");
}

/// Its power is cut. Until an administrator says so nobody can know; then its address is the next pod's. What comes back
/// with the power ends without freeing anything.
pub(crate) fn out_of_service_hands_the_address_over(scene: &mut Scene<'_>) {
    // An ADD that waited longer for a pod that cannot end would only make the test longer.
    scene.cluster.set_network(&Network::new().with("handOverWait", json!("5s")));
    let old = on_the_node_to_be_lost(scene);
    scene.step("a pod on the node");

    scene.cluster.node(LOST).power_off();
    scene.cluster.kubectl(&["cordon", LOST]);
    let name = old.pod.rsplit('/').next().unwrap();
    scene.kubectl(&["delete", "pod", name, "--wait=false"]);
    scene.wait_for_refusal("api", &[ADDRESS, &old.pod]);
    scene.step("without power: the new pod is refused, for the old one may live");

    scene.cluster.kubectl(&["taint", "node", LOST, &format!("{OUT_OF_SERVICE}=nodeshutdown:NoExecute")]);
    let new = scene.wait_for_another("api", Some(&old), ADDRESS);
    scene.step("from the taint until the new pod is Running with the address");

    scene.cluster.node(LOST).power_on();
    scene.cluster.wait_for_nodes();
    scene.step("the node is back");
    scene.wait("the end of the old pod in the API", || (scene.list("pods").len() == 1).then_some(()));
    scene.cluster.kubectl(&["taint", "node", LOST, &format!("{OUT_OF_SERVICE}-")]);
    scene.cluster.kubectl(&["uncordon", LOST]);
    scene.assert_untouched(&new);
    scene.assert_nobody_else_gets(&new);
    scene.step("the late DEL of what ran there freed nothing");
    scene.cluster.set_network(&Network::new());
}
