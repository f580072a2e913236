//! What a policy costs by the language it is written in: the same rule in each, as `policy new` begins it, precompiled in
//! the cache. The policy step is a process that loads the module, asks it once and leaves, over one that does nothing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kube_ipam_tests::Call;
use kube_ipam_tests::program::network;
use serde_json::{Value, json};

use crate::sample::{Pairs, ROUNDS, milliseconds, time};

/// What is measured: a name, and the module that `make policies-all` leaves.
const POLICIES: [(&str, Option<&str>); 5] = [
    ("range-fixed (built in)", None),
    ("Rust", Some("new-rust")),
    ("C", Some("new-c")),
    ("JavaScript, QuickJS", Some("new-js")),
    ("Python, CPython", Some("new-python")),
];

/// A module file becomes known to the cache once it is this old (`policy::file`).
const SETTLED: Duration = Duration::from_secs(3);

pub(crate) fn print() {
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/policies");
    let absent = |module: &str| !modules.join(module).with_extension("wasm").exists();
    if POLICIES.iter().filter_map(|(_, module)| *module).any(absent) {
        return println!("the modules are missing: `make policies-all` builds them");
    }
    println!("{:<24} {:>12} {:>18} {:>12}", "", "ADD", "over the built-in", "policy step");
    for (name, module) in POLICIES {
        let module = module.map(|module| modules.join(module).with_extension("wasm").canonicalize().unwrap());
        measure(name, module.as_deref());
    }
}

fn measure(name: &str, module: Option<&Path>) {
    let (ours, builtin) = (Site::new(module), Site::new(None));
    let (decide, nothing) = (ours.decide(), ours.decide().of(beside("nothing")));
    // Compiled, then read whole and found intact, then known.
    ours.add("first").run().success();
    std::thread::sleep(SETTLED);
    ours.add("second").run().success();
    let (add, over_builtin) = paired(|n| [ours.add(n), builtin.add(n)]);
    let (_, step) = paired(|_| [decide.clone(), nothing.clone()]);
    println!("{name:<24} {} {over_builtin:>15.2} ms {step:>9.2} ms", milliseconds(add));
}

/// The median of one call, and by how many milliseconds it is above that of the other. Gets the name of a container.
fn paired(calls: impl Fn(&str) -> [Call; 2]) -> (Duration, f64) {
    let mut pairs = Pairs::default();
    for n in 0..ROUNDS {
        let [one, other] = calls(&format!("bench-{n}"));
        pairs.push(time(&one), time(&other));
    }
    let (one, other) = pairs.medians();
    (one, (one.as_secs_f64() - other.as_secs_f64()) * 1e3)
}

struct Site {
    directory: tempfile::TempDir,
    module: Option<PathBuf>,
    configuration: Value,
}

impl Site {
    fn new(module: Option<&Path>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let policy = module.map_or(json!({}), |module| json!({"module": module}));
        let configuration =
            network(directory.path(), &json!({"subnet": "10.4.0.0/14", "timeout": "4m", "policy": policy}));
        Self { directory, module: module.map(Path::to_owned), configuration }
    }

    fn add(&self, container: &str) -> Call {
        Call::new("ADD", container, &self.configuration)
    }

    fn decide(&self) -> Call {
        let module = self.module.as_deref().unwrap_or(Path::new(""));
        let named = format!("{}\n{}\n", self.directory.path().join("policies").display(), module.display());
        Call::new("ADD", "", &Value::Null).of(beside("examples/decide")).stdin(named)
    }
}

/// A program that was built beside this one.
fn beside(name: &str) -> PathBuf {
    std::env::current_exe().unwrap().with_file_name(name)
}
