//! What the author of a pod wrote.

use serde_json::json;

use super::fault;
use super::scene::Scene;

#[test]
fn an_annotation_is_malformed() {
    let Some(scene) = Scene::new(&json!({})) else { return };
    let told =
        fault("an annotation is malformed").named(&scene, &scene.add_annotated("c1", ("kube-ipam.ip", "10.0.0.300")));
    assert!(told.message.contains("10.0.0.300"), "{}", told.message);
    let ranges = told.type_in(&[]);
    assert!(ranges.contains("10.0.0.2-10.0.0.254"), "{ranges}");
    assert_eq!(scene.add_annotated("c1", ("kube-ipam.ip", "10.0.0.30")).addresses(), ["10.0.0.30"]);
}

#[test]
fn an_annotation_is_unknown() {
    let Some(scene) = Scene::new(&json!({})) else { return };
    let told =
        fault("an annotation is unknown").named(&scene, &scene.add_annotated("c1", ("kube-ipam.ips", "10.0.0.30")));
    let meant = told.word_after("did you mean ");
    assert_eq!(scene.add_annotated("c1", (&meant, "10.0.0.30")).addresses(), ["10.0.0.30"]);
}
