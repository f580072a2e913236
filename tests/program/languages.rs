//! The modules that `make policies-all` builds, in every language: nothing but the policy world in them, and addresses by
//! them within the limits that hold without a word in the configuration.

use std::path::Path;
use std::process::Command;

use kube_ipam_tests::program::{check_settings, module, network, program};
use kube_ipam_tests::{Answer, Call};
use serde_json::{Value, json};
use tempfile::TempDir;

/// One cache for all networks, as on a node: to compile Python takes half a minute.
const CACHE: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/policies");

struct Site {
    _directory: TempDir,
    configuration: Value,
}

impl Site {
    fn new(name: &str, ipam: &Value, settings: &Value) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut configuration = network(directory.path(), ipam);
        configuration["ipam"]["policy"] = json!({"module": module(name), "settings": settings, "cacheDir": CACHE,
            "limits": {"compileSeconds": 600}});
        // Enough to compile Python in, for which an ADD has no time: on a node `policy install` does that before.
        configuration["ipam"]["timeout"] = json!("4m");
        Self { _directory: directory, configuration }
    }

    fn add(&self, container: &str, pod: &str, annotations: &Value) -> Answer {
        let mut configuration = self.configuration.clone();
        configuration["runtimeConfig"] = json!({"io.kubernetes.cri.pod-annotations": annotations});
        let (namespace, name) = pod.split_once('/').unwrap();
        Call::new("ADD", container, &configuration).for_pod(namespace, name, container).run()
    }
}

#[test]
#[ignore = "needs `make policies-all`"]
fn every_module_is_of_the_policy_world_alone() {
    for name in ["new-rust", "new-js", "new-python", "new-c", "zones", "fair-share", "reserved-head"] {
        let output =
            Command::new(program()).args(["policy", "inspect", "-o", "json"]).arg(module(name)).output().unwrap();
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&found["refused"], &found["description"]["name"]), (&json!([]), &json!(name)), "{found}");
        let imports = found["imports"].as_array().unwrap();
        assert!(imports.iter().all(|import| import.as_str().unwrap().starts_with("kube-ipam:policy/")), "{imports:?}");
        let schema = found["description"]["settingsSchema"].as_str().unwrap();
        let schema: Value = serde_json::from_str(schema).unwrap();
        assert_eq!(schema["properties"]["proposals"]["default"], 4, "{name}");
    }
}

/// What `policy new` begins follows the same rule in every language.
#[test]
#[ignore = "needs `make policies-all`"]
fn what_is_begun_does_the_same_in_every_language() {
    let ipam = json!({"ranges": [[{"subnet": "10.0.0.0/29", "fixedStart": "10.0.0.2", "fixedEnd": "10.0.0.3"}],
        [{"subnet": "fd00::/64"}]]});
    for name in ["new-rust", "new-js", "new-python", "new-c"] {
        let site = Site::new(name, &ipam, &json!({"proposals": 2}));
        let with_offset = |container: &str, offset: &str| {
            site.add(container, &format!("shop/{container}"), &json!({"kube-ipam.offset": offset}))
        };
        assert_eq!(with_offset("c1", "3").addresses(), ["10.0.0.5", "fd00::5"], "{name}");
        assert_eq!(site.add("c2", "shop/a", &json!({})).addresses(), ["10.0.0.4", "fd00::2"], "{name}");
        assert_eq!(site.add("c3", "shop/b", &json!({})).addresses(), ["10.0.0.6", "fd00::3"], "{name}");
        for (offset, says) in
            [("nonsense", "expected a whole number"), ("9", "range set 0 of network \"blue\" ends below")]
        {
            let (code, text) = with_offset("c4", offset).failure();
            assert!(code == 103 && text.contains(says), "{name}: {code} {text}");
        }
        let (code, text) = site.add("c4", "shop/c", &json!({})).failure();
        assert!(code == 101 && text.contains("of range set 0 are held"), "{name}: {code} {text}");
    }
}

#[test]
#[ignore = "needs `make policies-all`"]
fn settings_that_are_not_understood_are_named_in_every_language() {
    let misspelt = json!({"proposal": 2});
    let wrong = json!({"proposals": 65});
    for name in ["new-rust", "new-js", "new-python", "new-c"] {
        for (settings, says) in
            [(&misspelt, "policy.settings.proposal: unknown field"), (&wrong, "expected a whole number from 1 to ")]
        {
            let site = Site::new(name, &json!({"subnet": "10.0.0.0/24"}), settings);
            let (code, text) = site.add("c1", "shop/a", &json!({})).failure();
            assert!(code == 7 && text.contains(says), "{name}: {code} {text}");
        }
    }
}

#[test]
#[ignore = "needs `make policies-all`"]
fn the_examples_give_addresses_by_their_rules() {
    let subnet = json!({"subnet": "10.0.0.0/28", "rangeStart": "10.0.0.2", "rangeEnd": "10.0.0.9"});
    let zones =
        Site::new("zones", &subnet, &json!({"zones": {"dmz": ["10.0.0.8/31"], "inner": ["10.0.0.2-10.0.0.5"]}}));
    let in_zone = |container: &str, zone: &str| zones.add(container, "shop/a", &json!({"kube-ipam.zone": zone}));
    assert_eq!(in_zone("c1", "dmz").addresses(), ["10.0.0.8"]);
    assert_eq!(in_zone("c2", "inner").addresses(), ["10.0.0.2"]);
    assert!(in_zone("c3", "dnz").failure().1.contains("expected one of dmz, inner"));

    let shares = Site::new("fair-share", &subnet, &json!({"shares": {"web": 3, "batch": 1}, "lend": 40}));
    let team = |container: &str, team: &str| shares.add(container, &format!("{team}/{container}"), &json!({}));
    let given = [("c1", "web"), ("c2", "batch"), ("c3", "batch"), ("c4", "batch")].map(|(c, t)| team(c, t).addresses());
    assert_eq!(given.concat(), ["10.0.0.4", "10.0.0.2", "10.0.0.3", "10.0.0.5"]);
    assert!(team("c5", "batch").failure().1.contains("4 of 8 are held, and beyond 40 % nothing is lent"));
    assert!(team("c5", "shop").failure().1.contains("namespace shop has no share"));

    let head = Site::new("reserved-head", &subnet, &json!({"head": 2}));
    let class = json!({"kube-ipam.class": "infrastructure"});
    assert_eq!(head.add("c1", "shop/a", &json!({})).addresses(), ["10.0.0.4"]);
    assert_eq!(head.add("c2", "kube-system/dns", &class).addresses(), ["10.0.0.2"]);
    assert!(
        head.add("c3", "shop/b", &json!({"kube-ipam.class": "infra"})).failure().1.contains("expected infrastructure")
    );
}

/// With few worlds: what stands still in Rust is slow in Python.
#[test]
#[ignore = "needs `make policies-all`"]
fn every_module_passes_the_check_with_each_of_its_settings() {
    for name in ["new-rust", "new-c", "new-js", "new-python", "reserved-head", "zones", "fair-share"] {
        for settings in check_settings(&module(name).with_file_name("../examples").join(name)) {
            let output = Command::new(program())
                .args(["policy", "check", "--seed", "1", "--cases", "16", "--settings", &settings.to_string()])
                .arg(module(name))
                .output()
                .unwrap();
            assert!(output.status.success(), "{name} {settings}: {}", String::from_utf8_lossy(&output.stdout));
        }
    }
}

#[test]
#[ignore = "needs `make policies-all`"]
fn what_a_compiler_says_of_a_mistake_is_shown_and_no_more() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/examples").canonicalize().unwrap();
    for (lang, tools, source, text, says) in [
        ("js", "node_modules", "policy.js", "export const allocator = {", "policy.js:1"),
        ("python", ".packages", "policy.py", "def f(:\n", "SyntaxError: invalid syntax"),
        ("c", ".packages", "policy.c", "int f(void) { return x; }", "policy.c:1:22: error"),
    ] {
        let project = tempfile::tempdir().unwrap();
        let begun = project.path().join("broken");
        let made = Command::new(program()).args(["policy", "new", "--lang", lang]).arg(&begun).output().unwrap();
        assert!(made.status.success());
        std::os::unix::fs::symlink(examples.join(format!("new-{lang}")).join(tools), begun.join(tools)).unwrap();
        std::fs::write(begun.join(source), text).unwrap();
        let output = Command::new(program()).args(["policy", "build"]).arg(&begun).output().unwrap();
        let printed = String::from_utf8_lossy(&output.stderr);
        assert!(printed.contains("could not build") && printed.contains(says), "{lang}: {printed}");
        assert!(!printed.contains("backtrace") && !printed.contains("Traceback"), "{lang}: {printed}");
    }
}

/// The project that `policy new` makes in Rust tests itself natively.
#[test]
#[ignore = "needs `make policies-all`"]
fn a_policy_in_rust_is_tested_natively() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/examples/new-rust");
    let output = Command::new("cargo").args(["test", "--quiet"]).current_dir(&project).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && printed.contains("3 passed"), "{printed}");
}
