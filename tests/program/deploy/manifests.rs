//! The objects of `deploy/`, rendered by kustomize, validated, and as JSON.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::{fs, io};

use serde_json::Value;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Files under `deploy/`, in order.
pub(crate) fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("deploy").join(folder)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|known| known == extension));
    files.sort();
    files
}

/// The components, by the names of their folders.
pub(crate) fn components() -> Vec<String> {
    let entries = fs::read_dir(root().join("deploy/components")).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The example networks, as files that `config check` reads.
pub(crate) fn networks() -> Vec<PathBuf> {
    let mut networks = Vec::new();
    for component in components() {
        networks.extend(files(&format!("components/{component}"), "conflist"));
    }
    networks.extend(files("components/multus", "yaml").into_iter().filter(|file| file.ends_with("network.yaml")));
    networks
}

/// What `kubectl apply -k deploy/` would create.
pub(crate) fn rendered() -> Vec<Value> {
    static RENDERED: LazyLock<Vec<Value>> = LazyLock::new(|| of_text(&rendered_text(&root().join("deploy"))));
    RENDERED.clone()
}

pub(crate) fn rendered_text(folder: &Path) -> String {
    let output = Command::new("kubectl").arg("kustomize").arg(folder).output();
    let output = output.unwrap_or_else(|error| panic!("kubectl is needed, `make tools` installs it: {error}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What an overlay with these components beside `deploy/` would create.
pub(crate) fn with_components(components: &[&str]) -> Vec<Value> {
    let overlay = tempfile::tempdir().unwrap();
    fs::create_dir(overlay.path().join("kube-ipam")).unwrap();
    let copied = Command::new("cp").arg("-r").arg(root().join("deploy")).arg(overlay.path().join("kube-ipam")).status();
    assert!(copied.unwrap().success());
    let components: Vec<String> =
        components.iter().map(|component| format!("kube-ipam/deploy/components/{component}")).collect();
    let kustomization = format!(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [kube-ipam/deploy]\n\
         components: [{}]\n",
        components.join(", ")
    );
    fs::write(overlay.path().join("kustomization.yaml"), kustomization).unwrap();
    of_text(&rendered_text(overlay.path()))
}

pub(crate) fn examples() -> Vec<Value> {
    let sources: Result<Vec<String>, io::Error> = files("examples", "yaml").iter().map(fs::read_to_string).collect();
    of_text(&sources.unwrap().join("\n---\n"))
}

fn of_text(text: &str) -> Vec<Value> {
    validated(text).unwrap_or_else(|faults| panic!("{faults}"))
}

/// Objects written in YAML, or what is wrong with them.
pub(crate) fn validated(source: &str) -> Result<Vec<Value>, String> {
    let mut validator = Command::new("python3");
    validator.arg(root().join("tests/scripts/manifests")).stdin(Stdio::piped());
    let mut validator = validator.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    validator.stdin.take().unwrap().write_all(source.as_bytes()).unwrap();
    let output = validator.wait_with_output().unwrap();
    match output.status.success() {
        true => Ok(serde_json::from_slice(&output.stdout).unwrap()),
        false => Err(String::from_utf8(output.stderr).unwrap()),
    }
}

pub(crate) fn of_kind(things: &[Value], kind: &str) -> Vec<Value> {
    things.iter().filter(|thing| thing["kind"] == kind).cloned().collect()
}

/// The pod of a DaemonSet, a Job or a CronJob.
pub(crate) fn pod(workload: &Value) -> &Value {
    let paths = ["/spec/jobTemplate/spec/template/spec", "/spec/template/spec"];
    paths.iter().find_map(|path| workload.pointer(path)).unwrap()
}

pub(crate) fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    ["initContainers", "containers"].into_iter().filter_map(|key| pod[key].as_array()).flatten()
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is not a text")).to_owned()
}

/// The texts at this place in each element of a list.
pub(crate) fn texts(list: &Value, pointer: &str) -> Vec<String> {
    let elements = list.as_array().into_iter().flatten();
    elements.filter_map(|value| value.pointer(pointer)?.as_str()).map(str::to_owned).collect()
}
