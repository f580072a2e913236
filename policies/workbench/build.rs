//! What `kube-ipam policy new` writes is carried in the binary: the templates, the SDK with the crate it is built on, and the
//! world. They stay files of this repository; here they become one list for each part, and the versions of dependencies, which the repository
//! keeps in one table, are written into the manifests.

#![allow(clippy::unwrap_used, reason = "a build script has nobody to return an error to")]
#![allow(clippy::print_stdout, reason = "this is how a build script talks to cargo")]

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Name of the list, directory of the files.
const LISTS: [(&str, &str); 7] = [
    ("COMMON", "policies/builders/templates/common"),
    ("RUST", "policies/builders/templates/rust"),
    ("JAVASCRIPT", "policies/builders/templates/javascript"),
    ("PYTHON", "policies/builders/templates/python"),
    ("C", "policies/builders/templates/c"),
    ("SDK", "policies/sdk/src"),
    ("ADDRESSES", "host/addresses/src"),
];

/// The crates whose manifests are carried, too.
const CRATES: [(&str, &str); 2] = [("SDK", "policies/sdk"), ("ADDRESSES", "host/addresses")];

/// The parts of a manifest that mean something in this repository only.
const OURS: [&str; 2] = ["[lints]", "[dev-dependencies]"];

fn main() {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").unwrap()).join("../..");
    for input in write(&root, Path::new(&env::var("OUT_DIR").unwrap())) {
        println!("cargo::rerun-if-changed={}", input.display());
    }
}

/// Write `carried.rs` into `out`, and name what it is made of.
fn write(root: &Path, out: &Path) -> Vec<PathBuf> {
    let mut source = String::new();
    let mut inputs: Vec<PathBuf> = LISTS.map(|(_, directory)| root.join(directory)).into();
    let workspace = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    for (name, directory) in LISTS {
        let entries: Vec<String> = files(&root.join(directory))
            .iter()
            .map(|file| {
                entry(
                    &file.strip_prefix(root.join(directory)).unwrap().display().to_string(),
                    file,
                    &workspace,
                    out,
                    name,
                )
            })
            .collect();
        writeln!(
            source,
            "/// The files of `{directory}`.\npub(crate) static {name}: &[(&str, &str)] = &[{}];",
            entries.concat()
        )
        .unwrap();
    }
    for (name, directory) in CRATES {
        let manifest = root.join(directory).join("Cargo.toml");
        let text = entry("Cargo.toml", &manifest, &workspace, out, name);
        writeln!(
            source,
            "/// The manifest of `{directory}`.\npub(crate) static {name}_MANIFEST: (&str, &str) = {};",
            text.trim_end_matches(',')
        )
        .unwrap();
        inputs.push(manifest);
    }
    fs::write(out.join("carried.rs"), source).unwrap();
    inputs
}

/// One file as an element of a list.
fn entry(name: &str, file: &Path, workspace: &str, out: &Path, list: &str) -> String {
    let mut file = file.canonicalize().unwrap();
    if name == "Cargo.toml" {
        let text = standalone(&fs::read_to_string(&file).unwrap(), workspace);
        file = out.join(format!("{list}.Cargo.toml"));
        fs::write(&file, text).unwrap();
    }
    format!("({name:?}, include_str!({:?})),", file.display().to_string())
}

/// A manifest that needs no workspace: what it takes from there by `KEY.workspace = true` is written out.
fn standalone(manifest: &str, workspace: &str) -> String {
    let mut section = "";
    let mut lines = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        }
        if OURS.contains(&section) {
            continue;
        }
        let table = if section == "[package]" { "[workspace.package]" } else { "[workspace.dependencies]" };
        lines.push(line.strip_suffix(".workspace = true").map_or(line, |key| value(workspace, table, key)));
    }
    lines.join("\n").trim_end().to_owned() + "\n"
}

/// The line of a table that gives this key its value.
fn value<'a>(workspace: &'a str, table: &str, key: &str) -> &'a str {
    let lines = workspace.lines().skip_while(|line| *line != table).skip(1).take_while(|line| !line.starts_with('['));
    let mut values = lines.filter(|line| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(" = ")));
    values.next().unwrap_or_else(|| panic!("{table} has no {key}"))
}

/// Every file below a directory, in order.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(self::files(&path)),
            false => files.push(path),
        }
    }
    files.sort();
    files
}
