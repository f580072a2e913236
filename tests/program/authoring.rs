//! A policy author's way: begin a project, build it, look at the module, have addresses by it.

use std::fs;
use std::path::Path;
use std::process::Command;

use kube_ipam_tests::program::{network, program};
use kube_ipam_tests::{Answer, Call};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Run `kube-ipam policy …` in a directory; its exit status and what it printed.
fn policy(directory: &Path, arguments: &[&str]) -> (i32, String) {
    finish(Command::new(program()).arg("policy").args(arguments).current_dir(directory))
}

/// The same where no tool can be found.
fn policy_without_tools(directory: &Path, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(program());
    finish(command.arg("policy").args(arguments).current_dir(directory).env("PATH", "/nonexistent").env_remove("CARGO"))
}

fn finish(command: &mut Command) -> (i32, String) {
    let output = command.output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap(), printed)
}

fn begun(name: &str, lang: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let (status, printed) = policy(directory.path(), &["new", name, "--lang", lang]);
    assert_eq!(status, 0, "{printed}");
    directory
}

#[test]
fn a_policy_in_rust_is_begun_built_and_used() {
    let directory = begun("rack-aware", "rust");
    let (status, printed) = policy(directory.path(), &["build", "rack-aware"]);
    assert_eq!(status, 0, "{printed}");
    let module = directory.path().join("rack-aware/rack-aware.wasm");
    let (status, printed) = policy(directory.path(), &["inspect", module.to_str().unwrap(), "-o", "json"]);
    let inspection: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((status, &inspection["description"]["name"]), (0, &json!("rack-aware")), "{printed}");
    assert!(inspection["bytes"].as_u64().unwrap() < 256 << 10, "a dependency too many: {printed}");

    let configuration = network(directory.path(), &json!({"subnet": "10.0.0.0/24", "policy": {"module": module}}));
    let answer = |offset: &str| -> Answer {
        let mut configuration = configuration.clone();
        configuration["runtimeConfig"] = json!({"io.kubernetes.cri.pod-annotations": {"kube-ipam.offset": offset}});
        Call::new("ADD", &format!("c{offset}"), &configuration).for_pod("shop", "db-0", "u").run()
    };
    assert_eq!(answer("100").addresses(), ["10.0.0.102"]);
    let (code, text) = answer("far").failure();
    assert!(
        code == 103 && text.contains("annotation kube-ipam.offset \"far\": expected a whole number"),
        "{code} {text}"
    );
}

#[test]
fn what_cargo_says_of_a_mistake_is_shown() {
    let directory = begun("broken", "rust");
    fs::write(directory.path().join("broken/src/lib.rs"), "fn f() -> u8 { \"text\" }").unwrap();
    let (status, printed) = policy(directory.path(), &["build", "broken"]);
    assert_eq!(status, 1);
    assert!(printed.contains("cargo could not build") && printed.contains("src/lib.rs:1:16"), "{printed}");
    assert!(!printed.contains("{\"reason\""), "messages for programs are not for people: {printed}");
}

#[test]
fn a_project_in_every_language_says_which_tool_is_missing_and_how_to_get_it() {
    for (lang, tool, way_out) in [
        ("rust", "cargo is not installed", "rustup.rs"),
        ("js", "npm is not installed", "apt-get install npm"),
        ("python", "python3 is not installed", "apt-get install python3"),
        ("c", "a C compiler for WebAssembly is not installed", "apt-get install clang"),
    ] {
        let directory = begun("lonely", lang);
        let (status, printed) = policy_without_tools(directory.path(), &["build", "lonely"]);
        assert!(status == 1 && printed.contains(tool) && printed.contains(way_out), "{lang}: {printed}");
    }
}

#[test]
fn names_and_places_that_cannot_be_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["Rack", "9lives", "rack_aware", "räck", "serde", "..", &"a".repeat(65)] {
        let (status, printed) = policy(directory.path(), &["new", name]);
        assert!(
            status == 1 && printed.contains("is not a valid name for a policy\nhint: use lower-case letters"),
            "{name}: {printed}"
        );
    }
    fs::create_dir(directory.path().join("mine")).unwrap();
    fs::write(directory.path().join("mine/thesis"), "").unwrap();
    let (status, printed) = policy(directory.path(), &["new", "mine"]);
    assert!(status == 1 && printed.contains("mine is not empty\nhint: "), "{printed}");
    assert_eq!(fs::read_dir(directory.path().join("mine")).unwrap().count(), 1);
    fs::create_dir(directory.path().join("empty")).unwrap();
    assert_eq!(policy(directory.path(), &["new", "empty", "--lang", "c"]).0, 0);
}

#[test]
fn a_directory_in_no_language_or_in_two_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (status, printed) = policy(directory.path(), &["build", "."]);
    assert!(status == 1 && printed.contains("no policy.py (Python)") && printed.contains("policy new"), "{printed}");
    fs::write(directory.path().join("policy.c"), "").unwrap();
    fs::write(directory.path().join("package.json"), "{}").unwrap();
    let (status, printed) = policy(directory.path(), &["build", "."]);
    assert!(status == 1 && printed.contains("keep one of package.json, policy.c"), "{printed}");
    let (status, printed) = policy(directory.path(), &["build", "elsewhere"]);
    assert!(status == 1 && printed.contains("elsewhere"), "{printed}");
}

/// The node's program on its own in a directory.
fn alone() -> (TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let alone = directory.path().join("kube-ipam");
    fs::copy(program(), &alone).unwrap();
    (directory, alone)
}

#[test]
fn a_node_without_the_author_s_program_says_how_to_get_it() {
    let (_directory, alone) = alone();
    let (status, printed) =
        finish(Command::new(&alone).args(["policy", "check", "x.wasm"]).env("PATH", "/nonexistent"));
    assert_eq!(status, 1, "{printed}");
    assert!(printed.contains("`kube-ipam policy check` needs the program kube-ipam-policy"), "{printed}");
    assert!(printed.contains("hint: put kube-ipam-policy beside kube-ipam or on PATH"), "{printed}");
    let (status, printed) = finish(Command::new(&alone).args(["policy", "ls"]).env("PATH", "/nonexistent"));
    assert!(status == 0 && printed.contains("range-fixed"), "{printed}");
}

#[test]
fn an_author_s_verb_is_handed_over_with_its_arguments_and_gives_its_exit_status() {
    use std::os::unix::fs::PermissionsExt;
    let (directory, alone) = alone();
    let author = directory.path().join("kube-ipam-policy");
    fs::write(&author, "#!/bin/sh\necho \"$# $*\"\nexit 7\n").unwrap();
    fs::set_permissions(&author, fs::Permissions::from_mode(0o755)).unwrap();
    let handed = finish(Command::new(&alone).args(["policy", "check", "a b.wasm", "--seed", "1"]));
    assert_eq!(handed, (7, "4 check a b.wasm --seed 1\n".to_owned()));
}
