//! Configuration files: a `.conf` holds one network, a `.conflist` a chain of plugins, and some plugins nest others.
//!
//! A runtime takes such a file apart and hands every plugin its part. Here it is taken apart the same way, so that our
//! commands see what the plugin would see.

use serde_json::{Map, Value};

/// A part of a file that makes its main plugin call us.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// Where in the file it is, for example `plugins[0]`; empty for the file itself.
    pub path: String,
    /// The configuration as the main plugin would pass it on: with the chain's `name` and `cniVersion`.
    pub configuration: Map<String, Value>,
}

impl Section {
    /// As it would arrive on stdin.
    pub fn json(&self) -> Vec<u8> {
        Value::Object(self.configuration.clone()).to_string().into_bytes()
    }

    pub fn ipam(&self) -> Option<&Value> {
        self.configuration.get("ipam")
    }
}

/// Every part with an `ipam` section of type `kube-ipam`, in the order of the file.
pub fn sections(file: &Value) -> Vec<Section> {
    let mut found = Vec::new();
    visit(file, String::new(), &Map::new(), &mut found);
    found
}

fn visit(value: &Value, path: String, inherited: &Map<String, Value>, found: &mut Vec<Section>) {
    match value {
        Value::Object(object) => {
            let mut whole = inherited.clone();
            whole.extend(object.clone());
            if object.get("ipam").and_then(|ipam| ipam.get("type")).is_some_and(|kind| kind == "kube-ipam") {
                found.push(Section { path: path.clone(), configuration: whole.clone() });
            }
            let inherited = ["name", "cniVersion"].into_iter().filter_map(|key| whole.remove_entry(key)).collect();
            for (key, value) in object.iter().filter(|(key, _)| *key != "ipam") {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                visit(value, path, &inherited, found);
            }
        }
        Value::Array(values) => {
            for (nth, value) in values.iter().enumerate() {
                visit(value, format!("{path}[{nth}]"), inherited, found);
            }
        }
        _ => {}
    }
}
