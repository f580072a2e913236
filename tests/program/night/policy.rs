//! The policy's module.

use std::fs;

use kube_ipam_tests::guest::Guest;
use serde_json::json;

use super::fault;
use super::scene::Scene;

/// Where the network has its policy from.
const MODULE: &str = "/opt/cni/policies/site.wasm";

/// A node whose policy is this guest, and a laptop that has a good one at /opt/laptop/site.wasm.
fn with_module(guest: Option<Vec<u8>>) -> Option<Scene> {
    let scene = Scene::new(&json!({"policy": {"module": MODULE}, "timeout": "20s"}))?;
    fs::create_dir_all(scene.path("opt/laptop")).unwrap();
    fs::write(scene.path("opt/laptop/site.wasm"), good()).unwrap();
    if let Some(bytes) = guest {
        fs::write(scene.path(MODULE), bytes).unwrap();
    }
    Some(scene)
}

fn good() -> Vec<u8> {
    Guest::named("good").module()
}

const FILLED: [(&str, &str); 1] = [("FILE", "/opt/laptop/site.wasm")];

#[test]
fn the_module_is_not_the_pinned_one() {
    let Some(scene) = with_module(Some(good())) else { return };
    scene.edit(|ipam| ipam["policy"]["sha256"] = json!("ab".repeat(32)));
    let told = fault("the module is not the pinned one").named(&scene, &scene.add("c1"));
    let digest = told.word_after("set policy.sha256 to ");
    scene.edit(|ipam| ipam["policy"]["sha256"] = json!(digest));
    scene.add("c1").address();
}

#[test]
fn the_module_is_missing() {
    let Some(scene) = with_module(None) else { return };
    let told = fault("the module is missing").named(&scene, &scene.add("c1"));
    told.type_in(&FILLED);
    scene.add("c1").address();
}

#[test]
fn the_module_is_truncated() {
    let whole = good();
    let Some(scene) = with_module(Some(whole[..whole.len() / 2].to_vec())) else { return };
    let told = fault("the module is truncated").named(&scene, &scene.add("c1"));
    told.type_in(&FILLED);
    scene.add("c1").address();
}

#[test]
fn the_module_is_of_another_version() {
    let Some(scene) = with_module(Some(Guest::named("other_package_version").module())) else { return };
    fault("the module is of another version of the world").named(&scene, &scene.add("c1"));
    fs::write(scene.path(MODULE), good()).unwrap();
    scene.add("c1").address();
}

/// Asks what the pool has, and traps for pods of namespaces whose name has four letters.
const PICKY: &str = "(func (export \"allocator#allocate\") (param $request i32) (result i32)
  (if (i32.eq (i32.load offset=NAMESPACE (local.get $request)) (i32.const 4)) (then unreachable))
  (i32.const 2048))";

#[test]
fn the_module_traps_for_one_namespace() {
    let guest = Guest::of("picky", &PICKY.replace("NAMESPACE", "40"));
    let Some(scene) = with_module(Some(guest.module())) else { return };
    let in_namespace =
        |namespace: &str, container: &str| scene.call("ADD", container).for_pod(namespace, container, "u1").run();
    in_namespace("default", "c0").address();
    for container in ["c1", "c2"] {
        assert_eq!(in_namespace("shop", container).failure().0, 105);
    }
    let told = fault("the module traps for one namespace").diagnosed(&scene);
    let decides = told.word_after("policy.onFault: ");
    scene.edit(|ipam| ipam["policy"]["onFault"] = json!(decides));
    in_namespace("shop", "c1").address();
}
