//! Objects with their history, as etcd keeps it: every write has a revision, and a list can be read as of one.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::uuid;
use super::kind::Kind;
use super::time;

#[derive(Debug, Default)]
pub(super) struct Objects {
    revision: u64,
    /// Older revisions than this cannot be read.
    compacted: u64,
    /// By keys like `pods/NAMESPACE/NAME`: in the order of etcd's keys.
    versions: BTreeMap<String, Vec<Version>>,
}

#[derive(Debug)]
struct Version {
    revision: u64,
    /// `None` since it was deleted.
    object: Option<Value>,
}

impl Objects {
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    pub(super) fn compacted(&self) -> u64 {
        self.compacted
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.versions.get(key)?.last()?.object.as_ref()
    }

    /// Everything below a prefix as of a revision, from a key on.
    pub(super) fn at(&self, revision: u64, prefix: &str, from: &str) -> Vec<(&str, &Value)> {
        let start = prefix.max(from).to_owned();
        let below = self.versions.range(start..).take_while(|(key, _)| key.starts_with(prefix));
        let then = |versions: &'_ [Version]| versions.iter().rposition(|version| version.revision <= revision);
        below.filter_map(|(key, all)| Some((key.as_str(), all[then(all)?].object.as_ref()?))).collect()
    }

    pub(super) fn create(&mut self, kind: &Kind, namespace: &str, object: &Value) -> String {
        let name = object["metadata"]["name"].as_str().expect("an object has a name").to_owned();
        let lawful = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        assert!(!name.is_empty() && name.chars().all(lawful), "the API server accepts no name {name:?}");
        let key = key(kind, namespace, &name);
        assert!(self.get(&key).is_none(), "{key} exists already");
        if kind.namespaced {
            self.ensure_namespace(namespace);
        }
        let uid = uuid();
        let mut created = kind.defaults();
        merge(&mut created, object);
        merge(&mut created, &json!({"kind": kind.name, "apiVersion": kind.version()}));
        merge(&mut created, &json!({"metadata": {"uid": uid, "creationTimestamp": time::in_seconds(0)}}));
        if kind.namespaced {
            created["metadata"]["namespace"] = json!(namespace);
        }
        if let Some(status) = kind.first_status() {
            created["status"] = status;
        }
        self.write(key, Some(created));
        uid
    }

    pub(super) fn ensure_namespace(&mut self, name: &str) {
        let namespaces = Kind::of("namespaces");
        if self.get(&key(namespaces, "", name)).is_none() {
            self.create(namespaces, "", &json!({"metadata": {"name": name}}));
        }
    }

    pub(super) fn patch(&mut self, kind: &Kind, namespace: &str, name: &str, patch: &Value) {
        let (key, mut object) = self.existing(kind, namespace, name);
        merge(&mut object, patch);
        self.write(key, Some(object));
    }

    /// A pod that may run on a node is only marked when it is deleted gracefully.
    pub(super) fn delete(&mut self, kind: &Kind, namespace: &str, name: &str, gracefully: bool) {
        let (key, mut object) = self.existing(kind, namespace, name);
        let ended = matches!(object["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
        let grace = object["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap_or(0);
        if gracefully && grace > 0 && !ended && object["spec"]["nodeName"].is_string() {
            let mark = json!({"deletionTimestamp": time::in_seconds(grace), "deletionGracePeriodSeconds": grace});
            merge(&mut object, &json!({"metadata": mark}));
            self.write(key, Some(object));
        } else {
            self.write(key, None);
        }
    }

    pub(super) fn compact(&mut self) {
        // A write of its own, so that a list read just now is of the past.
        self.revision += 1;
        self.compacted = self.revision;
    }

    fn existing(&self, kind: &Kind, namespace: &str, name: &str) -> (String, Value) {
        let key = key(kind, namespace, name);
        let object = self.get(&key).unwrap_or_else(|| panic!("there is no {key}")).clone();
        (key, object)
    }

    fn write(&mut self, key: String, mut object: Option<Value>) {
        self.revision += 1;
        if let Some(object) = &mut object {
            object["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        }
        self.versions.entry(key).or_default().push(Version { revision: self.revision, object });
    }
}

pub(super) fn key(kind: &Kind, namespace: &str, name: &str) -> String {
    let scope = if kind.namespaced { format!("{namespace}/") } else { String::new() };
    format!("{}/{scope}{name}", kind.resource)
}

/// RFC 7386.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    for (name, value) in patch {
        match value {
            Value::Null => drop(target.as_object_mut().unwrap().remove(name)),
            value => merge(&mut target[name], value),
        }
    }
}
