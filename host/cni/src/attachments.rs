//! Which attachments the runtime still knows, as GC is told.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::error::Error;
use super::unread::Unread;

/// A list, or `null`: the way Go programs write a list without entries. The key is required (CNI specification 1.1, "GC"), and
/// libcni writes `null` for it when its caller names no valid attachment; without a caller's list it writes no key. So `null`
/// says that nothing is attached any more, and only a missing key says nothing.
pub type List = Option<Vec<Entry>>;

/// One attachment of the list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(expecting = "an object")]
pub struct Entry {
    #[serde(rename = "containerID")]
    pub container: String,
    #[serde(rename = "ifname")]
    pub interface: String,
}

/// What the runtime says of its attachments to this network, on this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValidAttachments {
    /// Nothing at all: there is nothing to judge by, so nothing is collected.
    Unsaid,
    /// Only these exist; none, when the list is empty.
    Only(BTreeSet<Entry>),
}

impl ValidAttachments {
    /// Whether an attachment may be collected.
    pub fn lacks(&self, container: &str, interface: &str) -> bool {
        match self {
            Self::Unsaid => false,
            Self::Only(valid) => {
                !valid.contains(&Entry { container: container.to_owned(), interface: interface.to_owned() })
            }
        }
    }

    /// What stands in either list is valid: in doubt an address is kept.
    pub(super) fn read(fields: [(&str, Option<&Unread<List>>); 2]) -> Result<Self, Error> {
        let mut said = false;
        let mut valid = BTreeSet::new();
        for (path, list) in fields {
            // A key that is there counts even with `null`, which says that nothing is attached.
            let Some(list) = list else { continue };
            said = true;
            valid.extend(list.read(path)?.unwrap_or_default());
        }
        Ok(if said { Self::Only(valid) } else { Self::Unsaid })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NetConf;

    fn told(fields: &str) -> Result<ValidAttachments, String> {
        let netconf = NetConf::parse(format!(r#"{{"name": "n"{fields}}}"#).as_bytes()).unwrap();
        netconf.valid_attachments().map_err(|error| error.to_string())
    }

    #[test]
    fn silence_collects_nothing_and_none_collects_all() {
        assert!(!told("").unwrap().lacks("c1", "eth0"));
        assert!(told(r#", "cni.dev/valid-attachments": []"#).unwrap().lacks("c1", "eth0"));
        assert!(told(r#", "cni.dev/valid-attachments": null"#).unwrap().lacks("c1", "eth0"));
        assert!(told(r#", "cni.dev/attachments": null"#).unwrap().lacks("c1", "eth0"));
    }

    #[test]
    fn both_names_are_understood_and_either_saves() {
        let one = r#"[{"containerID": "c1", "ifname": "eth0"}]"#;
        for name in ["cni.dev/valid-attachments", "cni.dev/attachments"] {
            let told = told(&format!(r#", "{name}": {one}"#)).unwrap();
            assert!(!told.lacks("c1", "eth0"));
            assert!(told.lacks("c1", "eth1"));
        }
        let both = told(&format!(r#", "cni.dev/attachments": {one}, "cni.dev/valid-attachments": []"#)).unwrap();
        assert!(!both.lacks("c1", "eth0"));
    }

    #[test]
    fn a_list_that_is_misread_collects_nothing() {
        let error = told(r#", "cni.dev/valid-attachments": [{"containerID": "c1"}]"#).unwrap_err();
        assert_eq!(error, "cni.dev/valid-attachments[0].ifname is missing: expected the name of an interface");
    }
}
