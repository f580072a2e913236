//! `kube-ipam policy check`: what we ship passes, and every mistake of `tests/broken` is found and shrunk.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use kube_ipam_tests::program::{check_settings, program};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The same worlds every time.
const SEED: &str = "1";

/// A module of a crate of this repository.
fn build(crate_dir: &str, into: &Path) -> PathBuf {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(crate_dir);
    let module = into.join(crate_dir.file_name().unwrap()).with_extension("wasm");
    let mut command = Command::new(program());
    let output = command.args(["policy", "build"]).arg(&crate_dir).arg("--output").arg(&module).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    module
}

fn broken() -> &'static Path {
    static BUILT: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let build = || {
        let directory = tempfile::tempdir().unwrap();
        let module = build("tests/broken", directory.path());
        (directory, module)
    };
    &BUILT.get_or_init(build).1
}

/// The exit status and all that was printed.
fn check(module: &Path, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(program());
    command.args(["policy", "check"]).arg(module).args(["--seed", SEED]).args(arguments);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), printed)
}

/// A saved case, tried on the module that it was found with.
fn test(case: &Path) -> (i32, String) {
    let output = Command::new(program()).args(["policy", "test", "--module"]).arg(broken()).arg(case).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), printed)
}

/// The properties that do not hold, each with what was seen.
fn found(fault: Option<&str>, only: &[&str], directory: &Path) -> Vec<(String, String)> {
    let settings = fault.map_or(json!({}), |fault| json!({"fault": fault})).to_string();
    let save = directory.to_str().unwrap();
    let arguments = ["--settings", &settings, "--save", save, "-o", "json"];
    let (status, printed) = check(broken(), &[&arguments[..], only].concat());
    let report: Value = serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"));
    let properties = report["properties"].as_array().unwrap();
    let bad = properties.iter().filter(|property| property["holds"] == false);
    let text = |property: &Value, key: &str| property[key].as_str().unwrap().to_owned();
    let bad: Vec<_> = bad.map(|property| (text(property, "property"), text(property, "broken"))).collect();
    assert_eq!(status, i32::from(!bad.is_empty()), "{printed}");
    assert_eq!(report["good"], bad.is_empty());
    bad
}

#[test]
fn what_we_ship_passes() {
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
    let directory = tempfile::tempdir().unwrap();
    let mut checked = 0;
    for entry in fs::read_dir(policies).unwrap() {
        let policy = entry.unwrap().path();
        if !policy.join("settings.schema.json").exists() {
            continue;
        }
        let module = build(policy.to_str().unwrap(), directory.path());
        for settings in check_settings(&policy) {
            let settings = settings.to_string();
            let (status, printed) = check(&module, &["--settings", &settings]);
            assert_eq!(status, 0, "{} {settings}\n{printed}", policy.display());
            assert!(printed.contains("✓ proposals-are-usable"), "{printed}");
            checked += 1;
        }
    }
    assert!(checked >= 6, "{checked}");
}

#[test]
fn a_policy_without_a_fault_has_none() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(found(None, &[], directory.path()), []);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

/// Each mistake, the property that finds it, a word of what it says, and how many lines the world may take at most.
#[test]
fn every_mistake_is_found_by_name_in_a_small_world() {
    for (fault, property, says) in [
        ("proposes-held", "proposals-are-free", "another attachment holds it"),
        ("proposes-excluded", "proposals-are-usable", "bad proposal"),
        ("serves-one-family", "proposals-are-usable", "although the network has"),
        ("panics-at-annotations", "proposals-are-usable", "an address"),
        ("echoes-annotations", "proposals-are-usable", "returned too long a text"),
        ("refuses-silently", "refusals-say-why", "gives no reason"),
        ("leaves-out-the-last", "exhaustion-is-exact", "it gives every address of"),
        ("full-at-nine-tenths", "exhaustion-is-exact", "when there is room"),
        ("taken-when-full", "exhaustion-is-exact", "refuses as taken"),
        ("ignores-previous", "restart-is-served", "by an older container of this very pod"),
        ("insists-when-lost", "makes-progress", "what it lost before"),
        ("brings-one-proposal", "makes-progress", "asking at the same time"),
        ("walks-the-range", "stays-in-budget", "fuel"),
        ("passes-over-annotations", "malformed-is-refused", "but gives"),
        ("annotations-are-denied", "malformed-is-refused", "as denied, not as invalid"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let found = found(Some(fault), &["--only", property], directory.path());
        let told = found.iter().find(|(name, _)| name == property).map(|(_, what)| what.as_str());
        assert!(told.is_some_and(|told| told.contains(says)), "{fault}: {found:#?}");

        let file = directory.path().join(format!("{property}-{SEED}.yaml"));
        let case = fs::read_to_string(&file).unwrap();
        for key in ["about: ", "network:", "settings:", "steps:", "expect:", fault] {
            assert!(case.contains(key), "{fault}: {case}");
        }
        assert!(case.lines().count() < 130, "{fault}: it could be smaller\n{case}");
        let (status, printed) = test(&file);
        assert!(status == 1 && printed.contains("0 passed, 1 failed"), "{fault}: {printed}\n{case}");
        assert!(printed.contains("    - "), "{fault}: it fails by what it expects: {printed}");
    }
}

#[test]
fn an_annotation_of_the_policy_s_own_is_tried_when_it_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let fault = Some("panics-at-its-own-annotation");
    let only = ["--only", "proposals-are-usable"];
    assert_eq!(found(fault, &only, directory.path()), []);
    let named = [&only[..], &["--annotation", "broken.example/tier"]].concat();
    let found = found(fault, &named, directory.path());
    assert!(found.len() == 1 && found[0].1.contains("a number"), "{found:?}");
    let (status, printed) = test(&directory.path().join(format!("proposals-are-usable-{SEED}.yaml")));
    assert!(status == 1 && printed.contains("broken.example/tier"), "{printed}");
}

#[test]
fn settings_that_are_looked_at_too_late_are_found() {
    let (status, printed) =
        check(broken(), &["--settings", r#"{"count": "3"}"#, "--save", "/dev/null/absent", "-o", "json"]);
    assert!(status == 1 && printed.contains("/dev/null/absent"), "{printed}");
    let directory = tempfile::tempdir().unwrap();
    let save = directory.path().to_str().unwrap();
    let (status, printed) = check(broken(), &["--settings", r#"{"count": "3"}"#, "--save", save]);
    assert!(status == 1 && printed.contains("✗ settings-are-validated"), "{printed}");
    let (status, tested) = test(&directory.path().join(format!("settings-are-validated-{SEED}.yaml")));
    assert!(status == 1 && tested.contains("0 passed, 1 failed"), "{tested}");
    assert!(printed.contains("accepts these settings, but then policy broken.wasm: allocate"), "{printed}");
}

#[test]
fn a_site_checks_with_its_own_network_and_settings() {
    let directory = tempfile::tempdir().unwrap();
    let module = build("policies/by-namespace", directory.path());
    let (status, printed) = check(&module, &[]);
    assert!(status == 1 && printed.contains("namespaces") && printed.contains("--settings"), "{printed}");

    let ipam = json!({"type": "kube-ipam", "subnet": "192.168.9.0/28", "dataDir": "/absent",
        "kubernetes": {"include": ["node"]},
        "policy": {"module": "/absent.wasm", "settings": {"namespaces": {"shop": ["192.168.9.4-192.168.9.9"]}}}});
    let conf = directory.path().join("blue.conflist");
    let list = json!({"cniVersion": "1.1.0", "name": "blue", "plugins": [{"type": "bridge", "ipam": ipam}]});
    fs::write(&conf, list.to_string()).unwrap();
    let (status, printed) = check(&module, &["--network", conf.to_str().unwrap()]);
    assert_eq!(status, 0, "{printed}");

    let elsewhere = json!({"subnet": "10.0.0.0/28", "policy": ipam["policy"]}).to_string();
    let (status, printed) = check(&module, &["--network", &elsewhere]);
    assert!(status == 1 && printed.contains("it gave no address in any world"), "{printed}");
}
