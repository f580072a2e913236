//! What ARCHITECTURE.md says of the crates is so: the map has every arrow and no other, and the programs carry what is
//! theirs alone. And the tests are a handful of binaries.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// From a crate to those it depends on.
type Arrows = BTreeMap<String, BTreeSet<String>>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The lines `crate ──► crate, crate` of ARCHITECTURE.md; a crate without arrows has a line without them.
fn drawn() -> Arrows {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let map = text.split("```arrows\n").nth(1).unwrap().split("```").next().unwrap();
    let line = |line: &str| {
        let (from, to) = line.split_once("──►").unwrap_or((line, ""));
        let to = to.split(',').map(str::trim).filter(|name| !name.is_empty());
        (from.trim().to_owned(), to.map(str::to_owned).collect())
    };
    map.lines().map(line).collect()
}

/// Every package of the workspace, as cargo describes it.
fn packages() -> Vec<Value> {
    let metadata = cargo(&["metadata", "--locked", "--offline", "--no-deps", "--format-version", "1"]);
    let mut metadata: Value = serde_json::from_str(&metadata).unwrap();
    serde_json::from_value(metadata["packages"].take()).unwrap()
}

/// What the manifests of `host/`, of the SDK and of the author's program say; what only tests and builds need is no arrow.
fn real() -> Arrows {
    let packages = packages();
    let is_drawn = |package: &&Value| {
        let manifest = package["manifest_path"].as_str().unwrap();
        ["/host/", "/policies/builders/", "/policies/sdk/", "/policies/workbench/"]
            .iter()
            .any(|part| manifest.contains(part))
    };
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let drawn: BTreeSet<String> = packages.iter().filter(is_drawn).map(name).collect();
    let arrows = |package: &Value| {
        let dependencies = package["dependencies"].as_array().unwrap();
        dependencies.iter().filter(|one| one["kind"].is_null()).map(name).filter(|one| drawn.contains(one)).collect()
    };
    packages.iter().filter(is_drawn).map(|package| (name(package), arrows(package))).collect()
}

/// The rooms of the node's program, the first one on top, as the line `main → {plugin, cli} → …` of ARCHITECTURE.md has them.
/// Rooms between braces are neighbours.
fn floors() -> Vec<BTreeSet<String>> {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let line = text.split('`').find(|part| part.starts_with("main → ")).unwrap();
    let mut floors = Vec::new();
    for floor in line.split(" → ") {
        floors.push(floor.trim_matches(['{', '}']).split(", ").map(str::to_owned).collect());
    }
    floors
}

/// Every source file below a directory.
fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn no_room_of_the_nodes_program_uses_one_above_or_beside_it() {
    let floors = floors();
    let floor_of = |room: &str| floors.iter().position(|rooms| rooms.contains(room));
    let home = root().join("host/kube-ipam/src");
    let mut files = Vec::new();
    sources(&home, &mut files);
    let mut judged = 0;
    for file in files {
        let place = file.strip_prefix(&home).unwrap();
        let room = place.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        let Some(floor) = floor_of(room) else { continue };
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(!text.contains("crate::{"), "{}: a `use` for each room, so that this test sees them", place.display());
        for used in text.split("crate::").skip(1) {
            let used: String = used.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
            let Some(of_used) = floor_of(&used) else { continue };
            assert!(used == room || of_used > floor, "{}: {room} uses {used}", place.display());
            judged += 1;
        }
    }
    assert!(judged > 100, "{judged} uses of a room were judged");
}

#[test]
fn the_map_has_every_arrow_and_no_other() {
    assert_eq!(drawn(), real(), "left: ARCHITECTURE.md; right: the manifests");
}

/// A binary costs more to link than its tests to compile: a new subject is a module of one of these.
const TEST_BINARIES: [&str; 8] = ["cases", "cluster", "hostile", "program", "prove", "rules", "sdk", "storm"];

#[test]
fn the_tests_are_a_handful_of_binaries() {
    let targets = packages().into_iter().flat_map(|package| package["targets"].as_array().unwrap().clone());
    let tests = targets.filter(|target| target["kind"][0] == "test");
    let names: BTreeSet<String> = tests.map(|target| target["name"].as_str().unwrap().to_owned()).collect();
    assert!(names.iter().eq(&TEST_BINARIES), "{names:?}");
}

/// What only an author needs. `wit-parser` and `wit-bindgen` also serve the macro that reads the policy world while the
/// node's program is compiled, and are in that program only as far as the macro's result is.
const ONLY_FOR_AUTHORS: [&str; 10] = [
    "builders",
    "indicatif",
    "kube-ipam-workbench",
    "proptest",
    "quick-junit",
    "rand_chacha",
    "similar",
    "svg",
    "wit-component",
    "wit-parser",
];

fn dependencies(package: &str) -> BTreeSet<String> {
    let tree =
        cargo(&["tree", "--locked", "--offline", "-p", package, "-e", "normal,no-proc-macro", "--prefix", "none"]);
    tree.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn the_node_carries_nothing_that_only_authors_need() {
    let (node, author) = (dependencies("kube-ipam"), dependencies("kube-ipam-workbench"));
    for name in ONLY_FOR_AUTHORS {
        assert!(!node.contains(name), "{name} is in kube-ipam");
        assert!(author.contains(name), "{name} is in no program: is it still called that?");
    }
}

/// What every policy carries, and an author's project builds without this repository.
/// Names of functions between backticks; prose has no word of that shape.
fn named_tests(document: &str) -> BTreeSet<String> {
    let named = document.split('`').skip(1).step_by(2);
    named.filter(|word| word.contains('_') && !word.contains(['.', ' ', '/'])).map(str::to_owned).collect()
}

#[test]
fn the_threat_model_names_tests_that_exist() {
    let document = std::fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let named = named_tests(&document);
    assert!(named.len() > 40, "{named:?}");
    let mut found = Vec::new();
    for directory in ["host", "tests", "policies"] {
        sources(&root().join(directory), &mut found);
    }
    let mut known = BTreeSet::new();
    for source in found {
        let text = std::fs::read_to_string(source).unwrap();
        let after_fn = text.split("fn ").skip(1).filter_map(|rest| rest.split('(').next());
        known.extend(after_fn.map(str::to_owned));
    }
    let missing: Vec<_> = named.difference(&known).collect();
    assert!(missing.is_empty(), "SECURITY.md names tests that do not exist: {missing:?}");
}

#[test]
fn addresses_stand_on_nothing() {
    let addresses = dependencies("addresses");
    assert_eq!(addresses, BTreeSet::from(["addresses".to_owned()]), "addresses depends on other crates");
    let source = std::fs::read_to_string(root().join("host/addresses/src/lib.rs")).unwrap();
    assert!(source.lines().any(|line| line == "#![no_std]"), "addresses needs an operating system");
}

#[test]
fn neither_addresses_nor_the_subject_have_unsafe_code() {
    for name in ["addresses", "ipam"] {
        let source = std::fs::read_to_string(root().join("host").join(name).join("src/lib.rs")).unwrap();
        assert!(source.lines().any(|line| line == "#![forbid(unsafe_code)]"), "{name} may have unsafe code");
    }
}

#[test]
fn the_subject_knows_no_runtime_no_client_and_no_engine() {
    let ipam = dependencies("ipam");
    for name in ["tokio", "rustix", "libc", "wasmtime", "kube", "etcd-client", "heed", "tracing"] {
        assert!(!ipam.contains(name), "ipam depends on {name}");
    }
}

/// `cargo binstall` looks for the archives that `make dist` makes, and in them for the program of the crate.
#[test]
fn binstall_finds_what_a_release_has() {
    let script = std::fs::read_to_string(root().join("tests/scripts/package")).unwrap();
    let name = script.lines().find_map(|line| line.strip_prefix("name=")).unwrap();
    assert!(script.contains(">\"$out/$name.tar.gz\"") && script.contains("archive \"$work\" \"$name\""));
    let mut crates = Vec::new();
    for package in packages() {
        let found = &package["metadata"]["binstall"];
        if found.is_null() {
            continue;
        }
        let program = package["targets"].as_array().unwrap().iter().find(|target| target["kind"][0] == "bin").unwrap();
        let program = program["name"].as_str().unwrap();
        // In the words of the script, which are those of a shell.
        let in_shell = |key: &str| {
            let text = found[key].as_str().unwrap();
            let text = text.replace("{ version }", "$version").replace("{ target-arch }", "$arch");
            text.replace("{ repo }", "").replace("{ bin }", program)
        };
        assert_eq!(in_shell("pkg-url"), format!("/releases/download/v$version/{name}.tar.gz"));
        assert_eq!((in_shell("bin-dir"), found["pkg-fmt"].as_str()), (format!("{name}/{program}"), Some("tgz")));
        assert!(script.contains(&format!("\"$work/$name/{program}\"")), "{program} is not in the archive");
        crates.push(package["name"].as_str().unwrap().to_owned());
    }
    assert_eq!(crates, ["kube-ipam", "kube-ipam-workbench"]);
}
