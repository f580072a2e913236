//! What `kube-ipam policy new` writes does not drift from what it is made of.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use kube_ipam_tests::program;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path.as_ref()).unwrap_or_else(|error| panic!("{}: {error}", path.as_ref().display()))
}

fn begun(lang: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let project = directory.path().join("rack-aware");
    let status = Command::new(program()).args(["policy", "new", "--lang", lang]).arg(&project).output().unwrap().status;
    assert!(status.success());
    (directory, project)
}

/// The lines `KEY = VALUE` of a table.
fn table<'a>(manifest: &'a str, name: &str) -> Vec<&'a str> {
    let lines = manifest.lines().skip_while(|line| *line != name).skip(1).take_while(|line| !line.starts_with('['));
    lines.filter(|line| line.contains(" = ")).collect()
}

#[test]
fn the_carried_sdk_is_the_repositorys_with_the_versions_of_its_table() {
    let (_directory, project) = begun("rust");
    let sdk = project.join("kube-ipam-policy");
    let addresses = sdk.join("host/addresses");
    for (carried, own) in [(&sdk, "policies/sdk/src"), (&addresses, "host/addresses/src")] {
        let same = Command::new("diff").arg("-r").args([carried.join("src"), root().join(own)]).output().unwrap();
        assert!(same.status.success(), "{}", String::from_utf8_lossy(&same.stdout));
    }

    let workspace = read(root().join("Cargo.toml"));
    let (carried, own) = (read(sdk.join("Cargo.toml")), read(root().join("policies/sdk/Cargo.toml")));
    for name in ["[dependencies]", "[target.'cfg(target_arch = \"wasm32\")'.dependencies]"] {
        let wanted: Vec<&str> = table(&own, name).iter().map(|line| line.split(['.', ' ']).next().unwrap()).collect();
        let found: Vec<&str> = table(&carried, name).iter().map(|line| line.split(' ').next().unwrap()).collect();
        assert!(!wanted.is_empty() && wanted == found, "{name}: {wanted:?} {found:?}");
        let versions = table(&workspace, "[workspace.dependencies]");
        table(&carried, name).iter().for_each(|line| assert!(versions.contains(line), "{line}"));
    }
    let of_all = table(&workspace, "[workspace.package]");
    for manifest in [carried, read(addresses.join("Cargo.toml"))] {
        for key in ["version", "edition", "rust-version", "license"] {
            let line = *of_all.iter().find(|line| line.starts_with(&format!("{key} = "))).unwrap();
            assert!(table(&manifest, "[package]").contains(&line), "{line}");
        }
        assert!(!manifest.contains("workspace"), "{manifest}");
    }
}

#[test]
fn a_policy_in_rust_is_optimised_as_the_shipped_ones() {
    let (_directory, project) = begun("rust");
    let (manifest, workspace) = (read(project.join("Cargo.toml")), read(root().join("Cargo.toml")));
    for (ours, theirs) in
        [("addresses", "addresses"), ("kube-ipam-policy", "kube-ipam-policy"), ("by-namespace", "rack-aware")]
    {
        let settings = |line: &&str| line.split('#').next().unwrap().trim().to_owned();
        let of = |manifest: &str, name: &str| -> Vec<String> {
            table(manifest, &format!("[profile.release.package.{name}]")).iter().map(settings).collect()
        };
        let (ours, theirs) = (of(&workspace, ours), of(&manifest, theirs));
        assert!(!ours.is_empty() && ours == theirs, "{ours:?} {theirs:?}");
    }
}

#[test]
fn every_project_carries_the_world_and_its_own_name() {
    for lang in ["rust", "js", "python", "c"] {
        let (_directory, project) = begun(lang);
        assert_eq!(read(project.join("wit/policy.wit")), read(root().join("wit/policy.wit")), "{lang}");
        assert!(fs::read_dir(project.join("tests")).unwrap().count() >= 3, "{lang}");
        let left =
            Command::new("grep").args(["-rIl", "-e", "new-policy", "-e", "NewPolicy"]).arg(&project).output().unwrap();
        assert!(left.stdout.is_empty(), "{lang}: {}", String::from_utf8_lossy(&left.stdout));
        assert!(read(project.join("README.md")).starts_with("# rack-aware\n"), "{lang}");
    }
}
